"""Messages of a channel, read from the local workspace, and from the stand-in that the use cases are tested on."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.record.message import SlackMessage
from bot.slack.messages import SlackMessages
from tests.worlds.memory.messages import MemoryMessages

CHANNEL = "C0INC"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def messages(client, wall_clock):
    return SlackMessages(client, clock=wall_clock, timeout=4)


@pytest.fixture
def said_by(workspace):
    """A message in the channel; `facts` are what Slack shows besides."""

    def say(text, *, user="U0QUINN", **facts):
        return workspace.say(user, CHANNEL, text, **facts)

    return say


async def found(asking):
    seen = await asking
    assert isinstance(seen, Found), seen
    return seen.value


# ── what the port promises, by both


class SlackSide:
    def __init__(self, workspace, messages):
        self.workspace, self.messages = workspace, messages

    def say(self, text, thread=""):
        return self.workspace.say("U0QUINN", CHANNEL, text, thread_ts=thread or None).ts

    async def mark(self, ts, user):
        self.workspace.message(CHANNEL, ts).reactions.setdefault("pushpin", []).append(user)

    def delete(self, ts):
        self.workspace.message(CHANNEL, ts).is_deleted = True

    def pages_of(self, size):
        self.workspace.team.history_page = size


class MemorySide:
    def __init__(self, messages):
        self.messages = messages

    def say(self, text, thread=""):
        return self.messages.say(CHANNEL, "U0QUINN", text, thread=thread).ts

    async def mark(self, ts, user):
        self.messages.mark(self.messages.kept[CHANNEL, ts], user)

    def delete(self, ts):
        self.messages.delete(self.messages.kept[CHANNEL, ts])

    def pages_of(self, size):
        self.messages.page = size


@pytest.fixture(params=["slack", "memory"])
def side(request, workspace, messages, wall_clock):
    return SlackSide(workspace, messages) if request.param == "slack" else MemorySide(MemoryMessages(wall_clock))


async def everything(ask):
    """All pages of a question, in order."""
    cursor, seen = "", []
    for number in itertools.count():
        page = await found(ask(cursor))
        seen += page.messages
        cursor = page.cursor
        if not cursor:
            return seen
        assert number < 50
    raise AssertionError


def around(clock):
    return {"since": clock.now() - HOUR, "until": clock.now() + HOUR}


async def test_a_message_is_read_with_its_author_its_time_and_who_marked_it(side):
    ts = side.say("two hours old")
    await side.mark(ts, "U0ELLIOTT")
    said = await found(side.messages.message(CHANNEL, ts))
    assert (said.author, said.raw, said.thread, said.by_person) == ("U0QUINN", "two hours old", "", True)
    assert f"{said.at.timestamp():.6f}" == ts
    assert said.marks == {"pushpin": ("U0ELLIOTT",)}


async def test_a_reply_is_read_with_its_thread(side):
    root = side.say("what about staging?")
    reply = side.say("locked", thread=root)
    assert (await found(side.messages.message(CHANNEL, reply))).thread == root
    assert (await found(side.messages.message(CHANNEL, root))).thread == ""


async def test_a_message_that_is_not_there_is_not_found(side):
    ts = side.say("oops")
    side.delete(ts)
    assert isinstance(await side.messages.message(CHANNEL, ts), NotFound)


async def test_history_comes_page_by_page_the_newest_first_and_without_replies(side, wall_clock):
    side.pages_of(3)
    sent = [side.say(f"message {number}") for number in range(10)]
    side.say("a reply", thread=sent[0])
    span = around(wall_clock)
    seen = await everything(lambda cursor: side.messages.history(CHANNEL, cursor=cursor, **span))
    assert [said.ts for said in seen] == sent[::-1]
    assert [said.latest_reply is not None for said in seen] == [False] * 9 + [True]


async def test_history_holds_to_its_span(side, wall_clock):
    side.say("now")
    span = {"since": wall_clock.now() - 3 * HOUR, "until": wall_clock.now() - HOUR}
    assert (await found(side.messages.history(CHANNEL, **span))).messages == ()


async def test_the_replies_of_a_thread_come_without_its_root(side, wall_clock):
    side.pages_of(2)
    root = side.say("what about staging?")
    sent = {side.say(f"reply {number}", thread=root) for number in range(5)}
    span = around(wall_clock)
    seen = await everything(lambda cursor: side.messages.replies(CHANNEL, root, cursor=cursor, **span))
    assert {said.ts for said in seen} == sent
    assert len(seen) == 5


async def test_a_permalink_leads_to_the_message_and_a_replys_to_its_thread(side):
    root = side.say("what about staging?")
    reply = side.say("locked", thread=root)
    place = f"https://sandbox.slack.com/archives/{CHANNEL}/p"
    assert await found(side.messages.permalink(CHANNEL, root)) == place + root.replace(".", "")
    link = await found(side.messages.permalink(CHANNEL, reply, thread=root))
    assert link == f"{place}{reply.replace('.', '')}?thread_ts={root}&cid={CHANNEL}"


# ── what Slack's shapes come to


async def read(messages, message) -> SlackMessage:
    return await found(messages.message(CHANNEL, message.ts))


async def test_skin_tones_are_counted_as_the_reaction_itself(messages, said_by):
    message = said_by("two hours old")
    message.reactions = {"thumbsup": ["U0QUINN"], "thumbsup::skin-tone-2": ["U0ELLIOTT", "U0QUINN"]}
    assert (await read(messages, message)).marks == {"thumbsup": ("U0QUINN", "U0ELLIOTT")}


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*failed* <@U0QUINN>"}}]},
            "*failed* <@U0QUINN>",
        ),
        (
            {"attachments": [{"title": "Deploy", "fields": [{"title": "env", "text": "staging"}]}]},
            "Deploy\nenv\nstaging",
        ),
        ({"attachments": [{"fallback": "Deploy failed"}]}, "Deploy failed"),
        (
            {
                "blocks": [
                    {
                        "type": "rich_text",
                        "elements": [
                            {
                                "type": "rich_text_section",
                                "elements": [
                                    {"type": "user", "user_id": "U0QUINN"},
                                    {"type": "text", "text": " a<b "},
                                    {"type": "link", "url": "https://example.com", "text": "the run"},
                                    {"type": "emoji", "name": "fire"},
                                ],
                            }
                        ],
                    }
                ]
            },
            "<@U0QUINN> a&lt;b <https://example.com|the run>:fire:",
        ),
    ],
)
async def test_what_has_no_text_is_read_from_its_blocks_and_attachments(messages, said_by, facts, text):
    assert (await read(messages, said_by("", bot_id="B0CI", **facts))).raw == text


async def test_the_preview_of_a_link_is_no_part_of_what_somebody_wrote(messages, said_by):
    preview = [{"from_url": "https://example.com", "title": "Example", "text": "of a page"}]
    assert (await read(messages, said_by("see <https://example.com>", attachments=preview))).raw == (
        "see <https://example.com>"
    )


@pytest.mark.parametrize(
    ("facts", "author", "bot"),
    [
        ({"bot_id": "B0CI", "bot_profile": {"name": "CI"}}, "U0QUINN", "CI"),
        ({"bot_id": "B0CI", "user": None, "username": "Deployer", "subtype": "bot_message"}, "B0CI", "Deployer"),
    ],
)
async def test_bots_are_known_by_their_names(messages, said_by, facts, author, bot):
    said = await read(messages, said_by("deployed", **facts))
    assert (said.author, said.bot, said.by_person) == (author, bot, False)


async def test_joins_are_not_what_people_say_and_shared_files_are(messages, said_by):
    assert not (await read(messages, said_by("has joined", subtype="channel_join"))).by_person
    files = [{"id": "F1", "name": "a.log", "title": "Log", "mimetype": "text/plain", "permalink": "https://x/1"}]
    said = await read(messages, said_by("", subtype="file_share", files=[*files, {"id": "F2", "mode": "tombstone"}]))
    assert said.by_person
    assert [(file.name, file.title, file.mimetype) for file in said.files] == [
        ("a.log", "Log", "text/plain"),
        ("F2", "F2", ""),
    ]


async def test_the_stone_of_a_deleted_root_is_no_message(workspace, messages, said_by):
    root = said_by("what about staging?")
    workspace.say("U0ELLIOTT", CHANNEL, "locked", thread_ts=root.ts)
    root.is_deleted = True
    assert isinstance(await messages.message(CHANNEL, root.ts), NotFound)
    assert (await found(messages.history(CHANNEL, since=NOON, until=NOON.replace(year=2099)))).messages == ()


async def test_without_the_right_to_see_reactions_a_message_is_read_all_the_same(workspace, messages, said_by):
    root = said_by("what about staging?")
    reply = workspace.say("U0ELLIOTT", CHANNEL, "locked", thread_ts=root.ts)
    workspace.refuse("reactions.get", "missing_scope", times=None, needed="reactions:read", provided="chat:write")
    assert (await read(messages, reply)).raw == "locked"
    assert (await read(messages, root)).raw == "what about staging?"


# ── trouble


async def test_a_channel_that_the_bot_is_not_in_is_denied_and_not_a_deletion(workspace, messages):
    workspace.add_channel("C0OTHER", "other", ["U0QUINN"], with_bot=False)
    workspace.add_channel("C0SECRET", "secret", ["U0QUINN"], with_bot=False, is_private=True)
    for channel in ("C0OTHER", "C0SECRET"):
        message = workspace.say("U0QUINN", channel, "hello")
        seen = await messages.message(channel, message.ts)
        assert isinstance(seen, Unseen)
        assert seen.trouble is Trouble.DENIED
        assert "invite it" in seen.detail


async def test_a_short_wait_is_waited_out_and_a_long_one_is_told(workspace, messages, said_by):
    message = said_by("two hours old")
    workspace.throttle("reactions.get", retry_after=1)
    assert (await read(messages, message)).raw == "two hours old"
    workspace.throttle("conversations.history", retry_after=60, times=None)
    seen = await messages.history(CHANNEL, since=NOON, until=NOON + HOUR)
    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.retry_after) == (Trouble.THROTTLED, 60)


@pytest.mark.parametrize("method", ["reactions.get", "conversations.history"])
async def test_an_error_of_slacks_own_is_no_answer(workspace, messages, said_by, method):
    message = said_by("two hours old")
    workspace.crash(method, times=None)
    asked = {
        "reactions.get": messages.message(CHANNEL, message.ts),
        "conversations.history": messages.history(CHANNEL, since=NOON, until=NOON + HOUR),
    }
    for name, question in asked.items():
        seen = await question
        assert isinstance(seen, Unseen) is (name == method)


async def test_no_text_of_a_message_is_logged(workspace, messages, said_by):
    message = said_by("a word that nobody else should read")
    with capture_logs() as logs:
        await read(messages, message)
        workspace.crash("reactions.get", times=None)
        await messages.message(CHANNEL, message.ts)
    assert "nobody else" not in repr(logs)

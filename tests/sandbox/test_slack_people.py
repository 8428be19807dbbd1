"""What people do in the local workspace besides commands and clicks, and what Slack tells the bot of it."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.worlds.slack.workspace import FullWorkspace


@pytest.fixture
async def workspace():
    async with FullWorkspace() as slack:
        slack.bot_url = "http://127.0.0.1:9/slack/events"  # nobody listens: what was sent is seen in `deliveries`
        slack.add_user("U0QUINN", "quinn")
        slack.add_channel("C0INC", "inc-1", ["U0QUINN"])
        slack.add_channel("C0DARK", "dark", ["U0QUINN"], with_bot=False)
        yield slack


@pytest.fixture
def client(workspace):
    return AsyncWebClient(token=workspace.bot_token, base_url=workspace.api_url)


def told(workspace):
    """The events that the bot was sent, each once."""
    return [one.payload["event"] for one in workspace.deliveries if not one.retry]


async def refusal(call):
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response["error"]


async def test_a_reaction_is_told_and_read_with_everybody_who_gave_it(workspace, client):
    message = workspace.say("U0QUINN", "C0INC", "hello")
    await workspace.react("U0QUINN", message, "pushpin")
    (event,) = told(workspace)
    assert (event["type"], event["reaction"], event["item"]["ts"]) == ("reaction_added", "pushpin", message.ts)
    answer = await client.reactions_get(channel="C0INC", timestamp=message.ts, full=True)
    assert answer["message"]["reactions"] == [{"name": "pushpin", "users": ["U0QUINN"], "count": 1}]
    with pytest.raises(LookupError, match="already_reacted"):
        await workspace.react("U0QUINN", message, "pushpin")
    await workspace.unreact("U0QUINN", message, "pushpin")
    assert told(workspace)[-1]["type"] == "reaction_removed"
    assert "reactions" not in (await client.reactions_get(channel="C0INC", timestamp=message.ts))["message"]
    with pytest.raises(LookupError, match="no_reaction"):
        await workspace.unreact("U0QUINN", message, "pushpin")


async def test_reactions_get_refuses_as_slack_does(workspace, client):
    assert await refusal(client.reactions_get(channel="C0INC")) == "no_item_specified"
    assert await refusal(client.reactions_get(channel="C0INC", timestamp="1.000001")) == "message_not_found"
    assert await refusal(client.reactions_get(channel="C0NONE", timestamp="1.000001")) == "channel_not_found"


async def test_the_bot_hears_nothing_of_channels_that_it_is_not_in(workspace):
    await workspace.speak("U0QUINN", "C0DARK", "hello")
    assert not told(workspace)


async def test_what_is_said_edited_and_deleted_is_told(workspace):
    message = await workspace.speak("U0QUINN", "C0INC", "hello")
    await workspace.edit(message, "hello there")
    await workspace.delete(message)
    spoken, changed, deleted = told(workspace)
    assert (spoken["text"], spoken["channel_type"]) == ("hello", "channel")
    assert changed["subtype"] == "message_changed"
    assert (changed["previous_message"]["text"], changed["message"]["text"]) == ("hello", "hello there")
    assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", message.ts)


async def test_a_deleted_root_leaves_a_stone_where_replies_hang_on_it(workspace, client):
    root = workspace.say("U0QUINN", "C0INC", "hello")
    workspace.say("U0QUINN", "C0INC", "yes?", thread_ts=root.ts)
    await workspace.delete(root)
    (event,) = told(workspace)
    assert (event["subtype"], event["message"]["subtype"]) == ("message_changed", "tombstone")
    (shown,) = (await client.conversations_history(channel="C0INC"))["messages"]
    assert (shown["subtype"], shown["reply_count"]) == ("tombstone", 1)


async def test_a_reply_is_found_by_its_own_ts_and_named_by_its_thread(workspace, client):
    root = workspace.say("U0QUINN", "C0INC", "hello")
    reply = workspace.say("U0QUINN", "C0INC", "yes?", thread_ts=root.ts)
    (shown,) = (await client.conversations_replies(channel="C0INC", ts=reply.ts))["messages"]
    assert (shown["ts"], shown["thread_ts"]) == (reply.ts, root.ts)
    late = await client.conversations_replies(channel="C0INC", ts=root.ts, oldest=reply.ts)
    assert [message["ts"] for message in late["messages"]] == [root.ts]


async def test_an_app_of_which_slack_sells_copies_reads_short_pages(workspace, client):
    workspace.team.history_page = 15
    for number in range(40):
        workspace.say("U0QUINN", "C0INC", f"message {number}")
    page = await client.conversations_history(channel="C0INC", limit=200)
    assert len(page["messages"]) == 15
    assert page["has_more"]


@pytest.mark.parametrize(("private", "kind"), [(False, "channel_archive"), (True, "group_archive")])
async def test_archiving_is_told_by_the_kind_of_channel(workspace, private, kind):
    workspace.team.places["C0INC"].is_private = private
    await workspace.archive("U0QUINN", "C0INC")
    assert [event["type"] for event in told(workspace)] == [kind]
    assert workspace.team.places["C0INC"].is_archived

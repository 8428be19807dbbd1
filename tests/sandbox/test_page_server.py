"""The local page without a browser: who sees what, what reaches the bot, and what only the page may ask for."""

import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web

from bot.sandbox.page.scene import DIRECT, HOME, Guide
from bot.sandbox.page.server import serving_page
from bot.sandbox.slack.team import BOT_USER, Upload
from bot.sandbox.slack.views import stacked
from bot.sandbox.slack.workspace import SlackWorkspace
from bot.sandbox.stage import CHANNEL, populate
from bot.sandbox.stand_in import serving

QUINN, PARKER, ELLIOTT = "U0QUINN", "U0PARKER", "U0ELLIOTT"
GUIDE = Guide({QUINN: "wants to deploy", PARKER: "on call", ELLIOTT: "owns <the> lock"}, "It <b>began</b>.")
HOSTILE = '<img src=x onerror="alert(1)">'


class Bot:
    """Takes what Slack sends, and answers as it is told to."""

    def __init__(self):
        self.got, self.answer = [], web.Response

    async def take(self, request):
        body = (await request.read()).decode()
        form = {} if request.content_type == "application/json" else parse_qs(body)
        self.got.append(json.loads(form.get("payload", [body])[0]) if "command" not in form else form)
        return self.answer()


class Visitor:
    def __init__(self, slack, bot, browser):
        self.slack, self.bot, self.browser = slack, bot, browser

    async def sees(self, user, place=CHANNEL, thread="", region="feed"):
        at = {"as": user, "in": place, "thread": thread}
        regions = await (await self.browser.get("/seen", params=at)).json()
        return "".join(html for _, html in regions[region])

    async def does(self, user, doing, **what):
        answer = await self.browser.post("/do", json={"as": user, "do": doing, **what})
        return answer.status, await answer.json() if answer.content_type == "application/json" else {}


@pytest.fixture
async def visitor():
    async with opened() as made:
        yield made


@asynccontextmanager
async def opened():
    bot, app = Bot(), web.Application()
    app.router.add_post("/slack/events", bot.take)
    async with serving(app) as address, SlackWorkspace(bot_url=f"{address}/slack/events", retry_scale=0) as slack:
        populate(slack)
        async with serving_page(slack, GUIDE) as page, aiohttp.ClientSession(page) as browser:
            yield Visitor(slack, bot, browser)


def button(action, value="v"):
    return {"type": "button", "text": {"type": "plain_text", "text": "Press"}, "action_id": action, "value": value}


def wrote(slack, text="said", *elements, channel=CHANNEL, **facts):
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    blocks = [section, *([{"type": "actions", "elements": list(elements)}] if elements else [])]
    return slack.team.keep(channel, BOT_USER, text, blocks, **facts)


async def test_what_is_meant_for_one_person_is_seen_by_them_alone(visitor):
    wrote(visitor.slack, "a whisper", to=QUINN)

    assert "a whisper" in await visitor.sees(QUINN)
    assert "Only visible to you" in await visitor.sees(QUINN)
    assert "a whisper" not in await visitor.sees(PARKER)


async def test_a_reply_stands_in_its_thread_and_not_in_the_channel(visitor):
    root = visitor.slack.say(QUINN, CHANNEL, "blocked")
    visitor.slack.say(PARKER, CHANNEL, "same here", thread_ts=root.ts)

    assert "same here" not in await visitor.sees(PARKER)
    assert "1 reply" in await visitor.sees(PARKER)
    assert "same here" in await visitor.sees(PARKER, thread=root.ts, region="thread")


async def test_an_edited_message_is_drawn_as_it_is_now(visitor):
    message = wrote(visitor.slack, "armed")
    assert "armed" in await visitor.sees(QUINN)

    message.replace("released", [], visitor.slack.team.stamp())

    assert "released" in await visitor.sees(QUINN)


async def test_who_has_unread_messages_of_the_bot_is_marked_until_they_look(visitor):
    direct = visitor.slack.team.direct(ELLIOTT).id
    wrote(visitor.slack, "is it dead?", channel=direct)
    assert 'class="badge"' in await visitor.sees(QUINN, region="people")

    assert "is it dead?" in await visitor.sees(ELLIOTT, DIRECT)

    assert 'class="badge"' not in await visitor.sees(QUINN, region="people")


async def test_a_person_or_place_that_is_not_theirs_is_refused(visitor):
    for at in ({"as": "U0NOBODY"}, {"as": QUINN, "in": "C0NOWHERE"}, {"as": ELLIOTT, "in": "C0RANDOM"}):
        assert (await visitor.browser.get("/", params=at)).status == 400


async def test_other_sites_can_ask_for_nothing(visitor):
    asked = json.dumps({"as": QUINN, "do": "say", "channel": CHANNEL, "text": "/tflock close"})

    as_form = await visitor.browser.post("/do", data=asked, headers={"Content-Type": "text/plain"})
    page = await visitor.browser.get("/")

    assert as_form.status == 415
    assert visitor.bot.got == []
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("text", ["/tflock status staging", "  /tflock   status staging "])
async def test_a_typed_command_is_sent_as_slack_sends_it(visitor, text):
    assert (await visitor.does(QUINN, "say", channel=CHANNEL, text=text))[0] == 200

    assert visitor.bot.got[0]["text"] == ["status staging"]
    assert visitor.bot.got[0]["user_id"] == [QUINN]


async def test_a_command_in_a_thread_is_refused_in_words_as_slack_has_none_there(visitor):
    status, answer = await visitor.does(QUINN, "say", channel=CHANNEL, text="/tflock status", thread="1.0")

    assert status == 409
    assert "@tflock" in answer["says"]


async def test_a_mention_and_a_message_reach_the_bot_with_what_was_typed_escaped(visitor):
    await visitor.does(QUINN, "say", channel=CHANNEL, text="@tflock status <b> & @parker")
    await visitor.does(QUINN, "say", channel=CHANNEL, text=HOSTILE)

    mention, message = (got["event"] for got in visitor.bot.got)
    assert mention["type"] == "app_mention"
    assert mention["text"] == f"<@{BOT_USER}> status &lt;b&gt; &amp; <@{PARKER}|parker>"
    assert message["type"] == "message"
    assert HOSTILE not in await visitor.sees(PARKER)


async def test_a_click_is_sent_with_the_buttons_own_value(visitor):
    message = wrote(visitor.slack, "two", button("unlock", "one"), {**button("cancel", "two")})
    block = message.blocks[1]["block_id"]
    act = {"action": "cancel", "block": block, "value": "two"}

    status, _ = await visitor.does(PARKER, "press", message=f"{CHANNEL} {message.ts}", act=act)

    assert status == 200
    (action,) = visitor.bot.got[0]["actions"]
    assert (action["action_id"], action["value"], action["block_id"]) == ("cancel", "two", block)


async def test_a_button_that_is_gone_is_said_to_be_gone(visitor):
    message = wrote(visitor.slack, "one", button("unlock"))
    act = {"action": "unlock", "block": message.blocks[1]["block_id"], "value": "v"}
    message.replace("done", [], visitor.slack.team.stamp())

    status, answer = await visitor.does(PARKER, "press", message=f"{CHANNEL} {message.ts}", act=act)

    assert status == 409
    assert "the button is gone" in answer["says"]
    assert visitor.bot.got == []


async def test_a_bot_that_does_not_take_a_click_is_said_not_to_answer(visitor):
    message = wrote(visitor.slack, "one", button("unlock"))
    visitor.bot.answer = lambda: web.Response(status=500)
    act = {"action": "unlock", "block": message.blocks[1]["block_id"], "value": "v"}

    _, answer = await visitor.does(PARKER, "press", message=f"{CHANNEL} {message.ts}", act=act)

    assert "did not answer" in answer["says"]


async def test_a_dialog_is_sent_filled_in_and_its_errors_come_back(visitor):
    text = {"type": "plain_text_input", "action_id": "text"}
    field = {"type": "input", "block_id": "note", "label": {"type": "plain_text", "text": "Note"}, "element": text}
    words = {key: {"type": "plain_text", "text": key.title()} for key in ("title", "submit")}
    opens = {"type": "modal", "callback_id": "edit", **words, "blocks": [field]}
    view = stacked_view(visitor.slack, opens, QUINN)
    visitor.bot.answer = lambda: web.json_response({"response_action": "errors", "errors": {"note": "Too late"}})
    assert 'name="note text"' in await visitor.sees(QUINN, region="dialogs")

    _, answer = await visitor.does(QUINN, "submit", view=view["id"], values={"note text": "because"})

    assert answer == {"errors": {"note": "Too late"}}
    assert visitor.bot.got[0]["view"]["state"]["values"]["note"]["text"]["value"] == "because"


async def test_a_dialog_that_is_closed_is_gone(visitor):
    view = stacked_view(visitor.slack, {"type": "modal", "blocks": []}, QUINN)

    await visitor.does(QUINN, "close", view=view["id"])

    assert await visitor.sees(QUINN, region="dialogs") == ""


async def test_opening_the_home_tab_tells_the_bot(visitor):
    await visitor.does(QUINN, "open", **{"in": HOME})

    assert visitor.bot.got[0]["event"]["type"] == "app_home_opened"


async def test_a_message_is_marked_once(visitor):
    message = visitor.slack.say(QUINN, CHANNEL, "blocked")
    first = await visitor.does(PARKER, "react", message=f"{CHANNEL} {message.ts}")
    again = await visitor.does(PARKER, "react", message=f"{CHANNEL} {message.ts}")

    assert (first[0], again[0]) == (200, 409)
    assert message.reactions == {"pushpin": [PARKER]}


async def test_a_file_is_shown_apart_from_the_page(visitor):
    upload = uploaded(visitor.slack, "record.html", b"<script>alert(1)</script>")
    answer = await visitor.browser.get(f"/files/{upload.id}/record.html")

    assert answer.content_type == "text/html"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "allow-same-origin" not in answer.headers["Content-Security-Policy"]
    assert (await visitor.browser.get("/files/F404/x")).status == 404


async def test_changes_come_by_themselves(visitor):
    async with visitor.browser.get("/live", params={"as": QUINN, "in": CHANNEL}) as stream:
        first = json.loads((await stream.content.readuntil(b"\n\n")).decode().removeprefix("data: "))
        wrote(visitor.slack, "news")
        second = json.loads((await stream.content.readuntil(b"\n\n")).decode().removeprefix("data: "))

    assert first["feed"] == []
    assert "news" in second["feed"][0][1]
    assert "dialogs" not in second


async def test_the_guides_own_words_are_escaped(visitor):
    page = await (await visitor.browser.get("/", params={"as": QUINN, "in": CHANNEL})).text()

    assert "It &lt;b&gt;began" in page
    assert "owns &lt;the&gt; lock" in await visitor.sees(QUINN, region="people")


def stacked_view(slack, view, user):
    return stacked(slack.team, view, slack.team.fresh("V"), user=user, below=None)


def uploaded(slack, name, content):
    upload = Upload(slack.team.fresh("F"), name, len(content), content=content, is_completed=True)
    slack.team.uploads[upload.id] = upload
    return upload

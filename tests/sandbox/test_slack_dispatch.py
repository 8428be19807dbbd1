"""How the local workspace reaches a bot: a real Bolt app, over HTTP and through Socket Mode."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack.text import flat
from tests.worlds.clocks import Hands
from tests.worlds.slack.workspace import FullWorkspace

BLOCKS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "the lock"}},
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            {
                "type": "button",
                "action_id": "unlock.confirm",
                "value": "staging|1",
                "text": {"type": "plain_text", "text": "Unlock"},
            },
            {
                "type": "static_select",
                "action_id": "kill.choose",
                "options": [{"text": {"type": "plain_text", "text": run}, "value": run} for run in ("run-1", "run-2")],
            },
        ],
    },
]


class Bot:
    """A Bolt app that remembers what came and can be told to fail."""

    def __init__(self, workspace):
        self.seen = []
        self.fail = False
        self.app = AsyncApp(
            client=AsyncWebClient(token=workspace.bot_token, base_url=workspace.api_url),
            signing_secret=workspace.signing_secret,
        )
        self.app.command("/tflock")(self.command)
        self.app.action("unlock.confirm")(self.interaction)
        self.app.action("kill.choose")(self.interaction)
        self.app.shortcut("note")(self.interaction)
        self.app.view("form")(self.interaction)
        self.app.event("app_mention")(self.event)
        self.app.event("reaction_added")(self.event)

    async def command(self, ack, body):
        self.seen.append(body)
        await (ack(body["text"].removeprefix("say ")) if body["text"].startswith("say ") else ack())

    async def interaction(self, ack, body):
        self.seen.append(body)
        await ack()

    async def event(self, body):
        self.seen.append(body)


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
async def workspace(hands):
    async with FullWorkspace(clock=hands, retry_scale=0.0001, ack_timeout=10) as slack:
        slack.add_user("U0QUINN", "quinn")
        slack.add_user("U0ELLIOTT", "elliott")
        slack.add_channel("C0INC", "inc-1", ["U0QUINN"])
        yield slack


@pytest.fixture
async def bot(workspace):
    bot = Bot(workspace)
    runner = web.AppRunner(bot.app.server(port=0).web_app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    workspace.bot_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield bot
    await runner.cleanup()


@pytest.fixture
async def message(workspace, bot):
    posted = await bot.app.client.chat_postMessage(channel="C0INC", text="x", blocks=BLOCKS)
    return workspace.message("C0INC", posted["ts"])


async def respond(url, **body):
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, await answer.text()


@pytest.fixture
async def faulty(workspace):
    """A bot that answers with the statuses that the test puts in."""
    seen, answers = [], []

    async def take(request):
        seen.append((dict(request.headers), await request.json()))
        status, headers, delay = answers.pop(0) if answers else (200, {}, 0)
        await asyncio.sleep(delay)
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/slack/events", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    workspace.bot_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield seen, answers
    await runner.cleanup()


async def test_a_command_arrives_signed_with_names_as_ids(workspace, bot):
    delivery = await workspace.command("U0QUINN", "C0INC", "who @elliott in #inc-1")
    assert delivery.is_acked
    assert 0 < delivery.seconds < 10
    [body] = bot.seen
    assert body["text"] == "who <@U0ELLIOTT|elliott> in <#C0INC|inc-1>"
    assert (body["user_id"], body["channel_id"], body["command"]) == ("U0QUINN", "C0INC", "/tflock")


async def test_an_address_of_mail_is_not_taken_for_a_name(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "note ask me@elliott <@U0ELLIOTT>")
    assert bot.seen[0]["text"] == "note ask me@elliott <@U0ELLIOTT>"


async def test_a_typed_url_arrives_as_a_link(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "kill-job https://ci.example.com/runs/1?a=b because it loops")
    await workspace.mention("U0QUINN", "C0INC", "kill-job https://ci.example.com/runs/1")
    await workspace.wait_for(lambda: len(bot.seen) == 2)
    assert bot.seen[0]["text"] == "kill-job <https://ci.example.com/runs/1?a=b> because it loops"
    assert bot.seen[1]["event"]["text"].endswith("kill-job <https://ci.example.com/runs/1>")


async def test_what_an_ack_says_is_shown_to_the_asker(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "say hello")
    assert [message.text for message in workspace.ephemerals("U0QUINN", "C0INC")] == ["hello"]


async def test_a_command_that_nobody_takes_is_slackbots_apology(workspace, bot):
    delivery = await workspace.command("U0QUINN", "C0INC", "x", name="/unknown")
    assert delivery.status == 404
    assert "dispatch_failed" in workspace.ephemerals("U0QUINN")[0].text


async def test_a_forged_signature_does_not_reach_the_bot(workspace, bot):
    with workspace.signing(secret="forged"):
        assert (await workspace.command("U0QUINN", "C0INC", "x")).status == 401
    assert bot.seen == []


async def test_a_timestamp_older_than_five_minutes_does_not_reach_the_bot(workspace, bot):
    with workspace.signing(age=301):
        assert (await workspace.command("U0QUINN", "C0INC", "x")).status == 401
    assert bot.seen == []
    assert (await workspace.command("U0QUINN", "C0INC", "x")).is_acked


async def test_the_same_delivery_can_come_twice(workspace, bot):
    first = await workspace.command("U0QUINN", "C0INC", "x")
    second = await workspace.again(first)
    assert second.is_acked
    assert bot.seen[0] == bot.seen[1]


async def test_a_click_carries_value_message_and_the_state_of_the_selects(workspace, bot, message):
    await workspace.click("U0QUINN", message, "unlock.confirm", selected={"kill.choose": "run-2"})
    [body] = bot.seen
    [action] = body["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("unlock.confirm", "row", "staging|1")
    assert body["container"] == {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": "C0INC",
        "is_ephemeral": False,
    }
    assert body["message"]["blocks"][1]["block_id"] == "row"
    assert body["state"]["values"]["row"]["kill.choose"]["selected_option"]["value"] == "run-2"


async def test_a_choice_in_a_select_carries_its_option(workspace, bot, message):
    await workspace.choose("U0QUINN", message, "kill.choose", "run-1")
    assert bot.seen[0]["actions"][0]["selected_option"]["value"] == "run-1"


async def test_there_is_no_clicking_on_what_is_not_there(workspace, message):
    with pytest.raises(LookupError, match=r"unlock\.confirm, kill\.choose"):
        await workspace.click("U0QUINN", message, "kill.confirm")
    with pytest.raises(LookupError, match="run-9"):
        await workspace.choose("U0QUINN", message, "kill.choose", "run-9")


async def test_a_button_that_is_gone_can_still_be_clicked_from_an_old_window(workspace, bot, message):
    old = workspace.find_button(message, "unlock.confirm")
    await bot.app.client.chat_update(channel="C0INC", ts=message.ts, text="released")
    await workspace.click("U0QUINN", message, old)
    assert bot.seen[0]["actions"][0]["value"] == "staging|1"
    assert "blocks" not in bot.seen[0]["message"]


async def test_a_click_on_an_ephemeral_message_does_not_repeat_it(workspace, bot):
    await bot.app.client.chat_postEphemeral(channel="C0INC", user="U0QUINN", text="x", blocks=BLOCKS)
    await workspace.click("U0QUINN", workspace.ephemerals("U0QUINN")[0], "unlock.confirm")
    assert bot.seen[0]["container"]["is_ephemeral"]
    assert "message" not in bot.seen[0]


async def test_a_mention_stands_in_the_channel_and_is_an_event(workspace, bot):
    root = workspace.say("U0QUINN", "C0INC", "staging is locked")
    await workspace.mention("U0QUINN", "C0INC", "status staging", thread_ts=root.ts)
    await workspace.wait_for(lambda: bot.seen)
    event = bot.seen[0]["event"]
    assert event["text"].endswith("> status staging")
    assert (event["thread_ts"], event["channel"]) == (root.ts, "C0INC")
    said = workspace.messages("C0INC", thread_ts=root.ts, by_bot=False)
    assert [message.ts for message in said] == [event["ts"]]


async def test_any_event_can_be_sent(workspace, bot, message):
    item = {"type": "message", "channel": "C0INC", "ts": message.ts}
    await workspace.event({"type": "reaction_added", "user": "U0QUINN", "reaction": "pushpin", "item": item})
    await workspace.wait_for(lambda: bot.seen)
    assert bot.seen[0]["event"]["reaction"] == "pushpin"


async def test_a_message_shortcut_carries_the_message(workspace, bot, message):
    assert (await workspace.shortcut("U0QUINN", message, "note")).is_acked
    assert bot.seen[0]["message"]["ts"] == message.ts


async def test_a_modal_is_opened_by_a_trigger_and_submitted(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "x")
    view = {"type": "modal", "callback_id": "form", "title": {"type": "plain_text", "text": "t"}, "blocks": BLOCKS[:1]}
    opened = await bot.app.client.views_open(trigger_id=bot.seen[0]["trigger_id"], view=view)
    values = {"b": {"a": {"type": "plain_text_input", "value": "v"}}}
    assert (await workspace.submit("U0QUINN", opened["view"], values)).is_acked
    assert bot.seen[1]["view"]["state"]["values"] == values


async def test_an_event_is_retried_until_the_bot_takes_it(workspace, faulty):
    seen, answers = faulty
    answers += [(500, {}, 0), (404, {}, 0)]
    first = await workspace.event({"type": "app_mention"})
    assert first.status == 500
    await workspace.wait_for(lambda: len(seen) == 3)
    numbers = [headers.get("X-Slack-Retry-Num") for headers, _ in seen]
    reasons = [headers.get("X-Slack-Retry-Reason") for headers, _ in seen]
    assert numbers == [None, "1", "2"]
    assert reasons == [None, "http_error", "http_error"]
    assert len({body["event_id"] for _, body in seen}) == 1


async def test_an_event_is_given_up_after_the_third_retry(workspace, faulty):
    seen, answers = faulty
    answers += [(500, {}, 0)] * 9
    await workspace.event({"type": "app_mention"})
    await workspace.wait_for(lambda: len(workspace.deliveries) == 4)
    assert workspace.deliveries[-1].retry == 3
    assert len(seen) == 4


async def test_a_slow_ack_is_a_time_out_and_retried(workspace, faulty):
    seen, answers = faulty
    answers += [(200, {}, 30)]
    workspace._running.patience = 0.3
    first = await workspace.event({"type": "app_mention"})
    assert (first.status, first.reason) == (None, "http_timeout")
    workspace._running.patience = 10
    await workspace.wait_for(lambda: len(seen) == 2)
    assert seen[1][0]["X-Slack-Retry-Reason"] == "http_timeout"


async def test_a_bot_can_ask_not_to_be_retried(workspace, faulty):
    _, answers = faulty
    answers += [(500, {"X-Slack-No-Retry": "1"}, 0)]
    first = await workspace.event({"type": "app_mention"})
    assert not first.may_retry
    assert (await workspace.event({"type": "app_mention"})).is_acked
    assert len(workspace.deliveries) == 2


async def test_a_bot_that_is_down_is_a_failed_connection(workspace, bot):
    workspace.bot_url = workspace.bot_url.replace("/slack/events", "").rsplit(":", 1)[0] + ":1/slack/events"
    delivery = await workspace.command("U0QUINN", "C0INC", "x")
    assert (delivery.status, delivery.reason) == (None, "connection_failed")
    assert "dispatch_failed" in workspace.ephemerals("U0QUINN")[0].text


async def test_a_response_url_works_five_times(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "x")
    url = bot.seen[0]["response_url"]
    answers = [await respond(url, text=str(number)) for number in range(6)]
    assert [status for status, _ in answers] == [200] * 5 + [404]
    assert json.loads(answers[-1][1])["error"] == "used_url"
    assert len(workspace.ephemerals("U0QUINN", "C0INC")) == 5


async def test_a_response_url_works_for_half_an_hour(workspace, bot, hands):
    await workspace.command("U0QUINN", "C0INC", "x")
    url = bot.seen[0]["response_url"]
    hands.now += 30 * 60
    assert (await respond(url, text="in time"))[0] == 200
    hands.now += 1
    status, body = await respond(url, text="too late")
    assert (status, json.loads(body)["error"]) == (404, "expired_url")


async def test_a_response_may_be_for_the_whole_channel(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "x")
    await respond(bot.seen[0]["response_url"], text="all", response_type="in_channel")
    assert [message.text for message in workspace.messages("C0INC")] == ["all"]


async def test_a_commands_own_reply_cannot_be_replaced(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "say working")
    status, body = await respond(bot.seen[0]["response_url"], text="done", replace_original=True)
    assert (status, json.loads(body)["error"]) == (400, "cant_update_message")
    assert [message.text for message in workspace.ephemerals("U0QUINN")] == ["working"]


async def test_a_clicks_message_can_be_replaced_and_deleted(workspace, bot, message):
    await workspace.click("U0QUINN", message, "unlock.confirm")
    url = bot.seen[0]["response_url"]
    await respond(url, text="released", replace_original=True)
    assert flat(message) == "released"
    await respond(url, delete_original=True)
    assert workspace.messages("C0INC") == []


async def test_a_response_with_blocks_that_slack_would_not_take_is_refused(workspace, bot):
    await workspace.command("U0QUINN", "C0INC", "x")
    status, body = await respond(bot.seen[0]["response_url"], text="x", blocks=[{"type": "nonsense"}])
    assert (status, json.loads(body)["error"]) == (400, "invalid_blocks")


@pytest.fixture
async def socket_bot(workspace):
    bot = Bot(workspace)
    handler = AsyncSocketModeHandler(bot.app, workspace.app_token)
    await handler.connect_async()
    await workspace.wait_for(lambda: workspace.sockets.open)
    yield bot
    await handler.close_async()
    await asyncio.gather(handler.client.message_processor, return_exceptions=True)


async def test_socket_mode_carries_commands_clicks_and_events(workspace, socket_bot):
    delivery = await workspace.command("U0QUINN", "C0INC", "say hello")
    assert delivery.is_acked
    assert [message.text for message in workspace.ephemerals("U0QUINN")] == ["hello"]
    posted = await socket_bot.app.client.chat_postMessage(channel="C0INC", text="x", blocks=BLOCKS)
    clicked = await workspace.click("U0QUINN", workspace.message("C0INC", posted["ts"]), "unlock.confirm")
    mentioned = await workspace.mention("U0QUINN", "C0INC", "status")
    assert clicked.is_acked
    assert mentioned.is_acked
    await workspace.wait_for(lambda: len(socket_bot.seen) == 3)


async def test_socket_mode_without_an_ack_is_a_time_out(workspace, socket_bot):
    workspace._running.patience = 0.3
    delivery = await workspace.command("U0QUINN", "C0INC", "x", name="/unknown")
    assert (delivery.status, delivery.reason) == (None, "timeout")


async def test_a_bot_comes_back_after_slack_closes_its_socket(workspace, socket_bot):
    await workspace.sockets.disconnect()
    await workspace.wait_for(lambda: workspace.sockets.open)
    assert (await workspace.command("U0QUINN", "C0INC", "x")).is_acked


async def test_waiting_ends_with_the_first_true_answer_or_a_time_out(workspace):
    async def later():
        return "yes"

    assert await workspace.wait_for(lambda: 3) == 3
    assert await workspace.wait_for(later) == "yes"
    with pytest.raises(TimeoutError):
        await workspace.wait_for(lambda: None, timeout=0.05)

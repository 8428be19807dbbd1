"""Dialogs and home tabs of the local workspace, with Slack's own client and a Bolt app behind them."""

from __future__ import annotations

import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack.forms import values_of
from tests.worlds.clocks import Hands
from tests.worlds.slack.blocks import malformed, view_faults
from tests.worlds.slack.workspace import FullWorkspace

QUINN = "U0QUINN"


def plain(text="x"):
    return {"type": "plain_text", "text": text}


def field(block_id, element, **more):
    return {"type": "input", "block_id": block_id, "label": plain(), "element": element, **more}


TEXT = {"type": "plain_text_input", "action_id": "text", "initial_value": "as it was", "max_length": 20}
DAY = {"type": "datepicker", "action_id": "date", "initial_date": "2026-11-21"}
CLOCK = {"type": "timepicker", "action_id": "time", "initial_time": "11:40"}
WHY = {"type": "plain_text_input", "action_id": "why"}


def modal(**more):
    blocks = [field("t", TEXT), field("d", DAY), field("c", CLOCK), field("w", WHY, optional=True)]
    base = {"type": "modal", "callback_id": "form", "title": plain(), "submit": plain(), "blocks": blocks}
    return {**base, **more}


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
async def workspace(hands):
    async with FullWorkspace(clock=hands) as slack:
        slack.add_user(QUINN, "quinn")
        yield slack


@pytest.fixture
def client(workspace):
    return AsyncWebClient(token=workspace.bot_token, base_url=workspace.api_url)


@pytest.fixture
async def answers(workspace):
    """What the bot answers to a sent dialog next, and what it got: both to be changed by the test."""
    state = {"ack": {}, "seen": []}
    app = AsyncApp(
        client=AsyncWebClient(token=workspace.bot_token, base_url=workspace.api_url),
        signing_secret=workspace.signing_secret,
    )

    async def on_view(ack, body):
        state["seen"].append(body)
        await ack(**state["ack"])

    app.view("form")(on_view)
    app.view_closed("form")(on_view)

    async def handle(request):
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    web_app = web.Application()
    web_app.add_routes([web.post("/slack/events", handle)])
    runner = web.AppRunner(web_app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    workspace.bot_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield state
    await runner.cleanup()


async def opened(workspace, client, view):
    answer = await client.views_open(trigger_id=workspace.team.trigger(QUINN), view=view)
    return workspace.team.views[answer["view"]["id"]]


async def refusal(call):
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response["error"]


async def test_a_dialog_is_open_for_whoever_did_what_gave_the_trigger(workspace, client):
    view = await opened(workspace, client, modal())
    assert workspace.dialogs(QUINN) == [view]
    assert workspace.dialogs("U0OTHER") == []
    assert (view["root_view_id"], view["previous_view_id"]) == (view["id"], None)


async def test_two_dialogs_may_be_pushed_upon_one_and_no_more(workspace, client):
    pushing = client.views_push(trigger_id=workspace.team.trigger(QUINN), view=modal())
    assert await refusal(pushing) == "not_found"
    first = await opened(workspace, client, modal())
    for _ in range(2):
        await client.views_push(trigger_id=workspace.team.trigger(QUINN), view=modal())
    stack = workspace.dialogs(QUINN)
    assert [view["root_view_id"] for view in stack] == [first["id"]] * 3
    assert [view["previous_view_id"] for view in stack] == [None, stack[0]["id"], stack[1]["id"]]
    pushing = client.views_push(trigger_id=workspace.team.trigger(QUINN), view=modal())
    assert await refusal(pushing) == "push_limit_reached"


async def test_a_dialog_that_was_closed_cannot_be_updated(workspace, client, answers):
    view = await opened(workspace, client, modal())
    await client.views_update(view_id=view["id"], view=modal(title=plain("other")))
    assert workspace.dialogs(QUINN)[0]["title"]["text"] == "other"
    assert await workspace.close(QUINN, view) is None
    assert workspace.dialogs(QUINN) == []
    assert await refusal(client.views_update(view_id=view["id"], view=modal())) == "not_found"
    assert answers["seen"] == []


async def test_a_dialog_that_asks_for_it_tells_of_its_closing(workspace, client, answers):
    view = await opened(workspace, client, modal(notify_on_close=True))
    await workspace.close(QUINN, view)
    (closed,) = answers["seen"]
    assert (closed["type"], closed["is_cleared"], "trigger_id" in closed) == ("view_closed", False, False)


async def test_a_dialog_is_sent_as_it_was_filled_in_and_closed_by_an_empty_answer(workspace, client, answers):
    view = await opened(workspace, client, modal(private_metadata="m"))
    await workspace.fill_in(QUINN, view, {"text": "put right", "time": "12:00"})
    (sent,) = answers["seen"]
    assert sent["type"] == "view_submission"
    assert sent["view"]["private_metadata"] == "m"
    assert sent["view"]["state"]["values"] == {
        "t": {"text": {"type": "plain_text_input", "value": "put right"}},
        "d": {"date": {"type": "datepicker", "selected_date": "2026-11-21"}},
        "c": {"time": {"type": "timepicker", "selected_time": "12:00"}},
        "w": {"why": {"type": "plain_text_input", "value": None}},
    }
    assert workspace.dialogs(QUINN) == []


async def test_errors_keep_a_dialog_open_and_belong_to_its_inputs(workspace, client, answers):
    view = await opened(workspace, client, modal())
    answers["ack"] = {"response_action": "errors", "errors": {"t": "no"}}
    await workspace.fill_in(QUINN, view, {})
    assert workspace.dialogs(QUINN) == [view]
    answers["ack"] = {"response_action": "errors", "errors": {"nowhere": "no"}}
    with pytest.raises(LookupError, match="nowhere"):
        await workspace.fill_in(QUINN, view, {})


async def test_an_answer_updates_pushes_or_clears_the_dialogs(workspace, client, answers):
    view = await opened(workspace, client, modal())
    answers["ack"] = {"response_action": "update", "view": modal(title=plain("second"))}
    await workspace.fill_in(QUINN, view, {})
    (view,) = workspace.dialogs(QUINN)
    assert view["title"]["text"] == "second"
    answers["ack"] = {"response_action": "push", "view": modal(title=plain("third"))}
    await workspace.fill_in(QUINN, view, {})
    assert [one["title"]["text"] for one in workspace.dialogs(QUINN)] == ["second", "third"]
    answers["ack"] = {"response_action": "clear"}
    await workspace.fill_in(QUINN, workspace.dialogs(QUINN)[-1], {})
    assert workspace.dialogs(QUINN) == []


@pytest.mark.parametrize(
    ("filled", "reason"),
    [
        ({"text": ""}, "must be filled in"),
        ({"date": None}, "must be filled in"),
        ({"text": "x" * 21}, "takes 20"),
        ({"other": "x"}, "has no other"),
    ],
)
async def test_what_slack_itself_would_not_send_cannot_be_sent(workspace, client, filled, reason):
    view = await opened(workspace, client, modal())
    with pytest.raises(LookupError, match=reason):
        values_of(view, filled)


async def test_a_home_tab_is_not_overwritten_by_who_saw_an_older_one(client):
    home = {"type": "home", "blocks": [{"type": "divider"}]}
    first = await client.views_publish(user_id=QUINN, view=home)
    await client.views_publish(user_id=QUINN, view=home)
    stale = client.views_publish(user_id=QUINN, view=home, hash=first["view"]["hash"])
    assert await refusal(stale) == "hash_conflict"
    assert await refusal(client.views_publish(user_id=QUINN, view=modal())) == "invalid_arguments"


@pytest.mark.parametrize(
    ("view", "fault"),
    [
        (modal(title=plain("x" * 25)), "/view/title"),
        (modal(submit=plain("x" * 25)), "/view/submit"),
        (modal(close=plain("x" * 25)), "/view/close"),
        (modal(private_metadata="x" * 3_001), "/view/private_metadata"),
        (modal(callback_id="x" * 256), "/view/callback_id"),
        (modal(blocks=[{"type": "divider"}] * 101), "no more than 100"),
        (modal(blocks=None), "must be an array"),
        (modal(shape="round"), "invalid additional property"),
        ({key: value for key, value in modal().items() if key != "title"}, "missing required field: title"),
        ({key: value for key, value in modal().items() if key != "submit"}, "missing required field: submit"),
        ({"type": "home", "blocks": []}, "must be a view of the type modal"),
        ("no view", "must be a view"),
    ],
)
def test_a_view_that_slack_would_refuse_is_refused(view, fault):
    assert any(fault in found for found in view_faults(view, kind="modal"))


def test_the_largest_view_that_slack_takes_is_taken():
    most = {"title": plain("x" * 24), "submit": plain("x" * 24), "close": plain("x" * 24)}
    assert view_faults(modal(**most, private_metadata="x" * 3_000, callback_id="x" * 255), kind="modal") == []
    assert view_faults(modal(blocks=[{"type": "divider"}] * 100), kind="modal") == []


@pytest.mark.parametrize(
    ("element", "fault"),
    [
        ({**DAY, "initial_date": "21.11.2026"}, "YYYY-MM-DD"),
        ({**CLOCK, "initial_time": "25:00"}, "HH:mm"),
        ({**CLOCK, "initial_time": "9:00"}, "HH:mm"),
        ({**TEXT, "max_length": 3_001}, "from 1 to 3000"),
        ({**TEXT, "min_length": -1}, "from 0 to 3000"),
    ],
)
def test_an_input_that_slack_would_refuse_is_refused(element, fault):
    assert any(fault in found for found in malformed([field("b", element)]))


def test_pickers_stand_in_inputs_sections_and_rows():
    section = {"type": "section", "text": plain(), "accessory": DAY}
    row = {"type": "actions", "elements": [DAY, {**CLOCK, "timezone": "Europe/Berlin"}]}
    assert malformed([field("b", CLOCK), section, row]) == []


# ── home tabs, shortcuts and clicks in views, steps of workflows


HOME = {"type": "home", "blocks": [{"type": "actions", "elements": [
    {"type": "button", "action_id": "again", "text": {"type": "plain_text", "text": "Again"}, "value": "1"}
]}]}  # fmt: skip


@pytest.fixture
async def heard(workspace):
    """What a Bolt app hears of home tabs, shortcuts, clicks and steps."""
    seen = []
    client = AsyncWebClient(token=workspace.bot_token, base_url=workspace.api_url)
    app = AsyncApp(client=client, signing_secret=workspace.signing_secret)

    async def on_any(ack, body):
        await ack()
        seen.append(body)

    app.event("app_home_opened")(on_any)
    app.shortcut("locks")(on_any)
    app.action("again")(on_any)
    app.function("step", auto_acknowledge=False)(on_any)

    async def handle(request):
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    web_app = web.Application()
    web_app.add_routes([web.post("/slack/events", handle)])
    runner = web.AppRunner(web_app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    workspace.bot_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield seen
    await runner.cleanup()


async def test_opening_the_home_tab_tells_the_app_with_the_view_that_stands_there(workspace, client, heard):
    assert (await workspace.open_home(QUINN)).is_acked
    assert "view" not in heard[0]["event"]
    await client.views_publish(user_id=QUINN, view=HOME)
    await workspace.open_home(QUINN)
    await workspace.open_home(QUINN, tab="messages")
    assert heard[1]["event"]["view"]["id"] == workspace.home(QUINN)["id"]
    assert (heard[2]["event"]["tab"], "view" in heard[2]["event"]) == ("messages", False)


async def test_a_click_on_a_home_tab_names_the_view_and_no_channel(workspace, client, heard):
    await client.views_publish(user_id=QUINN, view=HOME)
    assert (await workspace.click_in_view(QUINN, workspace.home(QUINN), "again")).is_acked
    (body,) = heard
    assert body["container"] == {"type": "view", "view_id": workspace.home(QUINN)["id"]}
    assert "channel" not in body
    assert "response_url" not in body
    with pytest.raises(LookupError, match="it has: again"):
        await workspace.click_in_view(QUINN, workspace.home(QUINN), "other")


async def test_a_global_shortcut_gives_a_trigger_and_no_channel(workspace, client, heard):
    assert (await workspace.global_shortcut(QUINN, "locks")).is_acked
    (body,) = heard
    assert (body["type"], "channel" in body) == ("shortcut", False)
    await client.views_open(trigger_id=body["trigger_id"], view=modal())
    assert len(workspace.dialogs(QUINN)) == 1


async def test_a_step_is_over_once(workspace, client, heard):
    execution = await workspace.run_step("step", {"state": "staging"})
    assert heard[0]["event"]["inputs"] == {"state": "staging"}
    await client.functions_completeSuccess(function_execution_id=execution, outputs={"a": "b"})
    assert workspace.executions[execution] == {"state": "succeeded", "outputs": {"a": "b"}}
    again = client.functions_completeError(function_execution_id=execution, error="no")
    assert await refusal(again) == "execution_not_in_running_state"
    unknown = client.functions_completeError(function_execution_id="Fx0", error="no")
    assert await refusal(unknown) == "function_execution_not_found"

from __future__ import annotations

import pytest

from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.slack.team import BOT_USER
from bot.sandbox.stage import CHANNEL


def mention(office, text: str, **more) -> dict:
    inner = {"type": "app_mention", "user": "U0PARKER", "channel": CHANNEL, "text": text, "ts": "1.1", **more}
    return slack_payloads.event(office.slack.team, inner)


def click(office, action_id: str, value: str = "staging lock request", **more) -> dict:
    return slack_payloads.block_action(
        office.slack.team,
        user="U0PARKER",
        message=office.slack.say("U0QUINN", CHANNEL, "a message"),
        action={"type": "button", "action_id": action_id, "block_id": "b", "value": value, **more},
        values={},
        response_url="",
    )


async def test_a_command_is_acked_before_any_work_and_any_call_of_slack(office):
    calls = len(office.slack.calls)

    await office.types("status staging")
    assert len(office.slack.calls) == calls
    assert office.told() == []
    await office.work()

    assert "staging is free" in office.told()[-1]


async def test_a_click_and_a_mention_are_acked_before_any_work(office):
    calls = len(office.slack.calls)

    assert await office.dispatch(EnvelopeKind.INTERACTIVE, click(office, "unlock.confirm")) == 200
    assert await office.dispatch(EnvelopeKind.EVENT, mention(office, f"<@{BOT_USER}> help")) == 200
    assert len(office.slack.calls) == calls
    await office.work()

    assert len(office.told()) == 2


async def test_a_doubled_command_is_answered_once(office):
    payload = await office.types("help")
    await office.dispatch(EnvelopeKind.COMMAND, payload)
    await office.work()

    assert len(office.told()) == 1


async def test_a_command_stands_on_the_timeline_as_a_person_reads_it(office):
    await office.types("status staging &lt;now&gt; see <https://ci.example.com/1|ci.example.com/1>")
    await office.types("unlock staging because <@U0ELLIOTT|elliott> said &lt;dead&gt;: <https://ci.example.com/1>")
    await office.work()

    incident = await office.journal.current(CHANNEL)
    (told,) = [entry.text for entry in office.journal.logs[incident.id] if entry.kind == "command.received"]
    assert told == "/tflock unlock staging because @elliott said <dead>: https://ci.example.com/1"


@pytest.mark.parametrize(
    "more",
    [{"bot_id": "B1"}, {"subtype": "message_changed"}, {"user": ""}, {"edited": {"user": "U0PARKER", "ts": "2.2"}}],
    ids=["a bot", "a change", "nobody", "an edit"],
)
async def test_a_mention_that_no_person_wrote_now_is_acked_and_left(office, more):
    assert await office.dispatch(EnvelopeKind.EVENT, mention(office, f"<@{BOT_USER}> status", **more)) == 200
    await office.work()

    assert office.told() == []
    assert await office.journal.current(CHANNEL) is None


@pytest.mark.parametrize(
    "text", ["<@U0TFLOCK> status staging", "<@U0TFLOCK|tflock>: status staging", " <@U0TFLOCK>  status  staging "]
)
async def test_the_words_behind_a_mention_are_the_command(office, text):
    await office.dispatch(EnvelopeKind.EVENT, mention(office, text))
    await office.work()

    assert "staging is free" in office.told()[-1]


async def test_a_click_on_a_link_button_is_acked_and_no_more(office):
    await office.dispatch(EnvelopeKind.INTERACTIVE, click(office, "run.open", url="https://ci.example.com/1"))
    await office.work()

    assert office.told() == []


@pytest.mark.parametrize("action_id", ["unlock.confirm", "unlock.approve", "unlock.when_safe", "unlock.disarm",
                                       "kill.confirm", "kill.only", "kill.approve", "kill.choose", "kill.restart",
                                       "owner.dead", "owner.running", "owner.later", "nobody.knows"])  # fmt: skip
async def test_every_click_on_an_old_message_is_answered_in_words_and_changes_nothing(office, action_id):
    office.hold()

    await office.dispatch(EnvelopeKind.INTERACTIVE, click(office, action_id))
    await office.work()

    assert "nothing was changed" in office.told()[-1].lower()
    assert office.store.texts


async def test_a_click_without_a_value_is_answered(office):
    await office.dispatch(EnvelopeKind.INTERACTIVE, click(office, "unlock.confirm", value=""))
    await office.work()

    assert "Nothing was changed" in office.told()[-1]


async def test_an_event_that_nobody_asked_for_starts_no_work(office):
    status = await office.dispatch(
        EnvelopeKind.EVENT, slack_payloads.event(office.slack.team, {"type": "channel_rename", "channel": CHANNEL})
    )
    await office.work()

    assert status in {200, 404}
    assert office.told() == []


@pytest.mark.parametrize("payload", [{}, {"type": "block_actions"}, {"type": "message_action"}])
async def test_a_payload_of_a_broken_shape_is_no_server_error(office, payload):
    assert await office.dispatch(EnvelopeKind.INTERACTIVE, payload) < 500


async def test_every_command_is_counted_by_its_name_and_outcome_and_never_by_its_words(office):
    for text in ("help", "status staging", "unlock nowhere_4711", "frobnicate_4711", "watch staging"):
        await office.types(text)
    await office.work()

    counted = office.world.meter.exposition().decode()
    for line in ('command="help",outcome="ok"', 'command="status",outcome="ok"', 'command="unlock",outcome="refused"',
                 'command="misunderstood",outcome="misunderstood"', 'command="watch",outcome="free"'):  # fmt: skip
        assert f"tflock_commands_total{{{line}}} 1.0" in counted
    assert "4711" not in counted


async def test_an_unlock_is_counted_as_refused_whoever_refuses_it(office):
    await office.types("unlock staging")
    await office.work()
    assert "tflock_gate_refusals_total{" not in office.world.meter.exposition().decode()
    office.hold()
    for text in ("unlock nowhere", "unlock staging", "unlock staging --dry-run"):
        await office.types(text)
        await office.work()

    counted = office.world.meter.exposition().decode()
    of_unlock = [line for line in counted.splitlines() if line.startswith('tflock_commands_total{command="unlock",')]
    assert sorted(line.partition("outcome=")[2] for line in of_unlock) == ['"already free"} 1.0', '"refused"} 3.0']
    assert 'tflock_gate_refusals_total{rule="attributed"} 2.0' in counted

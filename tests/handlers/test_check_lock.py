"""The message shortcut "Check the lock", and the step of a workflow, over the signed door."""

from dataclasses import replace

import pytest

from bot.core.gate.inspection import StateName
from bot.errors import JournalAway
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.stage import CHANNEL
from handlers.workflow import STEP
from tests.worlds.slack import payloads

LOCK = "5a5a5a5a-1b2c-4d3e-8f40-2b756fec4d7f"


async def check(office, text, user="U0PARKER"):
    message = office.slack.say("U0QUINN", CHANNEL, text)
    payload = slack_payloads.shortcut(
        office.slack.team, user=user, message=message, callback_id="check_lock", response_url=""
    )
    assert await office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
    await office.work()
    return office.told(user)[-1]


@pytest.mark.parametrize("text", ["is staging stuck again?", f"it says ID: {LOCK}"])
async def test_a_message_about_a_state_is_answered_with_its_status_to_the_asker_alone(office, text):
    office.hold()
    before = len(office.slack.messages(CHANNEL))
    assert "staging is locked" in await check(office, text)
    assert len(office.slack.messages(CHANNEL)) == before
    assert LOCK in str(office.store.texts)


async def test_a_message_about_nothing_says_what_to_type(office):
    told = await check(office, "lunch?")
    assert "names no state" in told
    assert "/tflock status staging" in told


async def test_a_message_about_several_states_names_them(office):
    states = office.world.states
    states["prod"] = replace(states["staging"], name=StateName("prod", "", protected=False))
    told = await check(office, "first staging, then prod")
    assert "/tflock status staging" in told
    assert "/tflock status prod" in told


async def runs(office, execution="Fx1", **inputs):
    office.slack.executions[execution] = {"state": "running"}
    given = {"state": "staging", "channel": CHANNEL, "reason": "a deploy waits", **inputs}
    inner = payloads.function_executed(
        office.slack.team, execution=execution, callback_id=STEP, inputs=given, token="xwfp-1"
    )
    payload = slack_payloads.event(office.slack.team, inner)
    assert await office.dispatch(EnvelopeKind.EVENT, payload) == 200
    await office.work()
    return payload


async def test_a_step_becomes_one_durable_job_however_often_it_is_delivered(office):
    payload = await runs(office)
    await office.dispatch(EnvelopeKind.EVENT, payload)
    await office.work()
    (job,) = office.world.jobs.waiting.values()
    assert (job.name, job.args) == ("step", ("Fx1", "staging", CHANNEL, "a deploy waits"))


async def test_the_person_in_a_steps_inputs_is_not_believed(office):
    await runs(office, person="U0QUINN", user_context={"id": "U0QUINN", "secret": "s"})
    (job,) = office.world.jobs.waiting.values()
    assert "U0QUINN" not in job.args


async def test_secrets_in_a_steps_reason_are_taken_out(office):
    await runs(office, reason="token AKIAIOSFODNN7EXAMPLE ghp_" + "a" * 36)
    (job,) = office.world.jobs.waiting.values()
    assert "ghp_" not in job.args[3]


async def test_a_step_that_cannot_be_kept_is_ended_with_a_sentence(office):
    async def away(_name):
        raise JournalAway("Redis cannot be reached")

    office.world.jobs.switchboard.fault = away
    await runs(office)
    assert office.slack.executions["Fx1"]["state"] == "failed"
    assert "nothing was changed" in office.slack.executions["Fx1"]["error"]

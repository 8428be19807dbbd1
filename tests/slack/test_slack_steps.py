"""The adapter for steps of workflows, over HTTP against the local workspace."""

from datetime import UTC, datetime

import pytest

from bot.core.reports.step import StepReport, StepStage
from bot.errors import Denied, Throttled, Unreachable
from bot.sandbox.slack.text import flat


@pytest.fixture
def running(workspace):
    workspace.executions["Fx1"] = {"state": "running"}
    return workspace.executions["Fx1"]


async def test_a_step_is_shown_and_shown_again_in_its_place(workspace, messenger):
    report = StepReport("Fx1", "staging", "lock", "C0INC", StepStage.OPEN, "a deploy waits")
    posted = await messenger.post("C0INC", report)
    (message,) = workspace.messages("C0INC")
    assert "step.arm" in str(message.blocks)
    await messenger.update(posted, StepReport("Fx1", "staging", "lock", "C0INC", StepStage.FAILED, note="declined"))
    (message,) = workspace.messages("C0INC")
    assert "declined" in flat(message)
    assert "step.arm" not in str(message.blocks)


async def test_a_step_that_was_shown_is_found_by_its_mark(workspace, messenger):
    report = StepReport("Fx1", "staging", "lock", "C0INC", StepStage.OPEN)
    posted = await messenger.post("C0INC", report, mark="step/Fx1")
    since = datetime.now(UTC)
    assert await messenger.find("C0INC", mark="step/Fx1", since=since) == posted
    assert await messenger.find("C0INC", mark="step/Fx2", since=since) is None


async def test_a_workflow_goes_on_with_what_came_out(messenger, running):
    await messenger.complete_step("Fx1", {"outcome": "released"})
    assert running == {"state": "succeeded", "outputs": {"outcome": "released"}}


async def test_a_workflow_ends_with_a_sentence(messenger, running):
    await messenger.fail_step("Fx1", "not unlocked: " + "x" * 5_000)
    assert running["state"] == "failed"
    assert running["error"].startswith("not unlocked")


async def test_a_workflow_is_told_no_secret(messenger, running):
    await messenger.complete_step("Fx1", {"why": "password=hunter2hunter2", "outcome": "released"})
    assert running["outputs"] == {"why": "password=[password removed]", "outcome": "released"}


async def test_a_workflow_fails_without_a_secret(messenger, running):
    await messenger.fail_step("Fx1", "not unlocked: " + "x" * 470 + " password=hunter2hunter2")
    assert "hunter2" not in running["error"]


async def test_a_step_that_is_over_stays_as_it_is(messenger, running):
    await messenger.complete_step("Fx1", {"outcome": "released"})
    await messenger.fail_step("Fx1", "too late")
    await messenger.complete_step("Fx1", {"outcome": "other"})
    assert running["outputs"] == {"outcome": "released"}
    await messenger.fail_step("Fx0UNKNOWN", "nobody knows it")


async def test_trouble_with_slack_is_told_apart(workspace, messenger, running):
    workspace.crash("functions.completeSuccess")
    with pytest.raises(Unreachable):
        await messenger.complete_step("Fx1", {"outcome": "released"})
    workspace.throttle("functions.completeError", retry_after=100)
    with pytest.raises(Throttled):
        await messenger.fail_step("Fx1", "no")
    workspace.refuse("functions.completeError", "access_denied")
    with pytest.raises(Denied):
        await messenger.fail_step("Fx1", "no")
    assert running == {"state": "running"}

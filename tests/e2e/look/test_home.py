"""The home tab and a workflow's step, against the real bot in processes of its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SHORT_TIMES

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUINN, PARKER, GUEST = "U0QUINN", "U0PARKER", "U0GUEST"


@pytest.fixture(scope="module")
def staged():
    settle = {"failed": "2s", "cancelled": "2s", "timed_out": "2s", "lost": "2s"}
    return {"policy": {**SHORT_TIMES, "settle": settle}}


async def test_the_home_tab_shows_the_lock_and_leads_to_its_checklist_and_to_the_channel(scene):
    lock, _ = await scene.running()
    await scene.types("open the deploy hangs")
    await scene.shown("the deploy hangs")
    assert (await scene.slack.open_home(PARKER)).is_acked
    home = await scene.until(lambda: (view := scene.slack.home(PARKER)) and "Open incidents" in flat(view) and view)
    told = flat(home)
    assert "1 of" in told
    assert "can't be unlocked now: its run may still be active" in told
    assert f"<#{scene.channel}>" in told

    await scene.slack.click_in_view(PARKER, home, "home.check")
    await scene.until(lambda: "staging is locked" in flat((scene.slack.dialogs(PARKER) or [{}])[-1]))
    await scene.slack.click_in_view(PARKER, scene.slack.dialogs(PARKER)[-1], "home.unlock")
    await scene.until(lambda: "/tflock unlock staging" in flat(scene.slack.dialogs(PARKER)[-1]))

    await scene.slack.open_home(GUEST)
    guests = await scene.until(lambda: (view := scene.slack.home(GUEST)) and "Only full" in flat(view) and view)
    assert "staging" not in flat(guests)
    assert await scene.stands(lock)


async def test_a_workflow_waits_for_a_member_and_for_the_run_and_then_goes_on(scene):
    lock, run = await scene.running()
    inputs = {"state": "staging", "channel": scene.channel, "reason": "the release waits"}
    execution = await scene.slack.run_step("unlock_when_safe", inputs)
    asked = await scene.shown("a workflow wants staging unlocked")
    await scene.slack.click(GUEST, asked, "step.arm")
    await scene.told("is a guest", user=GUEST)
    assert await scene.stands(lock)

    await scene.click(asked, "step.arm", user=QUINN)
    await scene.becomes(asked, "taken on")
    assert scene.slack.executions[execution]["state"] == "running"
    assert await scene.stands(lock)

    scene.stage.runs.finish(run.id, "failure", at=datetime.now(UTC))
    await scene.until(lambda: scene.slack.executions[execution]["state"] != "running")
    over = scene.slack.executions[execution]
    assert (over["state"], over["outputs"]["outcome"]) == ("succeeded", "released")
    assert over["outputs"]["message"].startswith("https://")
    released = [entry for entry in await scene.journal() if entry.kind == "unlock.released"]
    assert [entry.actor for entry in released] == [QUINN]

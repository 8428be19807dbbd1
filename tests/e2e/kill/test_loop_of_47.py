"""A loop of 47 contenders that wears the lock table out: one armed unlock, one kill, and no other command."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.sandbox.demo.scenario import StagedIncident
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import REPO, SHORT_TIMES, UPDATE
from tests.worlds.aws import FullAws

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 47
PACE = timedelta(seconds=18)


@pytest.fixture(scope="module")
def staged():
    return {"policy": {**SHORT_TIMES, "release_deadline": "180s"}}


@pytest.fixture
async def incident(scene):
    made = StagedIncident(scene.stage, "staging", None)
    yield made
    await made.aclose()


async def test_47_contenders_are_named_and_killed_their_source_stops_and_the_armed_unlock_goes_on(scene, incident):
    lock, _ = await scene.stage.dead_lock()
    incident.crowd(MANY, every=PACE)
    await scene.until(lambda: incident.contending == MANY and incident.throttled > MANY)
    await scene.types("status staging")
    told = flat(await scene.told("staging is locked", "loop"))
    assert f"{MANY} runs want the lock" in told
    assert f"{MANY} starts since" in told
    assert "one every 18 s by `dependency-bot`, from a schedule" in told

    unlock = await scene.checklist("unlock staging --when-safe")
    await scene.becomes(unlock, "throttled")
    assert await scene.stands(lock)
    before = len(scene.slack.messages(scene.channel))
    await scene.types("kill-job staging")
    await scene.until(lambda: len(scene.slack.messages(scene.channel)) > before)
    report = scene.slack.messages(scene.channel)[before]
    await scene.becomes(report, "loop", "dependency-bot", f"{MANY} starts")
    assert await scene.stands(lock)
    await scene.click(report, "kill.confirm")

    await scene.becomes(report, "loop stopped", "is disabled")
    await scene.becomes(unlock, "staging is unlocked")
    assert not await scene.stage.lock_stands()
    runs = [run for run in scene.stage.runs.runs(REPO) if run.workflow.file == UPDATE]
    assert len(runs) >= MANY
    assert {run.conclusion for run in runs} == {"cancelled"}
    assert scene.stage.runs.workflow(REPO, UPDATE).state == "disabled_manually"
    await scene.until(lambda: incident.contending == 0)
    assert await is_written_to(scene.stage)
    assert [kind for kind in await scene.kinds() if kind.startswith("kill.")] == ["kill.requested", "kill.confirmed"]


async def is_written_to(stage) -> bool:
    """Whether the lock table takes a lock and gives it back, on the bot's own way to it."""
    hands = FullAws(stage.proxy.url, stage.aws.bucket, stage.aws.table)
    try:
        await hands.hold("elsewhere.tfstate", "{}", item=True, file=False)
        await hands.delete_item(f"{stage.aws.bucket}/elsewhere.tfstate")
        return "elsewhere.tfstate" not in str(await hands.items())
    finally:
        await hands.aclose()

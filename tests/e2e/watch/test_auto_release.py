"""States whose dead locks are released without being asked, on the real bot: announced once, released once, stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import DEPLOY, REPO

pytestmark = pytest.mark.asyncio(loop_scope="module")

VETO = timedelta(seconds=8)
ALERTS = "C0RANDOM"
OUTSIDE = "U0OUTSIDE"
"""A member of the alerts channel, and of no incident channel."""


@pytest.fixture(scope="module")
def staged():
    rule = {"auto_release": {"after": "3s", "veto": f"{VETO.seconds}s"}}
    return {
        "processes": ("serve --no-worker",),
        "settings": {
            "slack": {"alerts_channel": ALERTS},
            "watch": {"every": "1s", "look_every": "2s"},
            "holders": {"run_id_hosts": ["*@gha-{run}-{attempt}"]},
            "states": {"staging": rule, "production": {"protected": False, **rule}},
        },
    }


async def dead_lock(scene, state="staging"):
    """A lock that names its run, which has died."""
    stage, created = scene.stage, datetime.now(UTC) - timedelta(hours=2)
    await stage.aws.put_state(stage.states[state].key)
    run = stage.runs.start_run(REPO, DEPLOY, at=created - timedelta(minutes=3), actor="elliott-ci", title="Deploy")
    stage.runs.finish(run.id, "timed_out", at=created + timedelta(minutes=10))
    return await stage.take_lock(state, who=f"root@gha-{run.id}-1", created=created)


def told(scene, *words):
    later = (message for message in scene.slack.messages(ALERTS) if message.ts > scene.began.ts)
    return [message for message in later if all(word in flat(message) for word in words)]


async def first(scene, *words):
    return await scene.until(lambda: next(iter(told(scene, *words)), None))


async def test_it_is_announced_once_and_released_once_although_the_workers_are_killed_in_between(scene):
    workers = [await scene.stage.start("worker", name=name) for name in ("first", "second")]
    scene.slack.slow("chat.postMessage", seconds=2)
    await dead_lock(scene)

    message = await first(scene, "staging will be unlocked automatically")
    for worker in workers:
        await worker.kill()
    scene.slack.heal()
    await scene.stage.start("worker", name="third")

    await scene.becomes(message, "staging is unlocked", "automatically")
    assert not await scene.stage.lock_stands("staging")
    assert len(told(scene, "Nobody asked")) == 1
    entries = await replace(scene, channel=ALERTS).journal()
    steps = [entry for entry in entries if entry.kind.startswith("unlock.")]
    assert [entry.kind for entry in steps] == ["unlock.requested", "unlock.releasing", "unlock.released"]
    assert {entry.actor for entry in steps} == {"tflock"}
    assert steps[1].at - steps[0].at >= VETO


async def test_anybody_in_the_channel_stops_it_and_what_nobody_stops_is_released(scene):
    if "third" not in scene.stage.bots:
        await scene.stage.start("worker", name="third")
    stopped, other = await dead_lock(scene), await dead_lock(scene, "production")
    message = await first(scene, "staging will be unlocked automatically")

    await scene.click(message, "unlock.disarm", user=OUTSIDE)

    await scene.becomes(message, "unlock of staging cancelled", f"<@{OUTSIDE}> stopped it")
    await first(scene, "production is unlocked", other.id[:8])
    assert not await scene.stage.lock_stands("production")
    assert await scene.stands(stopped)
    assert len(told(scene, "Nobody asked", "staging")) == 1

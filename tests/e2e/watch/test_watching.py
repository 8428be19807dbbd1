"""Two workers that watch: each fact told once, whichever of them dies, and taken back when it is over."""

from __future__ import annotations

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SHORT_TIMES

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALERTS = "C0RANDOM"


@pytest.fixture(scope="module")
def staged():
    return {
        "processes": (),
        "policy": {**SHORT_TIMES, "lock_age_alert": "1s"},
        "settings": {"slack": {"alerts_channel": ALERTS}, "watch": {"every": "2s", "look_every": "3s"}},
    }


def alerts(scene, *words, channel=ALERTS):
    return [m for m in scene.slack.messages(channel) if all(word in flat(m) for word in words)]


async def test_two_workers_tell_an_aged_lock_and_its_dead_run_once_although_the_one_that_tells_is_killed(scene, bots):
    workers = [await bots.start("worker", name=name) for name in ("first", "second")]
    scene.slack.slow("chat.postMessage", seconds=2)
    lock, _ = await bots.dead_lock()

    teller = await scene.until(lambda: next((bot for bot in workers if bot.events("alert.raised")), None))
    await teller.kill()
    scene.slack.heal()

    await scene.until(lambda: alerts(scene, "staging has been locked for "))
    await scene.until(lambda: alerts(scene, "is locked by a dead run"))
    assert await scene.stands(lock)
    await bots.start("worker", name="third")
    for key in await bots.aws.items():
        await bots.aws.delete_item(key)
    await scene.until(lambda: len(alerts(scene, "~", "Unlocked at")) == 2)
    assert len(scene.slack.messages(ALERTS)) == 2


async def test_an_incident_that_deals_with_the_state_hears_of_it_in_its_channel_and_on_its_timeline(scene, bots):
    before = len(scene.slack.messages(ALERTS))
    await bots.start("serve --no-worker")
    await bots.start("worker")
    await scene.types("open staging")
    await scene.shown("incident opened")
    await scene.types("status staging")
    await scene.has_recorded("lock.observed")  # from here on the incident deals with the state
    lock, _ = await bots.dead_lock()

    message = await scene.shown("is locked by a dead run")
    await scene.shown("has been locked for ")
    await scene.click(message, "alert.unlock")
    checklist = await scene.shown("staging is safe to unlock")
    assert await scene.stands(lock)
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(message, "~staging is locked by a dead run.~", "unlocked at")

    kinds = await scene.kinds()
    assert kinds.count("alert.raised") == 2
    await scene.has_recorded("alert.resolved")
    # there is no alert there, only what the unlock came to
    [outcome] = await scene.until(lambda: scene.slack.messages(ALERTS)[before:])
    assert "Asked for in <#" in flat(outcome)

"""Armed unlocks: the bot goes on deciding, and releases as soon as it is safe, or is called off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SHORT_TIMES

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN, ELLIOTT = "U0PARKER", "U0QUINN", "U0ELLIOTT"
REPO = "acme/infra"


@pytest.fixture(scope="module")
def staged():
    settle = {"failed": "6s", "cancelled": "2s", "timed_out": "2s", "lost": "2s"}
    return {"policy": {**SHORT_TIMES, "settle": settle}}


async def test_an_unlock_that_is_armed_by_its_button_goes_on_by_itself_when_the_run_has_ended_and_settled(scene):
    lock, run = await scene.running()
    checklist = await scene.checklist("unlock staging", "is locked", "running")
    await scene.click(checklist, "unlock.when_safe", user=QUINN)
    told = flat(await scene.becomes(checklist, "as soon as it is safe", "*dead:*"))
    assert "running" in told
    assert "[Cancel unlock]" in told
    assert await scene.stands(lock)

    ended = datetime.now(UTC)
    scene.stage.runs.finish(run.id, "failure", at=ended)

    await scene.becomes(checklist, "staging is unlocked")
    released = [entry for entry in await scene.journal() if entry.kind == "unlock.released"]
    assert [entry.actor for entry in released] == [QUINN]
    assert released[0].at >= ended + timedelta(seconds=6)
    assert not await scene.stage.lock_stands()
    assert len(scene.posts()) == 1


async def test_an_unlock_that_is_refused_for_now_names_the_instant_from_which_it_is_allowed(scene):
    lock, run = await scene.running()
    scene.stage.runs.finish(run.id, "failure")

    checklist = await scene.checklist("unlock staging --when-safe", "staging")

    history = [flat({"blocks": version.blocks, "text": version.text}) for version in checklist.history]
    assert any("can be unlocked at" in text.lower() for text in [*history, flat(checklist)]), history
    assert await scene.stands(lock)
    await scene.becomes(checklist, "staging is unlocked")


async def test_when_safe_of_something_that_is_allowed_already_is_done_at_once(scene):
    await scene.stage.dead_lock()

    await scene.checklist("unlock staging --when-safe because it is dead", "staging is unlocked")

    assert not await scene.stage.lock_stands()


async def test_when_safe_of_something_that_waiting_does_not_help_is_only_refused(scene):
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)
    lock = await scene.stage.take_lock(who="casey@caseys-macbook")

    told = flat(await scene.checklist("unlock staging --when-safe", "is locked"))

    assert "[Cancel unlock]" not in told
    assert await scene.stands(lock)
    assert "unlock.requested" not in await scene.kinds()


async def test_an_armed_unlock_that_is_called_off_releases_nothing_afterwards(scene):
    lock, run = await scene.running()
    checklist = await scene.checklist("unlock staging --when-safe", "as soon as it is safe")
    await scene.until(lambda: "[Cancel unlock]" in flat(checklist))
    await scene.click(checklist, "unlock.disarm", user=QUINN)
    told = flat(await scene.becomes(checklist, "cancelled it"))
    assert "Nothing was changed." in told

    scene.stage.runs.finish(run.id, "failure", at=datetime.now(UTC) - timedelta(minutes=5))
    again = flat(await scene.checklist("unlock staging", "safe to unlock"))

    assert "[Unlock staging]" in again
    assert await scene.stands(lock)
    assert "cancelled it" in flat(checklist)


async def test_an_armed_unlock_whose_lock_changes_hands_ends_and_touches_nothing(scene):
    _, run = await scene.running()
    checklist = await scene.checklist("unlock staging --when-safe", "as soon as it is safe")
    path = f"{scene.stage.aws.bucket}/{scene.stage.states['staging'].key}"
    newer = WrittenLock("newer-1b2c", datetime.now(UTC), path, who="runner@fv-az999-1")
    await scene.stage.aws.put_item(path, Info=newer.text)  # at once, or the bot may see the state free in between
    scene.stage.runs.finish(run.id, "failure", at=datetime.now(UTC) - timedelta(minutes=5))

    told = flat(await scene.becomes(checklist, "has another lock now"))

    assert newer.id in told
    assert await scene.stands(newer)
    assert "[Unlock this lock when safe]" in told
    before = len(scene.posts())
    await scene.click(checklist, "unlock.rearm", user=QUINN)
    await scene.until(lambda: len(scene.posts()) > before)
    assert newer.id in flat(scene.posts()[before])
    assert "has another lock now" in flat(checklist)
    assert await scene.stage.lock_ids("staging") != {"item": None, "file": None}


async def test_a_guest_cannot_arm_nor_call_off(scene):
    lock, run = await scene.running()
    checklist = await scene.checklist("unlock staging", "is locked")
    await scene.click(checklist, "unlock.when_safe", user="U0GUEST")
    await scene.told("guest", "nothing was changed", user="U0GUEST")
    await scene.click(checklist, "unlock.when_safe")
    await scene.becomes(checklist, "[cancel unlock]")

    before = scene.slack.ephemerals("U0GUEST")[-1]
    await scene.click(checklist, "unlock.disarm", user="U0GUEST")
    await scene.told("nothing was changed", user="U0GUEST", after=before)

    assert "as soon as it is safe" in flat(checklist)
    scene.stage.runs.finish(run.id, "failure", at=datetime.now(UTC) - timedelta(minutes=5))
    await scene.becomes(checklist, "staging is unlocked")
    assert lock.id[:8] in flat(checklist)


async def test_killing_a_loop_lets_the_armed_unlock_go_on_by_itself(scene):
    """The whole human course: the lock is busy, the loop is ended, the lock is released by itself."""
    lock, run = await scene.running()
    scene.stage.runs.finish(run.id, "failure", at=datetime.now(UTC) - timedelta(minutes=40))
    for minutes in range(12, 0, -2):
        past = scene.stage.runs.start_run(
            REPO, "dependency-update.yml", at=datetime.now(UTC) - timedelta(minutes=minutes), actor="dependency-bot"
        )
        scene.stage.runs.finish(past.id, "failure", at=datetime.now(UTC) - timedelta(minutes=minutes - 1))
    from tests.worlds.proxy import Throttle

    scene.stage.github.loop(REPO, "dependency-update.yml", every=0.5, lasts=20)
    fault = scene.stage.proxy.fault("dynamodb:DeleteItem", Throttle())
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "throttled")
    assert await scene.stands(lock)

    await scene.types("kill-job staging because it hammers the table")
    found = await scene.shown("loop", "[")
    await scene.click(found, "kill.confirm", user=QUINN)
    await scene.becomes(found, "is disabled")
    await scene.becomes(found, "ended")
    fault.lift()

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()

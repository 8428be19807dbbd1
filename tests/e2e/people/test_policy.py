"""A stricter policy: only a user group may unlock, and an approval does not wait for long."""

from __future__ import annotations

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SHORT_TIMES

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN, ELLIOTT = "U0PARKER", "U0QUINN", "U0ELLIOTT"


@pytest.fixture(scope="module")
def staged():
    return {"policy": {**SHORT_TIMES, "unlock_groups": ["S0PLATFORM"], "approval_timeout": "15s"}}


@pytest.fixture
def group(scene):
    scene.slack.add_usergroup("S0PLATFORM", "platform", [PARKER, ELLIOTT])


async def test_only_members_of_the_group_may_unlock(scene, group):
    lock, _ = await scene.stage.dead_lock()

    told = flat(await scene.checklist("unlock staging", "is locked", user=QUINN))
    assert "group" in told
    assert await scene.stands(lock)

    checklist = await scene.checklist("unlock staging", "safe to unlock", user=PARKER)
    await scene.click(checklist, "unlock.confirm", user=QUINN)
    await scene.told("nothing was changed", user=QUINN)
    assert await scene.stands(lock)
    await scene.click(checklist, "unlock.confirm", user=PARKER)
    await scene.becomes(checklist, "staging is unlocked")


async def test_only_members_of_the_group_may_approve(scene, group):
    lock, _ = await scene.stage.dead_lock("production")
    checklist = await scene.checklist("unlock production", "approv")

    await scene.click(checklist, "unlock.approve", user=QUINN)
    await scene.told("group", "nothing was changed", user=QUINN)
    assert await scene.stands(lock, "production")

    await scene.click(checklist, "unlock.approve", user=ELLIOTT)
    await scene.becomes(checklist, "production is unlocked")


async def test_a_group_that_cannot_be_read_refuses(scene, group):
    lock, _ = await scene.stage.dead_lock()
    scene.slack.refuse("usergroups.users.list", "missing_scope", times=None, needed="usergroups:read")

    told = flat(await scene.checklist("unlock staging", "is locked"))

    assert "usergroups:read" in told
    assert await scene.stands(lock)


async def test_an_approval_that_comes_too_late_releases_nothing(scene, group):
    lock, _ = await scene.stage.dead_lock("production")
    checklist = await scene.checklist("unlock production", "approv")
    asked = checklist.ts

    def is_old() -> bool:
        return scene.slack.team.clock() - float(asked) > 15.5

    await scene.until(is_old)
    await scene.click(checklist, "unlock.approve", user=ELLIOTT)

    told = flat(await scene.told("older than", user=ELLIOTT))
    assert "/tflock unlock" in told
    assert await scene.stands(lock, "production")


async def test_kill_job_is_for_the_group_too(scene, group):
    run = scene.stage.runs.start_run("acme/infra", "deploy.yml")

    await scene.types("kill-job staging", user=QUINN)

    await scene.told("group", "nothing was changed", user=QUINN)
    assert not scene.stage.runs.run(run.id).has_ended

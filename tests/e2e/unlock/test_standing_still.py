"""A worker stands still between a decision and the bytes of its delete: what it decided before counts no more.

It always comes to an outcome, which is told.
"""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from bot.sandbox.machine.proxy import operation
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SHORT_TIMES, SandboxState
from bot.store.connect import connect
from bot.store.embedded import attached_url
from tests.worlds.proxy import Halt

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVIDENCE_IS_OLD = 9.0
QUIET = 6.0
BEFORE_THE_DELETE = operation("dynamodb:PutItem")
"""The bot's only write to the table but the delete: it tries the store on a throw-away lock before its first one."""

STATES = (
    SandboxState("staging", "environments/staging/terraform.tfstate"),
    SandboxState("both", "environments/both/terraform.tfstate", file=True),
)


@pytest.fixture(scope="module")
def staged():
    times = {"evidence_max_age": "8s", "state_quiet": f"{QUIET:.0f}s"}
    return {"processes": (), "states": STATES, "policy": {**SHORT_TIMES, **times}}


@pytest_asyncio.fixture(loop_scope="module")
async def bots(scene):
    """The stage without any process of the bot before and after."""
    yield scene.stage
    for bot in scene.stage.bots.values():
        await bot.kill()
    scene.stage.bots.clear()


@pytest.fixture
def begin(scene, bots):
    """Confirms the unlock of a dead lock, and returns when its worker has been stopped at the first such call."""

    async def begin(at, state="staging"):
        lock, _ = await bots.dead_lock(state)
        await bots.start("serve --no-worker")
        worker = await bots.start("worker")
        await forget_what_stores_have_proven(bots)
        checklist = await scene.checklist(f"unlock {state}", "checks passed")
        while f"[Unlock {state}]" not in flat(checklist):  # its state was written only just now
            checklist = await scene.checklist(f"unlock {state}", "checks passed")
        await scene.has_recorded("owner.notified")
        halt = Halt(worker.pid)
        bots.proxy.fault(at, halt, times=1)
        await scene.click(checklist, "unlock.confirm")
        async with asyncio.timeout(90):
            await halt.halted.wait()
        assert "unlock.releasing" in await scene.kinds()
        return lock, checklist, halt

    return begin


async def forget_what_stores_have_proven(bots):
    client = connect(attached_url(bots.var))
    for key in await client.keys("*conditional-store*"):
        await client.delete(key)
    await client.aclose()


async def the_owner_objects(scene):
    letter = await scene.letter("wants to unlock")
    await scene.click(letter, "owner.running", user="U0ELLIOTT")
    await scene.has_recorded("owner.answered")
    await asyncio.sleep(EVIDENCE_IS_OLD)


async def the_state_is_written(scene):
    await asyncio.sleep(EVIDENCE_IS_OLD)
    await scene.stage.aws.put_state(scene.stage.states["staging"].key, b'{"version": 4, "serial": 8, "lineage": "x"}')


async def nothing_happens(scene):
    await asyncio.sleep(EVIDENCE_IS_OLD)


async def only_a_moment_passes(scene):
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("change", "why"), [(the_owner_objects, "still running"), (the_state_is_written, "the state was written")]
)
async def test_what_became_wrong_meanwhile_keeps_the_lock_and_is_told(scene, begin, change, why):
    lock, checklist, halt = await begin(BEFORE_THE_DELETE)

    await change(scene)
    halt.resume()

    await scene.becomes(checklist, "staging was not unlocked", why, "Nothing was changed.")
    assert await scene.stands(lock)
    (failed,) = await scene.has_recorded("unlock.failed")
    assert why.split()[-1] in failed.facts["note"]
    assert "unlock.released" not in await scene.kinds()


@pytest.mark.parametrize("change", [nothing_happens, only_a_moment_passes])
async def test_what_still_holds_after_another_look_is_released(scene, begin, change):
    _, checklist, halt = await begin(BEFORE_THE_DELETE)

    await change(scene)
    halt.resume()

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()
    assert (await scene.kinds()).count("unlock.released") == 1


async def test_between_two_places_the_second_one_is_kept_and_that_is_told(scene, begin):
    lock, checklist, halt = await begin(operation("s3:DeleteObject", suffix=".tflock"), "both")

    await the_owner_objects(scene)
    halt.resume()

    told = ("both is only half unlocked", "the DynamoDB item is left", "still running", "the lockfile was deleted")
    await scene.becomes(checklist, *told)
    assert await scene.stage.lock_ids("both") == {"item": lock.id, "file": None}
    (failed,) = await scene.has_recorded("unlock.failed")
    assert failed.facts["outcome"] == "half released"
    assert ("lockfile", "released") in [(half["half"], half["result"]) for half in failed.facts["halves"]]

"""What a real Terraform has to say of every backend: locks that `terraform apply` took and left behind when killed.

A backend whose folder has a world in which Terraform takes locks (`tests.backends.worlds`) is found.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from bot.cli.init.command import gathered
from bot.cli.init.live.result import look
from bot.cli.init.tree import opened
from bot.cli.init.write import written
from bot.core.evidence import Found
from bot.core.hold import HoldWords, hold_info
from bot.core.lock import DigestMatch, Fence, ReleaseResult, TakeResult
from bot.sandbox.machine.aws import CREDENTIALS
from bot.sandbox.machine.terraform import TerraformFailed
from tests.backends.worlds import FIXTURES, MODULES, can, holds, named
from tests.worlds.terraform import writing

globals().update(FIXTURES)
WORLDS = named("APPLIED")
FIRST = {name: key for key, (name, _) in reversed(WORLDS.items())}
HOLDING = [key for name, key in FIRST.items() if holds(name)]
FENCED = [key for name, key in FIRST.items() if can(name) is not None]
CHANGING = [key for key in WORLDS if "blue" not in key]  # it is no other lock for being of another workspace
NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
SAID = HoldWords("h1", "quinn", "inc-staging", "look at what it left", NOON, "https://acme.slack.com/archives/C0/p1")

of_s3 = pytest.mark.parametrize("chosen", ["s3-both-default"], indirect=True)


@pytest.fixture(params=WORLDS)
def chosen(request):
    return WORLDS[request.param]


@pytest.fixture
def world_param(chosen):
    return chosen[1]


@pytest.fixture
def world(chosen, request):
    return request.getfixturevalue(f"{chosen[0]}_world")


@pytest.fixture
async def workspace(world, terraform, tmp_path):
    async with world.terraform(terraform, tmp_path / "staging") as made:
        yield made


def test_every_backend_has_a_world_in_which_a_real_terraform_takes_its_locks():
    assert {name for name, _ in WORLDS.values()} == set(MODULES)


async def test_a_killed_apply_leaves_a_lock_that_is_seen_released_and_taken_again(world, workspace):
    backend = world.backend()
    async with workspace.applying() as holder:
        running = await backend.read_lock()
        await holder.kill()
    left = await backend.read_lock()
    blocked = await workspace.try_apply()
    shown = await world.lock_id()

    outcomes = [await backend.release(place) for place in left.places_of(left.lock.id)]
    freed = await backend.read_lock()
    await workspace.apply()
    state = (await backend.read_state()).state.value

    knows_all = left.can(left.lock.id, backend.can).shows_holder
    assert left.locks == running.locks
    assert left.lock.operation == ("OperationTypeApply" if knows_all else "")
    assert left.lock.path == world.section.lock_path
    assert blocked.exit_code == 1
    assert shown in blocked.output
    assert [(one.place.kind, one.result) for one in outcomes] == [
        (kind, ReleaseResult.RELEASED) for kind in world.kinds
    ]
    assert freed.is_free
    assert (state.fault, bool(state.lineage)) == (None, True)
    assert (await backend.read_lock()).is_free


@pytest.mark.parametrize("chosen", CHANGING, indirect=True)
async def test_a_real_lock_taken_after_the_look_survives_the_release(world, workspace):
    backend = world.backend()
    async with workspace.applying() as holder:
        await holder.kill()
    first = await backend.read_lock()
    for place in first.held:
        await backend.release(place)
    async with writing(workspace) as writer:
        late = [await backend.release(place) for place in first.held]
        now = await backend.read_lock()
        kept_out = await workspace.run("plan")
        shown = await world.lock_id()
        done = await writer.let_go()

    assert {outcome.result for outcome in late} == {ReleaseResult.HOLDER_CHANGED}
    assert len(now.held) == len(world.kinds)
    assert now.lock.id != first.lock.id
    assert (kept_out.exit_code, shown in kept_out.output) == (1, True)
    assert done.exit_code == 0, done.output
    assert "Apply complete" in done.output


@pytest.mark.parametrize("chosen", FENCED, indirect=True)
async def test_a_writer_whose_lock_was_released_can_write_only_where_no_fence_is_said_to_stop_it(world, workspace):
    await workspace.apply()
    backend = world.backend()
    before = (await backend.read_state()).state.value
    async with writing(workspace) as writer:
        seen = await backend.read_lock()
        outcomes = [await backend.release(place) for place in seen.held]
        done = await writer.let_go()
    after = (await backend.read_state()).state.value

    is_fenced = backend.can.fence is Fence.ENFORCED
    assert {one.result for one in outcomes} == {ReleaseResult.RELEASED}
    assert done.exit_code == 1
    assert (workspace.directory / "errored.tfstate").exists() is is_fenced
    assert (after.serial == before.serial) is is_fenced
    assert await world.lock_id() is None


@pytest.mark.parametrize("chosen", HOLDING, indirect=True)
async def test_a_plan_prints_the_hold_in_a_dead_locks_place_and_force_unlock_ends_it(world, workspace):
    backend = world.backend()
    async with workspace.applying() as holder:
        await holder.kill()
    dead = await backend.read_lock()
    mine = hold_info(str(uuid.uuid4()), SAID, created=NOON, path=dead.lock.path)
    swapped = [await backend.swap(place, mine) for place in dead.held]
    held = await backend.read_lock()
    refused = await workspace.run("plan")
    freed = await workspace.run("force-unlock", "-force", held.lock.id)
    after = await backend.read_lock()
    taken = [await backend.take(place.kind, mine) for place in dead.held]
    refused_again = await workspace.run("plan")
    ended = [await backend.end(place.kind, mine) for place in dead.held]
    await workspace.apply()

    assert {one.result for one in swapped} == {ReleaseResult.RELEASED}
    for finished in (refused, refused_again):
        said = " ".join(finished.output.split())
        assert finished.exit_code == 1
        assert "Error acquiring the state lock" in said
        assert "Operation: tflock hold" in said
        assert "Who: tflock@inc-staging (@quinn)" in said
        assert "look at what it left; until 2026-11-21 12:00:00 UTC; https://acme.slack.com/archives/C0/p1" in said
    assert held.lock.id in refused.output
    assert freed.exit_code == 0, freed.output
    assert after.is_free
    assert {one.result for one in taken} == {TakeResult.TAKEN}
    assert {one.result for one in ended} == {ReleaseResult.RELEASED}
    assert (await backend.read_lock()).is_free


@of_s3
async def test_the_state_of_a_real_apply_is_whole_and_matches_its_digest(world, workspace):
    await workspace.apply()

    check = await world.backend().read_state()

    assert isinstance(check.state, Found)
    assert check.state.value.fault is None
    assert check.state.value.serial == 1
    assert check.state.value.lineage
    assert check.digest.match is DigestMatch.MATCHES

    await workspace.checked("workspace", "select", "-or-create", "blue")
    found = gathered([opened(workspace.directory)])
    written(found.origin, found.states, found.questions, found.sections, {})
    facts = await look(found, None, CREDENTIALS)
    assert "the lock and the state can be read of 2 of 2 states that were tried" in facts
    assert len({state.keys.values["key"] for state in found.states}) == 1
    assert [state.keys.values.get("workspace") for state in found.states] == [None, "blue"]


@of_s3
async def test_a_holder_that_cannot_take_the_lock_is_told_with_terraforms_own_words(world, workspace):
    async with workspace.applying() as holder:
        await holder.kill()

    with pytest.raises(TerraformFailed, match="Error acquiring the state lock"):
        async with workspace.applying():
            pass

    assert len((await world.backend().read_lock()).held) == 2

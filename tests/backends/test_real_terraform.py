"""Locks that a real `terraform apply` took and left behind when it was killed."""

from __future__ import annotations

import pytest

from bot.backends.s3.layout import object_key
from bot.core.evidence import Found
from bot.core.lock import DigestMatch, PlaceKind, ReleaseResult
from bot.sandbox.machine.terraform import TerraformFailed, write_workspace


@pytest.fixture
async def workspace(cloud, terraform, tmp_path):
    made = write_workspace(
        terraform,
        tmp_path / "staging",
        endpoint=cloud.proxy.url,
        bucket=cloud.aws.bucket,
        key=cloud.address.key,
        table=cloud.aws.table,
        lockfile=True,
    )
    await made.init()
    return made


async def test_a_killed_apply_leaves_a_lock_that_is_seen_released_and_taken_again(cloud, workspace):
    backend = cloud.backend()
    assert (await backend.read_lock()).is_free

    async with workspace.applying() as holder:
        running = await backend.read_lock()
        await holder.kill()
    left = await backend.read_lock()
    blocked = await workspace.try_apply()
    outcomes = [await backend.release(place) for place in left.places_of(left.lock.id)]
    freed = await backend.read_lock()
    await workspace.apply()

    assert left.locks == running.locks
    assert {place.kind for place in left.held} == {PlaceKind.FILE, PlaceKind.ITEM}
    assert len(left.locks) == 1
    assert left.lock.operation == "OperationTypeApply"
    assert left.lock.path == cloud.address.lock_key
    assert blocked.exit_code == 1
    assert left.lock.id in blocked.output
    assert [(outcome.place.kind, outcome.result) for outcome in outcomes] == [
        (PlaceKind.FILE, ReleaseResult.RELEASED),
        (PlaceKind.ITEM, ReleaseResult.RELEASED),
    ]
    assert freed.is_free


async def test_the_state_of_a_real_apply_is_whole_and_matches_its_digest(cloud, workspace):
    await workspace.apply()

    check = await cloud.backend().read_state()

    assert isinstance(check.state, Found)
    assert check.state.value.fault is None
    assert check.state.value.serial == 1
    assert check.state.value.lineage
    assert check.digest.match is DigestMatch.MATCHES


async def test_another_workspaces_lock_and_state_are_found_where_terraform_put_them(cloud, workspace):
    await workspace._checked("workspace", "select", "-or-create", "blue")
    async with workspace.applying() as holder:
        await holder.kill()

    blue = await cloud.backend(key=object_key(cloud.address.key, workspace="blue", prefix="env:")).read_lock()
    default = await cloud.backend().read_lock()

    assert len(blue.held) == 2
    assert blue.lock.path == f"{cloud.aws.bucket}/env:/blue/{cloud.address.key}"
    assert default.is_free


async def test_a_real_lock_taken_after_the_look_survives_the_release(cloud, workspace):
    backend = cloud.backend()
    async with workspace.applying() as holder:
        await holder.kill()
    first = await backend.read_lock()
    for place in first.held:
        await backend.release(place)
    async with workspace.applying() as holder:
        await holder.kill()

    late = [await backend.release(place) for place in first.held]
    now = await backend.read_lock()

    assert {outcome.result for outcome in late} == {ReleaseResult.HOLDER_CHANGED}
    assert len(now.held) == 2
    assert now.lock.id != first.lock.id


async def test_a_holder_that_cannot_take_the_lock_is_told_with_terraforms_own_words(cloud, workspace):
    async with workspace.applying() as holder:
        await holder.kill()

    with pytest.raises(TerraformFailed, match="Error acquiring the state lock"):
        async with workspace.applying():
            pass

    assert len((await cloud.backend().read_lock()).held) == 2


async def test_a_plan_prints_the_hold_in_a_dead_locks_place_and_force_unlock_ends_it(cloud, workspace, hold_witness):
    await hold_witness(cloud, workspace)

"""Locks that a real `terraform apply` took in Cloud Storage and left behind when it was killed."""

from __future__ import annotations

import pytest

from bot.core.lock import PlaceKind, ReleaseResult
from bot.sandbox.machine.terraform import write_workspace_in

BACKEND = """\
  backend "gcs" {{
    bucket                  = "{bucket}"
    prefix                  = "environments/staging"
    access_token            = "{token}"
    storage_custom_endpoint = "{url}/storage/v1/b"
  }}
"""


@pytest.fixture
async def workspace(gcs, terraform, tmp_path):
    block = BACKEND.format(bucket=gcs.storage.bucket, token=gcs.storage.token, url=gcs.proxy.url)
    made = write_workspace_in(block, terraform, tmp_path / "staging")
    await made.init()
    return made


async def test_a_killed_apply_leaves_a_lock_that_is_released_and_taken_again(gcs, workspace):
    backend = gcs.backend()
    async with workspace.applying() as holder:
        running = await backend.read_lock()
        await holder.kill()
    left = await backend.read_lock()
    blocked = await workspace.try_apply()
    (outcome,) = [await backend.release(place) for place in left.places_of(left.lock.id)]
    freed = await backend.read_lock()
    await workspace.apply()
    state = (await backend.read_state()).state.value

    assert left.locks == running.locks
    assert left.lock.operation == "OperationTypeApply"
    assert left.lock.path == gcs.section.lock_path
    assert blocked.exit_code == 1
    assert left.lock.id in blocked.output
    assert outcome.result is ReleaseResult.RELEASED
    assert freed.is_free
    assert (state.fault, bool(state.lineage)) == (None, True)


async def test_a_real_lock_taken_after_the_look_survives_the_release(gcs, workspace):
    backend = gcs.backend()
    async with workspace.applying() as holder:
        await holder.kill()
    first = await backend.read_lock()
    await backend.release(first.held[0])
    async with workspace.applying() as holder:
        await holder.kill()

    late = await backend.release(first.held[0])
    now = await backend.read_lock()

    assert late.result is ReleaseResult.HOLDER_CHANGED
    assert now.lock.id != first.lock.id
    assert await gcs.stands(PlaceKind.FILE) is not None

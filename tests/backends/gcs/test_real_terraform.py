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


async def test_a_killed_apply_leaves_a_lock_that_is_released_and_taken_again(gcs, workspace, witness):
    await witness(gcs, workspace)


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


async def test_a_plan_prints_the_hold_in_a_dead_locks_place_and_force_unlock_ends_it(gcs, workspace, hold_witness):
    await hold_witness(gcs, workspace)

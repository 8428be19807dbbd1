"""Locks that a real `terraform apply` took by the `http` protocol and left behind when it was killed."""

from __future__ import annotations

import pytest

from bot.core.lock import ReleaseResult
from bot.sandbox.machine.terraform import write_workspace_in
from tests.backends.http.world import PATH

BACKEND = """\
  backend "http" {{
    address        = "{address}"
    lock_address   = "{lock}"
    unlock_address = "{lock}"
    lock_method    = "{section.lock_method}"
    unlock_method  = "{section.unlock_method}"
    username       = "{user}"
    password       = "{password}"
    retry_wait_min = 1
  }}
"""


@pytest.fixture(params=["LOCK", "POST"])
def world_param(request):
    return (request.param,)


@pytest.fixture
async def workspace(http, terraform, tmp_path):
    user, _, password = http.storage.credentials.partition(":")
    section = http.section
    block = BACKEND.format(address=section.address, lock=section.lock_at, section=section, user=user, password=password)
    made = write_workspace_in(block, terraform, tmp_path / "staging")
    await made.init()
    return made


async def test_a_killed_apply_leaves_a_lock_that_is_released_and_taken_again(http, workspace, witness):
    await witness(http, workspace)


@pytest.mark.parametrize("compares", [False, True])
async def test_a_real_lock_taken_after_the_look_survives_the_release(http, workspace, compares):
    http.storage.compares = compares
    backend = http.backend()
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
    assert PATH in http.storage.locks


async def test_tries_all_the_time_never_end_the_lock_of_a_real_run(http, workspace):
    backend = http.backend()
    async with workspace.applying(hold=5) as holder:
        seen = [await backend.read_lock() for _ in range(30)]
        await holder._process.wait()

    assert all(one.held for one in seen)
    assert "Apply complete" in holder.output

"""Locks that a real `terraform apply` took in GitLab and left behind when it was killed."""

from __future__ import annotations

import asyncio

import pytest

from bot.core.lock import PlaceKind, ReleaseResult
from bot.sandbox.machine.terraform import write_workspace_in
from tests.worlds.gitlab_states import Account

BACKEND = """\
  backend "http" {{
    address        = "{state}"
    lock_address   = "{state}/lock"
    unlock_address = "{state}/lock"
    lock_method    = "POST"
    unlock_method  = "DELETE"
    username       = "alice"
    password       = "alices-token"
    retry_wait_min = 1
  }}
"""


@pytest.fixture
async def workspace(gitlab, terraform, tmp_path):
    gitlab.storage.accounts["alices-token"] = Account("alice")
    state = f"{gitlab.proxy.url}/api/v4/projects/{gitlab.storage.number}/terraform/state/{gitlab.section.state}"
    made = write_workspace_in(BACKEND.format(state=state), terraform, tmp_path / "staging")
    await made.init()
    return made


async def test_a_killed_apply_leaves_a_lock_that_is_released_and_taken_again(gitlab, workspace, witness):
    await witness(gitlab, workspace)


async def test_a_real_lock_taken_after_the_look_survives_the_release(gitlab, workspace):
    backend = gitlab.backend()
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
    assert await gitlab.stands(PlaceKind.RECORD) is not None


async def test_a_writer_that_still_lives_can_no_longer_write_once_its_lock_was_released(gitlab, workspace):
    async with workspace.applying(hold=6) as holder:
        seen = await gitlab.backend().read_lock()
        outcome = await gitlab.backend().release(seen.held[0])
        await holder._process.wait()

    assert outcome.result is ReleaseResult.RELEASED
    assert "409" in holder.output
    assert (workspace.directory / "errored.tfstate").exists()
    assert gitlab.storage.state(gitlab.section.state).versions == {}


async def test_looks_all_the_time_never_keep_a_real_run_from_its_lock(gitlab, workspace):
    """Every look meets the lock at another moment of these applies, taken and given back as fast as Terraform can."""
    backend, looks = gitlab.backend(), []

    async def look():
        while True:
            looks.append(await backend.read_lock())

    looking = asyncio.create_task(look())
    ended = [await workspace.try_apply() for _ in range(3)]
    looking.cancel()

    assert [one.exit_code for one in ended] == [0, 0, 0]
    assert any(seen.held for seen in looks)
    assert (await backend.read_lock()).is_free

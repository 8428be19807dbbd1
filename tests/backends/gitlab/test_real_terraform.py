"""Looks at a state in GitLab never get in the way of a real Terraform."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
async def workspace(gitlab, terraform, tmp_path):
    async with gitlab.terraform(terraform, tmp_path / "staging") as made:
        yield made


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

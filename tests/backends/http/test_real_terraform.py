"""Tries to lock a state by the `http` protocol never get in the way of a real Terraform."""

from __future__ import annotations

import pytest

from tests.worlds.terraform import writing


@pytest.fixture(params=["LOCK", "POST"])
def world_param(request):
    return (request.param,)


@pytest.fixture
async def workspace(http, terraform, tmp_path):
    async with http.terraform(terraform, tmp_path / "staging") as made:
        yield made


async def test_tries_all_the_time_never_end_the_lock_of_a_real_run(http, workspace):
    backend = http.backend()
    async with writing(workspace) as writer:
        seen = [await backend.read_lock() for _ in range(30)]
        done = await writer.let_go()

    assert all(one.held for one in seen)
    assert "Apply complete" in done.output

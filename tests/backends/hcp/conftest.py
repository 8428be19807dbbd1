"""One workspace behind a fault proxy, and what else these tests start."""

from __future__ import annotations

import pytest

from tests.backends.hcp.world import made

hcp_world = made


@pytest.fixture
def world_param():
    return ("run",)


@pytest.fixture
def hcp(hcp_world):
    return hcp_world

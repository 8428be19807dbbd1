"""One server behind a fault proxy, and what else these tests start."""

from __future__ import annotations

import pytest

from tests.backends.http.world import made

http_world = made


@pytest.fixture
def world_param():
    return ("LOCK",)


@pytest.fixture
def http(http_world):
    return http_world

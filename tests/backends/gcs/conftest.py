"""One bucket behind a fault proxy, and what else these tests start."""

from __future__ import annotations

import pytest

from tests.backends.gcs.world import made

gcs_world = made


@pytest.fixture
def world_param():
    return ("default",)


@pytest.fixture
def gcs(gcs_world):
    return gcs_world

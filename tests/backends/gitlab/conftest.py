"""One project behind a fault proxy, and what else these tests start."""

from __future__ import annotations

import pytest

from tests.backends.gitlab.world import made

gitlab_world = made


@pytest.fixture
def world_param():
    return ("path",)


@pytest.fixture
def gitlab(gitlab_world):
    return gitlab_world

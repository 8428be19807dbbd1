"""The worlds that every backend is held to its contract in (`tests.backends.worlds`).

One that can swap is held to the contract of holds, too.
"""

from __future__ import annotations

import pytest

from bot.backends import NAMES
from tests.backends.worlds import FIXTURES, MODULES, holds, named

WORLDS = named("WORLDS")
HOLDING = [key for key, (name, _) in WORLDS.items() if holds(name)]
globals().update(FIXTURES)


@pytest.fixture(params=WORLDS)
def chosen(request):
    return WORLDS[request.param]


@pytest.fixture
def is_holding(chosen):
    return holds(chosen[0])


@pytest.fixture
def world_param(chosen):
    return chosen[1]


@pytest.fixture
def world(chosen, request):
    return request.getfixturevalue(f"{chosen[0]}_world")


@pytest.fixture(scope="session")
def backends_with_a_world():
    return set(MODULES)


@pytest.fixture(scope="session")
def backends():
    return set(NAMES)

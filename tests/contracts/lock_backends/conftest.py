"""The worlds that every backend is held to its contract in: found in `tests/backends`, one folder for each backend.

A folder's `world.py` has `WORLDS`, what each of its worlds is made of, the fixture `NAME_world`, which makes one of
`world_param`, and `CAN`, what its backend can do: one that can swap is held to the contract of holds, too.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from bot.backends import NAMES

MODULES = {
    path.parent.name: import_module(f"tests.backends.{path.parent.name}.world")
    for path in sorted((Path(__file__).parents[2] / "backends").glob("*/world.py"))
}
WORLDS = {f"{name}-{'-'.join(param)}": (name, param) for name, module in MODULES.items() for param in module.WORLDS}
HOLDING = [key for key, (name, _) in WORLDS.items() if (can := getattr(MODULES[name], "CAN", None)) and can.swap]
globals().update({f"{name}_world": module.made for name, module in MODULES.items()})


@pytest.fixture(params=WORLDS)
def chosen(request):
    return WORLDS[request.param]


@pytest.fixture
def is_holding(chosen):
    return chosen in [WORLDS[key] for key in HOLDING]


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

"""The worlds of every backend: found in `tests/backends`, one folder for each.

A folder's `world.py` has `WORLDS`, what each of its worlds is made of, `playing(param, aws)`, which makes one of them,
the fixture `NAME_world`, which makes one of `world_param`, and `CAN`, what its backend can do. `APPLIED` are those in
which a real Terraform takes locks: the first one by way of Slack, too.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

MODULES = {
    path.parent.name: import_module(f"tests.backends.{path.parent.name}.world")
    for path in sorted(Path(__file__).parent.glob("*/world.py"))
}
FIXTURES = {f"{name}_world": module.made for name, module in MODULES.items()}


def named(kind: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Those of one list of each module, by a name for test ids."""
    listed = [(name, param) for name, module in MODULES.items() for param in getattr(module, kind)]
    return {"-".join((name, *param)): (name, param) for name, param in listed}


def each_but(*names: str, more=()):
    """Plays a test with `world` in the first world of each backend but these, and in `more`."""
    first = [(name, module.WORLDS[0]) for name, module in MODULES.items() if name not in names]
    chosen = [*first, *more]
    return pytest.mark.parametrize("chosen", chosen, ids=["-".join((name, *param)) for name, param in chosen])


def can(name: str):
    """What a backend can do; None where that depends on who holds the lock, or on the server."""
    return getattr(MODULES[name], "CAN", None)


def holds(name: str) -> bool:
    return can(name) is not None and can(name).swap

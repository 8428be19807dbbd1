"""Whatever an adapter asks for in a contract suite, a row of its table of rights has to speak of."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import bot
from bot.core.rights import Right
from bot.tickets.rights import RIGHTS as TICKETS
from tests.worlds.calls import calls_made

TABLES = {
    ".".join(path.relative_to(Path(bot.__file__).parent).parent.parts): import_module(
        ".".join(("bot", *path.relative_to(Path(bot.__file__).parent).with_suffix("").parts))
    )
    for path in sorted(Path(bot.__file__).parent.glob("*/*/rights.py"))
}


def rows(module):
    """Every right that a module of rights has, in whatever it keeps them."""
    for value in vars(module).values():
        if isinstance(value, Right):
            yield value
        elif isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, Right))


RIGHTS = [
    *(right for module in TABLES.values() for right in rows(module)),
    *(right for rights in TICKETS.values() for right in rights),
]


s3_world = import_module("tests.backends.s3.world").made


def rights_of(node):
    """The table of the adapter that a test is parametrized with; None for tests of anything else."""
    folder = "backends" if "lock_backends" in str(node.path) else "ci"
    given = node.callspec.params.values() if hasattr(node, "callspec") else ()
    for value in given:
        name = value[0] if isinstance(value, tuple) else value
        if node.path.name == "test_tickets.py" and name in TICKETS:
            return TICKETS[name]
        if isinstance(name, str) and f"{folder}.{name}" in TABLES:
            return tuple(rows(TABLES[f"{folder}.{name}"]))
    return None


@pytest.fixture(autouse=True)
def every_call_has_a_right(request):
    rights = rights_of(request.node)
    with calls_made() as made:
        yield
    assert rights is None or made.without_a_right(rights) == []

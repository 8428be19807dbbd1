"""Reads facts of which nothing is certain: of an older version, of an export made by hand, of hostile size.

Whatever cannot be read is as if it were not there. Nothing here raises, and nothing grows with the size of a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias

Facts: TypeAlias = Mapping[str, object]

NO_FACTS: Facts = MappingProxyType({})
LONGEST_TEXT = 300
MOST_ROWS = 200
_MOST = 10**9
"""No count and no number of seconds in an incident is greater."""


def part(facts: Facts, *names: str) -> Facts:
    """The object under these names, one in another; an empty one if there is none."""
    for name in names:
        inner = facts.get(name)
        if not isinstance(inner, Mapping):
            return NO_FACTS
        facts = inner
    return facts


def text(facts: Facts, name: str, most: int = LONGEST_TEXT) -> str:
    """A text, cut to `most` characters; empty if there is none."""
    value = facts.get(name)
    return value[:most] if isinstance(value, str) else ""


def count(facts: Facts, name: str) -> int | None:
    """A whole number from nought up."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        return None
    return value


def seconds(facts: Facts, name: str) -> timedelta | None:
    """A span that is given in seconds."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return timedelta(seconds=value)


def instant(facts: Facts, name: str) -> datetime | None:
    """An instant with a zone, in UTC."""
    value = facts.get(name)
    try:
        at = datetime.fromisoformat(value[:40]) if isinstance(value, str) else None
        return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def says(facts: Facts, name: str) -> bool:
    """Whether it plainly says yes."""
    return facts.get(name) is True


def rows(facts: Facts, name: str, most: int = MOST_ROWS) -> tuple[Facts, ...]:
    """The objects of a list, at most `most`."""
    value = facts.get(name)
    listed = islice(value, most) if isinstance(value, list | tuple) else ()
    return tuple(row for row in listed if isinstance(row, Mapping))


def length(facts: Facts, name: str) -> int:
    """How many a list has."""
    value = facts.get(name)
    return len(value) if isinstance(value, list | tuple) else 0

"""What is in a foreign JSON document, read without trust: a value of another type is as if it were not there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeGuard

Json: TypeAlias = Mapping[str, Any]


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def inner(entry: Json, key: str) -> Json:
    """The object under a key; an empty one where there is none."""
    value = entry.get(key)
    return value if isinstance(value, Mapping) else {}


def objects(value: object) -> list[Json]:
    """The objects in a list; what is none, or no list, is passed over."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def words(*values: object) -> str:
    """The texts among the values, as a system's own report: `completed, failure`."""
    return ", ".join(filter(None, map(text, values)))


def is_count(value: object) -> TypeGuard[int]:
    """Whether it is a whole number above zero, as ids and ordinals are."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def instant(value: object) -> datetime | None:
    """An ISO 8601 instant with its offset, in UTC."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def is_number(run_id: str) -> bool:
    """Whether a run's id, which people type, can be one of a system that counts its runs."""
    return run_id.isascii() and run_id.isdigit() and len(run_id) < 20  # noqa: PLR2004 - the digits of 64 bits

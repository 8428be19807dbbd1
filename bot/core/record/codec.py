"""Values as JSON objects and back: frozen dataclasses, by the types of their fields.

A field is written under its own name, a span as `<name>_seconds`, and is left out where it holds its default.

What is read may be of an earlier version, made by hand or hostile. What cannot be read is as if it were not there: the
field then holds its default, else what is empty of its type. Reading never raises, and what comes out does not grow
with the size of the JSON, except for texts that are wanted whole.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache, partial
from itertools import islice
from typing import Annotated, Any, TypeAlias, TypeVar

from bot.core.record.timeline import stamp

T = TypeVar("T")

LONGEST_TEXT = 300
"""Characters of a text that are read, unless its field says how many (`Annotated[str, 2_000]`)."""

MOST_ROWS = 200
_MOST = 10**9
"""No count and no number of seconds in an incident is greater."""

LongText: TypeAlias = Annotated[str, 2_000]
WholeText: TypeAlias = Annotated[str, None]


class Absent(Enum):
    """For a field that may be null, and may be missing as well."""

    ABSENT = "absent"


def written(value: object) -> dict[str, object]:
    """The value as a JSON object."""
    of: Any = type(value)
    held = ((field, getattr(value, field.name)) for field in _fields(of))
    return {field.key: _json(part) for field, part in held if part != field.default}


def read(of: type[T], found: Mapping[str, object]) -> T:
    """The value that the JSON object holds, as far as it can be read."""
    make: Any = of
    value: T = make(**{field.name: field.value_in(found) for field in _fields(make)})
    return value


@dataclass(frozen=True, slots=True)
class _Field:
    """`reads` returns None for what it cannot read."""

    name: str
    key: str
    default: object
    is_nullable: bool
    reads: Callable[[object], object]
    empty: Callable[[], object]

    def value_in(self, found: Mapping[str, object]) -> object:
        part = found.get(self.key)
        value = None if part is None else self.reads(part)
        if value is not None or (self.is_nullable and part is None and self.key in found):
            return value
        return self.empty() if self.default is MISSING else self.default


@cache
def _fields(of: Any) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(of, include_extras=True)
    return tuple(_field(field.name, hints[field.name], field.default) for field in fields(of))


def _field(name: str, hint: Any, default: object) -> _Field:
    members = _members(hint)
    is_nullable = types.NoneType in members
    some = [member for member in members if member not in {types.NoneType, Absent}]
    key = f"{name}_seconds" if timedelta in some else name
    reads = _reader(some[0]) if len(some) == 1 else partial(_first_that_fits, some)
    empty = (lambda: None) if is_nullable else _EMPTY.get(_bare(some[-1])) or partial(read, some[-1], {})
    return _Field(name, key, default, is_nullable, reads, empty)


def _members(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    return typing.get_args(hint) if is_union else (hint,)


def _bare(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    return typing.get_args(hint)[0] if origin is Annotated else origin or hint


def _reader(hint: Any, most: int | None = LONGEST_TEXT) -> Callable[[object], object]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _reader(parts[0], most=parts[1])
    if origin is tuple:
        return partial(_rows, _reader(parts[0]))
    if hint is str:
        return lambda found: found[:most] if isinstance(found, str) else None
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda found: read(hint, found) if isinstance(found, Mapping) else None
    return _READERS[origin or hint]


def _first_that_fits(kinds: list[Any], found: object) -> object:
    """Of several dataclasses the first whose fields without a default are all there, else the last."""
    if not isinstance(found, Mapping):
        return None
    fits = (of for of in kinds if all(one.key in found for one in _fields(of) if one.default is MISSING))
    return read(next(fits, kinds[-1]), found)


def _rows(reads: Callable[[object], object], found: object) -> tuple[object, ...] | None:
    if not isinstance(found, list | tuple):
        return None
    return tuple(row for one in islice(found, MOST_ROWS) if (row := reads(one)) is not None)


def _words(found: object) -> Mapping[str, str] | None:
    if not isinstance(found, Mapping):
        return None
    pairs = islice(found.items(), MOST_ROWS)
    return {name[:LONGEST_TEXT]: word[:LONGEST_TEXT] for name, word in pairs if isinstance(word, str)}


def _is_number(found: object) -> typing.TypeGuard[int | float]:
    return isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= _MOST


def _instant(found: object) -> datetime | None:
    """In UTC, also if no zone is named."""
    try:
        at = datetime.fromisoformat(found[:40]) if isinstance(found, str) else None
        return at if at is None else at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


_READERS: Mapping[object, Callable[[object], object]] = {
    bool: lambda found: found if isinstance(found, bool) else None,
    int: lambda found: found if _is_number(found) and isinstance(found, int) else None,
    timedelta: lambda found: timedelta(seconds=found) if _is_number(found) else None,
    datetime: _instant,
    Mapping: _words,
}

_EMPTY: Mapping[object, Callable[[], object]] = {
    str: str, bool: bool, int: int, timedelta: timedelta, tuple: tuple, Mapping: dict,
}  # fmt: skip


def _json(value: object) -> object:
    match value:
        case None | bool() | int():
            said: object = value
        case str():
            said = str(value)
        case datetime():
            said = stamp(value)
        case timedelta():
            said = value.total_seconds()
        case tuple():
            said = [_json(part) for part in value]
        case Mapping():
            said = {str(name): _json(part) for name, part in value.items()}
        case _:
            said = written(value)
    return said

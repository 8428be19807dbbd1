"""Values as JSON objects and back: frozen, slotted dataclasses without `__post_init__`, by the types of their fields.

A field is written under its own name, a span as `<name>_seconds`. There are two forms. `FACTS` are on timelines: what
is read may be of an earlier version, made by hand or hostile. What cannot be read is as if it were not there: the field
then holds its default, else what is empty of its type. Reading facts never raises, and what comes out does not grow
with the size of the JSON, except for texts that are wanted whole. `RECORDS` are the bot's own: they are read
completely, and one that cannot be read is a ValueError, because nothing may be decided on half of it.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache, partial
from itertools import islice
from typing import Annotated, Any, TypeAlias, TypeVar

from bot.core.instants import stamp

T = TypeVar("T")

LONGEST_TEXT = 300
"""Characters of a text that are read of facts, unless its field says how many (`Annotated[str, 2_000]`)."""

MOST_ROWS = 200
_MOST = 10**9
"""No count and no number of seconds in an incident is greater."""

LongText: TypeAlias = Annotated[str, 2_000]
WholeText: TypeAlias = Annotated[str, None]

_OBJECT = (dict, Mapping)
"""What JSON reads as at the front: whether something is any other mapping takes far longer to say."""

_SPAN = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
"""ISO 8601, as records of earlier versions have spans."""


class Omitted(Enum):
    """For a field that may be null, and may be missing as well."""

    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Inline:
    """Marks a field whose parts are written next to the other fields, with `prefix` before their names."""

    prefix: str = ""


class ByName(Enum):
    """Marks a field whose enum is written by its name: its values are words for people, which may change."""

    BY_NAME = "by name"


@dataclass(frozen=True, slots=True, eq=False)  # told apart by which it is, which costs nothing where it is a key
class JsonForm:
    """What is read of a text, a list and a number (None: all), how instants are spelled, and whether defaults are."""

    instant: Callable[[datetime], str]
    text: int | None
    rows: int | None
    number: int | None
    is_strict: bool


FACTS = JsonForm(stamp, LONGEST_TEXT, MOST_ROWS, _MOST, is_strict=False)
RECORDS = JsonForm(datetime.isoformat, None, None, None, is_strict=True)


def written(value: object, form: JsonForm = FACTS) -> dict[str, object]:
    """The value as a JSON object."""
    said: dict[str, object] = {}
    of: Any = type(value)
    for field in _fields(of, form):
        part = getattr(value, field.name)
        if form.is_strict or part != field.default:
            said |= field.spelled(part)
    return said


def changes(of: type[Any], values: Mapping[str, object], form: JsonForm = RECORDS) -> dict[str, object]:
    """Some fields of a type as JSON, as `written` spells them. Raises KeyError for a field that there is not."""
    make: Any = of
    named, said = _by_name(make, form), dict[str, object]()
    for name, value in values.items():
        said |= named[name].spelled(value)
    return said


def read(of: type[T], found: Mapping[str, object], form: JsonForm = FACTS) -> T:
    """The value that the JSON object holds: facts as far as they can be read, a record whole. Raises ValueError."""
    make: Any = of
    # The fields are put into their slots. The `__init__` of a frozen dataclass does the same, but takes as long as the
    # rest of reading does, and an export reads a hundred fields of every verdict.
    made = object.__new__(of)
    for field in _fields(make, form):
        part = found.get(field.key) if field.is_plain else field.part_of(found)
        value = None if part is None else field.reads(part)
        field.put(made, field.unread(part, found) if value is None else value)
    return made


@dataclass(frozen=True, slots=True)
class _Field:
    """`reads` returns None for what it cannot read, `absent` makes what the field holds where nothing is.

    A field that `is_plain` is under its key and nowhere else.
    """

    name: str
    key: str
    default: object
    is_nullable: bool
    put: Callable[[object, object], None]
    reads: Callable[[object], object]
    writes: Callable[[object], object]
    absent: Callable[[], object]
    inline: Inline | None
    is_strict: bool
    is_plain: bool

    def part_of(self, found: Mapping[str, object]) -> object:
        if self.inline is not None:
            prefix = self.inline.prefix
            return {name.removeprefix(prefix): part for name, part in found.items() if name.startswith(prefix)}
        # earlier versions wrote the spans of records under the bare name
        return found.get(self.key, found.get(self.name) if self.is_strict else None)

    def unread(self, part: object, found: Mapping[str, object]) -> object:
        """What the field holds where nothing that can be read is. Raises ValueError for a record."""
        if self.is_nullable and part is None and (self.key in found or (self.is_strict and self.name in found)):
            return None
        if self.is_strict and part is not None and not (self.is_nullable and part == ""):
            raise ValueError(f"{self.key} cannot be read: {part!r}")
        return self.absent()

    def spelled(self, value: object) -> dict[str, object]:
        said = self.writes(value)
        if self.inline is None or not isinstance(said, dict):
            return {self.key: said}
        return {f"{self.inline.prefix}{name}": part for name, part in said.items()}


@cache
def _fields(of: Any, form: JsonForm) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(of, include_extras=True)
    return tuple(_field(field, hints[field.name], form, getattr(of, field.name).__set__) for field in fields(of))


@cache
def _by_name(of: Any, form: JsonForm) -> Mapping[str, _Field]:
    """The fields of a type, with those of what is written inline."""
    hints = typing.get_type_hints(of, include_extras=True)
    named = {field.name: field for field in _fields(of, form)}
    for inner in [_bare(hints[name]) for name, field in named.items() if field.inline is not None]:
        if isinstance(inner, type) and is_dataclass(inner):
            named = {**_by_name(inner, form), **named}
    return named


def _field(field: Field[Any], hint: Any, form: JsonForm, put: Callable[[object, object], None]) -> _Field:
    marks = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    inline = next((mark for mark in marks if isinstance(mark, Inline)), None)
    is_union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    members = typing.get_args(hint) if is_union else (hint,)
    is_nullable = types.NoneType in members
    some = [member for member in members if member not in {types.NoneType, Omitted}]
    reads = _reader(some[0], form, form.text) if len(some) == 1 else partial(_first_that_fits, some, form)
    is_required = field.default is MISSING and field.default_factory is MISSING
    absent: Callable[[], object] = lambda: field.default  # noqa: E731
    if field.default_factory is not MISSING:
        absent = field.default_factory
    elif is_required and form.is_strict:
        absent = partial(_missing, field.name)
    elif is_required:
        empty = _EMPTY.get(_bare(some[-1]))
        absent = (lambda: None) if is_nullable else empty or partial(read, some[-1], {}, form)
    return _Field(
        name=field.name,
        key=f"{field.name}_seconds" if timedelta in some else field.name,
        default=field.default,
        is_nullable=is_nullable,
        put=put,
        reads=reads,
        writes=_name_of if ByName.BY_NAME in marks else partial(_json, form),
        absent=absent,
        inline=inline,
        is_strict=form.is_strict,
        is_plain=inline is None and not form.is_strict,
    )


def _missing(name: str) -> object:
    raise ValueError(f"a record without {name}")


def _bare(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    return typing.get_args(hint)[0] if origin is Annotated else origin or hint


def _reader(hint: Any, form: JsonForm, most: int | None) -> Callable[[object], object]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _reader(parts[0], form, None if form.is_strict else parts[1])
    if origin is tuple:
        readers = [_reader(part, form, form.text) for part in parts if part is not Ellipsis]
        return partial(_rows, readers[0], form) if parts[-1] is Ellipsis else partial(_row, readers)
    if origin is Mapping:
        return partial(_words, _reader(parts[1], form, form.text), form)
    if hint is str:
        return lambda found: found[:most] if isinstance(found, str) else None
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda found: read(hint, found, form) if isinstance(found, _OBJECT) else None
    return partial(_member, hint) if issubclass(hint, Enum) else partial(_READERS[hint], form)


def _first_that_fits(kinds: list[Any], form: JsonForm, found: object) -> object:
    """Of several dataclasses the first whose fields without a default are all there, else the last."""
    if not isinstance(found, _OBJECT):
        return None
    fits = (of for of in kinds if all(one.key in found for one in _fields(of, form) if one.default is MISSING))
    return read(next(fits, kinds[-1]), found, form)


def _rows(reads: Callable[[object], object], form: JsonForm, found: object) -> tuple[object, ...] | None:
    if not isinstance(found, list | tuple):
        return None
    rows = [reads(one) for one in islice(found, form.rows)]
    return None if form.is_strict and None in rows else tuple(row for row in rows if row is not None)


def _row(readers: list[Callable[[object], object]], found: object) -> tuple[object, ...] | None:
    if not isinstance(found, list | tuple) or len(found) != len(readers):
        return None
    return tuple(reads(part) for reads, part in zip(readers, found, strict=True))


def _words(reads: Callable[[object], object], form: JsonForm, found: object) -> Mapping[str, object] | None:
    if not isinstance(found, _OBJECT):
        return None
    pairs = islice(found.items(), form.rows)
    return {name[: form.text]: word for name, said in pairs if (word := reads(said)) is not None}


def _member(of: type[Enum], found: object) -> Enum | None:
    """By its value, or else by its name."""
    return next(
        (one for one in of if found == one.value), of.__members__.get(found) if isinstance(found, str) else None
    )


def _number(form: JsonForm, found: object) -> int | float | None:
    if not isinstance(found, int | float) or isinstance(found, bool):
        return None
    return found if form.number is None or 0 <= found <= form.number else None


def _count(form: JsonForm, found: object) -> int | None:
    number = _number(form, found)
    return number if isinstance(number, int) else None


def _flag(form: JsonForm, found: object) -> bool | None:
    """Earlier versions wrote the flags of records as "yes", and as "no" or an empty text."""
    if isinstance(found, bool):
        return found
    return bool(found) and found != "no" if form.is_strict and isinstance(found, str) else None


def _span(form: JsonForm, found: object) -> timedelta | None:
    number = _number(form, found)
    if number is not None:
        return timedelta(seconds=number)
    if not form.is_strict or not isinstance(found, str) or (parts := _SPAN.fullmatch(found)) is None:
        return None
    sign, days, hours, minutes, seconds = (part or 0 for part in parts.groups())
    span = timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return -span if sign else span


def _instant(_: JsonForm, found: object) -> datetime | None:
    """In UTC, also if no zone is named."""
    try:
        at = datetime.fromisoformat(found[:40]) if isinstance(found, str) else None
        return at if at is None else at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


_READERS: Mapping[object, Callable[[JsonForm, object], object]] = {
    bool: _flag, int: _count, float: _number, timedelta: _span, datetime: _instant,
}  # fmt: skip

_EMPTY: Mapping[object, Callable[[], object]] = {
    str: str, bool: bool, int: int, timedelta: timedelta, tuple: tuple, Mapping: dict,
}  # fmt: skip


def _name_of(value: object) -> object:
    return value.name if isinstance(value, Enum) else None


def _json(form: JsonForm, value: object) -> object:
    match value:
        case None | bool() | int() | float():
            said: object = value
        case str():
            said = str(value)
        case datetime():
            said = form.instant(value)
        case timedelta():
            said = value.total_seconds()
        case tuple():
            said = [_json(form, part) for part in value]
        case Mapping():
            said = {str(name): _json(form, part) for name, part in value.items()}
        case Enum():
            said = value.value
        case _:
            said = written(value, form)
    return said

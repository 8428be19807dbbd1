"""Reads JSON exports: verified first, then entry by entry. Files of any length, in bounded memory."""

from __future__ import annotations

import json
import mmap
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import ijson

from bot.core.record.incident import Course, Incident, is_safe_id
from bot.core.record.timeline import Entry
from bot.errors import ChainBroken, ExportInvalid
from bot.export.json.row import read_row
from bot.export.values import zone_of

SCHEMA = "tflock.timeline/1"

_REQUIRED = frozenset({"schema", "incident", "entries"})
_DERIVED = frozenset({"display", "summary", "followups"})
"""What later versions add. It is made from the entries, or only for show, and proves nothing."""

_REMOVED = " removed]"
"""The end of each mark that `bot.core.record.redact` leaves in a secret's place."""

_LONGEST_NUMBER = 4_000
"""Digits, more than the journal writes. At 4,300 Python stops, and the parser would then end the process."""

_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (_LONGEST_NUMBER + 1))
_TEXT_OR_LONG_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*"|' + _LONG_NUMBER.pattern, re.DOTALL)

_DEEPEST = 300
"""Levels of lists and objects in each other. What the journal records has fewer."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What an unaltered export holds. `last` is the hash of the last entry, and so of the whole timeline.

    `redacted` are the ids of entries that lost a secret in the export: their places are proven, their words are not.
    """

    incident: Incident
    entries: int
    last: str
    redacted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A verified file. `last` is the id and hash of the last entry; names and zone are those that it was made with."""

    path: Path
    incident: Incident
    last: tuple[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"

    def rows(self) -> Iterator[tuple[Entry, bool]]:
        """The entries in order, each with whether it was redacted. Raises ExportInvalid or ChainBroken."""
        for name, value in _parts(self.path):
            if name == "entry":
                yield _row(value, 0)


def read_export(path: Path) -> ExportFile:
    """A file that `verify_json` accepts. Raises ExportInvalid or ChainBroken."""
    return _verified(path)[0]


def verify_json(path: Path) -> Verified:
    """Checks an export: nothing in it was changed, removed, added or moved.

    Raises ChainBroken, naming the first entry that does not fit, or ExportInvalid if the file is not an export at all.
    """
    export, course, redacted = _verified(path)
    return Verified(export.incident, course.count, course.hash, redacted)


def _verified(path: Path) -> tuple[ExportFile, Course, tuple[str, ...]]:
    """One pass, whatever the order in which the file has its parts."""
    course, redacted, parts = Course(), list[str](), dict[str, Any]()
    broken: ChainBroken | None = None
    for name, value in _parts(path):
        if name != "entry":
            parts[name] = value
        elif broken is None:
            try:
                entry, was_redacted = _row(value, course.count + 1)
                _check_redacted(entry, was_redacted=was_redacted)
                course.learn(entry, redacted=was_redacted)
            except ChainBroken as found:
                broken = found  # if the file is not an export at all, that comes first
            else:
                redacted += [entry.id] if was_redacted else []

    _check_parts(path, parts)
    if broken is None and not course.count:
        raise ExportInvalid(f"{path} has no entries; a timeline has at least one")
    incident, last = _head(parts["incident"])
    if broken is not None:
        raise broken
    course.agree(incident)
    if last != (str(course.count), course.hash):
        raise ChainBroken(str(course.count), f"is not the last entry, which the export says is {last[0]}")
    names, zone = _display(parts.get("display"))
    return ExportFile(path, incident, last, names, zone), course, tuple(redacted)


def _check_redacted(entry: Entry, *, was_redacted: bool) -> None:
    """Raises ChainBroken for an entry that has lost nothing: its own words must be proven."""
    if was_redacted and _REMOVED not in json.dumps([entry.actor, entry.text, entry.facts], ensure_ascii=False):
        raise ChainBroken(entry.id, "is marked as one that lost a secret in the export, and none was taken out of it")


def _check_parts(path: Path, parts: Mapping[str, Any]) -> None:
    if not parts.keys() >= _REQUIRED or parts.keys() - _REQUIRED - _DERIVED:
        raise ExportInvalid(f"{path} is JSON, but not the export of a timeline: schema, incident, entries")
    if parts["schema"] != SCHEMA:
        raise ExportInvalid(f"{path} has schema {str(parts['schema'])[:40]!r}; this version reads {SCHEMA!r}")


def _row(row: Any, place: int) -> tuple[Entry, bool]:
    try:
        return read_row(row)
    except (AttributeError, TypeError, ValueError) as error:
        named = row.get("id") if isinstance(row, dict) else None
        raise ChainBroken(named if isinstance(named, str) else f"at place {place}", str(error)) from error


def _head(head: Any) -> tuple[Incident, tuple[str, str]]:
    try:
        closed_at = head["closed_at"]
        incident = Incident(
            head["id"],
            head["channel"],
            head["title"],
            datetime.fromisoformat(head["opened_at"]),
            head["opened_by"],
            datetime.fromisoformat(closed_at) if closed_at is not None else None,
        )
        last = (head["last"]["id"], head["last"]["hash"])
        is_safe = is_safe_id(incident.id)
    except (KeyError, TypeError, ValueError) as error:
        raise ExportInvalid("the export's incident lacks something: id, channel, title, times or last entry") from error
    if not is_safe:
        raise ExportInvalid("the export's incident has an id that can be no file name")
    return incident, last


def _display(display: Any) -> tuple[Mapping[str, str], str]:
    """Names and zone; what is missing or unusable is left out, since it is only for show."""
    given = display if isinstance(display, dict) else {}
    names, zone = given.get("names"), given.get("zone")
    known = names if isinstance(names, dict) else {}
    named = {id_: name for id_, name in known.items() if isinstance(name, str)}
    return named, str(zone_of(zone)) if isinstance(zone, str) else "UTC"


def _parts(path: Path) -> Iterator[tuple[str, Any]]:
    """The members of the file's object: `("entry", row)` for each entry, and `("entries", None)` after them.

    Raises ExportInvalid for what is not JSON, or says two things at once.
    """
    try:
        with path.open("rb") as file:
            _check_numbers(file)
            yield from _members(path, file)
    except OSError as error:
        raise ExportInvalid(f"{path} cannot be read: {error.strerror}") from error
    except (ijson.JSONError, ValueError, RecursionError) as error:
        raise ExportInvalid(f"{path} is not JSON: {' '.join(str(error).split())}") from error


def _check_numbers(file: IO[bytes]) -> None:
    """Raises ValueError for a number that is too long. A pipe cannot be looked through before it is read."""
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or not os.fstat(file.fileno()).st_size:
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        if _LONG_NUMBER.search(whole):
            for found in _TEXT_OR_LONG_NUMBER.finditer(whole):
                if not found[0].startswith(b'"'):
                    raise ValueError(f"a number has more than {_LONGEST_NUMBER:,} digits")


def _members(path: Path, file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    events: Iterator[tuple[str, Any]] = iter(ijson.basic_parse(file))
    if next(events)[0] != "start_map":
        for _ in events:
            """Reads on: what follows decides whether the file is JSON at all."""
        raise ExportInvalid(f"{path} is JSON, but not the export of a timeline")
    seen = set[str]()
    for event, name in events:
        if event == "map_key":
            if name in seen:
                raise ValueError("a name occurs twice in one object")
            seen.add(name)
            event, value = next(events)  # noqa: PLW2901  the name's value follows it
            if name == "entries" and event == "start_array":
                for inner, part in iter(lambda: next(events), _END):
                    yield "entry", _value(inner, part, events)
                yield "entries", None
            else:
                yield name, _value(event, value, events)


def _value(event: str, value: Any, events: Iterator[tuple[str, Any]], depth: int = 0) -> Any:
    """The value that begins with this event. Two equal names are refused: readers would see one or the other."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    match event:
        case "start_map":
            made = dict[str, Any]()
            for inner, name in events:
                if inner == "end_map":
                    break
                if name in made:
                    raise ValueError("a name occurs twice in one object")
                made[name] = _value(*next(events), events, depth + 1)
            return made
        case "start_array":
            return [_value(inner, part, events, depth + 1) for inner, part in iter(lambda: next(events), _END)]
        case _:
            return float(value) if isinstance(value, Decimal) else value


_END = ("end_array", None)

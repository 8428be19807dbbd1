"""The JSON export: the raw timeline with its chain, and the check of such a file.

`incident.last` names the last entry, so that a file that was cut short is found out as well.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.core.incident import Incident
from bot.core.timeline import GENESIS, Entry, Kind, check, read_entry, stamp
from bot.errors import ChainBroken, ExportInvalid, JournalAway
from bot.export.files import content, save
from bot.ports import Journal

SCHEMA = "tflock.timeline/1"


@dataclass(frozen=True, slots=True)
class Verified:
    """What an unaltered export holds."""

    incident: Incident
    entries: int
    last: str
    """The hash of the last entry: it stands for the whole timeline."""


async def write_json(journal: Journal, incident: Incident, directory: Path) -> Path:
    """Writes `<incident>.json` and returns its path. Raises OSError, JournalAway or ChainBroken."""
    return await save(directory / f"{incident.id}.json", _parts(journal, incident))


async def json_content(journal: Journal, incident: Incident) -> bytes:
    """The same as bytes, for an upload."""
    return await content(_parts(journal, incident))


def verify_json(path: Path) -> Verified:
    """Checks an export: nothing in it was changed, removed, added or moved.

    Raises ChainBroken, naming the first entry that does not fit, or ExportInvalid if the file is no export at all.
    """
    export = _load(path)
    incident, last = _incident(export["incident"])
    entries = _chain(export["entries"])
    end = entries[-1]

    _same_head(incident, entries)
    if (end.id, end.hash) != last:
        raise ChainBroken(end.id, f"is not the last entry, which the export says is {last[0]}")
    return Verified(incident, len(entries), end.hash)


async def _parts(journal: Journal, incident: Incident) -> AsyncIterator[str]:
    """One entry a line. What is added to the timeline meanwhile is not in the export."""
    tail = await journal.tail(incident.id, 1)
    if not tail:
        raise JournalAway(f"the timeline of {incident.id} is not there")
    (last,) = tail
    yield f'{{"schema": {_json(SCHEMA)},\n"incident": {_json(_head(incident, last))},\n"entries": ['
    separator = "\n"
    async for entry in journal.entries(incident.id):
        yield separator + _json(_row(entry))
        separator = ",\n"
        if entry.id == last.id:
            break
    yield "\n]}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _head(incident: Incident, last: Entry) -> dict[str, object]:
    return {
        "id": incident.id,
        "channel": incident.channel,
        "title": incident.title,
        "opened_at": stamp(incident.opened_at),
        "opened_by": incident.opened_by,
        "closed_at": stamp(incident.closed_at) if incident.closed_at else None,
        "last": {"id": last.id, "hash": last.hash},
    }


def _row(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": stamp(entry.at),
        "recorded_at": stamp(entry.recorded_at),
        "kind": entry.kind,
        "actor": entry.actor,
        "text": entry.text,
        "facts": dict(entry.facts),
        "prev": entry.prev,
        "hash": entry.hash,
    }


def _load(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            export = json.load(file, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except OSError as error:
        raise ExportInvalid(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ExportInvalid(f"{path} is not JSON: {error}") from error
    if not isinstance(export, dict) or export.keys() != {"schema", "incident", "entries"}:
        raise ExportInvalid(f"{path} is JSON, but not the export of a timeline: schema, incident, entries")
    if export["schema"] != SCHEMA:
        raise ExportInvalid(f"{path} has schema {str(export['schema'])[:40]!r}; this version reads {SCHEMA!r}")
    if not isinstance(export["entries"], list) or not export["entries"]:
        raise ExportInvalid(f"{path} has no entries; a timeline has at least one")
    return export


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two equal names readers see one or the other: such a file says two things at once."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _incident(head: Any) -> tuple[Incident, tuple[str, str]]:
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
        return incident, (head["last"]["id"], head["last"]["hash"])
    except (KeyError, TypeError, ValueError) as error:
        raise ExportInvalid("the export's incident lacks something: id, channel, title, times or last entry") from error


def _chain(rows: list[Any]) -> list[Entry]:
    entries, prev = list[Entry](), GENESIS
    for place, row in enumerate(rows, start=1):
        try:
            entry = read_entry(row)
        except (AttributeError, ValueError) as error:
            raise ChainBroken(_name(row, place), str(error)) from error
        prev = check(entry, prev=prev)
        entries.append(entry)
    return entries


def _name(row: Any, place: int) -> str:
    named = row.get("id") if isinstance(row, dict) else None
    return named if isinstance(named, str) else f"at place {place}"


def _same_head(incident: Incident, entries: list[Entry]) -> None:
    """The head has no hash of its own: it must say what the entries say."""
    first = entries[0]
    opened = (incident.id, incident.channel, incident.title, incident.opened_by, incident.opened_at)
    said = (*(first.facts.get(name) for name in ("incident", "channel", "title")), first.actor, first.at)
    if first.kind != Kind.INCIDENT_OPENED or opened != said:
        raise ChainBroken(first.id, "the export's incident is not the one that this entry opened")
    closed = [entry for entry in entries if entry.kind == Kind.INCIDENT_CLOSED]
    if [entry.at for entry in closed] != [at for at in (incident.closed_at,) if at]:
        raise ChainBroken((closed or entries)[-1].id, "the export's incident and its entries differ on the closing")

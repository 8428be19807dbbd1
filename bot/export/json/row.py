"""An entry as an object of the JSON export, there and back."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bot.core.instants import stamp
from bot.core.record.timeline import Entry, read_entry

REDACTED = "redacted"
"""Set to true on an entry that lost a secret in the export, and missing on all others."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def spelled(value: object) -> str:
    """A value as the export spells it: on one line, without NaN."""
    return _ENCODER.encode(value)


def row_of(entry: Entry, *, redacted: bool) -> dict[str, object]:
    row: dict[str, object] = {
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
    return {**row, REDACTED: True} if redacted else row


def read_row(row: Mapping[str, object]) -> tuple[Entry, bool]:
    """The entry, and whether it was redacted. Raises ValueError for what is not an entry."""
    if REDACTED not in row:
        return read_entry(row), False
    if row[REDACTED] is not True:
        raise ValueError(f"{REDACTED} is neither true nor missing")
    return read_entry({name: value for name, value in row.items() if name != REDACTED}), True

"""The timeline of an incident: append-only entries in a hash chain.

Each entry's hash covers its content and the hash of the entry before it, so that a changed, removed or inserted
entry breaks the chain at that place. Kinds are public (`contract`): extend, never rename.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from bot.errors import ChainBroken

GENESIS = "0" * 64
"""`prev` of the first entry."""


class Kind(StrEnum):
    """`subject.action`. Retired kinds stay here, so that old timelines stay readable."""

    INCIDENT_OPENED = "incident.opened"
    INCIDENT_CLOSED = "incident.closed"
    COMMAND_RECEIVED = "command.received"
    LOCK_OBSERVED = "lock.observed"
    LOCK_CHANGED = "lock.changed"
    GATE_DECIDED = "gate.decided"
    UNLOCK_REQUESTED = "unlock.requested"
    UNLOCK_APPROVED = "unlock.approved"
    UNLOCK_RELEASING = "unlock.releasing"
    UNLOCK_RELEASED = "unlock.released"
    UNLOCK_FAILED = "unlock.failed"
    KILL_REQUESTED = "kill.requested"
    KILL_CONFIRMED = "kill.confirmed"
    OWNER_NOTIFIED = "owner.notified"
    OWNER_ANSWERED = "owner.answered"
    NOTE_ADDED = "note.added"
    MESSAGE_CAPTURED = "message.captured"
    ENTRY_EDITED = "entry.edited"
    ENTRY_HIDDEN = "entry.hidden"
    EXPORT_MADE = "export.made"
    FOLLOWUP_PROPOSED = "followup.proposed"
    FOLLOWUP_FILED = "followup.filed"


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before the journal has taken it. `at` is when it happened. `actor` is a Slack user id or `tflock`.

    `facts` must be JSON. `once` is the idempotency key: a second draft with the same key in the same incident
    adds nothing.
    """

    at: datetime
    kind: Kind
    actor: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    once: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the journal holds it. `id` is unique in its incident; `kind` is text: it may be newer than us."""

    id: str
    at: datetime
    recorded_at: datetime
    kind: str
    actor: str
    text: str
    facts: Mapping[str, object]
    prev: str
    hash: str


def canonical(value: object) -> str:
    """JSON with one spelling: sorted keys, no spaces, UTF-8 kept, no NaN. Raises ValueError or TypeError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def stamp(at: datetime) -> str:
    """An instant as the timeline spells it: ISO 8601, UTC, microseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def body_of(entry_id: str, draft: Draft, recorded_at: datetime) -> str:
    """The exact text that an entry's hash covers, without `prev`: canonical JSON."""
    return canonical(
        {
            "id": entry_id,
            "at": stamp(draft.at),
            "recorded_at": stamp(recorded_at),
            "kind": str(draft.kind),
            "actor": draft.actor,
            "text": draft.text,
            "facts": dict(draft.facts),
        }
    )


def link(prev: str, body: str) -> str:
    """The hash of an entry: SHA-256, hex, of `prev`, a line feed and the body."""
    return hashlib.sha256(f"{prev}\n{body}".encode()).hexdigest()


def body_of_entry(entry: Entry) -> str:
    return canonical(
        {
            "id": entry.id,
            "at": stamp(entry.at),
            "recorded_at": stamp(entry.recorded_at),
            "kind": entry.kind,
            "actor": entry.actor,
            "text": entry.text,
            "facts": dict(entry.facts),
        }
    )


def verify(entries: Iterable[Entry], *, start: str = GENESIS) -> int:
    """Checks the chain and returns the number of entries. Raises ChainBroken at the first entry that does not fit."""
    prev, count = start, 0
    for entry in entries:
        if entry.prev != prev:
            raise ChainBroken(entry.id, "does not follow the entry before it: one was removed, added or moved")
        if link(prev, body_of_entry(entry)) != entry.hash:
            raise ChainBroken(entry.id, "its content is not what was recorded")
        prev, count = entry.hash, count + 1
    return count

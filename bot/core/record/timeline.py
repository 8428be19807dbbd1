"""The timeline of an incident: append-only entries in a hash chain.

Each entry's hash covers its content and the hash of the entry before it, so that a changed, removed or inserted
entry breaks the chain at that place. Kinds are public (`contract`): extend, never rename.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from bot.core.instants import stamp
from bot.core.record.redact import hidden, is_telling, redact
from bot.errors import ChainBroken

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

GENESIS = "0" * 64
"""`prev` of the first entry."""


class Kind(StrEnum):
    """`subject.action`. Retired kinds stay here, so that old timelines stay readable."""

    INCIDENT_OPENED = "incident.opened"
    INCIDENT_CLOSED = "incident.closed"
    INCIDENT_REOPENED = "incident.reopened"
    INCIDENT_RENAMED = "incident.renamed"
    COMMAND_RECEIVED = "command.received"
    LOCK_OBSERVED = "lock.observed"
    LOCK_CHANGED = "lock.changed"
    GATE_DECIDED = "gate.decided"
    UNLOCK_REQUESTED = "unlock.requested"
    UNLOCK_APPROVED = "unlock.approved"
    UNLOCK_DECLINED = "unlock.declined"
    UNLOCK_WITHDRAWN = "unlock.withdrawn"
    UNLOCK_RELEASING = "unlock.releasing"
    UNLOCK_RELEASED = "unlock.released"
    UNLOCK_FAILED = "unlock.failed"
    KILL_REQUESTED = "kill.requested"
    KILL_APPROVED = "kill.approved"
    KILL_CONFIRMED = "kill.confirmed"
    OWNER_NOTIFIED = "owner.notified"
    OWNER_ANSWERED = "owner.answered"
    NOTE_ADDED = "note.added"
    MESSAGE_CAPTURED = "message.captured"
    ENTRY_EDITED = "entry.edited"
    ENTRY_HIDDEN = "entry.hidden"
    ENTRY_RESTORED = "entry.restored"
    ENTRY_MARKED = "entry.marked"
    ENTRY_UNMARKED = "entry.unmarked"
    ALERT_RAISED = "alert.raised"
    ALERT_RESOLVED = "alert.resolved"
    WATCH_STARTED = "watch.started"
    WATCH_ENDED = "watch.ended"
    RECOVERY_LOOKED = "recovery.looked"
    HOLD_REQUESTED = "hold.requested"
    HOLD_PLACED = "hold.placed"
    HOLD_PROLONGED = "hold.prolonged"
    HOLD_LIFT_REQUESTED = "hold.lift_requested"
    HOLD_ENDED = "hold.ended"
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


Said = TypeVar("Said", Draft, Entry)


def canonical(value: object) -> str:
    """JSON with one spelling: sorted keys, no spaces, UTF-8 kept, no NaN. Raises ValueError or TypeError."""
    return _CANONICAL.encode(value)


def clean_text(text: str) -> str:
    """The text as UTF-8 can hold it and without secrets.

    Two halves of a surrogate pair are joined, a lone half is replaced by U+FFFD. Raises TypeError for what is not text.
    """
    if not isinstance(text, str):
        raise TypeError(f"not text: {type(text).__name__}")
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return redact(text)


def recordable(draft: Said) -> Said:
    """A draft as the journal records it: without secrets, its text such as UTF-8 can hold, its facts plain JSON.

    Of an entry it makes what would be recorded today, when more secrets are known by their form.

    What comes out survives JSON and back unchanged, so that its hash can be computed again from an export.
    Raises ValueError or TypeError for what JSON cannot hold: NaN, names that are not text, an instant without a zone.
    """
    if draft.at.tzinfo is None:
        raise ValueError("an instant without a time zone")
    facts = {_clean_name(name): _plain(value, secret=is_telling(name)) for name, value in draft.facts.items()}
    return replace(draft, actor=clean_text(draft.actor), text=clean_text(draft.text), facts=facts)


def body_of(entry_id: str, said: Draft | Entry, recorded_at: datetime) -> str:
    """The exact text that an entry's hash covers, without `prev`: canonical JSON. A draft is a `recordable` one."""
    return canonical(
        {
            "id": entry_id,
            "at": stamp(said.at),
            "recorded_at": stamp(recorded_at),
            "kind": str(said.kind),
            "actor": said.actor,
            "text": said.text,
            "facts": dict(said.facts),
        }
    )


def link(prev: str, body: str) -> str:
    """The hash of an entry: SHA-256, hex, of `prev`, a line feed and the body."""
    return hashlib.sha256(f"{prev}\n{body}".encode()).hexdigest()


def body_of_entry(entry: Entry) -> str:
    """The text that the entry's hash must cover, computed again from what the entry says."""
    return body_of(entry.id, entry, entry.recorded_at)


def check(entry: Entry, *, prev: str) -> str:
    """The entry's hash, if it follows `prev` and says what was recorded. Raises ChainBroken."""
    check_place(entry, prev=prev)
    try:
        intact = link(prev, body_of_entry(entry)) == entry.hash
    except (ValueError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise ChainBroken(entry.id, "its content is not what was recorded")
    return entry.hash


def check_place(entry: Entry, *, prev: str) -> str:
    """The entry's hash, if it follows `prev`. For one whose words were redacted after they were recorded."""
    if entry.prev != prev:
        raise ChainBroken(entry.id, "does not follow the entry before it: one was removed, added or moved")
    return entry.hash


def verify(entries: Iterable[Entry], *, start: str = GENESIS) -> int:
    """Checks the chain and returns the number of entries. Raises ChainBroken at the first entry that does not fit."""
    prev, count = start, 0
    for entry in entries:
        prev, count = check(entry, prev=prev), count + 1
    return count


def read_body(body: str, *, prev: str, digest: str) -> Entry:
    """The entry whose recorded text is `body`. Raises ValueError for a text that no entry has."""
    return read_entry({**_object(json.loads(body)), "prev": prev, "hash": digest})


def read_entry(fields: Mapping[str, object]) -> Entry:
    """The entry that an export's object describes. Raises ValueError, naming what is missing, wrong or too much."""
    if fields.keys() != _FIELDS:
        odd = ", ".join(sorted(fields.keys() ^ _FIELDS))
        raise ValueError(f"not the fields of an entry: {odd}")
    words = {name: value for name, value in fields.items() if isinstance(value, str)}
    if words.keys() != _FIELDS - {"facts"}:
        raise ValueError("a field of the entry is not text")
    return Entry(
        id=words["id"],
        at=_instant(words["at"]),
        recorded_at=_instant(words["recorded_at"]),
        kind=words["kind"],
        actor=words["actor"],
        text=words["text"],
        facts=_object(fields["facts"]),
        prev=words["prev"],
        hash=words["hash"],
    )


_FIELDS = frozenset({"id", "at", "recorded_at", "kind", "actor", "text", "facts", "prev", "hash"})


_STAMP = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{6}Z", re.ASCII)
"""How `stamp` spells an instant: Python reads other spellings too."""


def _instant(text: str) -> datetime:
    if _STAMP.fullmatch(text) is None:
        raise ValueError(f"not an instant as the timeline spells it: {text[:40]!r}")
    return datetime.fromisoformat(text)


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  what a file says wrong is a wrong value
    return value


@lru_cache(4096)
def _clean_name(name: str) -> str:
    """Names are few, and the same in every entry."""
    return clean_text(name)


def _plain(value: object, *, secret: bool = False) -> object:
    """The value as JSON would give it back, its texts cleaned; what is under a telling name is a secret throughout."""
    match value:
        case Mapping():
            return {_clean_name(name): _plain(part, secret=secret or is_telling(name)) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part, secret=secret) for part in value]
        case str() | int() | float() if secret:
            return hidden(value)
        case str():
            return clean_text(str(value))
        case None | bool():
            return value
        case int() | float():
            return int(value) if isinstance(value, int) else float(value)
        case _:
            raise TypeError(f"not JSON: {type(value).__name__}")

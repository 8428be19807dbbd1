"""Edits and removals: entries like all others, which say how an earlier entry is to be shown.

An `entry.edited` names the entry in its fact `entry`, and the new text and the new instant in its facts `text` and
`at`, of which either may be missing. An `entry.hidden` names the entry in its fact `entry`. The raw log never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bot.core.timeline import Entry, Kind

ENTRY = "entry"
TEXT = "text"
AT = "at"

_REVISING = {Kind.ENTRY_EDITED, Kind.ENTRY_HIDDEN}


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as it is to be shown. `entry` carries the edited text and time."""

    entry: Entry
    edited: bool


@dataclass(slots=True)
class Revisions:
    """What the entries learned so far say about earlier ones. Memory grows with the edits, not with the timeline."""

    _edits: dict[str, dict[str, object]] = field(default_factory=dict)
    _hidden: set[str] = field(default_factory=set)

    def learn(self, entry: Entry) -> None:
        """Takes note of an edit or a removal; of two edits of a text, or of a time, the later one counts."""
        target = entry.facts.get(ENTRY)
        if not isinstance(target, str):
            return
        if entry.kind == Kind.ENTRY_EDITED:
            said = {name: entry.facts[name] for name in (TEXT, AT) if entry.facts.get(name) is not None}
            self._edits.setdefault(target, {}).update(said)
        elif entry.kind == Kind.ENTRY_HIDDEN:
            self._hidden.add(target)

    @property
    def hidden(self) -> int:
        """How many entries are hidden."""
        return len(self._hidden)

    @property
    def edited(self) -> int:
        """How many entries are shown with another text or time than they were recorded with."""
        return len(self._edits.keys() - self._hidden)

    def shown(self, entry: Entry) -> Shown | None:
        """The entry as it is to be shown; None for a hidden one and for an edit itself."""
        if entry.kind in _REVISING or entry.id in self._hidden:
            return None
        edit = self._edits.get(entry.id)
        if edit is None:
            return Shown(entry, edited=False)
        text = edit.get(TEXT)
        shown = replace(entry, text=text if isinstance(text, str) else entry.text, at=_at(edit.get(AT)) or entry.at)
        return Shown(shown, edited=True)


def _at(said: object) -> datetime | None:
    """The instant that an edit names, in UTC if it names no zone; None if it cannot be read."""
    try:
        at = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)

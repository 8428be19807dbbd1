"""Edits and removals: entries like all others, which say how an earlier entry is to be shown.

An `entry.edited` names the entry in its fact `entry` and carries the new text as its own text and, where the time
changes too, the new instant in its fact `at`. An `entry.hidden` names the entry in its fact `entry`. The raw log never
changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core.timeline import Entry, Kind

ENTRY = "entry"
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

    _edits: dict[str, Entry] = field(default_factory=dict)
    _hidden: set[str] = field(default_factory=set)

    def learn(self, entry: Entry) -> None:
        """Takes note of an edit or a removal; of two edits the later one counts. Other entries say nothing here."""
        target = entry.facts.get(ENTRY)
        if not isinstance(target, str):
            return
        if entry.kind == Kind.ENTRY_EDITED:
            self._edits[target] = entry
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
        return Shown(replace(entry, text=edit.text, at=_at(edit) or entry.at), edited=True)


def _at(edit: Entry) -> datetime | None:
    said = edit.facts.get(AT)
    try:
        at = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return at if at and at.tzinfo else None

"""Corrections: entries like all others, which say how an earlier entry is to be shown. The raw log never changes.

Each names the entry that it is about, and may give a reason (`bot.core.record.facts.Correction`). An `entry.edited`
carries the new text and the new instant, of which either may be missing. `entry.hidden` and `entry.restored`,
`entry.marked` and `entry.unmarked` undo each other; the later one counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from bot.core.record.facts import (
    Correction,
    EntryEdited,
    EntryHidden,
    EntryMarked,
    EntryRestored,
    EntryUnmarked,
    facts_of,
)
from bot.core.record.timeline import Entry, Kind

LONGEST_TEXT = 10_000
"""Characters of an edited text."""


class Marking(StrEnum):
    """What can be done to a complete entry, in the words of the commands."""

    HIDE = "hide"
    RESTORE = "restore"
    KEY = "mark"
    NOT_KEY = "unmark"


class Milestone(StrEnum):
    """What a key moment was for the incident."""

    DETECTED = "detected"
    DIAGNOSED = "diagnosed"
    FIXED = "fixed"


CORRECTIONS = frozenset(kind for kind in Kind if kind.startswith("entry."))


@dataclass(frozen=True, slots=True)
class Change:
    """One correction: who made it, when and why, and what the entry said before. `kind` is the correction's own."""

    by: str
    at: datetime
    kind: str
    why: str
    was_text: str | None = None
    was_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry as it is to be shown. `entry` carries the edited text and time; `changes` are in order.

    `milestone` is what a key moment was for the incident, None where nobody said.
    """

    entry: Entry
    changes: tuple[Change, ...]
    is_key: bool
    milestone: Milestone | None = None

    @property
    def edited(self) -> bool:
        return any(change.kind == Kind.ENTRY_EDITED for change in self.changes)


@dataclass(slots=True)
class Revisions:
    """What the entries learned so far say about earlier ones. Memory grows with corrections, not with the timeline."""

    _about: dict[str, list[tuple[Entry, Correction]]] = field(default_factory=dict)

    def learn(self, entry: Entry) -> None:
        """Takes note of a correction; everything else is passed over."""
        facts = facts_of(entry) if entry.kind in CORRECTIONS else None
        if isinstance(facts, Correction) and facts.entry:
            self._about.setdefault(facts.entry, []).append((entry, facts))

    @property
    def hidden(self) -> int:
        """How many entries are hidden."""
        return len(self.hidden_entries)

    @property
    def hidden_entries(self) -> tuple[str, ...]:
        """The ids of the entries that are hidden, by when they were first corrected."""
        return tuple(target for target in self._about if self.is_hidden(target))

    @property
    def corrections(self) -> int:
        """How many entries correct others."""
        return sum(map(len, self._about.values()))

    def is_corrected(self, entry_id: str) -> bool:
        return entry_id in self._about

    @property
    def edited(self) -> int:
        """How many entries are shown with another text or time than they were recorded with."""
        return sum(
            not self.is_hidden(target) and any(isinstance(facts, EntryEdited) for _, facts in about)
            for target, about in self._about.items()
        )

    @property
    def key_moments(self) -> frozenset[str]:
        """The ids of the entries that are key moments and not hidden."""
        return frozenset(target for target in self._about if self.is_key(target) and not self.is_hidden(target))

    def is_hidden(self, entry_id: str) -> bool:
        return isinstance(self._last_of(entry_id, EntryHidden, EntryRestored), EntryHidden)

    def is_key(self, entry_id: str) -> bool:
        return isinstance(self._last_of(entry_id, EntryMarked, EntryUnmarked), EntryMarked)

    def milestone(self, entry_id: str) -> Milestone | None:
        """What the person who marked it last said that it was."""
        marked = self._last_of(entry_id, EntryMarked, EntryUnmarked)
        said = marked.milestone if isinstance(marked, EntryMarked) else ""
        return Milestone(said) if said in set(Milestone) else None

    def shown(self, entry: Entry) -> ShownEntry | None:
        """The entry as it is to be shown; None for a hidden one and for a correction itself."""
        if entry.kind in CORRECTIONS or (entry.id in self._about and self.is_hidden(entry.id)):
            return None
        return self.seen(entry)

    def seen(self, entry: Entry) -> ShownEntry:
        """The entry with its corrections, hidden or not."""
        now, changes = entry, list[Change]()
        if entry.id not in self._about:  # as nearly all are
            return ShownEntry(entry, (), is_key=False)
        for correction, facts in self._about[entry.id]:
            before = now
            if isinstance(facts, EntryEdited):
                text = now.text if facts.text is None else facts.text
                now = replace(now, text=text, at=facts.at or now.at)
            changes.append(
                Change(
                    by=correction.actor,
                    at=correction.recorded_at,
                    kind=correction.kind,
                    why=facts.why,
                    was_text=before.text if before.text != now.text else None,
                    was_at=before.at if before.at != now.at else None,
                )
            )
        return ShownEntry(now, tuple(changes), self.is_key(entry.id), self.milestone(entry.id))

    def _last_of(self, entry_id: str, *of: type[Correction]) -> Correction | None:
        about = reversed(self._about.get(entry_id, ()))
        return next((facts for _, facts in about if isinstance(facts, of)), None)

"""What happened at one instant: the marks on the time axis, and the key moments that people chose. Bounded.

Corrections come after the entries that they are about, so that what a mark needs of its entry is kept, and corrected
when the marks are asked for.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bot.core.account.values import Mark
from bot.core.phrase import one_line
from bot.core.record.facts import EntryMarked, Facts, KillConfirmed, page_in, page_of
from bot.core.record.kinds import MarkKind, meaning_of
from bot.core.record.revision import Revisions
from bot.core.record.timeline import Entry

MOST_MARKS = 2_000
_MOST_RECENT = 2_000
_LONGEST_LABEL = 120


@dataclass(slots=True)
class Marks:
    """The entries that make a mark, and those that people marked, without their facts."""

    _told: list[tuple[MarkKind, Entry]] = field(default_factory=list)
    _key: dict[str, Entry] = field(default_factory=dict)
    _recent: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    _missing: dict[str, None] = field(default_factory=dict)
    _pages: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def learn(self, entry: Entry, facts: Facts | None) -> None:
        if isinstance(facts, EntryMarked):
            self._mark(facts.entry)
            return
        light = _light(entry)
        self._has_page(entry, page_in(facts))
        self._recent[entry.id] = light
        if len(self._recent) > _MOST_RECENT:
            self._recent.popitem(last=False)
        kind = meaning_of(entry.kind).mark
        if kind is not None and not (isinstance(facts, KillConfirmed) and facts.restarted):
            self._told.append((kind, light))
        if len(self._told) > MOST_MARKS:
            self._told = _thinned(self._told)

    @property
    def missing(self) -> frozenset[str]:
        """Entries that were marked long after they were recorded, and are needed once more: see `recall`."""
        return frozenset(self._missing)

    def recall(self, entry: Entry) -> None:
        if entry.id in self._missing:
            del self._missing[entry.id]
            self._key[entry.id] = _light(entry)
            self._has_page(entry, page_of(entry))

    def _has_page(self, entry: Entry, page: str) -> None:
        """Remembers the address that an entry names, of the latest ones: nearly all name none."""
        if page:
            self._pages[entry.id] = page
            if len(self._pages) > _MOST_RECENT:
                self._pages.popitem(last=False)

    def shown(self, revisions: Revisions) -> tuple[Mark, ...]:
        """By when they happened, with corrections applied; hidden ones are left out."""
        return tuple(sorted(self._shown(revisions), key=lambda mark: mark.at))

    def _shown(self, revisions: Revisions) -> Iterator[Mark]:
        chosen = [(MarkKind.KEY, self._key[key]) for key in revisions.key_moments if key in self._key]
        for kind, light in (*self._told, *chosen):
            shown = revisions.shown(light)
            if shown is not None:
                now = shown.entry
                milestone = shown.milestone if kind is MarkKind.KEY and shown.milestone else ""
                label, page = one_line(now.text)[:_LONGEST_LABEL], self._pages.get(now.id, "")
                yield Mark(now.at, kind, label, now.actor, now.id, page, milestone)

    def _mark(self, target: str) -> None:
        if not target or target in self._key or len(self._key) >= MOST_MARKS:
            return
        found = self._recent.get(target) or next((told for _, told in self._told if told.id == target), None)
        if found is not None:
            self._key[target] = found
        elif len(self._missing) < MOST_MARKS:
            self._missing[target[:_LONGEST_LABEL]] = None


def _light(entry: Entry) -> Entry:
    return replace(entry, text=entry.text[: 2 * _LONGEST_LABEL], facts={})


def _thinned(told: list[tuple[MarkKind, Entry]]) -> list[tuple[MarkKind, Entry]]:
    """Without every second of the kind that there is most of; the first and the last of it stay."""
    ((most, number),) = Counter(kind for kind, _ in told).most_common(1)
    place, kept = 0, []
    for kind, light in told:
        if kind is most:
            place += 1
            if place % 2 == 0 and place != number:
                continue
        kept.append((kind, light))
    return kept

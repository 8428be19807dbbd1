"""The timeline, a page at a time: what is read grows with the page and the corrections, not with the timeline."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.record.incident import Incident
from bot.core.record.revision import Revisions, ShownEntry
from bot.core.reports.report import TimelineReport
from bot.usecases.record.correct import revisions
from bot.usecases.world import World

MOST = 25
"""Entries on a page."""

_AT_ONCE = 50
_READS = 20
"""How many times a page reads on past entries that are hidden or corrections, before it is shown as it is."""


async def newest(world: World, incident: Incident, size: int) -> TimelineReport:
    """The page with the newest entries. Raises JournalAway."""
    return await older(world, incident, before=None, size=size)


async def older(world: World, incident: Incident, *, before: str | None, size: int) -> TimelineReport:
    """The page that ends right before the entry `before`. Raises JournalAway."""
    known, size = await revisions(world, incident.id), min(size, MOST)
    found: list[ShownEntry] = []
    at, newest_read = before, None
    for _ in range(_READS):
        page = await world.journal.page(incident.id, before=at, count=_AT_ONCE)
        newest_read = newest_read or (page[-1].id if page else None)
        for entry in reversed(page):
            at = entry.id
            if (shown := known.shown(entry)) is not None:
                found.append(shown)
            if len(found) == size:
                break
        if len(found) == size or not page or at == _FIRST:
            break
    newer = newest_read if before is not None else None
    return await _report(world, incident, found[::-1], known, size, older=at, newer=newer)


async def newer(world: World, incident: Incident, *, after: str, size: int) -> TimelineReport:
    """The page that begins right behind the entry `after`, or the newest one if it would not be full.

    Raises JournalAway.
    """
    known, size = await revisions(world, incident.id), min(size, MOST)
    found: list[ShownEntry] = []
    at = after
    for _ in range(_READS):
        read = await world.journal.page(incident.id, before=str(int(at) + 1 + _AT_ONCE), count=_AT_ONCE)
        page = [entry for entry in read if int(entry.id) > int(at)]
        for entry in page:
            at = entry.id
            if (shown := known.shown(entry)) is not None:
                found.append(shown)
            if len(found) == size:
                return await _report(world, incident, found, known, size, older=str(int(after) + 1), newer=at)
        if not page:
            break
    return await newest(world, incident, size)


_FIRST = "1"


async def _report(
    world: World,
    incident: Incident,
    shown: Iterable[ShownEntry],
    known: Revisions,
    size: int,
    *,
    older: str | None,
    newer: str | None,
) -> TimelineReport:
    last = await world.journal.tail(incident.id, 1)
    total = int(last[-1].id) if last else 0
    return TimelineReport(
        incident=incident,
        shown=tuple(shown),
        total=total,
        hidden=known.hidden_entries,
        size=size,
        older=older if older is not None and older != _FIRST else None,
        newer=newer if newer is not None and int(newer) < total else None,
        corrections=known.corrections,
    )

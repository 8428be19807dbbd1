"""Putting the record right: another text or time for an entry, hidden or shown, a key moment or none.

The raw log is never changed. A correction is an entry of its own that says who made it, when and why; what it is about
stays as it was recorded, proof of a release as much as a note, and verifies as before.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bot.core.record.facts import (
    Correction,
    EntryEdited,
    EntryHidden,
    EntryMarked,
    EntryRestored,
    EntryUnmarked,
    draft_of,
    facts_of,
)
from bot.core.record.incident import Incident
from bot.core.record.revision import LONGEST_TEXT, Marking, Milestone, Revisions
from bot.core.record.timeline import Draft, Entry
from bot.core.reports.report import Corrected
from bot.errors import NotPermitted
from bot.usecases.export.incident_export import reissue_if_late
from bot.usecases.record.channel_incidents import latest
from bot.usecases.world import World

LONGEST_REASON = 1_000
"""Characters of a reason."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_MARKINGS: dict[Marking, tuple[type[Correction], str]] = {
    Marking.HIDE: (EntryHidden, "hid entry {}"),
    Marking.RESTORE: (EntryRestored, "restored entry {}"),
    Marking.KEY: (EntryMarked, "marked entry {} as a key moment"),
    Marking.NOT_KEY: (EntryUnmarked, "removed entry {} from the key moments"),
}


async def edit(
    world: World,
    incident_id: str,
    entry_id: str,
    *,
    by: str,
    text: str | None = None,
    at: datetime | None = None,
    why: str = "",
    once: str | None = None,
) -> Corrected:
    """Puts the text, the time or both of an entry right, in an open incident or a closed one.

    `once` is the idempotency key of the request. Raises NotPermitted for what cannot be, JournalAway.
    """
    text = None if text is None else text.strip()
    if reason := wrong_text(text) or wrong_time(at, world.clock.now()) or wrong_reason(why):
        raise NotPermitted(f"{reason} Nothing was changed.")
    incident, entry, known = await _entry(world, incident_id, entry_id)
    now = known.seen(entry).entry
    new_text, new_at = text if text != now.text else None, at if at != now.at else None
    if new_text is None and new_at is None:
        return _unchanged(incident, entry, known)
    facts = EntryEdited(entry=entry.id, why=why, text=new_text, at=new_at)
    draft = draft_of(facts, world.clock.now(), by, f"edited entry {entry.id}", once=once)
    return await _record(world, incident, entry, known, draft)


async def mark(
    world: World,
    incident_id: str,
    entry_id: str,
    *,
    by: str,
    how: Marking,
    why: str = "",
    milestone: Milestone | None = None,
    once: str | None = None,
) -> Corrected:
    """Hides an entry, shows it again, makes it a key moment or none. Raises as `edit` does.

    A key moment may be a `milestone`; without one the earlier word on that stays.
    """
    if reason := wrong_reason(why):
        raise NotPermitted(f"{reason} Nothing was changed.")
    incident, entry, known = await _entry(world, incident_id, entry_id)
    before = known.milestone(entry.id)
    if _is_so(known, entry.id, how) and (milestone is None or milestone is before):
        return _unchanged(incident, entry, known)
    of, did = _MARKINGS[how]
    facts = of(entry=entry.id, why=why)
    if isinstance(facts, EntryMarked) and milestone is not None:
        facts, did = replace(facts, milestone=milestone), f"{did}: {milestone}"
    draft = draft_of(facts, world.clock.now(), by, did.format(entry.id), once=once)
    return await _record(world, incident, entry, known, draft)


async def look(world: World, incident_id: str, entry_id: str) -> Corrected:
    """The entry as it is to be shown now, if it can be corrected. Raises NotPermitted if not, JournalAway."""
    return _unchanged(*await _entry(world, incident_id, entry_id))


async def incident_of(world: World, channel: str) -> Incident:
    """The channel's open incident, else the one that was closed last. Raises NotPermitted if there never was one."""
    found = await latest(world, channel)
    if found is None:
        raise NotPermitted("There was no incident in this channel. /tflock open starts one. Nothing was changed.")
    return found


def wrong_text(text: str | None) -> str:
    """What is wrong with a new text, as a sentence; empty if nothing is. None: the text is to stay as it is."""
    if text is None:
        return ""
    if not text.strip():
        return "The text of an entry cannot be empty: hide the entry instead."
    if len(text) > LONGEST_TEXT:
        return f"The text has {len(text):,} characters, and {LONGEST_TEXT:,} are the most."
    return ""


def wrong_time(at: datetime | None, now: datetime) -> str:
    """As `wrong_text`, for a new time."""
    if at is None:
        return ""
    if at > now:
        return "That time is in the future."
    return "That time is before 1970." if at < _EARLIEST else ""


def wrong_reason(why: str) -> str:
    """As `wrong_text`, for a reason."""
    too_long = len(why) > LONGEST_REASON
    return f"The reason has {len(why):,} characters, and {LONGEST_REASON:,} are the most." if too_long else ""


async def _entry(world: World, incident_id: str, entry_id: str) -> tuple[Incident, Entry, Revisions]:
    incident = await world.journal.find(incident_id)
    entry = None if incident is None else await world.journal.entry(incident_id, entry_id)
    if incident is None or entry is None:
        raise NotPermitted(
            f"There is no entry {entry_id[:12]} in this incident; /tflock timeline shows their numbers. "
            "Nothing was changed."
        )
    facts = facts_of(entry)
    if isinstance(facts, Correction):
        raise NotPermitted(
            f"Entry {entry.id} is itself a correction, of entry {facts.entry[:12]}: correct that one "
            "again instead. Nothing was changed."
        )
    return incident, entry, await revisions(world, incident_id)


async def revisions(world: World, incident_id: str) -> Revisions:
    """Everything that was corrected so far. Raises JournalAway."""
    known = Revisions()
    for correction in await world.journal.corrections(incident_id):
        known.learn(correction)
    return known


def _is_so(known: Revisions, entry_id: str, how: Marking) -> bool:
    if how in {Marking.HIDE, Marking.RESTORE}:
        return known.is_hidden(entry_id) is (how is Marking.HIDE)
    return known.is_key(entry_id) is (how is Marking.KEY)


async def _record(world: World, incident: Incident, entry: Entry, known: Revisions, draft: Draft) -> Corrected:
    before = known.seen(entry)
    appended = await world.journal.append(incident.id, draft)
    known.learn(appended.entry)
    if appended.added and not incident.is_open:
        await reissue_if_late(world, incident.id)
    return Corrected(incident, before, known.seen(entry), known.is_hidden(entry.id), appended.added)


def _unchanged(incident: Incident, entry: Entry, known: Revisions) -> Corrected:
    now = known.seen(entry)
    return Corrected(incident, now, now, known.is_hidden(entry.id), changed=False)

"""Whether the live timeline of an incident is what was recorded: every entry, and nothing missing at its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.record.incident import Course, Incident
from bot.core.record.timeline import Entry
from bot.errors import ChainBroken
from bot.ports.journal import Journal


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry that does not fit; `at` is when it says that it was recorded, None if it cannot be read."""

    entry_id: str
    at: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Checked:
    """`entries` are those that fit, `last` the hash of the last of them; it stands for all before it."""

    incident: Incident
    entries: int
    last: str
    broken: Broken | None


async def verify(journal: Journal, incident: Incident) -> Checked:
    """Reads the whole timeline, in bounded memory. What is added meanwhile breaks nothing. Raises JournalAway."""
    course = Course()
    try:
        end = await journal.end(incident.id)
        broken = await _first_broken(journal, incident.id, course, end)
        broken = broken or await _broken_end(journal, incident.id, course, end)
    except ChainBroken as error:
        broken = Broken(error.entry_id, None, error.detail)
    return Checked(incident, course.count, course.hash, broken)


async def _first_broken(
    journal: Journal, incident_id: str, course: Course, end: tuple[str, str] | None
) -> Broken | None:
    async for entry in journal.entries(incident_id):
        try:
            course.learn(entry)
        except ChainBroken as error:
            return _at(entry, error)
        if end is not None and entry.id == end[0] and entry.hash != end[1]:
            return Broken(entry.id, entry.recorded_at, "is not the entry that the incident itself names as its last")
    return None


async def _broken_end(
    journal: Journal, incident_id: str, course: Course, before: tuple[str, str] | None
) -> Broken | None:
    """The end and the incident's own fields are kept apart from the entries, so each shows tampering with the other.

    The fields are compared only if nothing was added meanwhile: they change together with an entry.
    """
    incident, after = await journal.find(incident_id), await journal.end(incident_id)
    if before is None or after is None or incident is None:
        return Broken("1", None, "the incident has lost its own fields")
    if course.count < int(before[0]):
        missing = str(course.count + 1)
        return Broken(
            missing, None, f"is missing, with everything after it; the incident names {before[0]} as its last entry"
        )
    if course.count > int(after[0]):
        return Broken(str(int(after[0]) + 1), None, "is behind the entry that the incident names as its last")
    if before == after and course.last is not None:
        try:
            course.agree(incident)
        except ChainBroken as error:
            return _at(course.last, error)
    return None


def _at(entry: Entry, error: ChainBroken) -> Broken:
    return Broken(error.entry_id, entry.recorded_at if error.entry_id == entry.id else None, error.detail)

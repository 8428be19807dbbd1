"""The record of an incident as files: automatically when it is closed, on request, and again after late corrections.

The files are written once into the export directory; every further target is a job of its own (`deliver`), so that none
waits for another and the closing waits for none. All steps may be done again: the same version makes the same files.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta

import structlog

from bot.core.account.edition import DIRECTORY, Edition, outline_of
from bot.core.evidence import Found
from bot.core.record.incident import Incident
from bot.core.record.kinds import meaning_of
from bot.core.record.timeline import Entry, Kind
from bot.usecases.export import editions, followups
from bot.usecases.export.deliver import finish, start_deliveries
from bot.usecases.export.editions import OK, Progress
from bot.usecases.export.files import digests, write_anywhere
from bot.usecases.lease import lease
from bot.usecases.world import World

log = structlog.get_logger()

LATE_AFTER = timedelta(seconds=60)
"""How long after the last correction of a closed incident its export is made again."""

_PATIENCE = timedelta(seconds=30)
_USER = re.compile(r"[UW][A-Z0-9]+")
_MOST_NAMED = 100
_MOST_LATE = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for an export comes to. `is_making` is False where the last export still holds everything."""

    incident: Incident
    is_making: bool


async def ask(world: World, incident: Incident, *, user: str) -> Asked:
    """Has the incident exported now, unless nothing has changed since the last export and that reached every target."""
    last = await editions.last_entry(world, incident.id)
    progress = None if last is None else await editions.find(world, incident.id, last.hash)
    if progress is not None and progress.is_whole and not editions.missing_targets(world, progress):
        return Asked(incident, is_making=False)
    nonce = f"{last.hash if last else ''}/{progress.round if progress else 0}"
    await world.jobs.start("export", incident.id, user, key=f"export:{incident.id}:{nonce}")
    return Asked(incident, is_making=True)


async def reissue_if_late(world: World, incident_id: str) -> None:
    """To be called after every entry that a person has added to a record: exports a closed incident again, soon.

    Further corrections within a minute go into the same export. Raises JournalAway.
    """
    incident = await world.journal.find(incident_id)
    last = None if incident is None or incident.is_open else await _last_correction(world, incident_id)
    if last is not None:
        await _start_reissue(world, incident_id, last)


async def reissue(world: World, incident_id: str, entry_id: str) -> None:
    """Exports a closed incident again, if the correction that asked for it was the last one; else waits for that.

    Raises as `export`. An incident that was opened again is exported when it closes.
    """
    incident = await world.journal.find(incident_id)
    if incident is None or incident.is_open:
        return
    last = await _last_correction(world, incident_id)
    if last is not None and last.id != entry_id:
        await _start_reissue(world, incident_id, last)
        return
    await export(world, incident_id)


async def export(world: World, incident_id: str, by: str = "") -> None:
    """Writes the files and starts the delivery to every target that has not got this version.

    Raises JournalAway, ChainBroken or Busy; OSError if no file could be written anywhere.
    """
    if await world.journal.find(incident_id) is None:
        log.warning("export.unknown_incident", incident=incident_id)
        return
    async with lease(world.records, f"export/{incident_id}", holder=world.new_id(), patience=_PATIENCE):
        progress = await _taken_up(world, incident_id, by)
        if progress is None or progress.is_whole:
            return
        if progress.outline is None or DIRECTORY in progress.pending:
            progress = await _write(world, progress)
    await start_deliveries(world, progress)
    await finish(world, progress)


async def _taken_up(world: World, incident_id: str, by: str) -> Progress | None:
    last, incident = await editions.last_entry(world, incident_id), await world.journal.find(incident_id)
    if last is None or incident is None:
        return None
    progress = await editions.find(world, incident_id, last.hash)
    if progress is None:
        names, zone = await _people(world, incident)
        return await editions.begin(
            world, Edition(incident, last.hash, last.id, world.clock.now(), names, world.export_zone or zone, by)
        )
    if not progress.pending and (progress.failed or editions.missing_targets(world, progress)):
        return await editions.again(world, progress)
    return progress


async def _people(world: World, incident: Incident) -> tuple[dict[str, str], str]:
    """What channel and people on the timeline are called, as far as Slack says so now, and the opener's time zone."""
    actors = {entry.actor async for entry in world.journal.entries(incident.id)} | {incident.opened_by}
    people = sorted(actor for actor in actors if _USER.fullmatch(actor))[:_MOST_NAMED]
    seen = await asyncio.gather(*(world.directory.member(user) for user in people))
    members = {user: found.value for user, found in zip(people, seen, strict=True) if isinstance(found, Found)}
    names = {user: member.name for user, member in members.items()}
    channel = await world.directory.channel(incident.channel)
    if isinstance(channel, Found) and channel.value.name:
        names[incident.channel] = f"#{channel.value.name}"
    opener = members.get(incident.opened_by)
    return names, (opener.tz if opener is not None else None) or "UTC"


async def _last_correction(world: World, incident_id: str) -> Entry | None:
    """The last entry that a person has added since the closing."""
    for entry in reversed(await world.journal.tail(incident_id, _MOST_LATE)):
        if entry.kind == Kind.INCIDENT_CLOSED:
            return None
        if meaning_of(entry.kind).is_late:
            return entry
    return None


async def _start_reissue(world: World, incident_id: str, last: Entry) -> None:
    key = f"reissue:{incident_id}:{last.id}"
    await world.jobs.start("reissue", incident_id, last.id, key=key, at=last.recorded_at + LATE_AFTER)


async def _write(world: World, progress: Progress) -> Progress:
    done, trouble = await write_anywhere(world, progress.edition)
    files = await asyncio.to_thread(digests, done.paths) if not trouble and done.paths else {}
    await followups.record(world, progress.edition, done.account)
    progress = await editions.written(
        world, progress, outline=outline_of(done.account), files=files, not_written=done.failed
    )
    if trouble:
        log.warning("export.directory_failed", incident=progress.edition.incident.id, detail=trouble)
        return progress
    return await editions.settle(world, progress, DIRECTORY, OK)

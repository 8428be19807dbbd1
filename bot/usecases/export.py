"""The record of an incident as files, by itself when it is closed. A failing target never holds the others up."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import structlog

from bot.core.evidence import Found
from bot.core.incident import Incident
from bot.core.phrase import Quoted
from bot.core.report import Notice
from bot.core.timeline import Draft, Kind
from bot.errors import UpstreamError
from bot.usecases.world import World

log = structlog.get_logger()

_USER = re.compile(r"[UW][A-Z0-9]+")
_MOST_NAMED = 100


async def export(world: World, incident_id: str) -> tuple[Path, ...]:
    """Writes the files, uploads them to the incident's channel if that is configured, and notes it on the timeline.

    Exporting again replaces the files. Raises JournalAway; OSError if the directory cannot be written.
    """
    incident = await world.journal.find(incident_id)
    if incident is None:
        log.warning("export.unknown_incident", incident=incident_id)
        return ()
    written = await world.exporter.write(incident, await _names(world, incident), world.export_zone or "UTC")
    paths = written.paths
    failed = await _upload(world, incident, paths) if world.upload_exports else ""
    facts = {"files": [path.name for path in paths], "uploaded": world.upload_exports and not failed, "failed": failed}
    text = f"exported as {', '.join(path.name for path in paths)}" + (f"; upload failed: {failed}" if failed else "")
    await world.journal.append(incident.id, Draft(world.clock.now(), Kind.EXPORT_MADE, "tflock", text, facts))
    log.info("export.made", incident=incident.id, files=len(paths))
    return paths


async def _names(world: World, incident: Incident) -> dict[str, str]:
    """What the channel and the people on the timeline are called, as far as Slack says so now."""
    actors = {entry.actor async for entry in world.journal.entries(incident.id)}
    people = sorted(actor for actor in actors if _USER.fullmatch(actor))[:_MOST_NAMED]
    members = await asyncio.gather(*(world.directory.member(user) for user in people))
    names = {user: seen.value.name for user, seen in zip(people, members, strict=True) if isinstance(seen, Found)}
    channel = await world.directory.channel(incident.channel)
    if isinstance(channel, Found) and channel.value.name:
        names[incident.channel] = f"#{channel.value.name}"
    return names


async def _upload(world: World, incident: Incident, paths: tuple[Path, ...]) -> str:
    """What went wrong, in one sentence; empty if nothing did. Each file is uploaded once per content."""
    failed = ""
    for path in paths:
        content = await asyncio.to_thread(path.read_bytes)
        try:
            await world.notifier.upload(
                incident.channel,
                filename=path.name,
                content=content,
                title=f"{incident.title} ({incident.id})",
                comment=f"Timeline of {incident.id}",
            )
        except UpstreamError as error:
            log.warning("export.not_uploaded", incident=incident.id, file=path.name, detail=error.detail)
            failed = failed or f"{path.name}: {error.detail}"
    if failed:
        await _tell(world, incident, failed)
    return failed


async def _tell(world: World, incident: Incident, failed: str) -> None:
    lines = (("The timeline itself is whole, and the files are in the export directory: ", Quoted(failed)),)
    try:
        await world.teller.notice(incident.channel, Notice("The export could not be uploaded here", lines))
    except UpstreamError as error:
        log.warning("export.not_told", incident=incident.id, detail=error.detail)

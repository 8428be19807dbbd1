"""An edition in its channel: a summary, the files in one message below it, and the word that earlier ones are outdated.

Each step is written down as soon as it is done. After a crash between a step and its writing down, Slack is asked: the
summary carries a mark that is looked up, and the files were known by their ids before they were shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import structlog

from bot.core.account.edition import Changed, Edition, ExportReport, changes_in
from bot.core.record.timeline import Kind
from bot.errors import Final, Missing, Unreachable, UpstreamError
from bot.ports.messenger import Posted
from bot.usecases.export import editions
from bot.usecases.export.editions import KEPT, Progress
from bot.usecases.outbox import Outgoing, post_once
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

_LOOKS, _LOOKS_AGAIN, _BETWEEN_LOOKS = 20, 3, 0.5
"""Seconds between looks for the files; fewer looks where another worker shared them a while ago, or did not."""

_MOST_CHANGES = 10_000
_MOST_OUTDATED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How far an edition has come. `files` are staged, by id; `is_begun` once they may be in the channel."""

    since: datetime
    thread: str
    ts: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    is_begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The edition of an incident that was shared last, and the earlier ones with their messages."""

    version: str
    last: str
    closed: bool
    ts: str
    thread: str
    outdated: tuple[tuple[str, str], ...] = ()

    @property
    def root(self) -> str:
        """The message whose thread everything about this incident is in."""
        return self.thread or self.ts


SHARING = Shelf("export-share", Sharing, KEPT)
SHARED = Shelf("export-shared", Shared, KEPT)


async def share(world: World, progress: Progress, paths: Sequence[Path]) -> None:
    """Brings the edition into its channel, from wherever an earlier try came to. Raises UpstreamError, OSError."""
    edition = progress.edition
    before = await SHARED.get(world, edition.incident.id)
    if before is not None and before.version == edition.version:
        await _outdate(world, progress, before)
        return
    report = await _report(world, progress, before)
    steps, is_resumed = await _steps(world, edition, before, report)
    posted = await _posted(world, report, steps, is_resumed=is_resumed)
    await _show_files(world, edition, paths, root=steps.thread or posted.ts)
    after = Shared(
        version=edition.version,
        last=edition.last,
        closed=not edition.incident.is_open,
        ts=posted.ts,
        thread=steps.thread,
        outdated=(*before.outdated, (before.version, before.ts))[-_MOST_OUTDATED:] if before else (),
    )
    await SHARED.put(world, edition.incident.id, after)
    await _outdate(world, progress, after)


async def summary_of(world: World, edition: Edition) -> str:
    """The `ts` of the message under which this edition's files are; empty while there is none."""
    steps = await SHARING.get(world, edition.mark)
    return "" if steps is None else steps.thread or steps.ts


async def link_of(world: World, incident_id: str, channel: str) -> str:
    """The address of the newest summary; empty if there is none or Slack does not tell."""
    shared = await SHARED.get(world, incident_id)
    if shared is None:
        return ""
    try:
        return await world.messenger.link(Posted(channel, shared.ts))
    except UpstreamError as error:
        log.warning("export.no_link", incident=incident_id, detail=error.detail)
        return ""


async def _report(world: World, progress: Progress, before: Shared | None) -> ExportReport:
    report = editions.report_of(world, progress)
    if report is None:
        raise Unreachable("the export", "its files have not been written yet")
    if before is None:
        return report
    return replace(report, changes=await _changes(world, progress.edition, after=before.last))


async def _changes(world: World, edition: Edition, *, after: str) -> tuple[Changed, ...]:
    """What has come since the version that was shared last, up to this one."""
    new = []
    async for entry in world.journal.entries(edition.incident.id, after=after):
        new.append(entry)
        if entry.id == edition.last or len(new) == _MOST_CHANGES:
            break
    return changes_in(new)


async def _steps(world: World, edition: Edition, before: Shared | None, report: ExportReport) -> tuple[Sharing, bool]:
    """How far this edition has come; True if someone has tried before."""
    known = await SHARING.get(world, edition.mark)
    if known is not None:
        return known, True
    steps = Sharing(since=world.clock.now(), thread=_thread(edition, before, report))
    await SHARING.put(world, edition.mark, steps)
    return steps, False


def _thread(edition: Edition, before: Shared | None, report: ExportReport) -> str:
    """Corrections of a closed incident go below its summary; all else is news of its own."""
    reopened = {Kind.INCIDENT_CLOSED, Kind.INCIDENT_REOPENED} & {change.kind for change in report.changes}
    if before is None or edition.incident.is_open or not before.closed or reopened:
        return ""
    return before.root


async def _posted(world: World, report: ExportReport, steps: Sharing, *, is_resumed: bool) -> Posted:
    edition = report.edition
    channel, thread = edition.incident.channel, steps.thread
    if steps.ts:
        return Posted(channel, steps.ts)
    summary = Outgoing(channel, report, edition.mark, thread)
    posted = await post_once(world, summary, begun=steps.since if is_resumed else None)
    await SHARING.update(world, edition.mark, ts=posted.ts)
    return posted


async def _show_files(world: World, edition: Edition, paths: Sequence[Path], *, root: str) -> None:
    if not paths:
        return
    channel, steps = edition.incident.channel, await SHARING.get(world, edition.mark)
    staged = dict(steps.files) if steps is not None else {}
    if (
        steps is not None
        and steps.is_begun
        and await _appear(world, channel, staged, looks=_LOOKS_AGAIN, otherwise=False)
    ):
        return
    if not staged:
        chart_first = sorted(paths, key=lambda path: path.suffix != ".png")  # Slack shows it large
        staged = {await world.files.stage(path): path.name for path in chart_first}
        await SHARING.update(world, edition.mark, files=staged)
    try:
        await SHARING.update(world, edition.mark, is_begun=True)
        await world.files.share(channel, staged, thread=root)
    except Missing:
        await SHARING.update(world, edition.mark, files={}, is_begun=False)
        raise Unreachable("Slack", "the uploaded files were gone before they could be shown") from None
    if not await _appear(world, channel, staged, looks=_LOOKS, otherwise=True):
        raise Unreachable("Slack", "the files were taken, and have not appeared in the channel")


async def _appear(world: World, channel: str, staged: dict[str, str], *, looks: int, otherwise: bool) -> bool:
    """Whether the files can be seen in the channel, where they come some moments after Slack's answer.

    `otherwise` is what is taken for true where Slack lets nobody look.
    """
    try:
        for look in range(looks):
            if look:
                await asyncio.sleep(_BETWEEN_LOOKS)
            if await world.files.is_shared(channel, next(iter(staged))):
                return True
    except Final as error:
        log.warning("export.cannot_look", channel=channel, detail=error.detail)
        return otherwise
    return False


async def _outdate(world: World, progress: Progress, shared: Shared) -> None:
    """Says on each earlier summary that there is a newer one. One that cannot be changed any more is left as it is."""
    if not shared.outdated:
        return
    channel = progress.edition.incident.channel
    newer = await world.messenger.link(Posted(channel, shared.ts))
    for version, ts in shared.outdated:
        old = await editions.find(world, progress.edition.incident.id, version)
        report = editions.report_of(world, old) if old is not None else None
        try:
            if report is not None:
                await world.messenger.update(Posted(channel, ts), replace(report, newer=newer))
        except Final as error:
            log.warning("export.not_outdated", incident=progress.edition.incident.id, detail=error.detail)

"""Takes an edition to one target, as a job of its own. A failing target is tried again, and then reported, once.

Delivering again puts the same files in the same place; what must not be done twice (messages in the channel) is looked
at before (`share`). An older edition never replaces a newer one.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePath

import structlog

from bot.core.account.edition import CHANNEL, DIRECTORY
from bot.core.phrase import Phrase, Quoted
from bot.core.record.facts import ExportMade, draft_of
from bot.core.record.timeline import Draft
from bot.core.reports.report import Notice
from bot.errors import Missing, UpstreamError
from bot.usecases.export import editions
from bot.usecases.export.editions import LATER, OK, PENDING, Progress
from bot.usecases.export.files import files_of, write
from bot.usecases.export.share import share, summary_of
from bot.usecases.lease import lease
from bot.usecases.outbox import Outgoing, Sent, say_once
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

_PATIENCE = timedelta(seconds=30)
_TOLD = Shelf("export-told", Sent, editions.KEPT)


async def start_deliveries(world: World, progress: Progress) -> None:
    """One job for each target that has not got this edition. Raises JournalAway."""
    edition = progress.edition
    for target in progress.pending:
        key = f"deliver:{edition.incident.id}:{edition.version}:{target}:{progress.round}"
        await world.jobs.start("deliver", edition.incident.id, edition.version, target, key=key)


async def deliver(world: World, incident_id: str, version: str, target: str, *, is_last_try: bool = False) -> None:
    """Brings the edition to the target, unless that was done. What the target refuses is not tried again.

    Raises UpstreamError, OSError, JournalAway or Busy: then it must be tried again. On the last try it is given up.
    """
    name = f"deliver/{incident_id}/{target}"
    async with lease(world.records, name, holder=world.new_id(), patience=_PATIENCE):
        progress = await editions.find(world, incident_id, version)
        if progress is None:
            log.warning("export.unknown_edition", incident=incident_id, version=version)
            return
        if progress.targets.get(target) == PENDING:
            outcome = await _outcome(world, progress, target, is_last_try=is_last_try)
            progress = await editions.settle(world, progress, target, outcome)
    await finish(world, progress)


async def finish(world: World, progress: Progress) -> None:
    """Reports what has failed, and writes the export on the timeline once every target has had its turn."""
    edition = progress.edition
    if progress.outline is None:
        return
    async with lease(world.records, f"finish/{edition.incident.id}", holder=world.new_id(), patience=_PATIENCE):
        if not progress.pending:
            once = f"export/{edition.version}/{progress.round}"
            await world.journal.append(edition.incident.id, _made(world, progress, once))
            await _propose(world, progress)
        for target, why in progress.failed.items():
            await _tell_once(world, progress, target, why)


async def _propose(world: World, progress: Progress) -> None:
    """Has the follow-ups shown below the summary, as a job of its own."""
    edition = progress.edition
    if progress.outline is not None and progress.outline.followups and progress.targets.get(CHANNEL) == OK:
        key = f"followups:{edition.incident.id}:{edition.version}:{progress.round}"
        await world.jobs.start("followups", edition.incident.id, edition.version, key=key)


async def _outcome(world: World, progress: Progress, target: str, *, is_last_try: bool) -> str:
    edition = progress.edition
    if not await editions.is_newest(world, edition):
        return LATER
    try:
        await _put(world, progress, target)
    except (UpstreamError, OSError) as error:
        if not is_last_try and (isinstance(error, OSError) or error.passes):
            raise
        why = str(error.strerror or error) if isinstance(error, OSError) else error.detail
    except Exception:  # whatever breaks in one target, the others and the timeline still have to hear of it
        if not is_last_try:
            raise
        log.exception("export.target_broke", incident=edition.incident.id, target=target)
        why = "an error in tflock itself"
    else:
        log.info("export.delivered", incident=edition.incident.id, target=target)
        return OK
    log.warning("export.target_failed", incident=edition.incident.id, target=target, detail=why)
    return why


async def _put(world: World, progress: Progress, target: str) -> None:
    incident = progress.edition.incident.id
    if target == DIRECTORY:
        done = await write(world, progress.edition)
        lacking = done.failed.keys() - progress.not_written.keys()
        if lacking:
            raise OSError("; ".join(f"{name}: {done.failed[name]}" for name in sorted(lacking)))
        return
    async with files_of(world, progress) as paths:
        if target == CHANNEL:
            await share(world, progress, paths)
        elif target in world.targets:
            await world.targets[target].deliver(incident, paths)
        else:
            raise Missing(target, "is not in the configuration any more")


def _made(world: World, progress: Progress, once: str) -> Draft:
    edition, failed = progress.edition, progress.failed
    reached = [name for name, state in progress.targets.items() if state == OK]
    text = f"exported to {', '.join(reached)}" if reached else "exported nowhere"
    text += "".join(f"; {name} failed: {why}" for name, why in failed.items())
    facts = ExportMade(
        version=edition.version,
        files=tuple(sorted(PurePath(path).name for path in progress.files)),
        targets={name: state if state in {OK, LATER} else "failed" for name, state in progress.targets.items()},
        failed=failed,
        not_written=progress.not_written,
    )
    return draft_of(facts, world.clock.now(), edition.by or "tflock", text, once=once)


async def _tell_once(world: World, progress: Progress, target: str, why: str) -> None:
    """Tells the channel. Where that cannot be done for good, the timeline and the log have it."""
    edition = progress.edition
    thread = "" if target == CHANNEL else await summary_of(world, edition)
    mark = f"{edition.mark}/{target}/{progress.round}"
    message = Outgoing(edition.incident.channel, _failure(progress, target, why), mark, thread)
    await say_once(world, message, shelf=_TOLD)


_PLACES = {DIRECTORY: "the export directory", CHANNEL: "this channel", "s3": "S3"}


def _failure(progress: Progress, target: str, why: str) -> Notice:
    reached = [name for name, state in progress.targets.items() if state == OK]
    places = ", ".join(_PLACES.get(name, name) for name in reached)
    lines: tuple[Phrase, ...] = (
        ("Why: ", Quoted(why)),
        ("The timeline is complete. ", f"The files are in {places}." if places else "The files are not anywhere yet."),
        (Quoted("/tflock export"), " tries again."),
    )
    headline = f"The export could not be put into {_PLACES.get(target, target)}"
    return Notice(headline, lines, reference=progress.edition.incident.id)

"""The killing as a job: cancel, look, escalate, until the runs are really dead. Runs in a worker, tick by tick.

A CI's "cancelled" is intent. A run counts as ended by the same rules as in the gate (`bot.core.gate.ending`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.core.evidence import Found, Observation
from bot.core.gate.attribution import Candidate
from bot.core.gate.ending import is_over
from bot.core.gate.stages import KillStage
from bot.core.phrase import Phrase, Quoted, joined, plain
from bot.core.record.evidence import RunFacts
from bot.core.record.facts import KillConfirmed, draft_of
from bot.core.reports.kill import KillReport, not_covered
from bot.core.run import Cancelled, CancelResult, Phase, Run, RunRef, Switched, SwitchResult
from bot.errors import UpstreamError
from bot.usecases.kill.targets import ties_of, unseen_words
from bot.usecases.outbox import Outgoing, say_once
from bot.usecases.request.record import KILLS, KillRecord, RequestPhase, show
from bot.usecases.world import World

log = structlog.get_logger()

LOOK_EVERY = timedelta(seconds=3)
GIVE_UP_AFTER = timedelta(minutes=20)
REMIND_AFTER = (timedelta(hours=1), *(timedelta(days=1),) * 6)
"""When the channel is reminded of a source that was switched off, each counted from the reminder before."""


async def kill(world: World, request_id: str, tick: int) -> None:
    """One tick of killing: the first stops the source and cancels, the later ones look, escalate and conclude."""
    record = await KILLS.get(world, request_id)
    if record is None or record.phase is RequestPhase.DONE:
        return
    if record.stop and record.switched is None:
        before = await _read(world, record, record.runs)
        if await _is_stopped(world, record, before, None):
            return
    switched = await _stop_source(world, record)
    ids = await _all_ids(world, record, switched)
    seen = await _read(world, record, ids)
    going = [ref_id for ref_id, run in seen.items() if not _ended(run)]
    if _due(world, record, going) and await _is_stopped(world, record, seen, switched):
        return
    answers = await _push(world, record, going) if going else ()

    taken = {CancelResult.ACCEPTED, CancelResult.ALREADY_ENDED}
    refused = [answer for answer in answers if answer.result not in taken]
    note: Phrase = (f"{record.ci}: {refused[0].result} ", Quoted(refused[0].detail)) if refused else ()
    report = _progress(record, seen, switched, note)
    denied = bool(answers) and all(answer.result is CancelResult.DENIED for answer in answers)
    is_given_up = record.confirmed_at is not None and world.clock.now() - record.confirmed_at > GIVE_UP_AFTER
    if going and not denied and not is_given_up:
        await _show_progress(world, report)
        at = world.clock.now() + LOOK_EVERY
        await world.jobs.start("kill", request_id, str(tick + 1), key=f"kill:{request_id}:{tick + 1}", at=at)
        return
    await _conclude(world, record, replace(report, stage=KillStage.FAILED if going else KillStage.ENDED))


async def _is_stopped(
    world: World, record: KillRecord, seen: dict[str, Observation[Run]], switched: Switched | None
) -> bool:
    """Looks again before a step: minutes lie between them, and a run may have become a holder meanwhile.

    Consent to end what holds a lock is for that lock only. Ends the kill, in words, if there is another.
    """
    runs = [run.value for run in seen.values() if isinstance(run, Found) and not _ended(run)]
    ties = await ties_of(world, runs, record.pipeline)
    since = not_covered(ties, record.agreed, is_loop=record.key.startswith("loop:"))
    if not since:
        return False
    locks = joined(((Quoted(tie.state),) for tie in since), ", ")
    note: Phrase = ("it may now hold the lock of ", *locks, ", and nobody has agreed to end that")
    report = replace(_progress(record, seen, switched, note), stage=KillStage.STOPPED)
    await _conclude(world, record, report)
    return True


async def _show_progress(world: World, report: KillReport) -> None:
    """Not worth failing for: the end is shown in any case."""
    try:
        await show(world.messenger, report)
    except UpstreamError as error:
        log.warning("kill.progress_not_shown", request=report.request.id, detail=error.detail)


async def _stop_source(world: World, record: KillRecord) -> Switched | None:
    """Stops the loop's source first, or new runs start while the old ones are ended."""
    if not record.stop:
        return None
    if record.switched is not None:
        return Switched(record.switched, record.switched_detail)
    switched = await world.sources[record.ci].switch(record.pipeline, on=False)
    if switched.result is not SwitchResult.NOT_KNOWN:
        await KILLS.update(world, record.request.id, switched=switched.result, switched_detail=switched.detail)
    return switched


async def _all_ids(world: World, record: KillRecord, switched: Switched | None) -> tuple[str, ...]:
    """The runs to end: those that were confirmed, and with a loop also those that started before its source stopped."""
    ids = dict.fromkeys(record.runs)
    if switched is not None and not record.listed:
        since = world.clock.now() - timedelta(hours=1)
        listing = await world.sources[record.ci].runs(record.pipeline, since=since)
        found = listing.value if isinstance(listing, Found) else ()
        ids.update(dict.fromkeys(run.ref.id for run in found if run.phase is not Phase.ENDED))
        whole = isinstance(listing, Found) and switched.result is not SwitchResult.NOT_KNOWN
        await KILLS.update(world, record.request.id, runs=tuple(ids), listed=whole)
    return tuple(ids)


async def _read(world: World, record: KillRecord, ids: tuple[str, ...]) -> dict[str, Observation[Run]]:
    """Each run as it is now, by its id. A queue item (Jenkins) gets another id once it runs, and is then forgotten."""
    source = world.sources[record.ci]
    answers = await asyncio.gather(*(source.run(RunRef(record.pipeline, ref_id)) for ref_id in ids))
    seen = {
        answer.value.ref.id if isinstance(answer, Found) else ref_id: answer
        for ref_id, answer in zip(ids, answers, strict=True)
    }
    if tuple(seen) != ids:
        await KILLS.update(world, record.request.id, runs=tuple(seen))
    return seen


def _ended(seen: Observation[Run]) -> bool:
    return isinstance(seen, Found) and is_over(Candidate(seen.value, seen, ()))


async def _push(world: World, record: KillRecord, going: list[str]) -> tuple[Cancelled, ...]:
    """Asks each run to end: once, and once more by force after the system's own delay."""
    force, asked = _step(world, record)
    due = [RunRef(record.pipeline, ref_id) for ref_id in _due(world, record, going)]
    source = world.sources[record.ci]
    answers = tuple(await asyncio.gather(*(source.cancel(ref, force=force) for ref in due)))
    open_ = {CancelResult.NOT_KNOWN, CancelResult.NOT_YET}  # these are asked again in the next round
    known = [ref.id for ref, said in zip(due, answers, strict=True) if said.result not in open_]
    if known:
        await KILLS.update(world, record.request.id, {"forced" if force else "cancelled": (*asked, *known)})
    return answers


def _step(world: World, record: KillRecord) -> tuple[bool, tuple[str, ...]]:
    """Whether it is time for force, and which runs were asked to end in this way already."""
    now = world.clock.now()
    force = now - (record.confirmed_at or now) >= world.sources[record.ci].escalate_after
    return force, record.forced if force else record.cancelled


def _due(world: World, record: KillRecord, going: list[str]) -> list[str]:
    _, asked = _step(world, record)
    return [ref_id for ref_id in going if ref_id not in asked]


def _progress(
    record: KillRecord,
    seen: dict[str, Observation[Run]],
    switched: Switched | None,
    note: Phrase,
) -> KillReport:
    stage = KillStage.ESCALATED if record.forced else KillStage.CANCELLING
    runs = tuple(found.value for found in seen.values() if isinstance(found, Found))
    mute = tuple(found for found in seen.values() if not isinstance(found, Found))
    title = record.pipeline.title
    return KillReport(
        record.request, stage, progress=runs, switched=switched, source=title, note=note, unseen=unseen_words(mute)
    )


_SWITCHED = {
    SwitchResult.DONE: "disabled it",
    SwitchResult.DENIED: "could not disable it: tflock has no right to",
    SwitchResult.NOT_FOUND: "could not disable it: CI does not know it",
    SwitchResult.NOT_KNOWN: "does not know whether it is disabled",
}


async def _conclude(world: World, record: KillRecord, report: KillReport) -> None:
    ended = report.stage is KillStage.ENDED
    count = len(report.progress)
    request, pipeline = record.request, record.pipeline
    runs = f"{count} run{'s' if count != 1 else ''} of {pipeline.title}"
    text = f"ended {runs}" if ended else f"could not see that {runs} ended"
    if report.stage is KillStage.STOPPED:
        text = f"stopped ending {runs}: {plain(report.note)}"
    if report.switched is not None:
        text += f"; {_SWITCHED[report.switched.result]}"
    facts = KillConfirmed(
        request=request.id,
        state=request.state,
        pipeline=pipeline.title,
        system=pipeline.system,
        count=count,
        runs=RunFacts.of_all(report.progress),
        ended=ended,
        switched=None if report.switched is None else report.switched.result,
        approver=record.approver,
    )
    draft = draft_of(facts, world.clock.now(), record.by, text, once=f"killed/{request.id}")
    await world.journal.append(request.incident, draft)
    await show(world.messenger, report)
    if report.switched is not None and report.switched.result is SwitchResult.DONE:
        await _remind_later(world, request.id, 0)
    await KILLS.update(world, request.id, phase=RequestPhase.DONE)
    log.info("kill.settled", request=request.id, runs=count, ended=ended)


async def remind(world: World, request_id: str, number: int) -> None:
    """Reminds the channel that a loop's source is still off, until someone starts it again; once a reminder."""
    record = await KILLS.get(world, request_id)
    if record is None or record.restarted:
        return
    request, off = replace(record.request, ts="", thread=""), Switched(SwitchResult.DONE)
    report = KillReport(request, KillStage.STILL_OFF, switched=off, source=record.pipeline.title)
    await say_once(world, Outgoing(request.channel, report, f"reminded/{request_id}/{number}"))
    await _remind_later(world, request_id, number + 1)


async def _remind_later(world: World, request_id: str, number: int) -> None:
    if number < len(REMIND_AFTER):
        at = world.clock.now() + REMIND_AFTER[number]
        await world.jobs.start("remind", request_id, str(number), key=f"remind:{request_id}:{number}", at=at)

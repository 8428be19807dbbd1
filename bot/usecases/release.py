"""The release: decides again, writes down the intent, deletes exactly that lock, settles what became of it.

Runs in a worker. May be killed at any line and taken up by another worker, which finds the intent and settles it by
reading. Every attempt to delete follows a decision made on evidence read just before it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import stamina
import structlog

from bot.core.case import Ruling
from bot.core.evidence import Unseen
from bot.core.facts import lock_facts, release_facts
from bot.core.lock import HalfRelease, ReleaseResult
from bot.core.phrase import Phrase, Quoted, plain
from bot.core.report import OwnerNews, UnlockReport, UnlockRequest, UnlockStage
from bot.core.timeline import Draft, Kind
from bot.errors import JournalAway, TflockError, UpstreamError
from bot.usecases.evidence import Consent, Decision, weigh
from bot.usecases.lease import lease
from bot.usecases.letters import write_to_owner
from bot.usecases.requests import Phase, change_unlock, find_unlock, instant_in
from bot.usecases.unlock import is_stale, record_decision
from bot.usecases.world import State, World

log = structlog.get_logger()

STALE_AFTER = timedelta(minutes=30)
"""A confirmed unlock that no worker took up for this long is given up: the people have moved on."""

TICK = timedelta(seconds=10)
"""How often an armed unlock is decided again, where no earlier instant is known."""

_OVER = frozenset({
    UnlockStage.RELEASED,
    UnlockStage.ALREADY_FREE,
    UnlockStage.HOLDER_CHANGED,
    UnlockStage.HALF_RELEASED,
    UnlockStage.STILL_THROTTLED,
    UnlockStage.NOT_KNOWN,
    UnlockStage.REFUSED,
    UnlockStage.EXPIRED,
    UnlockStage.FAILED,
})  # fmt: skip
_PASSING = frozenset({UnlockStage.STILL_THROTTLED, UnlockStage.NOT_KNOWN, UnlockStage.HALF_RELEASED})
_MAY_ASK_AGAIN = _PASSING | {UnlockStage.REFUSED}
"""Outcomes after which the same message can be used again: the lock still stands, in a half at least."""

_TRY_AGAIN = frozenset({ReleaseResult.THROTTLED, ReleaseResult.NOT_KNOWN})


class _Again(TflockError):
    """The store asks for patience. Carries what to tell people meanwhile, and what to conclude if time runs out."""

    def __init__(self, report: UnlockReport, at_the_end: UnlockStage) -> None:
        super().__init__(str(at_the_end))
        self.report = report
        self.at_the_end = at_the_end


@dataclass(frozen=True, slots=True)
class _Task:
    """One request being carried out. `by` is who confirmed or armed it: the requester for the gate."""

    request: UnlockRequest
    state: State
    by: str
    consent: Consent | None
    began: datetime
    sent: bool
    until: datetime | None


async def release(world: World, request_id: str, *, worker: str) -> None:
    """Carries a confirmed request out. Raises JournalAway or UpstreamError where it must be tried again as a whole."""
    task = await _task(world, request_id)
    if task is None:
        return
    async with lease(world.records, f"state/{task.state.name.name}", holder=worker, patience=_patience(world)):
        task = await _task(world, request_id)
        if task is not None:
            announcing = asyncio.create_task(_announce(world, task))
            try:
                report = await _carry_out(world, task)
            finally:
                await announcing
            await _finish(world, task, report)


async def _announce(world: World, task: _Task) -> None:
    """Shows that it has begun, which also takes the buttons away."""
    await _show_progress(world, UnlockReport(task.request, UnlockStage.RELEASING, None, None))


async def armed(world: World, request_id: str, tick: int, *, worker: str) -> None:
    """One tick of an armed unlock: decides, and releases, waits on or ends."""
    task = await _task(world, request_id)
    if task is None or not await _is_armed(world, request_id):
        return
    async with lease(world.records, f"state/{task.state.name.name}", holder=worker, patience=_patience(world)):
        task = await _task(world, request_id)
        if task is None or not await _is_armed(world, request_id):
            return
        report = await _armed_step(world, task)
        if report is None:
            report = _still_armed(world, task, await _carry_out(world, task))
        if report.stage is not UnlockStage.ARMED:
            await _finish(world, task, report)
            return
        await world.teller.unlock(report)
        await _next_tick(world, task, report, tick)


def _still_armed(world: World, task: _Task, report: UnlockReport) -> UnlockReport:
    """An armed unlock that met a passing obstacle goes on waiting."""
    in_time = task.until is None or world.clock.now() < task.until
    refused = report.stage is UnlockStage.REFUSED and report.verdict is not None and report.verdict.waiting_helps
    if in_time and (refused or report.stage in _PASSING):
        return replace(report, stage=UnlockStage.ARMED, until=task.until)
    return report


async def _armed_step(world: World, task: _Task) -> UnlockReport | None:
    """None if it may be released now; else what to tell."""
    decision = await _weigh(world, task)
    verdict, now = decision.verdict, world.clock.now()
    await record_decision(world, task.request, decision, once=f"armed/{task.request.id}/{_fingerprint(decision)}")
    report = UnlockReport(task.request, UnlockStage.ARMED, decision.inspection, verdict, until=task.until)
    if not decision.still_holds(task.request.lock_id) and not decision.inspection.seen.unseen:
        return _settled(task, decision)
    if verdict.ruling is Ruling.ALLOW:
        return None
    if verdict.ruling is Ruling.NEEDS_APPROVAL:
        return replace(report, stage=UnlockStage.CHECKED)
    if not verdict.waiting_helps:
        return replace(report, stage=UnlockStage.REFUSED)
    if task.until is not None and now > task.until:
        return replace(report, stage=UnlockStage.EXPIRED, note=("it did not become safe in time",))
    return report


async def _next_tick(world: World, task: _Task, report: UnlockReport, tick: int) -> None:
    now = world.clock.now()
    until = report.verdict.until if report.verdict is not None else None
    at = now + TICK if until is None else min(max(until, now + timedelta(seconds=1)), now + 3 * TICK)
    number = str(tick + 1)
    await world.jobs.start("armed", task.request.id, number, key=f"armed:{task.request.id}:{number}", at=at)


async def _carry_out(world: World, task: _Task) -> UnlockReport:
    """Tries until it is settled or the deadline has passed."""
    deadline = world.policy.release_deadline
    until, progress = world.clock.now() + deadline, task
    retrying = stamina.retry_context(
        on=_Again, attempts=None, timeout=deadline, wait_initial=0.5, wait_max=8.0, wait_jitter=2.0
    )
    try:
        async for attempt in retrying:
            with attempt:
                try:
                    return await _attempt(world, progress, attempt.num)
                except _Again as again:
                    progress = replace(progress, sent=progress.sent or bool(again.report.halves))
                    await _show_progress(world, replace(again.report, until=until, tries=attempt.num))
                    raise
    except _Again as again:
        return replace(again.report, stage=again.at_the_end, tries=again.report.tries)
    raise AssertionError("unreachable: the retries end with a report or an error")  # pragma: no cover


async def _show_progress(world: World, report: UnlockReport) -> None:
    """Not worth failing for: the outcome is told in any case."""
    try:
        await world.teller.unlock(report)
    except UpstreamError as error:
        log.warning("unlock.progress_not_shown", request=report.request.id, detail=error.detail)


async def _attempt(world: World, task: _Task, number: int) -> UnlockReport:
    request = task.request
    decision = await _weigh(world, task)
    verdict = decision.verdict
    await record_decision(world, request, decision, once=f"release/{request.id}/{_fingerprint(decision)}")
    report = UnlockReport(request, UnlockStage.RELEASING, decision.inspection, verdict, tries=number)
    if not decision.still_holds(request.lock_id) and not decision.inspection.seen.unseen:
        return _settled(task, decision)
    if verdict.ruling is Ruling.REFUSE and decision.store_is_busy:
        raise _Again(replace(report, note=_store_words(decision)), UnlockStage.STILL_THROTTLED)
    if verdict.ruling is Ruling.REFUSE:
        left = tuple(half.kind for half in decision.inspection.seen.halves_of(request.lock_id))
        stage = UnlockStage.HALF_RELEASED if task.sent and len(left) == 1 else UnlockStage.REFUSED
        return replace(report, stage=stage, left=left)
    if verdict.ruling is Ruling.NEEDS_APPROVAL:
        return replace(report, stage=UnlockStage.CHECKED)

    await _intend(world, task, decision)
    halves = [await task.state.backend.release(half) for half in decision.inspection.seen.halves_of(request.lock_id)]
    return _outcome(replace(report, halves=tuple(halves), approver=task.consent.user if task.consent else ""))


def _outcome(report: UnlockReport) -> UnlockReport:
    results = [part.result for part in report.halves]
    left = tuple(part.half.kind for part in report.halves if part.result in _TRY_AGAIN)
    if left:
        again = replace(report, left=left, note=_release_words(report.halves))
        throttled = ReleaseResult.THROTTLED in results
        end = UnlockStage.HALF_RELEASED if len(left) < len(results) else UnlockStage.STILL_THROTTLED
        raise _Again(again, end if throttled or end is UnlockStage.HALF_RELEASED else UnlockStage.NOT_KNOWN)
    if ReleaseResult.DENIED in results:
        denied = tuple(part.half.kind for part in report.halves if part.result is ReleaseResult.DENIED)
        return replace(report, stage=UnlockStage.FAILED, left=denied, note=_release_words(report.halves))
    if ReleaseResult.HOLDER_CHANGED in results:
        return replace(report, stage=UnlockStage.HOLDER_CHANGED, note=_release_words(report.halves))
    released = ReleaseResult.RELEASED in results
    return replace(report, stage=UnlockStage.RELEASED if released else UnlockStage.ALREADY_FREE)


def _settled(task: _Task, decision: Decision) -> UnlockReport:
    """The lock in question does not stand there any more: what that means depends on whether we sent a delete."""
    newer = decision.inspection.seen.lock
    report = UnlockReport(
        task.request, UnlockStage.ALREADY_FREE, decision.inspection, decision.verdict, now_held_by=newer
    )
    if task.sent:
        note: Phrase = ("the outcome was settled by reading: the lock is gone",)
        return replace(report, stage=UnlockStage.RELEASED, note=note)
    return replace(report, stage=UnlockStage.HOLDER_CHANGED) if newer is not None else report


async def _intend(world: World, task: _Task, decision: Decision) -> None:
    """The intent is on the timeline before the delete. Raises JournalAway: then nothing is deleted."""
    request = task.request
    if not request.incident:
        raise JournalAway("there is no timeline to write this release to")
    lock = next(info for info in decision.inspection.seen.locks if info.id == request.lock_id)
    facts = {"request": request.id, "state": request.state, "lock_id": request.lock_id, "lock": lock_facts(lock)}
    text = f"releasing lock {request.lock_id} of {request.state}"
    draft = Draft(world.clock.now(), Kind.UNLOCK_RELEASING, task.by, text, facts, f"releasing/{request.id}")
    await world.journal.append(request.incident, draft)
    await change_unlock(world, request.id, phase=Phase.RELEASING)


async def _finish(world: World, task: _Task, report: UnlockReport) -> None:
    """Writes the outcome down, tells it, and only then counts the request as done: a crash in between repeats it."""
    now = world.clock.now()
    report = replace(report, took=now - task.began)
    if report.stage not in _OVER:
        await change_unlock(world, task.request.id, phase=Phase.APPROVAL, by=task.by, approver="")
        await world.teller.unlock(report)
        return
    first = await _write_outcome(world, task, report, now)
    await world.teller.unlock(report)
    if report.stage is UnlockStage.RELEASED and report.inspection is not None:
        await write_to_owner(
            world, OwnerNews.RELEASED, report.inspection, asker=task.by, channel=task.request.channel,
            incident=task.request.incident,
        )  # fmt: skip
    after = Phase.SHOWN if report.stage in _MAY_ASK_AGAIN else Phase.DONE
    await change_unlock(world, task.request.id, phase=after, outcome=str(report.stage), approver="")
    if first:
        world.meter.unlock(task.request.state, str(report.stage))
        if report.stage is UnlockStage.RELEASED:
            world.meter.time_to_unlock((now - task.request.asked_at).total_seconds())
    log.info("unlock.settled", state=task.request.state, lock_id=task.request.lock_id, outcome=str(report.stage))


async def _write_outcome(world: World, task: _Task, report: UnlockReport, now: datetime) -> bool:
    request = task.request
    if not request.incident:
        return True
    released = report.stage is UnlockStage.RELEASED
    kind = Kind.UNLOCK_RELEASED if released else Kind.UNLOCK_FAILED
    words = "released the lock" if released else f"did not release the lock: {report.stage}"
    facts = {
        "request": request.id,
        "state": request.state,
        "lock_id": request.lock_id,
        "outcome": str(report.stage),
        "halves": release_facts(report.halves),
        "note": plain(report.note),
        "approver": report.approver,
    }
    draft = Draft(now, kind, task.by, f"{words} ({request.state})", facts, once=f"outcome/{request.id}/{report.stage}")
    return (await world.journal.append(request.incident, draft)).added


async def _task(world: World, request_id: str) -> _Task | None:
    """The request as it stands now; None if it is done or unknown. A request that waited too long is ended here."""
    found = await find_unlock(world, request_id)
    if found is None or found[1]["phase"] not in {Phase.CONFIRMED, Phase.ARMED, Phase.RELEASING}:
        return None
    request, record = found
    approved_at = instant_in(record, "approved_at")
    task = _Task(
        request=request,
        state=world.state(request.state),
        by=record.get("by") or request.user,
        consent=Consent(record["approver"], request.lock_id, approved_at)
        if record.get("approver") and approved_at
        else None,
        began=instant_in(record, "confirmed_at") or instant_in(record, "armed_at") or request.asked_at,
        sent=record["phase"] == Phase.RELEASING,
        until=instant_in(record, "until"),
    )
    if record["phase"] == Phase.CONFIRMED and is_stale(record, world.clock.now(), STALE_AFTER):
        note: Phrase = ("no worker took it up in time; the lock was not touched",)
        await _finish(world, task, UnlockReport(request, UnlockStage.EXPIRED, None, None, note=note))
        return None
    return task


async def _is_armed(world: World, request_id: str) -> bool:
    found = await find_unlock(world, request_id)
    return found is not None and found[1]["phase"] in {Phase.ARMED, Phase.RELEASING}


async def _weigh(world: World, task: _Task) -> Decision:
    request = task.request
    return await weigh(
        world, task.state, lock_id=request.lock_id, user=task.by, channel=request.channel, consent=task.consent
    )


def _fingerprint(decision: Decision) -> str:
    """Short for what was decided, so that the same verdict is written down once however often it is reached."""
    blocking = [str(finding.rule) for finding in decision.verdict.refusals]
    return "+".join([str(decision.verdict.ruling), *blocking])


def _store_words(decision: Decision) -> Phrase:
    seen = decision.store_trouble
    if not isinstance(seen, Unseen):
        return ("the store could not be read",)
    return (f"{seen.system} could not be read ({seen.trouble}): ", Quoted(seen.detail))


def _release_words(halves: tuple[HalfRelease, ...]) -> Phrase:
    parts: list[Phrase] = [(f"{part.half.kind}: {part.result}", *_detail(part)) for part in halves]
    return tuple(word for index, part in enumerate(parts) for word in ((("; ",) if index else ()) + part))


def _detail(part: HalfRelease) -> Phrase:
    return (" (", Quoted(part.detail), ")") if part.detail else ()


def _patience(world: World) -> timedelta:
    return world.policy.release_deadline + timedelta(seconds=30)

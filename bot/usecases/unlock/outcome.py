"""What an unlock came to: settled in Redis first, then on the timeline, then shown. A crash in between repeats the
rest.

From the moment the outcome is in the request's record, nothing is decided or deleted for it any more.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo
from bot.core.phrase import Person, Phrase, Quoted, plain
from bot.core.record.evidence import PlaceFacts
from bot.core.record.facts import UnlockFailed, UnlockReleased, draft_of
from bot.core.reports.hold import Hold
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Run
from bot.usecases.decide.automatic import has_ended
from bot.usecases.hold.keep import settle_swap
from bot.usecases.hold.record import HoldPhase
from bot.usecases.owner.tell import OwnedLock, write_about
from bot.usecases.request.announce import announce
from bot.usecases.request.approval import start_waiting
from bot.usecases.request.record import RequestPhase, UnlockRecord, show
from bot.usecases.request.steps import Step, advance
from bot.usecases.unlock.task import Task
from bot.usecases.world import World

log = structlog.get_logger()

_DELETED = frozenset({UnlockStage.RELEASED, UnlockStage.PARTLY_RELEASED, UnlockStage.NOT_KNOWN})
"""Outcomes after which something was deleted, or may have been."""

_MAY_ASK_AGAIN = frozenset(
    {UnlockStage.STILL_THROTTLED, UnlockStage.NOT_KNOWN, UnlockStage.PARTLY_RELEASED, UnlockStage.REFUSED}
)
"""Outcomes after which the same message can be used again: the lock is still there, in a place at least."""


async def ask_for_approval(world: World, task: Task, report: UnlockReport) -> None:
    """Posts the checklist with an approve button and starts the approval timeout. Raises as `settle`."""
    now = world.clock.now()
    until = now + world.policy.approval_timeout
    moved = await advance(
        world,
        task.request.id,
        Step.ASK_SECOND,
        only_in={task.phase, RequestPhase.RELEASING},  # if someone confirmed it since, that has a job of its own
        by=task.by,
        approver="",
        approval_at=now,
        untold="",
        wanted=tuple(report.verdict.wants_approval) if report.verdict else (),
    )
    if moved is not None:
        await start_waiting(world, task.request, now.isoformat())
        await show(world.messenger, replace(report, until=until))


async def settle(world: World, task: Task, report: UnlockReport) -> None:
    """Settles the outcome and tells it. Raises JournalAway or UpstreamError; `tell_settled` then does the rest."""
    report = replace(report, took=world.clock.now() - task.began)
    record = await advance(
        world,
        task.request.id,
        Step.SETTLE,
        outcome=report.stage,
        note=plain(report.note) or _why(report),
        left=report.left,
        halves=tuple(PlaceFacts.of(place) for place in report.places),
        outcome_approver=report.approver,
        tries=report.tries,
        throttled=report.throttled,
        took=report.took,
    )
    if record is not None:
        await _conclude(world, task, record, report)


async def tell_settled(world: World, task: Task) -> None:
    """What a worker could not finish after the outcome was settled. Raises JournalAway or UpstreamError."""
    record = task.record
    note: Phrase = (Quoted(record.note),) if record.note else ()
    report = UnlockReport(
        task.request, record.outcome or UnlockStage.NOT_KNOWN, None, None, note=note,
        approver=record.outcome_approver, left=record.left, places=tuple(half.release for half in record.halves),
    )  # fmt: skip
    await _conclude(world, task, record, report)


async def _conclude(world: World, task: Task, record: UnlockRecord, report: UnlockReport) -> None:
    if await _write_down(world, task, record, report.stage):
        world.meter.unlock(task.request.state, str(report.stage))
        if report.stage is UnlockStage.RELEASED:
            world.meter.time_to_unlock((world.clock.now() - task.request.asked_at).total_seconds())
    report = replace(report, by=task.by, hold=await _held(world, record) if record.hold else None)
    await show(world.messenger, report)
    await _announce(world, task, report)
    lock = _lock_in(record)
    if report.stage is UnlockStage.RELEASED and lock is not None:
        held = OwnedLock(task.state.name, lock, record.owner or None, _run_of(report))
        await write_about(
            world, OwnerNews.RELEASED, held, asker=task.by, channel=task.request.channel, incident=task.request.incident
        )
    may_ask_again = report.stage in _MAY_ASK_AGAIN and not task.request.is_automatic
    await has_ended(world, task.request)
    # last: until here a worker that takes the request up after a crash tells the rest of it
    step = Step.OFFER_AGAIN if may_ask_again else Step.CLOSE
    await advance(world, task.request.id, step, by="", approver="", untold="")
    log.info("unlock.settled", state=task.request.state, lock_id=task.request.lock_id, outcome=str(report.stage))


async def _held(world: World, record: UnlockRecord) -> Hold | None:
    """The hold that the lock was swapped for, if it is there. Raises JournalAway, UpstreamError."""
    hold = await settle_swap(world, record.hold)
    return hold.hold if hold is not None and hold.phase is HoldPhase.HELD else None


async def _announce(world: World, task: Task, report: UnlockReport) -> None:
    """A release, also of a single place: nobody else would hear of it. And that one which was announced was not."""
    state, headline = task.request.state, f"{task.request.state} was unlocked"
    says: Phrase = (f" released the lock of {state}: {report.stage}.",)
    if report.approver:
        says = (*says, " ", Person(report.approver, ""), " approved it.")
    if report.stage not in _DELETED:
        if not task.is_automatic:
            return
        headline, says = f"{state} was not unlocked automatically", (f" did not release it: {report.stage}.",)
    await announce(world, task.request, headline, task.by, step=f"outcome/{task.round}", says=says)


def _run_of(report: UnlockReport) -> Run | None:
    """The run as it was seen right before the release, so that its owner does not read that it is running."""
    tied = report.inspection.attribution if report.inspection is not None else None
    return tied.candidates[0].run if tied is not None and tied.candidates else None


async def _write_down(world: World, task: Task, record: UnlockRecord, stage: UnlockStage) -> bool:
    """True if this was the first time that this outcome was written."""
    request = task.request
    if not request.incident:
        return True
    released = stage is UnlockStage.RELEASED
    of = UnlockReleased if released else UnlockFailed
    facts = of(
        request=request.id,
        state=request.state,
        lock_id=request.lock_id,
        outcome=stage,
        halves=record.halves,
        note=record.note,
        approver=record.outcome_approver,
        tries=record.tries,
        throttled=record.throttled,
        took=record.took,
        lock=record.lock,
    )
    which, once = f"the lock of {request.state}", f"outcome/{request.id}/{task.round}"
    words = f"released {which}" if released else f"did not release {which}: {stage}"
    draft = draft_of(facts, world.clock.now(), task.by, words, once=once)
    return (await world.journal.append(request.incident, draft)).added


def _why(report: UnlockReport) -> str:
    """The refusals in words: all that is left of a verdict when the worker that had it is gone."""
    refusals = report.verdict.refusals if report.verdict is not None and report.stage is UnlockStage.REFUSED else ()
    return "; ".join(plain(finding.reason) for finding in refusals)


def _lock_in(record: UnlockRecord) -> LockInfo | None:
    """The lock as it was seen before the first delete."""
    was = record.lock
    if was is None or was.created is None:
        return None
    return LockInfo(
        id=was.id, operation=was.operation, info="", who=was.who, version=was.version, created=was.created,
        path=was.path,
    )  # fmt: skip

"""The attempts to delete one lock: each decides on fresh evidence, writes the intent down, and only then deletes.

Before each place is deleted, what the decision rests on is asked for again: a worker may have paused since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import stamina
import structlog

from bot.core.evidence import Unseen
from bot.core.gate.case import Rule, Ruling
from bot.core.gate.decide import decide
from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo, LockPlace, PlaceKind, PlaceRelease, ReleaseResult
from bot.core.people import Automatic, OwnerAnswer, Standing
from bot.core.phrase import Phrase, Quoted, joined, plain
from bot.core.record.evidence import LockFacts, PlaceFacts
from bot.core.record.facts import UnlockReleasing, draft_of
from bot.core.reports.unlock import UnlockReport
from bot.errors import JournalAway, NotReplicated, TflockError, UpstreamError
from bot.usecases.decide.automatic import automatic
from bot.usecases.decide.owner import answer_about, secured_answer_about
from bot.usecases.decide.weigh import Decision, decided, record_decision
from bot.usecases.hold.record import HOLDS, HoldRecord
from bot.usecases.hold.swap import begin, swap
from bot.usecases.request.record import UNLOCKS, show
from bot.usecases.request.steps import Step, advance
from bot.usecases.shelf import secure_entry
from bot.usecases.unlock.task import Task, decide_on, deleted_in, fingerprint, load
from bot.usecases.world import World, all_ended

log = structlog.get_logger()

_TRY_AGAIN = frozenset({ReleaseResult.THROTTLED, ReleaseResult.NOT_SENT, ReleaseResult.NOT_KNOWN})
_UNTOUCHED = frozenset({ReleaseResult.THROTTLED, ReleaseResult.NOT_SENT, ReleaseResult.DENIED})

_AT_THE_END = (
    (ReleaseResult.THROTTLED, UnlockStage.STILL_THROTTLED),
    (ReleaseResult.NOT_KNOWN, UnlockStage.NOT_KNOWN),
    (ReleaseResult.NOT_SENT, UnlockStage.REFUSED),
)
"""What it comes to if nothing better is known when the time is over."""

_NO_REPLICA = "no replica of Redis has confirmed the intent, and nothing is deleted before one does"

_BY_READING: Phrase = ("the outcome was settled by reading: the lock is gone",)

_JUST_NOW = 0.25
"""Seconds: what people said longer ago is asked again before the delete. Replicas that are slow let it grow older."""

_HEARD_FOR = 5.0
"""Seconds: what leaves later than this after people were heard never does. A store may have to prove itself first."""

Check: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Heard:
    """The owner's answer, and who asks: of an automatic release, whether someone has stopped it. `hold` is the one that
    is wanted in the lock's place. They were asked for `at`, by the clock that also counts sleep.
    """

    at: float
    answer: OwnerAnswer | None
    requester: Standing | Automatic
    hold: HoldRecord | None


class TakenBack(TflockError):
    """Someone took the armed unlock back before anything was deleted."""


@dataclass(repr=False)
class _Again(TflockError):
    """It may work soon. Carries what to tell people meanwhile, and what to conclude if time runs out."""

    task: Task
    report: UnlockReport
    at_the_end: UnlockStage

    def __repr__(self) -> str:
        """What stamina logs of each try."""
        return f"{self.task.request.state}: {plain(self.report.note)}"


async def carry_out(world: World, task: Task, *, still_ours: Check) -> UnlockReport:
    """Tries until it is settled or the deadline has passed.

    Raises TakenBack, JournalAway, and what `still_ours` raises if another worker has taken over; nothing was deleted
    after that.
    """
    deadline = world.policy.release_deadline
    until = world.clock.now() + deadline
    retrying = stamina.retry_context(
        on=_Again, attempts=None, timeout=deadline, wait_initial=0.5, wait_max=8.0, wait_jitter=2.0
    )
    throttled, places = 0, {part.place.kind: part for part in (half.release for half in task.record.halves)}
    try:
        async for attempt in retrying:
            with attempt:
                try:
                    report = await _attempt(world, task, attempt.num, still_ours)
                    return replace(report, throttled=throttled + _was_throttled(report), places=_all(places, report))
                except _Again as again:
                    task = again.task
                    throttled += _was_throttled(again.report)
                    places |= {part.place.kind: part for part in again.report.places}
                    await show_progress(world, replace(again.report, until=until, tries=attempt.num))
                    raise
    except _Again as again:
        return replace(again.report, stage=again.at_the_end, throttled=throttled, places=_all(places, again.report))
    raise AssertionError("unreachable: the retries end with a report or an error")  # pragma: no cover


def _all(earlier: Mapping[PlaceKind, PlaceRelease], report: UnlockReport) -> tuple[PlaceRelease, ...]:
    """What became of each place: in this try, or else in the one that deleted it."""
    now = {part.place.kind: part for part in report.places}
    before = {kind: part for kind, part in earlier.items() if part.result is ReleaseResult.RELEASED}
    return tuple((before | now).values())


def _was_throttled(report: UnlockReport) -> bool:
    unread = report.inspection is not None and report.inspection.seen.is_throttled
    return unread or any(part.result is ReleaseResult.THROTTLED for part in report.places)


async def show_progress(world: World, report: UnlockReport) -> None:
    """Not worth failing for: the outcome is shown in any case."""
    try:
        await show(world.messenger, report)
    except UpstreamError as error:
        log.warning("unlock.progress_not_shown", request=report.request.id, detail=error.detail)


async def _attempt(world: World, task: Task, number: int, still_ours: Check) -> UnlockReport:
    request = task.request
    before = world.clock.running() + world.policy.evidence_max_age.total_seconds()
    decision = await decide_on(world, task)
    is_gone, ruling = decision.is_gone(request.lock_id), decision.verdict.ruling
    if is_gone or ruling is not Ruling.ALLOW:  # else it is written down together with the intent
        await record_decision(world, request, decision, once=_once(task, decision))
    report = UnlockReport(
        request, UnlockStage.RELEASING, decision.inspection, decision.verdict, tries=number,
        approver=task.consent.user if task.consent else "", approval=world.approvers(request.state),
    )  # fmt: skip
    if is_gone:
        return gone(task, decision)
    if ruling is Ruling.REFUSE:
        return _refused(task, decision, report)
    if ruling is Ruling.NEEDS_APPROVAL:
        return replace(report, stage=UnlockStage.CHECKED)

    standing = decision.inspection.seen.places_of(request.lock_id)
    asked_at = world.clock.running()
    try:
        task, heard = await _intend(world, task, decision, still_ours)
    except NotReplicated:
        if await load(world, request.id) is None:  # else this would be shown over their "cancelled", and stay
            raise TakenBack(request.id) from None
        kept = tuple(PlaceRelease(place, ReleaseResult.NOT_SENT, _NO_REPLICA) for place in standing)
        return await _concluded(world, task, replace(report, places=kept))
    places: list[PlaceRelease] = []
    for place in standing:
        if places or world.clock.running() - asked_at > _JUST_NOW:
            heard = await _heard_again(world, task, decision, still_ours, places)
        changed = _changed(world, decision, heard, before)
        if changed:
            places.append(PlaceRelease(place, ReleaseResult.NOT_SENT, f"{plain(changed)}: looking again"))
        else:
            places.append(await _released(task, place, heard, min(before, heard.at + _HEARD_FOR)))
    return await _concluded(world, task, replace(report, places=tuple(places)))


async def _released(task: Task, place: LockPlace, heard: _Heard, before: float) -> PlaceRelease:
    """The lock is deleted, or swapped for the hold that this confirmation asked for."""
    if task.record.hold:
        return await swap(task.state, heard.hold, place, before=before)
    return await task.state.backend.release(place, before=before)


def _once(task: Task, decision: Decision) -> str:
    """Each look on which something may be deleted is written down; of the same refusal the first one."""
    once = f"release/{task.request.id}/{task.round}/{fingerprint(decision)}"
    is_free_to_go = decision.verdict.ruling is Ruling.ALLOW
    return f"{once}/{decision.inspection.at.isoformat()}" if is_free_to_go else once


async def _heard(world: World, task: Task, decision: Decision, *, secured: bool = False) -> _Heard:
    """What people have said by now. `secured`: as it would outlive a fail-over of Redis, or raises NotReplicated."""
    request, asked, at = task.request, decision.case.requester, world.clock.running()
    answer = secured_answer_about if secured else answer_about
    stopped = _none() if not isinstance(asked, Automatic) else automatic(world, request.state, request.lock_id)
    hold = HOLDS.get(world, task.record.hold) if task.record.hold else _none()
    said = await asyncio.gather(answer(world, request.state, request.lock_id), stopped, hold)
    return _Heard(at, said[0], said[1] or asked, said[2])


async def _none() -> None:
    return None


async def _heard_again(
    world: World, task: Task, decision: Decision, still_ours: Check, places: Sequence[PlaceRelease]
) -> _Heard:
    """What people say now. What became of the `places` so far is kept, should this worker not come to the end."""
    noted = [UNLOCKS.update(world, task.request.id, halves=tuple(map(PlaceFacts.of, places)))] if places else []
    began = world.clock.running()
    _, heard, *_ = await all_ended(still_ours(), _heard(world, task, decision), *noted)
    is_old = world.clock.running() - began > _JUST_NOW  # one of the others was slow
    return await _heard(world, task, decision) if is_old else heard


def _changed(world: World, decision: Decision, heard: _Heard, before: float) -> Phrase:
    """What the decision rested on and does not hold at this instant; nothing, if it may be carried out."""
    if heard.answer != decision.answer:
        return ("the owner has just answered",)
    if heard.requester != decision.case.requester:
        return ("someone has just stopped it",)
    if world.clock.running() > before:
        return ("the evidence has grown old",)
    now = decide(decision.case, world.clock.now())
    if now.ruling is not Ruling.ALLOW:
        return ("not all checks hold any more",)
    return ()


def _refused(task: Task, decision: Decision, report: UnlockReport) -> UnlockReport:
    seen = decision.inspection.seen
    left = tuple(place.kind for place in seen.places_of(task.request.lock_id))
    unread = [kind for kind, _ in seen.unseen] + [place.kind for place in seen.garbage]
    if task.sent:
        may_be_gone = set(task.intended) - task.deleted
        report = replace(report, places=tuple(_unread(kind) for kind in unread if kind in may_be_gone))
    stage = UnlockStage.REFUSED
    if task.sent and task.is_partly_gone(left, unread):
        stage = UnlockStage.PARTLY_RELEASED
    elif task.sent:
        stage = UnlockStage.NOT_KNOWN  # a delete may have reached the store: it may be carried out yet, or be already
    if decision.store_is_busy:
        end = stage if stage is not UnlockStage.REFUSED else UnlockStage.STILL_THROTTLED
        raise _Again(task, replace(report, left=left, note=_store_words(decision)), end)
    if all(finding.rule is Rule.FRESH for finding in decision.verdict.refusals):
        raise _Again(task, replace(report, left=left, note=("some answers took long: looking again",)), stage)
    return replace(report, stage=stage, left=left)


def _unread(kind: PlaceKind) -> PlaceRelease:
    """What is known of a place that a delete may have reached, and that cannot be read now."""
    return PlaceRelease(LockPlace(kind, "", "", None), ReleaseResult.NOT_KNOWN, "it could not be read again")


async def _intend(world: World, task: Task, decision: Decision, still_ours: Check) -> tuple[Task, _Heard]:
    """The decision and the intent are on the timeline before the delete. Raises JournalAway or TakenBack: then nothing
    is deleted. Returns what people have said after that.

    Raises NotReplicated if a fail-over of Redis could lose the intent, or the owner's answer, or has lost the intent.
    """
    request, inspection = task.request, decision.inspection
    if not request.incident:
        raise JournalAway("there is no timeline to write this release to")
    lock = next(info for info in inspection.seen.locks if info.id == request.lock_id)
    seen, hold = LockFacts.of(lock), task.record.hold
    facts = UnlockReleasing(request=request.id, state=request.state, lock_id=request.lock_id, lock=seen, hold=hold)
    begun = "began to swap the lock of {} for a hold" if hold else "began to release the lock of {}"
    text, once = begun.format(request.state), f"releasing/{request.id}/{task.round}"
    if hold:
        await begin(world, task.record)
    evidence = decided(world, request, decision, once=_once(task, decision))
    intent = draft_of(facts, world.clock.now(), task.by, text, once=once)
    _, (_, added) = await all_ended(still_ours(), world.journal.append_all(request.incident, (evidence, intent)))

    intended = task.intended or tuple(place.kind for place in inspection.seen.places_of(request.lock_id))
    owner = inspection.owner.slack_id if inspection.owner is not None else None
    # Only now that the intent is on the timeline, so that an outcome that is ours always has one before it. `sent`
    # before anything is: should this worker die now, the next one takes it that a delete may have arrived.
    _, moved, _, heard = await all_ended(
        still_ours(),
        advance(
            world, request.id, Step.INTEND, durably=True, sent=True, owner=owner or "", intended=intended, lock=seen
        ),
        secure_entry(world, request.incident, added.entry),
        _heard(world, task, decision, secured=True),
    )
    if moved is None:
        raise TakenBack(request.id)
    return replace(task, intended=intended), heard


async def _concluded(world: World, task: Task, report: UnlockReport) -> UnlockReport:
    results, was_sent = {part.result for part in report.places}, task.sent
    if results <= _UNTOUCHED and not task.sent:
        await UNLOCKS.update(world, task.request.id, sent=False)
    task = replace(task, sent=task.sent or not results <= _UNTOUCHED)
    task = replace(task, deleted=task.deleted | deleted_in(report.places))
    left = tuple(part.place.kind for part in report.places if part.result in _TRY_AGAIN | {ReleaseResult.DENIED})
    unknown = [part.place.kind for part in report.places if part.result is ReleaseResult.NOT_KNOWN]
    report = replace(report, left=left, note=joined(map(_release_words, report.places), "; "))
    is_partly_gone = task.is_partly_gone([kind for kind in left if kind not in unknown], unknown)
    if results & _TRY_AGAIN:
        end = next(stage for result, stage in _AT_THE_END if result in results)
        raise _Again(task, report, UnlockStage.PARTLY_RELEASED if is_partly_gone else end)
    if left:
        return replace(report, stage=UnlockStage.PARTLY_RELEASED if is_partly_gone else UnlockStage.FAILED)
    released = ReleaseResult.RELEASED in results or len(report.places) < len(task.intended)
    if was_sent and not released:  # an earlier delete got no answer, and the lock is gone
        return replace(report, stage=UnlockStage.RELEASED, note=_BY_READING, now_held_by=await _newer(task))
    if ReleaseResult.HOLDER_CHANGED in results:
        stage = UnlockStage.RELEASED if released else UnlockStage.HOLDER_CHANGED
        return replace(report, stage=stage, now_held_by=await _newer(task))
    return replace(report, stage=UnlockStage.RELEASED if released else UnlockStage.ALREADY_FREE, note=())


async def _newer(task: Task) -> LockInfo | None:
    """Who has the lock now. Where only a try shows that, it is made: the release has just begun with one, too."""
    backend = task.state.backend
    seen = await backend.read_lock(by_trying=not backend.can.shows_lock)
    return next((info for info in seen.locks if info.id != task.request.lock_id), None)


def gone(task: Task, decision: Decision) -> UnlockReport:
    """The lock in question is gone: what that means depends on whether we sent a delete."""
    newer = decision.inspection.seen.lock
    report = UnlockReport(
        task.request, UnlockStage.ALREADY_FREE, decision.inspection, decision.verdict, now_held_by=newer,
        approver=task.consent.user if task.consent else "",
    )  # fmt: skip
    if task.sent:
        return replace(report, stage=UnlockStage.RELEASED, note=_BY_READING)
    return replace(report, stage=UnlockStage.HOLDER_CHANGED) if newer is not None else report


def _store_words(decision: Decision) -> Phrase:
    seen = decision.store_trouble
    if not isinstance(seen, Unseen):
        return ("the store could not be read",)
    return (f"{seen.system} could not be read ({seen.trouble}): ", Quoted(seen.detail))


def _release_words(part: PlaceRelease) -> Phrase:
    said = f"{part.place.kind}: {part.result}"
    return (said, " (", Quoted(part.detail), ")") if part.detail else (said,)

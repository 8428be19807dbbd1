"""Unlock: what a person asks for, confirms, approves, arms. The release itself is `bot.usecases.unlock.release`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bot.core.gate.case import Ruling
from bot.core.gate.eligibility import lacks_standing
from bot.core.gate.stages import UnlockStage
from bot.core.hold import USUALLY
from bot.core.people import BOT, Standing
from bot.core.phrase import Person, Phrase
from bot.core.record.facts import UnlockFailed, UnlockRequested
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.report import Checklist
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.errors import NotPermitted, UpstreamError
from bot.usecases.decide.weigh import Decision, record_decision, weigh
from bot.usecases.owner.tell import write_to_owner
from bot.usecases.queue.waiting_list import state_seen
from bot.usecases.record.lifecycle import observe
from bot.usecases.request.announce import announce_click
from bot.usecases.request.approval import start_waiting, waiting_for
from bot.usecases.request.clicks import check_place, is_own, live, move, permit, start_release, start_ticks, write_down
from bot.usecases.request.record import (
    UNLOCKS,
    RequestPhase,
    UnlockRecord,
    id_of,
    is_done,
    save_unlock,
    show,
    show_first,
)
from bot.usecases.request.steps import Step, advance
from bot.usecases.unlock.stop import stop
from bot.usecases.world import State, World

log = structlog.get_logger()

ARMED_FOR = timedelta(hours=2)
"""How long an armed unlock keeps trying."""


LOOK_AGAIN = timedelta(seconds=4)
"""How soon a state that could not be read is looked at again."""


@dataclass(frozen=True, slots=True)
class UnlockCommand:
    """What someone asked for with `/tflock unlock`. With `only` set, no other lock than that is armed.

    `click` names the delivery that it came with; `is_again`: a process that ended may have begun with it. `hold_for`:
    the lock is to be swapped for a hold.
    """

    state: str
    user: str
    channel: str
    incident: str
    thread: str = ""
    reason: str = ""
    dry_run: bool = False
    when_safe: bool = False
    only: str = ""
    click: str = ""
    is_again: bool = False
    hold_for: timedelta | None = None


def check_can_swap(state: State) -> None:
    """Raises NotPermitted where a lock cannot be replaced in one write."""
    if state.holds is None or not state.backend.can.swap:
        raise NotPermitted(
            f"The {state.backend_system} can't swap a lock for a hold: unlocked first and held then, {state.name.name} "
            "is free for a moment. Nothing was changed."
        )


async def ask(world: World, command: UnlockCommand) -> UnlockReport:
    """Runs the gate and reports. Not a dry run: the report is posted in the channel, and is in Redis before.

    Of someone without standing nothing is posted, nobody is notified, and no request is made: the report has no `ts`.
    Raises UnknownState, JournalAway, UpstreamError (if Slack did not take the message).
    """
    state = world.state(command.state)
    decision = await weigh(
        world, state, lock_id=None, user=command.user, channel=command.channel, dry_run=command.dry_run
    )
    request = _request(world, command, decision)
    earlier = await UNLOCKS.get(world, request.id) if command.is_again else None
    if earlier is not None and earlier.request.lock_id != request.lock_id:
        request, earlier = replace(request, id=world.new_id()), None  # another lock is another request
    elif earlier is not None:
        request = earlier.request
    report = _checked(world, request, decision, dry_run=command.dry_run)
    if command.only not in {"", request.lock_id}:
        command = replace(command, when_safe=False)
        report = replace(report, note=("it is not the lock that the button named, so nothing is armed",))
    await _record(world, request, decision, once=f"asked/{request.id}")
    if command.dry_run or _lacks_standing(decision):
        return report

    wanted = waiting_for(decision.verdict)
    if earlier is None:
        made = UnlockRecord(request=request, place=state.place, when_safe=command.when_safe, wanted=wanted)
        await save_unlock(world, made)
    elif earlier.phase is not RequestPhase.SHOWN and not is_own(earlier, command.click):
        return report  # someone has clicked on it already
    posted = await show_first(world, report, "unlock", is_again=command.is_again)
    report = replace(report, request=replace(request, ts=posted.ts))
    await UNLOCKS.update(world, request.id, ts=posted.ts)
    await state_seen(world, command.state, decision.inspection.seen)
    if report.stage is UnlockStage.CHECKED and not request.lock_id and decision.store_is_busy:
        await _look_again(world, request, 0)
    elif report.stage is UnlockStage.CHECKED:
        when_safe, click = command.when_safe, command.click
        return await _after_showing(world, report.request, decision, when_safe=when_safe, click=click) or report
    return report


async def _after_showing(
    world: World, request: UnlockRequest, decision: Decision, *, when_safe: bool, click: str = ""
) -> UnlockReport | None:
    """Tells the owner, and arms the request where that was asked for and can help."""
    await write_to_owner(
        world, OwnerNews.UNLOCK_WANTED, decision.inspection, asker=request.user, channel=request.channel,
        incident=request.incident, request=request.id,
    )  # fmt: skip
    if decision.verdict.ruling is Ruling.NEEDS_APPROVAL:
        await start_waiting(world, request)
    helps = decision.verdict.ruling is Ruling.ALLOW or decision.verdict.waiting_helps
    try:
        wanted = when_safe and request.lock_id and helps
        return await arm(world, request.id, user=request.user, click=click) if wanted else None
    finally:
        await _show_checklist(world, request, decision)


async def _show_checklist(world: World, request: UnlockRequest, decision: Decision) -> None:
    """The whole checklist, in the thread of the message that has it in one line. The record has it in any case."""
    proof = Checklist(decision.inspection, decision.verdict)
    try:
        await world.messenger.post(request.channel, proof, thread=request.thread or request.ts)
    except UpstreamError as error:
        log.warning("unlock.checklist_not_shown", request=request.id, detail=error.detail)


async def recheck(world: World, request_id: str, tick: int) -> None:
    """While the store cannot be read: looks again, until the lock is seen and the checklist can be shown."""
    record = await UNLOCKS.get(world, request_id)
    if record is None or record.phase is not RequestPhase.SHOWN or record.shown_again:
        return
    request = record.request
    state = world.state_at(request.state, record.place)
    decision = await weigh(world, state, lock_id=None, user=request.user, channel=request.channel)
    lock = decision.inspection.lock
    if lock is not None:
        request = replace(request, lock_id=lock.id)
        await UNLOCKS.update(world, request_id, lock_id=lock.id)
    elif decision.store_is_busy and world.clock.now() - request.asked_at < world.policy.release_deadline:
        await _look_again(world, request, tick + 1)
        return
    await _record(world, request, decision, once=f"asked/{request.id}/{tick}")
    await show(world.messenger, _checked(world, request, decision, dry_run=False))
    await UNLOCKS.update(world, request_id, shown_again=True, wanted=waiting_for(decision.verdict))
    if decision.is_free:
        return
    try:
        await _after_showing(world, request, decision, when_safe=record.when_safe)
    except NotPermitted as error:  # armed by another worker already; or they may not any more, as the checklist says
        log.info("unlock.not_armed", request=request_id, reason=str(error))


async def _look_again(world: World, request: UnlockRequest, tick: int) -> None:
    at = world.clock.now() + LOOK_AGAIN
    await world.jobs.start("recheck", request.id, str(tick), key=f"recheck:{request.id}:{tick}", at=at)


async def confirm_own(
    world: World, request_id: str, *, state: str, lock_id: str, user: str, message: str, click: str = ""
) -> bool:
    """As `confirm`, by the person who asked, on the message of their request: taken in one write, without asking Slack.

    What they may do was seen when they asked, and the gate looks again before anything is deleted: if they may not any
    more, it refuses, and the buttons are there again. False, and no change, for any other click, also for one that
    would take the request from someone who has armed it or waits for an approval. Raises JournalAway.
    """
    known = world.states.get(state)
    mine = {"state": state, "lock_id": lock_id, "user": user, "ts": message, "wanted": ()}
    record = await advance(
        world, request_id, Step.CONFIRM, only_in={RequestPhase.SHOWN},
        and_is={**mine, "place": known.place if known else ""},
        by=user, confirmed_at=world.clock.now(), click=click, hold_for=None, hold="",
    )  # fmt: skip
    if record is None:
        return False
    await _hand_over(world, record)
    return True


async def confirm(
    world: World, request_id: str, *, lock_id: str, user: str, click: str = "", hold: bool = False
) -> None:
    """The click on "unlock": hands the release to a worker. Raises NotPermitted for a stale click, JournalAway.

    With `hold` the lock is swapped for a hold of theirs: by the same worker, through the same gate. `click` names it:
    made again, after its process ended, it does the rest.
    """
    record = await live(world, request_id, lock_id, click=click)
    if not is_own(record, click):
        check_place(world, record)
        if hold:
            check_can_swap(world.state(record.request.state))
        await permit(world, user, record.request.channel)
        now = world.clock.now()
        wanted = {"hold_for": record.request.hold_for or USUALLY, "hold": world.new_id()}
        wish = wanted if hold else {"hold_for": None, "hold": ""}
        record = await move(world, request_id, Step.CONFIRM, by=user, confirmed_at=now, click=click, **wish)
    if record.phase is RequestPhase.CONFIRMED:
        await _hand_over(world, record)


async def _hand_over(world: World, record: UnlockRecord) -> None:
    what = "that the lock of {} is swapped for a hold" if record.hold else "the unlock of {}"
    await _requested(world, record, record.confirmed_at, f"confirmed {what.format(record.request.state)}")
    # not at the same time: who wants it is on the timeline before anyone acts on it, also if this process ends here
    await start_release(world, record)


async def arm(world: World, request_id: str, *, user: str, lock_id: str | None = None, click: str = "") -> UnlockReport:
    """Lets the bot keep deciding until it is allowed, then release. Raises NotPermitted, JournalAway.

    Raises NotReplicated when all is done, if a fail-over of Redis could lose it, or has lost it.

    `click` as for `confirm`.
    """
    record = await live(world, request_id, lock_id, click=click)
    if not is_own(record, click):
        if not record.request.lock_id:
            raise NotPermitted("The lock has not been read yet, so there is nothing to arm. Nothing was changed.")
        check_place(world, record)
        await permit(world, user, record.request.channel)
        now = world.clock.now()
        record = await move(
            world, request_id, Step.ARM,
            by=user, armed_at=now, until=now + ARMED_FOR, countdown="", hush_until=None, ticks=0, click=click,
            hold=world.new_id() if record.request.hold_for else "",
        )  # fmt: skip
    request, until, armed_at = record.request, record.until, record.armed_at
    report = UnlockReport(request, UnlockStage.ARMED, None, None, until=until, by=user)
    if record.phase is not RequestPhase.ARMED or until is None or armed_at is None:
        return report
    await _requested(world, record, armed_at, f"armed the unlock of {request.state}: it is done as soon as it is safe")
    if not record.ticks:
        await start_ticks(world, request_id, armed_at)
    try:
        await show(world.messenger, report)
    except (
        UpstreamError
    ) as error:  # it is armed: to say that nothing was changed would be wrong; the countdown shows it
        log.warning("unlock.armed_not_shown", request=request_id, detail=error.detail)
    says: Phrase = (f" armed the unlock of {request.state}: it is done as soon as it is safe, until ", until, ".")
    step = f"armed/{armed_at.timestamp():.0f}"
    await announce_click(world, request, f"The unlock of {request.state} is armed", user, step=step, says=says)
    await UNLOCKS.secure(world, request_id, has=lambda kept: kept is not None and kept.armed_at == armed_at)
    return report


async def disarm(world: World, request_id: str, *, lock_id: str, user: str, click: str = "") -> None:
    """Takes an armed unlock back. Raises NotPermitted if it is not armed (any more), JournalAway.

    Anyone in the channel stops one that nobody asked for, for as long as the lock exists. `click` as for `confirm`.
    """
    record = await live(world, request_id, lock_id, click=click)
    request = record.request
    if record.asker == BOT:
        await stop(world, request, user)
        return
    if not is_own(record, click):
        await permit(world, user, request.channel)
        moved = await advance(world, request_id, Step.DISARM, click=click)
        if moved is None:
            raise NotPermitted("This unlock is no longer armed; its message shows the outcome.")
        record = moved
    facts = UnlockFailed(request=request.id, state=request.state, lock_id=request.lock_id)
    touched = "a part of the lock was deleted already, or may have been" if record.sent else "the lock was not touched"
    once = f"disarmed/{request.id}/{record.armed_at.isoformat() if record.armed_at else ''}"
    await write_down(world, request, facts, user, f"cancelled the armed unlock; {touched}", once=once)
    await UNLOCKS.secure(world, request_id, has=is_done)
    note: Phrase = (Person(user, ""), " cancelled it")
    places = tuple(half.release for half in record.halves)
    await show(world.messenger, UnlockReport(request, UnlockStage.DECLINED, None, None, note=note, places=places))


async def _record(world: World, request: UnlockRequest, decision: Decision, *, once: str) -> None:
    """The lock, as every look in an incident does, and the verdict on it. Raises JournalAway."""
    if request.incident:
        await observe(world, request.incident, request.state, decision.inspection.seen)
    await record_decision(world, request, decision, once=once)


def _lacks_standing(decision: Decision) -> bool:
    requester = decision.case.requester
    return isinstance(requester, Standing) and lacks_standing(requester)


def _request(world: World, command: UnlockCommand, decision: Decision) -> UnlockRequest:
    lock = decision.inspection.lock
    return UnlockRequest(
        id=id_of(world, command.click),
        state=command.state,
        lock_id="" if lock is None else lock.id,
        channel=command.channel,
        user=command.user,
        asked_at=world.clock.now(),
        reason=command.reason,
        thread=command.thread,
        incident=command.incident,
        hold_for=command.hold_for,
    )


def _checked(world: World, request: UnlockRequest, decision: Decision, *, dry_run: bool) -> UnlockReport:
    stage = UnlockStage.DRY_RUN if dry_run else UnlockStage.CHECKED
    if decision.is_free:
        stage = UnlockStage.ALREADY_FREE
    approval = world.approvers(request.state)
    report = UnlockReport(request, stage, decision.inspection, decision.verdict, approval=approval)
    if stage is UnlockStage.CHECKED and decision.verdict.ruling is Ruling.NEEDS_APPROVAL:
        return replace(report, until=request.asked_at + world.policy.approval_timeout)
    return report


async def _requested(world: World, record: UnlockRecord, at: datetime | None, words: str) -> None:
    request = record.request
    facts = UnlockRequested(request=request.id, state=request.state, lock_id=request.lock_id, reason=request.reason)
    once = f"requested/{request.id}/{at.isoformat() if at else ''}"
    await write_down(world, request, facts, record.by, words, once=once)

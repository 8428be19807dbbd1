"""The step "Unlock a Terraform state when safe" of Slack's workflows, under the same gate as the command.

Slack does not say of a step who wanted *this*: the person in its inputs is the workflow author's choice, and the
person who started the workflow clicked on words of that author's. So a step never unlocks and arms nothing: it shows
the checklist, and a member of the channel takes it on with a click, as if they had typed the command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bot.core.evidence import Found
from bot.core.gate.case import Ruling
from bot.core.gate.stages import UnlockStage
from bot.core.reports.in_flight import RequestInFlight
from bot.core.reports.step import StepReport, StepStage
from bot.core.reports.unlock import UnlockReport
from bot.errors import NotPermitted, UnknownState, Unreachable, UpstreamError
from bot.ports.messenger import Posted
from bot.usecases.look.home_tab import weigh_without_asker
from bot.usecases.outbox import Outgoing, post_once
from bot.usecases.record.lifecycle import enter
from bot.usecases.request.clicks import permit
from bot.usecases.request.in_flight import already_asked
from bot.usecases.request.record import UNLOCKS, RequestPhase
from bot.usecases.shelf import Shelf
from bot.usecases.unlock import unlock
from bot.usecases.world import World

log = structlog.get_logger()

OPEN_FOR = timedelta(hours=2)
"""How long a step waits for someone who takes it on."""

OVER_AFTER = timedelta(hours=8)
"""How long a step that was taken on waits for its outcome: an armed unlock waits for two hours."""

LOOK_EVERY = timedelta(seconds=15)
_SLACK_AWAY = timedelta(minutes=1)
_ASKED_WITHIN = timedelta(minutes=10)
_RELEASED = frozenset({str(UnlockStage.RELEASED), str(UnlockStage.ALREADY_FREE)})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowStep:
    """A step and how far it has come. `request` is that of the person (`by`) who took it on, `note` how it ended.

    `click` is the delivery of their click. `ts` is its message, empty until that is posted, and `begun` when that was
    begun. `told` once the workflow knows.
    """

    state: str
    channel: str
    reason: str
    asked_at: datetime
    stage: StepStage = StepStage.OPEN
    ts: str = ""
    lock_id: str = ""
    request: str = ""
    by: str = ""
    note: str = ""
    taken_at: datetime | None = None
    begun: datetime | None = None
    click: str = ""
    told: bool = False


STEPS = Shelf("step", WorkflowStep, timedelta(days=3))


async def begin(
    world: World, execution: str, state: str, channel: str, reason: str, *, is_last_try: bool = False
) -> None:
    """Shows the checklist with the button, once. Raises JournalAway or UpstreamError: then it is tried again.

    After the last try the workflow learns what went wrong.
    """
    record = await STEPS.get(world, execution)
    if record is None:
        record = WorkflowStep(state=state, channel=channel, reason=reason, asked_at=world.clock.now())
        await STEPS.put(world, execution, record)
    if record.stage is StepStage.OPEN and not record.ts:
        await _begun(world, execution, record, is_last_try=is_last_try)
    await look(world, execution, 0)


async def arm(
    world: World, execution: str, *, state: str, lock_id: str, user: str, click: str = ""
) -> UnlockReport | RequestInFlight:
    """The click: the person's own request, armed if waiting helps. Where one is in flight for the lock, the step
    follows that one, and nothing is asked. Raises NotPermitted, JournalAway, UpstreamError.

    `click` names it: made again, after its process ended, it does the rest.
    """
    record = await STEPS.get(world, execution)
    if record is None or (record.state, record.lock_id) != (state, lock_id):
        raise NotPermitted("This button was made for another lock, or is too old. Nothing was changed.")
    await permit(world, user, record.channel)
    await world.journal.ping()
    is_again = bool(click) and record.click == click
    taken = {"stage": StepStage.TAKEN, "by": user, "taken_at": world.clock.now(), "click": click}
    if not is_again and await STEPS.update(world, execution, taken, only_if=("stage", (StepStage.OPEN,))) is None:
        raise NotPermitted("Someone has taken this on already, or it is over. Nothing was changed.")
    try:
        asked = await already_asked(world, state, click=click)
        report = await _asked(world, record, user, click, is_again=is_again) if asked is None else asked
    except Exception:
        await STEPS.update(world, execution, stage=StepStage.OPEN, by="", click="")
        raise
    request, note = (report.request.id, _at_once(report)) if isinstance(report, UnlockReport) else (report.id, "")
    await STEPS.update(world, execution, request=request, note=note)
    await _show(world, execution)
    return report


async def look(world: World, execution: str, tick: int) -> None:
    """Tells the workflow of the end of the request, or looks again later. Raises JournalAway."""
    record = await STEPS.get(world, execution)
    if record is None or record.told:
        return
    end = await _end(world, record)
    if end is None:
        await _look_again(world, execution, tick + 1)
        return
    stage, note = end
    record = await STEPS.update(world, execution, stage=stage, note=note) or record
    try:
        await _tell(world, execution, record)
    except UpstreamError as error:
        log.warning("step.not_told", execution=execution, passes=error.passes, detail=error.detail)
        if error.passes:
            await _look_again(world, execution, tick + 1, after=_SLACK_AWAY)
            return
    await STEPS.update(world, execution, told=True)
    await _show(world, execution)


async def fail(world: World, execution: str, why: str) -> None:
    """Ends a step that could not even begin. Raises UpstreamError."""
    await world.messenger.fail_step(execution, why)


async def _begun(world: World, execution: str, record: WorkflowStep, *, is_last_try: bool) -> None:
    try:
        await _ask(world, execution, record)
    except UpstreamError as error:
        if not is_last_try:
            raise
        note = f"{error.system} didn't respond as expected ({error.detail}); nothing was changed"
        await STEPS.update(world, execution, stage=StepStage.FAILED, note=note)


async def _ask(world: World, execution: str, record: WorkflowStep) -> None:
    refusal = await _why_not_here(world, record)
    if refusal:
        await STEPS.update(world, execution, stage=StepStage.FAILED, note=refusal)
        return
    seen = await weigh_without_asker(world, record.state)
    lock = seen.inspection.lock
    if lock is None and seen.inspection.seen.is_free:
        await STEPS.update(world, execution, stage=StepStage.SUCCEEDED, note=UnlockStage.ALREADY_FREE)
        return
    if lock is None:
        raise Unreachable(world.state(record.state).backend_system, "the lock could not be read")
    report = _report(execution, replace(record, lock_id=lock.id))
    report = replace(report, inspection=seen.inspection, verdict=seen.verdict)
    posted = await _posted(world, execution, record, report)
    await STEPS.update(world, execution, ts=posted.ts, channel=posted.channel, lock_id=lock.id)


async def _posted(world: World, execution: str, record: WorkflowStep, report: StepReport) -> Posted:
    """Posts the step's message once. What a process that died has posted is found, and shows what is known now."""

    async def begin(now: datetime) -> None:
        await STEPS.update(world, execution, begun=now)

    message = Outgoing(report.channel, report, f"step/{execution}")
    posted = await post_once(world, message, begun=record.begun, begin=begin)
    if record.begun is not None:
        await world.messenger.update(posted, report)
    return posted


async def _why_not_here(world: World, record: WorkflowStep) -> str:
    try:
        world.state(record.state)
    except UnknownState:
        return "the configuration has no such state; nothing was changed"
    channel = await world.directory.channel(record.channel)
    if isinstance(channel, Found) and world.is_incident_channel(channel.value):
        return ""
    return "the step's channel is not an incident channel that tflock is in; nothing was changed"


async def _asked(world: World, record: WorkflowStep, user: str, click: str, *, is_again: bool) -> UnlockReport:
    """What `/tflock unlock STATE --when-safe` does, for the very lock that the button was made for."""
    state, channel = record.state, record.channel
    command = f"unlock {state} --when-safe"
    incident = await enter(world, channel=channel, user=user, title=state, command=command, once=click)
    asked = unlock.UnlockCommand(
        state=state, user=user, channel=channel, incident=incident.id, reason=record.reason, click=click,
        is_again=is_again,
    )  # fmt: skip
    report = await unlock.ask(world, asked)
    verdict = report.verdict
    helps = verdict is not None and (verdict.ruling is Ruling.ALLOW or verdict.waiting_helps)
    if report.stage is UnlockStage.CHECKED and report.request.lock_id == record.lock_id and helps:
        return await unlock.arm(world, report.request.id, user=user, lock_id=record.lock_id, click=click)
    return report


def _at_once(report: UnlockReport) -> str:
    """The end of a request that has come already; empty while it may still be running."""
    if report.stage is UnlockStage.ALREADY_FREE:
        return str(report.stage)
    verdict = report.verdict
    is_refused = verdict is not None and verdict.ruling is Ruling.REFUSE and not verdict.waiting_helps
    return str(UnlockStage.REFUSED) if report.stage is UnlockStage.CHECKED and is_refused else ""


async def _end(world: World, record: WorkflowStep) -> tuple[StepStage, str] | None:
    """How it ended, in the words of the request; None while it runs."""
    stage, note = record.stage, record.note
    if stage in {StepStage.SUCCEEDED, StepStage.FAILED}:
        return stage, note
    now = world.clock.now()
    waited = now - record.asked_at
    if stage is StepStage.OPEN:
        return (StepStage.FAILED, "nobody took it on in time; nothing was changed") if waited > OPEN_FOR else None
    if not record.request and not note and now - (record.taken_at or record.asked_at) > _ASKED_WITHIN:
        return StepStage.FAILED, "the bot was interrupted while it took this on; ask again in the channel"
    outcome = note or await _outcome(world, record.request)
    if outcome:
        return (StepStage.SUCCEEDED if outcome in _RELEASED else StepStage.FAILED), outcome
    return (StepStage.FAILED, "it did not end in time") if waited > OVER_AFTER else None


async def _outcome(world: World, request: str) -> str:
    record = await UNLOCKS.get(world, request) if request else None
    if record is None:
        return ""
    if record.outcome and record.phase in {RequestPhase.DONE, RequestPhase.SHOWN}:
        return str(record.outcome)
    if record.phase is not RequestPhase.DONE:
        return ""
    return "cancelled, declined or withdrawn" + ("" if record.sent else "; the lock was not touched")


async def _tell(world: World, execution: str, record: WorkflowStep) -> None:
    if record.stage is StepStage.SUCCEEDED:
        outputs = {"state": record.state, "outcome": record.note, "message": await _link(world, record)}
        await world.messenger.complete_step(execution, outputs)
    else:
        await world.messenger.fail_step(execution, f"{record.state} was not unlocked: {record.note}")


async def _link(world: World, record: WorkflowStep) -> str:
    found = await UNLOCKS.get(world, record.request) if record.request else None
    ts = found.request.ts if found is not None else record.ts
    seen = await world.messages.permalink(record.channel, ts) if ts else None
    return seen.value if isinstance(seen, Found) else ""


async def _show(world: World, execution: str) -> None:
    """Redraws the step's message; what Slack does not take now is shown with the next change."""
    record = await STEPS.get(world, execution)
    if record is None or not record.ts:
        return
    try:
        await world.messenger.update(Posted(record.channel, record.ts), _report(execution, record))
    except UpstreamError as error:
        log.warning("step.not_shown", execution=execution, detail=error.detail)


def _report(execution: str, record: WorkflowStep) -> StepReport:
    return StepReport(
        execution=execution,
        state=record.state,
        lock_id=record.lock_id,
        channel=record.channel,
        stage=record.stage,
        reason=record.reason,
        by=record.by,
        note=record.note,
    )


async def _look_again(world: World, execution: str, tick: int, *, after: timedelta = LOOK_EVERY) -> None:
    at = world.clock.now() + after
    await world.jobs.start("step_look", execution, str(tick), key=f"step_look:{execution}:{tick}", at=at)

"""kill-job: what people ask for, choose, confirm and approve. The killing itself is `bot.usecases.kill.carry_out`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.gate.approval import why_not_by_policy, why_not_second
from bot.core.gate.inspection import Inspection
from bot.core.gate.stages import KillStage
from bot.core.people import Approval
from bot.core.phrase import Phrase, Quoted, duration, plain
from bot.core.policy import Approvers
from bot.core.record.evidence import LoopFacts, RunFacts
from bot.core.record.facts import KillApproved, KillConfirmed, KillRequested, draft_of
from bot.core.reports.kill import KillReport, KillRequest, KillTarget, StateStake, not_covered
from bot.core.run import SwitchResult
from bot.errors import NotPermitted
from bot.usecases.decide.weigh import Consent, approval_of
from bot.usecases.kill.targets import find
from bot.usecases.record.lifecycle import observe
from bot.usecases.request.clicks import is_own, permit
from bot.usecases.request.record import KILLS, KillRecord, RequestPhase, id_of, save_kill, show, show_first
from bot.usecases.world import World

_AT_WORK = "This request is already running; its message shows how far it is."
_WAITS = "This request waits for a second person to approve it. Nothing was changed."
_OPEN = frozenset({RequestPhase.SHOWN, RequestPhase.APPROVAL})


@dataclass(frozen=True, slots=True)
class KillCommand:
    """What someone asked for with `/tflock kill-job`.

    `click` names the delivery that it came with; `is_again`: a process that ended may have begun with it.
    """

    target: str
    user: str
    channel: str
    incident: str
    thread: str = ""
    reason: str = ""
    click: str = ""
    is_again: bool = False


@dataclass(frozen=True, slots=True)
class KillOrder:
    """What is to be done, and who asked for it; `approver` is empty where one member is enough."""

    by: str
    stop_source: bool
    approver: str = ""
    click: str = ""


async def ask(world: World, command: KillCommand) -> KillReport:
    """Finds what could be ended, and posts it with a button. Changes nothing.

    Raises NotPermitted, NoSuchRun, UnknownState (a word that is neither a state nor a run), JournalAway, UpstreamError.
    """
    await permit(world, command.user, command.channel)
    inspection, targets, unseen = await find(world, command.target)
    if inspection is not None:
        await observe(world, command.incident, inspection.state.name, inspection.seen)
    lock = inspection.lock if inspection is not None else None
    request = KillRequest(
        id=id_of(world, command.click),
        state=inspection.state.name if inspection is not None else "",
        lock_id="" if lock is None else lock.id,
        asked=command.target,
        channel=command.channel,
        user=command.user,
        asked_at=world.clock.now(),
        reason=command.reason,
        thread=command.thread,
        incident=command.incident,
    )
    stage = {0: KillStage.NOTHING, 1: KillStage.FOUND}.get(len(targets), KillStage.CHOOSE)
    chosen = targets[0] if len(targets) == 1 else None
    earlier = await KILLS.get(world, request.id) if command.is_again else None
    if earlier is None:
        await save_kill(world, KillRecord(request=request))
    else:
        request = replace(request, ts=earlier.request.ts)
    report = KillReport(request, stage, targets, chosen, unseen=unseen)
    if earlier is not None and earlier.phase is not RequestPhase.SHOWN:
        return report  # someone has clicked on it already
    posted = await show_first(world, report, "kill", is_again=command.is_again)
    await KILLS.update(world, request.id, ts=posted.ts)
    return replace(report, request=replace(request, ts=posted.ts))


async def choose(world: World, request_id: str, key: str, *, user: str) -> None:
    """A choice from the list: shows that one with its button. Raises NotPermitted, JournalAway."""
    request = (await _live(world, request_id, user, {RequestPhase.SHOWN})).request
    inspection, targets, unseen = await find(world, request.asked)
    _check_lock(request, inspection)
    chosen = _picked(targets, key)
    await show(world.messenger, KillReport(request, KillStage.FOUND, targets, chosen, unseen=unseen))


async def confirm(world: World, request_id: str, key: str, *, user: str, stop_source: bool, click: str = "") -> None:
    """The click: hands the killing of that target to a worker. Raises NotPermitted, JournalAway.

    What may hold the lock is ended only if two want it: the first click waits for that of a second person. `click`
    names it: made again, after its process ended, it does the rest.
    """
    record = await _live(world, request_id, user, _OPEN, click)
    if is_own(record, click):
        await _finish(world, record)
        return
    if record.waits_since is not None and record.by != user and record.key == key:
        await approve(world, request_id, key, user=user, click=click)
        return
    chosen = await _chosen(world, record.request, key)
    _check_policies(world, chosen)
    wanted = KillOrder(user, stop_source=stop_source and chosen.loop is not None, click=click)
    await (_ask_second if chosen.needs_second else _begin)(world, record.request, chosen, wanted)


async def approve(world: World, request_id: str, key: str, *, user: str, click: str = "") -> None:
    """A second person's click on what may hold the lock. `click` as for `confirm`. Raises NotPermitted, JournalAway."""
    record = await _live(world, request_id, user, _OPEN, click)
    if is_own(record, click):
        await _finish(world, record)
        return
    request, since, limit = record.request, record.waits_since, world.policy.approval_timeout
    if since is None or record.key != key:
        raise NotPermitted("Nobody has asked to end this yet. Nothing was changed.")
    if user == record.by:
        raise NotPermitted("You asked for this: a second person has to approve it. Nothing was changed.")
    if world.clock.now() - since > limit:
        raise NotPermitted(
            f"This was asked for more than {duration(limit)} ago. Nothing was changed; ask again with /tflock kill-job."
        )
    chosen = await _chosen(world, request, key)
    await _check_second(world, request, chosen, record.by, user)
    added = not_covered(chosen.ties, record.agreed, is_loop=chosen.loop is not None)
    if added:
        raise NotPermitted(
            f"What this would end may now hold the lock of {_names(added)}, and nobody has confirmed that. Nothing was "
            "changed; ask again with /tflock kill-job."
        )
    stop_source = record.stop and chosen.loop is not None
    await _begin(world, request, chosen, KillOrder(record.by, stop_source=stop_source, approver=user, click=click))


async def _check_second(world: World, request: KillRequest, chosen: KillTarget, asked: str, user: str) -> None:
    """Another person, who may approve by the policy of every state that wants a second person."""
    now = world.clock.now()
    asker, second = await asyncio.gather(world.standing(asked, request.channel), world.standing(user, request.channel))
    _refuse(why_not_second(Approval(request.lock_id, second, now), asker, world.holders))
    for tie in chosen.demanding:
        approval = await approval_of(world, tie.state, Consent(user, request.lock_id, now), request.channel)
        policy = world.approvers(tie.state)
        if approval is not None:
            reason = why_not_by_policy(approval, policy, owner_id=tie.owner_id, starters=tie.starters)
            _refuse(reason, f" (the policy of {tie.state})")


def _refuse(reason: Phrase | None, whose: str = "") -> None:
    if reason is not None:
        raise NotPermitted(f"{plain(reason)}{whose}. Nothing was changed.")


def _check_policies(world: World, chosen: KillTarget) -> None:
    """Before a wait for a second person that nobody could be."""
    closed = [tie for tie in chosen.demanding if world.approvers(tie.state).by is Approvers.NOBODY]
    if closed:
        raise NotPermitted(
            f"Ending this takes a second person, and the policy of {_names(closed)} lets nobody approve (approval.by "
            "in the configuration). Nothing was changed; end the run in its CI system."
        )


def _names(ties: Iterable[StateStake]) -> str:
    return ", ".join(tie.state for tie in ties)


async def _chosen(world: World, request: KillRequest, key: str) -> KillTarget:
    inspection, targets, _ = await find(world, request.asked)
    _check_lock(request, inspection)
    return _picked(targets, key)


async def _begin(world: World, request: KillRequest, chosen: KillTarget, wanted: KillOrder) -> None:
    now, pipeline = world.clock.now(), chosen.pipeline
    moved = await KILLS.update(
        world, request.id, only_if=("phase", _OPEN), phase=RequestPhase.CONFIRMED,
        by=wanted.by, approver=wanted.approver, click=wanted.click, key=chosen.key,
        runs=tuple(run.ref.id for run in chosen.runs), confirmed_at=now,
        ci=pipeline.ci, system=pipeline.system, fields=pipeline.fields,
        stop=wanted.stop_source, covers=tuple(sorted(chosen.demands)) if wanted.approver else (),
    )  # fmt: skip
    if moved is None:
        raise NotPermitted(_AT_WORK)
    await _write_order(world, request, chosen, wanted)
    if wanted.approver:
        await _write_approval(world, request, wanted.approver, _words(chosen))
    await start_kill(world, request.id)


async def _ask_second(world: World, request: KillRequest, chosen: KillTarget, wanted: KillOrder) -> None:
    now = world.clock.now()
    moved = await KILLS.update(
        world, request.id, only_if=("phase", _OPEN), phase=RequestPhase.APPROVAL, by=wanted.by, key=chosen.key,
        click=wanted.click, approval_at=now, stop=wanted.stop_source, covers=tuple(sorted(chosen.demands)),
    )  # fmt: skip
    if moved is None:
        raise NotPermitted(_AT_WORK)
    await _write_order(world, request, chosen, wanted)
    await _show_waiting(world, request, chosen, wanted.by, now + world.policy.approval_timeout)


async def _show_waiting(world: World, request: KillRequest, chosen: KillTarget, by: str, until: datetime) -> None:
    note = _who_approves(world, chosen)
    report = KillReport(request, KillStage.APPROVAL, (chosen,), chosen, by=by, until=until, note=note)
    await show(world.messenger, report)


async def _finish(world: World, record: KillRecord) -> None:
    """What is left of a click whose process ended after it had moved the request. The CI may not show the runs by now,
    so what is written down is what the record has of them.
    """
    request, count = record.request, len(record.runs)
    words = f"{count} run{'s' if count != 1 else ''} of {record.pipeline.title}" if record.ci else "what was chosen"
    facts = KillRequested(
        request=request.id, state=request.state, lock_id=request.lock_id, count=count, stop_source=record.stop,
        pipeline=record.pipeline.title if record.ci else "", system=record.pipeline.system, runs=(), loop=None,
        tie="",
    )  # fmt: skip
    await _append_order(world, request, facts, record.by, words)
    if record.phase is RequestPhase.CONFIRMED:
        if record.approver:
            await _write_approval(world, request, record.approver, words)
        await start_kill(world, request.id)
    elif record.waits_since is not None:
        chosen = await _chosen(world, request, record.key)
        await _show_waiting(world, request, chosen, record.by, record.waits_since + world.policy.approval_timeout)


def _who_approves(world: World, chosen: KillTarget) -> Phrase:
    """Whom the policies of the states want, where that is not every full member."""
    who = {Approvers.OWNER: "the owner of the lock of", Approvers.GROUP: "a member of the approval group of"}
    asked = [(world.approvers(tie.state).by, tie.state) for tie in chosen.demanding]
    wanted = [f"{who[by]} {state}" for by, state in asked if by in who]
    return (f"the policy (approval.by) requires {' and '.join(wanted)} to approve",) if wanted else ()


async def _write_order(world: World, request: KillRequest, chosen: KillTarget, wanted: KillOrder) -> None:
    """Once for each who wanted it: the approver's click does not ask again."""
    facts = KillRequested(
        request=request.id,
        state=request.state,
        lock_id=request.lock_id,
        pipeline=chosen.pipeline.title,
        system=chosen.pipeline.system,
        count=len(chosen.runs),
        runs=RunFacts.of_all(chosen.runs),
        loop=None if chosen.loop is None else LoopFacts.of(chosen.loop),
        tie=chosen.tie,
        stop_source=wanted.stop_source,
    )
    await _append_order(world, request, facts, wanted.by, _words(chosen))


async def _append_order(world: World, request: KillRequest, facts: KillRequested, by: str, words: str) -> None:
    text = f"asked to end {words}" + (f" because {request.reason}" if request.reason else "")
    draft = draft_of(facts, world.clock.now(), by, text, once=f"kill/{request.id}/{by}")
    await world.journal.append(request.incident, draft)


async def _write_approval(world: World, request: KillRequest, approver: str, words: str) -> None:
    facts, once = KillApproved(request=request.id), f"kill/{request.id}/approved"
    draft = draft_of(facts, world.clock.now(), approver, f"approved the end of {words}", once=once)
    await world.journal.append(request.incident, draft)


async def start_kill(world: World, request_id: str) -> None:
    """Hands the killing to a worker, once. Raises JournalAway."""
    await world.jobs.start("kill", request_id, "0", key=f"kill:{request_id}:0")


async def restart(world: World, request_id: str, *, user: str, click: str = "") -> None:
    """Lets the loop's source be started again, on purpose. Raises NotPermitted, JournalAway."""
    record = await KILLS.get(world, request_id)
    if record is None or not record.stop:
        raise NotPermitted("This message is too old. Nothing was changed.")
    request, pipeline = record.request, record.pipeline
    await permit(world, user, request.channel)
    source = world.sources[pipeline.ci]
    switched = await source.switch(pipeline, on=True)
    if switched.result is SwitchResult.DONE:
        await KILLS.update(world, request_id, restarted=True)
    text = f"started {pipeline.title} again: {switched.result}"
    facts = KillConfirmed(
        request=request.id, state=request.state, pipeline=pipeline.title, restarted=True, switched=switched.result
    )
    draft = draft_of(facts, world.clock.now(), user, text, once=f"restarted/{click}" if click else None)
    await world.journal.append(request.incident, draft)
    note: Phrase = (Quoted(switched.detail),) if switched.detail else ()
    await show(
        world.messenger, KillReport(request, KillStage.RESTARTED, switched=switched, source=pipeline.title, note=note)
    )


def _check_lock(request: KillRequest, inspection: Inspection | None) -> None:
    """A run that only wanted the lock that was shown may be the one that has the new lock."""
    locks = inspection.seen.locks if inspection is not None else ()
    if locks and request.lock_id and all(info.id != request.lock_id for info in locks):
        raise NotPermitted(
            "The lock has changed hands since this was asked, and what you chose may hold it now. Nothing was changed; "
            "ask again with /tflock kill-job."
        )


def _picked(targets: tuple[KillTarget, ...], key: str) -> KillTarget:
    for target in targets:
        if target.key == key:
            return target
    raise NotPermitted("That run has ended, or is gone. Nothing was changed.")


async def _live(
    world: World, request_id: str, user: str, phases: Collection[RequestPhase], click: str = ""
) -> KillRecord:
    """Also one that is past these phases, if it was this very click that brought it there."""
    record = await KILLS.get(world, request_id)
    if record is not None and is_own(record, click):
        return record
    if record is None:
        raise NotPermitted("This message is too old. Nothing was changed; ask again with /tflock kill-job.")
    if record.phase is RequestPhase.CONFIRMED and not record.cancelled:
        await start_kill(world, request_id)  # does nothing, unless the process died before it could start it
    if record.phase not in phases:
        raise NotPermitted(_WAITS if record.phase is RequestPhase.APPROVAL else _AT_WORK)
    await permit(world, user, record.request.channel)
    return record


def _words(target: KillTarget) -> str:
    if target.loop is not None:
        return f"the loop of {target.loop.pipeline.title} ({len(target.runs)} active runs)"
    return f"run {target.runs[0].ref.id} of {target.runs[0].ref.pipeline.title}"

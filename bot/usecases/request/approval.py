"""The second person: who approves or declines, and what becomes of a request to unlock that waits for them.

tflock looks again and again at a request that waits: if the lock changes hands, or what wants approval changes, it is
withdrawn, and after the policy's time it expires. An approval is for the lock and for the findings that its button
showed, and for nothing else.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.gate.approval import why_not_by_policy, why_not_second
from bot.core.gate.case import Ruling, Verdict
from bot.core.gate.inspection import Inspection
from bot.core.gate.ownership import NOBODY_STARTED
from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo
from bot.core.phrase import Person, Phrase, duration, plain
from bot.core.policy import Approvers
from bot.core.record.facts import UnlockApproved, UnlockDeclined, UnlockWithdrawn
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.errors import NotPermitted
from bot.usecases.decide.weigh import Consent, Decision, approval_of, weigh
from bot.usecases.request.announce import announce_click
from bot.usecases.request.clicks import check_place, is_own, live, move, permit, start_release, write_down
from bot.usecases.request.record import UNLOCKS, RequestPhase, UnlockRecord, is_done, show
from bot.usecases.request.steps import WAITING, Step, advance
from bot.usecases.world import World

WITHDRAWN, CHANGED = "withdrawn", "changed"
LOOK_AGAIN = timedelta(seconds=20)
"""How often a waiting request is looked at again."""


async def approve(world: World, request_id: str, *, lock_id: str, user: str, covers: str, click: str = "") -> None:
    """A second person's click: hands the release to a worker. `covers` are the findings that their button showed.

    `click` names it: made again, after its process ended, it does the rest. Raises NotPermitted, JournalAway.
    """
    record = await live(world, request_id, lock_id, click=click)
    if not is_own(record, click):
        record = await _approved(world, record, user, covers, click)
    request, at = record.request, record.approved_at
    if record.phase is not RequestPhase.CONFIRMED or at is None:
        return
    facts = UnlockApproved(request=request.id, state=request.state, lock_id=request.lock_id, covers=record.covers)
    once = f"approved/{request.id}/{at.isoformat()}"
    await write_down(world, request, facts, user, f"approved the unlock of {request.state}", once=once)
    await start_release(world, record)
    await UNLOCKS.secure(world, request_id, has=lambda kept: kept is not None and kept.approved_at == at)
    says: Phrase = (f" approved the unlock of {request.state}, for which ", Person(record.asker, ""), " asked.")
    step = f"approved/{at.timestamp():.0f}"
    await announce_click(world, request, f"The unlock of {request.state} is approved", user, step=step, says=says)


async def _approved(world: World, record: UnlockRecord, user: str, covers: str, click: str) -> UnlockRecord:
    request = record.request
    if user in {request.user, record.by}:
        raise NotPermitted("You asked for this unlock: a second person has to approve it. Nothing was changed.")
    check_place(world, record)
    now = world.clock.now()
    if now > expires_at(world, record):
        limit = duration(world.policy.approval_timeout)
        raise NotPermitted(f"This request is older than {limit}. Nothing was changed; ask again with /tflock unlock.")
    shown = sorted(part for part in covers.split("+") if part)
    if not shown or shown != sorted(record.wanted):
        raise NotPermitted("What needs approval has changed. Nothing was changed; look at the checklist again.")
    await _permit_second(world, record, user)
    return await move(
        world, request.id, Step.CONFIRM,
        approver=user, approved_at=now, confirmed_at=now, covers=tuple(shown), click=click,
        hold=world.new_id() if request.hold_for else "",
    )  # fmt: skip


async def decline(world: World, request_id: str, *, lock_id: str, user: str, click: str = "") -> None:
    """Anyone who may act here says no, the asker too; the request is over. Raises NotPermitted, JournalAway.

    `click` as for `approve`.
    """
    record = await live(world, request_id, lock_id, click=click)
    request = record.request
    if not is_own(record, click):
        await permit(world, user, request.channel)
        await move(world, request_id, Step.DECLINE, click=click)
    of: type[UnlockDeclined | UnlockWithdrawn] = UnlockDeclined
    words, note = "declined the unlock", " declined"
    if user == request.user:
        of, words, note = UnlockWithdrawn, "withdrew the request to unlock", " cancelled it"
    facts = of(request=request.id, state=request.state, lock_id=request.lock_id, outcome=UnlockStage.DECLINED)
    await write_down(world, request, facts, user, f"{words} ({request.state})", once=f"declined/{request.id}")
    await UNLOCKS.secure(world, request_id, has=is_done)
    said: Phrase = (Person(user, ""), note)
    await show(world.messenger, UnlockReport(request, UnlockStage.DECLINED, None, None, note=said))


async def start_waiting(world: World, request: UnlockRequest, since: str = "", tick: int = 0) -> None:
    """From now on the request is looked at again and again. `since` names this very waiting. Raises JournalAway."""
    at = world.clock.now() + LOOK_AGAIN
    await world.jobs.start("pending", request.id, since, str(tick), key=f"pending:{request.id}:{since}:{tick}", at=at)


async def pending(world: World, request_id: str, since: str, tick: int) -> None:
    """One look at a request that waits for a second person. Raises JournalAway, UpstreamError: then try again."""
    record = await UNLOCKS.get(world, request_id)
    if record is not None and record.phase is RequestPhase.DONE and record.untold == WITHDRAWN:
        await _tell_withdrawn(world, record)
        return
    if record is None or record.phase not in WAITING or not (record.wanted or record.untold):
        return
    request = record.request
    if (record.approval_at.isoformat() if record.approval_at else "") != since and not record.untold:
        return  # another waiting has begun since, with looks of its own
    if world.clock.now() > expires_at(world, record):
        limit = duration(world.policy.approval_timeout)
        await _withdraw(world, request, UnlockStage.EXPIRED, f"nobody approved it within {limit}")
        return
    decision = await weigh(
        world, world.state_at(request.state, record.place), lock_id=request.lock_id, user=record.asker,
        channel=request.channel,
    )  # fmt: skip
    if decision.is_gone(request.lock_id):
        await _gone(world, request, decision)
    elif record.untold and waiting_for(decision.verdict) == record.wanted:
        await _tell_changed(world, record, decision)
    elif decision.store_is_busy or waiting_for(decision.verdict) == record.wanted:
        await start_waiting(world, request, since, tick + 1)  # a store that cannot be read now says nothing new
    else:
        await changed(world, request, decision)


def expires_at(world: World, record: UnlockRecord) -> datetime:
    """Until when a second person may approve."""
    return (record.approval_at or record.request.asked_at) + world.policy.approval_timeout


def waiting_for(verdict: Verdict) -> tuple[str, ...]:
    """What a second person could approve now; nothing where something else refuses, or nothing is missing."""
    return tuple(verdict.wants_approval) if verdict.ruling is Ruling.NEEDS_APPROVAL else ()


async def _permit_second(world: World, record: UnlockRecord, user: str) -> None:
    """What the gate would refuse again. Only the gate's own look shows whether the lock or its run is theirs."""
    request = record.request
    consent = Consent(user, request.lock_id, world.clock.now())
    _, asker, approval = await asyncio.gather(
        permit(world, user, request.channel),
        world.standing(record.asker, request.channel),
        approval_of(world, request.state, consent, request.channel),
    )
    if approval is None:
        raise NotPermitted("Nothing was changed; ask again with /tflock unlock.")
    policy = world.approvers(request.state)
    by_policy = (
        None
        if policy.by is Approvers.OWNER
        else why_not_by_policy(approval, policy, owner_id=None, starters=NOBODY_STARTED)
    )
    reason = why_not_second(approval, asker, world.holders) or by_policy
    if reason is not None:
        raise NotPermitted(f"{plain(reason)}. Nothing was changed.")


async def _gone(world: World, request: UnlockRequest, decision: Decision) -> None:
    now_held_by: LockInfo | None = decision.inspection.seen.lock
    stage = UnlockStage.ALREADY_FREE if now_held_by is None else UnlockStage.HOLDER_CHANGED
    why = "the lock is free" if now_held_by is None else "another holder has the lock now"
    await _withdraw(world, request, stage, why, now_held_by=now_held_by, inspection_of=decision)


async def _withdraw(
    world: World,
    request: UnlockRequest,
    stage: UnlockStage,
    why: str,
    *,
    now_held_by: LockInfo | None = None,
    inspection_of: Decision | None = None,
) -> None:
    """Ends the request, unless someone has sent it on its way meanwhile."""
    moved = await advance(world, request.id, Step.DECLINE, wanted=(), outcome=stage, note=why, untold=WITHDRAWN)
    if moved is not None:
        inspection = inspection_of.inspection if inspection_of is not None else None
        await _tell_withdrawn(world, moved, inspection, now_held_by)


async def _tell_withdrawn(
    world: World, record: UnlockRecord, inspection: Inspection | None = None, now_held_by: LockInfo | None = None
) -> None:
    """Once more from its first line, where Redis or Slack was away: the look that found it may not come again."""
    request, stage = record.request, record.outcome or UnlockStage.EXPIRED
    text = f"the request to unlock {request.state} is withdrawn: {record.note}"
    facts = UnlockWithdrawn(request=request.id, state=request.state, lock_id=request.lock_id, outcome=stage)
    await write_down(world, request, facts, "tflock", text, once=f"withdrawn/{request.id}")
    note: Phrase = (record.note,)
    await show(world.messenger, UnlockReport(request, stage, inspection, None, note=note, now_held_by=now_held_by))
    await UNLOCKS.update(world, request.id, only_if=("untold", (WITHDRAWN,)), untold="")


async def changed(world: World, request: UnlockRequest, decision: Decision) -> None:
    """Shows the new checklist. What was shown before can no longer be approved."""
    wanted, now = waiting_for(decision.verdict), world.clock.now()
    moved = await advance(world, request.id, Step.CHECK_AGAIN, wanted=wanted, approval_at=now, untold=CHANGED)
    if moved is not None:
        await _tell_changed(world, moved, decision)


async def _tell_changed(world: World, record: UnlockRecord, decision: Decision) -> None:
    """As `_tell_withdrawn`."""
    request, verdict, at = record.request, decision.verdict, record.approval_at or record.request.asked_at
    once = f"withdrawn/{request.id}/{at.timestamp():.0f}"
    text = f"what an approval of the unlock of {request.state} would rest on has changed; it is checked again"
    stage = UnlockStage.REFUSED if verdict.ruling is Ruling.REFUSE else UnlockStage.CHECKED
    facts = UnlockWithdrawn(request=request.id, state=request.state, lock_id=request.lock_id, outcome=stage)
    await write_down(world, request, facts, "tflock", text, once=once)
    note: Phrase = ("the evidence has changed since this was asked: look at the checklist again",)
    approval = world.approvers(request.state)
    report = UnlockReport(request, stage, decision.inspection, verdict, note=note, approval=approval)
    if verdict.ruling is Ruling.NEEDS_APPROVAL:
        report = replace(report, until=at + world.policy.approval_timeout)
        await start_waiting(world, request, at.isoformat())
    await show(world.messenger, report)
    await UNLOCKS.update(world, request.id, only_if=("untold", (CHANGED,)), untold="")

"""Releases that nobody asks for, of states whose configuration wants them (`auto_release`).

A lock is looked at now and then, as the gate would decide if nobody asked. Once every look has allowed its release for
`after`, that is announced, and the request goes the way of an armed unlock, which waits for the `veto` to pass. One
worker is at this at a time, and whatever dies in between, the next sweep continues from what was written down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.core.gate.case import Ruling
from bot.core.gate.stages import UnlockStage
from bot.core.hold import is_hold
from bot.core.instants import stamp
from bot.core.lock import LockInfo, LockSeen, age
from bot.core.people import BOT
from bot.core.phrase import Linked, Phrase, duration
from bot.core.policy import AutoRelease
from bot.core.record.facts import UnlockRequested, UnlockWithdrawn
from bot.core.record.incident import Incident
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.errors import ChainBroken, UpstreamError
from bot.ports.messenger import Posted
from bot.usecases.decide.automatic import (
    AUTO_RELEASES,
    STOPPED,
    AutoRecord,
    begin_count,
    has_ended,
    is_count_over,
    key_of,
    leave_time,
)
from bot.usecases.decide.weigh import Decision, record_decision, weigh
from bot.usecases.outbox import Outgoing, post_once
from bot.usecases.owner.tell import write_to_owner
from bot.usecases.record.lifecycle import observe
from bot.usecases.request.announce import announce, announce_click
from bot.usecases.request.clicks import write_down
from bot.usecases.request.record import REQUEST_TTL, UNLOCKS, RequestPhase, UnlockRecord, save_unlock, show
from bot.usecases.request.steps import Step, advance
from bot.usecases.unlock.release import wake
from bot.usecases.watch.alerts import Check
from bot.usecases.watch.shared_lists import sharing_listings
from bot.usecases.world import State, World

log = structlog.get_logger()

MOST_TIMES = 3
"""A lock that was announced so often, and not released, is left to people."""

LATE_AFTER = timedelta(minutes=30)
"""An announced release that no worker carried out for so long is given up."""

_NOT_CONFIGURED = "the configuration no longer asks for it"
NOT_HEARD = "Slack does not take the announcement for one of the channels where people could stop it"

_LOOKS_A_MINUTE = 6
_LOOK_WITHIN = 20.0
_LISTED = ("auto-releases", "all")
_MOST = 1000


async def tend(
    world: World, seen: Mapping[str, LockSeen], incidents: Mapping[str, Incident], still_mine: Check, *, may_look: bool
) -> None:
    """One round. `still_mine` raises Busy if another worker has taken over. Raises JournalAway.

    Without `may_look` no CI system is asked now, but what was announced continues.
    """
    await _go_on(world, still_mine)
    if not may_look:
        return
    for state, lock, decision in await _looked_at(world, await _due(world, seen, incidents)):
        await still_mine()
        try:
            await _count(world, state, lock, decision, incidents.get(state.name.name), still_mine)
        except ChainBroken as broken:  # no timeline, no unlock; its own trouble must not keep the others
            log.warning("auto_release.not_announced", state=state.name.name, error=str(broken))


# ── what is announced already


async def _go_on(world: World, still_mine: Check) -> None:
    now = world.clock.now()
    for request_id in await world.records.enlisted(*_LISTED, since=now - REQUEST_TTL, until=now, limit=_MOST):
        record = await UNLOCKS.get(world, request_id)
        if record is None:
            continue
        await still_mine()
        if record.phase is RequestPhase.DONE:
            await has_ended(world, record.request)  # the worker that ended it may have died before that
            continue
        state = world.states.get(record.request.state)
        rule = state.auto_release if state is not None else None
        try:
            if rule is None and record.phase is RequestPhase.SHOWN:
                await _withdraw(world, record.request, _NOT_CONFIGURED)
            elif rule is not None and record.phase is RequestPhase.SHOWN:
                await _announce(world, record.request, rule, None, still_mine)
            else:
                await _wake(world, request_id, at=now)
        except ChainBroken as broken:
            log.warning("auto_release.goes_not_on", request=request_id, error=str(broken))


async def carry_on(world: World, request_id: str, *, worker: str) -> None:
    """The job of an announced release, at its time and with every sweep before. Raises as `wake`."""
    record = await UNLOCKS.get(world, request_id)
    if record is not None and world.state_still(record.request.state, record.place) is None:
        await _withdraw(world, record.request, _NOT_CONFIGURED)
    else:
        await wake(world, request_id, worker=worker)


async def _wake(world: World, request_id: str, *, at: datetime) -> None:
    await world.jobs.start("auto_release", request_id, key=f"auto_release:{request_id}:{stamp(at)}", at=at)


async def _withdraw(world: World, request: UnlockRequest, why: str) -> None:
    """Of what must not continue, although nobody has stopped it and no look refused it."""
    if await advance(world, request.id, Step.STOP) is None:
        return
    facts = UnlockWithdrawn(
        request=request.id, state=request.state, lock_id=request.lock_id, outcome=UnlockStage.EXPIRED
    )
    text = f"the automatic release of {request.state} is withdrawn: {why}"
    await write_down(world, request, facts, BOT, text, once=f"withdrawn/{request.id}")
    await has_ended(world, request)
    if request.ts:
        await _show(world, UnlockReport(request, UnlockStage.EXPIRED, None, None, note=(why,)))
    says: Phrase = (f" did not release it: {why}.",)
    headline = f"{request.state} was not unlocked automatically"
    await announce_click(world, request, headline, BOT, step="withdrawn", says=says)


async def _show(world: World, report: UnlockReport) -> None:
    try:
        await show(world.messenger, report)
    except UpstreamError as error:
        log.warning("auto_release.not_shown", request=report.request.id, detail=error.detail)


# ── what may become ripe


async def _due(
    world: World, seen: Mapping[str, LockSeen], incidents: Mapping[str, Incident]
) -> list[tuple[State, LockInfo]]:
    """The locks whose turn it is, those that wait for the longest first. Without a channel nobody could stop it."""
    now, found = world.clock.now(), list[tuple[datetime, State, LockInfo]]()
    for name, held in seen.items():
        state, lock = world.states[name], held.lock
        if state.auto_release is None or lock is None or age(lock, now) < world.watch.every or is_hold(lock):
            continue
        if world.alerts_channel is None and name not in incidents:
            continue
        key = f"{name}/{lock.id}"
        record = await AUTO_RELEASES.get(world, key) or AutoRecord(look_at=lock.created)
        is_open = not record.request and record.times < MOST_TIMES and record.look_at <= now
        if is_open and await STOPPED.get(world, key) is None:
            found.append((record.look_at, state, lock))
    most = max(1, int(_LOOKS_A_MINUTE * (world.watch.every / timedelta(minutes=1))))
    return [(state, lock) for _, state, lock in sorted(found, key=lambda one: one[0])[:most]]


async def _looked_at(
    world: World, due: Sequence[tuple[State, LockInfo]]
) -> list[tuple[State, LockInfo, Decision | None]]:
    """What the gate makes of each, if nobody asks; None if that took too long."""
    shared = sharing_listings(world)

    async def look(state: State, lock: LockInfo) -> Decision | None:
        try:
            async with asyncio.timeout(_LOOK_WITHIN):
                return await weigh(shared, state, lock_id=lock.id, user=BOT, channel="")
        except TimeoutError:
            log.warning("auto_release.look_too_slow", state=state.name.name)
            return None

    decisions = await asyncio.gather(*(look(state, lock) for state, lock in due))
    return [(state, lock, decision) for (state, lock), decision in zip(due, decisions, strict=True)]


async def _count(
    world: World, state: State, lock: LockInfo, decision: Decision | None, incident: Incident | None, still_mine: Check
) -> None:
    """Writes down what this look says, and announces the release if it has been allowed for long enough."""
    rule, now, key = state.auto_release, world.clock.now(), f"{state.name.name}/{lock.id}"
    if rule is None:
        return
    before = await AUTO_RELEASES.get(world, key)
    latest = now + world.watch.look_every
    until = decision.verdict.until if decision is not None else None
    since, by_slack, look_at = None, None, latest if until is None else min(max(until, now), latest)
    if decision is not None and decision.verdict.ruling is Ruling.ALLOW:
        since, by_slack = (None, None) if before is None else (before.since, before.since_by_slack)
        if since is None or by_slack is None:
            by_slack = await begin_count(world, key, rule.after)
            since = None if by_slack is None else now
        look_at = latest if since is None else min(since + rule.after, latest)
    if before is None:
        await AUTO_RELEASES.put(world, key, AutoRecord(look_at=look_at, since=since, since_by_slack=by_slack))
    else:
        await AUTO_RELEASES.update(world, key, since=since, since_by_slack=by_slack, look_at=look_at)
    if decision is None or since is None or by_slack is None or now - since < rule.after:
        return
    if await is_count_over(world, key, rule.after, by_slack):
        await _request(world, state, decision, incident, still_mine)


# ── the announcement


async def _request(
    world: World, state: State, decision: Decision, incident: Incident | None, still_mine: Check
) -> None:
    name, lock, rule = state.name.name, decision.inspection.lock, state.auto_release
    channel = incident.channel if incident is not None else world.alerts_channel
    if channel is None or lock is None or rule is None:
        return  # nobody would hear of it
    now = world.clock.now()
    if incident is None:
        incident, _ = await world.journal.open(channel=channel, title=name, by=BOT, at=now)
    await observe(world, incident.id, name, decision.inspection.seen)
    request = UnlockRequest(
        id=world.new_id(), state=name, lock_id=lock.id, channel=channel, user=BOT, asked_at=now, incident=incident.id
    )
    await save_unlock(world, UnlockRecord(request=request, place=state.place))
    await world.records.enlist(*_LISTED, request.id, at=now, ttl=REQUEST_TTL)
    before = await AUTO_RELEASES.get(world, key_of(request))
    changes = {"request": request.id, "times": before.times + 1 if before is not None else 1, "begun": None}
    if await AUTO_RELEASES.update(world, key_of(request), changes, only_if=("request", ("",))) is not None:
        await _announce(world, request, rule, decision, still_mine)


async def _announce(
    world: World, request: UnlockRequest, rule: AutoRelease, decision: Decision | None, still_mine: Check
) -> None:
    """Says it where the state's people see it, and lets the time run in which they can stop it.

    What Slack does not take now is tried again with the next sweep; what it will never take is not done.
    """
    record = await AUTO_RELEASES.get(world, key_of(request))
    if record is None or record.request != request.id:
        await advance(world, request.id, Step.STOP, only_in={RequestPhase.SHOWN})
        return
    try:
        request = await _posted(world, request, rule, decision, record, still_mine)
        if not await _tell_others(world, request, rule, decision):
            await _withdraw(world, request, NOT_HEARD)
            return
    except UpstreamError as error:
        log.warning("auto_release.not_announced", request=request.id, passes=error.passes, detail=error.detail)
        if not error.passes:
            await advance(world, request.id, Step.STOP, only_in={RequestPhase.SHOWN})
            await has_ended(world, request)
        return
    await leave_time(world, request, rule.veto)
    now = world.clock.now()
    moved = await advance(
        world, request.id, Step.ANNOUNCE, by=BOT, ts=request.ts,
        armed_at=now, not_before=now + rule.veto, until=now + rule.veto + LATE_AFTER,
    )  # fmt: skip
    if moved is None:
        return  # stopped already
    await _wake(world, request.id, at=now + rule.veto)
    if record.begun is not None:  # posted before its worker died: with another time
        await _show(world, UnlockReport(request, UnlockStage.ARMED, None, None, until=now + rule.veto, by=BOT))


async def _posted(
    world: World,
    request: UnlockRequest,
    rule: AutoRelease,
    decision: Decision | None,
    record: AutoRecord,
    still_mine: Check,
) -> UnlockRequest:
    """The request with its message, which has the button. Posted once, whatever dies in between."""
    inspection, verdict = (None, None) if decision is None else (decision.inspection, decision.verdict)
    until = world.clock.now() + rule.veto
    report = UnlockReport(request, UnlockStage.ARMED, inspection, verdict, until=until, by=BOT)

    async def begin(now: datetime) -> None:
        await AUTO_RELEASES.update(world, key_of(request), begun=now)

    await still_mine()
    posted = await post_once(
        world, Outgoing(request.channel, report, f"auto-release/{request.id}"), begun=record.begun, begin=begin
    )
    await UNLOCKS.update(world, request.id, ts=posted.ts)
    return replace(request, ts=posted.ts)


async def _tell_others(world: World, request: UnlockRequest, rule: AutoRelease, decision: Decision | None) -> bool:
    """The timeline, the other channels of the state's people, and the owner, each once.

    False if one of those channels will never hear of it: some of the state's people may look nowhere else.
    """
    name = request.state
    if decision is not None:
        await record_decision(world, request, decision, once=f"asked/{request.id}")
    text = f"announced the automatic release of {name} in {duration(rule.veto)}, unless someone stops it"
    facts = UnlockRequested(request=request.id, state=name, lock_id=request.lock_id, reason="")
    await write_down(world, request, facts, BOT, text, once=f"auto-release/{request.id}")
    there = Linked("with the button here", await world.messenger.link(Posted(request.channel, request.ts)))
    says: Phrase = (f" releases the lock of {name} in ", rule.veto, ", unless someone stops it ", there, ".")
    headline = f"{name} will be unlocked automatically"
    if await announce(world, request, headline, BOT, step="automatic", says=says):
        return False
    if decision is not None:
        await write_to_owner(
            world, OwnerNews.UNLOCK_WANTED, decision.inspection, asker=BOT, channel=request.channel,
            incident=request.incident, request=request.id,
        )  # fmt: skip
    return True

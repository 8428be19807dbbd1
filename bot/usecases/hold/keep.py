"""A hold as a job: its lock is taken, looked after, prolonged, and ended at its time, whatever dies in between.

One worker at a time is at a state, the same one as for its releases. Each run goes by the record, and begins by reading
what the store has: what an earlier run wrote is found again. The end of a hold needs no gate: nobody writes under it,
and exactly this lock is deleted, or nothing. It waits for nobody: not for Slack, and not for a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import structlog

from bot.core.evidence import Unseen
from bot.core.gate.eligibility import why_not_eligible
from bot.core.hold import hold_in, is_of, prolonged, words_of
from bot.core.lock import LockPlace, LockSeen, PlaceKind, PlaceRelease, PlaceTaken, ReleaseResult, TakeResult
from bot.core.people import BOT
from bot.core.phrase import Person, Phrase, plain
from bot.core.record.evidence import PlaceFacts
from bot.core.record.facts import HoldEnded, HoldPlaced, HoldProlonged
from bot.core.record.incident import Incident
from bot.core.reports.hold import HoldEnd
from bot.usecases.hold.ask import ARRIVED_LATE, adopt, end_again
from bot.usecases.hold.record import (
    HOLDS,
    HoldPhase,
    HoldRecord,
    advance,
    kinds_of,
    lock_info,
    secure,
    start_look,
    state_of,
    unsettled_holds,
    write_down,
    write_intent,
)
from bot.usecases.hold.tell import announce, posted, show, try_to_show, warn, warn_at_least
from bot.usecases.lease import lease
from bot.usecases.queue.waiting_list import look_soon
from bot.usecases.request.record import UNLOCKS, RequestPhase
from bot.usecases.request.steps import UNDER_WAY
from bot.usecases.shelf import secure_entry
from bot.usecases.world import State, World

log = structlog.get_logger()

Check: TypeAlias = Callable[[], Awaitable[None]]

LOOK_EVERY = timedelta(minutes=2)
"""How often a hold is looked at that has nothing to wait for: is it there, and may its asker still hold it."""

AGAIN_AFTER = timedelta(seconds=5)
LATE = timedelta(minutes=5)
"""So long after its end a hold is still looked for: a request that got no answer may arrive late. Where a lock is taken
before it says what it is for (a lease), nothing but its ID shows whose it is.
"""

PLACE_WITHIN = timedelta(minutes=1)
"""A free state that could not be taken for so long is not held."""

OVERDUE = timedelta(minutes=2)
"""A hold that is there so long after the end that its own lock names has no worker that looks after it."""

_LATE_WORDS = "ended a hold of {} whose lock arrived late"
_SENT_WITHIN = 10.0
_GONE = frozenset({ReleaseResult.RELEASED, ReleaseResult.ALREADY_FREE, ReleaseResult.HOLDER_CHANGED})
_SOON = frozenset({TakeResult.THROTTLED, TakeResult.NOT_SENT, TakeResult.NOT_KNOWN})


async def look(world: World, hold_id: str, *, worker: str) -> None:
    """One look at a hold, and what is due. Raises JournalAway, UpstreamError, Busy: then it must be tried again."""
    record = await HOLDS.get(world, hold_id)
    if record is None or record.is_settled:
        return
    patience = world.policy.release_deadline + timedelta(seconds=30)
    holder = f"{worker}/{world.new_id()}"
    async with lease(world.records, f"state/{record.hold.state}", holder=holder, patience=patience) as still_ours:
        record = await HOLDS.get(world, hold_id)
        if record is None or record.is_settled:
            return
        state = state_of(world, record)
        if state is None or state.holds is None:
            await _leave(world, record)
            return
        if record.phase is HoldPhase.PLACING and record.hold.request:
            record = await _settled_swap(world, state, record)
        elif record.phase is HoldPhase.PLACING:
            record = await _place(world, state, record, still_ours)
        elif record.phase is HoldPhase.HELD:
            await _catch_up(world, record)
            record = await _keep(world, state, record, still_ours)
        elif record.phase is HoldPhase.ENDED:
            record = await _settled(world, state, record, still_ours)
        if record is not None and record.phase is HoldPhase.ENDING:
            record = await _end(world, state, record, still_ours)
    if record is not None and not record.is_settled:
        await start_look(world, record, _next_at(world, record))


async def tend(world: World) -> None:
    """Starts the looks again that were lost, or given up. About once a minute. Raises JournalAway."""
    now = world.clock.now()
    for record in await unsettled_holds(world):
        if record.phase is not HoldPhase.HELD or _due_at(record) <= now or record.ticks == 0:
            # the look after one that has ended is most likely in the queue, and stays one
            at = _next_at(world, record) if record.phase is HoldPhase.ENDED else now
            await start_look(world, record, at)


async def end_overdue(world: World, seen: Mapping[str, LockSeen], incidents: Mapping[str, Incident]) -> None:
    """Ends holds that are there after the end that their own locks name, also where their records are lost.

    Also one whose request reached the store after it was reported to have ended. Raises JournalAway.
    """
    now = world.clock.now()
    for name, there in seen.items():
        held, state = hold_in(there), world.states[name]
        said = None if held is None else words_of(held)
        if held is None or said is None or state.holds is None:
            continue
        known = await HOLDS.get(world, said.ref) if said.ref else None
        is_over = said.until is not None and now >= said.until + OVERDUE
        if (known is None and not is_over) or (known is not None and known.phase is not HoldPhase.ENDED):
            continue
        incident = incidents.get(name)
        channel = incident.channel if incident is not None else world.alerts_channel or ""
        found = await adopt(world, state, held, channel=channel)
        if found is not None:
            log.warning("hold.overdue", state=name, hold=found.hold.id)
            await start_look(world, found)


def _due_at(record: HoldRecord) -> datetime:
    """When something is to be done about a hold that is in place."""
    hold = record.hold
    return hold.until if record.warned == hold.until else hold.until - warn_at_least(hold.span)


def _next_at(world: World, record: HoldRecord) -> datetime:
    """On instants that all workers have in common, so that looks that were started twice become one."""
    now = world.clock.now()
    if record.phase is HoldPhase.HELD:
        return max(now + timedelta(seconds=1), min(_due_at(record), _slot(now, LOOK_EVERY)))
    if record.phase is HoldPhase.ENDED:
        return _slot(now, timedelta(minutes=1))
    return _slot(now, min(AGAIN_AFTER * 2 ** min(record.tries, 4), timedelta(minutes=1)))


def _slot(now: datetime, every: timedelta) -> datetime:
    seconds = every.total_seconds()
    return datetime.fromtimestamp((now.timestamp() // seconds + 1) * seconds, UTC)


# ── a free state is taken


async def _place(world: World, state: State, record: HoldRecord, still_ours: Check) -> HoldRecord | None:
    seen, info = await state.backend.read_lock(), lock_info(record, state.path)
    if seen.held and not (seen.free or seen.unseen) and all(is_of(place.info, info) for place in seen.held):
        return await _placed(world, state, record, seen)  # by a worker that died before it could write that down
    why = await _why_not(world, state, record, seen)
    if why is not None:
        return await _give_up(world, record, *why)
    record = await posted(world, record, is_again=True)
    if seen.unseen:
        return await HOLDS.update(world, record.hold.id, note="the lock can't be read", tries=record.tries + 1)
    # before the first byte: the worker that comes after this one knows where to look for what it wrote
    record = await HOLDS.update(world, record.hold.id, places=kinds_of(seen), note="") or record
    intent = await write_intent(world, record)
    await secure(world, record)
    if intent is not None:
        await secure_entry(world, record.hold.incident, intent)
    for kind in seen.free:
        await still_ours()
        took = await _take(world, state, record, kind)
        if took.result in _SOON:
            return await HOLDS.update(world, record.hold.id, note=took.detail, tries=record.tries + 1)
        if took.result is not TakeResult.TAKEN:
            lost = _faster(took.place) if took.result is TakeResult.HELD and took.place else took.detail
            return await _give_up(world, record, HoldEnd.NOT_PLACED, lost)
    return await _placed(world, state, record, await state.backend.read_lock())


async def _why_not(world: World, state: State, record: HoldRecord, seen: LockSeen) -> tuple[HoldEnd, str] | None:
    """Why the state is not taken (any more); None if it may be."""
    info, now = lock_info(record, state.path), world.clock.now()
    other = next((place for place in seen.held if not is_of(place.info, info)), None)
    if other is not None:
        return HoldEnd.NOT_PLACED, _faster(other)
    if now - record.hold.asked_at > PLACE_WITHIN or now >= record.hold.until:
        return HoldEnd.NOT_PLACED, record.note or "the lock could not be taken in time"
    lost = await _rights_lost(world, record)
    return (HoldEnd.RIGHTS, lost) if lost else None


async def _take(world: World, state: State, record: HoldRecord, kind: PlaceKind) -> PlaceTaken:
    if state.holds is None:
        return PlaceTaken(kind, TakeResult.DENIED, detail="this backend can't hold")
    before = world.clock.running() + _SENT_WITHIN
    return await state.holds.take(kind, lock_info(record, state.path), before=before)


def _faster(place: LockPlace) -> str:
    if place.info is None:
        return "a lock that can't be read was faster"
    return f"{place.info.who or 'someone'} was faster, with lock {place.info.id}"


async def _placed(world: World, state: State, record: HoldRecord, seen: LockSeen) -> HoldRecord | None:
    """It is in all places that were free, and is shown so from here on. Written down before it is shown."""
    info = lock_info(record, state.path)
    mine = [place for place in seen.held if is_of(place.info, info)]
    shown = next((place.info.id for place in mine if place.info is not None), record.lock_uuid)
    now, places = world.clock.now(), tuple(place.kind for place in mine) or record.places
    moved = await advance(
        world, record.hold.id, {HoldPhase.PLACING}, HoldPhase.HELD,
        lock_id=shown, places=places, placed_at=now, note="", tries=0,
    )  # fmt: skip
    if moved is None:
        return await HOLDS.get(world, record.hold.id)
    await _tell_placed(world, moved)
    return moved


async def _write_placed(world: World, record: HoldRecord) -> None:
    hold = record.hold
    facts = HoldPlaced(
        state=hold.state, lock_id=hold.lock_id, hold=hold.id, until=hold.until, places=tuple(record.places),
        swapped=record.swaps, request=hold.request,
    )  # fmt: skip
    words = f"holds {hold.state}"
    await write_down(world, record, facts, hold.user or BOT, words, once="placed", at=record.placed_at)


async def _write_prolonged(world: World, record: HoldRecord) -> str:
    """The name of this step."""
    hold, once = record.hold, f"until/{record.hold.until.timestamp():.0f}"
    facts = HoldProlonged(
        state=hold.state, lock_id=hold.lock_id, hold=hold.id, until=hold.until, before=record.was_until
    )
    await write_down(world, record, facts, hold.user, f"prolonged the hold of {hold.state}", once=once)
    return once


async def _catch_up(world: World, record: HoldRecord) -> None:
    """Writes down what an earlier worker may have done and not come to write, before anything else is done."""
    is_over = record.phase is not HoldPhase.HELD
    if record.placed_at is not None and (is_over or record.ticks == 0):
        await _write_placed(world, record)
    if record.was_until is not None and (is_over or record.wanted is not None):
        await _write_prolonged(world, record)


async def _tell_placed(world: World, record: HoldRecord) -> None:
    hold, actor = record.hold, record.hold.user or BOT
    await _write_placed(world, record)
    record = await posted(world, record, is_again=True)
    await try_to_show(world, record)
    says: Phrase = (f" holds {hold.state} until ", hold.until, f": {hold.reason}." if hold.reason else ".")
    await announce(world, record, f"{hold.state} is held", actor, step="placed", says=says)


# ── a dead lock was swapped for it


async def settle_swap(world: World, hold_id: str) -> HoldRecord | None:
    """After the outcome of an unlock that swapped: the hold is in place, or is made sure to be nowhere.

    By the worker that has the state. None for a hold that was never begun. Raises JournalAway, UpstreamError.
    """
    record = await HOLDS.get(world, hold_id)
    state = None if record is None else state_of(world, record)
    if record is None or state is None or state.holds is None:
        return record
    if record.phase is HoldPhase.PLACING:
        record = await _looked_for(world, state, record)
    if record is not None and record.phase is not HoldPhase.ENDED:
        await start_look(world, record, _next_at(world, record))
    return record


async def _settled_swap(world: World, state: State, record: HoldRecord) -> HoldRecord | None:
    """The unlock settles its hold itself, as long as it is being carried out."""
    unlock = await UNLOCKS.get(world, record.hold.request)
    if unlock is not None and unlock.phase in UNDER_WAY | {RequestPhase.SETTLED}:
        return record
    return await _looked_for(world, state, record)


async def _looked_for(world: World, state: State, record: HoldRecord) -> HoldRecord | None:
    seen = await state.backend.read_lock()
    info = lock_info(record, state.path)
    if any(is_of(place.info, info) for place in seen.held):
        return await _placed(world, state, record, seen)
    if seen.unseen:
        return record  # looked for again soon
    return await _give_up(world, record, HoldEnd.NOT_PLACED, "")


# ── it is in place


async def _keep(world: World, state: State, record: HoldRecord, still_ours: Check) -> HoldRecord | None:
    if record.wanted is not None and record.wanted > record.hold.until:
        record = await _prolong(world, state, record, still_ours) or record
    hold, now = record.hold, world.clock.now()
    if now >= hold.until:
        return await advance(world, hold.id, {HoldPhase.HELD}, HoldPhase.ENDING, end=HoldEnd.TIME, note="")
    if lost := await _rights_lost(world, record):
        return await _give_up(world, record, HoldEnd.RIGHTS, lost)
    seen = await state.backend.read_lock()
    info = lock_info(record, state.path)
    mine = [place.info.id for place in seen.held if place.info is not None and is_of(place.info, info)]
    if not mine and not seen.unseen and not seen.garbage:
        return await advance(world, hold.id, {HoldPhase.HELD}, HoldPhase.ENDING, end=HoldEnd.OUTSIDE, note="")
    if mine and hold.lock_id not in mine:
        record = await HOLDS.update(world, hold.id, lock_id=mine[0]) or record
    if record.wanted is not None and record.wanted <= hold.until:
        record = await _tell_prolonged(world, record)
    if record.ticks == 0:
        await _tell_placed(world, record)  # the worker that placed it may have died before that
    if now >= _due_at(record):
        if hold.user:
            await warn(world, record)
        record = await HOLDS.update(world, hold.id, warned=hold.until) or record
    return await HOLDS.update(world, hold.id, ticks=record.ticks + 1) or record


async def _rights_lost(world: World, record: HoldRecord) -> str:
    """Why its asker may not hold the state any more; empty if they may, or where Slack does not say."""
    hold = record.hold
    if not hold.user:
        return ""
    standing = await world.standing(hold.user, hold.channel)
    if standing.home_team is None or any(isinstance(seen, Unseen) for seen in standing.observations):
        return ""
    reason = why_not_eligible(standing, world.policy)
    return "" if reason is None else plain(reason)


async def _prolong(world: World, state: State, record: HoldRecord, still_ours: Check) -> HoldRecord | None:
    """The lock says the new end first; then the record does. Where the store does not take it, the old end stays."""
    hold, wanted = record.hold, record.wanted
    if wanted is None or state.holds is None:
        return record
    info = lock_info(record, state.path)
    longer = prolonged(info, wanted)
    parts, shown = list[PlaceRelease](), hold.lock_id
    seen = await state.backend.read_lock()
    mine = [place for place in seen.held if is_of(place.info, info)]
    if seen.unseen or not mine:
        return record
    for place in mine:
        if place.info is not None and place.info.info == longer.info:
            continue
        await still_ours()
        before = world.clock.running() + _SENT_WITHIN
        parts.append(await state.holds.swap(place, longer, before=before))
    now_there = await state.backend.read_lock()
    done = [place.info for place in now_there.held if place.info is not None and is_of(place.info, info)]
    if now_there.unseen or not done or any(one.info != longer.info for one in done):
        if all(part.result is not ReleaseResult.DENIED for part in parts):
            return record  # tried again at the next look
        note = f"it could not be prolonged: {next(part.detail for part in parts if part.detail)}"
        record = await HOLDS.update(world, hold.id, wanted=None, note=note) or record
        await try_to_show(world, record)
        return record
    shown = done[0].id
    return await advance(
        world, hold.id, {HoldPhase.HELD}, HoldPhase.HELD, until=wanted, was_until=hold.until, lock_id=shown, note=""
    )


async def _tell_prolonged(world: World, record: HoldRecord) -> HoldRecord:
    """After the record has the new end: what an earlier worker may not have come to."""
    hold = record.hold
    once = await _write_prolonged(world, record)
    await show(world, record)
    says: Phrase = (f" prolonged the hold of {hold.state} until ", hold.until, ".")
    await announce(world, record, f"The hold of {hold.state} is prolonged", hold.user, step=once, says=says)
    # of two clicks the later one is still to be carried out
    done = await HOLDS.update(world, hold.id, only_if=("wanted", (hold.until.isoformat(),)), wanted=None)
    return done or await HOLDS.get(world, hold.id) or record


# ── it ends


async def _give_up(world: World, record: HoldRecord, end: HoldEnd, why: str) -> HoldRecord | None:
    before = {HoldPhase.PLACING, HoldPhase.HELD}
    return await advance(world, record.hold.id, before, HoldPhase.ENDING, end=end, note=why)


async def _end(world: World, state: State, record: HoldRecord, still_ours: Check) -> HoldRecord | None:
    if record.parts is None:
        await _catch_up(world, record)
        parts = await _deleted(world, state, record, still_ours)
        if any(part.result not in _GONE for part in parts):
            return await _not_ended(world, record, parts)
        outcome = tuple(PlaceFacts.of(part) for part in parts)
        record = await advance(world, record.hold.id, {HoldPhase.ENDING}, HoldPhase.ENDING, parts=outcome) or record
    return await _tell_end(world, record)


async def _deleted(world: World, state: State, record: HoldRecord, still_ours: Check) -> list[PlaceRelease]:
    """Exactly this hold is released, in every place where it may be."""
    info, parts = lock_info(record, state.path), list[PlaceRelease]()
    for kind in kinds_of(await state.backend.read_lock()):
        await still_ours()
        if state.holds is not None:
            parts.append(await state.holds.end(kind, info, before=world.clock.running() + _SENT_WITHIN))
    return parts


async def _not_ended(world: World, record: HoldRecord, parts: list[PlaceRelease]) -> HoldRecord | None:
    """Tried again until it is gone. The message says once what is in the way."""
    trouble = next((part for part in parts if part.result not in _GONE), None)
    note = "" if trouble is None else f"the {trouble.place.kind} was not released yet: {trouble.detail}"
    is_told = record.told_trouble
    moved = await HOLDS.update(world, record.hold.id, note=note, told_trouble=True, tries=record.tries + 1)
    if moved is not None and not is_told and (moved.hold.ts or moved.placed_at is not None):
        await try_to_show(world, moved)
    return moved


async def _tell_end(world: World, record: HoldRecord) -> HoldRecord | None:
    hold, end = record.hold, record.end or HoldEnd.TIME
    was_there = record.placed_at is not None
    actor = record.ended_by or BOT
    if was_there or hold.ts:
        facts = HoldEnded(
            state=hold.state, lock_id=hold.lock_id, hold=hold.id, outcome=end, places=record.parts or (),
            approver=record.approver, note=record.note,
        )  # fmt: skip
        words = f"the hold of {hold.state} has ended: {end}" if was_there else f"{hold.state} was not held"
        words, once = (_LATE_WORDS.format(hold.state), f"late/{record.late}") if record.late else (words, "ended")
        await write_down(world, record, facts, actor, words, once=once)
        await show(world, record)
    if was_there:
        says: Phrase = (f" ended the hold of {hold.state}: {end}.",)
        if record.approver:
            says = (*says, " ", Person(record.approver, ""), " agreed.")
        await announce(world, record, f"The hold of {hold.state} has ended", actor, step="ended", says=says)
        await look_soon(world, hold.state)
    may_arrive = record.end is not HoldEnd.NOT_CONFIGURED and (was_there or record.places or hold.request)
    until = world.clock.now() + LATE if may_arrive else None
    return await advance(world, hold.id, {HoldPhase.ENDING}, HoldPhase.ENDED, open_until=until)


async def _settled(world: World, state: State, record: HoldRecord, still_ours: Check) -> HoldRecord | None:
    """Ends what has arrived of the hold since its end. Whose a lock is that says nothing of it, the store tells by the
    request that ends this hold and nothing else.
    """
    seen, info = await state.backend.read_lock(), lock_info(record, state.path)
    if any(is_of(place.info, info) for place in seen.held):
        return await end_again(world, record)
    parts = await _deleted(world, state, record, still_ours) if seen.held else []
    if seen.unseen or any(part.result not in _GONE for part in parts):
        return record
    if any(part.result is ReleaseResult.RELEASED for part in parts):
        log.warning("hold.arrived_late", state=record.hold.state, hold=record.hold.id)
        record = await _tell_late(world, record, parts)
    if record.open_until is not None and world.clock.now() >= record.open_until:
        return await HOLDS.update(world, record.hold.id, open_until=None)
    return record


async def _tell_late(world: World, record: HoldRecord, parts: list[PlaceRelease]) -> HoldRecord:
    hold = record.hold
    facts = HoldEnded(
        state=hold.state, lock_id=hold.lock_id, hold=hold.id, outcome=record.end or HoldEnd.TIME,
        places=tuple(map(PlaceFacts.of, parts)), note=ARRIVED_LATE,
    )  # fmt: skip
    once = f"late/{world.clock.now().timestamp():.0f}"
    await write_down(world, record, facts, BOT, _LATE_WORDS.format(hold.state), once=once)
    record = await HOLDS.update(world, hold.id, note=ARRIVED_LATE) or record
    await try_to_show(world, record)
    await look_soon(world, hold.state)
    return record


async def _leave(world: World, record: HoldRecord) -> None:
    """The state is not configured any more, or in another place, so that its store cannot be reached."""
    if record.phase is HoldPhase.ENDED:
        await HOLDS.update(world, record.hold.id, open_until=None)
    note = "nothing was changed in its store; end it with terraform force-unlock if it is still there"
    moved = await advance(
        world, record.hold.id, set(HoldPhase) - {HoldPhase.ENDED}, HoldPhase.ENDING,
        end=HoldEnd.NOT_CONFIGURED, note=note, parts=(),
    )  # fmt: skip
    if moved is not None:
        await _tell_end(world, moved)

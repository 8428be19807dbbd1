"""What people want of a hold: to have one, to have it longer, to have it ended. A worker does the rest.

Every click is written down in the record first, in one write that holds only in the phase that it was made for; then
the hold is handed to a worker. Nothing here writes to a store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.core.gate.approval import why_not_second
from bot.core.gate.eligibility import why_not_eligible
from bot.core.hold import LONGEST, SHORTEST, USUALLY, held_by, hold_in, words_of
from bot.core.lock import LockInfo, LockSeen
from bot.core.people import Approval, Standing
from bot.core.phrase import Phrase, plain
from bot.core.record.facts import HoldLiftRequested
from bot.core.reports.hold import Hold, HoldEnd
from bot.errors import NotPermitted
from bot.usecases.hold.record import (
    HOLDS,
    HoldPhase,
    HoldRecord,
    advance,
    hold_of,
    names,
    new_uuid,
    save,
    secure,
    start_look,
    write_down,
    write_intent,
)
from bot.usecases.hold.tell import announce, posted, try_to_show
from bot.usecases.request.clicks import permit
from bot.usecases.request.record import id_of
from bot.usecases.world import State, World

_OPEN = frozenset({HoldPhase.PLACING, HoldPhase.HELD})
ARRIVED_LATE = "its lock arrived after its end"


@dataclass(frozen=True, slots=True)
class HoldCommand:
    """What someone asked for with `/tflock hold`. `click` names the delivery; `is_again` as for an unlock."""

    state: str
    user: str
    channel: str
    incident: str
    span: timedelta = USUALLY
    reason: str = ""
    thread: str = ""
    click: str = ""
    is_again: bool = False


def _check_span(span: timedelta) -> None:
    """Raises NotPermitted for a hold that is too short or too long."""
    if not SHORTEST <= span <= LONGEST:
        raise NotPermitted("A hold lasts from 1 minute to 24 hours; a click prolongs it. Nothing was changed.")


def check_can_hold(state: State) -> None:
    """Raises NotPermitted where the backend has no place for a lock of tflock's own."""
    if state.holds is None:
        can = state.backend.can
        why = "has no lock that tflock could take"
        if not can.shows_lock:
            why = "does not show its locks, so a hold could not be looked after"
        elif not can.conditional:
            why = "ends a lock without a condition, so the end of a hold could release someone else's"
        elif not can.shows_holder:
            why = "keeps no text with a lock, so nobody's Terraform could say who holds the state, why and until when"
        raise NotPermitted(f"The {state.backend_system} {why}: {state.name.name} can't be held. Nothing was changed.")


async def look(world: World, state: State) -> LockSeen:
    """The lock as it is now. Raises NotPermitted where the state is held already, or cannot be read."""
    seen = await state.backend.read_lock()
    held = hold_in(seen)
    if held is not None:
        raise NotPermitted(_held_already(world, state, held))
    if seen.unseen or seen.garbage:
        raise NotPermitted(f"The lock of {state.name.name} can't be read, so it can't be held. Nothing was changed.")
    return seen


async def is_begun(world: World, click: str) -> bool:
    """Whether a process that ended has written down the hold of this delivery. Raises JournalAway."""
    return bool(click) and await HOLDS.get(world, id_of(world, click)) is not None


async def ask(world: World, command: HoldCommand) -> HoldRecord:
    """Someone wants a free state held. It is written down and shown, and a worker takes the lock.

    Raises NotPermitted, UnknownState, JournalAway, UpstreamError (Slack did not take the message: nothing was taken).
    """
    _check_span(command.span)
    state = world.state(command.state)
    check_can_hold(state)
    await permit(world, command.user, command.channel)
    hold_id = id_of(world, command.click)
    record = await HOLDS.get(world, hold_id) if command.is_again else None
    if record is None:
        if not (await look(world, state)).is_free:
            raise NotPermitted(f"{command.state} is locked, so it can't be held. Nothing was changed.")
        if await hold_of(world, command.state) is not None:
            raise NotPermitted(f"A hold of {command.state} is on its way already. Nothing was changed.")
        record = await _made(world, command, hold_id)
    elif record.phase is not HoldPhase.PLACING:
        return record
    record = await posted(world, record, is_again=command.is_again)
    await write_intent(world, record)
    await start_look(world, record)
    return record


async def _made(world: World, command: HoldCommand, hold_id: str) -> HoldRecord:
    now = world.clock.now()
    user, channel = await names(world, command.user, command.channel)
    hold = Hold(
        id=hold_id, state=command.state, user=command.user, channel=command.channel, asked_at=now, span=command.span,
        until=now + command.span, reason=command.reason, thread=command.thread, incident=command.incident,
    )  # fmt: skip
    made = HoldRecord(
        hold=hold, place=world.state(command.state).place, lock_uuid=new_uuid(hold_id, now), user_name=user,
        channel_name=channel, click=command.click,
    )  # fmt: skip
    return await save(world, made)


async def prolong(world: World, hold_id: str, *, user: str, click: str = "") -> HoldRecord:
    """Its asker wants it for as long again. Raises NotPermitted, JournalAway."""
    record = await _open(world, hold_id)
    hold, now = record.hold, world.clock.now()
    if click and record.click == click:
        await start_look(world, record)
        return record
    if user != hold.user:
        raise NotPermitted("Only the person who asked for this hold can prolong it. Nothing was changed.")
    await permit(world, user, hold.channel)
    wanted = min(max(record.wanted or hold.until, hold.until) + hold.span, now + LONGEST)
    if record.phase is not HoldPhase.HELD or now >= hold.until:
        raise NotPermitted("This hold is not in place, so it can't be prolonged. Nothing was changed.")
    if wanted - hold.until < SHORTEST:
        raise NotPermitted("A hold ends 24 hours after the last click at most. Nothing was changed.")
    moved = await advance(world, hold_id, {HoldPhase.HELD}, HoldPhase.HELD, wanted=wanted, click=click)
    if moved is None:
        raise NotPermitted("This hold is ending already. Nothing was changed.")
    await secure(world, moved)
    await start_look(world, moved)
    return moved


async def lift(world: World, hold_id: str, *, user: str, click: str = "") -> HoldRecord:
    """Someone wants it ended now: its asker, or any member; someone else's of a protected state only together with a
    second one. Raises NotPermitted, JournalAway.
    """
    record = await _open(world, hold_id, click=click)
    hold = record.hold
    if click and record.click == click:
        await start_look(world, record)
        return record
    await permit(world, user, hold.channel)
    if record.phase is HoldPhase.PLACING and hold.request:
        raise NotPermitted("The unlock that places this hold is running: end it once it is there. Nothing was changed.")
    state = world.states.get(hold.state)
    if user != hold.user and state is not None and state.name.protected:
        return await _ask_second(world, record, user, click)
    return await _ended(world, record, user, click=click)


async def approve(world: World, hold_id: str, *, user: str, lifter: str, click: str = "") -> HoldRecord:
    """A second person agrees that someone else's hold of a protected state is lifted.

    `lifter` is who their button named. Raises NotPermitted, JournalAway.
    """
    record = await _open(world, hold_id, click=click)
    if click and record.click == click:
        await start_look(world, record)
        return record
    if not record.lift_by or record.lift_by != lifter or record.lift_at is None:
        raise NotPermitted("Nobody waits for this approval any more. Nothing was changed.")
    if world.clock.now() - record.lift_at > world.policy.approval_timeout:
        raise NotPermitted("This request is too old. Nothing was changed; ask again with /tflock hold STATE off.")
    second = await permit(world, user, record.hold.channel)
    first = await world.standing(lifter, record.hold.channel)
    reason = why_not_eligible(first, world.policy) or _why_not(world, record, second, first)
    if reason is not None:
        raise NotPermitted(f"{plain(reason)}. Nothing was changed.")
    return await _ended(world, record, lifter, approver=user, click=click)


async def lift_of(world: World, state: State, *, user: str, channel: str, click: str = "") -> HoldRecord:
    """As `lift`, of the hold that the state has, also of one whose record is lost. Raises NotPermitted, JournalAway."""
    record = await hold_of(world, state.name.name)
    if record is not None:
        return await lift(world, record.hold.id, user=user, click=click)
    seen = await state.backend.read_lock()
    held = hold_in(seen)
    if held is None:
        could = "could not be read" if seen.unseen else "has no hold"
        raise NotPermitted(f"{state.name.name} {could}. Nothing was changed.")
    found = await adopt(world, state, held, channel=channel)
    if found is None:
        words = f"This hold of {state.name.name} is not one that tflock can read"
        raise NotPermitted(f"{words}: end it with terraform force-unlock {held.id}. Nothing was changed.")
    return await lift(world, found.hold.id, user=user, click=click)


async def adopt(world: World, state: State, held: LockInfo, *, channel: str) -> HoldRecord | None:
    """A record for a hold that has none, by what its lock says; None for one that says too little.

    Nobody is known to be its asker, so that anyone who lifts it lifts someone else's. One whose lock arrived after it
    was reported to have ended is ended again. A state that was renamed takes its hold along; a lock that names the hold
    of another state is not read. Raises JournalAway.
    """
    said = words_of(held)
    if said is None or not said.ref or said.until is None or not said.channel:
        return None
    known = await HOLDS.get(world, said.ref)
    if known is not None and known.hold.state != state.name.name and known.hold.state in world.states:
        return None
    if known is not None and (known.hold.state, known.place) != (state.name.name, state.place):
        known = await HOLDS.update(world, said.ref, state=state.name.name, place=state.place) or known
    if known is not None and known.phase is HoldPhase.ENDED:
        return await end_again(world, known)
    if known is not None:
        return known
    hold = Hold(
        id=said.ref, state=state.name.name, user="", channel=channel, asked_at=held.created, span=USUALLY,
        until=said.until, reason=said.reason, lock_id=held.id,
    )  # fmt: skip
    record = HoldRecord(
        hold=hold, phase=HoldPhase.HELD, place=state.place, lock_uuid=held.id, user_name=said.user,
        channel_name=said.channel, link=said.link, placed_at=held.created,
    )  # fmt: skip
    return await save(world, record)


async def end_again(world: World, record: HoldRecord) -> HoldRecord | None:
    """Its lock arrived after it was reported to have ended. This is written down before that lock is ended, too. Raises
    JournalAway.
    """
    late = {"parts": None, "note": ARRIVED_LATE, "end": HoldEnd.TIME, "late": record.late + 1}
    return await advance(world, record.hold.id, {HoldPhase.ENDED}, HoldPhase.ENDING, **late)


async def _ask_second(world: World, record: HoldRecord, user: str, click: str) -> HoldRecord:
    now, waits = world.clock.now(), record.lift_at
    is_open = waits is not None and now - waits <= world.policy.approval_timeout
    if is_open and record.lift_by != user:
        raise NotPermitted(
            "Someone has asked to lift this hold already: press “Agree and end the hold” in its message. "
            "Nothing was changed."
        )
    fields = {"lift_by": user, "lift_at": now, "click": click}
    moved = await advance(world, record.hold.id, {record.phase}, record.phase, **fields)
    if moved is None:
        raise NotPermitted("This hold has changed meanwhile. Nothing was changed; look at its message.")
    hold = moved.hold
    facts = HoldLiftRequested(state=hold.state, lock_id=hold.lock_id, hold=hold.id)
    text = f"asked to lift the hold of {hold.state}, for which a second person has to agree"
    await write_down(world, moved, facts, user, text, once=f"lift/{now.isoformat()}")
    await try_to_show(world, moved)
    says: Phrase = (f" wants to lift the hold of {hold.state}. A second person has to agree.",)
    await announce(world, moved, f"Lifting the hold of {hold.state} needs a second person", user,
                   step=f"lift/{now.timestamp():.0f}", says=says)  # fmt: skip
    return moved


async def _ended(world: World, record: HoldRecord, by: str, *, approver: str = "", click: str = "") -> HoldRecord:
    fields = {"end": HoldEnd.LIFTED, "ended_by": by, "approver": approver, "click": click}
    moved = await advance(world, record.hold.id, _OPEN, HoldPhase.ENDING, **fields)
    if moved is None:
        raise NotPermitted("This hold is ending already; its message shows how. Nothing was changed.")
    await secure(world, moved)
    await start_look(world, moved)
    return moved


async def _open(world: World, hold_id: str, *, click: str = "") -> HoldRecord:
    record = await HOLDS.get(world, hold_id)
    if record is None:
        raise NotPermitted("tflock no longer knows this hold. Nothing was changed.")
    if record.phase not in _OPEN and not (click and record.click == click):
        raise NotPermitted("This hold has ended, or is ending; its message shows how. Nothing was changed.")
    return record


def _why_not(world: World, record: HoldRecord, second: Standing, first: Standing) -> Phrase | None:
    consent = Approval(record.hold.lock_id, second, world.clock.now())
    return why_not_second(consent, first, world.holders)


def _held_already(world: World, state: State, held: LockInfo) -> str:
    said = words_of(held)
    how = "" if said is None else plain(held_by(said, now=world.clock.now()))
    return f"{state.name.name} is {how} already. Nothing was changed. To end it: /tflock hold {state.name.name} off."

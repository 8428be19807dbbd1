"""A release that leaves a hold where the dead lock was. The hold is written down before the first byte is sent."""

from __future__ import annotations

from bot.core.hold import SHORTEST, USUALLY
from bot.core.lock import LockPlace, PlaceRelease, ReleaseResult
from bot.core.reports.hold import Hold
from bot.ports.messenger import Posted
from bot.usecases.hold.record import HOLDS, HoldPhase, HoldRecord, lock_info, names, new_uuid, save, secure
from bot.usecases.request.record import UnlockRecord
from bot.usecases.world import State, World


async def begin(world: World, unlock: UnlockRecord) -> HoldRecord:
    """The hold that someone wants in the lock's place; the same one at every try. Raises JournalAway, NotReplicated."""
    request, hold_id, by = unlock.request, unlock.hold, unlock.asker
    record, now = await HOLDS.get(world, hold_id), world.clock.now()
    span = request.hold_for or USUALLY
    if record is None:
        user, channel = await names(world, by, request.channel)
        link = await world.messenger.link(Posted(request.channel, request.ts)) if request.ts else ""
        hold = Hold(
            id=hold_id, state=request.state, user=by, channel=request.channel, asked_at=now, span=span,
            until=now + span, reason=request.reason, thread=request.thread, incident=request.incident,
            request=request.id,
        )  # fmt: skip
        made = HoldRecord(
            hold=hold, place=unlock.place, lock_uuid=new_uuid(hold_id, now), user_name=user, channel_name=channel,
            link=link, swaps=request.lock_id,
        )  # fmt: skip
        record = await save(world, made)
    elif record.hold.until - now < max(SHORTEST, span / 2):  # an armed unlock may have waited long since the first try
        record = await HOLDS.update(world, hold_id, until=now + span) or record
    await secure(world, record)
    return record


async def swap(state: State, record: HoldRecord | None, place: LockPlace, *, before: float) -> PlaceRelease:
    """Replaces exactly the lock of this place by the hold as `record` has it, or does nothing. Asks nobody before."""
    if record is None or record.phase is not HoldPhase.PLACING:
        return PlaceRelease(place, ReleaseResult.DENIED, "the hold that was asked for has ended")
    if state.holds is None or not state.backend.can.swap:
        return PlaceRelease(place, ReleaseResult.DENIED, f"the {state.backend_system} can't swap a lock for a hold")
    return await state.holds.swap(place, lock_info(record, state.path), before=before)

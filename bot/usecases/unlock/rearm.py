"""Arming again: when the lock of an armed unlock has changed hands, or its time is over. Always a fresh request."""

from __future__ import annotations

from datetime import timedelta

from bot.core.reports.in_flight import RequestInFlight
from bot.core.reports.unlock import UnlockReport
from bot.errors import NotPermitted
from bot.usecases.record.lifecycle import enter
from bot.usecases.request.clicks import permit
from bot.usecases.request.in_flight import already_asked
from bot.usecases.request.record import UNLOCKS, RequestPhase
from bot.usecases.unlock.unlock import UnlockCommand, ask
from bot.usecases.world import World

_ONE_CLICK = timedelta(minutes=1)


async def rearm(
    world: World, request_id: str, *, lock_id: str, new_lock: str, user: str, click: str = "", is_again: bool = False
) -> UnlockReport | RequestInFlight:
    """Asks again, in the name of the person who clicked, for the lock that the button named. Armed only if it is there
    now. Where another request for that lock is in flight, it is that one, and nothing is asked.

    `lock_id` is the lock of the request that has ended. Raises NotPermitted, JournalAway, UpstreamError.
    """
    record = await UNLOCKS.get(world, request_id)
    if record is None or not new_lock or record.request.lock_id != lock_id:
        raise NotPermitted("This button is too old. Nothing was changed; ask again with /tflock unlock.")
    request = record.request
    if record.phase not in {RequestPhase.DONE, RequestPhase.SHOWN}:
        raise NotPermitted("This unlock is still running; its message shows how far it is. Nothing was changed.")
    await permit(world, user, request.channel)
    if (asked := await already_asked(world, request.state, click=click)) is not None:
        return asked
    holder = click or world.new_id()
    if not await world.records.take("rearm", f"{request_id}/{new_lock}", holder=holder, ttl=_ONE_CLICK):
        raise NotPermitted("Someone has just pressed this button; the answer is a newer message in this channel.")
    incident = await enter(
        world,
        channel=request.channel,
        user=user,
        title=request.state,
        command=f"unlock {request.state} --when-safe",
        once=click,
    )
    command = UnlockCommand(
        state=request.state,
        user=user,
        channel=request.channel,
        incident=incident.id,
        thread=request.thread,
        reason=request.reason,
        when_safe=True,
        only=new_lock,
        click=click,
        is_again=is_again,
    )
    return await ask(world, command)

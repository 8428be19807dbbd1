"""Requests in flight: confirmed, armed, waiting for approval or being carried out, wherever they were asked for.

One whose outcome is fixed and being reported is over, and so is one that nobody approved in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.core.evidence import Found
from bot.core.people import BOT
from bot.core.reports.in_flight import Flight, RequestInFlight
from bot.usecases.request.record import Flying, KillRecord, UnlockRecord, at_work, at_work_on, id_of
from bot.usecases.world import World

_MOST = 5


async def in_flight(world: World, state: str) -> tuple[RequestInFlight, ...]:
    """Those of a state, the newest first, with links; a few at most. Raises JournalAway."""
    return await _shown(world, await at_work_on(world, state))


async def in_flight_of(world: World, incident: str) -> tuple[RequestInFlight, ...]:
    """As `in_flight`, of an incident."""
    return await _shown(world, await at_work(world, incident))


async def already_asked(world: World, state: str, *, click: str = "") -> RequestInFlight | None:
    """A person's unlock of the very lock that the state has now, or may have, if one is in flight.

    An automatic one does not prevent a request: it waits for people to stop it, and a person need not. Nor does
    the request that this very `click` has made, before its process ended. Raises JournalAway.
    """
    own = id_of(world, click) if click else ""
    asked = [
        (record, flight)
        for record, flight in await at_work_on(world, state)
        if isinstance(record, UnlockRecord)
        and _is_open(world, record, flight)
        and record.asker != BOT
        and record.request.id != own
        and record.request.lock_id
        and record.request.ts
    ]
    if not asked:
        return None
    seen = await world.state(state).backend.read_lock()
    same = [one for one in asked if seen.places_of(one[0].request.lock_id) or seen.unseen]
    return (await _shown(world, same[:1]))[0] if same else None


async def _shown(world: World, found: Sequence[Flying]) -> tuple[RequestInFlight, ...]:
    flying = [each for each in found if _is_open(world, *each)]
    return tuple(await asyncio.gather(*(_one(world, record, flight) for record, flight in flying[:_MOST])))


def _is_open(world: World, record: UnlockRecord | KillRecord, flight: Flight) -> bool:
    if flight is not Flight.APPROVAL:
        return flight is not Flight.FINISHING
    since = record.approval_at or record.request.asked_at
    return world.clock.now() - since <= world.policy.approval_timeout


async def _one(world: World, record: UnlockRecord | KillRecord, flight: Flight) -> RequestInFlight:
    request = record.request
    armed_at = record.armed_at if isinstance(record, UnlockRecord) else None
    link = await world.messages.permalink(request.channel, request.ts) if request.ts else None
    return RequestInFlight(
        id=request.id,
        state=request.state,
        lock_id=request.lock_id,
        is_unlock=isinstance(record, UnlockRecord),
        flight=flight,
        by=record.asker,
        since=armed_at or record.confirmed_at or record.approval_at or request.asked_at,
        link=link.value if isinstance(link, Found) else "",
    )

"""What would be left behind if an incident were closed now: locked states, and requests that are not over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.core.lock import LockSeen
from bot.core.record.incident import Incident
from bot.core.reports.in_flight import RequestInFlight
from bot.usecases.request.announce import DEALS_WITH, SEEN_TTL
from bot.usecases.request.in_flight import in_flight_of
from bot.usecases.request.record import states_asked_about
from bot.usecases.world import State, World

_MOST_STATES = 50


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """`states` are those that are locked, and those that cannot be read, which may be."""

    states: tuple[tuple[str, LockSeen], ...] = ()
    requests: tuple[RequestInFlight, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.states or self.requests)


async def left_open(world: World, incident: Incident) -> LeftOpen:
    """Raises JournalAway."""
    now = world.clock.now()
    names, asked_about, requests = await asyncio.gather(
        world.records.enlisted(DEALS_WITH, incident.id, since=now - SEEN_TTL, until=now, limit=_MOST_STATES),
        states_asked_about(world, incident.id),
        in_flight_of(world, incident.id),
    )
    known = [world.states[name] for name in sorted({*names, *asked_about})[:_MOST_STATES] if name in world.states]
    seen = await asyncio.gather(*(_lock(world, state) for state in known))
    locked = tuple((state.name.name, lock) for state, lock in zip(known, seen, strict=True) if not lock.is_free)
    return LeftOpen(locked, requests)


async def _lock(world: World, state: State) -> LockSeen:
    return await world.timed(state.backend_system, "read lock", state.backend.read_lock())

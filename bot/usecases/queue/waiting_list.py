"""Who waits for a state to be free: put on its queue, taken off, and looked after until they are notified.

Nothing here touches a lock. The looks are a durable job; a read or a change of the lock only makes it come sooner.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from bot.core.evidence import Found
from bot.core.lock import LockSeen
from bot.core.record.facts import WatchStarted
from bot.core.reports import waiting
from bot.core.reports.waiting import Ending, Queue, Waiter, WatchReport
from bot.errors import JournalAway, NotPermitted, Passing
from bot.usecases.lease import Busy, lease
from bot.usecases.queue.record import change_queue, kept, load_queue
from bot.usecases.queue.round import Round, write_watch
from bot.usecases.world import World

log = structlog.get_logger()

LOOK_EVERY = timedelta(seconds=15)
"""How often a state is looked at while someone waits for it, each state at instants of its own."""

_MARGIN = timedelta(seconds=1)
_SOON = timedelta(milliseconds=50)
_MOST_STATES = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WaitCommand:
    """Who wants to be notified, and where they asked. `incident` is that of the channel, if there is one."""

    state: str
    user: str
    channel: str
    thread: str = ""
    incident: str = ""


async def start(world: World, command: WaitCommand) -> WatchReport:
    """Puts someone at the end of the queue, once however often they ask; not if it is free and nobody waits.

    Raises UnknownState, JournalAway, UpstreamError if Slack does not say where to notify them, and NotPermitted where
    nobody can see when the state is free.
    """
    state = world.state(command.state)
    if not state.backend.can.shows_lock:
        why = "its backend shows no lock to those who only look, so tflock can't see when it is free"
        raise NotPermitted(f"{command.state} can't be watched: {why}. Nothing was changed.")
    there = await state.backend.read_lock()
    await state_seen(world, command.state, there)
    queue = await load_queue(world, command.state)
    if queue.of(command.user) is not None:
        await _schedule(world, command.state)
        return _report(world, command, queue, there, was_waiting=True)
    if there.is_free and not queue.waiters:
        return _report(world, command, queue, there, was_waiting=False)

    waiter = await _waiter(world, command)
    await world.records.enlist("waiting", "states", command.state, at=waiter.since, ttl=kept(world))
    queue = await change_queue(world, command.state, lambda queue: waiting.joined(queue, waiter))
    await _schedule(world, command.state)
    words = f"waits for {command.state} to be free, number {queue.place(command.user)} of {len(queue.waiters)}"
    mine = queue.of(command.user) or waiter
    await write_watch(world, mine, WatchStarted(state=command.state, ticket=mine.ticket), words)
    return _report(world, command, queue, there, was_waiting=False)


async def stop(world: World, state: str, user: str) -> WatchReport:
    """Takes someone off the queue. Raises UnknownState, JournalAway."""
    world.state(state)
    was_waiting = (await load_queue(world, state)).of(user) is not None
    now = world.clock.now()
    queue = await change_queue(world, state, lambda queue: waiting.left(queue, user, Ending.STOPPED, now))
    if was_waiting:
        await _look_at(world, state, now)
    return WatchReport(state, None, len(queue.waiters), was_waiting=was_waiting, head_start=world.watch.head_start)


async def state_seen(world: World, state: str, lock: LockSeen) -> int:
    """After a read of the lock: has it looked at for the queue, if that is news to it; how many wait.

    Never raises: what is missed here, the queue's own looks make good.
    """
    try:
        queue = await load_queue(world, state)
        is_known = lock.is_free or bool(lock.held)
        if queue.waiters and is_known and lock.is_free != (queue.free_since is not None):
            await _look_at(world, state, world.clock.now())
    except JournalAway:
        return 0
    return len(queue.waiters)


async def states_seen(world: World, seen: Mapping[str, LockSeen]) -> None:
    """After a read of many locks: as `state_seen`, for those of the states for which someone waits. Raises JournalAway.

    They are on a list, so that a thousand states without a queue cost no question.
    """
    for state in await _waited_for(world):
        if state in seen:
            await state_seen(world, state, seen[state])


async def look_soon(world: World, state: str) -> None:
    """After a change of the lock. Never raises, as `state_seen`."""
    try:
        if not (await load_queue(world, state)).is_idle:
            await _look_at(world, state, world.clock.now())
    except JournalAway:
        log.warning("waiting.not_looked", state=state)


async def tend(world: World) -> None:
    """Starts the looks of every queue again, should they have been lost. Raises JournalAway."""
    for state in await _waited_for(world):
        if not (await load_queue(world, state)).is_idle:
            await _schedule(world, state)


async def _waited_for(world: World) -> tuple[str, ...]:
    """The states for which someone waits, or has waited not long ago."""
    now = world.clock.now()
    return await world.records.enlisted("waiting", "states", since=now - kept(world), until=now, limit=_MOST_STATES)


async def look(world: World, state: str) -> None:
    """One look at a state for those who wait for it, and what they have to hear now. Raises JournalAway."""
    if (await load_queue(world, state)).is_idle:
        return
    await _schedule(world, state)
    holder = f"waiting/{world.new_id()}"
    try:
        async with lease(world.records, f"waiting/{state}", holder=holder, patience=timedelta(0)) as still_ours:
            await Round(world, state, still_ours).run()
    except Busy:
        return  # the worker that is at it does the same
    except Passing as error:
        log.warning("waiting.not_told", state=state, detail=error.detail)
    due = waiting.next_at(await load_queue(world, state), world.watch.head_start)
    now = world.clock.now()
    if due is not None and now <= due < _slot(state, now):
        await _look_at(world, state, due + _SOON)


async def _waiter(world: World, command: WaitCommand) -> Waiter:
    """In an incident channel tflock notifies them there, so that everyone sees the order; elsewhere in their DM."""
    now, channel = world.clock.now(), await world.directory.channel(command.channel)
    is_open = isinstance(channel, Found) and world.is_incident_channel(channel.value)
    is_direct = isinstance(channel, Found) and channel.value.is_direct
    return Waiter(
        ticket=world.new_id(),
        user=command.user,
        channel=command.channel if is_open or is_direct else await world.messenger.room(command.user),
        thread=command.thread if is_open or is_direct else "",
        since=now,
        until=now + world.watch.wait_for,
        incident=command.incident if is_open else "",
        is_open=is_open,
    )


def _report(world: World, command: WaitCommand, queue: Queue, there: LockSeen, *, was_waiting: bool) -> WatchReport:
    return WatchReport(
        state=command.state,
        place=queue.place(command.user),
        total=len(queue.waiters),
        was_waiting=was_waiting,
        head_start=world.watch.head_start,
        waiter=queue.of(command.user),
        seen=there,
    )


async def _schedule(world: World, state: str) -> None:
    """The next regular look, if it is not on its way already."""
    await _look_at(world, state, _slot(state, world.clock.now()))


async def _look_at(world: World, state: str, at: datetime) -> None:
    await world.jobs.start("waiting", state, key=f"waiting:{state}:{(at - _EPOCH) // _SOON}", at=at)


def _slot(state: str, now: datetime) -> datetime:
    """The next of the state's own instants: the same for all processes, and not the same for all states."""
    own = _EPOCH + timedelta(milliseconds=zlib.crc32(state.encode()) % (LOOK_EVERY // timedelta(milliseconds=1)))
    return own + ((now + _MARGIN - own) // LOOK_EVERY + 1) * LOOK_EVERY

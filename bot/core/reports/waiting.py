"""Who waits for a state to be free, in which order, and whose turn it is to be notified. Pure: each step makes a new
queue.

The first is notified as soon as the state is seen free; each of the others when those before them have had their head
start. Someone who was notified keeps their place while their head start runs, so that they still have it if someone
else takes the lock in that time. Nobody is notified twice while the state stays free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.lock import LockSeen

MOST_CALLS = 3
"""A person who was notified so often, and each time someone else was faster, is not notified again."""


class Ending(StrEnum):
    """Why someone no longer waits."""

    TOLD = "told"
    STOPPED = "stopped"
    EXPIRED = "expired"
    UNREACHABLE = "could not be told"


@dataclass(frozen=True, slots=True)
class Waiter:
    """Someone who waits. `ticket` names this very waiting; `channel` and `thread` are where they are notified.

    `is_open` says that the others in the channel see it. `telling` is the period that their notice is about, which
    may have reached them already, since `telling_at`; 0 for none. `told_at` is when they were notified of the present
    period, `calls` how often they were notified in all.
    """

    ticket: str
    user: str
    channel: str
    since: datetime
    until: datetime
    thread: str = ""
    incident: str = ""
    is_open: bool = False
    telling: int = 0
    telling_at: datetime | None = None
    told_at: datetime | None = None
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Departure:
    """Someone who is off the queue, until that is written down, and shown where it belongs."""

    waiter: Waiter
    ending: Ending
    at: datetime
    telling: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """`period` counts the times that the state was seen to become free; `free_since` is None while it is not.

    `seen_at` is when what is known of the lock was read.
    """

    waiters: tuple[Waiter, ...] = ()
    departures: tuple[Departure, ...] = ()
    period: int = 0
    free_since: datetime | None = None
    seen_at: datetime | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done for anyone."""
        return not self.waiters and not self.departures

    def place(self, user: str) -> int | None:
        """1 for the first; None for someone who does not wait."""
        return next((number for number, one in enumerate(self.waiters, 1) if one.user == user), None)

    def of(self, user: str) -> Waiter | None:
        return next((one for one in self.waiters if one.user == user), None)


@dataclass(frozen=True, slots=True)
class QueueNews:
    """What someone who waits hears: that it is free, or with `ending` that they wait no more.

    `behind` are those who come after them, the next of them after `head_start`. `is_last` says that they are not
    notified again if someone else takes the lock first.
    """

    state: str
    user: str
    head_start: timedelta
    behind: int = 0
    ending: Ending | None = None
    waited: timedelta | None = None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class WatchReport:
    """The answer to someone who wants to be notified. `place` is theirs on the queue now, None if they are not on it.

    `seen` is what is there now, None where it was not looked at. `was_waiting` says whether they waited before.
    """

    state: str
    place: int | None
    total: int
    was_waiting: bool
    head_start: timedelta
    seen: LockSeen | None = None
    waiter: Waiter | None = None


def joined(queue: Queue, waiter: Waiter) -> Queue:
    """With someone at the end; unchanged if they wait already."""
    return queue if queue.of(waiter.user) else replace(queue, waiters=(*queue.waiters, waiter))


def left(queue: Queue, user: str, ending: Ending, now: datetime) -> Queue:
    """Without someone, wherever they were."""
    one = queue.of(user)
    return queue if one is None else _departed(queue, {one.ticket}, ending, now)


def seen(queue: Queue, *, is_free: bool, at: datetime, taker: str | None, head_start: timedelta) -> Queue:
    """What a look at the lock changes. `taker` is who has it now, where that is known. Older looks change nothing."""
    if queue.seen_at is not None and at < queue.seen_at:
        return queue
    if is_free == (queue.free_since is not None):
        return queue
    if is_free:
        return replace(queue, free_since=at, period=queue.period + 1, seen_at=at)
    called = [(one, one.told_at) for one in queue.waiters if one.told_at is not None]
    served = {one.ticket for one, told_at in called if _is_served(one, told_at, taker, at, head_start)}
    queue = _departed(replace(queue, free_since=None, seen_at=at), served, Ending.TOLD, at)
    return replace(queue, waiters=tuple(replace(one, told_at=None) for one in queue.waiters))


def _is_served(one: Waiter, told_at: datetime, taker: str | None, at: datetime, head_start: timedelta) -> bool:
    return one.user == taker or at >= told_at + head_start or one.calls >= MOST_CALLS


def aged(queue: Queue, now: datetime, head_start: timedelta) -> Queue:
    """What only time changes: who has had their head start, or has waited long enough, is off the queue."""
    served = {one.ticket for one in queue.waiters if one.told_at is not None and now >= one.told_at + head_start}
    late = {one.ticket for one in queue.waiters if one.told_at is None and not one.telling and now >= one.until}
    return _departed(_departed(queue, served, Ending.TOLD, now), late, Ending.EXPIRED, now)


def next_to_tell(queue: Queue) -> Waiter | None:
    """Whose turn it is now. Someone whose telling was begun comes first: it has to be settled whether they know."""
    begun = next((one for one in queue.waiters if one.telling), None)
    if begun is not None:
        return begun
    if queue.free_since is None or any(one.told_at is not None for one in queue.waiters):
        return None
    return next(iter(queue.waiters), None)


def telling(queue: Queue, ticket: str, now: datetime) -> Queue:
    """Before they are notified: from now on they may know. Unchanged if it is not their turn (any more)."""
    turn = next_to_tell(queue)
    if turn is None or turn.ticket != ticket or turn.telling or queue.free_since is None:
        return queue
    return _with(queue, replace(turn, telling=queue.period, telling_at=now))


def told(queue: Queue, ticket: str, now: datetime) -> Queue:
    """After they were notified. Where the lock was taken meanwhile, their place is still theirs, but not for ever."""
    one = _by_ticket(queue, ticket)
    if one is None or not one.telling:
        return queue
    is_fresh = queue.free_since is not None and queue.period == one.telling
    one = replace(one, telling=0, calls=one.calls + 1, told_at=now if is_fresh else None)
    queue = _with(queue, one)
    spent = not is_fresh and one.calls >= MOST_CALLS
    return _departed(queue, {ticket}, Ending.TOLD, now) if spent else queue


def not_told(queue: Queue, ticket: str) -> Queue:
    """It is sure that they were not told."""
    one = _by_ticket(queue, ticket)
    return queue if one is None else _with(queue, replace(one, telling=0))


def moved(queue: Queue, ticket: str, channel: str) -> Queue:
    """Where they could not be reached, they are notified in another place."""
    one = _by_ticket(queue, ticket)
    if one is None:
        return queue
    return _with(queue, replace(one, channel=channel, thread="", is_open=False, telling=0))


def parting(queue: Queue, ticket: str) -> Queue:
    """Before someone hears that they wait no more."""
    marked = (replace(gone, telling=gone.telling or gone.waiter.ticket == ticket) for gone in queue.departures)
    return replace(queue, departures=tuple(marked))


def parted(queue: Queue, ticket: str) -> Queue:
    """After all that was owed to someone who is off the queue."""
    return replace(queue, departures=tuple(gone for gone in queue.departures if gone.waiter.ticket != ticket))


def next_at(queue: Queue, head_start: timedelta) -> datetime | None:
    """When only time changes something next; None if nobody waits."""
    ends = [one.told_at + head_start if one.told_at is not None else one.until for one in queue.waiters]
    return min(ends, default=None)


def _by_ticket(queue: Queue, ticket: str) -> Waiter | None:
    return next((one for one in queue.waiters if one.ticket == ticket), None)


def _with(queue: Queue, changed: Waiter) -> Queue:
    return replace(queue, waiters=tuple(changed if one.ticket == changed.ticket else one for one in queue.waiters))


def _departed(queue: Queue, tickets: set[str], ending: Ending, now: datetime) -> Queue:
    if not tickets:
        return queue
    gone = tuple(Departure(one, ending, now) for one in queue.waiters if one.ticket in tickets)
    rest = tuple(one for one in queue.waiters if one.ticket not in tickets)
    return replace(queue, waiters=rest, departures=(*queue.departures, *gone))

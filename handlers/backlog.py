"""Work waits until the acks are out. Slack gives an ack three seconds and never asks again; the work has minutes.

A request outside a burst is worked on as soon as it is acked. In a burst work is begun piece by piece, and only while
the event loop is not behind: fifty requests at once are acked about as fast as by an app that does nothing else, and a
steady stream is worked off as fast as the machine can (`tests/bench`). None starves, however far behind the loop is.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import structlog

log = structlog.get_logger()

Work: TypeAlias = Callable[[], Awaitable[None]]

AT_ONCE = 12
"""Pieces of work at the same time: more would only wait for each other."""

BUSY_PACE = 0.5
"""Seconds between two beginnings, at most, while requests keep coming in and the loop is behind."""

LOOK_AGAIN, BEHIND = 0.01, 0.01
"""In a burst the loop is asked so often (seconds), and is behind if it comes that much later (seconds)."""

BURST, BURST_WITHIN = 6, 0.2
"""So many requests within so many seconds are a burst."""

QUIET = 0.02
"""Seconds without a request that end a burst: Bolt itself looks for an ack every hundredth of a second."""

LATER_AT_ONCE = 4
"""Pieces at the same time of what nobody waits for."""

LAST_CALL = 10.0
"""Seconds that a stopping process gives the work that it has acked."""

MOST_WAITING = 500
"""Pieces that may wait: less than a minute's work. The next asker hears at once that it is too much."""


class Backlog:
    """Work that was acked and not yet begun. One per process.

    Channels are served side by side: next is the oldest piece of the channel where the fewest run, so that a busy one
    holds up no other. What nobody waits for (`later`) is begun only when nothing else waits, and takes up few
    of the places.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Work]] = {}  # by channel, the one that was served longest ago first
        self._count = 0
        self._channels: Counter[str] = Counter()  # how many run
        self._later: deque[Work] = deque()
        self._later_going: set[asyncio.Task[None]] = set()
        self._going: set[asyncio.Task[None]] = set()
        self._receiving = 0
        self._arrivals: deque[float] = deque(maxlen=BURST)
        self._changed = asyncio.Event()

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Around the handling of one request, until its answer has been made."""
        self._receiving += 1
        self._arrivals.append(asyncio.get_running_loop().time())
        try:
            yield
        finally:
            self._receiving -= 1
            if not self._receiving:
                self._changed.set()

    @property
    def is_full(self) -> bool:
        return self._count + len(self._later) >= MOST_WAITING

    def add(self, work: Work, *, channel: str = "", later: bool = False) -> None:
        """Takes work that never raises: the boundary is inside."""
        if later:
            self._later.append(work)
        else:
            self._waiting.setdefault(channel, deque()).append(work)
            self._count += 1
        self._changed.set()

    @asynccontextmanager
    async def worked_off(self) -> AsyncIterator[None]:
        """Works the backlog off while inside; on leaving, what was acked is finished, within limits."""
        pump = asyncio.create_task(self._pump())
        try:
            yield
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await self._last_call()

    async def _pump(self) -> None:
        while True:
            while not self._has_next():
                self._changed.clear()
                await self._changed.wait()
            await self._let_acks_go_first()
            self._begin_next()
            await asyncio.sleep(0)  # what came in meanwhile is seen before the next piece

    async def _let_acks_go_first(self) -> None:
        """Returns when there is no burst (a lone ack is out before its work gets far), when the loop is not behind, or
        when it is time for one.
        """
        loop = asyncio.get_running_loop()
        latest = loop.time() + BUSY_PACE
        while (now := loop.time()) < latest and self._quiet_at(now) > now:
            await asyncio.sleep(LOOK_AGAIN)
            if loop.time() - now < LOOK_AGAIN + BEHIND:
                return

    def _quiet_at(self, now: float) -> float:
        """When the present burst will be over, if nothing more comes."""
        is_burst = len(self._arrivals) == BURST and now - self._arrivals[0] < BURST_WITHIN
        if not is_burst:
            return now
        return now + QUIET if self._receiving else self._arrivals[-1] + QUIET

    def _has_next(self) -> bool:
        may_begin = len(self._going) < AT_ONCE
        return may_begin and bool(self._waiting or (self._later and len(self._later_going) < LATER_AT_ONCE))

    def _begin_next(self) -> None:
        if self._waiting:
            channel = min(self._waiting, key=self._channels.__getitem__)
            pieces = self._waiting.pop(channel)
            work = pieces.popleft()
            self._count -= 1
            if pieces:
                self._waiting[channel] = pieces
            self._channels[channel] += 1
            self._begin(work).add_done_callback(lambda _: self._left(channel))
        elif self._later:
            self._later_going.add(self._begin(self._later.popleft()))

    def _left(self, channel: str) -> None:
        self._channels[channel] -= 1
        if not self._channels[channel]:
            del self._channels[channel]

    def _begin(self, work: Work) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work())
        self._going.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        self._later_going.discard(task)
        self._changed.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("backlog.broke", exc_info=task.exception())

    async def _last_call(self) -> None:
        while self._waiting or self._later:
            self._begin_next()
        if self._going:
            _, late = await asyncio.wait(self._going, timeout=LAST_CALL)
            for task in late:
                task.cancel()
            if late:
                log.warning("backlog.cut_short", pieces=len(late))

"""Takes what Slack delivers: written down in Redis before the ack, then worked off, each delivery once.

Slack gives an ack three seconds and does not ask again. What was acked and whose process died is taken up by another
process, or by the same one after its restart, as soon as its lease has run out. It may be at any step by then: what is
done for a delivery is therefore safe to be done again (`Asker.is_again`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from bot.core.phrase import Phrase, duration
from bot.core.reports.report import Notice
from bot.errors import JournalAway, UpstreamError
from bot.ports.records import TakenUp
from bot.usecases.world import World
from handlers import boundary
from handlers.asker import answer
from handlers.backlog import Backlog
from handlers.delivery import Delivery, Way, found, kept

log = structlog.get_logger()

ACCEPTED_WITHIN = 1.5
"""Seconds that an ack waits for Redis, half of what Slack gives it."""

LEASE, TEND_EVERY = timedelta(seconds=15), 5.0
"""A delivery whose process is silent for that long is taken up by another, which looks so often (seconds)."""

REMEMBER = timedelta(minutes=10)
"""How long a delivery is remembered that is done: Slack's last retry comes after about five minutes."""

KEPT_FOR = timedelta(days=1)
"""How long one that nobody takes up is kept, so that the asker hears that it is too late."""

TOO_LATE = timedelta(minutes=30)
"""People have moved on: what is found after that is not begun, as a confirmed unlock is not (`STALE_AFTER`)."""

MOST_TAKES = 3
"""A delivery at which so many processes have ended is left."""

_MOST_UNSETTLED = 10_000
_AT_ONCE = 20

_BUSY = Notice(
    "tflock has too much to do right now",
    (("Nothing was changed. Try again in a minute.",),),
)


class Intake:
    """One per process. Everything that it has taken in is in the backlog until it is done."""

    def __init__(self, world: World, backlog: Backlog) -> None:
        self._world = world
        self._backlog = backlog
        self._kept: set[str] = set()
        self._unsettled: dict[str, timedelta] = {}  # and how long each is to be remembered
        self._late: set[str] = set()  # refused while their write was on its way

    async def take(self, delivery: Delivery) -> Notice | None:
        """Returns when the delivery may be acked: it is written down, or it came before.

        Or a notice that says that it was not accepted: then nothing was changed, and nothing will be. What only reads
        needs no Redis.
        """
        command = delivery.command
        if self._backlog.is_full:
            self._world.meter.command(command, "too busy")
            return _BUSY
        name = delivery.asker.delivery or f"unnamed/{self._world.new_id()}"
        try:
            is_new = await self._accepted(name, delivery)
        except JournalAway as away:
            if not delivery.only_reads:
                log.warning("delivery.not_accepted", command=command, error=str(away))
                self._world.meter.command(command, "not accepted")
                return boundary.journal_away(command, away)
            is_new = True
        if is_new:
            self._begin(name, delivery.work, delivery)
        else:
            self._world.meter.command(command, "doubled")
        return None

    async def _accepted(self, name: str, delivery: Delivery) -> bool:
        """Raises JournalAway if Redis does not say so in time. A write that lands late is undone by `_landed`."""
        if name in self._late:
            raise JournalAway("Redis has not answered yet")
        if name in self._unsettled:  # a dialog that was refused and is sent again
            await self._world.records.settle(name, remember=self._unsettled[name])
            self._is_settled(name)
        writing = asyncio.ensure_future(self._world.records.accept(name, kept(delivery), lease=LEASE, ttl=KEPT_FOR))
        if await is_taken(writing):
            return writing.result()
        self._late.add(name)
        writing.add_done_callback(partial(self._landed, name))
        error = writing.exception() if writing.done() else None
        raise error or JournalAway(f"Redis did not take it within {ACCEPTED_WITHIN:g} s")

    def _landed(self, name: str, writing: asyncio.Future[bool]) -> None:
        """The end of a write that nobody waited for. Unless it is worked on here, nobody is to take it up."""
        self._late.discard(name)
        error = None if writing.cancelled() else writing.exception()
        if error is not None and not isinstance(error, JournalAway):
            log.error("delivery.broke", exc_info=error)
        if name not in self._kept:
            self._leave(name, timedelta())

    def _begin(self, name: str, work: Callable[[World], Awaitable[None]], delivery: Delivery) -> None:
        self._kept.add(name)

        async def to_its_end() -> None:
            try:
                await work(self._world)
            except BaseException:
                self._kept.discard(name)  # not done: it is taken up again
                raise
            await self._settle(name)

        # homes behind what people have typed: fifty tabs at once must not hold up a command
        self._backlog.add(to_its_end, channel=delivery.asker.channel, later=delivery.way is Way.HOME)

    async def _settle(self, name: str) -> None:
        try:
            await self._world.records.settle(name, remember=REMEMBER)
        except JournalAway:
            self._leave(name, REMEMBER)
        else:
            self._is_settled(name)

    def _leave(self, name: str, remember: timedelta) -> None:
        """Settled later, when Redis is back; until then it is kept, so that nobody takes it up."""
        self._unsettled[name] = remember
        self._kept.add(name)
        if len(self._unsettled) > _MOST_UNSETTLED:
            self._is_settled(next(iter(self._unsettled)))

    def _is_settled(self, name: str) -> None:
        self._unsettled.pop(name, None)
        self._kept.discard(name)

    @asynccontextmanager
    async def tended(self) -> AsyncIterator[None]:
        """Takes up what silent processes have left, while inside."""
        over = asyncio.Event()
        tending = asyncio.create_task(self._tend(over))
        try:
            yield
        finally:
            over.set()  # not cancelled: `bot.usecases.lease` says why
            await tending

    async def _tend(self, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                await self.tend()
            except JournalAway:
                log.debug("deliveries.not_tended")  # Redis is away: the queue says so, once for all
            with suppress(TimeoutError):
                async with asyncio.timeout(TEND_EVERY):
                    await over.wait()

    async def tend(self) -> None:
        """Once. Raises JournalAway."""
        for name, remember in list(self._unsettled.items()):
            await self._world.records.settle(name, remember=remember)
            self._is_settled(name)
        room = 0 if self._backlog.is_full else _AT_ONCE
        for one in await self._world.records.take_up(kept=tuple(self._kept), lease=LEASE, limit=room):
            await self._take_up(one)

    async def _take_up(self, one: TakenUp) -> None:
        try:
            delivery = found(one.what)
        except ValueError as error:
            log.error("delivery.unreadable", delivery=one.name, error=type(error).__name__)  # noqa: TRY400 - no bug
            await self._settle(one.name)
            return
        command, age = delivery.command, round(one.age.total_seconds())
        log.warning("delivery.taken_up", command=command, takes=one.takes, age_seconds=age)
        left = _why_left(one)
        self._world.meter.command(command, "left" if left else "taken up")
        self._begin(one.name, partial(_say_left, delivery, left) if left else delivery.work, delivery)


async def is_taken(writing: asyncio.Future[Any]) -> bool:
    """Whether Redis has taken a write by the time that the ack has to be given. If not, it may still be on its way."""
    await asyncio.wait({writing}, timeout=ACCEPTED_WITHIN)
    return writing.done() and not isinstance(writing.exception(), JournalAway)


def _why_left(one: TakenUp) -> Phrase:
    """Why nobody begins with it any more; nothing, if it is to be done."""
    if one.age > TOO_LATE:
        return (f"tflock was not running when you asked for this, {duration(one.age)} ago.",)
    if one.takes > MOST_TAKES:
        return (f"tflock stopped {MOST_TAKES} times while it worked on this.",)
    return ()


async def _say_left(delivery: Delivery, why: Phrase, world: World) -> None:
    asker, command = delivery.asker, delivery.command
    log.error("delivery.left", command=command, user=asker.user, channel=asker.channel)
    if delivery.way is Way.HOME:
        return
    notice = Notice(f"Your {command} was not finished", (why, boundary.changed(command), ("Please ask again.",)))
    try:
        await answer(world.messenger, asker, notice)
    except UpstreamError as slack:
        log.error("command.not_answered", command=command, detail=slack.detail)  # noqa: TRY400 - no bug to trace
        if slack.passes:
            await boundary.answer_later(world, asker, notice, world.new_id())

"""One look at a state for those who wait for it: what has changed, whose turn it is, and one notice to them.

What is sent carries a mark. It is written down before it is sent, and a worker that finds it begun looks for the
mark first, so that a worker may die anywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from bot.core.lock import LockSeen
from bot.core.record.facts import WatchEnded, WatchStarted, draft_of
from bot.core.reports import waiting
from bot.core.reports.waiting import MOST_CALLS, Departure, Ending, Queue, QueueNews, Waiter
from bot.errors import Final
from bot.ports.messenger import Posted
from bot.usecases.decide.inspect import inspect
from bot.usecases.outbox import Outgoing, earlier, find_post, once
from bot.usecases.queue.record import Change, change_queue, load_queue
from bot.usecases.world import World

log = structlog.get_logger()

_WORDS = {
    Ending.TOLD: "was notified that {state} is free",
    Ending.STOPPED: "no longer waits for {state}",
    Ending.EXPIRED: "has waited long enough for {state}",
    Ending.UNREACHABLE: "could not be notified about {state}",
}


async def write_watch(world: World, waiter: Waiter, facts: WatchStarted | WatchEnded, text: str) -> None:
    """Puts the beginning or the end of a waiting on the timeline where it belongs to one. Raises JournalAway."""
    if waiter.incident:
        draft = draft_of(facts, world.clock.now(), waiter.user, text, once=f"{facts.KIND}/{waiter.ticket}")
        await world.journal.append(waiter.incident, draft)


@dataclass(frozen=True, slots=True)
class Round:
    """By the holder of the queue's lease, which `still_ours` makes sure of.

    Raises JournalAway, Busy, and Passing where Slack is away: the next look continues there.
    """

    world: World
    state: str
    still_ours: Callable[[], Awaitable[None]]

    async def run(self) -> None:
        queue = await self._looked()
        for _ in range(4 * len(queue.waiters) + 1):
            now = self.world.clock.now()
            queue = await self._change(lambda queue, now=now: waiting.aged(queue, now, self.world.watch.head_start))  # type: ignore[misc]
            turn = waiting.next_to_tell(queue)
            if turn is None:
                break
            await self._serve(queue, turn)
        for gone in (await load_queue(self.world, self.state)).departures:
            await self._part(gone)

    async def _looked(self) -> Queue:
        """The queue with what is there now. What cannot be read is neither free nor taken."""
        queue = await load_queue(self.world, self.state)
        known = self.world.states.get(self.state)
        if known is None:
            return await self._dissolve()
        lock = await known.backend.read_lock()
        if not lock.is_free and not lock.held:
            return queue
        taker = await self._taker(queue, lock)
        head_start = self.world.watch.head_start
        return await self._change(
            lambda queue: waiting.seen(queue, is_free=lock.is_free, at=lock.at, taker=taker, head_start=head_start)
        )

    async def _dissolve(self) -> Queue:
        """The state is not configured any more: everyone is notified that the waiting is over."""
        now = self.world.clock.now()

        def all_left(queue: Queue) -> Queue:
            for one in queue.waiters:
                queue = waiting.left(queue, one.user, Ending.EXPIRED, now)
            return queue

        return await self._change(all_left)

    async def _taker(self, queue: Queue, lock: LockSeen) -> str | None:
        """Who took the lock, if someone heard that it is free and might be the one."""
        if lock.is_free or queue.free_since is None or not any(one.told_at for one in queue.waiters):
            return None
        owner = (await inspect(self.world, self.world.state(self.state))).owner
        return None if owner is None else owner.slack_id

    async def _serve(self, queue: Queue, turn: Waiter) -> None:
        ticket = turn.ticket
        if turn.telling:
            begun = turn.telling_at or turn.since
            if await earlier(begun, partial(find_post, self.world, self._news(queue, turn))):
                await self._told(ticket)
                return
            if queue.free_since is None or turn.telling != queue.period:
                await self._change(lambda queue: waiting.not_told(queue, ticket))
                return
        else:
            now = self.world.clock.now()
            queue = await self._change(lambda queue: waiting.telling(queue, ticket, now))
            chosen = queue.of(turn.user)
            if chosen is None or chosen.ticket != ticket or not chosen.telling:
                return
            turn = chosen
        await self._tell(queue, turn)

    def _news(self, queue: Queue, turn: Waiter) -> Outgoing:
        news = QueueNews(
            state=self.state,
            user=turn.user,
            head_start=self.world.watch.head_start,
            behind=len(queue.waiters) - (queue.place(turn.user) or 1),
            is_last=turn.calls + 1 >= MOST_CALLS,
        )
        mark = f"waiting/{self.state}/{turn.ticket}/{turn.telling}"
        return Outgoing(turn.channel, news, mark, turn.thread)

    async def _tell(self, queue: Queue, turn: Waiter) -> None:
        try:
            await self._post(self._news(queue, turn))
        except Final as error:
            log.warning("waiting.place_closed", state=self.state, channel=turn.channel, detail=error.detail)
            await self._elsewhere(turn)
        else:
            await self._told(turn.ticket)

    async def _told(self, ticket: str) -> None:
        now = self.world.clock.now()
        await self._change(lambda queue: waiting.told(queue, ticket, now))

    async def _elsewhere(self, turn: Waiter) -> None:
        """Where the channel takes no message, they get a DM; where that fails too, they cannot be reached."""
        try:
            room = await self.world.messenger.room(turn.user)
        except Final:
            room = turn.channel
        now, ticket = self.world.clock.now(), turn.ticket
        if room == turn.channel:
            await self._change(lambda queue: waiting.left(queue, turn.user, Ending.UNREACHABLE, now))
        else:
            await self._change(lambda queue: waiting.moved(queue, ticket, room))

    async def _part(self, gone: Departure) -> None:
        """What is owed to someone who is off the queue: the last word, if they did not have it, and the timeline."""
        waiter = gone.waiter
        if gone.ending is Ending.EXPIRED:
            await self._say_end(gone)
        words = _WORDS[gone.ending].format(state=self.state)
        facts = WatchEnded(state=self.state, ticket=waiter.ticket, outcome=gone.ending)
        await write_watch(self.world, waiter, facts, words)
        await self._change(lambda queue: waiting.parted(queue, waiter.ticket))

    async def _say_end(self, gone: Departure) -> None:
        waiter = gone.waiter
        news = QueueNews(
            self.state, waiter.user, self.world.watch.head_start, ending=gone.ending, waited=gone.at - waiter.since
        )
        message = Outgoing(waiter.channel, news, f"waiting/{self.state}/{waiter.ticket}/end", waiter.thread)

        async def send() -> Posted:
            await self._change(lambda queue: waiting.parting(queue, waiter.ticket))
            return await self._post(message)

        begun = gone.at if gone.telling else None
        try:
            await once(begun, find=partial(find_post, self.world, message), send=send)
        except Final as error:
            log.warning("waiting.end_not_told", state=self.state, detail=error.detail)

    async def _post(self, message: Outgoing) -> Posted:
        await self.still_ours()
        return await self.world.messenger.post(message.to, message.what, thread=message.thread, mark=message.mark)

    async def _change(self, change: Change) -> Queue:
        return await change_queue(self.world, self.state, change)

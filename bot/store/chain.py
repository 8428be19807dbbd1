"""How an incident's timeline lies in Redis, and the one way to add to it.

One hash slot per incident, so that a cluster runs the scripts:

    tflock:{<incident>}:log       the stream; entry n has the stream id n-0
    tflock:{<incident>}:head      the incident's own fields, the tail of its chain, and which entries correct others
    tflock:{<incident>}:once      idempotency key -> stream id
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bot.core.instants import stamp
from bot.core.record.incident import Incident
from bot.core.record.timeline import GENESIS, Draft, Entry, body_of, link, read_body, recordable
from bot.errors import ChainBroken, JournalAway
from bot.ports.clock import Clock
from bot.ports.journal import Appended
from bot.store import scripts
from bot.store.connect import DEADLINE, Client

_ATTEMPTS = 40
"""How often an append may find that another process was faster. The deadline of the call usually ends it before."""

_REMEMBERED = 1000
"""Incidents whose tail is kept in memory."""

_TOGETHER = 64
"""Entries that go to Redis in one script at most: it serves nobody else meanwhile."""


class Stale(Exception):
    """The incident's head is not what a mark says that it must be. Nothing was added."""


class Tail(NamedTuple):
    """The end of a chain: the last entry's ordinal, hash and time of recording. `text` are the three, with spaces."""

    ordinal: int
    hash: str
    recorded_at: datetime
    text: str

    @staticmethod
    def of(ordinal: int, digest: str, recorded_at: datetime) -> Tail:
        return Tail(ordinal, digest, recorded_at, f"{ordinal} {digest} {stamp(recorded_at)}")

    @staticmethod
    def read(text: str) -> Tail:
        ordinal, digest, recorded_at = text.split(" ")
        return Tail(int(ordinal), digest, datetime.fromisoformat(recorded_at), text)


class _Pending(NamedTuple):
    """A draft on its way into a chain, and what became of it. One with marks goes separately."""

    draft: Draft
    marks: Mapping[str, str]
    creates: bool
    answer: asyncio.Future[Appended]


@dataclass(slots=True, eq=False)
class _Chain:
    """One incident's chain as this process knows it. The tail is a hint; Redis decides. One call at a time."""

    tail: Tail | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: deque[_Pending] = field(default_factory=deque)

    def next_group(self) -> list[_Pending]:
        """What goes to Redis together: all that have come while the last call was under way, up to a limit."""
        group = list[_Pending]()
        while self.waiting and len(group) < _TOGETHER and not (group and (group[0].marks or self.waiting[0].marks)):
            pending = self.waiting.popleft()
            if not pending.answer.done():
                group.append(pending)
        return group


class _Link(NamedTuple):
    """An entry made for the place behind a certain tail."""

    entry: Entry
    body: str
    tail: Tail


def log_key(incident: str) -> str:
    return f"tflock:{{{incident}}}:log"


def head_key(incident: str) -> str:
    return f"tflock:{{{incident}}}:head"


def once_key(incident: str) -> str:
    return f"tflock:{{{incident}}}:once"


def head_of(incident: Incident) -> dict[str, str]:
    """The fields with which an incident begins."""
    return {
        "channel": incident.channel,
        "title": incident.title,
        "opened_at": stamp(incident.opened_at),
        "opened_by": incident.opened_by,
    }


def entry_of(item: Any) -> Entry:
    """The entry of a stream item. Raises ChainBroken for one that the journal did not write."""
    ordinal, fields = item[0].removesuffix("-0"), item[1]
    try:
        entry = read_body(fields["body"], prev=fields["prev"], digest=fields["hash"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ChainBroken(ordinal, "its content is not an entry") from error
    if entry.id != ordinal:
        raise ChainBroken(ordinal, f"its content is that of entry {entry.id}")
    return entry


class Recorder:
    """Appends to chains by compare-and-set on their tail. The common case is one question to Redis.

    Appends to one chain that come while a call is under way go into the next call together; each is answered when it
    is in. Raises redis-py's errors as they are: its callers are inside `connect.answering`.
    """

    def __init__(self, client: Client, *, clock: Clock, rng: random.Random, retention: timedelta | None) -> None:
        self._clock = clock
        self._rng = rng
        self._keep = str(round(retention.total_seconds() * 1000) if retention else 0)
        self._script = client.register_script(scripts.RECORD)
        self._chains: dict[str, _Chain] = {}
        self._under_way = set[asyncio.Task[None]]()

    async def record(
        self, incident: str, draft: Draft, *, marks: Mapping[str, str] | None = None, creates: bool = False
    ) -> Appended:
        """Adds the draft, once; `marks` change the incident's head with it (see the script), and `creates` lets it
        be the first.

        Raises Stale, JournalAway for an unknown incident, ValueError or TypeError for a draft that JSON cannot hold.
        """
        (added,) = await self._recorded(incident, [_Pending(recordable(draft), marks or {}, creates, _answer())])
        return added

    async def record_all(self, incident: str, drafts: Sequence[Draft]) -> tuple[Appended, ...]:
        """As `record` for each in turn, in one script, if none but the last is known already."""
        return await self._recorded(
            incident, [_Pending(recordable(draft), {}, creates=False, answer=_answer()) for draft in drafts]
        )

    async def _recorded(self, incident: str, mine: Sequence[_Pending]) -> tuple[Appended, ...]:
        chain = self._chain(incident)
        chain.waiting.extend(mine)
        try:
            async with chain.lock:
                while not all(pending.answer.done() for pending in mine):
                    group = chain.next_group()
                    await (self._add if len(group) == 1 else self._together)(incident, chain, group)
        finally:
            for pending in mine:
                pending.answer.cancel()  # without effect on one that is there
        errors = [error for pending in mine if (error := pending.answer.exception()) is not None]
        if errors:
            raise errors[0]
        return tuple([pending.answer.result() for pending in mine])

    async def _together(self, incident: str, chain: _Chain, group: Sequence[_Pending]) -> None:
        """Cancelling one waiter does not cancel the shared call."""
        task = asyncio.create_task(self._add_all(incident, chain, group))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.shield(task)

    async def _add_all(self, incident: str, chain: _Chain, group: Sequence[_Pending]) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                await self._add(incident, chain, group)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised to those who wait
            for pending in group:
                if not pending.answer.done():
                    pending.answer.set_exception(error)

    async def _add(self, incident: str, chain: _Chain, group: Sequence[_Pending]) -> None:
        left = deque(group)
        keys = [log_key(incident), head_key(incident), once_key(incident)]
        moves = 0
        while left:
            links = self._linked([pending.draft for pending in left], chain.tail)
            answer = await self._script(keys, self._order(left, links, chain.tail))
            count, why, *more = answer if isinstance(answer, list) else (answer, "")
            for link_ in links[:count]:
                _settle(left.popleft(), Appended(link_.entry, added=True))
                chain.tail = link_.tail
            match why:
                case "known":
                    pending = left.popleft()
                    _settle(pending, _earlier(more[0], pending.draft))
                case "moved":
                    chain.tail, moves = Tail.read(more[0]) if more[0] else None, moves + 1
                    await self._give_way(moves)
                case "stale":
                    raise Stale
                case "unknown":
                    self._chains.pop(incident, None)
                    raise JournalAway(f"there is no incident {incident!r}")

    async def _give_way(self, moves: int) -> None:
        """Waits a little while another process is faster again and again; at once after the first time."""
        if moves >= _ATTEMPTS:
            raise JournalAway("too many writers at once on one timeline")
        if moves > 1:
            await asyncio.sleep(self._rng.uniform(0, min(0.05, 0.002 * 2**moves)))

    def _order(self, group: Sequence[_Pending], links: Sequence[_Link], tail: Tail | None) -> list[str]:
        first, writer = group[0], f"{self._rng.getrandbits(64):016x}"
        order = [tail.text if tail else "", f"{writer} {self._keep} {first.creates:d} {len(first.marks)}"]
        for mark in first.marks.items():
            order += mark
        for pending, link_ in zip(group, links, strict=True):
            order += (link_.tail.text, link_.body, pending.draft.once or "")
        return order

    def forget(self, incident: str) -> None:
        """Drops what is known of a chain to which hardly anything will be added."""
        self._chains.pop(incident, None)

    def _chain(self, incident: str) -> _Chain:
        if len(self._chains) > _REMEMBERED:
            self._chains = {name: chain for name, chain in self._chains.items() if chain.lock.locked()}
        return self._chains.setdefault(incident, _Chain())

    def _linked(self, drafts: Sequence[Draft], tail: Tail | None) -> list[_Link]:
        links, now = list[_Link](), self._clock.now()
        for draft in drafts:
            recorded_at = max(now, tail.recorded_at) if tail else now
            ordinal, prev = (tail.ordinal + 1, tail.hash) if tail else (1, GENESIS)
            name, at = str(ordinal), draft.at.astimezone(UTC)
            body = body_of(name, draft, recorded_at)
            tail = Tail.of(ordinal, link(prev, body), recorded_at)
            entry = Entry(name, at, recorded_at, str(draft.kind), draft.actor, draft.text, draft.facts, prev, tail.hash)
            links.append(_Link(entry, body, tail))
        return links


def _answer() -> asyncio.Future[Appended]:
    return asyncio.get_running_loop().create_future()


def _settle(pending: _Pending, outcome: Appended | ChainBroken) -> None:
    if pending.answer.done():  # nobody waits for it any more
        return
    if isinstance(outcome, ChainBroken):
        pending.answer.set_exception(outcome)
    else:
        pending.answer.set_result(outcome)


def _earlier(found: Sequence[Sequence[Any]], draft: Draft) -> Appended | ChainBroken:
    if not found:
        return ChainBroken("?", f"the entry recorded once as {draft.once!r} was removed")
    item_id, flat = found[0]
    try:
        return Appended(entry_of((item_id, dict(zip(flat[::2], flat[1::2], strict=True)))), added=False)
    except ChainBroken as broken:
        return broken

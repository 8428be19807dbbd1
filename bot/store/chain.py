"""How an incident's timeline lies in Redis, and the one way to add to it.

One hash slot per incident, so that a cluster runs the scripts:

    tflock:{<incident>}:log       the stream; entry n has the stream id n-0
    tflock:{<incident>}:head      the incident's own fields and the tail of its chain
    tflock:{<incident>}:once      idempotency key -> stream id
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.core.timeline import GENESIS, Draft, Entry, body_of, link, read_body, recordable, stamp
from bot.errors import ChainBroken, JournalAway
from bot.ports import Appended, Clock
from bot.store import scripts
from bot.store.connect import Client

_ATTEMPTS = 40
"""How often an append may find that another process was faster. The deadline of the call usually ends it before."""

_REMEMBERED = 1000
"""Incidents whose tail is kept in memory."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a chain: the last entry's ordinal, hash and time of recording. In Redis: the three, with spaces."""

    ordinal: int
    hash: str
    recorded_at: datetime

    def spelled(self) -> str:
        return f"{self.ordinal} {self.hash} {stamp(self.recorded_at)}"

    @staticmethod
    def read(text: str) -> Tail:
        ordinal, digest, recorded_at = text.split(" ")
        return Tail(int(ordinal), digest, datetime.fromisoformat(recorded_at))


class _Chain:
    """One incident's chain as this process knows it. The tail is a hint; Redis decides. One append at a time."""

    __slots__ = ("lock", "tail")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.tail: Tail | None = None


@dataclass(frozen=True, slots=True)
class _Link:
    """An entry made for the place behind a certain tail."""

    entry: Entry
    body: str
    expected: str
    tail: Tail


def log_key(incident: str) -> str:
    return f"tflock:{{{incident}}}:log"


def head_key(incident: str) -> str:
    return f"tflock:{{{incident}}}:head"


def once_key(incident: str) -> str:
    return f"tflock:{{{incident}}}:once"


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

    Raises redis-py's errors as they are: its callers stand inside `connect.answering`.
    """

    def __init__(self, client: Client, *, clock: Clock, rng: random.Random, retention: timedelta | None) -> None:
        self._clock = clock
        self._rng = rng
        self._keep = str(round(retention.total_seconds() * 1000) if retention else 0)
        self._script = client.register_script(scripts.RECORD)
        self._chains: dict[str, _Chain] = {}

    async def record(
        self, incident: str, draft: Draft, *, marks: Mapping[str, str] | None = None, creates: bool = False
    ) -> Appended:
        """Adds the draft, once; `marks` are set on the incident's head with it, and `creates` lets it be the first.

        Raises JournalAway for an unknown incident, ValueError or TypeError for a draft that JSON cannot hold.
        """
        draft = recordable(draft)
        writer = f"{self._rng.getrandbits(64):016x}"
        chain = self._chain(incident)
        keys = [log_key(incident), head_key(incident), once_key(incident)]
        extra = [part for mark in (marks or {}).items() for part in mark]

        async with chain.lock:
            for attempt in range(_ATTEMPTS):
                new = self._linked(draft, chain.tail)
                order = [new.expected, new.tail.spelled(), new.body, writer, draft.once or "", self._keep]
                answer = await self._script(keys, [*order, "1" if creates else "0", *extra])
                match answer:
                    case ["added"]:
                        chain.tail = new.tail
                        return Appended(new.entry, added=True)
                    case ["known", found]:
                        return Appended(_first(found, draft), added=False)
                    case ["moved", tail]:
                        chain.tail = Tail.read(tail) if tail else None
                    case _:
                        self._chains.pop(incident, None)
                        raise JournalAway(f"there is no incident {incident!r}")
                if attempt:
                    await asyncio.sleep(self._rng.uniform(0, min(0.05, 0.002 * 2**attempt)))
        raise JournalAway("too many writers at once on one timeline")

    def forget(self, incident: str) -> None:
        """Drops what is known of a chain to which hardly anything will be added."""
        self._chains.pop(incident, None)

    def _chain(self, incident: str) -> _Chain:
        if len(self._chains) > _REMEMBERED:
            self._chains = {name: chain for name, chain in self._chains.items() if chain.lock.locked()}
        return self._chains.setdefault(incident, _Chain())

    def _linked(self, draft: Draft, tail: Tail | None) -> _Link:
        now = self._clock.now()
        recorded_at = max(now, tail.recorded_at) if tail else now
        ordinal, prev = (tail.ordinal + 1, tail.hash) if tail else (1, GENESIS)
        body = body_of(str(ordinal), draft, recorded_at)
        digest = link(prev, body)
        at, facts = draft.at.astimezone(UTC), draft.facts
        entry = Entry(str(ordinal), at, recorded_at, str(draft.kind), draft.actor, draft.text, facts, prev, digest)
        return _Link(entry, body, tail.spelled() if tail else "", Tail(ordinal, digest, recorded_at))


def _first(found: Sequence[Sequence[Any]], draft: Draft) -> Entry:
    if not found:
        raise ChainBroken("?", f"the entry recorded once as {draft.once!r} was removed")
    item_id, flat = found[0]
    return entry_of((item_id, dict(zip(flat[::2], flat[1::2], strict=True))))

"""The ports in memory: a world without servers, for tests that need thousands of them. Time in it takes no time.

Each stand-in keeps to the contract that its real counterpart is held to (`tests/contracts/test_stand_ins.py`).
Every call first passes `Switchboard.pass_through`, where a test may make it fail, wait, or die.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.backends.settle import settled, swapped, taken
from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.hold import is_of
from bot.core.lock import (
    Abilities,
    Billing,
    DigestMatch,
    DigestSeen,
    Fence,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceRelease,
    PlaceTaken,
    Refusals,
    ReleaseResult,
    StateAbsent,
    StateCheck,
    StateSeen,
    TableCapacity,
    TableSeen,
    TakeResult,
    TimeToLive,
    lock_text,
    parse_lock_info,
)
from bot.core.recovery.contents import Contents, Version
from bot.errors import LockInfoInvalid, Unreachable
from bot.ports.clock import Clock

EPOCH = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class _Jumping(selectors.SelectSelector):
    """A selector that does not wait, but tells how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that nobody will do")
        self.jumped += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer. For code that waits for nothing but timers."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped

    def stand_still(self, seconds: float) -> None:
        """Time passes at once, on every clock, and nobody has done anything meanwhile: as after SIGSTOP."""
        self._jumping.jumped += seconds


@dataclass
class LoopClock:
    """`bot.ports.clock.Clock` on the clock of a JumpingLoop."""

    loop: asyncio.AbstractEventLoop

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time())

    def running(self) -> float:
        return self.loop.time()


class Killed(BaseException):
    """The process that made this call is no more. Not an Exception, so that nothing in the code under test takes it."""


WORKER: ContextVar[str] = ContextVar("worker", default="")
"""Which process makes a call: a worker's name, or empty for everybody else."""


@dataclass
class Switchboard:
    """Where the faults are: every call of a stand-in passes here by its name, before and after it has done its work.

    `fault` is asked at each of them; it may wait or raise. A worker in `dead` never gets another call through, not
    even while it unwinds: as after `kill -9`.
    """

    fault: Callable[[str], Awaitable[None]] | None = None
    dead: set[str] = field(default_factory=set)
    calls: int = 0

    async def pass_through(self, name: str) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        self._check_pulse()
        if self.fault is not None:
            await self.fault(name)
            self._check_pulse()

    def _check_pulse(self) -> None:
        if WORKER.get() in self.dead:
            raise Killed(WORKER.get())


@dataclass
class MemoryStore:
    """Where a state and its lock stand: the truth that Terraform and the bot both reach for.

    `texts` has the text and the fence of each place that is held. `fault` is what is wrong with the state. `on_delete`
    is told of every lock that a conditional delete removed, at that instant, `on_hold` of every lock that the bot
    wrote, with what it replaced.
    """

    kinds: tuple[PlaceKind, ...]
    texts: dict[PlaceKind, tuple[str, str]] = field(default_factory=dict)
    last_written: datetime | None = None
    fault: str | None = None
    on_delete: Callable[[PlaceKind, str], None] = lambda _kind, _text: None
    on_hold: Callable[[PlaceKind, str, str | None], None] = lambda _kind, _text, _before: None
    writes: int = 0
    versions: list[tuple[Version, Contents]] = field(default_factory=list)

    def write(self, kind: PlaceKind, text: str) -> None:
        self.writes += 1
        self.texts[kind] = (text, f'"{self.writes}"' if kind is PlaceKind.FILE else text)

    def clear(self, kind: PlaceKind) -> None:
        self.texts.pop(kind, None)

    def swap_if(self, kind: PlaceKind, fence: str, text: str) -> bool:
        """Puts the text there if the place has this fence."""
        before, there = self.texts.get(kind, (None, None))
        if there != fence or before is None:
            return False
        self.write(kind, text)
        self.on_hold(kind, text, before)
        return True

    def delete_if(self, kind: PlaceKind, fence: str) -> str | None:
        """Deletes the place if it has this fence; the text that stood there before, None if there was none."""
        text, there = self.texts.get(kind, (None, None))
        if there == fence and text is not None:
            del self.texts[kind]
            self.on_delete(kind, text)
        return text


S3_LIKE = Abilities(conditional=True, fence=Fence.NONE, shows_holder=True, versions=True, swap=True)


@dataclass(frozen=True)
class MemoryLockBackend:
    """`bot.ports.locks.LockBackend` on a MemoryStore. A fault of Unreachable or TimeoutError is an open outcome."""

    store: MemoryStore
    clock: Clock
    switchboard: Switchboard = field(default_factory=Switchboard)
    can: Abilities = S3_LIKE

    async def read_lock(self, *, by_trying: bool = False) -> LockSeen:
        at = self.clock.now()
        if not (self.can.shows_lock or by_trying):
            hidden = Unseen("memory", Trouble.NOT_SHOWN, "a lock is seen only by trying to take it", at)
            return LockSeen((), (), tuple((kind, hidden) for kind in self.store.kinds), at)
        held: list[LockPlace] = []
        free: list[PlaceKind] = []
        unseen: list[tuple[PlaceKind, Unseen | NotFound]] = []
        for kind in self.store.kinds:
            try:
                await self.switchboard.pass_through(f"read {kind}")
            except (Throttle, Unreachable) as error:
                unseen.append((kind, unseen_by(error, at)))
                continue
            place = self._place(kind)
            if place is None:
                free.append(kind)
            else:
                held.append(place)
        return LockSeen(tuple(held), tuple(free), tuple(unseen), at)

    async def read_state(self) -> StateCheck:
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("read state")
        except (Throttle, Unreachable) as error:
            return StateCheck(unseen_by(error, at), DigestSeen(DigestMatch.UNSEEN))
        return StateCheck(Found(self._state(), at), DigestSeen(DigestMatch.NO_ITEM))

    async def read_table(self) -> TableSeen | None:
        if PlaceKind.ITEM not in self.store.kinds:
            return None
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("read table")
        except (Throttle, Unreachable) as error:
            unseen = unseen_by(error, at)
            return TableSeen("memory", unseen, unseen, unseen)
        return TableSeen(
            "memory",
            Found(TableCapacity(Billing.ON_DEMAND, 0, 0, "ACTIVE"), at),
            Found(TimeToLive(enabled=False), at),
            Found(Refusals(0, 0, timedelta(minutes=5)), at),
        )

    async def versions(self, most: int) -> Observation[tuple[Version, ...]]:
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("list versions")
        except (Throttle, Unreachable) as error:
            return unseen_by(error, at)
        found = self.store.versions[:most]
        return Found(tuple(version for version, _ in found), at) if found else NotFound("memory", "a version", at)

    async def contents(self, version: str | None = None) -> Observation[Contents]:
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("read contents")
        except (Throttle, Unreachable) as error:
            return unseen_by(error, at)
        of = {each.id: contents for each, contents in self.store.versions}
        chosen = version or next(iter(of), None)
        return Found(of[chosen], at) if chosen in of else NotFound("memory", "the state", at)

    async def release(self, place: LockPlace, *, before: float = math.inf) -> PlaceRelease:
        if place.info is None:
            return PlaceRelease(place, ReleaseResult.DENIED, "a lock that cannot be read is never released")
        try:
            await self.switchboard.pass_through(f"delete {place.kind}")
            if self.clock.running() > before:
                return PlaceRelease(place, ReleaseResult.NOT_SENT, "it was held up for too long")
            there = self.store.delete_if(place.kind, place.fence)
            await self.switchboard.pass_through(f"deleted {place.kind}")
        except Throttle:
            return PlaceRelease(place, ReleaseResult.THROTTLED, "the store asks for patience")
        except Unreachable as error:
            return await self._settled(place, error)
        if there is None:
            return PlaceRelease(place, ReleaseResult.ALREADY_FREE)
        changed = self._place(place.kind) is not None
        return PlaceRelease(place, ReleaseResult.HOLDER_CHANGED if changed else ReleaseResult.RELEASED, "")

    async def take(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceTaken:
        try:
            await self.switchboard.pass_through(f"hold {kind}")
            if self.clock.running() > before:
                return PlaceTaken(kind, TakeResult.NOT_SENT, detail="it was held up for too long")
            if kind not in self.store.texts:
                self.store.write(kind, lock_text(hold))
                self.store.on_hold(kind, lock_text(hold), None)
            await self.switchboard.pass_through(f"held {kind}")
        except Throttle:
            return PlaceTaken(kind, TakeResult.THROTTLED, detail="the store asks for patience")
        except Unreachable as error:
            return taken(kind, error.detail, await self._told(kind), hold)
        now = self._place(kind)
        if now is not None and not is_of(now.info, hold):
            return PlaceTaken(kind, TakeResult.HELD, now)
        return PlaceTaken(kind, TakeResult.TAKEN, now)

    async def swap(self, place: LockPlace, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        if place.info is None:
            return PlaceRelease(place, ReleaseResult.DENIED, "a lock that cannot be read is never released")
        try:
            await self.switchboard.pass_through(f"swap {place.kind}")
            if self.clock.running() > before:
                return PlaceRelease(place, ReleaseResult.NOT_SENT, "it was held up for too long")
            is_done = self.store.swap_if(place.kind, place.fence, lock_text(hold))
            await self.switchboard.pass_through(f"swapped {place.kind}")
        except Throttle:
            return PlaceRelease(place, ReleaseResult.THROTTLED, "the store asks for patience")
        except Unreachable as error:
            return swapped(place, error.detail, await self._told(place.kind), hold, is_open=True)
        if is_done:
            return PlaceRelease(place, ReleaseResult.RELEASED)
        return settled(place, "nothing was replaced", self._place(place.kind), is_open=False)

    async def end(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        there = await self._told(kind)
        if isinstance(there, str):
            return PlaceRelease(LockPlace(kind, "", "", hold), ReleaseResult.NOT_SENT, there)
        if there is None or not is_of(there.info, hold):
            return PlaceRelease(LockPlace(kind, "", "", hold), ReleaseResult.ALREADY_FREE)
        return await self.release(there, before=before)

    async def _told(self, kind: PlaceKind) -> LockPlace | str | None:
        try:
            await self.switchboard.pass_through(f"read {kind}")
        except (Throttle, Unreachable):
            return "it could not be read"
        return self._place(kind)

    async def _settled(self, place: LockPlace, error: Unreachable) -> PlaceRelease:
        try:
            await self.switchboard.pass_through(f"read {place.kind}")
        except (Throttle, Unreachable):
            return PlaceRelease(place, ReleaseResult.NOT_KNOWN, error.detail)
        now = self._place(place.kind)
        if now is None:
            return PlaceRelease(place, ReleaseResult.RELEASED, "the answer was lost; the lock is gone")
        same = now.fence == place.fence
        return PlaceRelease(place, ReleaseResult.NOT_KNOWN if same else ReleaseResult.HOLDER_CHANGED, error.detail)

    def _place(self, kind: PlaceKind) -> LockPlace | None:
        if kind not in self.store.texts:
            return None
        text, fence = self.store.texts[kind]
        try:
            return LockPlace(kind, f"memory / {kind}", fence, parse_lock_info(text))
        except LockInfoInvalid as error:
            return LockPlace(kind, f"memory / {kind}", fence, None, str(error))

    def _state(self) -> StateSeen | StateAbsent:
        written = self.store.last_written
        if written is None:
            return StateAbsent()
        return StateSeen(
            size=100, last_written=written, md5="0" * 32, serial=7, lineage="b0c5d1f2", terraform_version="1.9.8",
            fault=self.store.fault,
        )  # fmt: skip


@dataclass(frozen=True)
class MemorySweep:
    """`bot.ports.locks.LockSweep` on the backends of states, by name: each by itself."""

    backends: Mapping[str, MemoryLockBackend]

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        return {name: await self.backends[name].read_lock() for name in names}


class Throttle(Exception):
    """A fault: the store or the system asks for patience, and has done nothing."""


def unseen_by(error: Throttle | Unreachable, at: datetime, system: str = "the store") -> Unseen:
    trouble = Trouble.THROTTLED if isinstance(error, Throttle) else Trouble.TIMED_OUT
    return Unseen(system, trouble, "it asks for patience" if isinstance(error, Throttle) else error.detail, at)

"""A backend whose lock is in one place behind an HTTP API, as `bot.ports.locks.CheckedBackend`.

The store gives requests and its reading of the answers; retries, time-outs and what an outcome comes to are here.
"""

from __future__ import annotations

import asyncio
import math
import posixpath
import secrets
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

import httpx
import stamina

from bot.backends.contents import ContentsReader
from bot.backends.proof import Proofs
from bot.backends.settle import settled
from bot.backends.state_text import StateReader
from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.lock import (
    Abilities,
    DigestMatch,
    DigestSeen,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceProbe,
    PlaceRelease,
    ReleaseResult,
    StateAbsent,
    StateCheck,
    StateSeen,
    TableSeen,
    parse_lock_info,
)
from bot.core.recovery.contents import Contents, Version
from bot.errors import JournalAway, LockInfoInvalid
from bot.http.client import Absent, Failed, Sink
from bot.ports.clock import Clock

T = TypeVar("T")

_TEXT = "a throw-away lock of tflock's doctor"
_PASSING = frozenset({Trouble.THROTTLED, Trouble.NO_CONNECTION, Trouble.SERVER_ERROR})
_OPEN = frozenset({Trouble.TIMED_OUT, Trouble.NO_CONNECTION, Trouble.SERVER_ERROR, Trouble.GARBLED})
"""After these the store may have done what was asked."""

_MORE_FOR_CONTENTS = 45.0
"""Seconds: all of a state's objects are followed, which takes longer than to look at its head."""

_VERSIONS_TRIED = 5

LONG_LIST = 25.0
"""Seconds for the locks of all states of a project or an organization: ten thousand of them are a hundred pages."""

LISTED_WITHIN = 30.0
"""Seconds: a listing of all states of a container has many pages."""

_NO_TABLE = DigestSeen(DigestMatch.NO_TABLE)


class Unmet(Exception):
    """The store answered that the condition of a release does not hold, and did nothing."""


Leaving = Callable[[], None]


class RemoteStore(Protocol):
    """One state's lock and state in one store. Each request is one try; it raises Failed, or Absent for what is missing
    other than the lock or the state themselves.
    """

    kind: PlaceKind
    service: str
    reads: str
    deletes: str
    """The rights that reading and releasing a lock take, in the store's own words."""

    @property
    def target(self) -> str:
        """The lock, for people."""
        ...

    async def read(self) -> LockPlace | None:
        """The lock that is here now, strongly consistent."""
        ...

    async def delete(self, fence: str, leaving: Leaving) -> None:
        """Releases the lock with this fence. Raises Unmet if another one is there, or none. `leaving` is called right
        before the bytes go out, and may raise.
        """
        ...

    async def state(self) -> StateSeen | StateAbsent: ...

    async def listed(self, most: int) -> tuple[Version, ...]:
        """The newest versions of the state, newest first; of a store that keeps none the one there is."""
        ...

    async def pour(self, version: str | None, into: Sink) -> None:
        """Streams a version of the state, or the newest one, whole."""
        ...

    async def keeps_versions(self) -> bool: ...


@runtime_checkable
class StoreWithRights(RemoteStore, Protocol):
    """A store in which no throw-away lock can be made, and which says what the bot may do."""

    async def missing_rights(self) -> tuple[str, ...]:
        """What a release may need and the bot lacks."""
        ...


@runtime_checkable
class TrialStore(RemoteStore, Protocol):
    """A store in which throw-away locks can be made."""

    no_fence: str
    """A fence that no lock has."""

    def beside(self, token: str) -> Self:
        """The same for a throw-away lock next to this one."""
        ...

    async def put(self, text: str) -> str:
        """Makes the throw-away lock; returns its fence."""
        ...

    async def clear_away(self) -> None:
        """Removes what `put` made in addition to the lock."""
        ...


async def newest_whole(ids: Iterable[str], pour: Callable[[str, Sink], Awaitable[None]]) -> str | None:
    """The first of the versions, newest first, that is a valid state; of more than a few only the newest are tried."""
    for version in islice(ids, _VERSIONS_TRIED):
        reader = StateReader()
        with suppress(Failed, Absent):  # a version that cannot be read is not known to be good
            await pour(version, reader)
            if reader.finish().fault is None:
                return version
    return None


@dataclass
class Leave:
    """The permission for one request to leave until an instant of `Clock.running`."""

    clock: Clock
    until: float
    has_left: bool = False

    def __call__(self) -> None:
        if self.clock.running() > self.until:
            raise Failed(Trouble.TIMED_OUT, "the request was held up for too long", was_sent=False)
        self.has_left = True


class RemoteBackend:
    """`timeout` in seconds is the longest time that one look-up, its retries included, or one release takes.

    `endpoint` is the address of the store if it is not known to honour conditions: it then has to prove that it does
    before the first release; `proofs` remembers it. `clock_name` is whose clock dates the locks, at `address`.
    """

    def __init__(
        self,
        store: RemoteStore,
        can: Abilities,
        clock: Clock,
        *,
        address: str,
        proofs: Proofs | None = None,
        endpoint: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.can = can
        self._store = store
        self._clock = clock
        self._address = address
        self._proofs = proofs
        self._endpoint = endpoint
        self._timeout = timeout

    async def read_lock(self, *, by_trying: bool = False) -> LockSeen:  # noqa: ARG002 - its looks harm nobody
        at = self._clock.now()
        return seen_of(self._store.kind, await self._now(), at)

    async def read_state(self) -> StateCheck:
        return StateCheck(state=await self._observed(self._store.state), digest=_NO_TABLE)

    async def read_table(self) -> TableSeen | None:
        """None: no store of this kind keeps its locks in a table."""
        return None

    async def versions(self, most: int) -> Observation[tuple[Version, ...]]:
        found = await self._observed(lambda: self._store.listed(most))
        if isinstance(found, Found) and not found.value:
            return NotFound(self._store.service, f"a version of the state of {self._store.target}", found.at)
        return found

    async def contents(self, version: str | None = None) -> Observation[Contents]:
        async def read() -> Contents:
            reader = ContentsReader()
            await self._store.pour(version, reader)
            return reader.finish()

        at, within = self._clock.now(), self._timeout + _MORE_FOR_CONTENTS
        return await observed(read, self._store.service, self._store.reads, at, within=within)

    async def release(self, place: LockPlace, *, before: float = math.inf) -> PlaceRelease:
        """Releases exactly the lock that `place` was read from, or nothing. One attempt.

        Raises JournalAway if it cannot be learned whether the store honours conditions.
        """
        if place.info is None or not place.fence:
            return PlaceRelease(place, ReleaseResult.DENIED, "a lock that cannot be read is never released")
        if place.kind is not self._store.kind:
            return PlaceRelease(place, ReleaseResult.DENIED, f"this state's configuration has no {place.kind}")
        unfit = await self._unfit(place)
        if unfit is not None:
            return unfit
        leave = Leave(self._clock, min(before, self._clock.running() + self._timeout))
        try:
            await self._in_time(self._store.delete(place.fence, leave), self._store.deletes)
        except Failed as failed:
            return await self._not_deleted(place, failed, leave)
        except (Absent, Unmet):
            return settled(place, "the store released nothing", told(await self._now()), is_open=False)
        return PlaceRelease(place, ReleaseResult.RELEASED)

    async def versioning(self) -> Observation[bool]:
        return await self._observed(self._store.keeps_versions)

    async def clock_address(self) -> tuple[str, str] | None:
        return self._address, self._store.service

    async def probe(self, token: str) -> tuple[PlaceProbe, ...]:
        if isinstance(self._store, StoreWithRights):
            return (await self._rights(self._store),)
        if not isinstance(self._store, TrialStore):
            detail = "the right to lock and unlock can't be tried without taking the lock"
            return (PlaceProbe(self._store.kind, self._store.target, None, (), detail),)
        probe = await self._probed(self._store.beside(token))
        if self._endpoint is not None and self._proofs is not None:
            with suppress(JournalAway):  # it is tried again when it is needed
                await self._proofs.learn(self._endpoint, probe)
        return (probe,)

    async def _rights(self, store: StoreWithRights) -> PlaceProbe:
        missing = await self._observed(store.missing_rights)
        if isinstance(missing, Found):
            return PlaceProbe(store.kind, store.target, None, missing.value, "", is_tried=False)
        why, trouble = told(missing), missing.trouble if isinstance(missing, Unseen) else Trouble.DENIED
        return PlaceProbe(store.kind, store.target, None, (), str(why), is_tried=False, trouble=trouble)

    async def _probed(self, trial: TrialStore) -> PlaceProbe:
        """Puts a lock, tries to release it with another fence, then releases it with its own."""
        read = await self._tried(trial.read(), trial.reads)
        # nothing is there yet: shows whether releasing is allowed
        wrong = cleared = await self._tried(trial.delete(trial.no_fence, at_once), trial.deletes)
        # the bot itself needs no right to put: without it this first answer has to do
        placed = None if _trouble(wrong) else await self._tried(trial.put(_TEXT), "the throw-away lock")
        stood: object = None
        if isinstance(placed, str):
            wrong = await self._tried(trial.delete(trial.no_fence, at_once), trial.deletes)
            stood = await self._tried(trial.read(), trial.reads)
            cleared = await self._tried(trial.delete(placed, at_once), trial.deletes)
        left = await self._tried(trial.clear_away(), trial.deletes) if placed is not None else None

        steps = (read, wrong, placed, stood, cleared, left)
        details = [step.words for step in steps if isinstance(step, Failed)]
        if isinstance(placed, str) and (_trouble(cleared) or _trouble(left)):
            details.append(f"{trial.target} was left behind")
        is_there = isinstance(stood, LockPlace) and stood.fence == placed
        conditional = True if isinstance(wrong, Unmet) else False if isinstance(placed, str) and wrong is None else None
        if conditional and isinstance(placed, str) and stood is None:
            conditional = False  # it said that the condition did not hold, and released all the same
        denied = ((trial.reads, read), (trial.deletes, wrong))
        return PlaceProbe(
            kind=trial.kind,
            place=trial.target,
            is_conditional=conditional,
            missing_rights=tuple(right for right, step in denied if _trouble(step) is Trouble.DENIED),
            detail="; ".join(dict.fromkeys(details)),
            is_proven=bool(conditional) and is_there and cleared is None,
            needs_proof=self._endpoint is not None,
            trouble=next(filter(None, map(_trouble, steps)), None),
        )

    async def _unfit(self, lock: LockPlace) -> PlaceRelease | None:
        """Why nothing may be released here, if so: the store is one of its own, and did not prove itself."""
        if self._endpoint is None or (self._proofs is not None and await self._proofs.knows(self._endpoint)):
            return None
        (probe,) = await self.probe(secrets.token_hex(4))
        if probe.is_proven:
            return None
        if probe.trouble is Trouble.THROTTLED:
            return PlaceRelease(lock, ReleaseResult.THROTTLED, probe.detail)
        if probe.trouble in _OPEN:
            return PlaceRelease(lock, ReleaseResult.NOT_SENT, f"{probe.detail}, so nothing was sent")
        if probe.is_conditional is False:
            words = "this store releases a lock although its condition does not hold, so a new holder's could be lost"
            return PlaceRelease(lock, ReleaseResult.DENIED, f"{words}: use a store that honours it")
        words = f"this store is not known to honour conditions, and could not be tried next to {lock.where}"
        return PlaceRelease(lock, ReleaseResult.DENIED, "; ".join(filter(None, (words, probe.detail))))

    async def _not_deleted(self, place: LockPlace, failed: Failed, leave: Leave) -> PlaceRelease:
        match failed.trouble:
            case Trouble.THROTTLED:
                return PlaceRelease(place, ReleaseResult.THROTTLED, failed.words, failed.retry_after)
            case Trouble.DENIED | Trouble.NO_CREDENTIALS:
                return PlaceRelease(place, ReleaseResult.DENIED, failed.words)
        if not leave.has_left:
            return PlaceRelease(place, ReleaseResult.NOT_SENT, f"{failed.words}, so nothing was sent")
        return settled(place, failed.words, told(await self._now()), is_open=True)

    async def _now(self) -> LockPlace | Unseen | NotFound | None:
        found = await self._observed(self._store.read)
        return found.value if isinstance(found, Found) else found

    async def _observed(self, question: Callable[[], Awaitable[T]]) -> Observation[T]:
        at = self._clock.now()
        return await observed(question, self._store.service, self._store.reads, at, within=self._timeout)

    async def _in_time(self, work: Awaitable[T], right: str) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError as error:
            raise Failed(Trouble.TIMED_OUT, f"{self._store.service} did not answer {right} in time") from error

    async def _tried(self, step: Awaitable[T], right: str) -> T | Failed | Absent | Unmet:
        try:
            return await self._in_time(step, right)
        except (Failed, Absent, Unmet) as error:
            return error


S = TypeVar("S", bound=RemoteStore)


@dataclass(frozen=True, slots=True)
class Folder(Generic[S]):
    """The states of one folder, whose locks one listing of the store shows. `prefix` ends in a slash, or is empty."""

    prefix: str
    stores: Mapping[str, S]

    @property
    def any(self) -> S:
        """For its words, and the way to it."""
        return next(iter(self.stores.values()))


class ListingSweep(Generic[S]):
    """`bot.ports.locks.LockSweep` by listings: what a listing does not show is free, what it shows is read.

    `path_of` is where a state is in its container; `way_to` tells that container and the way to it from all others, by
    the state's name. `held` lists a folder: the states that it shows a lock of, and where that lock is.
    """

    def __init__(
        self,
        stores: Mapping[str, S],
        clock: Clock,
        *,
        path_of: Callable[[S], str],
        way_to: Callable[[str], Hashable],
        held: Callable[[Folder[S]], Awaitable[Mapping[str, S]]],
        at_once: int = 8,
        call_timeout: float = 8.0,
        timeout: float = 30.0,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._path_of = path_of
        self._way_to = way_to
        self._held = held
        self._slots = asyncio.Semaphore(at_once)
        self._call_timeout = call_timeout
        self._timeout = timeout

    def _folders(self, names: Sequence[str]) -> list[Folder[S]]:
        groups = dict[tuple[Hashable, str], dict[str, S]]()
        for name in names:
            folder = posixpath.dirname(self._path_of(self._stores[name]))
            groups.setdefault((self._way_to(name), folder), {})[name] = self._stores[name]
        return [Folder(f"{folder}/" if folder else "", stores) for (_, folder), stores in groups.items()]

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        at = self._clock.now()
        folders = self._folders(names)
        seen = dict[str, LockSeen]()
        working = asyncio.gather(*(self._read(folder, seen, at) for folder in folders))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await working
        for folder in folders:
            late = Unseen(folder.any.service, Trouble.TIMED_OUT, "the locks could not all be read in time", at)
            for name in folder.stores:
                seen.setdefault(name, seen_of(folder.any.kind, late, at))
        return seen

    async def _read(self, folder: Folder[S], seen: dict[str, LockSeen], at: datetime) -> None:
        """Fills `seen` as it goes, so that what was read counts even if the time is up for the rest."""
        held = await self._observed(partial(self._held, folder), folder.any, at)
        if not isinstance(held, Found):
            seen.update({name: seen_of(folder.any.kind, held, at) for name in folder.stores})
            return
        free = [name for name in folder.stores if name not in held.value]
        seen.update({name: seen_of(folder.any.kind, None, at) for name in free})

        async def read(name: str, store: S) -> None:
            async with self._slots:
                found = await self._observed(store.read, store, at)
            seen[name] = seen_of(store.kind, found.value if isinstance(found, Found) else found, at)

        await asyncio.gather(*(read(name, store) for name, store in held.value.items()))

    async def _observed(self, question: Callable[[], Awaitable[T]], store: S, at: datetime) -> Observation[T]:
        return await observed(question, store.service, store.reads, at, within=self._call_timeout)


async def observed(
    question: Callable[[], Awaitable[T]], service: str, right: str, at: datetime, *, within: float
) -> Observation[T]:
    """What a look-up brought, tried again while that may help. Never raises for what the store says."""
    try:
        async with asyncio.timeout(within):
            return Found(await _retrying(question), at)
    except Absent as absent:
        return NotFound(service, absent.what, at)
    except Failed as failed:
        return Unseen(service, failed.trouble, failed.words, at, failed.retry_after)
    except TimeoutError:
        return Unseen(service, Trouble.TIMED_OUT, f"{service} did not answer {right} in time", at)


def there(response: httpx.Response, about: str) -> httpx.Response:
    """An answer that passed; raises Absent for one that says that there is nothing."""
    if not response.is_success:
        raise Absent(about)
    return response


def parsed(text: str) -> tuple[LockInfo | None, str | None]:
    """The lock info, or why it cannot be read."""
    try:
        return parse_lock_info(text), None
    except LockInfoInvalid as error:
        return None, str(error)


def seen_of(kind: PlaceKind, now: LockPlace | Unseen | NotFound | None, at: datetime) -> LockSeen:
    """What was seen of a lock that has one place."""
    match now:
        case LockPlace():
            return LockSeen(held=(now,), free=(), unseen=(), at=at)
        case None:
            return LockSeen(held=(), free=(kind,), unseen=(), at=at)
        case why:
            return LockSeen(held=(), free=(), unseen=((kind, why),), at=at)


def told(now: LockPlace | Unseen | NotFound | None) -> LockPlace | str | None:
    """The lock that is there, or why that is not known."""
    match now:
        case Unseen():
            return now.detail
        case NotFound():
            return f"there is no {now.what}"
        case _:
            return now


def _worth_another_try(error: Exception) -> bool:
    return isinstance(error, Failed) and error.trouble in _PASSING


_retry = stamina.AsyncRetryingCaller(attempts=5, timeout=3.0, wait_initial=0.0, wait_max=0.6, wait_jitter=0.6).on(
    _worth_another_try
)


async def _retrying(question: Callable[[], Awaitable[T]]) -> T:
    return await _retry(question)


def at_once() -> None:
    """A throw-away lock may be released at any time."""


def _trouble(step: object) -> Trouble | None:
    return step.trouble if isinstance(step, Failed) else None

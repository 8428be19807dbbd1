"""Terraform's generic `http` protocol as a kind of backend."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from bot.backends.frame import Means, Store
from bot.backends.http.rights import LOCK, READ
from bot.backends.http.section import Backend
from bot.backends.http.store import SERVICE, TRIED, HttpStore, Way, basic, errors, origin
from bot.backends.remote import RemoteBackend, observed, seen_of
from bot.core.evidence import Found, Observation, Trouble, Unseen
from bot.core.lock import (
    Abilities,
    Fence,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceProbe,
    PlaceRelease,
    Rights,
    StateCheck,
    TableSeen,
)
from bot.core.recovery.contents import Contents, Version
from bot.errors import JournalAway
from bot.http.client import Client, Limits
from bot.ports.clock import Clock

CAN = Abilities(
    conditional=False, fence=Fence.NOT_KNOWN, shows_holder=True, versions=False, swap=False, shows_lock=False
)
_LIMITS = Limits(connect=3, read=8, overall=10)
_AT_ONCE, _LEFT_WITHIN = 8, 20.0
_UNSHOWN = (
    "the http protocol has no request that only reads a lock. An unlock looks by trying to lock the state, which takes "
    "a free one for a moment"
)


class HttpBackend:
    """Reads a lock only `by_trying`. Implements `bot.ports.locks.CheckedBackend`."""

    def __init__(self, store: HttpStore, clock: Clock, *, timeout: float = 10.0) -> None:
        self.can = CAN
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._remote = RemoteBackend(store, CAN, clock, address=store.target, timeout=timeout)

    async def read_lock(self, *, by_trying: bool = False) -> LockSeen:
        return await self._remote.read_lock() if by_trying else unshown(self._clock)

    async def read_state(self) -> StateCheck:
        return await self._remote.read_state()

    async def read_table(self) -> TableSeen | None:
        return None

    async def versions(self, most: int) -> Observation[tuple[Version, ...]]:
        return await self._remote.versions(most)

    async def contents(self, version: str | None = None) -> Observation[Contents]:
        return await self._remote.contents(version)

    async def release(self, place: LockPlace, *, before: float = math.inf) -> PlaceRelease:
        return await self._remote.release(place, before=before)

    async def probe(self, token: str) -> tuple[PlaceProbe, ...]:
        return await self._remote.probe(token)

    async def versioning(self) -> Observation[bool]:
        return Found(value=False, at=self._clock.now())

    async def clock_address(self) -> tuple[str, str] | None:
        """None: a lock's time is its holder's."""
        return None


class HttpSweep:
    """Implements `bot.ports.locks.LockSweep`: shows nothing, and gives back what a try has left behind."""

    def __init__(self, stores: Mapping[str, HttpStore], means: Means) -> None:
        self._stores = stores
        self._means = means

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        stores = {self._stores[name].target: self._stores[name] for name in names}
        try:
            left = await self._means.records.get_all(TRIED, tuple(stores))
        except JournalAway:
            left = {}
        slots, at = asyncio.Semaphore(_AT_ONCE), self._means.clock.now()

        async def give_back(store: HttpStore) -> None:
            async with slots:
                await observed(store.left_over, SERVICE, store.reads, at, within=_LEFT_WITHIN)

        await asyncio.gather(*(give_back(stores[target]) for target in left))
        return {name: unshown(self._means.clock) for name in names}


class HttpKind:
    system = "http backend"
    rights = Rights(
        grant="the server, to the bot's user",
        state=READ,
        versions=READ,
        trial=LOCK,
        sweep=READ,
        swept=PlaceKind.RECORD,
        container="server",
        honours="GitLab does, with type: gitlab",
    )

    def open(self, section: Backend, means: Means) -> Store:
        return Store(backend=HttpBackend(_store(section, means), means.clock))

    def sweep(self, sections: Mapping[str, Backend], means: Means) -> HttpSweep:
        return HttpSweep({name: _store(section, means) for name, section in sections.items()}, means)

    async def warm(self, sections: Mapping[str, Backend], means: Means) -> None:
        """Nothing: a client is made in no time."""


KIND = HttpKind()


def unshown(clock: Clock) -> LockSeen:
    at = clock.now()
    return seen_of(PlaceKind.RECORD, Unseen(SERVICE, Trouble.NOT_SHOWN, _UNSHOWN, at), at)


def _store(section: Backend, means: Means) -> HttpStore:
    key = ("http", section.address)
    if key not in means.shared:
        store = HttpStore(
            _way(section, means, "GET", section.address),
            _way(section, means, section.lock_method, section.lock_at),
            _way(section, means, section.unlock_method, section.unlock_at),
            means.records,
            means.clock,
        )

        async def finish() -> None:
            await asyncio.gather(*store.tries, return_exceptions=True)

        means.closing.insert(0, finish)  # before the clients are closed
        means.shared[key] = store
    found: HttpStore = means.shared[key]
    return found


def _way(section: Backend, means: Means, method: str, address: str) -> Way:
    """With one client for each server and user."""
    key = ("http", origin(address), section.username_env, section.password_env)
    if key not in means.shared:
        user, password = (
            means.secrets.get(name or "", SecretStr("")) for name in (section.username_env, section.password_env)
        )

        def headers() -> Mapping[str, str]:
            return basic(user.get_secret_value(), password.get_secret_value())

        client = Client(SERVICE, origin(address), headers=headers, errors=errors, clock=means.clock, limits=_LIMITS)
        means.closing.append(client.aclose)
        means.shared[key] = client
    return Way(means.shared[key], method, address)

"""Worlds of the `http` protocol for the contract of `bot.ports.locks.LockBackend`: with its own verbs, and others.

The server releases whatever is there, as most do.
"""

from __future__ import annotations

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.backends.frame import Means
from bot.backends.http.kind import KIND, HttpBackend
from bot.backends.http.section import Backend
from bot.backends.http.store import HttpStore
from bot.core.lock import PlaceKind
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, Matcher, fault_proxy
from bot.sandbox.machine.terraform import write_workspace_in
from tests.worlds.clocks import WallClock
from tests.worlds.http_states import HttpStates, http_states
from tests.worlds.memory.journal import MemoryRecords
from tests.worlds.proxy import Deny
from tests.worlds.terraform import initialised

WORLDS = [("LOCK",), ("POST",)]
APPLIED = [*WORLDS, ("LOCK", "compares"), ("POST", "compares")]
BLOCK = """\
  backend "http" {{
    address        = "{section.address}"
    lock_address   = "{section.lock_at}"
    unlock_address = "{section.lock_at}"
    lock_method    = "{section.lock_method}"
    unlock_method  = "{section.unlock_method}"
    username       = "{user}"
    password       = "{password}"
    retry_wait_min = 1
  }}
"""
STATE = {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "b0c5d1f2", "outputs": {}}
PATH = "/legacy"


class Trying(HttpBackend):
    """Looks as an unlock does that someone asked for."""

    async def read_lock(self, *, by_trying=True):
        return await super().read_lock(by_trying=by_trying)


@dataclass
class HttpWorld:
    """A state on a server behind the fault proxy, and hands that reach past the proxy."""

    storage: HttpStates
    proxy: FaultProxy
    section: Backend
    records: MemoryRecords = field(default_factory=lambda: MemoryRecords(WallClock()))
    kinds: tuple[PlaceKind, ...] = (PlaceKind.RECORD,)
    means: list[Means] = field(default_factory=list)
    most_signs = 40_000
    needs_two = True
    is_persons = False

    @property
    def secrets(self) -> dict[str, str]:
        return dict(zip(("STATE_USER", "STATE_PASSWORD"), self.storage.credentials.split(":"), strict=True))

    def new_means(self) -> Means:
        known = {name: SecretStr(value) for name, value in self.secrets.items()}
        self.means.append(Means(clock=WallClock(), records=self.records, aws=None, secrets=known))
        return self.means[-1]

    @asynccontextmanager
    async def terraform(self, binary, directory):
        user, password = self.secrets.values()
        block = BLOCK.format(section=self.section, user=user, password=password)
        yield await initialised(write_workspace_in(block, binary, directory))

    async def lock_id(self) -> str | None:
        return json.loads(self.storage.locks[PATH])["ID"] if PATH in self.storage.locks else None

    def store(self) -> HttpStore:
        return KIND.open(self.section, self.new_means()).backend._store

    def backend(self, *, timeout: float = 10.0) -> Trying:
        """A backend with a client of its own, which looks by trying."""
        return Trying(self.store(), WallClock(), timeout=timeout)

    def lock(self, name: str = "first") -> WrittenLock:
        created = datetime(2026, 11, 21, 9, 5, 0, 116755, tzinfo=UTC)
        return WrittenLock(id=f"{name}-{secrets.token_hex(8)}", created=created, path="", who=f"{name}@runner")

    async def take(self, lock: WrittenLock) -> None:
        assert PATH not in self.storage.locks
        self.storage.locks[PATH] = lock.text

    async def take_in_another_workspace(self, lock: WrittenLock) -> None:
        self.storage.locks["/green"] = lock.text

    async def put_state(self, content: bytes | None = None) -> None:
        self.storage.put(PATH, content or json.dumps(STATE).encode())

    async def everything(self) -> object:
        return dict(self.storage.states), dict(self.storage.locks)

    async def write(self, _: PlaceKind, text: str) -> None:
        self.storage.locks[PATH] = text

    async def clear(self, _: PlaceKind) -> None:
        self.storage.locks.pop(PATH, None)

    async def stands(self, _: PlaceKind) -> str | None:
        return self.storage.locks.get(PATH)

    def reads(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == self.section.lock_method

    def deletes(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == self.section.unlock_method

    def forbid_deletes(self, kind: PlaceKind) -> None:
        self.proxy.fault(self.deletes(kind), Deny())

    def read_right(self, _: PlaceKind) -> str:
        return "the right to lock"

    def delete_right(self, _: PlaceKind) -> str:
        return "the right to unlock"


@asynccontextmanager
async def playing(param, aws=None):
    is_own, compares = param[0] != "POST", "compares" in param
    settings = {} if is_own else {"lock_method": "POST", "unlock_method": "DELETE", "refuses_with": 409}
    async with http_states(**settings, compares=compares) as storage, fault_proxy(storage.origin) as proxy:
        address = f"{proxy.url}{PATH}"
        section = Backend(
            type="http", address=address, lock_address=None if is_own else f"{address}/lock",
            lock_method=storage.lock_method, unlock_method=storage.unlock_method,
            username_env="STATE_USER", password_env="STATE_PASSWORD",
        )  # fmt: skip
        world = HttpWorld(storage, proxy, section)
        yield world
        for means in world.means:
            for close in means.closing:
                await close()


@pytest.fixture(name="http_world")
async def made(world_param):
    async with playing(world_param) as world:
        yield world

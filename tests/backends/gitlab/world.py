"""GitLab's worlds for the contract of `bot.ports.locks.LockBackend`: a project by its path, and by its number."""

from __future__ import annotations

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.backends.frame import Means
from bot.backends.gitlab.kind import CAN, KIND
from bot.backends.gitlab.section import Backend
from bot.backends.gitlab.store import ADMIN, READ
from bot.backends.remote import RemoteBackend
from bot.core.lock import PlaceKind
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, Matcher, fault_proxy
from bot.sandbox.machine.terraform import write_workspace_in
from tests.worlds.clocks import WallClock
from tests.worlds.gitlab_states import Account, GitLabStates, gitlab_states
from tests.worlds.proxy import Deny
from tests.worlds.terraform import initialised

WORLDS = [("path",), ("number",)]
APPLIED = [("path",)]
BLOCK = """\
  backend "http" {{
    address        = "{state}"
    lock_address   = "{state}/lock"
    unlock_address = "{state}/lock"
    lock_method    = "POST"
    unlock_method  = "DELETE"
    username       = "elliott-ci"
    password       = "elliotts-token"
    retry_wait_min = 1
  }}
"""
STATE = {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "b0c5d1f2", "outputs": {}}


@dataclass
class GitLabWorld:
    """A state in a project behind the fault proxy, and hands that reach past the proxy."""

    storage: GitLabStates
    proxy: FaultProxy
    section: Backend
    kinds: tuple[PlaceKind, ...] = (PlaceKind.RECORD,)
    means: list[Means] = field(default_factory=list)
    written: str | None = None
    most_signs = 40_000
    needs_two = False
    is_persons = False

    @property
    def token(self) -> str:
        return next(iter(self.storage.accounts))

    @property
    def secrets(self) -> dict[str, str]:
        return {"GITLAB_TOKEN": self.token}

    def new_means(self) -> Means:
        known = {name: SecretStr(value) for name, value in self.secrets.items()}
        self.means.append(Means(clock=WallClock(), records=None, aws=None, secrets=known))
        return self.means[-1]

    @asynccontextmanager
    async def terraform(self, binary, directory):
        self.storage.accounts["elliotts-token"] = Account("elliott-ci")
        state = f"{self.proxy.url}/api/v4/projects/{self.storage.number}/terraform/state/{self.section.state}"
        yield await initialised(write_workspace_in(BLOCK.format(state=state), binary, directory))

    async def lock_id(self) -> str | None:
        return self.storage.state(self.section.state).lock_id

    def backend(self, *, timeout: float = 10.0) -> RemoteBackend:
        """A backend with a client of its own."""
        opened = KIND.open(self.section, self.new_means()).backend
        return RemoteBackend(opened._store, CAN, WallClock(), address=self.proxy.url, timeout=timeout)

    def lock(self, name: str = "first") -> WrittenLock:
        """GitLab knows the account and no machine."""
        created = datetime(2026, 11, 21, 9, 5, 0, 116000, tzinfo=UTC)
        return WrittenLock(id=f"{name}-{secrets.token_hex(8)}", created=created, path="", who=f"{name}@")

    async def take(self, lock: WrittenLock) -> None:
        assert not self.storage.state(self.section.state).lock_id
        await self.write(PlaceKind.RECORD, lock.text)

    async def take_in_another_workspace(self, lock: WrittenLock) -> None:
        self.storage.lock("green", lock.id, "someone")

    async def put_state(self, content: bytes | None = None) -> None:
        text = content or json.dumps(STATE).encode()
        self.storage.put(self.section.state, text, json.loads(text)["serial"])

    async def everything(self) -> object:
        return dict(self.storage.states)

    async def write(self, _: PlaceKind, text: str) -> None:
        """What is no lock info is what GitLab answers in its place."""
        try:
            said = json.loads(text)
            at = datetime.fromisoformat(said["Created"])
        except (ValueError, KeyError):
            self.storage.lock(self.section.state, "", "someone", refusal=text)
        else:
            self.storage.lock(self.section.state, said["ID"], said["Who"].removesuffix("@"), at)
        self.written = text

    async def clear(self, _: PlaceKind) -> None:
        self.storage.unlock(self.section.state)

    async def stands(self, _: PlaceKind) -> str | None:
        held = self.storage.state(self.section.state)
        if held.at is None:
            return None
        lock_id = json.loads(self.written)["ID"] if held.refusal is None and self.written else ""
        return self.written if held.lock_id == lock_id else held.lock_id

    def reads(self, _: PlaceKind) -> Matcher:
        return lambda call: call.path.endswith("/graphql")

    def deletes(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "DELETE"

    def forbid_deletes(self, kind: PlaceKind) -> None:
        self.proxy.fault(self.deletes(kind), Deny())

    def read_right(self, _: PlaceKind) -> str:
        return READ

    def delete_right(self, _: PlaceKind) -> str:
        return ADMIN


@asynccontextmanager
async def playing(param, aws=None):
    (called,) = param
    path = f"acme/net-{secrets.token_hex(4)}"
    async with gitlab_states(path) as storage, fault_proxy(storage.origin) as proxy:
        section = Backend(
            type="gitlab", base_url=f"{proxy.url}/api/v4", state="production",
            project=path if called == "path" else storage.number, token_env="GITLAB_TOKEN",
        )  # fmt: skip
        world = GitLabWorld(storage, proxy, section)
        yield world
        for means in world.means:
            for close in means.closing:
                await close()


@pytest.fixture(name="gitlab_world")
async def made(world_param):
    async with playing(world_param) as world:
        yield world

"""Google Cloud Storage's worlds for the contract of `bot.ports.locks.LockBackend`: two workspaces."""

from __future__ import annotations

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.backends.frame import Means
from bot.backends.gcs.kind import CAN, KIND
from bot.backends.gcs.section import Backend
from bot.backends.holding import HoldingBackend
from bot.core.lock import PlaceKind
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, Matcher, fault_proxy
from bot.sandbox.machine.terraform import write_workspace_in
from tests.worlds.clocks import WallClock
from tests.worlds.gcs import GoogleStorage, google_storage
from tests.worlds.proxy import Deny
from tests.worlds.stores import Trusted
from tests.worlds.terraform import initialised

WORLDS = APPLIED = [("default",), ("blue",)]
BLOCK = """\
  backend "gcs" {{
    bucket                  = "{bucket}"
    prefix                  = "environments/staging"
    access_token            = "{token}"
    storage_custom_endpoint = "{url}/storage/v1/b"
  }}
"""
STATE = {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "b0c5d1f2", "outputs": {}}


@dataclass
class GcsWorld:
    """A state in a bucket behind the fault proxy, and hands that reach past the proxy."""

    storage: GoogleStorage
    proxy: FaultProxy
    section: Backend
    kinds: tuple[PlaceKind, ...] = (PlaceKind.FILE,)
    means: list[Means] = field(default_factory=list)
    generations: dict[str, int] = field(default_factory=dict)
    most_signs = 40_000
    needs_two = False
    is_persons = False

    @property
    def secrets(self) -> dict[str, str]:
        return {"GCS_TOKEN": self.storage.token}

    def new_means(self) -> Means:
        known = {name: SecretStr(value) for name, value in self.secrets.items()}
        self.means.append(Means(clock=WallClock(), records=None, aws=None, secrets=known))
        return self.means[-1]

    @asynccontextmanager
    async def terraform(self, binary, directory):
        block = BLOCK.format(bucket=self.storage.bucket, token=self.storage.token, url=self.proxy.url)
        yield await initialised(write_workspace_in(block, binary, directory), self.section.workspace)

    async def lock_id(self) -> str | None:
        found = self.storage.live.get(self.lock_name)
        return None if found is None else str(found.generation)

    def backend(self, *, timeout: float = 10.0, proofs=None, endpoint=None) -> HoldingBackend:
        """A backend with a client of its own, of a store that is known to honour conditions."""
        opened = KIND.open(self.section, self.new_means()).backend
        return HoldingBackend(
            opened._store, CAN, WallClock(), address=self.proxy.url,
            proofs=proofs or Trusted(), endpoint=endpoint, timeout=timeout,
        )  # fmt: skip

    @property
    def lock_name(self) -> str:
        return f"{self.section.object_base}.tflock"

    def lock(self, name: str = "first") -> WrittenLock:
        """Its id is the generation that it will have, as Terraform shows it."""
        created = datetime(2026, 11, 21, 9, 5, 0, 116755, tzinfo=UTC)
        generation = self.storage.next_generation()
        lock = WrittenLock(id=str(generation), created=created, path=self.section.lock_path, who=f"{name}@runner")
        self.generations[lock.text] = generation
        return lock

    async def take(self, lock: WrittenLock) -> None:
        assert self.lock_name not in self.storage.live
        await self.write(PlaceKind.FILE, lock.text)

    async def take_in_another_workspace(self, lock: WrittenLock) -> None:
        self.storage.put(self.lock_name.replace(self.section.workspace, "green"), lock.text.encode())

    async def put_state(self, content: bytes | None = None) -> None:
        self.storage.put(f"{self.section.object_base}.tfstate", content or json.dumps(STATE).encode())

    async def everything(self) -> object:
        return dict(self.storage.live)

    async def write(self, _: PlaceKind, text: str) -> None:
        self.storage.put(self.lock_name, text.encode(), generation=self.generations.get(text))

    async def clear(self, _: PlaceKind) -> None:
        self.storage.drop(self.lock_name)

    async def stands(self, _: PlaceKind) -> str | None:
        found = self.storage.live.get(self.lock_name)
        return None if found is None else found.text.decode()

    def reads(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "GET" and ".tflock" in call.path

    def puts(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "POST"

    def deletes(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "DELETE"

    def put_right(self, _: PlaceKind) -> str:
        return "storage.objects.create"

    def forbid_deletes(self, kind: PlaceKind) -> None:
        self.proxy.fault(self.deletes(kind), Deny())

    def read_right(self, _: PlaceKind) -> str:
        return "storage.objects.get"

    def delete_right(self, _: PlaceKind) -> str:
        return "storage.objects.delete"


@asynccontextmanager
async def playing(param, aws=None):
    (workspace,) = param
    async with google_storage(f"acme-{secrets.token_hex(4)}") as storage, fault_proxy(storage.origin) as proxy:
        section = Backend(
            type="gcs", bucket=storage.bucket, prefix="environments/staging", workspace=workspace,
            endpoint_url=proxy.url, access_token_env="GCS_TOKEN",
        )  # fmt: skip
        world = GcsWorld(storage, proxy, section)
        yield world
        for means in world.means:
            for close in means.closing:
                await close()


@pytest.fixture(name="gcs_world")
async def made(world_param):
    async with playing(world_param) as world:
        yield world

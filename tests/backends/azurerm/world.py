"""Azure Blob Storage's worlds for the contract of `bot.ports.locks.LockBackend`: two workspaces."""

from __future__ import annotations

import json
import secrets
import uuid
from base64 import b64decode, b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.backends.azurerm.kind import CAN, KIND
from bot.backends.azurerm.section import Backend
from bot.backends.frame import Means
from bot.backends.holding import HoldingBackend
from bot.core.lock import PlaceKind
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, Matcher, fault_proxy
from bot.sandbox.machine.terraform import write_workspace_in
from tests.worlds.azure import AzureStorage, azure_storage
from tests.worlds.azure_public import public
from tests.worlds.clocks import WallClock
from tests.worlds.proxy import Deny
from tests.worlds.stores import Trusted
from tests.worlds.terraform import initialised

WORLDS = APPLIED = [("default",), ("blue",)]
STATE = {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "b0c5d1f2", "outputs": {}}


@dataclass
class AzureWorld:
    """A state in a container behind the fault proxy, and hands that reach past the proxy."""

    storage: AzureStorage
    proxy: FaultProxy
    section: Backend
    kinds: tuple[PlaceKind, ...] = (PlaceKind.LEASE,)
    means: list[Means] = field(default_factory=list)
    most_signs = 1_500  # metadata is 8 KiB at most
    needs_two = False
    is_persons = False

    @property
    def secrets(self) -> dict[str, str]:
        return {"AZURE_SAS": self.storage.sas_token}

    def new_means(self) -> Means:
        known = {name: SecretStr(value) for name, value in self.secrets.items()}
        self.means.append(Means(clock=WallClock(), records=None, aws=None, secrets=known))
        return self.means[-1]

    @asynccontextmanager
    async def terraform(self, binary, directory):
        async with public(self.storage, self.section.key, directory) as (block, environment):
            yield await initialised(write_workspace_in(block, binary, directory, environment), self.section.workspace)

    async def lock_id(self) -> str | None:
        return (self.blob in self.storage.live and self.storage.live[self.blob].lease) or None

    def backend(self, *, timeout: float = 10.0, proofs=None, endpoint=None) -> HoldingBackend:
        """A backend with a client of its own, of a store that is known to honour conditions."""
        opened = KIND.open(self.section, self.new_means()).backend
        return HoldingBackend(
            opened._store, CAN, WallClock(), address=self.proxy.url,
            proofs=proofs or Trusted(), endpoint=endpoint, timeout=timeout,
        )  # fmt: skip

    @property
    def blob(self) -> str:
        return self.section.blob

    def lock(self, name: str = "first") -> WrittenLock:
        created = datetime(2026, 11, 21, 9, 5, 0, 116755, tzinfo=UTC)
        return WrittenLock(str(uuid.uuid4()), created, self.section.lock_path, who=f"{name}@runner")

    async def take(self, lock: WrittenLock) -> None:
        assert not (self.blob in self.storage.live and self.storage.live[self.blob].lease)
        await self.write(PlaceKind.LEASE, lock.text)

    async def take_in_another_workspace(self, lock: WrittenLock) -> None:
        self._lease(f"{self.section.key}env:green", lock.text)

    async def put_state(self, content: bytes | None = None) -> None:
        before = self.storage.live.get(self.blob)
        metadata, lease = (before.metadata, before.lease) if before else ({}, "")
        self.storage.put(self.blob, content or json.dumps(STATE).encode(), metadata, lease=lease)

    async def everything(self) -> object:
        return dict(self.storage.live)

    async def write(self, _: PlaceKind, text: str) -> None:
        self._lease(self.blob, text)

    def _lease(self, blob: str, text: str) -> None:
        try:
            lease = str(uuid.UUID(json.loads(text)["ID"]))
        except (ValueError, KeyError, TypeError):
            lease = str(uuid.uuid4())
        metadata = {"terraformlockid": b64encode(text.encode()).decode()} if text else {}
        before = self.storage.live.get(blob)
        self.storage.put(blob, before.text if before else b"", metadata, lease=lease)

    async def clear(self, _: PlaceKind) -> None:
        self.storage.end_lease(self.blob)

    async def stands(self, _: PlaceKind) -> str | None:
        found = self.storage.live.get(self.blob)
        if found is None or not found.lease:
            return None
        return b64decode(found.metadata.get("terraformlockid", "")).decode()

    def reads(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "HEAD"

    def puts(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "PUT"

    def deletes(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "PUT"

    def put_right(self, _: PlaceKind) -> str:
        return "blobs/write"

    def forbid_deletes(self, kind: PlaceKind) -> None:
        self.proxy.fault(self.deletes(kind), Deny())

    def read_right(self, _: PlaceKind) -> str:
        return "blobs/read"

    def delete_right(self, _: PlaceKind) -> str:
        return KIND.open(self.section, self.new_means()).backend._store.deletes


@asynccontextmanager
async def playing(param, aws=None):
    (workspace,) = param
    async with azure_storage(f"tfstate-{secrets.token_hex(4)}") as storage, fault_proxy(storage.origin) as proxy:
        section = Backend(
            type="azurerm", storage_account="acmetfstate", container=storage.container, workspace=workspace,
            key="environments/staging.tfstate", endpoint_url=proxy.url, sas_token_env="AZURE_SAS",
        )  # fmt: skip
        world = AzureWorld(storage, proxy, section)
        yield world
        for means in world.means:
            for close in means.closing:
                await close()


@pytest.fixture(name="azurerm_world")
async def made(world_param):
    async with playing(world_param) as world:
        yield world

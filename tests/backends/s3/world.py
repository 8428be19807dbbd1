"""S3's worlds for the contract of `bot.ports.locks.LockBackend`: one for each combination of places."""

from __future__ import annotations

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bot.aws.clients import Access, AwsClients
from bot.backends.s3.address import S3Address
from bot.backends.s3.backend import S3Backend
from bot.backends.s3.layout import object_key
from bot.backends.s3.section import Backend
from bot.core.lock import PlaceKind
from bot.sandbox.machine.aws import REGION, WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, Matcher, fault_proxy, operation
from bot.sandbox.machine.terraform import write_workspace
from tests.worlds.aws import FullAws
from tests.worlds.clocks import WallClock
from tests.worlds.proxy import Deny
from tests.worlds.stores import Trusted
from tests.worlds.terraform import initialised

KEY = "environments/staging/terraform.tfstate"
CAN = S3Backend.can
COMBINATIONS = {
    "item": (PlaceKind.ITEM,),
    "file": (PlaceKind.FILE,),
    "both": (PlaceKind.FILE, PlaceKind.ITEM),
}


@dataclass
class S3World:
    """A state in S3 behind the fault proxy, and hands that reach past the proxy."""

    aws: FullAws
    proxy: FaultProxy
    address: S3Address
    workspace: str
    kinds: tuple[PlaceKind, ...]
    opened: list[AwsClients] = field(default_factory=list)
    most_signs = 40_000
    needs_two = False
    is_persons = False
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def section(self) -> Backend:
        where = {"bucket": self.address.bucket, "key": KEY, "workspace": self.workspace}
        locks = {"dynamodb_table": self.address.dynamodb_table, "use_lockfile": self.address.use_lockfile}
        return Backend(type="s3", endpoint_url=self.proxy.url, **where, **locks)

    @asynccontextmanager
    async def terraform(self, binary, directory):
        made = write_workspace(
            binary, directory, endpoint=self.proxy.url, bucket=self.address.bucket, key=KEY,
            table=self.address.dynamodb_table, lockfile=self.address.use_lockfile,
        )  # fmt: skip
        yield await initialised(made, self.workspace)

    async def lock_id(self) -> str | None:
        found = {json.loads(text)["ID"] for kind in self.kinds if (text := await self.stands(kind)) is not None}
        assert len(found) <= 1
        return next(iter(found), None)

    def backend(self, *, timeout: float = 10.0) -> S3Backend:
        """A backend with a client of its own."""
        clients = AwsClients()
        self.opened.append(clients)
        return S3Backend(self.address, clients, WallClock(), proofs=Trusted(), timeout=timeout)

    def lock(self, name: str = "first") -> WrittenLock:
        return WrittenLock(
            id=f"{name}-{secrets.token_hex(8)}",
            created=datetime(2026, 11, 21, 9, 5, 0, 116755, tzinfo=UTC),
            path=self.address.lock_key,
            who=f"{name}@runner",
        )

    async def take(self, lock: WrittenLock) -> None:
        """Takes the lock in all places, which must be free."""
        await self.aws.hold(
            self.address.key, lock.text, item=PlaceKind.ITEM in self.kinds, file=PlaceKind.FILE in self.kinds
        )

    async def take_in_another_workspace(self, lock: WrittenLock) -> None:
        other = {"default": "green", "blue": "default"}[self.workspace]
        await self.aws.hold(object_key(KEY, workspace=other, prefix="env:"), lock.text, item=True, file=True)

    async def put_state(self, content: bytes | None = None) -> None:
        """A valid state, with what else the backend writes beside it."""
        await self.aws.put_state(self.address.key, content, digest=True)

    async def everything(self) -> object:
        """All that the store holds."""
        return await self.aws.objects(), await self.aws.items()

    async def write(self, kind: PlaceKind, text: str) -> None:
        """Writes a place, whatever stands there."""
        if kind is PlaceKind.ITEM:
            await self.aws.put_item(self.address.lock_key, Info=text)
        else:
            await self.aws.put_lockfile(self.address.key, text)

    async def clear(self, kind: PlaceKind) -> None:
        if kind is PlaceKind.ITEM:
            await self.aws.delete_item(self.address.lock_key)
        else:
            await self.aws.delete_object(self.address.lockfile_key)

    async def stands(self, kind: PlaceKind) -> str | None:
        """The text of the lock that stands in a place."""
        if kind is PlaceKind.ITEM:
            item = await self.aws.item(self.address.lock_key)
            return item["Info"] if item else None
        found = await self.aws.object(self.address.lockfile_key)
        return found.decode() if found is not None else None

    def reads(self, kind: PlaceKind) -> Matcher:
        if kind is PlaceKind.ITEM:
            return operation("dynamodb:GetItem")
        return operation("s3:GetObject", suffix=".tflock")

    def puts(self, kind: PlaceKind) -> Matcher:
        return operation("dynamodb:PutItem" if kind is PlaceKind.ITEM else "s3:PutObject")

    def deletes(self, kind: PlaceKind) -> Matcher:
        return operation("dynamodb:DeleteItem" if kind is PlaceKind.ITEM else "s3:DeleteObject")

    def put_right(self, kind: PlaceKind) -> str:
        return "dynamodb:PutItem" if kind is PlaceKind.ITEM else "s3:PutObject"

    def forbid_deletes(self, kind: PlaceKind) -> None:
        self.proxy.fault(self.deletes(kind), Deny())

    def read_right(self, kind: PlaceKind) -> str:
        return "dynamodb:GetItem" if kind is PlaceKind.ITEM else "s3:GetObject"

    def delete_right(self, kind: PlaceKind) -> str:
        return "dynamodb:DeleteItem" if kind is PlaceKind.ITEM else "s3:DeleteObject"


WORLDS = [("item", "default"), ("file", "blue"), ("both", "default"), ("both", "blue")]
APPLIED = [("both", "default"), ("both", "blue")]


@asynccontextmanager
async def playing(param, aws):
    places, workspace = param
    async with fault_proxy(aws.endpoint) as proxy:
        kinds = COMBINATIONS[places]
        address = S3Address(
            Access(region=REGION, endpoint_url=proxy.url),
            bucket=aws.bucket,
            key=object_key(KEY, workspace=workspace, prefix="env:"),
            dynamodb_table=aws.table if PlaceKind.ITEM in kinds else None,
            use_lockfile=PlaceKind.FILE in kinds,
        )
        world = S3World(aws, proxy, address, workspace, kinds)
        yield world
        for clients in world.opened:
            await clients.aclose()


@pytest.fixture(name="s3_world")
async def made(world_param, own_aws):
    async with playing(world_param, own_aws) as world:
        yield world

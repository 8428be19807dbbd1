"""moto for the session, behind a fault proxy for each test, and backends on it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from bot.aws.clients import Access, AwsClients
from bot.backends.s3.address import S3Address
from bot.backends.s3.backend import S3Backend
from bot.sandbox.machine.aws import REGION, WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, fault_proxy
from tests.worlds.aws import FullAws
from tests.worlds.clocks import WallClock
from tests.worlds.stores import Trusted


@dataclass
class Cloud:
    """A bucket and a lock table of the test's own, reached past the proxy; backends go through it."""

    aws: FullAws
    proxy: FaultProxy
    address: S3Address
    opened: list[AwsClients] = field(default_factory=list)

    def clients(self, **settings) -> AwsClients:
        self.opened.append(AwsClients(**settings))
        return self.opened[-1]

    def backend(self, *, timeout: float = 10.0, clock=None, proofs=None, **changes) -> S3Backend:
        ways = {name: changes.pop(name) for name in Access.__slots__ if name in changes}
        address = replace(self.address, **{"access": replace(self.address.access, **ways)} | changes)
        clients, clock = self.clients(), clock or WallClock()
        return S3Backend(address, clients, clock, proofs=proofs or Trusted(), timeout=timeout)

    def lock(self, name: str = "first") -> WrittenLock:
        created = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)
        return WrittenLock(f"{name}-{secrets.token_hex(8)}", created, self.address.lock_key, who=f"{name}@runner")


@pytest.fixture
async def cloud(own_aws):
    async with fault_proxy(own_aws.endpoint) as proxy:
        address = S3Address(
            Access(region=REGION, endpoint_url=proxy.url),
            bucket=own_aws.bucket,
            key="environments/staging/terraform.tfstate",
            dynamodb_table=own_aws.table,
            use_lockfile=True,
        )
        made = Cloud(own_aws, proxy, address)
        yield made
        for clients in made.opened:
            await clients.aclose()

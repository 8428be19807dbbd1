"""moto for the session, behind a fault proxy for each test, and backends on it."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from bot.aws.clients import Access, AwsClients
from bot.backends.s3.address import S3Address
from bot.backends.s3.backend import S3Backend
from bot.core.hold import HoldWords, hold_info
from bot.core.lock import ReleaseResult, TakeResult
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


NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
SAID = HoldWords("h1", "quinn", "inc-staging", "look at what it left", NOON, "https://acme.slack.com/archives/C0/p1")


@pytest.fixture
def hold_witness():
    """What a real Terraform has to say of a hold in any backend."""

    async def keeps_everyone_out(world, workspace):
        """A dead lock is swapped: a plan prints the hold, `force-unlock` ends it, and the next apply succeeds."""
        backend = world.backend()
        async with workspace.applying() as holder:
            await holder.kill()
        dead = await backend.read_lock()
        mine = hold_info(str(uuid.uuid4()), SAID, created=NOON, path=dead.lock.path)
        swapped = [await backend.swap(place, mine) for place in dead.held]
        held = await backend.read_lock()
        refused = await workspace._run("plan", "-no-color")
        freed = await workspace._run("force-unlock", "-force", held.lock.id)
        after = await backend.read_lock()
        taken = [await backend.take(kind, mine) for kind in [place.kind for place in dead.held]]
        refused_again = await workspace._run("plan", "-no-color")
        ended = [await backend.end(place.kind, mine) for place in dead.held]
        await workspace.apply()

        assert {one.result for one in swapped} == {ReleaseResult.RELEASED}
        for finished in (refused, refused_again):
            said = " ".join(finished.output.split())
            assert finished.exit_code == 1
            assert "Error acquiring the state lock" in said
            assert "Operation: tflock hold" in said
            assert "Who: tflock@inc-staging (@quinn)" in said
            assert "look at what it left; until 2026-11-21 12:00:00 UTC; https://acme.slack.com/archives/C0/p1" in said
        assert held.lock.id in refused.output
        assert freed.exit_code == 0, freed.output
        assert after.is_free
        assert {one.result for one in taken} == {TakeResult.TAKEN}
        assert {one.result for one in ended} == {ReleaseResult.RELEASED}
        assert (await backend.read_lock()).is_free

    return keeps_everyone_out


@pytest.fixture
def witness():
    """What a real Terraform has to say of any backend."""

    async def is_released_and_taken_again(world, workspace):
        """An apply is killed: its lock is seen, keeps the next apply out, is released, and the next apply succeeds."""
        backend = world.backend()
        async with workspace.applying() as holder:
            running = await backend.read_lock()
            await holder.kill()
        left = await backend.read_lock()
        blocked = await workspace.try_apply()
        (outcome,) = [await backend.release(place) for place in left.places_of(left.lock.id)]
        freed = await backend.read_lock()
        await workspace.apply()
        state = (await backend.read_state()).state.value

        assert left.locks == running.locks
        assert left.lock.operation == ("OperationTypeApply" if backend.can.shows_holder else "")
        assert left.lock.path == world.section.lock_path
        assert blocked.exit_code == 1
        assert left.lock.id in blocked.output
        assert outcome.result is ReleaseResult.RELEASED
        assert freed.is_free
        assert (state.fault, bool(state.lineage)) == (None, True)

    return is_released_and_taken_again

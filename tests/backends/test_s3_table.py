"""The lock table itself, on moto over HTTP: what it can take, whether it forgets items, what it refused lately."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.lock import Billing, Refusals, TimeToLive
from tests.worlds.clocks import SetClock
from tests.worlds.own_time import own_time
from tests.worlds.proxy import Answer, Cut, Delay, Deny, Throttle

PARTS = {
    "capacity": "dynamodb:DescribeTable",
    "ttl": "dynamodb:DescribeTimeToLive",
    "refused": "cloudwatch:GetMetricData",
}
FIVE_MINUTES = timedelta(minutes=5)


async def warm(cloud, *, within=20, **changes):
    """A backend whose clients are made, which takes a busy machine longer than a look may take; as its answers may."""
    backend = cloud.backend(**changes)
    backend._table._within = within
    await cloud.opened[-1].warm([cloud.address.access])
    return backend


def value(seen):
    assert isinstance(seen, Found), seen
    return seen.value


async def test_a_provisioned_table_is_seen_with_its_units_and_without_a_ttl(cloud):
    await cloud.aws.switch_billing(units=1)

    table = await (await warm(cloud)).read_table()

    capacity = value(table.capacity)
    assert (table.name, capacity.billing, capacity.status) == (cloud.aws.table, Billing.PROVISIONED, "ACTIVE")
    assert (capacity.read_units, capacity.write_units) == (1, 1)
    assert value(table.ttl) == TimeToLive(enabled=False)


async def test_a_table_on_demand_has_no_units(cloud):
    await cloud.aws.switch_billing(units=None)

    capacity = value((await (await warm(cloud)).read_table()).capacity)

    assert (capacity.billing, capacity.read_units, capacity.write_units) == (Billing.ON_DEMAND, 0, 0)


async def test_a_ttl_is_seen_with_its_attribute(cloud):
    await cloud.aws.forget_items_by("expires_at")

    table = await (await warm(cloud)).read_table()

    assert value(table.ttl) == TimeToLive(enabled=True, attribute="expires_at")


async def test_refused_requests_of_the_last_minutes_are_counted_reads_and_writes_apart(cloud):
    now = datetime.now(UTC)
    for minutes, writes in ((1, 9), (3, 3), (20, 500)):
        await cloud.aws.count_refusals(at=now - timedelta(minutes=minutes), writes=writes)
    await cloud.aws.count_refusals(at=now - timedelta(minutes=2), reads=4)
    await cloud.aws.beside(cloud.aws.bucket, "another").count_refusals(at=now - timedelta(minutes=2), reads=70)

    table = await (await warm(cloud)).read_table()

    assert value(table.refused) == Refusals(reads=4, writes=12, within=FIVE_MINUTES)
    assert table.has_refused


async def test_a_table_without_a_number_in_cloudwatch_has_refused_nothing(cloud):
    table = await (await warm(cloud)).read_table()

    assert value(table.refused) == Refusals(0, 0, FIVE_MINUTES)
    assert not table.has_refused


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Deny(), Trouble.DENIED),
        (Throttle(), Trouble.THROTTLED),
        (Cut(), Trouble.NO_CONNECTION),
        (Delay(30), Trouble.TIMED_OUT),
        (Answer(500, b""), None),
        (Answer(200, b"<html>a captive portal</html>"), Trouble.GARBLED),
        (Answer(200, b""), Trouble.GARBLED),
        (Answer(200, b"\xa0"), Trouble.GARBLED),
        (Answer(403, b"[1, 2"), None),
    ],
    ids=str,
)
@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_cannot_be_seen_spoils_no_other(cloud, part, fault, trouble):
    cloud.proxy.fault(PARTS[part], fault)

    table = await (await warm(cloud, within=5 if trouble is Trouble.TIMED_OUT else 20)).read_table()

    unseen = getattr(table, part)
    assert isinstance(unseen, Unseen)
    assert trouble is None or unseen.trouble is trouble
    assert all(isinstance(getattr(table, other), Found) for other in PARTS if other != part)


@pytest.mark.parametrize("part", PARTS)
async def test_a_missing_right_is_named(cloud, part):
    cloud.proxy.fault(PARTS[part], Deny())

    table = await (await warm(cloud)).read_table()

    assert PARTS[part] in getattr(table, part).detail
    assert cloud.aws.table in getattr(table, part).detail


async def test_a_table_that_is_not_there_is_not_found(cloud):
    table = await (await warm(cloud, dynamodb_table="gone")).read_table()

    assert isinstance(table.capacity, NotFound)


async def test_a_look_at_the_table_takes_two_seconds_at_most(cloud):
    await cloud.backend().read_lock()
    cloud.proxy.fault(lambda call: any(call.operation == action for action in PARTS.values()), Delay(30))
    backend = cloud.backend()

    async with own_time() as spent:
        tables = await asyncio.gather(*(backend.read_table() for _ in range(10)))

    assert spent.seconds < 4
    assert {table.capacity.trouble for table in tables} == {Trouble.TIMED_OUT}


async def test_what_was_seen_is_kept_for_a_minute(cloud):
    clock = SetClock(datetime.now(UTC))
    backend = await warm(cloud, clock=clock)
    await cloud.aws.switch_billing(units=1)
    before = value((await backend.read_table()).capacity)
    await cloud.aws.switch_billing(units=None)

    clock.at += timedelta(seconds=59)
    kept = value((await backend.read_table()).capacity)
    clock.at += timedelta(seconds=1)
    fresh = value((await backend.read_table()).capacity)

    assert kept == before
    assert fresh.billing is Billing.ON_DEMAND


async def test_a_throttled_read_of_the_lock_makes_the_next_look_a_fresh_one(cloud):
    clock = SetClock(datetime.now(UTC))
    backend = await warm(cloud, clock=clock)
    await backend.read_table()
    await cloud.aws.count_refusals(at=clock.at - timedelta(minutes=1), writes=12)
    fault = cloud.proxy.fault("dynamodb:GetItem", Throttle())

    seen = await backend.read_lock()
    fault.lift()

    assert seen.is_throttled
    assert value((await backend.read_table()).refused).total == 12


async def test_a_look_at_the_table_changes_no_lock_and_needs_none_of_the_optional_rights(cloud):
    lock = cloud.lock()
    await cloud.aws.hold(cloud.address.key, lock.text, item=True, file=True)
    for action in ("dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "cloudwatch:GetMetricData"):
        cloud.proxy.fault(action, Deny())
    backend = cloud.backend()

    table, seen = await asyncio.gather(backend.read_table(), backend.read_lock())

    assert not table.has_refused
    assert [info.id for info in seen.locks] == [lock.id]
    assert await cloud.aws.lock_ids(cloud.address.key) == {"item": lock.id, "file": lock.id}

"""Stores that only resemble Amazon's: nothing is released before they have proven that they honour a condition."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.aws.clients import is_amazons
from bot.backends.proof import Proofs
from bot.core.lock import PlaceKind, ReleaseResult
from tests.worlds.memory.journal import MemoryRecords
from tests.worlds.memory.memory import Switchboard
from tests.worlds.proxy import Answer, Cut, Deny, Throttle, Unconditional

DELETES = {PlaceKind.FILE: "s3:DeleteObject", PlaceKind.ITEM: "dynamodb:DeleteItem"}
PUTS = {PlaceKind.FILE: "s3:PutObject", PlaceKind.ITEM: "dynamodb:PutItem"}


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def running(self) -> float:
        return 0.0


@pytest.fixture
def proofs():
    return Proofs(MemoryRecords(Clock(), Switchboard()), Clock())


@pytest.fixture
async def lock(cloud):
    lock = cloud.lock()
    await cloud.aws.hold(cloud.address.key, lock.text, item=True, file=True)
    return lock


async def release(backend, kind):
    (place,) = [place for place in (await backend.read_lock()).held if place.kind is kind]
    return await backend.release(place)


async def stands(cloud, lock):
    return {place for place, there in (await cloud.aws.lock_ids(cloud.address.key)).items() if there == lock.id}


@pytest.mark.parametrize("kind", [PlaceKind.FILE, PlaceKind.ITEM])
async def test_a_store_that_ignores_conditions_loses_no_lock(cloud, lock, proofs, kind):
    cloud.proxy.fault(DELETES[kind], Unconditional())

    outcome = await release(cloud.backend(proofs=proofs), kind)

    assert outcome.result is ReleaseResult.DENIED
    assert "although its condition does not hold" in outcome.detail
    assert await stands(cloud, lock) == {"item", "file"}
    assert len(await cloud.aws.items()) == 1


@pytest.mark.parametrize("kind", [PlaceKind.FILE, PlaceKind.ITEM])
async def test_a_store_that_honours_conditions_is_tried_once_and_remembered(cloud, lock, proofs, kind):
    outcome = await release(cloud.backend(proofs=proofs), kind)
    tried = len(cloud.proxy.calls(PUTS[kind]))
    second = cloud.lock("second")
    await cloud.aws.hold(
        cloud.address.key, second.text, item=kind is PlaceKind.ITEM, file=kind is PlaceKind.FILE
    )  # another process, the same memory
    again = await release(cloud.backend(proofs=proofs), kind)

    assert [outcome.result, again.result] == [ReleaseResult.RELEASED, ReleaseResult.RELEASED]
    assert (tried, len(cloud.proxy.calls(PUTS[kind]))) == (1, 1)
    assert [key for key in await cloud.aws.objects() if "doctor" in key] == []
    assert [key for key in await cloud.aws.items() if "doctor" in key] == []


async def test_a_store_that_says_no_and_deletes_all_the_same_is_found_out(cloud, lock, proofs):
    """The wrong delete is answered with 412, and the object is gone."""
    (place,) = [p for p in (await cloud.backend().read_lock()).held if p.kind is PlaceKind.FILE]
    cloud.proxy.fault(
        lambda call: call.operation == "s3:GetObject" and "doctor" in call.path,
        Answer(404, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"),
    )

    outcome = await cloud.backend(proofs=proofs).release(place)

    assert outcome.result is ReleaseResult.DENIED
    assert await stands(cloud, lock) == {"item", "file"}


@pytest.mark.parametrize(
    ("action", "result"),
    [
        (Deny(), ReleaseResult.DENIED),
        (Answer(400), ReleaseResult.DENIED),
        (Throttle(), ReleaseResult.THROTTLED),
        (Cut(), ReleaseResult.NOT_SENT),
        (Answer(500), ReleaseResult.NOT_SENT),
    ],
)
@pytest.mark.parametrize("kind", [PlaceKind.FILE, PlaceKind.ITEM])
async def test_nothing_is_released_where_it_cannot_be_tried(cloud, lock, proofs, kind, action, result):
    fault = cloud.proxy.fault(PUTS[kind], action)
    backend = cloud.backend(proofs=proofs)

    outcome = await release(backend, kind)

    assert (outcome.result, await stands(cloud, lock)) == (result, {"item", "file"}), outcome
    if result is ReleaseResult.DENIED:
        assert "tflock doctor" in outcome.detail

    fault.lift()
    assert (await release(backend, kind)).result is ReleaseResult.RELEASED


async def test_what_the_doctor_has_tried_is_remembered_for_a_bot_that_may_not_put(cloud, lock, proofs):
    await cloud.backend(proofs=proofs).probe("a1b2")
    for put in PUTS.values():
        cloud.proxy.fault(put, Deny())

    assert (await release(cloud.backend(proofs=proofs), PlaceKind.FILE)).result is ReleaseResult.RELEASED


async def test_one_store_speaks_for_no_other(cloud, lock, proofs):
    """Neither for another kind of store, nor for the same bucket at another address."""
    assert (await release(cloud.backend(proofs=proofs), PlaceKind.FILE)).result is ReleaseResult.RELEASED
    second = cloud.lock("second")
    await cloud.aws.put_lockfile(cloud.address.key, second.text)
    for put in PUTS.values():
        cloud.proxy.fault(put, Deny())
    elsewhere = cloud.backend(proofs=proofs, endpoint_url=cloud.proxy.url.replace("127.0.0.1", "localhost"))

    assert (await release(elsewhere, PlaceKind.FILE)).result is ReleaseResult.DENIED
    assert (await release(cloud.backend(proofs=proofs), PlaceKind.ITEM)).result is ReleaseResult.DENIED
    assert await cloud.aws.lock_ids(cloud.address.key) == {"item": lock.id, "file": second.id}
    assert (await release(cloud.backend(proofs=proofs), PlaceKind.FILE)).result is ReleaseResult.RELEASED


async def test_a_store_that_was_changed_is_forgotten_by_the_doctor(cloud, lock, proofs):
    await cloud.backend(proofs=proofs).probe("a1b2")
    fault = cloud.proxy.fault("s3:DeleteObject", Unconditional())
    await cloud.backend(proofs=proofs).probe("c3d4")

    assert (await release(cloud.backend(proofs=proofs), PlaceKind.FILE)).result is ReleaseResult.DENIED
    assert await stands(cloud, lock) == {"item", "file"}

    fault.lift()
    assert (await release(cloud.backend(proofs=proofs), PlaceKind.FILE)).result is ReleaseResult.RELEASED


@pytest.mark.parametrize(
    ("endpoint", "amazons"),
    [
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("https://dynamodb.cn-north-1.amazonaws.com.cn", True),
        ("https://bucket.vpce-1a2b.s3.eu-west-1.vpce.amazonaws.com", True),
        ("https://minio.example.com", False),
        ("https://s3.amazonaws.com.example.com", False),
        ("https://amazonaws.com@minio.example.com", False),
        ("http://127.0.0.1:9000", False),
    ],
)
def test_amazons_own_stores_need_no_proof(endpoint, amazons):
    assert is_amazons(endpoint) is amazons

"""The locks of many states at once, on moto over HTTP: in batches, and saying what a look at each by itself says."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from bot.backends.s3.layout import object_key
from bot.backends.s3.sweep import S3Sweep
from bot.core.evidence import Trouble, Unseen
from bot.core.lock import PlaceKind
from tests.worlds.own_time import own_time
from tests.worlds.proxy import Answer, Cut, Delay, Deny, Throttle

BATCH, LIST, GET = "dynamodb:BatchGetItem", "s3:ListObjects", "s3:GetObject"


def addresses_of(cloud, count, **changes):
    """So many states, `s0`, `s1` and so on, each with a key of its own."""
    return {f"s{n}": replace(cloud.address, key=f"env/{n}/terraform.tfstate", **changes) for n in range(count)}


def sweep_of(cloud, addresses, **settings):
    clock = cloud.backend()._clock
    return S3Sweep(addresses, cloud.clients(), clock, rng=random.Random(7), **settings)


async def hold(cloud, address, *, item=True, file=False):
    lock = replace(cloud.lock(), path=address.lock_key)
    await cloud.aws.hold(address.key, lock.text, item=item, file=file)
    return lock


def told(seen):
    """What a look says, without when it was made and the words for its trouble."""
    unseen = tuple((kind, type(why), getattr(why, "trouble", None)) for kind, why in seen.unseen)
    return seen.held, seen.free, unseen


async def test_a_thousand_states_take_ten_calls_of_a_hundred(cloud):
    addresses = addresses_of(cloud, 1000, use_lockfile=False)
    locks = {name: await hold(cloud, addresses[name]) for name in ("s0", "s99", "s100", "s999")}

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    calls = cloud.proxy.calls(BATCH)
    assert len(calls) == 10
    asked = [json.loads(entry.call.body)["RequestItems"][cloud.aws.table] for entry in calls]
    assert {(len(each["Keys"]), each["ConsistentRead"]) for each in asked} == {(100, True)}
    assert cloud.proxy.calls("dynamodb:GetItem") == ()
    assert {name: found.lock.id for name, found in seen.items() if found.held} == {
        name: lock.id for name, lock in locks.items()
    }
    assert sum(found.is_free for found in seen.values()) == 996


async def test_each_state_reads_as_it_does_by_itself(cloud):
    both, item, file = (addresses_of(cloud, 3) for _ in range(3))
    addresses = {
        "free": both["s0"],
        "item": replace(item["s1"], key="a", use_lockfile=False),
        "file": replace(file["s2"], key="b", dynamodb_table=None),
        "both": replace(both["s0"], key="c"),
        "half": replace(both["s0"], key="d"),
        "workspace": replace(both["s0"], key=object_key("e", workspace="blue", prefix="env:")),
        "garbage": replace(both["s0"], key="f"),
        "no table": replace(both["s0"], key="g", dynamodb_table="not-there", use_lockfile=False),
        "nowhere": replace(both["s0"], key="h", dynamodb_table=None, use_lockfile=False),
        "digest": replace(both["s0"], key="i-md5", use_lockfile=False),
    }
    await hold(cloud, addresses["item"])
    await hold(cloud, addresses["file"], item=False, file=True)
    await hold(cloud, addresses["both"], file=True)
    await hold(cloud, addresses["half"])
    await hold(cloud, addresses["workspace"], file=True)
    await cloud.aws.put_item(addresses["garbage"].lock_key, Info="{")
    await cloud.aws.put_item(addresses["digest"].lock_key, Digest="5" * 32)

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    for name, address in addresses.items():
        alone = await cloud.backend(**{key: getattr(address, key) for key in address.__slots__}).read_lock()
        assert told(seen[name]) == told(alone), name
    assert seen["free"].is_free
    assert not seen["nowhere"].is_free


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [(Throttle(), Trouble.THROTTLED), (Deny(), Trouble.DENIED), (Delay(30), Trouble.TIMED_OUT),
     (Cut(), Trouble.NO_CONNECTION), (Answer(500), Trouble.SERVER_ERROR), (Answer(200, b"{}"), Trouble.GARBLED),
     (Answer(200, b'{"Responses": {"t": [{}]}}'), Trouble.GARBLED)],
)  # fmt: skip
async def test_what_could_not_be_read_is_never_free(cloud, fault, trouble):
    addresses = addresses_of(cloud, 3, use_lockfile=False)
    await hold(cloud, addresses["s1"])
    cloud.proxy.fault(BATCH, fault)

    seen = await sweep_of(cloud, addresses, call_timeout=2).read_locks(tuple(addresses))

    for found in seen.values():
        [(kind, why)] = found.unseen
        assert (kind, found.held, found.free) == (PlaceKind.ITEM, (), ())
        assert isinstance(why, Unseen)
        assert why.trouble is trouble
    assert all(found.is_throttled for found in seen.values()) == (trouble is Trouble.THROTTLED)
    assert await cloud.aws.item(addresses["s1"].lock_key)


async def test_keys_that_were_left_are_asked_for_again(cloud):
    addresses = addresses_of(cloud, 120, use_lockfile=False)
    lock = await hold(cloud, addresses["s3"])
    keys = [{"LockID": {"S": addresses[f"s{n}"].lock_key}} for n in range(100)]
    left = {"Responses": {cloud.aws.table: []}, "UnprocessedKeys": {cloud.aws.table: {"Keys": keys[1:]}}}
    cloud.proxy.fault(BATCH, Answer(200, json.dumps(left).encode()), times=1)

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert seen["s3"].lock.id == lock.id
    assert sum(found.is_free for found in seen.values()) == 119
    assert len(cloud.proxy.calls(BATCH)) == 3


async def test_a_table_that_leaves_keys_again_and_again_is_throttled_and_left_alone(cloud):
    addresses = addresses_of(cloud, 500, use_lockfile=False)
    keys = [{"LockID": {"S": addresses[f"s{n}"].lock_key}} for n in range(1, 100)]
    left = {"Responses": {cloud.aws.table: []}, "UnprocessedKeys": {cloud.aws.table: {"Keys": keys}}}
    cloud.proxy.fault(BATCH, Answer(200, json.dumps(left).encode()))

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert seen["s0"].is_free
    assert sum(found.is_throttled for found in seen.values()) == 499
    assert len(cloud.proxy.calls(BATCH)) <= 4


async def test_a_lockfile_that_cannot_be_read_is_unseen_and_the_item_is_seen(cloud):
    addresses = addresses_of(cloud, 2)
    lock = await hold(cloud, addresses["s0"], file=True)
    cloud.proxy.fault("s3:GetObject", Deny())

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert [place.kind for place in seen["s0"].held] == [PlaceKind.ITEM]
    assert [kind for kind, _ in seen["s0"].unseen] == [PlaceKind.FILE]
    assert not seen["s1"].is_free
    assert seen["s0"].lock.id == lock.id


async def test_a_sweep_ends_in_time_and_keeps_what_it_has_read(cloud):
    addresses = addresses_of(cloud, 20)
    await hold(cloud, addresses["s0"])
    cloud.proxy.fault("s3:GetObject", Delay(60))
    cloud.proxy.fault(LIST, Delay(60))

    async with own_time() as spent:
        seen = await sweep_of(cloud, addresses, timeout=4).read_locks(tuple(addresses))

    assert spent.seconds < 6.5
    assert seen["s0"].held
    assert not any(found.is_free for found in seen.values())


async def test_of_many_lock_objects_only_those_that_a_listing_names_are_read(cloud):
    addresses = addresses_of(cloud, 300, dynamodb_table=None)
    locks = {name: await hold(cloud, addresses[name], item=False, file=True) for name in ("s0", "s7", "s299")}

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert len(cloud.proxy.calls(LIST)) == 1
    assert len(cloud.proxy.calls(GET)) == 3
    assert {name: found.lock.id for name, found in seen.items() if found.held} == {
        name: lock.id for name, lock in locks.items()
    }
    assert sum(found.is_free for found in seen.values()) == 297


async def test_a_listing_goes_on_where_the_page_ended(cloud):
    """S3 gives a thousand keys a page: the states' own objects are among them."""
    addresses = addresses_of(cloud, 600, dynamodb_table=None)
    lock = await hold(cloud, addresses["s599"], item=False, file=True)
    for number in range(600):
        await cloud.aws.put_lockfile(f"env/{number}/terraform.tfstate.backup", "{}")
        await cloud.aws.put_lockfile(f"env/{number}/other", "{}")

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert 2 <= len(cloud.proxy.calls(LIST)) <= 3
    assert len(cloud.proxy.calls(GET)) == 1
    assert seen["s599"].lock.id == lock.id
    assert sum(found.is_free for found in seen.values()) == 599


@pytest.mark.parametrize(
    "fault", [Deny(), Throttle(), Cut(), Answer(200, b"<x/>"), Answer(500)],
    ids=["denied", "throttled", "cut", "another text", "broken"],
)  # fmt: skip
async def test_without_a_listing_each_lock_object_is_read_by_itself(cloud, fault):
    addresses = addresses_of(cloud, 20, dynamodb_table=None)
    lock = await hold(cloud, addresses["s3"], item=False, file=True)
    cloud.proxy.fault(LIST, fault)

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert seen["s3"].lock.id == lock.id
    assert sum(found.is_free for found in seen.values()) == 19
    assert len(cloud.proxy.calls(GET)) == 20


def listing(*keys, is_cut=False):
    told = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    cut = "true" if is_cut else "false"
    return f"<ListBucketResult><IsTruncated>{cut}</IsTruncated>{told}</ListBucketResult>".encode()


@pytest.mark.parametrize(
    "answer",
    [listing("env/9/x", "env/1/x"), listing("env/0/aaa"), listing(is_cut=True), b"<ListBucketResult/>"],
    ids=["out of order", "before what was asked for", "cut and empty", "says nothing"],
)
async def test_a_listing_that_may_leave_something_out_shows_nothing_to_be_free(cloud, answer):
    addresses = addresses_of(cloud, 20, dynamodb_table=None)
    lock = await hold(cloud, addresses["s3"], item=False, file=True)
    cloud.proxy.fault(LIST, Answer(200, answer))

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert seen["s3"].lock.id == lock.id
    assert len(cloud.proxy.calls(GET)) == 20


async def test_a_bucket_full_of_other_things_is_not_listed_to_its_end(cloud):
    addresses = addresses_of(cloud, 40, dynamodb_table=None)
    page = listing(*(f"env/0/terraform.tfstate/{n:04}" for n in range(1000)), is_cut=True)
    cloud.proxy.fault(LIST, Answer(200, page))

    seen = await sweep_of(cloud, addresses).read_locks(tuple(addresses))

    assert len(cloud.proxy.calls(LIST)) <= 2
    assert len(cloud.proxy.calls(GET)) >= 39
    assert all(found.is_free for found in seen.values())


async def test_where_the_time_is_not_enough_every_state_has_its_turn(cloud):
    """Eight are asked at the same time, and those that never answer do not keep the others from their turn."""
    addresses = addresses_of(cloud, 11, dynamodb_table=None)
    for number in range(8):
        cloud.proxy.fault(lambda call, key=addresses[f"s{number}"].lockfile_key: call.path.endswith(key), Delay(60))
    sweep = sweep_of(cloud, addresses, timeout=4, call_timeout=30)

    first = await sweep.read_locks(tuple(addresses))
    second = await sweep.read_locks(tuple(addresses))

    assert not any(found.is_free for found in first.values())
    assert [name for name, found in second.items() if found.is_free] == ["s8", "s9", "s10"]
    assert list(second) == list(addresses)

"""The state object and its digest, on moto over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import timedelta

import pytest

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.lock import DigestMatch, PlaceKind, StateAbsent, StateSeen
from bot.sandbox.machine.aws import small_state
from bot.sandbox.machine.proxy import operation
from tests.worlds.clocks import MovableClock
from tests.worlds.proxy import Answer, Cut, Delay, Deny, Throttle


async def test_a_whole_state_is_seen_with_its_facts(cloud):
    raw = small_state(serial=12, lineage="abc")
    version = await cloud.aws.put_state(cloud.address.key, raw)

    check = await cloud.backend().read_state()

    state = seen(check)
    assert (state.serial, state.lineage, state.terraform_version) == (12, "abc", "1.11.4")
    assert (state.size, state.md5) == (len(raw), hashlib.md5(raw).hexdigest())
    assert (state.fault, state.version_id) == (None, version)
    assert check.digest.match is DigestMatch.MATCHES


@pytest.mark.parametrize("by", [timedelta(0), timedelta(hours=-3), timedelta(days=2)])
async def test_the_last_write_is_told_on_the_bots_own_clock(cloud, by):
    await cloud.aws.put_state(cloud.address.key)
    clock = MovableClock(by)

    state = seen(await cloud.backend(clock=clock).read_state())

    assert abs(clock.now() - state.last_written) < timedelta(seconds=10)


async def test_a_digest_of_another_content_differs(cloud):
    await cloud.aws.put_state(cloud.address.key)
    await cloud.aws.put_item(cloud.address.digest_key, Digest="d41d8cd98f00b204e9800998ecf8427e")

    digest = (await cloud.backend().read_state()).digest

    assert digest.match is DigestMatch.DIFFERS
    assert digest.item == "d41d8cd98f00b204e9800998ecf8427e"
    assert digest.actual == hashlib.md5(small_state()).hexdigest()
    assert digest.key == cloud.address.digest_key


async def test_a_state_without_a_digest_item_or_without_a_table_is_told_as_that(cloud):
    await cloud.aws.put_state(cloud.address.key, digest=False)

    without_item = await cloud.backend().read_state()
    without_table = await cloud.backend(dynamodb_table=None).read_state()

    assert without_item.digest.match is DigestMatch.NO_ITEM
    assert without_table.digest.match is DigestMatch.NO_TABLE


async def test_a_digest_that_cannot_be_read_is_unseen_and_hides_not_the_state(cloud):
    await cloud.aws.put_state(cloud.address.key)
    cloud.proxy.fault("dynamodb:GetItem", Deny())

    check = await cloud.backend().read_state()

    assert seen(check).fault is None
    assert check.digest.match is DigestMatch.UNSEEN
    assert "dynamodb:GetItem" in check.digest.detail


async def test_a_digest_without_a_readable_state_is_not_compared(cloud):
    await cloud.aws.put_state(cloud.address.key)
    cloud.proxy.fault("s3:GetObject", Deny())

    check = await cloud.backend().read_state()

    assert isinstance(check.state, Unseen)
    assert check.digest.match is DigestMatch.UNSEEN


@pytest.mark.parametrize("content", [b"", b'{"version": 4, "serial": 3', b"{}", b"<html>"])
async def test_a_bad_state_names_the_newest_older_version_that_is_whole(cloud, content):
    await cloud.aws.put_state(cloud.address.key, small_state(serial=1))
    good = await cloud.aws.put_state(cloud.address.key, small_state(serial=2))
    await cloud.aws.put_state(cloud.address.key, b"torn")
    await cloud.aws.put_state(cloud.address.key, content)
    await cloud.aws.put_lockfile(cloud.address.key, small_state().decode())

    state = seen(await cloud.backend().read_state())

    assert state.fault is not None
    assert state.last_good_version == good


async def test_a_bad_state_is_seen_even_if_its_versions_may_not_be_listed(cloud):
    await cloud.aws.put_state(cloud.address.key, small_state())
    await cloud.aws.put_state(cloud.address.key, b"torn")
    cloud.proxy.fault("s3:ListObjectVersions", Deny())

    state = seen(await cloud.backend().read_state())

    assert state.fault == "it is not valid JSON"
    assert state.last_good_version is None


async def test_a_state_that_never_was_is_absent_without_traces(cloud):
    check = await cloud.backend().read_state()

    assert isinstance(check.state, Found)
    assert check.state.value == StateAbsent()
    assert check.digest.match is DigestMatch.NO_ITEM


async def test_a_deleted_state_is_absent_with_traces_and_its_last_good_version(cloud):
    good = await cloud.aws.put_state(cloud.address.key)
    await cloud.aws.delete_object(cloud.address.key)

    check = await cloud.backend().read_state()

    assert isinstance(check.state, Found)
    absent = check.state.value
    assert isinstance(absent, StateAbsent)
    assert absent.traces == (
        "it was deleted (a delete marker is there)",
        "older versions of it are still in the bucket",
        "its digest item is still there",
    )
    assert absent.last_good_version == good
    assert check.digest.match is DigestMatch.DIFFERS


async def test_a_digest_item_alone_is_a_trace_of_a_state(cloud):
    await cloud.aws.put_item(cloud.address.digest_key, Digest="d41d8cd98f00b204e9800998ecf8427e")

    check = await cloud.backend().read_state()

    assert check.state.value.traces == ("its digest item is still there",)


async def test_a_denied_state_is_unseen_and_not_absent(cloud):
    cloud.proxy.fault("s3:GetObject", Deny())

    state = (await cloud.backend().read_state()).state

    assert isinstance(state, Unseen)
    assert state.trouble is Trouble.DENIED
    assert "s3:GetObject" in state.detail


async def test_a_missing_bucket_and_a_missing_table_are_not_found_and_never_free(cloud):
    backend = cloud.backend(bucket="acme-nothing-here", dynamodb_table="acme-nothing-here")

    seen_lock = await backend.read_lock()
    check = await backend.read_state()

    assert not seen_lock.is_free
    assert {type(unseen) for _, unseen in seen_lock.unseen} == {NotFound}
    assert isinstance(check.state, NotFound)
    assert "acme-nothing-here" in check.state.what
    assert check.digest.match is DigestMatch.UNSEEN


async def test_a_state_whose_configuration_names_no_half_is_never_free(cloud):
    seen_lock = await cloud.backend(dynamodb_table=None, use_lockfile=False).read_lock()

    assert not seen_lock.is_free
    assert len(seen_lock.unseen) == 1


async def test_a_state_whose_key_ends_like_a_digest_is_not_locked_by_another_ones_digest(cloud):
    await cloud.aws.put_item(f"{cloud.aws.bucket}/a-md5", Digest="d41d8cd98f00b204e9800998ecf8427e")

    seen_lock = await cloud.backend(key="a-md5").read_lock()

    assert seen_lock.is_free


@pytest.mark.parametrize(
    ("action", "trouble"),
    [
        (Throttle(), Trouble.THROTTLED),
        (Answer(503), Trouble.THROTTLED),
        (Answer(429), Trouble.THROTTLED),
        (Answer(502), Trouble.SERVER_ERROR),
        (Answer(400), Trouble.GARBLED),
        (Cut(), Trouble.NO_CONNECTION),
        (Answer(403, b"<Error><Code>ExpiredToken</Code></Error>"), Trouble.DENIED),
    ],
)
async def test_each_trouble_with_the_state_is_told_apart(cloud, action, trouble):
    await cloud.aws.put_state(cloud.address.key)
    cloud.proxy.fault("s3:GetObject", action)

    state = (await cloud.backend().read_state()).state

    assert isinstance(state, Unseen)
    assert state.trouble is trouble


@pytest.mark.parametrize("action", [Deny(), Throttle(), Cut(), Answer(500), Answer(501), Answer(404)])
async def test_an_absent_state_whose_versions_cannot_be_listed_is_not_called_never_written(cloud, action):
    cloud.proxy.fault("s3:ListObjectVersions", action)

    state = (await cloud.backend().read_state()).state

    assert isinstance(state, Unseen), state
    assert "ListBucketVersions" in state.detail


async def test_an_absent_state_without_versions_was_never_written(cloud):
    state = (await cloud.backend().read_state()).state

    assert isinstance(state, Found)
    assert state.value == StateAbsent()


async def test_a_bare_404_says_nothing_of_a_state_or_a_lock(cloud):
    cloud.proxy.fault("s3:GetObject", Answer(404))
    backend = cloud.backend()

    state, lock = (await backend.read_state()).state, await backend.read_lock()

    assert isinstance(state, Unseen)
    assert [kind for kind, _ in lock.unseen] == [PlaceKind.FILE]
    assert not lock.is_free


async def test_a_slow_state_is_unseen_when_the_time_is_up(cloud):
    cloud.proxy.fault("s3:GetObject", Delay(3))

    state = (await cloud.backend(timeout=0.5).read_state()).state

    assert isinstance(state, Unseen)
    assert state.trouble is Trouble.TIMED_OUT


async def test_lookups_go_out_at_the_same_time(cloud):
    await cloud.aws.put_state(cloud.address.key)
    backend = cloud.backend()
    await backend.read_lock()
    before, answered = len(cloud.proxy.log), []

    def comes(_call):
        answered.append(len(cloud.proxy.log) - before)
        return True

    cloud.proxy.fault(comes, Delay(2))

    await asyncio.gather(backend.read_lock(), backend.read_state())

    assert answered == [0] * 4


async def test_a_blocked_store_does_not_block_the_event_loop(cloud):
    cloud.proxy.fault(operation("s3:GetObject"), Delay(1))
    longest, turns = 0.0, 0
    look = asyncio.create_task(cloud.backend().read_state())
    while not look.done():
        began = time.thread_time()
        await asyncio.sleep(0.005)
        longest, turns = max(longest, time.thread_time() - began), turns + 1

    assert longest < 0.3
    assert turns > 5
    assert not isinstance((await look).state, Unseen)


def seen(check) -> StateSeen:
    assert isinstance(check.state, Found)
    assert isinstance(check.state.value, StateSeen)
    return check.state.value

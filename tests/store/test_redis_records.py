"""What every Records must do, against a real Redis."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from bot.store.redis_records import RedisRecords

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def records(client):
    return RedisRecords(client, rng=random.Random())


async def test_a_record_is_read_as_it_was_put(records):
    value = {"text": "ü\ud800", "n": 1.5, "none": None, "list": [], "map": {}, "yes": True, "": 1}
    await records.put("request", "r1", value, ttl=HOUR)

    assert await records.get("request", "r1") == value
    assert await records.get("request", "r2") is None
    assert await records.get("other", "r1") is None


async def test_an_empty_record_is_there(records):
    await records.put("request", "r1", {}, ttl=HOUR)

    assert await records.get("request", "r1") == {}


async def test_putting_again_replaces_all_of_it(records):
    await records.put("request", "r1", {"a": 1, "b": 2}, ttl=HOUR)
    await records.put("request", "r1", {"b": 3}, ttl=HOUR)

    assert await records.get("request", "r1") == {"b": 3}


async def test_an_update_changes_its_fields_and_returns_the_record(records):
    await records.put("request", "r1", {"a": 1, "b": 2}, ttl=HOUR)

    assert await records.update("request", "r1", {"b": 3, "c": [4]}) == {"a": 1, "b": 3, "c": [4]}
    assert await records.get("request", "r1") == {"a": 1, "b": 3, "c": [4]}
    assert await records.update("request", "r1", {}) == {"a": 1, "b": 3, "c": [4]}


async def test_updates_at_once_lose_nothing(records):
    await records.put("request", "r1", {}, ttl=HOUR)
    await asyncio.gather(*(records.update("request", "r1", {f"f{n}": n}) for n in range(30)))

    assert await records.get("request", "r1") == {f"f{n}": n for n in range(30)}


async def test_an_update_of_what_is_not_there_makes_nothing(records):
    assert await records.update("request", "r1", {"a": 1}) is None
    assert await records.get("request", "r1") is None


async def test_records_end_with_their_time_and_an_update_does_not_lengthen_it(records, client):
    await records.put("request", "r1", {"a": 1}, ttl=HOUR)
    await records.update("request", "r1", {"a": 2})

    assert 0 < await client.ttl("tflock:record:request:r1") <= 3600


async def test_a_forgotten_record_is_gone(records):
    await records.put("request", "r1", {"a": 1}, ttl=HOUR)
    await records.forget("request", "r1")
    await records.forget("request", "r1")

    assert await records.get("request", "r1") is None


async def test_of_many_callers_at_once_one_is_the_first(records):
    answers = await asyncio.gather(*(records.once("event", "e1", ttl=HOUR) for _ in range(20)))

    assert answers.count(True) == 1
    assert await records.once("event", "e2", ttl=HOUR)


async def test_once_is_over_when_its_time_is(records, client):
    assert await records.once("event", "e1", ttl=timedelta(milliseconds=20))
    async with asyncio.timeout(60):
        while not await records.once("event", "e1", ttl=timedelta(milliseconds=20)):  # noqa: ASYNC110  Redis forgets in its own time
            await asyncio.sleep(0.01)


async def test_a_lease_is_one_holders_until_they_give_it_back(records):
    assert await records.take("unlock", "staging", holder="a", ttl=HOUR)
    assert not await records.take("unlock", "staging", holder="b", ttl=HOUR)
    assert await records.take("unlock", "staging", holder="a", ttl=HOUR)

    await records.give_back("unlock", "staging", holder="b")
    assert not await records.take("unlock", "staging", holder="b", ttl=HOUR)

    await records.give_back("unlock", "staging", holder="a")
    assert await records.take("unlock", "staging", holder="b", ttl=HOUR)
    assert await records.renew("unlock", "staging", holder="b", ttl=HOUR)
    assert not await records.renew("unlock", "staging", holder="a", ttl=HOUR)


async def test_renewing_a_lease_lengthens_it(records, client):
    await records.take("unlock", "staging", holder="a", ttl=timedelta(seconds=5))
    await records.take("unlock", "staging", holder="a", ttl=HOUR)

    assert await client.ttl("tflock:lease:unlock:staging") > 3000


async def test_a_lease_that_ran_out_is_not_renewed(records, client):
    await records.take("unlock", "staging", holder="a", ttl=timedelta(seconds=5))
    assert await records.renew("unlock", "staging", holder="a", ttl=HOUR)
    assert await client.ttl("tflock:lease:unlock:staging") > 3000

    await client.delete("tflock:lease:unlock:staging")  # as Redis does when the time is over

    assert not await records.renew("unlock", "staging", holder="a", ttl=HOUR)
    assert await records.take("unlock", "staging", holder="b", ttl=HOUR)


async def test_a_list_tells_its_members_of_a_time_newest_first(records):
    for hour in (9, 7, 11):
        await records.enlist("claims", "staging", f"c{hour}", at=NOON.replace(hour=hour), ttl=24 * HOUR)

    async def listed(since, until, limit=10):
        return await records.enlisted("claims", "staging", since=since, until=until, limit=limit)

    assert await listed(NOON - 12 * HOUR, NOON) == ("c11", "c9", "c7")
    assert await listed(NOON.replace(hour=7), NOON.replace(hour=9)) == ("c9", "c7")
    assert await listed(NOON - 12 * HOUR, NOON, limit=1) == ("c11",)
    assert await records.enlisted("claims", "other", since=NOON, until=NOON, limit=1) == ()


async def test_a_list_forgets_whoever_is_older_than_its_memory(records, client):
    await records.enlist("claims", "staging", "old", at=NOON - 3 * HOUR, ttl=HOUR)
    await records.enlist("claims", "staging", "new", at=NOON, ttl=HOUR)

    assert await records.enlisted("claims", "staging", since=NOON - 9 * HOUR, until=NOON, limit=9) == ("new",)
    assert 0 < await client.ttl("tflock:list:claims:staging") <= 3600


async def test_what_json_cannot_hold_is_refused(records):
    with pytest.raises(ValueError, match="JSON"):
        await records.put("request", "r1", {"a": float("nan")}, ttl=HOUR)

    assert await records.get("request", "r1") is None


LEASE = timedelta(seconds=15)


async def test_what_is_settled_is_not_taken_up_and_what_it_said_is_gone(records, client):
    await records.accept("command/1", {"text": "the words"}, lease=timedelta(milliseconds=1), ttl=HOUR)
    await records.settle("command/1", remember=HOUR)
    await asyncio.sleep(0.01)

    assert await records.take_up(kept=("command/1",), lease=LEASE, limit=9) == ()
    kept = {key: await client.hgetall(key) for key in await client.keys("*deliveries*")}
    assert list(kept) == ["tflock:{deliveries}:command/1"]
    assert "the words" not in str(kept)


async def test_every_key_of_a_delivery_ends_with_its_time(records, client):
    await records.accept("command/1", {}, lease=LEASE, ttl=HOUR)

    for key in ("tflock:{deliveries}", "tflock:{deliveries}:command/1"):
        assert 0 < await client.pttl(key) <= HOUR / timedelta(milliseconds=1)

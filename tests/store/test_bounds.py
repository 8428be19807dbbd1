"""What Redis keeps of closed incidents follows the retention, the index of their names too."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from bot.store.chain import head_key, log_key, once_key
from bot.store.jobs import DOCKET
from bot.store.redis_journal import RedisJournal
from tests.worlds.clocks import SetClock
from tests.worlds.key_families import without_bound

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEPT = timedelta(days=30)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def journal(client, clock) -> RedisJournal:
    return RedisJournal(client, clock=clock, rng=random.Random(3), retention=KEPT)


async def opened(journal, clock, channel):
    incident, _ = await journal.open(channel=channel, title="staging", by="U1", at=clock.now())
    return incident


async def forgotten(client, incident):
    """As Redis does when the retention has passed."""
    await client.delete(log_key(incident.id), head_key(incident.id), once_key(incident.id))


async def test_the_index_forgets_the_names_of_incidents_that_are_no_longer_kept(client, journal, clock):
    incidents = [await opened(journal, clock, f"C{number}") for number in range(250)]
    for incident in incidents:
        await journal.close(incident.id, by="U1", at=clock.now())
    for incident in incidents[:230]:
        await forgotten(client, incident)
    clock.at += KEPT + timedelta(days=1)
    late = await opened(journal, clock, "C0LATE")

    await journal.tidy()

    named = set(await client.zrange("tflock:incidents", 0, -1))
    assert named == {late.id, *(incident.id for incident in incidents[230:])}


async def test_tidying_leaves_what_is_open_however_old_it_is(client, journal, clock):
    old = await opened(journal, clock, "C1")
    clock.at += 3 * KEPT

    await journal.tidy()

    assert await client.zrange("tflock:incidents", 0, -1) == [old.id]
    assert [one.id for one in await journal.incidents(open_only=True)] == [old.id]


async def test_every_key_of_a_closed_incident_lives_as_long_as_the_retention_says(client, journal, clock):
    incident = await opened(journal, clock, "C1")
    keys = (log_key(incident.id), head_key(incident.id), once_key(incident.id))
    assert {await client.ttl(key) for key in keys} == {-1}

    await journal.close(incident.id, by="U1", at=clock.now())

    lives = [await client.ttl(key) for key in keys]
    assert all(KEPT.total_seconds() - 600 <= seconds <= KEPT.total_seconds() for seconds in lives)
    assert not await client.exists("tflock:channel:C1")
    assert await client.zrange("tflock:incidents:open", 0, -1) == []


async def test_a_key_that_would_stay_for_ever_is_found_and_an_open_incidents_keys_are_not(client, journal, clock):
    opened_now, closed = await opened(journal, clock, "C1"), await opened(journal, clock, "C2")
    await journal.close(closed.id, by="U1", at=clock.now())
    assert await without_bound(client) == []

    await client.hset("tflock:record:odd:1", "there", "1")
    await client.persist(head_key(closed.id))
    await client.zadd("tflock:incidents", {"inc-gone": 1})

    assert sorted(await without_bound(client)) == [
        "tflock:incidents: 3, at most 2",
        "tflock:record:odd:1",
        head_key(closed.id),
    ]
    assert await client.ttl(head_key(opened_now.id)) == -1


async def test_a_jobs_keys_are_found_only_once_it_is_no_longer_in_the_queue(client):
    keys = [f"{DOCKET}:runs:waiting:staging:1", f"{DOCKET}:waiting:staging:1"]
    await client.zadd(f"{DOCKET}:queue", {"waiting:staging:1": 1})
    for key in keys:
        await client.hset(key, "there", "1")
    assert await without_bound(client) == []

    await client.zrem(f"{DOCKET}:queue", "waiting:staging:1")

    assert sorted(await without_bound(client)) == keys

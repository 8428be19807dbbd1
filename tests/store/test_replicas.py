"""What a fail-over may not lose, on a real primary with a real replica."""

from __future__ import annotations

import random
import signal
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

from bot.core.record.timeline import Draft, Kind
from bot.errors import JournalAway, NotReplicated
from bot.store.connect import connect
from bot.store.redis_journal import RedisJournal
from bot.store.redis_records import RedisRecords
from bot.store.replicas import beside, reach_a_replica
from tests.store.test_topologies import cluster_url, free_port, server, until  # noqa: F401 - a fixture among them
from tests.worlds.clocks import WallClock

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUNNING = {"says": "running"}


@pytest.fixture
async def pair(directory, make_client):
    """A primary, its replica's process, and clients of both."""
    ports, homes = (free_port(), free_port()), (directory / "a", directory / "b")
    for home in homes:
        home.mkdir()
    first = ["--port", str(ports[0]), "--save", ""]
    second = ["--port", str(ports[1]), "--save", "", "--replicaof", "127.0.0.1", str(ports[0])]
    with server(homes[0], *first), server(homes[1], *second) as process:
        primary, replica = (make_client(f"redis://127.0.0.1:{port}") for port in ports)
        await until(primary.ping)

        async def follows():
            info = await replica.info("replication")
            return info["master_link_status"] == "up" and (await primary.info("replication"))["connected_slaves"]

        await until(follows)
        yield primary, replica, process
        process.send_signal(signal.SIGCONT)


async def test_an_acknowledged_answer_is_on_the_replica(pair):
    primary, replica, _ = pair
    records = RedisRecords(primary, rng=random.Random())

    for n in range(20):
        await records.put("owner-answer", f"staging/lock-{n}", RUNNING, ttl=HOUR)
        await records.secure("owner-answer", f"staging/lock-{n}")

        assert await RedisRecords(replica, rng=random.Random()).get("owner-answer", f"staging/lock-{n}") == RUNNING


async def test_an_answer_that_does_not_reach_the_replica_is_refused(pair):
    primary, _, process = pair
    records = RedisRecords(primary, rng=random.Random())
    process.send_signal(signal.SIGSTOP)
    await records.put("owner-answer", "staging/lock-1", RUNNING, ttl=HOUR)

    with pytest.raises(NotReplicated, match="replica"):
        await records.secure("owner-answer", "staging/lock-1")

    assert await records.get("owner-answer", "staging/lock-1") == RUNNING, "it counts where it was written"
    process.send_signal(signal.SIGCONT)
    await until(lambda: reached(records))


async def reached(records):
    await records.secure("owner-answer", "staging/lock-1")
    return True


async def test_a_replica_that_was_there_until_lately_is_missed(pair):
    """Redis forgets one that is silent for a minute: that is when a fail-over is near."""
    primary, _, process = pair
    records = RedisRecords(primary, rng=random.Random())
    await records.put("owner-answer", "staging/lock-1", RUNNING, ttl=HOUR)
    await records.secure("owner-answer", "staging/lock-1")
    process.kill()

    async def is_alone():
        return not (await primary.info("replication"))["connected_slaves"]

    await until(is_alone)

    with pytest.raises(NotReplicated):
        await records.secure("owner-answer", "staging/lock-1")


async def test_a_timeline_is_secured_by_its_incident(pair, make_journal):
    primary, replica, process = pair
    port = primary.connection_pool.connection_kwargs["port"]
    journal = make_journal(f"redis://127.0.0.1:{port}")
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    added = await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "a note"))
    assert await journal.secure(incident.id, added.entry.id) == added.entry
    there = make_journal(f"redis://127.0.0.1:{replica.connection_pool.connection_kwargs['port']}")
    assert [entry.text async for entry in there.entries(incident.id)][-1] == "a note"

    process.send_signal(signal.SIGSTOP)
    await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "another"))

    with pytest.raises(NotReplicated):
        await journal.secure(incident.id, added.entry.id)


async def test_what_a_fail_over_lost_before_it_was_confirmed_is_not_confirmed(pair, make_journal):
    """The replica becomes the primary between the write and the question whether a replica has it."""
    primary, replica, _ = pair
    port, other = (one.connection_pool.connection_kwargs["port"] for one in (primary, replica))
    before, after = make_journal(f"redis://127.0.0.1:{port}"), make_journal(f"redis://127.0.0.1:{other}")
    incident, _ = await before.open(channel="C1", title="staging", by="U1", at=NOON)
    old, new = RedisRecords(primary, rng=random.Random()), RedisRecords(replica, rng=random.Random())
    await old.put("unlock", "r1", {"phase": "confirmed"}, ttl=HOUR)
    await old.secure("unlock", "r1")
    await replica.replicaof("NO", "ONE")

    intent = await before.append(incident.id, Draft(NOON, Kind.UNLOCK_RELEASING, "U1", "began"))
    await old.put("owner-answer", "staging/lock-1", RUNNING, ttl=HOUR)
    await old.update("unlock", "r1", {"phase": "releasing"})
    await primary.replicaof("127.0.0.1", other)
    await until(lambda: follows(primary))

    assert await new.secure("owner-answer", "staging/lock-1") is None
    assert await new.secure("unlock", "r1") == {"phase": "confirmed"}
    assert await after.secure(incident.id, intent.entry.id) is None
    again = await after.append(incident.id, Draft(NOON, Kind.UNLOCK_RELEASING, "U1", "began"))
    assert await after.secure(incident.id, again.entry.id) == again.entry
    await new.put("owner-answer", "staging/lock-1", RUNNING, ttl=HOUR)
    assert await new.secure("owner-answer", "staging/lock-1") == RUNNING


async def follows(redis):
    return (await redis.info("replication"))["master_link_status"] == "up"


class FailedOver(Redis):
    """A client that reaches one Redis by its first pipeline, and by all others the one that has taken its place."""

    def __init__(self, before, after):
        super().__init__(connection_pool=before.connection_pool)
        self.after, self.asked = after, False

    def pipeline(self, **options):
        before, self.asked = self.asked, True
        return self.after.pipeline(**options) if before else super().pipeline(**options)


async def test_a_change_that_no_replica_confirms_or_a_fail_over_lost_is_refused_though_it_is_made(pair, client):
    primary, replica, process = pair
    records = RedisRecords(primary, rng=random.Random())
    await records.put("unlock", "r1", {"phase": "confirmed"}, ttl=HOUR)
    alone = RedisRecords(client, rng=random.Random())
    await alone.put("unlock", "r1", {"phase": "confirmed"}, ttl=HOUR)
    await client.set(beside("tflock:record:unlock:r1")[0], "1")
    lost = RedisRecords(FailedOver(client, primary), rng=random.Random())

    with pytest.raises(NotReplicated, match="lost"):
        await lost.update("unlock", "r1", {"phase": "releasing"}, durably=True)

    assert await alone.get("unlock", "r1") == {"phase": "releasing"}
    assert await records.update("unlock", "r1", {"phase": "armed"}, durably=True) == {"phase": "armed"}
    assert await RedisRecords(replica, rng=random.Random()).get("unlock", "r1") == {"phase": "armed"}
    process.send_signal(signal.SIGSTOP)

    with pytest.raises(NotReplicated):
        await records.update("unlock", "r1", {"phase": "releasing"}, durably=True)

    assert await records.get("unlock", "r1") == {"phase": "releasing"}


async def test_what_a_click_writes_together_is_one_trip_each(client, monkeypatch):
    journal, records = (
        RedisJournal(client, clock=WallClock(), rng=random.Random()),
        RedisRecords(client, rng=random.Random()),
    )
    await records.put("unlock", "r1", {"phase": "confirmed"}, ttl=HOUR)
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    trips = []
    send = AbstractConnection.send_packed_command

    async def counted(self, command, *more, **options):
        trips.append(command)
        await send(self, command, *more, **options)

    drafts = [Draft(NOON, kind, "U1", "a", once=str(kind)) for kind in (Kind.GATE_DECIDED, Kind.UNLOCK_RELEASING)]
    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    for work in (
        records.take_and_get("lease", "staging", holder="a", ttl=HOUR, record=("unlock", "r1")),
        journal.append_all(incident.id, drafts),
        records.update("unlock", "r1", {"phase": "releasing"}, durably=True),
    ):
        trips.clear()
        await work
        assert len(trips) == 1, trips


async def test_a_redis_without_replicas_is_as_durable_as_it_gets(client):
    records = RedisRecords(client, rng=random.Random())
    await records.put("owner-answer", "staging/lock-1", RUNNING, ttl=HOUR)

    assert await records.secure("owner-answer", "staging/lock-1") == RUNNING


async def test_a_cluster_without_replicas_is_asked_at_the_node_of_the_key(cluster_url, make_client, make_journal):  # noqa: F811
    client, journal = make_client(cluster_url), make_journal(cluster_url)
    records = RedisRecords(client, rng=random.Random())
    await records.put("owner-answer", "staging/lock-1", RUNNING, ttl=HOUR)
    assert await records.secure("owner-answer", "staging/lock-1") == RUNNING
    assert await records.secure("owner-answer", "staging/lock-2") is None
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    added = await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "a note"))
    assert await journal.secure(incident.id, added.entry.id) == added.entry
    assert await journal.secure(incident.id, "99") is None
    for key in ("tflock:record:unlock:1", "tflock:record:unlock:2", "tflock:log:{inc-1}", "tflock:log:{inc-2}"):
        await client.set(key, "1")
        assert await reach_a_replica(client, key, "GET", key) == "1"


async def test_a_redis_that_is_away_is_no_replica_either():
    client = connect(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(JournalAway):
        await reach_a_replica(client, "key", "GET", "key")
    await client.aclose()

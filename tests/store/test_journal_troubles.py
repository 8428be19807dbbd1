"""The journal when things go wrong: several processes, a Redis that is gone, hangs, is full, or loses an answer."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.record.timeline import Draft, Kind, verify
from bot.errors import JournalAway
from bot.store.durability import measured
from bot.store.redis_records import RedisRecords
from tests.worlds.own_time import own_time

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

WRITER = """
import asyncio, random, sys
from datetime import UTC, datetime
from bot.core.record.timeline import Draft, Kind
from bot.store.connect import connect
from bot.store.redis_journal import RedisJournal

class WallClock:
    def now(self):
        return datetime.now(UTC)

async def main(url, incident_id, name):
    client = connect(url)
    journal = RedisJournal(client, clock=WallClock(), rng=random.Random())
    for n in range(60):
        now = datetime.now(UTC)
        await journal.append(incident_id, Draft(now, Kind.NOTE_ADDED, name, f"{name} {n}"))
        await journal.append(incident_id, Draft(now, Kind.COMMAND_RECEIVED, name, "same", once=f"delivery-{n}"))
    await client.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


def started(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *arguments])


def note(text="looking", once=None):
    return Draft(NOON, Kind.NOTE_ADDED, "U1", text, once=once)


async def all_of(journal, incident_id):
    return [entry async for entry in journal.entries(incident_id)]


@pytest.fixture
def journal(make_journal, redis_url):
    return make_journal(redis_url)


@pytest.fixture
async def incident_id(journal):
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    return incident.id


@pytest.fixture(autouse=True)
def redis_deadline():
    """The product's own, which some of these measure."""


@asynccontextmanager
async def cutting_proxy(target, directory):
    """A Unix socket in front of Redis. While `cut` is set an answer is swallowed and its connection closed."""
    cut = asyncio.Event()

    async def serve(reader, writer):
        server_reader, server_writer = await asyncio.open_unix_connection(target)

        async def answers():
            while chunk := await server_reader.read(65536):
                if cut.is_set():
                    cut.clear()
                    break
                writer.write(chunk)
            writer.close()

        answering = asyncio.create_task(answers())
        while chunk := await reader.read(65536):
            server_writer.write(chunk)
        answering.cancel()
        server_writer.close()
        writer.close()
        await asyncio.gather(answering, return_exceptions=True)

    server = await asyncio.start_unix_server(serve, directory / "proxy.sock")
    try:
        yield f"unix://{directory}/proxy.sock", cut
    finally:
        server.close()


async def test_processes_that_append_at_once_make_one_chain_and_doubled_deliveries_one_entry(
    journal, incident_id, redis_url
):
    writers = [started(WRITER, redis_url, incident_id, name) for name in ("a", "b")]
    codes = [await asyncio.to_thread(writer.wait, 60) for writer in writers]

    assert codes == [0, 0]
    entries = await all_of(journal, incident_id)
    assert verify(entries) == 1 + 2 * 60 + 60
    assert [entry.recorded_at for entry in entries[1:]] == sorted(entry.recorded_at for entry in entries[1:])
    for name in ("a", "b"):
        told = [entry.text for entry in entries if entry.kind == "note.added" and entry.actor == name]
        assert told == [f"{name} {n}" for n in range(60)]


async def test_an_append_whose_answer_was_lost_is_not_written_twice(
    make_journal, journal, incident_id, redis_url, directory
):
    async with cutting_proxy(redis_url.removeprefix("unix://"), directory) as (url, cut):
        through = make_journal(url)
        await through.append(incident_id, note("before"))
        cut.set()
        appended = await through.append(incident_id, note("once"))

        assert not cut.is_set()
        assert appended.added
        entries = await all_of(journal, incident_id)
        assert [entry.text for entry in entries[1:]] == ["before", "once"]
        assert appended.entry == entries[-1]


async def test_a_first_caller_whose_answer_was_lost_is_still_the_first(make_client, redis_url, directory):
    async with cutting_proxy(redis_url.removeprefix("unix://"), directory) as (url, cut):
        records = RedisRecords(make_client(url), rng=random.Random())
        await records.get("event", "warm")
        await records.once("event", "e0", ttl=timedelta(hours=1))
        cut.set()

        assert await records.once("event", "e1", ttl=timedelta(hours=1))
        assert not cut.is_set()
        assert not await records.once("event", "e1", ttl=timedelta(hours=1))


async def test_a_redis_that_hangs_is_away_soon_and_back_again_works(journal, incident_id, client):
    pid = (await client.info("server"))["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for attempt in (
            lambda: journal.append(incident_id, note()),
            lambda: journal.tail(incident_id, 1),
            journal.ping,
        ):
            async with own_time() as spent:
                with pytest.raises(JournalAway):
                    await attempt()
            assert spent.seconds < 3
    finally:
        os.kill(pid, signal.SIGCONT)

    await journal.append(incident_id, note("back"))
    assert verify(await all_of(journal, incident_id)) in {2, 3}
    await journal.ping()


async def test_many_appends_to_a_redis_that_hangs_are_all_away_soon(journal, incident_id, client):
    pid = (await client.info("server"))["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        async with own_time() as spent:
            answers = await asyncio.gather(
                *(journal.append(incident_id, note()) for _ in range(10)), return_exceptions=True
            )
        assert spent.seconds < 3.5
    finally:
        os.kill(pid, signal.SIGCONT)

    assert {type(answer) for answer in answers} == {JournalAway}


async def test_a_killed_redis_comes_back_with_every_acknowledged_entry(journal, incident_id, client):
    told = []
    for n in range(30):
        if n % 10 == 5:
            os.kill((await client.info("server"))["process_id"], signal.SIGKILL)
        async with asyncio.timeout(60):
            while True:
                try:
                    await journal.append(incident_id, note(f"n{n}", once=f"n{n}"))
                    break
                except JournalAway:
                    await asyncio.sleep(0.01)
        told.append(f"n{n}")

    entries = await all_of(journal, incident_id)
    assert [entry.text for entry in entries[1:]] == told
    assert verify(entries) == 31


async def test_nobody_there_is_away_and_never_an_error_of_the_library(make_journal, tmp_path):
    journal = make_journal("unix:///nowhere/redis.sock")
    attempts = (
        lambda: journal.open(channel="C1", title="t", by="U1", at=NOON),
        lambda: journal.current("C1"),
        lambda: journal.find("inc"),
        journal.incidents,
        lambda: journal.append("inc", note()),
        lambda: journal.tail("inc", 1),
        lambda: journal.close("inc", by="U1", at=NOON),
        lambda: all_of(journal, "inc"),
        journal.ping,
    )
    async with own_time() as spent:
        for attempt in attempts:
            with pytest.raises(JournalAway):
                await attempt()
    assert spent.seconds < 9


@pytest.mark.parametrize(
    ("name", "value"), [("maxmemory", "1"), ("min-replicas-to-write", "1")], ids=["full", "too few replicas"]
)
async def test_a_redis_that_takes_no_writes_fails_the_ping_and_appends_nothing(
    journal, incident_id, client, name, value
):
    await client.config_set(name, value)

    with pytest.raises(JournalAway):
        await journal.ping()
    with pytest.raises(JournalAway):
        await journal.append(incident_id, note())
    assert len(await all_of(journal, incident_id)) == 1

    await client.config_set(name, "0")
    await journal.ping()
    assert (await journal.append(incident_id, note())).entry.id == "2"


async def test_a_read_only_replica_fails_the_ping(journal, client):
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")

    with pytest.raises(JournalAway, match=r"(?i)read only|replica"):
        await journal.ping()


async def test_a_wrong_password_is_away_and_is_not_repeated(make_journal, redis_url):
    journal = make_journal(f"{redis_url}?username=nobody&password=hunter2")

    with pytest.raises(JournalAway) as caught:
        await journal.ping()
    assert "hunter2" not in str(caught.value)


async def test_the_doctor_learns_how_durable_the_embedded_redis_is(client):
    found = await measured(client)

    assert (found.appendonly, found.appendfsync, found.maxmemory_policy) == (True, "always", "noeviction")
    assert (found.role, found.maxmemory, found.faults, found.replicas) == ("master", 0, (), 0)


async def test_the_doctor_bears_a_redis_that_forbids_config_and_info(client, make_client, redis_url):
    await client.execute_command("ACL", "SETUSER", "hosted", "on", ">pw", "~*", "+@all", "-config")
    await client.execute_command("ACL", "SETUSER", "strict", "on", ">pw", "~*", "+@read", "+hello", "-info")

    hosted = await measured(make_client(f"{redis_url}?username=hosted&password=pw"))
    strict = await measured(make_client(f"{redis_url}?username=strict&password=pw"))

    assert (hosted.appendonly, hosted.appendfsync) == (True, None)
    assert (strict.appendonly, strict.appendfsync, strict.version) == (None, None, None)
    assert (hosted.replicas, strict.replicas) == (0, None)


async def test_the_doctor_learns_that_redis_is_away(make_client):
    with pytest.raises(JournalAway):
        await measured(make_client("unix:///nowhere/redis.sock"))

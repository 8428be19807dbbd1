"""The journal on a real cluster and behind a real Sentinel."""

import asyncio
import random
import socket
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from docket import Worker

from bot.core.record.timeline import Draft, Kind, verify
from bot.errors import JournalAway
from bot.store.connect import answering, connect
from bot.store.durability import measured
from bot.store.embedded import find_binary
from bot.store.jobs import open_docket
from bot.store.redis_records import RedisRecords
from bot.store.sentinels import watch

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SLOTS = 16384


def free_port():
    """A port whose neighbour 10000 above, on which a cluster's nodes talk, exists as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        if port < 55_000:
            return port


@contextmanager
def server(directory, *options):
    process = subprocess.Popen(
        [find_binary(), *options, "--bind", "127.0.0.1", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(question, limit=60.0):
    async with asyncio.timeout(limit):
        while True:
            try:
                async with answering():
                    if await question():
                        return
            except JournalAway:
                pass
            await asyncio.sleep(0.05)


async def exercise(journal, records):
    incident, is_new = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    assert is_new
    for n in range(5):
        await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", f"n{n}", once=f"n{n}"))
    assert not (await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "n1", once="n1"))).added
    assert await journal.incidents() == (incident,)
    assert await journal.current("C1") == incident
    closed = await journal.close(incident.id, by="U1", at=NOON)
    assert await journal.find(incident.id) == closed
    assert verify([entry async for entry in journal.entries(incident.id)]) == 7
    await journal.ping()

    await records.put("request", "r", {"a": 1}, ttl=timedelta(hours=1))
    assert await records.update("request", "r", {"b": 2}) == {"a": 1, "b": 2}
    assert await records.update("request", "r", {"b": 3}, and_is={"a": 1, "b": 2}, durably=True) == {"a": 1, "b": 3}
    assert await records.update("request", "r", {"b": 4}, and_is={"a": 2}, durably=True) is None
    lease = {"holder": "a", "ttl": timedelta(hours=1), "record": ("request", "r")}
    assert await records.take_and_get("lease", "s", **lease) == (True, {"a": 1, "b": 3})
    assert await records.once("event", "e", ttl=timedelta(hours=1))
    assert await records.take("unlock", "s", holder="a", ttl=timedelta(hours=1))
    await records.give_back("unlock", "s", holder="a")
    assert await records.accept("command/1", {"a": 1}, lease=timedelta(milliseconds=1), ttl=timedelta(hours=1))
    await asyncio.sleep(0.01)
    (taken,) = await records.take_up(kept=(), lease=timedelta(seconds=15), limit=9)
    assert taken.what == {"a": 1}
    await records.settle(taken.name, remember=timedelta(milliseconds=1))


@pytest.fixture
async def cluster_url(directory):
    ports = [free_port() for _ in range(2)]
    homes = [directory / str(port) for port in ports]
    for home in homes:
        home.mkdir()
    options = [["--port", str(port), "--cluster-enabled", "yes", "--save", ""] for port in ports]
    with server(homes[0], *options[0]), server(homes[1], *options[1]):
        nodes = [connect(f"redis://127.0.0.1:{port}") for port in ports]
        for half, node in enumerate(nodes):
            await until(node.ping)
            slots = range(half * SLOTS // 2, (half + 1) * SLOTS // 2)
            await node.execute_command("CLUSTER", "ADDSLOTS", *slots)
        await nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", ports[1])
        for node in nodes:
            await until(lambda node=node: is_whole(node))
            await node.aclose()
        yield f"redis+cluster://127.0.0.1:{ports[0]}"


async def is_whole(node):
    info = str(await node.execute_command("CLUSTER", "INFO"))
    return "cluster_state:ok" in info or "'cluster_state': 'ok'" in info


async def test_a_cluster_of_two_takes_every_script(cluster_url, make_journal, make_client):
    for _ in range(3):
        client = make_client(cluster_url)
        await exercise(make_journal(cluster_url), RedisRecords(client, rng=random.Random()))
        await client.delete("tflock:incidents")
        await client.delete("tflock:once:event:e")


async def test_a_cluster_is_reached_while_one_of_the_hosts_named_is_away(cluster_url, make_journal, make_client):
    url = cluster_url.replace("://", f"://127.0.0.1:{free_port()},")
    await exercise(make_journal(url), RedisRecords(make_client(url), rng=random.Random()))


async def test_the_queue_reaches_it_too(cluster_url):
    await work_through(cluster_url.replace("://", f"://127.0.0.1:{free_port()},"))


async def test_the_doctor_reads_a_cluster(cluster_url, make_client):
    found = await measured(make_client(cluster_url))

    assert found.appendonly is False


async def test_the_master_is_found_through_a_sentinel(directory, make_journal, make_client):
    port, sentinel_port = free_port(), free_port()
    config = directory / "sentinel.conf"
    config.write_text(f"port {sentinel_port}\nsentinel monitor mymaster 127.0.0.1 {port} 1\n")
    master = ["--port", str(port), "--save", "", "--requirepass", "hunter2"]
    url = f"redis+sentinel://:hunter2@127.0.0.1:{sentinel_port}/mymaster/2"
    with server(directory, *master), server(directory, str(config), "--sentinel"):
        client = make_client(url)
        await until(client.ping)
        await exercise(make_journal(url), RedisRecords(client, rng=random.Random()))

        await work_through(url)
        found = await watch(client)
        assert (found.named, found.away, found.known, found.quorum, found.trouble) == (1, (), 1, 1, "")
        # the first Sentinel that is named is away
        beside = url.replace("@127", f"@127.0.0.1:{free_port()},127").replace("/2", "/3")
        await exercise(make_journal(beside), RedisRecords(make_client(beside), rng=random.Random()))
        await work_through(beside)
        assert len((await watch(make_client(beside))).away) == 1

    with pytest.raises(JournalAway):
        await make_journal(url).ping()


async def work_through(url):
    done = asyncio.Event()

    async def job() -> None:
        done.set()

    docket = open_docket(url)
    docket.register(job)
    async with asyncio.timeout(60), docket, Worker(docket) as worker:
        await docket.add("job", key="k")()
        await worker.run_until_finished()
    assert done.is_set()

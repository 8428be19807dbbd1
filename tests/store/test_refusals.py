"""What a real Redis answers when it does not do what is asked becomes words with a fix, and never "away"."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import ResponseError, SlotNotCoveredError

from bot.errors import JournalAway, JournalRefused
from bot.store.connect import answering, connect
from bot.store.redis_records import RedisRecords
from bot.store.refusals import away
from tests.store.test_topologies import free_port, is_whole, server, until

HOUR = timedelta(hours=1)


async def written(client):
    await RedisRecords(client, rng=random.Random()).put("request", "r", {"a": 1}, ttl=HOUR)


async def leased(client):
    """In a pipeline, of which redis-py tells the command as well."""
    records = RedisRecords(client, rng=random.Random())
    return await records.take_and_get("unlock", "u", holder="worker-1", ttl=HOUR, record=("request", "r"))


@pytest.fixture
async def redis(directory, make_client):
    """A Redis with a port, so that users can log in, and its first client."""
    port = free_port()
    with server(directory, "--port", str(port), "--save", "", "--dbfilename", "d.rdb"):
        client = make_client(f"redis://127.0.0.1:{port}")
        await until(client.ping)
        yield client


def port_of(client):
    return client.connection_pool.connection_kwargs["port"]


def as_user(client, make_client, name="tflock", password="hunter2"):
    return make_client(f"redis://{name}:{password}@127.0.0.1:{port_of(client)}")


@pytest.mark.parametrize(
    ("rights", "named"),
    [
        ("~tflock:* +@all -eval -evalsha", "evalsha"),
        ("~other:* +@all", "keys"),
        ("~tflock:* +@all -hset", "user"),  # inside the script
    ],
)
async def test_a_right_that_is_missing_is_named(redis, make_client, rights, named):
    await redis.execute_command("ACL", "SETUSER", "tflock", "on", ">hunter2", "resetchannels", *rights.split())
    client = as_user(redis, make_client)

    with pytest.raises(JournalRefused, match="NOPERM") as refused:
        await written(client)

    assert named in str(refused.value)
    assert "docs/security.md" in refused.value.fix
    assert "hunter2" not in str(refused.value)
    await redis.execute_command("ACL", "SETUSER", "tflock", "~tflock:*", "+@all")
    await written(client)


async def test_a_wrong_password_is_a_refused_login(redis, make_client):
    await redis.execute_command("ACL", "SETUSER", "tflock", "on", ">hunter2", "~*", "+@all")

    with pytest.raises(JournalRefused, match="refuses the login"):
        await written(as_user(redis, make_client, password="hunter3"))
    await written(as_user(redis, make_client))


async def test_a_full_memory_is_named(redis):
    records = RedisRecords(redis, rng=random.Random())
    await redis.config_set("maxmemory", "1")

    with pytest.raises(JournalRefused, match="memory is full") as refused:
        await records.once("event", "e", ttl=HOUR)

    assert "maxmemory" in refused.value.fix
    await redis.config_set("maxmemory", "0")
    assert await records.once("event", "e", ttl=HOUR)


async def test_a_disk_that_takes_no_snapshot_is_named(redis, directory):
    (directory / "d.rdb").mkdir()
    await redis.config_set("save", "3600 1")
    await redis.execute_command("BGSAVE")

    async def failed():
        return (await redis.info("persistence"))["rdb_last_bgsave_status"] == "err"

    await until(failed)

    with pytest.raises(JournalRefused, match="can't write to its disk") as refused:
        await written(redis)

    assert "disk" in refused.value.fix
    await redis.config_set("stop-writes-on-bgsave-error", "no")
    await written(redis)


async def test_too_few_replicas_and_a_replica_itself_are_named(redis):
    await redis.config_set("min-replicas-to-write", "1")
    with pytest.raises(JournalRefused, match="min-replicas-to-write"):
        await written(redis)
    with pytest.raises(JournalRefused, match="min-replicas-to-write") as refused:
        await leased(redis)
    assert "worker-1" not in str(refused.value)
    await redis.config_set("min-replicas-to-write", "0")
    assert await leased(redis) == (True, None)

    await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(JournalRefused, match="replica"):
        await written(redis)
    await redis.execute_command("REPLICAOF", "NO", "ONE")
    await written(redis)


async def test_connections_that_redis_takes_no_more_of_are_named(redis, make_client):
    await redis.config_set("maxclients", "1")
    late, fixes = make_client(f"redis://127.0.0.1:{port_of(redis)}"), list[str]()

    async def is_named():
        """Redis hangs up as soon as it has said so: a question that is sent after that finds a lost connection."""
        with suppress(JournalAway):
            try:
                await written(late)
            except JournalRefused as refused:
                fixes.append(refused.fix if "no more connections" in str(refused) else str(refused))
        return fixes

    await until(is_named)

    assert "maxclients" in fixes[0]
    await redis.config_set("maxclients", "1000")
    await written(late)


async def test_a_redis_that_is_still_loading_is_named(directory, make_client):
    port = free_port()
    options = ("--port", str(port), "--save", "", "--dbfilename", "d.rdb", "--rdbcompression", "no")
    with server(directory, *options):
        client = make_client(f"redis://127.0.0.1:{port}")
        await until(client.ping)
        for start in range(0, 3_000, 100):
            await client.mset({str(number): "x" * 1_100 for number in range(start, start + 100)})
        await client.execute_command("SAVE")
    slow = ("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")
    with server(directory, *options, *slow):
        client = make_client(f"redis://127.0.0.1:{port}")

        async def is_loading():
            return (await client.info("persistence"))["loading"]

        await until(is_loading)
        with pytest.raises(JournalRefused, match="still loading") as refused:
            await written(client)

        assert "wait" in refused.value.fix
        await client.config_set("key-load-delay", "0")
        await until(client.ping)
        await written(client)


async def test_a_cluster_without_all_its_slots_is_named(directory, make_client):
    port = free_port()
    with server(directory, "--port", str(port), "--cluster-enabled", "yes", "--save", ""):
        node = make_client(f"redis://127.0.0.1:{port}")
        await until(node.ping)
        await node.execute_command("CLUSTER", "ADDSLOTS", *range(8000))

        with pytest.raises(JournalRefused, match="slots"):
            await written(make_client(f"redis+cluster://127.0.0.1:{port}"))

        await node.execute_command("CLUSTER", "ADDSLOTS", *range(8000, 16384))

        await until(lambda: is_whole(node))
        await written(make_client(f"redis+cluster://127.0.0.1:{port}"))


@pytest.mark.parametrize("error", [NoConnection("Error 111"), OSError("no route"), ValueError("odd")])
def test_what_is_no_answer_of_redis_is_away(error):
    assert type(away(error)) is JournalAway


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("MISCONF Errors writing to the AOF file: No space left on device", "can't write to its disk: Errors writing"),
        (
            "Command # 1 (HSET k a ('b') of pipeline) of pipeline caused error: ('MISCONF Errors writing',)",
            "can't write to its disk: Errors writing",
        ),
        (
            "Error running script (call to f_6b1b): @user_script:1: @user_script: 7: -MISCONF Redis is configured to",
            "can't write to its disk: Redis is configured to",
        ),
        (
            "Error running script (call to f_6b1b): @user_script:1: @user_script: 7: -OOM command not allowed when",
            "memory is full: command not allowed when",
        ),
        ("Transaction discarded because of: MISCONF Errors writing to the AOF", "can't write to its disk: Errors"),
        ("Transaction discarded because of: READONLY You can't write", "takes no writes: You can't write"),
    ],
    ids=["plain", "pipeline", "script of 6.2", "memory in a script of 6.2", "transaction", "replica in a transaction"],
)
def test_what_redis_said_is_named_whatever_it_is_wrapped_in(said, words):
    error = away(ResponseError(said))

    assert isinstance(error, JournalRefused)
    assert words in str(error)
    assert "user_script" not in str(error)


def test_other_answers_are_away_without_the_command_that_they_are_about():
    said = "Command # 2 (HSET tflock:record:x reason secret) of pipeline caused error: ('WRONGTYPE Operation',)"

    assert type(error := away(ResponseError(said))) is JournalAway
    assert str(error) == "Redis: WRONGTYPE Operation"


def test_a_slot_without_a_node_is_the_cluster_s():
    assert isinstance(away(SlotNotCoveredError("Slot 7 is not covered")), JournalRefused)


async def test_nobody_listening_stays_away():
    client = connect("redis://127.0.0.1:1")
    with pytest.raises(JournalAway) as gone:
        async with answering():
            await client.get("x")
    assert not isinstance(gone.value, JournalRefused)
    await client.aclose()

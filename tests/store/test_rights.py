"""The ACL of the docs gives a real Redis's user all that the product does there, and each thing that lacks is named."""

import asyncio
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docket
import pytest
from docket import Worker

from bot.core.record.timeline import Draft, Kind
from bot.store import rights, scripts, trial
from bot.store.jobs import DocketJobs, open_docket, waiting
from bot.store.redis_records import RedisRecords
from bot.store.rights import missing_rights
from tests.store.conftest import WallClock
from tests.store.test_topologies import cluster_url, exercise, free_port, server, until  # noqa: F401 - a fixture

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
LOGIN = "tflock:hunter2"


def acl(place: str) -> list[str]:
    """The rights in the command that docs/security.md has for a single Redis or a cluster."""
    lines = re.findall(r"^ *ACL SETUSER tflock on >PASSWORD (.*)$", SECURITY.read_text(), re.MULTILINE)
    return lines[place == "cluster"].split()


async def permit(client, rights, **where):
    await client.execute_command("ACL", "SETUSER", "tflock", "reset", "on", ">hunter2", *rights, **where)


@pytest.fixture
async def redis(directory, make_client):
    port = free_port()
    with server(directory, "--port", str(port), "--save", ""):
        client = make_client(f"redis://127.0.0.1:{port}")
        await until(client.ping)
        yield client, f"redis://{LOGIN}@127.0.0.1:{port}"


async def work_as_the_bot_does(url):
    """Jobs now, later, again and done by a worker that beats its heart; what is left is waited for."""
    done, tried = asyncio.Event(), []

    async def job(*args: str) -> None:
        tried.append(args)
        if args == ("last",):
            done.set()

    docket = open_docket(url)
    docket.register(job)
    async with asyncio.timeout(60), docket:
        jobs = DocketJobs(docket)
        jobs.connected = True
        await jobs.start("job", "first", key="b")
        await jobs.start("job", "last", key="c", at=datetime.now(UTC) + timedelta(milliseconds=200))
        async with Worker(docket, redelivery_timeout=timedelta(seconds=1)) as worker:
            await worker.run_until_finished()
    assert done.is_set()
    assert tried == [("first",), ("last",)]
    assert (await waiting(open_docket(url), datetime.now(UTC)))[0] == 0


async def test_the_rights_of_the_docs_are_enough_for_all_that_the_product_does(redis, make_journal, make_client):
    root, url = redis
    await permit(root, acl("single"))

    await exercise(make_journal(url), RedisRecords(make_client(url), rng=random.Random()))
    await secured(make_journal(url))
    await work_as_the_bot_does(url)
    assert await missing_rights(make_client(url), open_docket(url), "t") == ()
    assert await root.execute_command("ACL", "LOG") == [], "nothing was refused on the way"


async def secured(journal):
    incident, _ = await journal.open(channel="C2", title="prod", by="U1", at=datetime.now(UTC))
    await journal.append(incident.id, Draft(datetime.now(UTC), Kind.NOTE_ADDED, "U1", "a note"))
    await journal.secure(incident.id, "1")
    assert await journal.tail(incident.id, 1)
    assert [item async for item in journal.entries(incident.id)]


async def test_the_rights_of_the_docs_are_enough_in_a_cluster(cluster_url, make_journal, make_client):  # noqa: F811
    root = make_client(cluster_url)
    await permit(root, acl("cluster"), target_nodes="all")
    url = cluster_url.replace("://", f"://{LOGIN}@")

    await exercise(make_journal(url), RedisRecords(make_client(url), rng=random.Random()))
    await secured(make_journal(url))
    await work_as_the_bot_does(url)
    assert await missing_rights(make_client(url), open_docket(url), "t") == ()


async def test_all_that_is_tried_is_gone_afterwards(redis, make_client):
    root, url = redis
    await permit(root, acl("single"))
    client = make_client(url)

    await missing_rights(client, open_docket(url), "t")
    await trial.write_and_read(client, "t", clock=WallClock(), rng=random.Random())
    assert await trial.run_a_job(open_docket(url, name="tflock-jobs:doctor-t"), within=60)

    assert await root.keys() == []


def test_every_command_of_a_script_is_tried():
    texts = [
        Path(scripts.__file__).read_text(),
        *(path.read_text() for path in Path(docket.__file__).parent.rglob("*.lua")),
    ]
    called = {name for text in texts for name in re.findall(r"redis\.p?call\('(\w+)'", text)}

    assert {"XADD", "TIME", "PUBLISH"} <= called
    assert called <= {line.split()[0] for line in rights._COMMANDS.strip().splitlines()}


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ("-publish", "command PUBLISH"),
        ("-xautoclaim", "command XAUTOCLAIM"),
        ("-exec", "command EXEC"),
        ("-script", "command SCRIPT LOAD"),
        ("-zrangebyscore", "command ZRANGEBYSCORE"),
        ("resetchannels", "channels *"),
    ],
)
async def test_one_right_less_is_named(redis, make_client, taken, named):
    root, url = redis
    await permit(root, [*acl("single"), taken])

    assert named in await missing_rights(make_client(url), open_docket(url), "t")


async def test_keys_that_may_only_be_read_are_named(redis, make_client):
    root, url = redis
    await permit(root, [right for right in acl("single") if not right.startswith("~")] + ["%R~*"])

    assert await missing_rights(make_client(url), open_docket(url), "t") == ("keys tflock:*", "keys tflock-jobs:*")

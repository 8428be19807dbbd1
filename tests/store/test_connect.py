"""From REDIS_URL to a client."""

import asyncio
import socket

import pytest

from bot.errors import ConfigInvalid, JournalAway
from bot.store.connect import answering, connect, entered, masked
from tests.worlds.own_time import own_time

URLS = [
    "redis://quinn:hunter2@redis.example.com:7000/3",
    "redis://:hunter2@redis.example.com",
    "rediss://quinn:hunter2@redis.example.com:7000?ssl_cert_reqs=none",
    "unix:///run/redis.sock?db=1&password=hunter2",
    "redis+sentinel://quinn:hunter2@a:1,[::1]:2,c/mymaster/4?sentinel_password=hunter2",
    "rediss+sentinel://quinn:hunter2@a/mymaster",
    "redis+cluster://quinn:hunter2@127.0.0.1:7000",
    "rediss+cluster://quinn:hunter2@127.0.0.1:7000/0",
    "redis+cluster://quinn:hunter2@a:7000,[::1]:7001,c/0?max_connections=7",
]


@pytest.fixture(autouse=True)
def redis_deadline():
    """The product's own, which some of these measure."""


@pytest.mark.parametrize("url", URLS)
async def test_every_form_makes_a_client_that_hides_its_password(url):
    client = connect(url)

    assert "hunter2" not in f"{client!r} {client} {masked(url)}"
    await client.aclose()


async def test_a_sentinel_url_names_its_watchers_service_and_database():
    client = connect("redis+sentinel://quinn:p%40ss@a:1,[::1]:2,c/mymaster/4?sentinel_password=other&max_connections=7")
    pool = client.connection_pool
    watchers = [node.connection_pool.connection_kwargs for node in pool.sentinel_manager.sentinels]

    assert [(node["host"], node["port"]) for node in watchers] == [("a", 1), ("::1", 2), ("c", 26379)]
    assert {node["password"] for node in watchers} == {"other"}
    assert pool.service_name == "mymaster"
    assert pool.max_connections == 7
    assert pool.connection_kwargs["db"] == 4
    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == ("quinn", "p@ss")
    await client.aclose()


async def test_a_cluster_url_names_several_hosts():
    client = connect("rediss+cluster://quinn:p%40ss@a:7000,[::1]:7001,c/0?max_connections=7")

    assert [(node.host, node.port) for node in client.startup_nodes] == [("a", 7000), ("::1", 7001), ("c", 6379)]
    assert client.connection_kwargs["max_connections"] == 7
    assert (client.connection_kwargs["username"], client.connection_kwargs["password"]) == ("quinn", "p@ss")
    await client.aclose()


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@a:1/3", "redis+cluster://:hunter2@a:1/0", "redis+sentinel://a:1,b:2/mymaster"]
)
async def test_only_a_cluster_of_several_hosts_is_entered_by_one_of_them(url):
    assert await entered(url) == url


async def test_a_cluster_is_entered_by_the_first_host_that_answers():
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        url = f"redis+cluster://quinn:hunter2@127.0.0.1:1,127.0.0.1:{port}/0?max_connections=7"

        assert await entered(url) == f"redis+cluster://quinn:hunter2@127.0.0.1:{port}/0?max_connections=7"
    assert await entered(url) == "redis+cluster://quinn:hunter2@127.0.0.1:1/0?max_connections=7"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://h",
        "redis://",
        "redis://h:port",
        "redis://:hunter2/x@h",
        "redis://:hunter2#x@h",
        "redis://h/first",
        "redis://h?colour=hunter2",
        "redis://h?socket_timeout=hunter2",
        "unix://",
        "redis+sentinel://a:1",
        "redis+sentinel:///mymaster",
        "redis+sentinel://a:b/mymaster",
        "redis+sentinel://a/mymaster/first",
        "redis+cluster://h/1",
        "redis+cluster://",
        "redis+cluster://a:7000,",
        "redis+cluster://a:7000,b:port",
        "redis+cluster://127.0.0.1?colour=hunter2",
    ],
)
def test_a_url_that_cannot_be_one_is_refused_without_repeating_its_secrets(url):
    with pytest.raises(ConfigInvalid) as caught:
        connect(url)

    (problem,) = caught.value.problems
    assert problem.startswith("REDIS_URL")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://quinn:hunter2@h:1/3", "redis://h:1/3"),
        ("redis://h:1?password=hunter2", "redis://h:1"),
        ("redis://:hun?ter2@h", "redis://…"),
        ("redis://h?password=a@b", "redis://…"),
    ],
)
def test_a_masked_url_has_no_login(url, shown):
    assert masked(url) == shown


async def test_nobody_listening_is_said_at_once():
    client = connect("redis://127.0.0.1:1")
    async with own_time() as spent:
        with pytest.raises(JournalAway):
            async with answering():
                await client.get("x")

    assert spent.seconds < 3
    await client.aclose()


async def test_a_server_that_never_answers_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        async with own_time() as spent:
            with pytest.raises(JournalAway):
                async with answering():
                    await client.get("x")

        assert spent.seconds < 3
        await client.aclose()


async def test_the_time_limit_of_the_caller_stays_the_callers():
    with pytest.raises(asyncio.CancelledError):
        async with answering():
            raise asyncio.CancelledError

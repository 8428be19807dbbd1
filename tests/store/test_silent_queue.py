"""A Redis that says nothing, not even that it is away, as behind a link that was cut by a fail-over."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bot.errors import JournalAway
from bot.store.connect import connect
from bot.store.jobs import DocketJobs, open_docket
from tests.store.test_topologies import free_port, server, until


async def job(name: str) -> None:
    """Nobody does it."""


@asynccontextmanager
async def queue(directory):
    """The jobs of a process that has not said yet whether its queue is connected, and their Redis."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with server(directory, "--port", str(port), "--save", "") as process:
        client = connect(url)
        await until(client.ping)
        await client.aclose()
        async with open_docket(url) as docket, asyncio.timeout(60):
            docket.register(job)
            yield DocketJobs(docket), process


async def test_who_starts_a_job_hears_that_redis_is_silent(directory):
    async with queue(directory) as (jobs, process):
        jobs.connected = True
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(JournalAway):
            await jobs.start("job", "a", key="a")

        process.send_signal(signal.SIGCONT)
        await jobs.start("job", "b", key="b")


@pytest.mark.parametrize("trouble", [None, JournalAway("Redis: it has no disk")])
async def test_what_an_earlier_process_acked_waits_until_the_queue_was_tried(directory, trouble):
    async with queue(directory) as (jobs, _):
        starting = asyncio.create_task(jobs.start("job", "a", key="a"))
        done, _ = await asyncio.wait({starting}, timeout=0.1)
        assert not done

        jobs.connected, jobs.trouble = trouble is None, trouble
        jobs.tried.set()

        if trouble:
            with pytest.raises(JournalAway, match="it has no disk"):
                await starting
        else:
            await starting


async def test_a_connection_that_the_system_gave_up_is_an_error_and_not_a_message_that_is_still_to_come(directory):
    """As a link that was cut without a word ends: 20 s later, by `TCP_USER_TIMEOUT`."""
    async with queue(directory) as (jobs, _), jobs._docket._pubsub() as listening:
        await listening.psubscribe("cancel:*")
        assert await listening.get_message(timeout=10)
        assert await listening.get_message(timeout=0.01) is None

        way = listening.connection._writer.transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            assert way.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        listening.connection._reader.set_exception(OSError(errno.ETIMEDOUT, "Connection timed out"))

        with pytest.raises(RedisConnectionError, match="timed out"):
            await listening.connection.read_response(timeout=0.01)

"""A Redis that says nothing, not even that it is away, as behind a link that was cut by a fail-over."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager

import pytest

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

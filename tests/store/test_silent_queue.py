"""A Redis that says nothing, not even that it is away, as behind a link that was cut by a fail-over."""

from __future__ import annotations

import asyncio
import signal

import pytest

from bot.errors import JournalAway
from bot.store.connect import connect
from bot.store.jobs import DocketJobs, open_docket
from tests.store.test_topologies import free_port, server, until


async def test_who_starts_a_job_hears_that_redis_is_silent(directory):
    async def job(name: str) -> None:
        """Nobody does it."""

    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with server(directory, "--port", str(port), "--save", "") as process:
        client = connect(url)
        await until(client.ping)
        await client.aclose()
        async with open_docket(url) as docket, asyncio.timeout(60):
            docket.register(job)
            jobs = DocketJobs(docket)
            jobs.connected = True
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(JournalAway):
                await jobs.start("job", "a", key="a")

            process.send_signal(signal.SIGCONT)
            await jobs.start("job", "b", key="b")

"""Answers a second under a steady stream of commands, against what the same bot works off when no more come in."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from tests.bench.test_bench_ack import ASKER, signed_commands
from tests.worlds.stage import FullStage

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

A_SECOND, SECONDS, ROUNDS = 50, 6, 3
AT_ONCE = 100


async def answered(world: FullStage, count: int, *, every: float) -> float:
    """Sends so many, one `every` so many seconds; answers a second, from the first request to the last answer.

    What is over the bound of what may wait is answered in its ack, and does not count.
    """
    before, refused = len(world.slack.ephemerals(ASKER)), list[int]()

    async def send(body: bytes, headers: dict[str, str]) -> None:
        async with session.post(f"{world.url}/slack/events", data=body, headers=headers) as answer:
            assert answer.status == 200
            refused.extend([1] if await answer.read() else [])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started, sending = time.perf_counter(), []
        for number, request in enumerate(signed_commands(world.slack, "status staging", count)):
            await asyncio.sleep(max(0.0, started + number * every - time.perf_counter()))
            sending.append(asyncio.create_task(send(*request)))
        await asyncio.gather(*sending)
        wanted = count - len(refused)
        await world.slack.wait_for(lambda: len(world.slack.ephemerals(ASKER)) >= before + wanted, timeout=300)
    return wanted / (time.perf_counter() - started)


async def test_a_steady_stream_is_worked_off_as_fast_as_a_backlog_that_gets_nothing_more(
    world: FullStage, bench: Any
) -> None:
    await world.dead_lock()

    async def steady() -> float:
        return await answered(world, A_SECOND * SECONDS, every=1 / A_SECOND)

    async def alone() -> float:
        return await answered(world, AT_ONCE, every=0)

    await alone()
    found = await bench.in_turns(ROUNDS, steady=steady, alone=alone)

    mine, its = found.median("steady"), found.median("alone")
    bench.compared(
        f"answers, {A_SECOND} commands a second",
        f"steady {mine:.1f}/s, nothing more coming in {its:.1f}/s",
        ratio=f"ratio {mine / its:.2f}",
        target=">= 0.7",
    )

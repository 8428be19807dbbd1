"""Acks a second of the real bot, against an app that does nothing but ack."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.sandbox.machine.process import free_port
from bot.sandbox.slack import payloads
from bot.sandbox.slack.dispatch import EnvelopeKind, Signing, encoded
from bot.sandbox.stage import CHANNEL
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

AT_ONCE = 50
REQUESTS = 400
ROUNDS = 4
ASKER = "U0PARKER"


@asynccontextmanager
async def bare_app(slack: FullWorkspace) -> AsyncIterator[str]:
    """The address of a running `bare_app.py`."""
    port = free_port()
    program = Path(__file__).with_name("bare_app.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, str(port), slack.signing_secret, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        await slack.wait_for(lambda: _listens(port), timeout=30)
        yield f"http://127.0.0.1:{port}/slack/events"
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def signed_commands(slack: FullWorkspace, text: str, count: int) -> list[tuple[bytes, dict[str, str]]]:
    """Real requests, each with a trigger and a response URL of its own."""
    actions = slack.api_url.removesuffix("api/") + "actions/"
    signing = Signing(slack.signing_secret)
    requests = []
    for _ in range(count):
        url = actions + slack.team.response(CHANNEL, ASKER, None)
        fields = payloads.command(
            slack.team, user=ASKER, channel=CHANNEL, command_name="/tflock", text=text, response_url=url
        )
        body, content_type = encoded(EnvelopeKind.COMMAND, fields)
        requests.append((body, {"Content-Type": content_type, **signing.headers(body, time.time())}))
    return requests


async def acks_a_second(url: str, requests: list[tuple[bytes, dict[str, str]]]) -> float:
    """Sends all requests, `AT_ONCE` at the same time. Every one has to be acked."""
    statuses: list[int] = []

    async def send(left: Iterator[tuple[bytes, dict[str, str]]]) -> None:
        for body, headers in left:
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
                statuses.append(answer.status)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        left = iter(requests)
        started = time.perf_counter()
        await asyncio.gather(*(send(left) for _ in range(AT_ONCE)))
        seconds = time.perf_counter() - started
    assert statuses == [200] * len(requests)
    return len(requests) / seconds


def answers(world: FullStage, before: int, count: int) -> Callable[[], bool]:
    return lambda: len(world.slack.ephemerals(ASKER)) >= before + count


@pytest.mark.parametrize("text", ["help", "status staging"])
async def test_the_bot_acks_fifty_requests_at_once_nearly_as_fast_as_an_app_that_only_acks(
    world: FullStage, bench: Any, text: str
) -> None:
    await world.dead_lock()

    async def bot() -> float:
        before = len(world.slack.ephemerals(ASKER))
        rate = await acks_a_second(f"{world.url}/slack/events", signed_commands(world.slack, text, REQUESTS))
        await world.slack.wait_for(answers(world, before, REQUESTS), timeout=120)
        return rate

    async with bare_app(world.slack) as url:

        async def bare() -> float:
            return await acks_a_second(url, signed_commands(world.slack, text, REQUESTS))

        await bare()  # both have imported and connected everything
        await bot()
        found = await bench.in_turns(ROUNDS, bare=bare, bot=bot)

    mine, its = found.median("bot"), found.median("bare")
    bench.compared(
        f"acks, 50 at once, `{text}`",
        f"bot {mine:.0f}/s, bare Bolt app {its:.0f}/s (best {found.most('bot'):.0f}, {found.most('bare'):.0f})",
        ratio=f"ratio {mine / its:.2f}",
        target=">= 0.8",
    )
    assert len(world.slack.ephemerals(ASKER)) == (ROUNDS + 1) * REQUESTS

"""Steady commands for a long time: what the bot's processes and Redis hold at its end, against what they held early.

`SOAK_MINUTES` says for how long, `make soak` for 30 minutes; without it a minute shows that the soak itself works.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.slack.text import flat
from bot.store.connect import connect
from bot.store.embedded import attached_url
from tests.worlds.key_families import families, without_bound
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]

MINUTES = float(os.environ.get("SOAK_MINUTES", "1"))
A_SECOND = 3
CHANNELS = 6
ASKER = "U0PARKER"
TURNS = (
    "status staging", "who staging", "note seen again", "status", "unlock staging --dry-run", "timeline", "help",
    "status production", "watch staging", "policy staging", "explain", "title still locked", "queue", "open again",
)  # fmt: skip
FEW = 40
"""Every so many commands an incident is closed and the next one begins."""
MOST_GROWTH = 1.25


def megabytes(pid: int) -> float:
    """The memory that a process has in use. Linux only."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text("utf-8"))
    return int(found[1]) / 1024 if found else 0.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[FullStage]:
    processes = ("worker", "serve --no-worker")
    settings = {"watch": {"every": "1m"}}
    async with stage(tmp_path, slack=FullWorkspace(ack_timeout=30), processes=processes, settings=settings) as made:
        yield made


async def test_neither_the_processes_nor_redis_grow_with_what_was_answered(world: FullStage) -> None:
    await world.dead_lock()
    channels = [f"C0SOAK{number}" for number in range(CHANNELS)]
    for number, channel in enumerate(channels):
        world.slack.add_channel(channel, f"inc-soak-{number}", [ASKER, "U0QUINN"])
    client = connect(attached_url(world.var))
    rows, begun, sent, refused = list[dict[str, float]](), time.monotonic(), 0, list[str]()

    async def look() -> None:
        said = await client.info("memory")
        found = await families(client)
        row = {
            "minute": round((time.monotonic() - begun) / 60, 1),
            "commands": sent,
            **{name: round(megabytes(bot.pid), 1) for name, bot in world.bots.items()},
            "redis": round(int(said["used_memory"]) / 2**20, 2),
            "keys": sum(one.keys for one in found.values()),
            "lasting": sum(len(one.lasting) for one in found.values()),
        }
        rows.append(row)
        print(row, flush=True)  # noqa: T201 - the curve is what a soak is for

    async def send(text: str, channel: str) -> None:
        delivery = await world.slack.command(ASKER, channel, text)
        if not delivery.is_acked:
            refused.append(text)

    sending, next_look = set[asyncio.Task[None]](), 0.0
    texts = itertools.cycle(TURNS)
    while (passed := time.monotonic() - begun) < MINUTES * 60:
        if passed >= next_look:
            await look()
            next_look += 60 if MINUTES > 2 else 15
        channel = channels[sent % CHANNELS]
        task = asyncio.create_task(send("close" if sent % FEW == FEW - 1 else next(texts), channel))
        sending.add(task)
        task.add_done_callback(sending.discard)
        sent += 1
        await asyncio.sleep(1 / A_SECOND)
    await asyncio.gather(*sending)
    await look()
    growing = await without_bound(client)
    await client.aclose()

    answers = [flat(message) for channel in channels for message in world.slack.ephemerals(ASKER, channel)]
    assert not refused
    assert not growing
    assert len(answers) > sent / 3
    settled = next(row for row in rows if row["minute"] >= min(10, MINUTES / 3))
    for name in world.bots:
        assert rows[-1][name] < settled[name] * MOST_GROWTH, rows

"""An append to a timeline, against a bare XADD of the same bytes by the same client to the same server.

Both write to streams of 100,000 entries. Many writers write either to one timeline or to one each.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.core.record.timeline import Draft, Kind
from bot.store.chain import log_key
from bot.store.connect import Client, connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal
from tests.worlds.clocks import WallClock

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

ROUNDS = 15
ENTRIES = 200
WRITERS = 16
LONG = 100_000
TOGETHER = 500
SYNCS = ("always", "everysec", "no")
FACTS = {"state": "staging", "lock_id": "6638e4a0-0000-4000-8000-000000000001", "before": None}


@dataclass(frozen=True, slots=True)
class Sides:
    """Both ways to write, on one client."""

    client: Client
    journal: RedisJournal
    incidents: tuple[str, ...]
    fields: dict[str, str]

    async def append(self, incident: str, count: int) -> None:
        for _ in range(count):
            now = datetime.now(UTC)
            await self.journal.append(incident, Draft(now, Kind.LOCK_OBSERVED, "tflock", "staging is locked", FACTS))

    async def xadd(self, incident: str, count: int) -> None:
        for _ in range(count):
            await self.client.xadd(f"bare:{incident}", self.fields)


@pytest.fixture
async def sides() -> AsyncIterator[Sides]:
    with tempfile.TemporaryDirectory(prefix="tf-") as directory:
        async with redis_for(None, Path(directory)) as url:
            client = connect(url)
            try:
                yield await begun(client)
            finally:
                await client.aclose()


async def begun(client: Client) -> Sides:
    journal, now = RedisJournal(client, clock=WallClock(), rng=random.Random()), datetime.now(UTC)
    opened = [await journal.open(channel=f"C{n}", title="bench", by="U0PARKER", at=now) for n in range(WRITERS)]
    incidents = tuple(incident.id for incident, _ in opened)
    sides = Sides(client, journal, incidents, {})
    await client.config_set("appendfsync", "no")
    for _ in range(LONG // TOGETHER):
        await asyncio.gather(*(sides.append(incidents[0], 1) for _ in range(TOGETHER)))
    written: Any = await client.xrevrange(log_key(incidents[0]), count=1)
    sides = Sides(client, journal, incidents, written[0][1])
    async with client.pipeline(transaction=False) as pipe:
        for _ in range(LONG // TOGETHER):
            for _ in range(TOGETHER):
                pipe.xadd(f"bare:{incidents[0]}", sides.fields)  # type: ignore[arg-type]  # redis-py's mapping is invariant
            await pipe.execute()
    return sides


@pytest.mark.parametrize(
    ("writers", "timelines"),
    [(1, 1), (WRITERS, 1), (WRITERS, WRITERS)],
    ids=["one", f"{WRITERS} on one timeline", f"{WRITERS} on {WRITERS}"],
)
async def test_an_append_costs_little_more_than_a_bare_xadd(
    sides: Sides, bench: Any, writers: int, timelines: int
) -> None:
    each = ENTRIES // writers
    targets = [sides.incidents[n % timelines] for n in range(writers)]
    before = await entries_in(sides)

    async def seconds(write: Any) -> float:
        started = time.perf_counter()
        await asyncio.gather(*(write(incident, each) for incident in targets))
        return (time.perf_counter() - started) / (each * writers)

    for sync in SYNCS:
        await sides.client.config_set("appendfsync", sync)
        found = await bench.in_turns(ROUNDS, append=lambda: seconds(sides.append), xadd=lambda: seconds(sides.xadd))
        mine, its = found.median("append"), found.median("xadd")
        bench.compared(
            f"append, {sync}, {writers} on {timelines}",
            f"append {mine * 1e6:.0f} µs, XADD {its * 1e6:.0f} µs"
            f" (best {found.best('append') * 1e6:.0f}, {found.best('xadd') * 1e6:.0f})",
            ratio=f"ratio {its / mine:.2f}",
            target=">= 0.5",
        )
    after = await entries_in(sides)
    written = len(SYNCS) * ROUNDS * each * writers // timelines
    assert (after[0] - before[0], after[1] - before[1]) == (written, written)


async def entries_in(sides: Sides) -> tuple[int, int]:
    """How many entries the first timeline and its bare counterpart have."""
    (last,) = await sides.journal.tail(sides.incidents[0], 1)
    return int(last.id), await sides.client.xlen(f"bare:{sides.incidents[0]}")

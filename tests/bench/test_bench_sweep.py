"""Ten thousand states: what a sweep and a `status` of all of them cost, beside a look at each on its own."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from bot.app.wiring import wired
from bot.config.load import load
from bot.sandbox.machine.process import free_port
from bot.store.embedded import redis_for
from bot.usecases.decide.inspect import overview
from bot.usecases.watch.sweep import sweep
from bot.usecases.world import World

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

STATES = 10_000
ROUNDS = 3
MOST_CALLS = STATES // 100 + 5
ENVIRON = {
    "SLACK_BOT_TOKEN": "xoxb-bench", "SLACK_SIGNING_SECRET": "bench", "GITHUB_TOKEN": "bench",
    "SLACK_API_URL": "http://127.0.0.1:9/",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    world: World
    stores: str

    async def calls(self) -> dict[str, int]:
        """What the stores were asked since the last time."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.stores}/counts") as answer:
            counts: dict[str, int] = await answer.json()
            return counts


@dataclass(slots=True)
class Cost:
    cpu: float
    seconds: float
    stall: float


async def cost_of(work: Callable[[], Awaitable[object]]) -> Cost:
    """What some work takes of this process, and of the event loop in one piece: so long others wait."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    cpu, started = time.process_time(), time.perf_counter()
    await work()
    cost = Cost(time.process_time() - cpu, time.perf_counter() - started, longest)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return cost


@asynccontextmanager
async def empty_stores() -> AsyncIterator[str]:
    port = free_port()
    program = Path(__file__).with_name("sweep_stores.py")
    process = await asyncio.create_subprocess_exec(sys.executable, program, str(port), stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{port}/counts"):
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "bench")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "bench")
    with tempfile.TemporaryDirectory(prefix="tf-") as directory:
        async with empty_stores() as stores, redis_for(None, Path(directory)) as url:
            pipelines = [{"ci": "github", "repo": "acme/infra", "workflow": "deploy.yml"}]
            states = {
                f"s{number}": {
                    "backend": {
                        "type": "s3", "bucket": "acme-tfstate", "key": f"env/{number}/terraform.tfstate",
                        "dynamodb_table": "acme-tf-locks", "use_lockfile": False,
                    },
                    "pipelines": pipelines,
                }
                for number in range(STATES)
            }  # fmt: skip
            settings = {
                "slack": {"incident_channels": ["C0INCIDENT"]},
                "aws": {"region": "eu-central-1", "endpoint_url": stores},
                "ci": {"github": {"type": "github_actions"}},
                "states": states,
            }
            path = tmp_path / "tflock.yml"
            path.write_text(yaml.dump(settings, Dumper=yaml.CSafeDumper), "utf-8")
            async with wired(load(path, ENVIRON), url) as wiring:
                yield Scene(wiring.world, stores)


async def test_ten_thousand_states_cost_a_sweep_a_second_and_a_hundred_calls(scene: Scene, bench: Any) -> None:
    world = scene.world
    few = tuple(world.states.values())[: STATES // 20]

    async def one_by_one() -> None:
        await asyncio.gather(*(state.backend.read_lock() for state in few))

    async def swept() -> Cost:
        return await cost_of(lambda: sweep(world))

    async def at_a_glance() -> Cost:
        return await cost_of(lambda: overview(world))

    await swept()  # clients, scripts and connections are made
    await scene.calls()
    costs = {"sweep": list[Cost](), "status": list[Cost](), "each": list[Cost]()}
    asked = list[int]()
    for _ in range(ROUNDS):
        costs["sweep"].append(await swept())
        asked.append(sum((await scene.calls()).values()))
        costs["status"].append(await at_a_glance())
        asked.append(sum((await scene.calls()).values()))
        costs["each"].append(await cost_of(one_by_one))
        await scene.calls()

    best = {name: min(found, key=lambda cost: cost.cpu) for name, found in costs.items()}
    each = best["each"].cpu * STATES / len(few)
    for name in ("sweep", "status"):
        cost = best[name]
        bench.compared(
            f"{name} of {STATES:,} states",
            f"CPU {cost.cpu:.2f} s, {cost.seconds:.2f} s, stall {cost.stall * 1e3:.0f} ms, {max(asked)} calls",
            ratio=f"{each / cost.cpu:.0f} times less",
            target="<= 1 s of CPU, <= 50 ms, ~100 calls",
        )
    assert max(asked) <= MOST_CALLS

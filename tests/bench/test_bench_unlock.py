"""From the click to the released lock, against the commands that a person would run instead."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.machine.terraform import write_workspace
from bot.sandbox.slack.team import TeamMessage
from bot.sandbox.stage import CHANNEL, DEPLOY, REPO
from tests.worlds.logs import held
from tests.worlds.stage import FullStage

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

ROUNDS = 5
ASKER = "U0PARKER"


async def new_lock(world: FullStage, number: int) -> str:
    """The lock of a deployment that timed out, as it stands for either side; its ID."""
    created = datetime.now(UTC) - timedelta(hours=2, minutes=20 * number)
    await world.aws.put_state(world.states["staging"].key)
    run = world.runs.start_run(REPO, DEPLOY, at=created - timedelta(minutes=3), actor="elliott-ci")
    world.runs.finish(run.id, "timed_out", at=created + timedelta(minutes=10))
    lock = await world.take_lock("staging", created=created)
    held(run, lock)  # its log shows it as the holder: by time only, a second member would have to agree
    return lock.id


def deletes(world: FullStage) -> int:
    """How many lock items were deleted through the proxy."""
    return sum(entry.status == 200 for entry in world.proxy.calls("dynamodb:DeleteItem"))


async def click_to_release(world: FullStage, checklist: TeamMessage) -> float:
    before = deletes(world)
    started = time.perf_counter()
    await world.slack.click(ASKER, checklist, "unlock.confirm")
    async with asyncio.timeout(60):
        while deletes(world) == before:  # noqa: ASYNC110 - the workspace looks every 10 ms, too coarse for this
            await asyncio.sleep(0.001)
    seconds = time.perf_counter() - started
    await unlocked(world, checklist)
    return seconds


async def unlocked(world: FullStage, checklist: TeamMessage) -> None:
    await world.slack.wait_for(
        lambda: "is unlocked" in str(world.slack.message(CHANNEL, checklist.ts).blocks).lower(), timeout=30
    )
    assert not await world.lock_stands("staging")


async def test_a_click_releases_five_times_as_fast_as_terraform_force_unlock(
    terraform: Path, world: FullStage, bench: Any, tmp_path: Path
) -> None:
    done = 0

    async def bot() -> float:
        nonlocal done
        done += 1
        lock_id = await new_lock(world, done)
        await world.slack.command(ASKER, CHANNEL, "unlock staging")
        return await click_to_release(world, await world.posted(lock_id[:8], "unlock"))

    async def by_hand() -> float:
        nonlocal done
        done += 1
        lock_id = await new_lock(world, done)
        place = write_workspace(
            terraform,
            tmp_path / f"terraform-{done}",
            endpoint=world.proxy.url,
            bucket=world.aws.bucket,
            key=world.states["staging"].key,
            table=world.aws.table,
            lockfile=False,
        )
        started = time.perf_counter()
        await place.init()
        finished = await place.run("force-unlock", "-force", lock_id)
        seconds = time.perf_counter() - started
        assert finished.exit_code == 0, finished.output
        assert not await world.lock_stands("staging")
        return seconds

    first = await new_lock(world, done)
    await world.slack.command(ASKER, CHANNEL, "unlock staging")
    checklist = await world.posted(first[:8], "unlock")
    await world.slack.click(ASKER, checklist, "unlock.confirm")
    await unlocked(world, checklist)  # before the first release the bot tries whether the store honours conditions

    found = await bench.in_turns(ROUNDS, bot=bot, by_hand=by_hand)

    mine, its = found.median("bot"), found.median("by_hand")
    bench.compared(
        "unlock: click to lock gone",
        f"bot {mine * 1000:.0f} ms, init + force-unlock {its * 1000:.0f} ms (best {found.best('bot') * 1000:.0f},"
        f" {found.best('by_hand') * 1000:.0f})",
        ratio=f"{its / mine:.1f} times as fast",
        target=">= 5",
    )

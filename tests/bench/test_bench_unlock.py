"""From the click to the released lock, against the commands that a person would run instead.

PROVIDERS names a directory with one real provider in it, laid out as a filesystem mirror of Terraform's: with it the
commands are also measured in a directory that needs that provider.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
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
READING = 1.0
"""Seconds that a person takes at least before they click: what the bot still does about the question is over then."""

PROVIDERS = Path(os.environ["PROVIDERS"]).absolute() if "PROVIDERS" in os.environ else None


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
    await asyncio.sleep(READING)
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


def needs(directory: Path, mirror: Path) -> None:
    """Lets a directory need the provider that is in the mirror, and get it from there as from a plugin cache.

    The mirror is asked in the registry's place, so that no time on the network counts.
    """
    binary = next(mirror.glob("*/*/*/*/*_*/terraform-provider-*"))
    host, namespace, kind, version, *_ = binary.relative_to(mirror).parts
    wanted = f'{kind} = {{ source = "{host}/{namespace}/{kind}", version = "{version}" }}'
    (directory / "versions.tf").write_text(f"terraform {{\n  required_providers {{\n    {wanted}\n  }}\n}}\n")
    from_mirror = f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n'
    (directory / "terraform.rc").write_text(from_mirror)


async def test_a_click_releases_several_times_as_fast_as_terraform_force_unlock(
    terraform: Path, world: FullStage, bench: Any, tmp_path: Path
) -> None:
    done = 0

    async def bot() -> float:
        nonlocal done
        done += 1
        lock_id = await new_lock(world, done)
        await world.slack.command(ASKER, CHANNEL, "unlock staging")
        return await click_to_release(world, await world.posted(lock_id[:8], "unlock"))

    async def by_hand(mirror: Path | None = None) -> float:
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
        if mirror is not None:
            needs(place.directory, mirror)
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

    sides: dict[str, Callable[[], Awaitable[float]]] = {"bot": bot, "init + force-unlock": by_hand}
    if PROVIDERS is not None:
        sides["the same with a provider"] = partial(by_hand, PROVIDERS)
    found = await bench.in_turns(ROUNDS, **sides)

    mine = found.median("bot")
    for side, target in zip(list(sides)[1:], (4, 12), strict=False):
        its = found.median(side)
        bench.compared(
            "unlock: click to lock gone",
            f"bot {mine * 1000:.0f} ms, {side} {its * 1000:.0f} ms (best {found.best('bot') * 1000:.0f},"
            f" {found.best(side) * 1000:.0f})",
            ratio=f"{its / mine:.1f} times as fast",
            target=f">= {target}",
        )

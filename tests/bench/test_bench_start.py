"""What a start costs: `explain` beside an empty Python, and the bot until it is ready beside an app that only acks."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.machine.process import free_port
from bot.store.embedded import redis_for
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage
from tests.worlds.terraform_says import MESSAGES, print_diagnostic

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

ROUNDS = 5
SECONDS = 0.5
MOST = 2


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """Seconds that a running process has used so far. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_explain_starts_in_half_a_second_of_cpu(tmp_path: Path, bench: Any) -> None:
    async def seconds(*arguments: str) -> float:
        before = cpu_of_children()
        paste = print_diagnostic(MESSAGES[0])
        await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *arguments],
            input=paste,
            text=True,
            check=True,
            stdout=DEVNULL,
            cwd=tmp_path,
        )
        return cpu_of_children() - before

    found = await bench.in_turns(
        ROUNDS,
        explain=lambda: seconds("-m", "bot", "explain"),
        bolt=lambda: seconds("-c", "import slack_bolt.async_app"),
    )

    mine, its = found.median("explain"), found.median("bolt")
    bench.compared(
        "explain, from start to answer",
        f"{mine * 1e3:.0f} ms of CPU; import of Bolt {its * 1e3:.0f} ms",
        ratio=f"{mine / its:.1f} times",
        target=f"<= {SECONDS * 1e3:.0f} ms",
    )
    assert found.best("explain") <= SECONDS


async def bare_app_ready(slack: FullWorkspace, listens: Callable[[int], Any], *redis_url: str) -> float:
    port = free_port()
    program = Path(__file__).with_name("bare_app.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, str(port), slack.signing_secret, *redis_url, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        await slack.wait_for(lambda: listens(port), timeout=60)
        return cpu_of(process.pid)
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


async def test_the_bot_is_ready_soon_after_an_app_that_only_acks(tmp_path: Path, bench: Any) -> None:
    async with stage(tmp_path, slack=FullWorkspace(), processes=()) as made:

        async def bot_ready(world: FullStage = made) -> float:
            begun = await world.start("serve")
            try:
                return cpu_of(begun.pid)
            finally:
                await begun.kill()

        await bot_ready()
        async with redis_for(None, tmp_path / "bare") as url:
            found = await bench.in_turns(
                ROUNDS,
                bot=bot_ready,
                bare=lambda: bare_app_ready(made.slack, _listens),
                connected=lambda: bare_app_ready(made.slack, _listens, url),
            )

    mine = found.median("bot")
    for side, what in (("bare", "a bare Bolt app"), ("connected", "one with its queue in Redis and AWS's clients")):
        its = found.median(side)
        bench.compared(
            "serve, from start to ready",
            f"{mine * 1e3:.0f} ms of CPU; {what} {its * 1e3:.0f} ms",
            ratio=f"{mine / its:.1f} times",
            target=f"<= {MOST} times",
        )

"""A busy week in an hour: what the bot's processes and Redis hold at its end, against what they held early.

People send commands all the time, and close the incidents that those opened. Beside them incident follows incident,
each in a channel of its own, with all that belongs to one; states of a pattern come and go. `SOAK_MINUTES` says for how
long, `make soak` for an hour; without it a minute shows that the soak itself works.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from bot.sandbox.slack.team import TeamMessage
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import DEPLOY, REPO, SHORT_TIMES, STATES, UPDATE, SandboxState
from bot.store.connect import Client, connect
from bot.store.embedded import attached_url
from tests.worlds.key_families import families
from tests.worlds.logs import held
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage
from tests.worlds.tickets import GitHubIssues

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]

MINUTES = float(os.environ.get("SOAK_MINUTES", "1"))
A_SECOND = 3
CHANNELS = [f"C0SOAK{number}" for number in range(6)]
ASKER, OTHER = "U0PARKER", "U0QUINN"
TURNS = (
    "status staging", "who staging", "note seen again", "status", "unlock staging --dry-run", "timeline", "help",
    "status production", "watch staging", "policy staging", "explain", "title still locked", "queue", "open again",
)  # fmt: skip
FEW = 41
"""Every so many commands an incident is closed and the next one begins. Each channel has its turn: 41 is a prime."""
PREVIEWS, KEPT = 5, 20
"""So many states of the pattern there are at a time, and so many past incidents Slack's stand-in remembers."""
SCRATCH = SandboxState("scratch", "environments/scratch/terraform.tfstate")
TOKEN = "soak-claims"
PATIENCE, TRIES = 60.0, 3
"""Seconds until a person asks again, and how often: a machine that stands still for a while is none of the bot's."""
WARM_AFTER, MOST_GROWTH = 10, 1.05
"""Minutes; by then a process has as many threads and connections as it ever needs, and has drawn its first chart."""


def megabytes(pid: int) -> float:
    """The memory that a process has in use. Linux only."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text("utf-8"))
    return int(found[1]) / 1024 if found else 0.0


async def usage(world: FullStage, client: Client) -> dict[str, float]:
    """Megabytes, and how many keys of Redis there are, those without a time to live too. Prints each family of them."""
    said, found = await client.info("memory"), await families(client)
    print(*(f"{name} {of.keys}/{len(of.lasting)}/{of.size}" for name, of in found.items()), sep=", ")  # noqa: T201
    return {
        **{name: round(megabytes(bot.pid), 1) for name, bot in world.bots.items()},
        "redis": round(int(said["used_memory"]) / 2**20, 2),
        "keys": sum(one.keys for one in found.values()),
        "lasting": sum(len(one.lasting) for one in found.values()),
    }


def grown(rows: Sequence[Mapping[str, float]], names: Iterable[str]) -> list[str]:
    """Those that usually have more in the last third of the time than in the first; a minute is too short to say.

    Usually: an export takes memory for a moment.
    """
    warm = [row for row in rows if row["minute"] >= WARM_AFTER]
    third = len(warm) // 3

    def usual(some: Sequence[Mapping[str, float]], name: str) -> float:
        return statistics.median(row[name] for row in some)

    return [name for name in names if third and usual(warm[-third:], name) > usual(warm[:third], name) * MOST_GROWTH]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[FullStage]:
    async with (
        GitHubIssues() as tickets,
        stage(
            tmp_path,
            slack=FullWorkspace(ack_timeout=30),
            states=(*STATES, SCRATCH),
            processes=(),
            policy={**SHORT_TIMES, "lock_age_alert": "1s"},
            settings={
                "slack": {"alerts_channel": "C0RANDOM"},
                "watch": {"every": "5s", "head_start": "1s"},
                "tickets": {"type": "github", "repo": REPO, "base_url": tickets.base_url, "token_env": "TICKET_TOKEN"},
            },
            environment={"TFLOCK_CLAIM_TOKEN": TOKEN, "TICKET_TOKEN": tickets.token},
        ) as made,
    ):
        made.is_bounded = True
        of = made.settings["states"]["scratch"]
        preview = {"backend": {**of["backend"], "key": "previews/{name}.tfstate"}, "discover": True}
        made.settings["states"]["preview-{name}"] = {**of, **preview}
        for process in ("worker", "serve --no-worker"):
            await made.start(process)
        yield made


async def typed(world: FullStage, channel: str, text: str, *answer: str) -> TeamMessage:
    for left in reversed(range(TRIES)):
        assert (await world.slack.command(ASKER, channel, text)).is_acked
        try:
            return await world.posted(*answer, channel=channel, within=PATIENCE)
        except AssertionError:
            if not left:
                raise
    raise AssertionError


async def incident(world: FullStage, number: int) -> None:
    """A dead lock, from the claim of its job to the export and a ticket; then one whose run is waited for."""
    slack, channel = world.slack, f"C0DAY{number}"
    slack.add_channel(channel, f"inc-day-{number}", [ASKER, OTHER])

    types = partial(typed, world, channel)
    world.github.remaining = 5000  # of an hour, in which there are not so many incidents
    await world.aws.put_state(f"previews/{number}.tfstate")
    await world.aws.delete_object(f"previews/{number - PREVIEWS}.tfstate")
    lock, _ = await world.dead_lock()
    async with aiohttp.ClientSession(f"{world.url}/api/v1/", headers={"Authorization": f"Bearer {TOKEN}"}) as job:
        claim = {"state": "scratch", "host": f"build-{number}", "run_url": f"https://ci.example.com/{number}"}
        async with job.post("claims", json={**claim, "attempt": 1}) as taken:
            assert taken.status == 201
            name = (await taken.json())["id"]
        async with job.patch(f"claims/{name}", json={"exit_code": 0, "processes_left": 0}) as ended:
            assert ended.ok

    await types("open staging", "incident opened")
    said = await slack.speak(OTHER, channel, f"{lock.id} stays")
    await slack.react(ASKER, said, "pushpin")
    await slack.edit(said, f"{lock.id} stays, as ever")
    await types("hold scratch for 1m because of a migration", "is held by")
    await types("hold scratch off", "no longer held")
    loop = world.runs.start_run(REPO, UPDATE, actor="dependency-bot")
    await slack.click(ASKER, await types(f"kill-job {loop.id}", "end this run"), "kill.confirm")
    await world.posted("was ended.", channel=channel, within=TRIES * PATIENCE)
    await slack.click(ASKER, await types("unlock staging because it is dead", "safe to unlock"), "unlock.confirm")
    await world.posted("staging is unlocked", channel=channel, within=TRIES * PATIENCE)
    world.runs._runs.clear()
    await waited_for(world, channel)
    await slack.open_home(ASKER)
    await types("close", "export of")
    proposed = await world.posted("follow-ups of", "file a ticket", channel=channel, within=TRIES * PATIENCE)
    await slack.click(OTHER, proposed, "followup.file")
    await world.found(lambda: [proposed], ("filed:",), None, TRIES * PATIENCE)
    for state in ("staging", "scratch"):
        assert not await world.lock_stands(state)
    world.runs._runs.clear()
    slack.team.messages[:] = [m for m in slack.team.messages if m.channel != f"C0DAY{number - KEPT}"]


async def waited_for(world: FullStage, channel: str) -> None:
    """An unlock that is armed while the lock's run goes on, and releases it once that has failed."""
    created = world.oldest(timedelta(hours=1))
    lock = await world.take_lock(created=created)
    run = held(world.runs.start_run(REPO, DEPLOY, at=created - timedelta(minutes=1), actor="elliott-ci"), lock)
    armed = await typed(world, channel, "unlock staging --when-safe because it is stuck", "as soon as it is safe")
    world.runs.finish(run.id, "failure")
    await world.found(lambda: [armed], ("staging is unlocked",), None, TRIES * PATIENCE)


async def close(world: FullStage, channel: str) -> None:
    """Says yes where it is asked first: staging may be locked just then."""
    slack = world.slack
    before = slack.team.messages[-1]
    assert (await slack.command(ASKER, channel, "close")).is_acked

    def answer() -> TeamMessage | None:
        later = [m for m in (*slack.ephemerals(ASKER, channel), *slack.messages(channel)) if m.ts > before.ts]
        return next((m for m in later if m.text.startswith(("Incident closed", "Close this incident"))), None)

    said = await slack.wait_for(answer, TRIES * PATIENCE)
    if said is not None and said.to:
        await slack.click(ASKER, said, "incident.close")


async def test_neither_the_processes_nor_redis_grow_with_what_was_answered(world: FullStage) -> None:
    for channel in CHANNELS:
        world.slack.add_channel(channel, f"inc-{channel.lower()}", [ASKER, OTHER])
    client = connect(attached_url(world.var))
    rows, begun, sent, days = list[dict[str, float]](), time.monotonic(), 0, 0
    failed = list[BaseException | None]()

    async def look() -> None:
        minute = round((time.monotonic() - begun) / 60, 1)
        rows.append({"minute": minute, "commands": sent, "incidents": days, **await usage(world, client)})
        print(rows[-1], flush=True)  # noqa: T201 - the curve is what a soak is for

    async def send(text: str, channel: str) -> None:
        assert (await world.slack.command(ASKER, channel, text)).is_acked, text

    async def incidents() -> None:
        nonlocal days
        while time.monotonic() - begun < MINUTES * 60 and not failed:
            await incident(world, days)
            days += 1

    sending, next_look = set[asyncio.Task[None]](), 0.0

    def ended(task: asyncio.Task[None]) -> None:
        sending.discard(task)
        failed.extend([task.exception()] if task.exception() else [])

    texts, beside = itertools.cycle(TURNS), asyncio.create_task(incidents())
    while (passed := time.monotonic() - begun) < MINUTES * 60 and not beside.done() and not failed:
        if passed >= next_look:
            await look()
            next_look += 60 if MINUTES > 2 else 15
        channel = CHANNELS[sent % len(CHANNELS)]
        task = asyncio.create_task(close(world, channel) if sent % FEW == FEW - 1 else send(next(texts), channel))
        sending.add(task)
        task.add_done_callback(ended)
        sent += 1
        await asyncio.sleep(1 / A_SECOND)
    await asyncio.gather(beside, *sending)
    await look()
    await client.aclose()

    answers = [flat(message) for channel in CHANNELS for message in world.slack.ephemerals(ASKER, channel)]
    assert not failed
    assert days
    assert len(answers) > sent / 3
    assert not grown(rows, world.bots), rows

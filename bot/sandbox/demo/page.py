"""The sandbox left to the person in front of it: the incident as a local Slack workspace in a browser."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import available_timezones

from rich.console import Console
from rich.text import Text

from bot.sandbox.demo.scenario import HELD_SECONDS, REPORT, StagedIncident
from bot.sandbox.page.scene import Guide
from bot.sandbox.page.server import serving_page
from bot.sandbox.slack.workspace import SlackWorkspace
from bot.sandbox.stage import CHANNEL, Stage
from bot.store.embedded import attached_url

ENV = "env"
"""The file in the sandbox's directory that another terminal sources."""

QUINN = "U0QUINN"
PEOPLE = {QUINN: "wants to deploy", "U0PARKER": "on call", "U0ELLIOTT": "owns the lock, on leave"}
TRIES = (
    ("Is staging locked?", "status staging"),
    ("Stop the loop", "kill-job staging"),
    ("Unlock when safe", "unlock staging --when-safe"),
    ("Timeline", "timeline"),
    ("Close the incident", "close"),
    ("Help", "help"),
)


async def hand_over(console: Console, stage: Stage, incident: StagedIncident) -> None:
    """Makes the incident happen, serves the page, says where, and runs until it is cancelled."""
    words = f"A deployment takes the lock of staging and is killed {HELD_SECONDS:.0f} s later …"
    console.print(Text(words))
    await incident.deploy_well()
    await incident.lose_a_deployment()
    env = await asyncio.to_thread(write_env, stage)
    guide = Guide(PEOPLE, story(datetime.now(UTC)), TRIES, terminal(env, with_terraform=incident.binary is not None))
    live_here(stage.slack, guide.people)
    async with serving_page(stage.slack, guide) as address:
        await stage.slack.speak(QUINN, CHANNEL, REPORT)
        await incident.start_the_loop()
        await stage.slack.wait_for(incident.is_looping)
        console.print()
        console.print(Text("Open this page. You can be quinn, parker and elliott there:"))
        for name, url in (
            ("channel", f"{address}/?in={CHANNEL}"), ("GitHub", stage.github.base_url), ("AWS", stage.proxy.url)
        ):  # fmt: skip
            console.print(Text(f"  {name:8} {url}"), soft_wrap=True)
        console.print(Text("Or use this sandbox from another terminal:"))
        for words in guide.terminal.splitlines():
            console.print(Text(f"  {words}"), soft_wrap=True)
        console.print(Text("Ctrl-C ends everything."))
        await asyncio.Event().wait()


def live_here(slack: SlackWorkspace, people: Iterable[str]) -> None:
    """Gives them this machine's time zone, where it can be found: the page's times are then those of its reader."""
    name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    if name in available_timezones():
        for key in people:
            slack.team.users[key] = replace(slack.team.users[key], tz=name)


def story(died: datetime) -> str:
    """How it came to this, for who opens the channel."""
    return (
        f"At {died.astimezone():%-I:%M %p} elliott's deployment of staging was killed in the middle of its apply and "
        "left the state locked. Since then a dependency update, which is started again and again, fights for the "
        "lock, and nobody can deploy. The bot here is the real one; Slack, GitHub and AWS are local stand-ins."
    )


def write_env(stage: Stage) -> Path:
    """Writes what another terminal needs to reach the bot's configuration, Redis, AWS, Slack and GitHub."""
    here = stage.directory.absolute()
    variables = stage.environment | {
        "TFLOCK_CONFIG": str(here / "tflock.yml"),
        "REDIS_URL": attached_url(stage.var),
        "AWS_ENDPOINT_URL": stage.proxy.url,
        "LOG_FORMAT": "console",
        "LOG_LEVEL": "WARNING",
        "TFLOCK_SANDBOX": str(here),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines.append(f'tflock() {{ {shlex.quote(sys.executable)} -m bot "$@"; }}')
    path = here / ENV
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def terminal(env: Path, *, with_terraform: bool) -> str:
    words = [f"source {shlex.quote(str(env))}", "tflock status staging"]
    return "\n".join([*words, "terraform -chdir=$TFLOCK_SANDBOX/deployment plan"] if with_terraform else words)

"""`demo --own`: the real bot on the user's own states and CI systems, in a local Slack workspace in the browser.

Only Slack is a stand-in. One person is in it, so nothing that needs a second person can be approved, and nothing that
the bot would do without being asked is switched on.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from bot.sandbox.machine.process import BotFailed, free_port, start_bot
from bot.sandbox.page.scene import Guide
from bot.sandbox.page.server import serving_page
from bot.sandbox.slack.workspace import SlackWorkspace

VAR = Path("var/own")
YOU, CHANNEL = "U0YOU", "C0TRIAL"
_NOT_OURS = ("SLACK_", "TFLOCK_CONFIG", "REDIS_URL", "PORT", "WORKER_PORT", "LOG_FORMAT")
_LEFT_OUT = {"auto_release", "approval", "unlock_groups"}
_READY_WITHIN = 90.0
_FAILED = 1


def try_own(path: Path, environ: Mapping[str, str]) -> int:
    """Serves until SIGINT or SIGTERM, and ends all that it started. Gives the exit code."""
    settings = trial_settings(yaml.safe_load(path.read_text("utf-8")), Path.cwd())
    directory = (VAR / time.strftime("%Y%m%d-%H%M%S")).absolute()
    directory.mkdir(parents=True)
    return asyncio.run(_try(settings, directory, environ))


async def _try(settings: Mapping[str, Any], directory: Path, environ: Mapping[str, str]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with AsyncExitStack() as stack:
            await _serve(stack, settings, directory, environ, stop)
    except BotFailed as failed:
        print(failed)  # noqa: T201 - the end of the bot's log, for who started it
        return _FAILED
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
    return 0


def trial_settings(given: Mapping[str, Any], here: Path) -> dict[str, Any]:
    """The configuration without what needs a real Slack, files tickets, or acts without being asked."""
    states = {
        name: {key: value for key, value in state.items() if key not in _LEFT_OUT}
        for name, state in given["states"].items()
    }
    policy = {
        key: value for key, value in (given.get("policy") or {}).items() if key not in {"unlock_groups", "approval"}
    }
    kept = {key: value for key, value in given.items() if key not in {"slack", "tickets", "export"}}
    return {
        **kept,
        "states": states,
        "policy": policy,
        "slack": {"incident_channels": ["inc-*"]},
        "export": {"directory": str(here / "exports")},
    }


async def _serve(
    stack: AsyncExitStack, settings: Mapping[str, Any], directory: Path, environ: Mapping[str, str], stop: asyncio.Event
) -> None:
    slack = await stack.enter_async_context(SlackWorkspace())
    slack.add_user(YOU, "you", email="you@example.com")
    slack.add_channel(CHANNEL, "inc-trial", [YOU])
    port = free_port()
    slack.bot_url = f"http://127.0.0.1:{port}/slack/events"
    (directory / "tflock.yml").write_text(json.dumps(settings, indent=2), "utf-8")
    theirs = {name: _anywhere(name, value) for name, value in environ.items() if not name.startswith(_NOT_OURS)}
    own = {**slack.environment(), "PORT": str(port), "TFLOCK_CONFIG": "tflock.yml"}
    print(f"Starting the bot with {len(settings['states'])} entries under states …", flush=True)  # noqa: T201 - it takes a while
    begun = await start_bot("serve", "serve", directory=directory, environment=theirs | own)
    stack.push_async_callback(begun.stop)
    await begun.until(lambda: _is_ready(port), within=_READY_WITHIN)
    address = await stack.enter_async_context(serving_page(slack, _guide(list(settings["states"]))))
    print(  # noqa: T201 - what the command is for
        f"Open {address}/?in={CHANNEL}\n"
        "Your states, your CI systems and the bot are real; only Slack is local.\n"
        "An unlock here releases the real lock.\n"
        "Nobody else is here: what needs a second person cannot be approved. Ctrl-C ends everything.",
        flush=True,
    )
    await stop.wait()


def _anywhere(name: str, value: str) -> str:
    """The path of a file as another directory sees it: the bot runs in one of its own."""
    is_file = name.endswith("_FILE") or name == "GOOGLE_APPLICATION_CREDENTIALS"
    return str(Path(value).absolute()) if is_file and value and Path(value).exists() else value


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


def _guide(states: list[str]) -> Guide:
    first = next((name for name in states if "{" not in name), "STATE")
    looking = f"unlock {first} --dry-run"
    tries = (("All states", "status"), (first, f"status {first}"), ("Unlock, only looking", looking))
    story = (
        "This is your tflock.yml. The bot, your states and your CI systems are real; only this Slack is a local "
        "stand-in. An unlock here releases the real lock."
    )
    return Guide({YOU: "may unlock"}, story, (*tries, ("Help", "help")))

"""`make demo`: plays the incident of the scenario with the real bot, for someone who has never seen it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot.core.policy import DEFAULT_SETTLE, Policy
from bot.core.run import Conclusion
from bot.sandbox.demo.scenario import HELD_SECONDS, POLICY, STARTS_EVERY, StagedIncident, load_scenario, settings
from bot.sandbox.demo.show import Show
from bot.sandbox.machine.terraform import find_terraform
from bot.sandbox.stage import Stage, stage

EXPORTS = Path("exports")
FORMATS = ["markdown", "html", "json", "csv"]
VAR = Path("var/demo")

_NARROWEST, _WIDEST = 80, 100
_FAILED, _STOPPED = 1, 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOG_LINES = 15


async def play(*, keep_serving: bool = False) -> int:
    """Plays the demo on standard output and returns the exit code. Ends everything that it started, also on Ctrl-C."""
    console = _console()
    directory = VAR / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    with _stoppable():
        try:
            await _play(console, directory, keep_serving=keep_serving)
        except asyncio.CancelledError:
            console.print("\nStopped. Everything that the demo started has been ended.")
            code = _STOPPED
        except Exception as error:  # noqa: BLE001 - a stranger gets to read what went wrong, whatever it was
            _explain(console, error, directory)
            return _FAILED
        else:
            code = 0
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
    return code


async def _play(console: Console, directory: Path, *, keep_serving: bool) -> None:
    scenario, binary = load_scenario(), find_terraform()
    _introduce(console, with_terraform=binary is not None)
    export = {"directory": str(Path.cwd() / EXPORTS), "formats": FORMATS}
    more = {**settings(), "export": export}
    async with (
        stage(directory, kind=Stage, policy=POLICY, settings=more) as made,
        aclosing(StagedIncident(made, scenario.state, binary)) as incident,
    ):
        if keep_serving:
            from bot.sandbox.demo.page import hand_over  # noqa: PLC0415 - most demos are played

            await hand_over(console, made, incident)
        else:
            await Show(console, made, scenario, incident).play()


def _introduce(console: Console, *, with_terraform: bool) -> None:
    policy, shortened = Policy(), POLICY["settle"]["timed_out"].replace("s", " s")
    usual, quiet = DEFAULT_SETTLE[Conclusion.TIMED_OUT], policy.state_quiet
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_row(
        "Real:",
        "the bot in its own process, its Redis with the timeline, HTTP between all of them"
        + (", Terraform" if with_terraform else ""),
    )
    facts.add_row("Stand-ins:", "Slack, GitHub Actions and AWS, all on 127.0.0.1. Nothing leaves this machine.")
    facts.add_row(
        "Shortened:",
        f"two waiting times of the bot's safety gate: after a time-out in CI {shortened} (really "
        f"{usual.total_seconds():.0f} s), and {POLICY['state_quiet'].replace('s', ' s')} without a write to the state "
        f"(really {quiet.total_seconds():.0f} s). The deployment dies {HELD_SECONDS:.0f} s after it took the lock "
        f"(10 min, that day); the loop starts a run every {STARTS_EVERY:.0f} s (a minute)",
    )
    if not with_terraform:
        facts.add_row("Missing:", "there is no terraform on PATH; the demo writes the same lock item on its own")
    story = (
        "A real incident, played on this machine: a CI job died and left a Terraform state locked, a loop keeps the "
        "lock table busy, and every deployment is blocked. It once cost two people 65 minutes.\n"
    )
    console.print(Panel(Group(story, facts), title="tflock demo", title_align="left", padding=(0, 1)))


def _explain(console: Console, error: Exception, directory: Path) -> None:
    console.print()
    console.print(Text(f"The demo failed: {error or type(error).__name__}", style="bold red"))
    for log in sorted(directory.glob("*.log")):
        lines = log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]
        console.print(Text(f"The end of {log}:"))
        console.print(Padding(Text("\n".join(lines)), (0, 0, 0, 2)))


def _console() -> Console:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    width = shutil.get_terminal_size((_WIDEST, 24)).columns
    return Console(width=max(_NARROWEST, min(width, _WIDEST)), highlight=False)


@contextmanager
def _stoppable() -> Iterator[None]:
    """The first signal cancels the play, which then cleans up; further ones do not disturb that."""
    loop, playing = asyncio.get_running_loop(), asyncio.current_task()
    asked: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        asked.append(number)
        if playing is not None and len(asked) == 1:
            playing.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

"""The real bot as real processes: started as the Procfile does, stopped, or killed with SIGKILL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import bot

_ROOT = Path(bot.__file__).resolve().parent.parent
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT", "LANG")
_STOP_LIMIT = 20.0


class BotFailed(Exception):
    """A process of the bot ended or was not ready in time. Carries the end of its log."""


class BotProcess:
    """`python -m bot …` in a directory of its own, with its log in a file."""

    def __init__(self, process: Process, name: str, log_file: Path) -> None:
        self._process = process
        self.name = name
        self.log_file = log_file

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    @property
    def log(self) -> str:
        """Everything that it has logged so far, all starts under this name included."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log's events (of this name), oldest first; lines that are not JSON are left out."""
        found = []
        for line in self.log.splitlines():
            with suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict) and name in {None, entry.get("event")}:
                    found.append(entry)
        return found

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.splitlines()[-lines:])

    async def until(self, is_ready: Callable[[], bool], *, within: float) -> None:
        """Returns as soon as that holds. Raises BotFailed if the process ends before, or takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.is_running:
                    if await asyncio.to_thread(is_ready):
                        return
                    await asyncio.sleep(0.05)
        how = f"ended with {self.exit_code}" if not self.is_running else f"was not ready after {within:.0f} s"
        raise BotFailed(f"`{self.name}` {how}\n{self.tail()}")

    async def ended(self) -> int:
        """Waits until it ends without being stopped; its exit code."""
        return await self._process.wait()

    async def stop(self, *, patience: float = _STOP_LIMIT) -> int:
        """SIGTERM, as a platform stops it; SIGKILL if it does not go in so many seconds. Returns the exit code."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(patience):
                    await self._process.wait()
            except TimeoutError:
                await self.kill()
        return self._process.returncode or 0

    async def kill(self) -> None:
        """SIGKILL, as a crash or a lost machine."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


async def start_bot(name: str, *words: str, directory: Path, environment: Mapping[str, str]) -> BotProcess:
    """Starts `python -m bot WORDS` in a session of its own. Its log is appended to `<name>.log` in the directory."""
    log_file = directory / f"{name}.log"
    with log_file.open("ab") as log:
        process = await create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            *words,
            cwd=directory,
            env=_inherited() | dict(environment),
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return BotProcess(process, name, log_file)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _inherited() -> dict[str, str]:
    """None of the caller's own settings for Slack, AWS or proxies reaches the bot."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"}

"""SIGHUP: the secrets that came from files are read again, without a restart."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from bot.config.secret_files import SecretFile
from bot.config.secret_text import SecretUnreadable
from bot.config.settings import Config

log = structlog.get_logger()

NEEDS_A_RESTART = frozenset({"REDIS_URL"})
"""Connections are made with it at the start. All other secrets are asked for at each use."""


@asynccontextmanager
async def heeding_hangups(config: Config, stop: asyncio.Event) -> AsyncIterator[None]:
    """Reads the secrets' files again at each SIGHUP, and still stops where the terminal itself is gone."""
    loop, at_a_terminal = asyncio.get_running_loop(), sys.stdin is not None and sys.stdin.isatty()
    reading = set[asyncio.Task[None]]()

    def heed() -> None:
        if at_a_terminal and _is_gone(sys.stdin.fileno()):
            stop.set()
            return
        task = loop.create_task(read_again(config))
        reading.add(task)
        task.add_done_callback(reading.discard)

    loop.add_signal_handler(signal.SIGHUP, heed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        await asyncio.gather(*reading, return_exceptions=True)


async def read_again(config: Config) -> None:
    """Logs which secrets changed, by the names of their variables. What cannot be read keeps its value."""
    changed = [secret.variable for secret in config.secret_files if await asyncio.to_thread(_changed, secret)]
    for_later = sorted(NEEDS_A_RESTART.intersection(changed))
    log.info("secrets.read", files=len(config.secret_files), changed=changed, pid=os.getpid())
    if for_later:
        log.warning("secrets.need_restart", variables=for_later)


def _changed(secret: SecretFile) -> bool:
    try:
        return secret.read_again()
    except SecretUnreadable as why:
        log.warning("secrets.unread", variable=secret.variable, why=str(why), kept="the value from before")
        return False


def _is_gone(terminal: int) -> bool:
    try:
        termios.tcgetattr(terminal)
    except (termios.error, OSError):
        return True
    return False

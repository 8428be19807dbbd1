"""Whether the bot can work now. Asked for by anyone, so that it costs those who are asked nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

FRESH = 5.0
"""Seconds for which an answer is given again: so often Slack and Redis are asked at most, however many ask the bot."""


T = TypeVar("T")


class Readiness(Generic[T]):
    """Asks all `checks` at once, one round at a time; everyone who asks meanwhile gets that round's answer."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[T]]], *, fresh: float = FRESH) -> None:
        self._checks = checks
        self._fresh = fresh
        self._round: asyncio.Task[dict[str, T]] | None = None
        self._good_until = 0.0

    async def now(self) -> Mapping[str, T]:
        """The answers, by name; at most `fresh` seconds old, or just asked."""
        loop = asyncio.get_running_loop()
        if self._round is None or (self._round.done() and loop.time() >= self._good_until):
            self._round = loop.create_task(self._ask())
        return await asyncio.shield(self._round)  # who hangs up takes nobody else's answer away

    async def _ask(self) -> dict[str, T]:
        try:
            answers = await asyncio.gather(*(check() for check in self._checks.values()))
        finally:
            self._good_until = asyncio.get_running_loop().time() + self._fresh
        return dict(zip(self._checks, answers, strict=True))

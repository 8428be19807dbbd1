"""Clocks for tests: `bot.ports.clock.Clock` as this machine's, moved by hand, or standing still until it is set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def running(self) -> float:
        return self.now().timestamp()


@dataclass
class MovableClock(WallClock):
    """The real clock, moved forward by hand."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass
class SetClock(WallClock):
    """Stands still until it is set."""

    at: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class Hands:
    """A clock that counts seconds, as Slack's stand-in asks for it, and that the test moves."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

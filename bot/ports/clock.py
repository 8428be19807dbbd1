"""The clock."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...

    def running(self) -> float:
        """Seconds that have passed since some instant, the machine's sleep among them. Nobody can set this clock.

        May be asked in any thread.
        """
        ...

"""How the local workspace slows down, refuses and breaks: Slack's rate limits, and faults on demand."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

UPDATES_A_MINUTE = 50  # chat.update is of tier 3


class Cut(StrEnum):
    """When a connection is cut: Slack has not taken the call yet, or has done what it asked for."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True)
class Fault:
    """What to do to the calls of a method (`*`: any): `skip` calls pass, then `times` are met; None: until healed."""

    method: str
    status: int | None = None
    error: str | None = None
    retry_after: int | None = None
    cut: Cut | None = None
    times: int | None = 1
    skip: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    def takes(self, method: str) -> bool:
        if self.method not in ("*", method) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times = None if self.times is None else self.times - 1
        return True


@dataclass(slots=True)
class Limits:
    """With `strict`, one message a second a channel and 50 updates a minute. `clock` gives seconds."""

    clock: Callable[[], float]
    strict: bool
    faults: list[Fault] = field(default_factory=list)
    delays: dict[str, float] = field(default_factory=dict)
    _posted: dict[str, float] = field(default_factory=dict)
    _updated: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def fault(self, method: str) -> Fault | None:
        """The fault that this call meets, counted."""
        return next((fault for fault in self.faults if fault.takes(method)), None)

    def delay(self, method: str) -> float:
        """Seconds that this call takes longer."""
        return self.delays.get("*", 0.0) + self.delays.get(method, 0.0)

    def wait(self, method: str, channel: str) -> int:
        """Seconds to wait before this call is taken; 0: it is taken now, and counted."""
        if not self.strict:
            return 0
        if method == "chat.postMessage":
            return self._wait_to_post(channel)
        return self._wait_to_update() if method == "chat.update" else 0

    def _wait_to_post(self, channel: str) -> int:
        now = self.clock()
        left = self._posted.get(channel, -math.inf) + 1 - now
        if left > 0:
            return math.ceil(left)
        self._posted[channel] = now
        return 0

    def _wait_to_update(self) -> int:
        now, calls = self.clock(), self._updated["chat.update"]
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= UPDATES_A_MINUTE:
            return math.ceil(calls[0] + 60 - now)
        calls.append(now)
        return 0

"""A request to end runs, and its message, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.gate.contention import Loop
from bot.core.gate.stages import KillStage
from bot.core.phrase import Phrase
from bot.core.run import Run, Switched


class Tie(StrEnum):
    """What a run is to the lock of the state. `UNREAD`: the lock table throttles, so that nobody can tell."""

    HOLDS = "may hold the lock"
    UNREAD = "may hold the lock, whose table is throttled"
    CONTENDS = "contends for the lock"
    NO_LOCK = "no lock is held"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that kill-job can end: one run, or a loop with all its runs that are going on.

    `key` names it in a button, and nothing of another pipeline. `runs` are those going on now, newest first; a loop
    between two starts may have none.
    """

    key: str
    runs: tuple[Run, ...]
    tie: Tie
    loop: Loop | None = None

    @property
    def needs_second(self) -> bool:
        """Whether ending it wants a second member: it may be in the middle of an apply.

        A loop is what makes a table throttle, and stopping it at once is the cure, so that it is not held up by a lock
        that only the throttling hides.
        """
        return self.tie is Tie.HOLDS or (self.tie is Tie.UNREAD and self.loop is None)


@dataclass(frozen=True, slots=True)
class KillRequest:
    """Somebody's wish to have runs ended. `asked` is what he typed."""

    id: str
    state: str
    lock_id: str
    asked: str
    channel: str
    user: str
    asked_at: datetime
    reason: str = ""
    ts: str = ""
    thread: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True)
class KillReport:
    """The request's message. `targets` are what was found; `chosen` the one that is being ended.

    `progress` has each run as last read; `switched` what became of stopping the loop's source, None if not tried.
    `source` is the title of the pipeline that is being worked on. `by` wants it ended and waits, until `until`, for a
    second member.
    """

    request: KillRequest
    stage: KillStage
    targets: tuple[Target, ...] = ()
    chosen: Target | None = None
    progress: tuple[Run, ...] = ()
    switched: Switched | None = None
    note: Phrase = ()
    unseen: Phrase = ()
    source: str = ""
    by: str = ""
    until: datetime | None = None

"""What the bot reports without a request: a concern about locks and runs, the alert that it became, and its message."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class AlertKind(StrEnum):
    """What is the matter. Public: these words are in timeline entries."""

    AGED = "aged lock"
    DEAD_RUN = "dead run"
    LOOP = "loop"
    THROTTLED = "throttled table"
    OVERDUE = "overdue run"
    UNREAD = "unread states"


class Outcome(StrEnum):
    """Why an alert is over."""

    FREE = "the lock is free"
    OTHER_LOCK = "another lock stands there"
    GOES_ON = "its run goes on again"
    ENDED = "the run has ended"
    QUIET = "it has stopped"
    READ = "the states can be read again"
    NOT_CONFIGURED = "it is not in the configuration any more"


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that people should know of. `key` distinguishes it from all others of its kind, and from the next one.

    `subject` is the state, pipeline or table for people, or why states cannot be read; `states` are the configured
    states that it is about, and `more` counts those that are not named. `since` is when it began: the lock's `Created`,
    the loop's first start, the first refusal, the run's start, the first sweep without an answer. With
    `is_change` it is only when the lock's place last changed: nobody knows since when it is held. `run` and `url`
    name a run, `ended` how and `ended_at` when it ended, `usual` how long such runs take; `starts` counts a loop's.
    """

    kind: AlertKind
    key: str
    subject: str
    states: tuple[str, ...]
    since: datetime
    lock_id: str = ""
    who: str = ""
    operation: str = ""
    run: str = ""
    url: str = ""
    ended: str = ""
    ended_at: datetime | None = None
    usual: timedelta | None = None
    starts: int = 0
    more: int = 0
    is_change: bool = False

    @property
    def id(self) -> str:
        """Short, and safe in a button and a key whatever the lock says."""
        return hashlib.sha256(f"{self.kind}\n{self.key}".encode("utf-8", "replace")).hexdigest()[:16]

    @property
    def state(self) -> str:
        """The state that buttons are for; empty if none is known."""
        return self.states[0] if self.states else ""


@dataclass(frozen=True, slots=True)
class Alert:
    """A concern that was raised. `outcome` and `resolved_at` are set once it is over.

    `snoozed_until` is set while someone (`snoozed_by`, a Slack user id) does not want to hear of it.
    """

    concern: Concern
    raised_at: datetime
    incident: str = ""
    outcome: Outcome | None = None
    resolved_at: datetime | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str = ""

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class Bulletin:
    """One message: an alert with its buttons, or a digest of many. `is_again` marks the return of a snoozed one."""

    alerts: tuple[Alert, ...]
    is_again: bool = False

"""A request to unlock, and its message, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.gate.case import Verdict
from bot.core.gate.inspection import Inspection
from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo, PlaceKind, PlaceRelease
from bot.core.people import BOT
from bot.core.phrase import Phrase
from bot.core.policy import ApprovalPolicy
from bot.core.reports.hold import Hold


@dataclass(frozen=True, slots=True)
class UnlockRequest:
    """Someone asks to have one lock released. Ids are Slack's; `ts` is the message that shows the request.

    The `user` is `BOT` where nobody asks, but the configuration does. `hold_for`: the lock is to be swapped for a hold
    of so long; None: it is to be released.
    """

    id: str
    state: str
    lock_id: str
    channel: str
    user: str
    asked_at: datetime
    reason: str = ""
    ts: str = ""
    thread: str = ""
    incident: str = ""
    hold_for: timedelta | None = None

    @property
    def is_automatic(self) -> bool:
        """Whether nobody asked, but the configuration does."""
        return self.user == BOT


@dataclass(frozen=True, slots=True)
class UnlockReport:
    """The request's message. `verdict` is the newest decision; `places` what became of each place.

    `note` is one sentence about the present step, or about the outcome. `until` is when an armed request ends, or
    when trying again ends. `tries` counts attempts to delete, `throttled` those that the store turned away because it
    was asked too often. `took` is from the request to the outcome. `by` armed or confirmed it, empty for the asker.
    `approval` says who may be the second person. `hold` is what the lock was swapped for, if it was.
    """

    request: UnlockRequest
    stage: UnlockStage
    inspection: Inspection | None
    verdict: Verdict | None
    note: Phrase = ()
    places: tuple[PlaceRelease, ...] = ()
    left: tuple[PlaceKind, ...] = ()
    now_held_by: LockInfo | None = None
    approver: str = ""
    until: datetime | None = None
    tries: int = 0
    throttled: int = 0
    took: timedelta | None = None
    by: str = ""
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    hold: Hold | None = None

"""A hold that someone asked for, and its message, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.phrase import Phrase

PROLONG, LIFT, APPROVE = "hold.prolong", "hold.lift", "hold.approve"
"""The buttons of a hold: its asker wants it longer, someone wants it ended, a second person agrees with them."""


class HoldStage(StrEnum):
    """How far a hold has come. All from `ENDED` on are its end."""

    PLACING = "placing"
    HELD = "held"
    ENDING = "ending"
    ENDED = "ended"
    NOT_PLACED = "not placed"


class HoldEnd(StrEnum):
    """Why a hold ended. The values are on timelines: never renamed."""

    TIME = "its time was over"
    LIFTED = "lifted"
    RIGHTS = "its asker may no longer hold it"
    OUTSIDE = "ended outside tflock"
    NOT_CONFIGURED = "the state is no longer configured"
    NOT_PLACED = "not placed"


@dataclass(frozen=True, slots=True)
class Hold:
    """Someone wants a state held until an instant. Ids are Slack's; `ts` is the message that shows the hold.

    `span` is what was asked for, and what a click prolongs it by. `request` is the unlock whose dead lock it replaced,
    empty for a state that was free. `lock_id` is what Terraform calls the hold, empty before it is there. The `user` is
    empty where nobody is known to have asked: a hold that was found, and whose record is lost.
    """

    id: str
    state: str
    user: str
    channel: str
    asked_at: datetime
    span: timedelta
    until: datetime
    reason: str = ""
    thread: str = ""
    incident: str = ""
    ts: str = ""
    request: str = ""
    lock_id: str = ""


@dataclass(frozen=True, slots=True)
class HoldReport:
    """The hold's message. `note` is one sentence about the present step, or the end.

    `lift_by` wants it lifted, and waits until `lift_until` for a second person. `by` has ended it, `approver` agreed.
    """

    hold: Hold
    stage: HoldStage
    end: HoldEnd | None = None
    note: Phrase = ()
    by: str = ""
    approver: str = ""
    lift_by: str = ""
    lift_until: datetime | None = None

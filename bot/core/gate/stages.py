"""How far a request to unlock or to end runs has come."""

from __future__ import annotations

from enum import StrEnum


class UnlockStage(StrEnum):
    """How far a request to unlock has come. All from `RELEASED` on are its end."""

    DRY_RUN = "dry run"
    CHECKED = "checked"
    ARMED = "armed"
    RELEASING = "releasing"
    RELEASED = "released"
    ALREADY_FREE = "already free"
    HOLDER_CHANGED = "holder changed"
    PARTLY_RELEASED = "half released"
    STILL_THROTTLED = "still throttled"
    NOT_KNOWN = "not known"
    REFUSED = "refused"
    EXPIRED = "expired"
    DECLINED = "declined"
    FAILED = "failed"


class KillStage(StrEnum):
    """How far a request to end runs has come. All from `ENDED` on are its end."""

    NOTHING = "nothing to end"
    CHOOSE = "choose"
    FOUND = "found"
    APPROVAL = "waits for a second person"
    CANCELLING = "cancelling"
    ESCALATED = "escalated"
    ENDED = "ended"
    REFUSED = "refused"
    FAILED = "failed"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    STILL_OFF = "still off"

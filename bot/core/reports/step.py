"""A step of a workflow in Slack that wants a state unlocked when it is safe. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.gate.case import Verdict
from bot.core.gate.inspection import Inspection


class StepStage(StrEnum):
    """How far a step has come. All from `SUCCEEDED` on are its end."""

    OPEN = "open"
    TAKEN = "taken"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepReport:
    """The step's message. `verdict` leaves aside who asks: nobody has yet.

    `by` is who took it on; `note` is how it ended.
    """

    execution: str
    state: str
    lock_id: str
    channel: str
    stage: StepStage
    reason: str = ""
    inspection: Inspection | None = None
    verdict: Verdict | None = None
    by: str = ""
    note: str = ""

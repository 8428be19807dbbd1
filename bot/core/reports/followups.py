"""The follow-ups of an incident as they are shown in its channel."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.account.values import FollowUp
from bot.core.record.incident import Incident


@dataclass(frozen=True, slots=True)
class FollowUpsReport:
    """`system` is where tickets are filed (`GitHub`), empty where that is not configured.

    `moved` is the address of the message that replaces this one.
    """

    incident: Incident
    followups: tuple[FollowUp, ...]
    system: str = ""
    moved: str = ""

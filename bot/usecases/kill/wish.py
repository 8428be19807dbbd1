"""Whose wish it is that something ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.usecases.decide.requests import Phase, instant_in


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done, by whose wish; `approver` is empty where one member is enough."""

    by: str
    stop_source: bool
    approver: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """A click that waits for a second member: whose it was, when, on what, and whether the loop is to be stopped."""

    by: str
    at: datetime
    key: str
    stop_source: bool


def wish_in(record: Mapping[str, Any]) -> Wish | None:
    """None if nobody has clicked. The command is no wish yet: it only asks what there is."""
    at = instant_in(record, "approval_at")
    if at is None or record["phase"] != Phase.APPROVAL:
        return None
    return Wish(record["by"], at, record["key"], bool(record["stop"]))

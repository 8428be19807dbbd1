"""What an outside system has to allow tflock: rights, as that system calls them, and the calls that need each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a right is for. With the first two tflock looks and releases; without the rest it says or does less."""

    LOOK = "to look"
    RELEASE = "to release"
    END = "to end runs (kill-job)"
    FILE = "to file follow-ups"
    EXPORT = "to keep exports"
    DETAIL = "optional: to say more"
    TRIAL = "optional: for the doctor's throw-away lock"


@dataclass(frozen=True, slots=True)
class Right:
    """One right. `calls` are those that fail without it.

    A call is an HTTP request as `METHOD /path/{part}` (a part in braces may be any text), an operation of the AWS API
    as `service:Operation`, a method of Slack's Web API, or what Slack sends, as `event NAME`.
    """

    name: str
    purpose: str
    calls: tuple[str, ...]
    use: Use = Use.LOOK

"""What an outside system has to allow tflock: rights, as that system calls them, and the calls that need each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a right is for. With the first two tflock looks and releases; without the rest it says or does less."""

    LOOK = "to look"
    RELEASE = "to release"
    HOLD = "to hold a state"
    END = "to end runs (kill-job)"
    FILE = "to file follow-ups"
    EXPORT = "to keep exports"
    DETAIL = "to say more (optional)"
    TRIAL = "for the doctor's throw-away lock (optional)"


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


@dataclass(frozen=True, slots=True)
class Grant:
    """A right on one thing: an ARN, a container, a bucket, a project. Empty: wherever the system allows no narrower."""

    right: Right
    on: str = ""

"""What one look-up said, and when.

An observation is found, not found or unreachable, and these three are never mixed up: only `Found` is knowledge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from bot.core.instants import shifted

T_co = TypeVar("T_co", covariant=True)


class Trouble(StrEnum):
    """Why a look-up brought nothing. Each wants another fix, so they are kept apart."""

    TIMED_OUT = "timed out"
    NO_CONNECTION = "no connection"
    SERVER_ERROR = "server error"
    THROTTLED = "throttled"
    DENIED = "denied"
    GARBLED = "garbled answer"
    TOO_MUCH = "too much to read"
    NOT_SHOWN = "not shown"
    """To anyone who only looks."""

    NO_CREDENTIALS = "no credentials"
    """The bot has none to show, so that nothing was asked."""


LASTING = frozenset({Trouble.DENIED, Trouble.NOT_SHOWN, Trouble.NO_CREDENTIALS})
"""After these, to ask again brings nothing more until someone changes something."""


@dataclass(frozen=True, slots=True)
class Offset:
    """A system's clock against the bot's, by its answers: `ahead` by so much, give or take `within`."""

    ahead: timedelta
    within: timedelta

    def on_ours(self, at: datetime) -> datetime:
        """The latest instant on the bot's clock at which the system's clock may have said `at`."""
        return shifted(at, self.within - self.ahead)

    def earliest_on_ours(self, at: datetime) -> datetime:
        return shifted(at, -self.within - self.ahead)

    @property
    def surely(self) -> timedelta:
        """By how much the two clocks differ at least."""
        return max(abs(self.ahead) - self.within, timedelta(0))


@dataclass(frozen=True, slots=True)
class Found(Generic[T_co]):
    """The system answered with the thing. `at` is when the question was asked, on the bot's clock.

    `offset` is of the system's clock, whose times are in the value; None where it was not measured.
    """

    value: T_co
    at: datetime
    offset: Offset | None = None


@dataclass(frozen=True, slots=True)
class NotFound:
    """The system answered that there is no such thing. `what` names it in plain words."""

    system: str
    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nothing is known. `detail` is one plain sentence without secrets, fit for a person to read.

    `retry_after` is in seconds, where the system named it.
    """

    system: str
    trouble: Trouble
    detail: str
    at: datetime
    retry_after: float | None = None


Observation: TypeAlias = Found[T_co] | NotFound | Unseen

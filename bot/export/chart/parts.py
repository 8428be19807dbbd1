"""What a chart tells, as values: rows of words, spans and instants, before anything has a place.

Times are in seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Look(StrEnum):
    """What a bar stands for; each has its colour and, where colours are close, its pattern."""

    LOCK = "lock"
    HOLDER = "holder"
    CONTENDER = "contender"
    LOOP = "loop"
    CROWD = "crowd"
    THROTTLED = "throttled"


class Sign(StrEnum):
    """A shape: how something ended, or what happened at an instant."""

    DONE = "check"
    FAILED = "cross"
    TIMED_OUT = "hourglass"
    CANCELLED = "square"
    UNCLEAR = "ring"
    COMMAND = "pointer"
    KILL = "heavy cross"
    UNLOCK = "open padlock"
    OWNER = "speech"
    ALERT = "triangle"
    KEY = "star"


@dataclass(frozen=True, slots=True)
class Bar:
    """A span. One that `goes_on` was not seen to end. `inside` is said in the bar if there is room."""

    since: float
    until: float
    look: Look
    goes_on: bool = False
    sign: Sign | None = None
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of words with what they tell of below it. `levels` are counts from an instant on; `dots` are instants."""

    title: str
    bars: tuple[Bar, ...] = ()
    levels: tuple[tuple[float, int], ...] = ()
    dots: tuple[float, ...] = ()
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one instant. Those that `cut_through` mark all rows above them."""

    at: float
    sign: Sign
    label: str
    cuts_through: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """How many of each a chart shows one by one, and how many characters of a name."""

    states: int
    runs: int
    loops: int
    events: int
    name: int


@dataclass(frozen=True, slots=True)
class Told:
    """All of it. `more` are the instants of the events that are not shown, `more_title` how many of what."""

    headline: str
    subline: str
    rows: tuple[Row, ...]
    events: tuple[Event, ...]
    more: tuple[float, ...]
    more_title: str

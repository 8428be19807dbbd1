"""A chart as values: first what it says, then which texts and shapes that makes and where they are.

Times are in seconds since 1970. Positions are in the chart's units from its upper left corner, `y` downwards; a text's
position is on its baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from bot.export.chart.axis import Axis, Tick


class BarKind(StrEnum):
    """What a bar is for; each has its colour and, where colours are close, its pattern."""

    LOCK = "lock"
    HOLDER = "holder"
    CONTENDER = "contender"
    LOOP = "loop"
    CROWD = "crowd"
    THROTTLED = "throttled"


class Symbol(StrEnum):
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
    """A span. One that `goes_on` was not seen to end. `inside` is written in the bar if there is room."""

    since: float
    until: float
    kind: BarKind
    goes_on: bool = False
    sign: Symbol | None = None
    inside: str = ""


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A line of words with what belongs below it. `levels` are counts from an instant on; `dots` are instants."""

    title: str
    bars: tuple[Bar, ...] = ()
    levels: tuple[tuple[float, int], ...] = ()
    dots: tuple[float, ...] = ()
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one instant. Those that `cut_through` mark all rows above them."""

    at: float
    sign: Symbol
    label: str
    cuts_through: bool


@dataclass(frozen=True, slots=True)
class RowLimits:
    """How many of each a chart shows one by one, and how many characters of a name."""

    states: int
    runs: int
    loops: int
    events: int
    name: int


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a chart says. `more` are the instants of events that are not shown, `more_title` how many of what."""

    headline: str
    subline: str
    rows: tuple[ChartRow, ...]
    events: tuple[Event, ...]
    more: tuple[float, ...]
    more_title: str


@dataclass(frozen=True, slots=True)
class Format:
    """A size of chart. `text` and `small` are the sizes of its letters, in the units of its width."""

    width: float
    text: float
    small: float
    cuts: int
    limits: RowLimits
    margin: float = 12.0

    @property
    def right(self) -> float:
        """Where texts end. The axis ends before it, so that what ends last has room for the shape of its end."""
        return self.width - self.margin


class Size(Enum):
    """The two sizes: as wide as a phone or a preview in Slack, and as wide as a page."""

    NARROW = Format(420, 12.5, 11, 2, RowLimits(states=3, runs=3, loops=2, events=8, name=24))
    WIDE = Format(960, 13, 11.5, 4, RowLimits(states=8, runs=4, loops=3, events=14, name=48))


class Ink(StrEnum):
    """What a text or a shape is drawn in."""

    TEXT = "text"
    FAINT = "faint"
    ON_BAR = "on-bar"


class Anchor(StrEnum):
    """Which point of a text is at its `x`."""

    START = "left"
    MIDDLE = "center"
    END = "right"


@dataclass(frozen=True, slots=True)
class Label:
    """A text on its baseline. `wide` is how much room it takes."""

    text: str
    x: float
    y: float
    size: float
    wide: float
    anchor: Anchor = Anchor.START
    bold: bool = False
    ink: Ink = Ink.TEXT

    @property
    def left(self) -> float:
        return self.x - self.wide * {Anchor.START: 0.0, Anchor.MIDDLE: 0.5, Anchor.END: 1.0}[self.anchor]

    @property
    def right(self) -> float:
        return self.left + self.wide


@dataclass(frozen=True, slots=True)
class Box:
    """A bar in its place. One that has not ended ends in an arrow; `breaks` are where it crosses cuts in the axis."""

    left: float
    right: float
    top: float
    height: float
    kind: BarKind
    goes_on: bool
    breaks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Spot:
    """A shape with its centre."""

    x: float
    y: float
    size: float
    sign: Symbol


@dataclass(frozen=True, slots=True)
class Lane:
    """A row in its place: from `top` to `top + height`. `outline` is a stepped line above `floor`."""

    top: float
    height: float
    labels: tuple[Label, ...] = ()
    boxes: tuple[Box, ...] = ()
    spots: tuple[Spot, ...] = ()
    dots: tuple[float, ...] = ()
    outline: tuple[tuple[float, float], ...] = ()
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class TurnLine:
    """A turn of the incident, drawn from top to bottom through all rows."""

    x: float
    top: float
    bottom: float
    sign: Symbol


@dataclass(frozen=True, slots=True)
class Scale:
    """Times along one edge. `labels` are those of the ticks and what clock they are by; `y` is the edge."""

    y: float
    ticks: tuple[Tick, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A chart. `lanes` are from top to bottom and do not overlap; `scales` are UTC, and local time if it differs."""

    format: Format
    height: float
    axis: Axis
    heading: tuple[Label, ...]
    lanes: tuple[Lane, ...]
    lines: tuple[TurnLine, ...]
    scales: tuple[Scale, ...]

    @property
    def labels(self) -> tuple[Label, ...]:
        in_lanes = (label for lane in self.lanes for label in lane.labels)
        return (*self.heading, *in_lanes, *(label for scale in self.scales for label in scale.labels))

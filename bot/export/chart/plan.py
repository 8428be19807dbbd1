"""A laid-out chart, as values: which texts and shapes there are, and where they stand.

Positions are in the chart's units from its upper left corner, `y` downwards; texts stand on their baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from bot.export.chart.axis import Axis, Tick
from bot.export.chart.parts import Limits, Look, Sign


@dataclass(frozen=True, slots=True)
class Format:
    """A size of chart. `text` and `small` are the sizes of its letters, in the units of its width."""

    name: str
    width: float
    text: float
    small: float
    cuts: int
    limits: Limits
    margin: float = 12.0

    @property
    def right(self) -> float:
        """Where texts end. The axis ends before it, so that what ends last has room for the shape of its end."""
        return self.width - self.margin


class Size(Enum):
    """The two sizes that there are: as wide as a phone or a preview in Slack, and as wide as a page."""

    NARROW = Format("narrow", 420, 12.5, 11, 2, Limits(states=3, runs=3, loops=2, events=8, name=24))
    WIDE = Format("wide", 960, 13, 11.5, 4, Limits(states=8, runs=4, loops=3, events=14, name=48))


class Ink(StrEnum):
    """What a text or a shape is drawn in."""

    TEXT = "text"
    FAINT = "faint"
    ON_BAR = "on-bar"


class Anchor(StrEnum):
    """Which point of a text stands at its `x`."""

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
    """A bar in its place. One that goes on ends in an arrow; `breaks` are where it crosses cuts in the axis."""

    left: float
    right: float
    top: float
    height: float
    look: Look
    goes_on: bool
    breaks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Spot:
    """A shape with its centre."""

    x: float
    y: float
    size: float
    sign: Sign


@dataclass(frozen=True, slots=True)
class Lane:
    """A row in its place: from `top` to `top + height`. `outline` is a stepped line that stands on `floor`."""

    top: float
    height: float
    labels: tuple[Label, ...] = ()
    boxes: tuple[Box, ...] = ()
    spots: tuple[Spot, ...] = ()
    dots: tuple[float, ...] = ()
    outline: tuple[tuple[float, float], ...] = ()
    floor: float = 0.0
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A turn of the incident, drawn from top to bottom through all rows."""

    x: float
    top: float
    bottom: float
    sign: Sign


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
    lines: tuple[Line, ...]
    scales: tuple[Scale, ...]

    @property
    def labels(self) -> tuple[Label, ...]:
        """All texts of the chart."""
        in_lanes = (label for lane in self.lanes for label in lane.labels)
        return (*self.heading, *in_lanes, *(label for scale in self.scales for label in scale.labels))

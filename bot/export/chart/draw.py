"""A laid-out chart as a matplotlib figure: one unit of the plan is one point, in pictures and in SVG alike.

It uses no `pyplot`, and so no state that threads would share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from bot.export.chart.plan import BarKind, Box, Ink, Label, Lane, Plan, Scale, Spot, Symbol, TurnLine
from bot.export.chart.text import font, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point: TypeAlias = tuple[float, float]

POINTS_AN_INCH = 72


class Colour(StrEnum):
    PAPER = "paper"
    TEXT = "text"
    FAINT = "faint"
    GRID = "grid"
    ON_BAR = "on-bar"
    LOCK = "lock"
    HOLDER = "holder"
    CONTENDER = "contender"
    LOOP = "loop"
    CROWD = "crowd"
    THROTTLED = "throttled"
    GOOD = "good"
    BAD = "bad"


Palette: TypeAlias = Mapping[Colour, str]

LIGHT: Palette = {
    Colour.PAPER: "#ffffff",
    Colour.TEXT: "#1b1f24",
    Colour.FAINT: "#57606a",
    Colour.GRID: "#d5dae0",
    Colour.ON_BAR: "#fefefe",
    Colour.LOCK: "#0b5cad",
    Colour.HOLDER: "#c23b00",
    Colour.CONTENDER: "#7d5700",
    Colour.LOOP: "#8a6100",
    Colour.CROWD: "#7b3fa0",
    Colour.THROTTLED: "#55585f",
    Colour.GOOD: "#00775a",
    Colour.BAD: "#a8123e",
}
"""Each colour once, so that it tells its use. Against the paper, text has a contrast of 5, shapes of 3."""

DARK: Palette = {
    Colour.PAPER: "#15191e",
    Colour.TEXT: "#eef1f4",
    Colour.FAINT: "#a4adb8",
    Colour.GRID: "#363d46",
    Colour.ON_BAR: "#06121f",
    Colour.LOCK: "#63b3ff",
    Colour.HOLDER: "#ff9466",
    Colour.CONTENDER: "#d9ae4a",
    Colour.LOOP: "#e6b84c",
    Colour.CROWD: "#cf9ff5",
    Colour.THROTTLED: "#b4bac4",
    Colour.GOOD: "#45d0a4",
    Colour.BAD: "#ff7d9c",
}

_BARS = {
    BarKind.LOCK: (Colour.LOCK, ""),
    BarKind.HOLDER: (Colour.HOLDER, ""),
    BarKind.CONTENDER: (Colour.CONTENDER, "---"),
    BarKind.LOOP: (Colour.LOOP, "|||||"),
    BarKind.CROWD: (Colour.CROWD, ""),
    BarKind.THROTTLED: (Colour.THROTTLED, "////"),
}
"""Colour and pattern of a bar: without a pattern it is filled."""

_INKS = {Ink.TEXT: Colour.TEXT, Ink.FAINT: Colour.FAINT, Ink.ON_BAR: Colour.ON_BAR}


@dataclass(frozen=True, slots=True)
class _Shape:
    """A sign within the square from -1 to 1: what is filled, and what is drawn as lines."""

    colour: Colour
    filled: tuple[tuple[Point, ...], ...] = ()
    lines: tuple[tuple[Point, ...], ...] = ()


def _arc(radius: float, start: float, end: float, *, x: float = 0, y: float = 0) -> tuple[Point, ...]:
    """Points on a circle, in degrees clockwise from the right."""
    angles = [math.radians(start + (end - start) * step / 16) for step in range(17)]
    return tuple((x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles)


_STAR = tuple(_arc(0.42 if turn % 2 else 1.0, 36 * turn - 90, 36 * turn - 90)[0] for turn in range(10))
_CROSS = (((-0.7, -0.7), (0.7, 0.7)), ((-0.7, 0.7), (0.7, -0.7)))

_SHAPES = {
    Symbol.DONE: _Shape(Colour.GOOD, lines=(((-0.8, 0.1), (-0.25, 0.65), (0.8, -0.6)),)),
    Symbol.FAILED: _Shape(Colour.HOLDER, lines=_CROSS),
    Symbol.TIMED_OUT: _Shape(Colour.HOLDER, (((-0.75, -0.95), (0.75, -0.95), (-0.75, 0.95), (0.75, 0.95)),)),
    Symbol.CANCELLED: _Shape(Colour.TEXT, (((-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)),)),
    Symbol.UNCLEAR: _Shape(Colour.TEXT, lines=(_arc(0.7, 0, 360),)),
    Symbol.COMMAND: _Shape(Colour.FAINT, (((-0.6, -0.75), (0.8, 0), (-0.6, 0.75)),)),
    Symbol.KILL: _Shape(Colour.BAD, lines=_CROSS),
    Symbol.UNLOCK: _Shape(
        Colour.GOOD,
        (((-0.75, -0.1), (0.75, -0.1), (0.75, 0.95), (-0.75, 0.95)),),
        (((-0.5, -0.1), (-0.5, -0.45), *_arc(0.45, 180, 340, x=-0.05, y=-0.5)),),
    ),
    Symbol.OWNER: _Shape(
        Colour.LOCK, (((-0.9, -0.75), (0.9, -0.75), (0.9, 0.4), (0.0, 0.4), (-0.5, 0.95), (-0.5, 0.4), (-0.9, 0.4)),)
    ),
    Symbol.ALERT: _Shape(Colour.HOLDER, (((0.0, -0.85), (0.9, 0.75), (-0.9, 0.75)),)),
    Symbol.KEY: _Shape(Colour.CROWD, (_STAR,)),
}


def drawn(plan: Plan) -> Figure:
    """The figure, in light colours. The id of each text is its place in `plan.labels`: `text-0`, `text-1` and so on."""
    from matplotlib.figure import Figure  # noqa: PLC0415  matplotlib is slow to import

    figure = Figure(figsize=(plan.format.width / POINTS_AN_INCH, plan.height / POINTS_AN_INCH), dpi=POINTS_AN_INCH)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, plan.format.width)
    axes.set_ylim(plan.height, 0)
    canvas = _Canvas(axes)

    canvas.area([(0, 0), (plan.format.width, 0), (plan.format.width, plan.height), (0, plan.height)], Colour.PAPER)
    canvas.scales(plan)
    for lane in plan.lanes:
        canvas.lane(lane)
    for line in plan.lines:
        canvas.turn(line)
    for place, label in enumerate(plan.labels):
        canvas.label(label, f"text-{place}")
    for lane in plan.lanes:
        for spot in lane.spots:
            canvas.sign(spot)
    return figure


@dataclass(slots=True)
class _Canvas:
    """Draws in the order of the calls: later ones are on top."""

    axes: Axes
    depth: int = 0

    def area(self, points: Sequence[Point], colour: Colour, *, pattern: str = "", alpha: float = 1) -> None:
        from matplotlib.patches import Polygon  # noqa: PLC0415  slow

        self.axes.add_patch(
            Polygon(
                points,
                closed=True,
                facecolor=LIGHT[Colour.PAPER if pattern else colour],
                edgecolor=LIGHT[colour] if pattern else "none",
                hatch=pattern or None,
                linewidth=1.2 if pattern else 0,
                alpha=alpha,
                zorder=self._next(),
            )
        )

    def stroke(self, points: Iterable[Point], colour: Colour, wide: float, *, dashes: Sequence[float] = ()) -> None:
        from matplotlib.lines import Line2D  # noqa: PLC0415  slow

        xs, ys = zip(*points, strict=True)
        line = Line2D(xs, ys, color=LIGHT[colour], linewidth=wide, zorder=self._next())
        line.set_solid_capstyle("round")
        if dashes:
            line.set_linestyle((0, tuple(dashes)))
        self.axes.add_line(line)

    def strokes(self, lines: Sequence[tuple[Point, Point]], colour: Colour, wide: float) -> None:
        """Many lines as one shape: hundreds of them would make a large page."""
        from matplotlib.patches import PathPatch  # noqa: PLC0415  slow
        from matplotlib.path import Path  # noqa: PLC0415  slow

        if lines:
            path = Path([point for line in lines for point in line], [Path.MOVETO, Path.LINETO] * len(lines))
            patch = PathPatch(path, edgecolor=LIGHT[colour], facecolor="none", linewidth=wide, zorder=self._next())
            self.axes.add_patch(patch)

    def scales(self, plan: Plan) -> None:
        bottom = plan.scales[-1]
        top = plan.scales[0].y if len(plan.scales) > 1 else plan.lanes[0].top
        for tick in bottom.ticks:
            self.stroke(((tick.x, top), (tick.x, bottom.y)), Colour.GRID, 0.8)
        for scale in plan.scales:
            self._edge(plan, scale)

    def lane(self, lane: Lane) -> None:
        for box in lane.boxes:
            self._box(box)
        self.strokes([((x, lane.floor - 7), (x, lane.floor)) for x in lane.dots], Colour.CONTENDER, 1.6)
        if lane.outline:
            area = [(lane.outline[0][0], lane.floor), *lane.outline, (lane.outline[-1][0], lane.floor)]
            self.area(area, Colour.CROWD, alpha=0.3)
            self.stroke(lane.outline, Colour.CROWD, 1.6)

    def turn(self, line: TurnLine) -> None:
        is_unlock = line.sign is Symbol.UNLOCK
        colour = Colour.GOOD if is_unlock else Colour.BAD
        self.stroke(((line.x, line.top), (line.x, line.bottom)), colour, 1.6, dashes=() if is_unlock else (3, 2))

    def sign(self, spot: Spot) -> None:
        shape, half = _SHAPES[spot.sign], spot.size / 2
        weight = 3.0 if spot.sign is Symbol.KILL else 2.0
        for points in shape.filled:
            self.area([(spot.x + half * x, spot.y + half * y) for x, y in points], shape.colour)
        for points in shape.lines:
            self.stroke([(spot.x + half * x, spot.y + half * y) for x, y in points], shape.colour, weight)

    def label(self, label: Label, name: str) -> None:
        """The text, with paper under it where lines may run."""
        if label.ink is not Ink.ON_BAR:
            top, bottom = label.y - 0.85 * label.size, label.y + 0.25 * label.size
            left, right = label.left - 2, label.right + 2
            self.area([(left, top), (right, top), (right, bottom), (left, bottom)], Colour.PAPER)
        self.axes.text(
            label.x,
            label.y,
            legible(label.text),
            fontproperties=font(label.size, bold=label.bold),
            color=LIGHT[_INKS[label.ink]],
            horizontalalignment=label.anchor.value,
            verticalalignment="baseline",
            parse_math=False,
            gid=name,
            zorder=self._next(),
        )

    def _edge(self, plan: Plan, scale: Scale) -> None:
        away = 4 if scale is plan.scales[-1] else -4
        for stretch in plan.axis.stretches:
            self.stroke(((stretch.left, scale.y), (stretch.right, scale.y)), Colour.FAINT, 1.2)
        for tick in scale.ticks:
            self.stroke(((tick.x, scale.y), (tick.x, scale.y + away)), Colour.FAINT, 1.2)
        for cut in plan.axis.cuts:
            for x in (cut.left, cut.right):
                self.stroke(((x - 2, scale.y + 5), (x + 2, scale.y - 5)), Colour.FAINT, 1.2)

    def _box(self, box: Box) -> None:
        colour, pattern = _BARS[box.kind]
        bottom, middle = box.top + box.height, box.top + box.height / 2
        tip = min(box.height / 2, (box.right - box.left) / 2) if box.goes_on else 0
        shoulder = box.right - tip
        points = [(box.left, box.top), (shoulder, box.top), (box.right, middle), (shoulder, bottom), (box.left, bottom)]
        self.area(points, colour, pattern=pattern)
        for x in box.breaks:
            slanted = [(x - 1, box.top - 2), (x + 7, box.top - 2), (x + 1, bottom + 2), (x - 7, bottom + 2)]
            self.area(slanted, Colour.PAPER)

    def _next(self) -> int:
        self.depth += 1
        return self.depth

"""Where everything in a chart stands: pure, and the same for the same account.

Positions are in the chart's units from its upper left corner, `y` downwards; texts stand on their baseline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from enum import Enum, StrEnum

from bot.core.account import Account
from bot.export._chart_axis import Axis, Tick, axis, local, ticks, zone_named
from bot.export._chart_rows import Bar, Event, Limits, Look, Row, Sign, Told, instants, told
from bot.export._chart_text import clean, fitted, width, wrapped


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


class Size(Enum):
    """The two sizes that there are: as wide as a phone or a preview in Slack, and as wide as a page."""

    NARROW = Format("narrow", 420, 12.5, 11, 2, Limits(states=3, runs=3, loops=2, events=8, name=26))
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


def plan(account: Account, size: Size = Size.WIDE) -> Plan:
    """The chart of an account, laid out."""
    form = size.value
    on = axis(instants(account), form.margin, form.width - form.margin, most_cuts=form.cuts, size=form.small)
    story = told(account, form.limits)
    heading = _heading(story, form)
    top = heading[-1].y + form.text
    local_scale = _local_scale(account, on, form, top)
    if local_scale:
        top = local_scale.y + 6

    lanes = _lanes(story, on, form, top)
    bottom = lanes[-1].top + lanes[-1].height + 4
    scale = _scale(ticks(on, UTC, form.small), "UTC", on, form, bottom)
    lines = _lines(story.events, lanes, top)
    scales = (local_scale, scale) if local_scale else (scale,)
    return Plan(form, bottom + 3.4 * form.small + 8, on, heading, lanes, lines, scales)


def _heading(story: Told, form: Format) -> tuple[Label, ...]:
    room, y = form.width - 2 * form.margin, form.margin
    labels: list[Label] = []
    for text, size, bold in ((story.headline, form.text * 1.25, True), (story.subline, form.text, False)):
        for line in wrapped(text, room, size, most=2, bold=bold):
            y += size * 1.3
            labels.append(_label(line, form.margin, y, size, bold=bold))
    return tuple(labels)


def _local_scale(account: Account, on: Axis, form: Format, top: float) -> Scale | None:
    """The clock of the account's zone above the rows, unless it shows what UTC shows."""
    zone = zone_named(account.zone)
    offsets = {local(at, zone).utcoffset() for at in (on.since, on.until)} if zone else set()
    if not zone or not any(offsets):
        return None
    made = _scale(ticks(on, zone, form.small), clean(account.zone), on, form, top, above=True)
    return made if made.ticks else None


def _scale(marked: Sequence[Tick], clock: str, on: Axis, form: Format, edge: float, *, above: bool = False) -> Scale:
    """Ticks with their times, and in a second line farther from the rows their dates and the name of the clock."""
    small = form.small
    edge = edge + 2.4 * small if above else edge
    near, far = (edge - 5, edge - 5 - 1.25 * small) if above else (edge + 5 + small, edge + 5 + 2.25 * small)
    labels = [_label(tick.label, tick.x, near, small, Anchor.MIDDLE) for tick in marked]
    name = _label(fitted(clock, form.width / 3, small, bold=True), on.right, far, small, Anchor.END, bold=True)
    dates = (_label(tick.date, tick.x, far, small, Anchor.MIDDLE, ink=Ink.FAINT) for tick in marked if tick.date)
    labels += [date for date in dates if date.right + small <= name.left]
    labels += [
        _label(cut.label, (cut.left + cut.right) / 2, near, small, Anchor.MIDDLE, ink=Ink.FAINT) for cut in on.cuts
    ]
    return Scale(edge, tuple(marked), (*labels, name))


def _lanes(story: Told, on: Axis, form: Format, top: float) -> tuple[Lane, ...]:
    lanes: list[Lane] = []
    for row in story.rows:
        lanes.append(_lane(row, on, form, top))
        top += lanes[-1].height
    top += 4
    for event in story.events:
        lanes.append(_event(event, on, form, top))
        top += lanes[-1].height
    if story.more_title:
        lanes.append(_lane(Row(story.more_title, dots=story.more), on, form, top))
    return tuple(lanes) or (Lane(top, form.text),)


def _lane(row: Row, on: Axis, form: Format, top: float) -> Lane:
    """The row's words, and below them what they tell of. The words begin where that begins, if they fit there."""
    gap = form.text * (0.7 if row.is_head else 0.35)
    baseline = top + gap + form.text
    body = baseline + 5
    room = on.right - on.left
    title = fitted(row.title, room, form.text, bold=row.is_head)
    wide = width(title, form.text, bold=row.is_head)
    begins = min((on.x(at) for at in _beginnings(row)), default=on.left)
    x = on.left if row.is_head else max(on.left, min(begins, on.right - wide))
    tall = _tall(row, form)
    boxes = tuple(_box(bar, on, body, tall) for bar in row.bars)
    labels = [_label(title, x, baseline, form.text, bold=row.is_head)]
    labels += [label for label in map(_inside, row.bars, boxes, [form] * len(boxes)) if label]
    return Lane(
        top,
        body + tall - top,
        tuple(labels),
        boxes,
        tuple(_ending(bar, box, on) for bar, box in zip(row.bars, boxes, strict=True) if bar.sign),
        _positions(on.x(at) for at in row.dots),
        tuple(_outline(row.levels, on, body, tall)),
        body + tall,
        row.is_head,
    )


def _beginnings(row: Row) -> Iterator[float]:
    yield from (bar.since for bar in row.bars)
    yield from row.dots[:1]
    yield from (at for at, _ in row.levels[:1])


def _tall(row: Row, form: Format) -> float:
    if row.levels:
        return 2.8 * form.text
    if row.dots:
        return 0.7 * form.text
    if row.bars:
        return 1.5 * form.text if row.is_head else 0.95 * form.text
    return 0.0


def _box(bar: Bar, on: Axis, top: float, height: float) -> Box:
    """At least so wide that it can be seen, and within the axis."""
    left, right = on.x(bar.since), on.x(bar.until)
    if right - left < 4:  # noqa: PLR2004  units that an eye can see
        left = min(left, on.right - 4)
        right = left + 4
    middles = ((cut.left + cut.right) / 2 for cut in on.cuts)
    return Box(left, right, top, height, bar.look, bar.goes_on, tuple(x for x in middles if left < x < right))


def _inside(bar: Bar, box: Box, form: Format) -> Label | None:
    """What is said in a bar, at its end: clear of the places where it is broken, or not at all."""
    left = max((box.left, *box.breaks))
    arrow = box.height / 2 if box.goes_on else 0.0
    room = box.right - left - 14 - arrow
    text = bar.inside if width(bar.inside, form.small, bold=True) <= room else bar.inside.partition(", ")[2]
    if not text or width(text, form.small, bold=True) > room:
        return None
    y = box.top + box.height / 2 + form.small * 0.36
    return _label(text, box.right - 7 - arrow, y, form.small, Anchor.END, bold=True, ink=Ink.ON_BAR)


def _ending(bar: Bar, box: Box, on: Axis) -> Spot:
    """The shape of an end, beside the bar: after it, or before it at the edge of the chart."""
    size = min(13.0, box.height)
    after = box.right + 3 + size / 2
    x = after if after + size / 2 <= on.right else box.left - 3 - size / 2
    return Spot(max(on.left + size / 2, x), box.top + box.height / 2, size, bar.sign or Sign.UNCLEAR)


def _outline(levels: Sequence[tuple[float, int]], on: Axis, top: float, tall: float) -> Iterator[tuple[float, float]]:
    """Each count until the next; of counts at one position the highest."""
    most = max((level for _, level in levels), default=0)
    highest: dict[float, int] = {}
    for at, level in levels:
        x = float(round(on.x(at)))
        highest[x] = max(level, highest.get(x, 0))
    before = 0
    for x, level in highest.items():
        held = min(max(x, on.left), on.right)
        yield from ((held, top + tall * (1 - count / most)) for count in (before, level))
        before = level
    if highest:
        end = min(on.right, max(highest) + 3)
        yield from ((end, top + tall * (1 - count / most)) for count in (before, 0))


def _event(event: Event, on: Axis, form: Format, top: float) -> Lane:
    """The shape at its instant and the words beside it, on the side where they fit."""
    height = form.text * 1.45
    size = form.text * 0.95
    x = max(on.left + size / 2, min(on.x(event.at), on.right - size / 2))
    y = top + height / 2
    bold = event.cuts_through
    after, before = on.right - x - size / 2 - 4, x - size / 2 - 4 - on.left
    fits_after = width(event.label, form.text, bold=bold) <= after or after >= before
    text = fitted(event.label, after if fits_after else before, form.text, bold=bold)
    base = y + form.text * 0.36
    anchor = Anchor.START if fits_after else Anchor.END
    beside = x + (size / 2 + 4) * (1 if fits_after else -1)
    return Lane(
        top,
        height,
        (_label(text, beside, base, form.text, anchor, bold=bold),) if text else (),
        spots=(Spot(x, y, size, event.sign),),
    )


def _lines(events: Sequence[Event], lanes: Sequence[Lane], top: float) -> tuple[Line, ...]:
    """From the top of the rows down to the event's own shape."""
    spots = [lane.spots[0] for lane in lanes if len(lane.spots) == 1 and not lane.boxes]
    return tuple(
        Line(spot.x, top, spot.y - spot.size / 2 - 1, event.sign)
        for event, spot in zip(events, spots, strict=True)
        if event.cuts_through
    )


def _positions(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in sorted({round(value) for value in values}))


def _label(
    text: str,
    x: float,
    y: float,
    size: float,
    anchor: Anchor = Anchor.START,
    *,
    bold: bool = False,
    ink: Ink = Ink.TEXT,
) -> Label:
    return Label(text, x, y, size, width(text, size, bold=bold), anchor, bold, ink)

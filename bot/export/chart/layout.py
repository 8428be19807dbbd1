"""Where everything in a chart goes: pure, and the same for the same account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC

from bot.core.account.values import Account
from bot.export.chart.axis import Axis, Tick, axis, local, ticks
from bot.export.chart.plan import (
    Anchor,
    Bar,
    Box,
    ChartRow,
    Contents,
    Event,
    Format,
    Ink,
    Label,
    Lane,
    Plan,
    Scale,
    Size,
    Spot,
    TurnLine,
)
from bot.export.chart.rows import instants, told
from bot.export.chart.text import clean, fitted, width, wrapped
from bot.export.values import zone_of

_SIGN = 13.0
"""How large the shape of an end is at most."""


def plan(account: Account, size: Size = Size.WIDE) -> Plan:
    """The chart of an account, laid out."""
    form = size.value
    on = axis(instants(account), form.margin, form.right - _SIGN - 3, most_cuts=form.cuts, size=form.small)
    is_crowded = len({lock.state for lock in account.locks}) > form.limits.loops
    limits = replace(form.limits, runs=2, loops=1) if is_crowded else form.limits  # of many states, less of each
    contents = told(account, limits)
    heading = _heading(contents, form)
    top = heading[-1].y + form.text
    local_scale = _local_scale(account, on, form, top)
    if local_scale:
        top = local_scale.y + 6

    lanes = _lanes(contents, on, form, top)
    bottom = lanes[-1].top + lanes[-1].height + 4
    scale = _scale(ticks(on, UTC, form.small), "UTC", on, form, bottom)
    lines = _lines(contents.events, lanes, top)
    scales = (local_scale, scale) if local_scale else (scale,)
    return Plan(form, bottom + 3.4 * form.small + 8, on, heading, lanes, lines, scales)


def _heading(contents: Contents, form: Format) -> tuple[Label, ...]:
    room, y = form.width - 2 * form.margin, form.margin
    labels: list[Label] = []
    for text, size, bold in ((contents.headline, form.text * 1.25, True), (contents.subline, form.text, False)):
        for line in wrapped(text, room, size, most=2, bold=bold):
            y += size * 1.3
            labels.append(_label(line, form.margin, y, size, bold=bold))
    return tuple(labels)


def _local_scale(account: Account, on: Axis, form: Format, top: float) -> Scale | None:
    """The clock of the account's zone above the rows, unless it shows what UTC shows."""
    zone = zone_of(account.zone)
    if not any(local(at, zone).utcoffset() for at in (on.since, on.until)):
        return None
    made = _scale(ticks(on, zone, form.small), clean(account.zone), on, form, top, above=True)
    return made if made.ticks else None


def _scale(marked: Sequence[Tick], clock: str, on: Axis, form: Format, edge: float, *, above: bool = False) -> Scale:
    """Ticks with their times, and in a second line farther from the rows their dates and the name of the clock."""
    small = form.small
    edge = edge + 2.4 * small if above else edge
    near, far = (edge - 5, edge - 5 - 1.25 * small) if above else (edge + 5 + small, edge + 5 + 2.25 * small)
    labels = [_label(tick.label, tick.x, near, small, Anchor.MIDDLE) for tick in marked]
    name = _label(fitted(clock, form.width / 3, small, bold=True), form.right, far, small, Anchor.END, bold=True)
    dates = (_label(tick.date, tick.x, far, small, Anchor.MIDDLE, ink=Ink.FAINT) for tick in marked if tick.date)
    labels += [date for date in dates if date.right + small <= name.left]
    labels += [
        _label(cut.label, (cut.left + cut.right) / 2, near, small, Anchor.MIDDLE, ink=Ink.FAINT) for cut in on.cuts
    ]
    return Scale(edge, tuple(marked), (*labels, name))


def _lanes(contents: Contents, on: Axis, form: Format, top: float) -> tuple[Lane, ...]:
    lanes: list[Lane] = []
    for row in contents.rows:
        lanes.append(_lane(row, on, form, top))
        top += lanes[-1].height
    top += 4
    for event in contents.events:
        lanes.append(_event(event, on, form, top))
        top += lanes[-1].height
    if contents.more_title:
        lanes.append(_lane(ChartRow(contents.more_title, dots=contents.more), on, form, top))
    return tuple(lanes) or (Lane(top, form.text),)


def _lane(row: ChartRow, on: Axis, form: Format, top: float) -> Lane:
    """The row's words, and its bars below them. The words begin where the bars begin, if they fit there."""
    gap = form.text * (0.7 if row.is_head else 0.35)
    baseline = top + gap + form.text
    body = baseline + 5
    title = fitted(row.title, form.right - on.left, form.text, bold=row.is_head)
    wide = width(title, form.text, bold=row.is_head)
    begins = (*(bar.since for bar in row.bars), *row.dots[:1], *(at for at, _ in row.levels[:1]))
    first = min(map(on.x, begins), default=on.left)
    x = on.left if row.is_head else max(on.left, min(first, form.right - wide))
    tall = _tall(row, form)
    boxes = tuple(_box(bar, on, body, tall) for bar in row.bars)
    labels, ends = [_label(title, x, baseline, form.text, bold=row.is_head)], list[Spot]()
    for place, (bar, box) in enumerate(zip(row.bars, boxes, strict=True)):
        label = _inside(bar, box, form)
        if label and all(other.left > label.right or other is box for other in boxes[place:]):
            labels.append(label)  # no later bar of the row covers it
        if bar.sign:
            size = min(_SIGN, box.height)
            ends.append(Spot(box.right + 3 + size / 2, box.top + box.height / 2, size, bar.sign))
    return Lane(
        top,
        body + tall - top,
        tuple(labels),
        boxes,
        tuple(ends),
        tuple(float(x) for x in sorted({round(on.x(at)) for at in row.dots})),
        tuple(_outline(row.levels, on, body, tall)),
        body + tall,
    )


def _tall(row: ChartRow, form: Format) -> float:
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
    return Box(left, right, top, height, bar.kind, bar.goes_on, tuple(x for x in middles if left < x < right))


def _inside(bar: Bar, box: Box, form: Format) -> Label | None:
    """The words in a bar: at its beginning, after the last place where it is broken; None if there is no room."""
    left = max((box.left, *(x + 7 for x in box.breaks))) + 7
    room = box.right - left - 7 - (box.height / 2 if box.goes_on else 0.0)
    texts = (bar.inside, bar.inside.partition(", ")[2])
    fitting = next((text for text in texts if text and width(text, form.small, bold=True) <= room), "")
    y = box.top + box.height / 2 + form.small * 0.36
    return _label(fitting, left, y, form.small, bold=True, ink=Ink.ON_BAR) if fitting else None


def _outline(levels: Sequence[tuple[float, int]], on: Axis, top: float, tall: float) -> Iterator[tuple[float, float]]:
    """Each count until the next, without zeros at the end; of counts at one position the highest."""
    most = max((level for _, level in levels), default=0)
    last = max((place for place, (_, level) in enumerate(levels) if level), default=-1)
    levels = levels[: last + 2]
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
    """The shape at its instant, and the words beside it: on the side where they fit, else on two lines."""
    size = form.text * 0.95
    x = max(on.left + size / 2, on.x(event.at))
    y = top + form.text * 0.72
    bold = event.cuts_through
    before, after = x - size / 2 - 4, x + size / 2 + 4
    start, room, anchor = after, form.right - after, Anchor.START
    if width(event.label, form.text, bold=bold) > room and room < before - on.left:
        start, room, anchor = before, before - on.left, Anchor.END
    lines = wrapped(event.label, room, form.text, most=2, bold=bold)
    labels = (
        _label(line, start, y + form.text * (0.36 + 1.2 * place), form.text, anchor, bold=bold)
        for place, line in enumerate(lines)
        if line
    )
    height = form.text * (1.45 + 1.2 * (len(lines) - 1))
    return Lane(top, height, tuple(labels), spots=(Spot(x, y, size, event.sign),))


def _lines(events: Sequence[Event], lanes: Sequence[Lane], top: float) -> tuple[TurnLine, ...]:
    """From the top of the rows down to the event's own shape."""
    spots = [lane.spots[0] for lane in lanes if len(lane.spots) == 1 and not lane.boxes]
    return tuple(
        TurnLine(spot.x, top, spot.y - spot.size / 2 - 1, event.sign)
        for event, spot in zip(events, spots, strict=True)
        if event.cuts_through
    )


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

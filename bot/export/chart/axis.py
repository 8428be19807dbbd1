"""The time axis of a chart: instants to positions, with long empty stretches cut out, and the labels below and above.

Instants here are seconds since 1970 (UTC); positions are in the chart's units from its left edge.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from bot.core.phrase import duration
from bot.export.chart.text import width

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = (datetime(1, 1, 3, tzinfo=UTC) - _EPOCH).total_seconds()
_LATEST = (datetime(9999, 12, 29, tzinfo=UTC) - _EPOCH).total_seconds()
"""Two days from the ends of the calendar, so that every zone can show them."""

_SHORTEST = 60.0
"""Seconds that an axis shows at least."""

_MARGIN = 5.0
"""Seconds that are shown at least before the first instant and after the last one."""

_EMPTY = 3.0
"""Stretches without anything are cut out when they are together longer than this many times the rest."""

_DAY = 86_400
_STEPS = (*(1, 5, 10, 30), *(60 * m for m in (1, 2, 5, 10, 15, 30)), *(3600 * h for h in (1, 2, 3, 6, 12)))
_DAYS = tuple(_DAY * days for days in (1, 2, 7, 14, 30, 91, 365, 1_826, 3_652, 36_524, 365_243))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of time on the axis: shown to scale, or cut out because nothing happened. Then `label` says how long."""

    since: float
    until: float
    left: float
    right: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A time on the axis, centred on `x`. `label` and `date` may be empty."""

    x: float
    label: str
    date: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """`stretches` are to scale, all to the same one. Instants outside the axis are shown at its ends."""

    left: float
    right: float
    stretches: tuple[Stretch, ...]
    cuts: tuple[Stretch, ...]

    @property
    def since(self) -> float:
        return self.stretches[0].since

    @property
    def until(self) -> float:
        return self.stretches[-1].until

    def x(self, at: float) -> float:
        pieces = sorted((*self.stretches, *self.cuts), key=lambda piece: piece.since)
        piece = pieces[max(0, bisect_right([each.since for each in pieces], at) - 1)]
        share = min(1.0, max(0.0, (at - piece.since) / (piece.until - piece.since)))
        return piece.left + share * (piece.right - piece.left)


def seconds(at: datetime) -> float:
    """An instant as a number. Without a zone it counts as UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(_LATEST, max(_EARLIEST, (aware - _EPOCH).total_seconds()))


def local(at: float, zone: tzinfo) -> datetime:
    """A number as an instant again. What lies beyond the calendar becomes its end."""
    return (_EPOCH + timedelta(seconds=min(_LATEST, max(_EARLIEST, at)))).astimezone(zone)


def axis(instants: Iterable[float], left: float, right: float, *, most_cuts: int, size: float) -> Axis:
    """The axis of all these instants, between two positions. `size` is the letter size of the cuts' labels."""
    found = sorted(set(instants))
    lacking = max(0.0, _SHORTEST - (found[-1] - found[0]))
    whole = [found[0] - lacking / 2, *found, found[-1] + lacking / 2] if lacking else found
    cuts = _empty(whole, most_cuts)
    margin = max(_MARGIN, 0.02 * (whole[-1] - whole[0] - sum(until - since for since, until in cuts)))
    bounds = [whole[0] - margin, *(bound for since, until in cuts for bound in (since + margin, until - margin))]
    shown = list(zip(bounds[::2], [*bounds[1::2], whole[-1] + margin], strict=True))
    labels = [duration(timedelta(seconds=round(until - since, -1))) for since, until in cuts]
    room = right - left - sum(width(label, size) + 2 * size for label in labels)
    scale = room / sum(until - since for since, until in shown)
    return _placed(shown, labels, left=left, scale=scale, size=size)


def ticks(on: Axis, zone: tzinfo, size: float) -> tuple[Tick, ...]:
    """Round times of a zone on the axis, with dates where days change. No two labels of a line touch."""
    scale = max((each.right - each.left) / (each.until - each.since) for each in on.stretches)
    apart = {True: width("00:00", size) + 1.6 * size, False: width("00 Mon 0000", size) + 1.6 * size}
    fitting = (step for step in (*_STEPS, *_DAYS) if step * scale >= apart[step < _DAY])
    step = next(fitting, _DAYS[-1])
    times = [(on.x(at), local(at, zone)) for stretch in on.stretches for at in _round(stretch, step, zone)]
    taken = [_extent((cut.left + cut.right) / 2, cut.label, size) for cut in on.cuts]
    kept: list[Tick] = []
    dated = ""
    dates: list[tuple[float, float]] = []
    for x, at in times:
        label = _time(at, step)
        extent = _extent(x, label, size)
        if not _free(extent, taken, on):
            continue
        taken.append(extent)
        day = f"{at:%a} {at.day} {at:%b}" if step < _DAY else ""
        spot = _extent(x, day, size)
        is_new = day != dated and _free(spot, dates, on)
        if is_new:
            dates.append(spot)
            dated = day
        kept.append(Tick(x, label, day if is_new else ""))
    return tuple(kept)


def _empty(whole: Sequence[float], most: int) -> list[tuple[float, float]]:
    """The stretches to cut out: as many of the longest as it takes until what is left can be read."""
    gaps = sorted(pairwise(whole), key=lambda gap: gap[0] - gap[1])[:most]
    span = whole[-1] - whole[0]
    for many in range(len(gaps), 0, -1):
        cut = sum(until - since for since, until in gaps[:many])
        shortest = gaps[many - 1][1] - gaps[many - 1][0]
        rest = max(span - cut, _SHORTEST)
        if shortest > rest and cut > _EMPTY * rest and span - cut > 0:
            return sorted(gaps[:many])
    return []


def _placed(
    shown: Sequence[tuple[float, float]], labels: Sequence[str], *, left: float, scale: float, size: float
) -> Axis:
    stretches: list[Stretch] = []
    cuts: list[Stretch] = []
    x = left
    for place, (since, until) in enumerate(shown):
        if place:
            end, label = x + width(labels[place - 1], size) + 2 * size, labels[place - 1]
            cuts.append(Stretch(stretches[-1].until, since, x, end, label))
            x = end
        stretches.append(Stretch(since, until, x, x + scale * (until - since)))
        x = stretches[-1].right
    return Axis(left, x, tuple(stretches), tuple(cuts))


def _round(stretch: Stretch, step: int, zone: tzinfo) -> Iterator[float]:
    """Multiples of the step by the zone's own clock. A stretch that holds none gets its middle, to the minute."""
    ahead = (local(stretch.since, zone).utcoffset() or timedelta()).total_seconds()
    first = math.ceil((stretch.since + ahead) / step)
    last = math.floor((stretch.until + ahead) / step)
    if first > last:
        middle = (stretch.since + stretch.until) / 2
        yield max(stretch.since, middle // 60 * 60)
    yield from (place * step - ahead for place in range(first, last + 1))


def _time(at: datetime, step: int) -> str:
    if step >= _DAY:
        return f"{at.day} {at:%b} {at.year}"
    return f"{at:%H:%M}" if step >= 60 else f"{at:%H:%M:%S}"  # noqa: PLR2004  a minute


def _extent(x: float, text: str, size: float) -> tuple[float, float]:
    half = width(text, size) / 2
    return x - half, x + half


def _free(extent: tuple[float, float], taken: Iterable[tuple[float, float]], on: Axis) -> bool:
    gap = 4.0
    inside = on.left - gap <= extent[0] and extent[1] <= on.right + gap
    return inside and all(extent[1] + gap <= left or right + gap <= extent[0] for left, right in taken)

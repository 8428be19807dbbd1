"""Versions of a state beside the runs of a pipeline: how many were written while one ran, and whether chance would do.

Pure. It is never proof: two pipelines that run at the same hours look the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import comb
from typing import TypeAlias

from bot.core.run import Phase, Run

Span: TypeAlias = tuple[datetime, datetime]
Ran: TypeAlias = tuple[tuple[Span, ...], Span]
"""When a pipeline ran, and the time of which that is known."""

SLACK = timedelta(seconds=30)
"""The store's clock dates a version, the CI system's clock a run."""

_BY_CHANCE = 0.01
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Coincidence:
    """So many `of` the versions were written `within` runs, which filled this `share` of the time."""

    within: int
    of: int
    share: float

    @property
    def tells(self) -> bool:
        """Whether at least half were, and chance would bring as many less than once in a hundred times."""
        return self.within >= _MOST * self.of and self.by_chance <= _BY_CHANCE

    @property
    def by_chance(self) -> float:
        """How probable it is that as many fall into the runs, or more, if they have nothing to do with them."""
        rest = range(self.within, self.of + 1)
        return sum(comb(self.of, hits) * self.share**hits * (1 - self.share) ** (self.of - hits) for hits in rest)

    def __add__(self, other: Coincidence) -> Coincidence:
        """Of two states with one pipeline; the runs are the same."""
        return Coincidence(self.within + other.within, self.of + other.of, max(self.share, other.share))


NOTHING = Coincidence(0, 0, 0.0)


def coincidence(written: Iterable[datetime], spans: Sequence[Span], window: Span) -> Coincidence:
    """Of what was written in the window. `spans` are disjoint and in order."""
    since, until = window
    mine = [at for at in written if since <= at <= until]
    within = sum(any(begin <= at <= end for begin, end in spans) for at in mine)
    covered = sum((max(timedelta(0), min(end, until) - max(begin, since)) for begin, end in spans), timedelta(0))
    return Coincidence(within, len(mine), min(1.0, covered / (until - since)) if until > since else 1.0)


def beside_all(written: Iterable[datetime], ran: Collection[Ran]) -> Coincidence:
    """One state's versions beside all pipelines together, in the time of which the runs of all of them are known."""
    since = max(window[0] for _, window in ran)
    times = [at for at in written if at >= since]
    return Coincidence(
        sum(any(begin <= at <= end for spans, _ in ran for begin, end in spans) for at in times), len(times), 0.0
    )


def spans_of(runs: Iterable[Run], now: datetime) -> tuple[Span, ...]:
    """When any of the runs was active: disjoint, in order. Of several attempts only the newest's times are known."""
    found = list[Span]()
    for run in runs:
        begin = run.started_at or (run.created_at if run.attempt == 1 else None)
        end = run.ended_at or (None if run.phase in {Phase.ENDED, Phase.WAITING} else now)
        if begin is not None and end is not None and end >= begin:
            found.append((begin - SLACK, end + SLACK))
    merged = list[Span]()
    for begin, end in sorted(found):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return tuple(merged)


def words(seen: Coincidence, states: int = 1) -> str:
    """The evidence, for a comment: of one state's versions, or of those of several that have one entry."""
    percent = "less than 1 %" if seen.share < 0.01 else f"{seen.share * 100:.0f} %"  # noqa: PLR2004
    ran = f"written while it ran ({percent} of the time)"
    if seen.of == 1:
        return f"its last version was {'' if seen.within else 'not '}{ran}"
    last = f"its last {seen.of} versions" if states == 1 else f"the last {seen.of} versions of {states} of its states"
    return f"{seen.within or 'none'} of {last} {'were' if seen.within > 1 else 'was'} {ran}"


COUNTED = re.compile(
    r"(?:(?:\d+|none) of )?(?:its|the) last (?:version|\d+ versions(?: of \d+ of its states)?) "
    r"(?:was|were) (?:not )?written (?:while it ran \([^)]*\))?"
)
"""What changes with each run of a pipeline: no difference between two results."""

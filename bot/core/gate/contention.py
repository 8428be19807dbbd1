"""Who else wants a lock: the active runs other than its holder, and pipelines that are started again and again.

Known only from listings: that a run failed *on the lock* is not, so what is counted here are starts.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median_low

from bot.core.evidence import Found
from bot.core.gate.attribution import PipelineSeen
from bot.core.instants import shifted
from bot.core.policy import LoopRule
from bot.core.run import Phase, Pipeline, Run, RunRef, Start, start_of

_TOLERANCE = 1.5
"""A gap in a loop may be this much longer than the rule's slowest even pace; a longer one ends the series."""

_FEWEST_STARTS = 2
"""One start is never a loop, whatever the rule says."""

_MOST_ATTEMPTS = 1000
"""More attempts of one run than any CI system allows."""


_MOST_ARE_RETRIES = 2
"""With twice as many attempts as runs, at least half of the starts were further attempts."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A pipeline that is started again and again.

    `starts`, `first`, `last` and `runs` (newest first) are of the time that makes it a loop: the rule's, up to the
    newest start. `since` is the first start of the uninterrupted series, `total` the number of starts since then and
    `every` the median time from one to the next. `trigger` and `actor` are those of most of the runs.
    """

    pipeline: Pipeline
    starts: int
    first: datetime
    last: datetime
    every: timedelta
    trigger: str
    actor: str
    runs: tuple[Run, ...]
    since: datetime
    total: int


class LoopSource(StrEnum):
    """What starts a loop's runs, as far as the CI system tells."""

    RETRIES = "re-runs of the same run"
    SCHEDULE = Start.SCHEDULE
    PIPELINE = Start.PIPELINE
    REQUEST = Start.REQUEST
    BOT = "a bot"
    UNTOLD = "not told"


@dataclass(frozen=True, slots=True)
class Contention:
    """`active` runs are running now and cannot be the lock's holder, newest first; `loops` most starts first."""

    active: tuple[Run, ...]
    loops: tuple[Loop, ...]


def contention(
    looks: Iterable[PipelineSeen], *, possible: Collection[RunRef] = (), now: datetime, rule: LoopRule
) -> Contention:
    """What else happens around a lock whose `possible` holders are these, or around a state without one."""
    runs = _newest_readings(looks)

    active = [run for run in runs.values() if run.phase is not Phase.ENDED and run.ref not in possible]
    loops = [loop for found in _by_pipeline(runs) if (loop := _loop(found, now, rule)) is not None]

    return Contention(
        active=tuple(sorted(active, key=_newest_start, reverse=True)),
        loops=tuple(sorted(loops, key=lambda loop: (-loop.starts, -loop.total, loop.pipeline))),
    )


def source_of(loop: Loop) -> LoopSource:
    """What keeps a loop going: by how its runs relate, else by the system's own word for the trigger and by whom."""
    if sum(run.attempt for run in loop.runs) >= _MOST_ARE_RETRIES * len(loop.runs) > 0:
        return LoopSource.RETRIES
    start = start_of(loop.trigger)
    if start is not Start.SCHEDULE and "bot" in re.split(r"[^a-z]+", loop.actor.lower()):
        return LoopSource.BOT
    return LoopSource.UNTOLD if start is None else LoopSource(start)


def starts_of(run: Run) -> tuple[datetime, ...]:
    """When each attempt of a run was started, oldest first.

    A listing tells the first start and the newest. Those between come from the run's jobs where they are known;
    else they are taken to lie evenly between their neighbours.
    """
    newest = min(max(run.attempt, 1), _MOST_ATTEMPTS)
    known = {1: run.created_at, newest: _newest_start(run)}
    for job in run.jobs or ():
        if 1 < job.attempt < newest and job.started_at is not None:
            known[job.attempt] = min(job.started_at, known.get(job.attempt, job.started_at))
    return tuple(sorted(_filled(known)))


def _filled(known: Mapping[int, datetime]) -> Iterable[datetime]:
    ordinals = sorted(known)
    for low, high in pairwise(ordinals):
        step = (known[high] - known[low]) / (high - low)
        yield from (known[low] + step * n for n in range(high - low))
    yield known[ordinals[-1]]


def _newest_start(run: Run) -> datetime:
    if run.attempt <= 1 or run.started_at is None:
        return run.created_at
    return max(run.created_at, run.started_at)


def _newest_readings(looks: Iterable[PipelineSeen]) -> dict[RunRef, Run]:
    """Every listed run once, as it was last read."""
    runs: dict[RunRef, Run] = {}
    for look in looks:
        for listed in look.listing.value if isinstance(look.listing, Found) else ():
            seen = look.closer.get(listed.ref.id)
            runs[listed.ref] = seen.value if isinstance(seen, Found) else listed
    return runs


def _by_pipeline(runs: Mapping[RunRef, Run]) -> Iterable[Sequence[Run]]:
    found: dict[Pipeline, list[Run]] = {}
    for ref, run in runs.items():
        found.setdefault(ref.pipeline, []).append(run)
    return found.values()


def _loop(runs: Sequence[Run], now: datetime, rule: LoopRule) -> Loop | None:
    fewest = max(rule.starts, _FEWEST_STARTS)
    starts = sorted(at for run in runs for at in starts_of(run))
    last = starts[-1]
    window = starts[bisect_left(starts, shifted(last, -rule.within)) :]
    if len(window) < fewest or now - last > rule.within:
        return None

    series = _series(starts, len(window), rule.within / (fewest - 1) * _TOLERANCE)
    recent = [run for run in runs if _newest_start(run) >= window[0]]
    newest_first = sorted(recent, key=_newest_start, reverse=True)

    return Loop(
        pipeline=runs[0].ref.pipeline,
        starts=len(window),
        first=window[0],
        last=last,
        every=median_low(after - before for before, after in pairwise(series)),
        trigger=_most_common(run.trigger for run in newest_first),
        actor=_most_common(run.actor for run in newest_first),
        runs=tuple(newest_first),
        since=series[0],
        total=len(series),
    )


def _series(starts: Sequence[datetime], certain: int, longest_gap: timedelta) -> Sequence[datetime]:
    """The newest starts without a long gap between them; the last `certain` ones belong together in any case."""
    begin = len(starts) - certain
    while begin > 0 and starts[begin] - starts[begin - 1] <= longest_gap:
        begin -= 1
    return starts[begin:]


def _most_common(words: Iterable[str]) -> str:
    return Counter(words).most_common(1)[0][0]

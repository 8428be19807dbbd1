"""An account as the rows of a chart: what each says, and what is left out where there is too much.

Times are in seconds since 1970. Those without a date are of the day on which the incident was opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core.account.values import Account, LockEnd, LockSpan, LoopSpan, Mark, Role, RunSpan, Sample
from bot.core.phrase import duration
from bot.core.record.kinds import MarkKind
from bot.core.run import Conclusion
from bot.export.chart.axis import local, seconds
from bot.export.chart.plan import Bar, BarKind, ChartRow, Contents, Event, RowLimits, Symbol
from bot.export.chart.text import clean

_SAME = 90.0
"""Seconds between the end of a lock and the mark of its release, at most."""

_MOST = 1_000_000
"""Contenders that a chart counts up to."""

_BRIEF = 900.0
"""Shorter incidents, in seconds, have their times to the second."""

_LONGEST = 1e12
"""Seconds of a sum that are shown; a `timedelta` holds no more than some times that."""

_CONCLUDED = {
    Conclusion.SUCCESS: Symbol.DONE,
    Conclusion.FAILED: Symbol.FAILED,
    Conclusion.TIMED_OUT: Symbol.TIMED_OUT,
    Conclusion.CANCELLED: Symbol.CANCELLED,
}

_MARKED = {
    MarkKind.UNLOCK: Symbol.UNLOCK,
    MarkKind.KILL: Symbol.KILL,
    MarkKind.KEY: Symbol.KEY,
    MarkKind.OWNER: Symbol.OWNER,
    MarkKind.ALERT: Symbol.ALERT,
    MarkKind.COMMAND: Symbol.COMMAND,
}
"""The most telling first: when not all can be shown, these are."""

_NAMED = {MarkKind.KEY, MarkKind.OWNER, MarkKind.ALERT}
"""Kinds that their own words do not always name."""

_ENDED = {
    LockEnd.RELEASED: "released",
    LockEnd.GONE: "seen gone",
    LockEnd.REPLACED: "replaced by another lock",
    LockEnd.HELD: "still held when last seen",
}


def told(account: Account, limits: RowLimits) -> Contents:
    """The rows of an account, no more than the limits allow; what is left out is counted."""
    known = list(instants(account))
    teller = _Teller(account, limits, "%H:%M:%S" if max(known) - min(known) < _BRIEF else "%H:%M")
    states = _states(account)
    rows = [row for state in states[: limits.states] for row in teller.state(state)]
    rest = states[limits.states :]
    if rest:
        rows.append(teller.more_states(rest))
    # an entry that is a key moment and something else is shown once
    others = {mark.entry for mark in account.marks if mark.kind is not MarkKind.KEY}
    unique = dict.fromkeys(account.marks)
    marks, order = [mark for mark in unique if mark.kind is not MarkKind.KEY or mark.entry not in others], list(_MARKED)
    ranked = sorted(marks, key=lambda mark: (order.index(mark.kind), seconds(mark.at)))
    shown = sorted(ranked[: limits.events], key=lambda mark: seconds(mark.at))
    hidden = [mark for mark in marks if mark not in shown]
    kinds = Counter(mark.kind.value for mark in hidden).most_common()
    counts = ", ".join(f"{many:,} {kind}{'s' if many > 1 else ''}" for kind, many in kinds)
    return Contents(
        teller.headline(states),
        teller.subline(),
        tuple(rows),
        tuple(teller.event(mark) for mark in shown),
        tuple(sorted({seconds(mark.at) for mark in hidden})),
        f"and {len(hidden):,} more: {counts}" if hidden else "",
    )


def instants(account: Account) -> Iterator[float]:
    """Everything that the time axis has to hold."""
    yield seconds(account.incident.opened_at)
    yield seconds(account.until)
    for lock in account.locks:
        yield seconds(lock.since)
        yield seconds(lock.until)
    for run in account.runs:
        yield seconds(run.since)
        yield seconds(run.until or account.until)
    for loop in account.loops:
        yield seconds(loop.since)
        yield seconds(loop.stopped_at or loop.last_seen)
    yield from (seconds(sample.at) for sample in account.samples)
    yield from (seconds(mark.at) for mark in account.marks)


@dataclass(frozen=True, slots=True)
class _Teller:
    """Finds the words. `clock` is how times of day are written."""

    account: Account
    limits: RowLimits
    clock: str

    def headline(self, states: Sequence[str]) -> str:
        locked = [state for state in states if any(lock.state == state for lock in self.account.locks)]
        names = ", ".join(self.named(state) for state in locked[:6])
        is_held = bool(self._held())
        if not locked:
            return "No lock was seen"
        if len(locked) == 1:
            verb = "has been locked for" if is_held else "was locked for"
            return f"{names} {verb} {duration(self._locked_for(locked[0]))}"
        others = f" and {len(locked) - 6} more" if len(locked) > 6 else ""  # noqa: PLR2004  as many names as fit
        return f"{len(locked)} states {'have been' if is_held else 'were'} locked: {names}{others}"

    def subline(self) -> str:
        """From when to when, and who ended it."""
        locks = self.account.locks
        if not locks:
            return self._whole_day(seconds(self.account.incident.opened_at))
        first = min(seconds(lock.since) for lock in locks)
        held = self._held()
        if held:
            seen = max(_until(lock) for lock in held)
            since = f"since {self._whole_day(first)} {self.time(first, dated=False)} UTC"
            return f"{since} · still locked at {self.time(seen)}"
        last = max(locks, key=_until)
        until = _until(last)
        day = f"{local(until, UTC):%a} {_short(local(until, UTC))} " if _day(until) != _day(first) else ""
        span = f"{self._whole_day(first)}, {self.time(first, dated=False)} to {day}{self.time(until, dated=False)} UTC"
        return f"{span} · {self._ended(last)}"

    def state(self, state: str) -> Iterator[ChartRow]:
        yield self._lock_row(state)
        loops = sorted((loop for loop in self.account.loops if loop.state == state), key=lambda loop: -loop.starts)
        looping = {loop.pipeline for loop in loops}
        runs = sorted((run for run in self.account.runs if run.state == state), key=lambda run: seconds(run.since))
        yield from self._runs([run for run in runs if run.role is Role.HOLDER], "held the lock")
        yield from self._loops(loops)
        contenders = [run for run in runs if run.role is Role.CONTENDER and run.pipeline not in looping]
        yield from self._runs(contenders, "wanted the lock")
        samples = sorted((each for each in self.account.samples if each.state == state), key=lambda s: seconds(s.at))
        yield from _crowd(samples)
        yield from self._throttled(samples)

    def more_states(self, states: Sequence[str]) -> ChartRow:
        bars = tuple(self._bar(lock, inside=False) for lock in self.account.locks if lock.state in set(states))
        names = ", ".join(self.named(state) for state in states)
        return ChartRow(f"and {len(states)} more states: {names}", bars, is_head=True)

    def event(self, mark: Mark) -> Event:
        label = clean(mark.label) or mark.kind.value
        if mark.kind in _NAMED and mark.kind.value not in label.casefold():
            label = f"{mark.kind.value}: {label}"
        at = seconds(mark.at)
        actor = self.person(mark.actor)
        by = f"{actor}: " if actor else ""
        is_turn = mark.kind in {MarkKind.UNLOCK, MarkKind.KILL}
        return Event(at, _MARKED[mark.kind], f"{self.time(at)} {by}{label}", is_turn)

    def person(self, actor: str) -> str:
        return self.named(self.account.names.get(actor, actor))

    def named(self, text: str) -> str:
        """A name, or as many of its words as there is room for."""
        name, most = clean(text), self.limits.name
        if len(name) <= most:
            return name
        words = name[:most].rpartition(" ")[0]
        return (words if len(words) > most / 2 else name[: most - 1]).rstrip() + "…"

    def time(self, at: float, *, dated: bool = True) -> str:
        """A time of day, with its date unless it is the incident's."""
        moment = local(at, UTC)
        is_elsewhere = _day(at) != _day(seconds(self.account.incident.opened_at))
        time = moment.strftime(self.clock)
        return f"{_short(moment)} {time}" if dated and is_elsewhere else time

    def _range(self, since: float, until: float) -> str:
        start, end = self.time(since), self.time(until, dated=_day(since) != _day(until))
        if _day(since) != _day(until):
            return f"{start} to {end}"
        return start if self.time(since) == self.time(until) else f"{start}–{end}"  # noqa: RUF001  the dash of a range

    def _whole_day(self, at: float) -> str:
        moment = local(at, UTC)
        return f"{moment:%a} {_short(moment)} {moment.year}"

    def _held(self) -> list[LockSpan]:
        return [lock for lock in self.account.locks if lock.end is LockEnd.HELD]

    def _locked_for(self, state: str) -> timedelta:
        known = [each.locked_for for each in self.account.summary.states if each.state == state and each.locked_for]
        own = sum(_until(lock) - seconds(lock.since) for lock in self.account.locks if lock.state == state)
        return known[0] if known else timedelta(seconds=min(own, _LONGEST))

    def _ended(self, lock: LockSpan) -> str:
        """How a lock came to its end, and at whose word if the timeline has the release."""
        until = _until(lock)
        marks = [mark for mark in self.account.marks if mark.kind is MarkKind.UNLOCK]
        near = [mark for mark in marks if abs(seconds(mark.at) - until) <= _SAME and self.person(mark.actor)]
        near.sort(key=lambda mark: (lock.state not in mark.label, abs(seconds(mark.at) - until)))
        if lock.end is not LockEnd.RELEASED:
            return _ENDED[lock.end]
        return f"released by {self.person(near[0].actor) if near else 'tflock'}"

    def _lock_row(self, state: str) -> ChartRow:
        locks = [lock for lock in self.account.locks if lock.state == state]
        locks.sort(key=lambda lock: seconds(lock.since))
        bars = tuple(self._bar(lock) for lock in locks)
        name = self.named(state)
        if not locks:
            return ChartRow(f"{name}: no lock was seen", is_head=True)
        if len(locks) > 1:
            total = duration(self._locked_for(state))
            return ChartRow(f"{name}: locked {len(locks)} times, {total} in all", bars, is_head=True)
        (lock,) = locks
        span = self._range(seconds(lock.since), _until(lock))
        since = self.time(seconds(lock.since))
        when = f"locked since {since}" if lock.end is LockEnd.HELD else f"locked {span}"
        who = f" by {self.named(lock.who)}" if clean(lock.who) else ""
        return ChartRow(f"{name}: {when}{who}", bars, is_head=True)

    def _bar(self, lock: LockSpan, *, inside: bool = True) -> Bar:
        is_held = lock.end is LockEnd.HELD
        words = f"{duration(timedelta(seconds=_until(lock) - seconds(lock.since)))}, {self._ended(lock)}"
        until = max(_until(lock), seconds(self.account.until)) if is_held else _until(lock)
        return Bar(seconds(lock.since), until, BarKind.LOCK, goes_on=is_held, inside=words if inside else "")

    def _runs(self, runs: Sequence[RunSpan], did: str) -> Iterator[ChartRow]:
        """Each run on a row of its own, if there are few; those that are too many together on one."""
        own = runs if len(runs) <= self.limits.runs else runs[: self.limits.runs - 1]
        rest = runs[len(own) :]
        for run in own:
            look = BarKind.HOLDER if run.role is Role.HOLDER else BarKind.CONTENDER
            sign = _CONCLUDED.get(_concluded(run), Symbol.UNCLEAR) if run.until else None  # type: ignore[call-overload]  # a word of any kind
            bar = Bar(seconds(run.since), self._run_until(run), look, run.until is None, sign)
            yield ChartRow(self._run_title(run, did), (bar,))
        if rest:
            span = self._range(seconds(rest[0].since), max(self._run_until(run) for run in rest))
            other = "more " if own else ""
            yield ChartRow(
                f"{len(rest):,} {other}runs {did}, {span}", dots=tuple(sorted({seconds(r.since) for r in rest}))
            )

    def _run_title(self, run: RunSpan, did: str) -> str:
        end = f"{_concluded(run)} {self.time(seconds(run.until))}" if run.until else "still running"
        number = f" · run {self.named(run.run_id)}" if clean(run.run_id) else ""
        again = f", attempt {run.attempt}" if run.attempt > 1 else ""
        by = f" by {self.person(run.actor)}" if clean(run.actor) else ""
        return f"{self.named(run.pipeline) or 'a run'} {did}: {end}{number}{again}{by}"

    def _run_until(self, run: RunSpan) -> float:
        return max(seconds(run.since), seconds(run.until or self.account.until))

    def _loops(self, loops: Sequence[LoopSpan]) -> Iterator[ChartRow]:
        for loop in loops[: self.limits.loops]:
            stopped = f"stopped {self.time(seconds(loop.stopped_at))}" if loop.stopped_at else "not stopped"
            starts = f"{loop.starts:,} starts, {stopped}, one every {duration(loop.every)}"
            title = f"{self.named(loop.pipeline) or 'a pipeline'} in a loop: {starts}"
            until = max(seconds(loop.since), seconds(loop.stopped_at or loop.last_seen))
            sign = Symbol.CANCELLED if loop.stopped_at else None
            yield ChartRow(title, (Bar(seconds(loop.since), until, BarKind.LOOP, loop.stopped_at is None, sign),))
        rest = loops[self.limits.loops :]
        if rest:
            yield ChartRow(f"and {len(rest)} more loops", dots=tuple(sorted({seconds(loop.since) for loop in rest})))

    def _throttled(self, samples: Sequence[Sample]) -> Iterator[ChartRow]:
        bars = tuple(Bar(since, until, BarKind.THROTTLED) for since, until in _refusals(samples))
        if bars:
            spans = self._range(bars[0].since, bars[-1].until)
            times = f" ({len(bars)} times)" if len(bars) > 1 else ""
            yield ChartRow(f"Lock table throttled, refused requests: {spans}{times}", bars)


def _states(account: Account) -> list[str]:
    """Those that were locked first, by when; then those of which something else is known."""
    locked = [lock.state for lock in sorted(account.locks, key=lambda lock: seconds(lock.since))]
    known = (
        *(summary.state for summary in account.summary.states),
        *(loop.state for loop in account.loops),
        *(run.state for run in account.runs),
        *(sample.state for sample in account.samples),
    )
    return list(dict.fromkeys((*locked, *known)))


def _crowd(samples: Sequence[Sample]) -> Iterator[ChartRow]:
    levels = tuple((seconds(sample.at), min(_MOST, max(0, sample.contenders))) for sample in samples)
    most = max((level for _, level in levels), default=0)
    if most:
        runs = "runs" if most > 1 else "run"
        yield ChartRow(f"Queueing for the lock: up to {most:,} {runs} at once", levels=levels)


def _refusals(samples: Sequence[Sample]) -> Iterator[tuple[float, float]]:
    """From a sample in which the table refused requests to the first in which it did not."""
    since: float | None = None
    for sample in samples:
        at = seconds(sample.at)
        if sample.throttled and since is None:
            since = at
        if not sample.throttled and since is not None:
            yield since, at
            since = None
    if since is not None:
        yield since, seconds(samples[-1].at)


def _until(lock: LockSpan) -> float:
    return max(seconds(lock.since), seconds(lock.until))


def _concluded(run: RunSpan) -> str:
    return clean(run.conclusion or "")[:20] or "ended"


def _day(at: float) -> int:
    return int(at // 86_400)


def _short(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"

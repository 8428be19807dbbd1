"""When something becomes a concern, and when it is none any more. Pure rules on what a sweep has seen.

What could not be read raises nothing and ends nothing, except that a table refused to be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.gate.attribution import Candidate
from bot.core.gate.ending import is_over, run_name, settled_at
from bot.core.gate.inspection import Inspection
from bot.core.hold import is_hold
from bot.core.lock import LockInfo, LockSeen, age
from bot.core.policy import Policy, WatchRule
from bot.core.reports.alert import AlertKind, Concern, Outcome
from bot.core.run import Conclusion, Phase, Pipeline

QUIET_AFTER = timedelta(minutes=5)
"""A table that was not throttled for so long is over it: what comes back sooner is the same trouble."""

_HISTORY, _FEWEST = 10, 3
"""So many successful runs tell what is usual, and fewer than so many tell nothing."""

UNREAD_AFTER = timedelta(minutes=10)
"""States that cannot be read for so long are a concern: what takes a minute or two passes."""

MOST_STATES = 100
"""States that a concern names; of the others it has the number."""

_AT_LEAST_OVER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Watched:
    """What a state shares with others: its lock table (which, and its name for people) and its pipelines."""

    table: Hashable
    table_name: str
    pipelines: tuple[Pipeline, ...]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one sweep has brought. `inspections` are the closer looks, of some of the states.

    `unread_since` says by each reason of `unread` when it began.
    """

    states: Mapping[str, Watched]
    seen: Mapping[str, LockSeen]
    inspections: Mapping[str, Inspection]
    now: datetime
    unread_since: Mapping[str, datetime] = field(default_factory=dict)


def concerns(evidence: SweepResult, policy: Policy, rule: WatchRule) -> dict[str, Concern]:
    """All that is the matter by this evidence, by id."""
    found: list[Concern] = []
    for state, seen in evidence.seen.items():
        # a hold has an end of its own, of which its asker is notified
        locks = (info for info in seen.locks if not is_hold(info))
        aged = (info for info in locks if age(info, evidence.now) >= policy.lock_age_alert)
        found += (replace(_of_lock(AlertKind.AGED, state, info), key=f"{state}/{info.id}") for info in aged)
    for inspection in evidence.inspections.values():
        found += _of_run(inspection, policy, rule, evidence.now)
    found += _loops(evidence)
    found += _throttled(evidence)
    found += _unread(evidence)
    return {concern.id: concern for concern in found}


def refreshed(before: Concern, now: Concern) -> Concern:
    """The same concern with what is newer of it: it began when it began, and what it has touched stays touched."""
    states = tuple(dict.fromkeys((*before.states, *now.states)))
    newer = replace(now, since=min(before.since, now.since), states=states, starts=max(before.starts, now.starts))
    return shortened(replace(newer, more=max(before.more, now.more)))


def shortened(concern: Concern) -> Concern:
    """The concern with as many names of states as are stored and shown."""
    over = len(concern.states) - MOST_STATES
    if over <= 0:
        return concern
    return replace(concern, states=concern.states[:MOST_STATES], more=max(concern.more, over))


def unread(seen: Mapping[str, LockSeen]) -> dict[str, list[str]]:
    """The states of which nothing is known, by the reason: who did not answer, and how. Throttling is not among them:
    the table says that itself. Nor is a store that shows no lock to those who only look: it never will.
    """
    found = dict[str, list[str]]()
    for name, lock in seen.items():
        if lock.unseen and not lock.held and not lock.is_throttled:
            _, why = lock.unseen[0]
            if isinstance(why, Unseen) and why.trouble is Trouble.NOT_SHOWN:
                continue
            found.setdefault(f"{why.system}: {why.trouble if isinstance(why, Unseen) else 'not found'}", []).append(
                name
            )
    return found


def outcome_of(concern: Concern, evidence: SweepResult, *, last_seen: datetime) -> Outcome | None:
    """Why the concern, which this evidence does not bring again, is over; None if it may still be true."""
    states = [state for state in concern.states if state in evidence.states]
    if not states:
        return Outcome.NOT_CONFIGURED
    match concern.kind:
        case AlertKind.LOOP:
            looked: Iterable[Inspection] = evidence.inspections.values()
            listed = {repr(look.pipeline) for each in looked for look in each.looks if isinstance(look.listing, Found)}
            return Outcome.QUIET if concern.key in listed else None
        case AlertKind.THROTTLED:
            read = any(state in evidence.seen and not evidence.seen[state].is_throttled for state in states)
            return Outcome.QUIET if read and evidence.now - last_seen >= QUIET_AFTER else None
        case AlertKind.UNREAD:
            return Outcome.READ if concern.key not in unread(evidence.seen) else None
        case _:
            return _lock_outcome(concern, evidence.seen.get(concern.state)) or _run_outcome(concern, evidence)


def _of_lock(kind: AlertKind, state: str, info: LockInfo) -> Concern:
    key = f"{state}/{info.id}"
    return Concern(
        kind, key, state, (state,), info.created, lock_id=info.id, who=info.who, operation=info.operation,
        is_change=not info.is_since_known,
    )  # fmt: skip


def _of_run(inspection: Inspection, policy: Policy, rule: WatchRule, now: datetime) -> Iterator[Concern]:
    """A lock whose runs have all died, or whose run takes longer than usual."""
    lock, tied = inspection.lock, inspection.attribution
    if lock is None or tied is None or not tied.candidates:
        return
    name = inspection.state.name
    newest = max(tied.candidates, key=lambda candidate: candidate.run.ended_at or candidate.run.created_at)
    if not tied.unseen and all(_is_settled(candidate, lock, policy, now) for candidate in tied.possible):
        yield replace(
            _of_lock(AlertKind.DEAD_RUN, name, lock),
            key=f"{name}/{lock.id}/{newest.run.ref.id}/{newest.run.attempt}",
            run=run_name(newest.run).text,
            url=newest.run.ref.url,
            ended=str(newest.run.conclusion or ""),
            ended_at=newest.run.ended_at,
        )
    going = [candidate for candidate in tied.candidates if not is_over(candidate)]
    if len(going) == 1 and isinstance(going[0].seen, Found):
        run = going[0].run
        since, usual = run.started_at, usual_time(run.ref.pipeline, inspection)
        if since is None or usual is None:
            return
        if now - since > usual * rule.overdue_factor and now - since >= usual + _AT_LEAST_OVER:
            yield replace(
                _of_lock(AlertKind.OVERDUE, name, lock),
                key=f"{run.ref.pipeline.ci}/{run.ref.id}/{run.attempt}/{name}",
                since=since,
                is_change=False,
                run=run_name(run).text,
                url=run.ref.url,
                usual=usual,
            )


def usual_time(pipeline: Pipeline, inspection: Inspection) -> timedelta | None:
    """The median time of the pipeline's last successful runs; None where there are too few to tell."""
    listed = (look.listing for look in inspection.looks if look.pipeline == pipeline)
    runs = next((listing.value for listing in listed if isinstance(listing, Found)), ())
    good = (run for run in runs if run.phase is Phase.ENDED and run.conclusion is Conclusion.SUCCESS)
    took = [(run.ended_at - run.started_at).total_seconds() for run in good if run.started_at and run.ended_at]
    return timedelta(seconds=median(took[:_HISTORY])) if len(took) >= _FEWEST else None


def _is_settled(candidate: Candidate, lock: LockInfo, policy: Policy, now: datetime) -> bool:
    """Whether the run has ended so long ago that its process has, too."""
    end = settled_at(candidate, policy, taken=lock.created)
    return end is not None and end.at <= now


def _loops(evidence: SweepResult) -> Iterator[Concern]:
    for inspection in evidence.inspections.values():
        crowd = inspection.crowd.loops if inspection.crowd is not None else ()
        for loop in (*inspection.contention.loops, *(loop for _, loop in crowd)):
            states = [name for name, state in evidence.states.items() if loop.pipeline in state.pipelines]
            held_first = tuple(sorted(states, key=lambda name: name != inspection.state.name))
            yield Concern(
                AlertKind.LOOP,
                key=repr(loop.pipeline),
                subject=loop.pipeline.title,
                states=held_first,
                since=loop.since,
                who=loop.actor,
                url=loop.runs[0].ref.url if loop.runs else "",
                starts=loop.total,
            )


def _throttled(evidence: SweepResult) -> Iterator[Concern]:
    refused: dict[Hashable, list[str]] = {}
    for name, state in evidence.states.items():
        seen, looked = evidence.seen.get(name), evidence.inspections.get(name)
        if (seen is not None and seen.is_throttled) or (looked is not None and looked.is_throttled):
            refused.setdefault(state.table if state.table is not None else name, []).append(name)
    for table, names in refused.items():
        key = hashlib.sha256(repr(table).encode()).hexdigest()
        subject = evidence.states[names[0]].table_name or names[0]
        yield Concern(AlertKind.THROTTLED, key, subject, tuple(names), evidence.now)


def _unread(evidence: SweepResult) -> Iterator[Concern]:
    for reason, names in unread(evidence.seen).items():
        since = evidence.unread_since.get(reason, evidence.now)
        if evidence.now - since >= UNREAD_AFTER:
            yield Concern(AlertKind.UNREAD, key=reason, subject=reason, states=tuple(names), since=since)


def _lock_outcome(concern: Concern, seen: LockSeen | None) -> Outcome | None:
    """Gone only if every place was read, and none holds this lock or something that cannot be distinguished from it."""
    if seen is None or seen.unseen or seen.garbage or seen.places_of(concern.lock_id):
        return None
    return Outcome.FREE if seen.is_free else Outcome.OTHER_LOCK


def _run_outcome(concern: Concern, evidence: SweepResult) -> Outcome | None:
    inspection = evidence.inspections.get(concern.state)
    if concern.kind is AlertKind.AGED or inspection is None or inspection.attribution is None:
        return None
    if inspection.lock is None or inspection.lock.id != concern.lock_id:
        return None
    candidates = inspection.attribution.candidates
    if concern.kind is AlertKind.DEAD_RUN:
        seen = (candidate.seen.value for candidate in candidates if isinstance(candidate.seen, Found))
        return Outcome.GOES_ON if any(run.phase is Phase.RUNNING for run in seen) else None
    mine = [candidate for candidate in candidates if run_name(candidate.run).text == concern.run]
    return Outcome.ENDED if mine and all(is_over(candidate) for candidate in mine) else None

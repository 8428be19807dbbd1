"""Which runs may hold a lock, and what ties them to it: the values, and what the times tell.

The holder is one process. Two things count: what ties a run to the lock (`tie.py`), and what excludes a run
(`exclusions.py`). Both need evidence; the absence of either is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.evidence import Found, NotFound, Observation, Offset, Trouble, Unseen
from bot.core.gate.claim import Claim, Exited
from bot.core.instants import shifted
from bot.core.joblog.values import JobLog
from bot.core.lock import LockInfo
from bot.core.phrase import Phrase
from bot.core.policy import Policy
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run

_USUAL = Policy()

_BROKEN_OFF = frozenset({Conclusion.CANCELLED, Conclusion.TIMED_OUT, Conclusion.LOST, None})
"""The ends after which a process may continue with its next command: the signal reached only the one before, or none.
None: nobody knows how it ended.
"""


class Strength(StrEnum):
    """By what a run was tied to a lock."""

    CLAIM = "claim"
    RUN_ID = "run id"
    LOG = "log"
    HOST = "host"
    WINDOW = "window"


class Tie(StrEnum):
    """How well, strongest first (docs/attribution.md)."""

    SEALED = "sealed"
    SHOWN = "shown"
    BY_TIME = "by_time"


@dataclass(frozen=True, slots=True)
class Taken:
    """When a lock was taken: by its holder's clock and by its store's, where that tells. The earlier and the later.

    Terraform notes the time before it tries for the first time, and then may wait for long (`-lock-timeout`).

    `policy` has the settle times, for which a process may outlive its run; None if none is looked for. `asked` is now:
    which processes are gone by then. None: none is known to be.
    """

    first: datetime
    last: datetime
    is_stored: bool = False
    is_known: bool = True
    policy: Policy | None = field(default=None, compare=False)
    asked: datetime | None = field(default=None, compare=False)

    @classmethod
    def unknown(cls, now: datetime, settle: timedelta) -> Taken:
        """At any time until now. What ended longer ago than its process may live on (`settle`) holds nothing."""
        return cls(shifted(now, -settle), now, is_known=False)

    @classmethod
    def of(
        cls,
        lock: LockInfo,
        stored: datetime | None = None,
        *,
        policy: Policy = _USUAL,
        now: datetime | None = None,
    ) -> Taken:
        times = (lock.created, stored or lock.created)
        return cls(min(times), max(times), is_stored=stored is not None, policy=policy, asked=now)

    @property
    def apart(self) -> timedelta:
        return self.last - self.first

    def is_doubtful(self, skew: timedelta) -> bool:
        """Whether the two clocks disagree by more than clocks may."""
        return self.last > shifted(self.first, skew)


@dataclass(frozen=True, slots=True)
class PipelineSeen:
    """What one CI system told about one pipeline: the listing, and what each run that matters was when read again.

    `closer` has an observation for every listed run that `may_hold` the lock, by run id; `logs` one for every job of
    those that was active then, by `log_key`. `one_state`: of all configured states the pipeline works only on this one.
    """

    pipeline: Pipeline
    system: str
    listing: Observation[tuple[Run, ...]]
    closer: Mapping[str, Observation[Run]] = field(default_factory=dict)
    logs: Mapping[tuple[str, str, int], Observation[JobLog]] = field(default_factory=dict)
    one_state: bool = False

    @property
    def observations(self) -> tuple[Observation[object], ...]:
        """The answers that age. A log's do not: what it says of an instant that has passed stays true."""
        return (self.listing, *self.closer.values())

    def log_of(self, run: Run, job: Job) -> JobLog | None:
        seen = self.logs.get(log_key(run, job))
        return seen.value if isinstance(seen, Found) else None


def log_key(run: Run, job: Job) -> tuple[str, str, int]:
    return (run.ref.id, job.id, job.attempt)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may hold the lock. `jobs` are those that may: active when it was taken, and not excluded; empty if
    not known.

    `seen` is the newest reading of the run; if it is not `Found`, nothing is known of its end, unless the process
    that took the lock was itself reported to have ended: then `exited` says so, whatever became of the run. `actor` is
    who started it by the word of the job's claim; empty if it did not say. `is_declared`: by a job's log only the
    server said that it was over. `system` is its CI system's proper name.
    """

    listed: Run
    seen: Observation[Run]
    jobs: tuple[Job, ...]
    exited: Exited | None = None
    actor: str = ""
    is_declared: bool = False
    system: str = ""

    @property
    def run(self) -> Run:
        return self.seen.value if isinstance(self.seen, Found) else self.listed

    @property
    def offset(self) -> Offset | None:
        """How far its CI system's clock was off when the run was read, if that was measured."""
        return self.seen.offset if isinstance(self.seen, Found) else None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim, and what its run was when its system was asked. `system` is that one's proper name, if it is known."""

    claim: Claim
    seen: Observation[Run]
    system: str = ""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The runs that may hold the lock, and how well they are tied to it. `strength` and `tie` are None if none is.

    `unseen` are the look-ups without an answer that could hide another holder; `contenders` started too late to be
    the holder, newest first. `ruled_out` says of runs whose time fits why they are not it. `unread` are jobs' logs
    that gave no answer. `taken` is when the lock was taken. `others` may hold it as far as is known, and are not
    blamed: something speaks against each.
    """

    strength: Strength | None
    candidates: tuple[Candidate, ...]
    reason: Phrase
    unseen: tuple[NotFound | Unseen, ...] = ()
    contenders: tuple[Run, ...] = ()
    tie: Tie | None = None
    ruled_out: tuple[Phrase, ...] = ()
    unread: tuple[NotFound | Unseen, ...] = ()
    taken: Taken | None = None
    others: tuple[Candidate, ...] = ()

    @property
    def possible(self) -> tuple[Candidate, ...]:
        """Every run that may hold the lock: each has to be dead."""
        return (*self.candidates, *self.others)

    @property
    def is_exact(self) -> bool:
        """Whether it is known which run has the lock, by more than the time."""
        return self.tie in {Tie.SEALED, Tie.SHOWN}


def allowance(seen: Observation[object], skew: timedelta) -> timedelta:
    """How far the times in an answer may be from the lock's: what clocks may differ, and what is known of this one."""
    offset = seen.offset if isinstance(seen, Found) else None
    return skew if offset is None else skew + offset.surely


def may_hold(run: Run, taken: Taken, skew: timedelta) -> bool:
    """Whether any attempt of a listed run may have been active when the lock was taken, or its process without it."""
    if run.created_at > shifted(taken.last, skew):
        return False
    if run.phase is not Phase.ENDED or run.ended_at is None:
        return True
    # a list does not say of each job how it ended: one may have been lost, or cancelled because another one failed
    is_in_doubt = run.jobs is None and run.conclusion is not Conclusion.SUCCESS
    ends = [None] if is_in_doubt else [run.conclusion, *(job.conclusion for job in run.jobs or ())]
    return _was_active(run, run.ended_at, ends, taken, skew)


def _was_active(run: Run, ended_at: datetime, ends: Iterable[Conclusion | None], taken: Taken, skew: timedelta) -> bool:
    """Whether what ended at that time was active when the lock was taken; or its process may have been, and still be,
    as one of its `ends` leaves room for.
    """
    if ended_at >= shifted(taken.first, -skew):
        return True
    broken_off = [end for end in ends if end in _BROKEN_OFF]
    if taken.policy is None or not broken_off:
        return False
    lives_on = max(taken.policy.settle_time(end, run.ref.pipeline.system) for end in broken_off)
    is_gone = taken.asked is not None and taken.asked > shifted(taken.last, lives_on + skew)
    return shifted(ended_at, lives_on) >= shifted(taken.first, -skew) and not is_gone


def holds_instant(job: Job, run: Run, taken: Taken, skew: timedelta) -> bool:
    """Whether the job's own time, or its process's, holds the instant. A job that never ran holds none; one without
    times may hold any.
    """
    if job.conclusion is Conclusion.SKIPPED and job.phase is Phase.ENDED:
        return False
    if job.phase is Phase.WAITING and job.started_at is None:
        return False
    if (job.started_at or run.created_at) > shifted(taken.last, skew):
        return False
    if job.phase is not Phase.ENDED or job.ended_at is None:
        return True
    whole = [run.conclusion] if run.phase is Phase.ENDED else []
    ends = [] if job.conclusion is Conclusion.SUCCESS else [job.conclusion, *whole]
    return _was_active(run, job.ended_at, ends, taken, skew)


def own_jobs(candidate: Candidate, taken: Taken, skew: timedelta) -> tuple[Job, ...]:
    """Those of its jobs that were active themselves when the lock was taken, and not only their processes."""
    own, wide = replace(taken, policy=None), allowance(candidate.seen, skew)
    return tuple(job for job in candidate.jobs if holds_instant(job, candidate.run, own, wide))


def is_outlived(candidate: Candidate, taken: Taken, skew: timedelta) -> bool:
    """Whether only a process that outlived the run may have taken the lock. Nobody blames such a run."""
    if candidate.jobs:
        return not own_jobs(candidate, taken, skew)
    # where its jobs could not be read, only the list says that it had ended
    run = candidate.listed if candidate.run.phase is Phase.UNKNOWN else candidate.run
    return not may_hold(run, replace(taken, policy=None), allowance(candidate.seen, skew))


def suspected(look: PipelineSeen, taken: Taken, skew: timedelta) -> Iterable[Candidate]:
    """Every listed run that may hold the lock, as far as time tells."""
    if not isinstance(look.listing, Found):
        return
    for run in look.listing.value:
        if may_hold(run, taken, allowance(look.listing, skew)):
            candidate = in_time(run, _reading(run, look), taken, skew)
            if candidate is not None:
                yield replace(candidate, system=look.system)


def _reading(run: Run, look: PipelineSeen) -> Observation[Run]:
    return look.closer.get(run.ref.id) or Unseen(
        look.system, Trouble.TOO_MUCH, "the run was listed, but not read again", look.listing.at
    )


def in_time(run: Run, seen: Observation[Run], taken: Taken, skew: timedelta) -> Candidate | None:
    """The run with those of its jobs whose time fits; None if its times exclude it."""
    if not isinstance(seen, Found) or seen.value.jobs is None:
        return Candidate(run, seen, ())
    jobs = tuple(job for job in seen.value.jobs if holds_instant(job, seen.value, taken, allowance(seen, skew)))
    if jobs:
        return Candidate(run, seen, jobs)
    # Without a single job to go by, the run's own time has to do; with jobs, none of which held the instant, it is out.
    return None if seen.value.jobs or _never_ran(seen.value) else Candidate(run, seen, ())


def _never_ran(run: Run) -> bool:
    return run.phase is Phase.WAITING and run.attempt <= 1 and run.ended_at is None and run.conclusion is None


def unlisted(looks: Iterable[PipelineSeen]) -> tuple[NotFound | Unseen, ...]:
    """The lists of runs that could not be read: each may hide a holder."""
    return tuple(look.listing for look in looks if not isinstance(look.listing, Found))


def contenders(looks: Iterable[PipelineSeen], taken: Taken, skew: timedelta) -> tuple[Run, ...]:
    """The runs that started too late to be the holder, newest first."""
    late = [
        run
        for look in looks
        if isinstance(look.listing, Found)
        for run in look.listing.value
        if run.created_at > shifted(taken.last, allowance(look.listing, skew))
    ]
    return tuple(sorted(late, key=lambda run: run.created_at, reverse=True))

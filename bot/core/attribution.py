"""Which run holds the lock.

Terraform writes `user@host` and nothing else, and host names repeat. So there are strengths, from what a job said of
itself down to what merely ran at that time. With the weaker ones every run that could be the holder counts as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.lock import LockInfo
from bot.core.phrase import Phrase, Quoted
from bot.core.policy import Holders, is_shared_host
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run


class Strength(StrEnum):
    """How a run was tied to a lock, strongest first."""

    CLAIM = "claim"
    RUN_ID = "run id"
    HOST = "host"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Look:
    """What one CI system told about one pipeline: the listing, and what each run that matters was when read again.

    `closer` has an observation for every listed run that `may_hold` the lock, by run id.
    """

    pipeline: Pipeline
    system: str
    listing: Observation[tuple[Run, ...]]
    closer: Mapping[str, Observation[Run]] = field(default_factory=dict)

    @property
    def observations(self) -> tuple[Observation[object], ...]:
        return (self.listing, *self.closer.values())


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may hold the lock. `jobs` are those whose time holds the lock's `Created`; empty if not known.

    `seen` is the newest reading of the run; if it is not `Found`, nothing is known of its end.
    """

    listed: Run
    seen: Observation[Run]
    jobs: tuple[Job, ...]

    @property
    def run(self) -> Run:
        return self.seen.value if isinstance(self.seen, Found) else self.listed


@dataclass(frozen=True, slots=True)
class Attribution:
    """The runs tied to a lock. `strength` is None if there are none.

    `unseen` are the look-ups without an answer that could hide another holder; `contenders` started too late to be
    the holder, newest first.
    """

    strength: Strength | None
    candidates: tuple[Candidate, ...]
    reason: Phrase
    unseen: tuple[NotFound | Unseen, ...] = ()
    contenders: tuple[Run, ...] = ()


def may_hold(run: Run, created: datetime, skew: timedelta) -> bool:
    """Whether any attempt of a listed run may have been going on when the lock was taken."""
    if run.created_at > created + skew:
        return False
    return run.phase is not Phase.ENDED or run.ended_at is None or run.ended_at >= created - skew


def holds_instant(job: Job, run: Run, created: datetime, skew: timedelta) -> bool:
    """Whether the job's own time holds the instant. A job that never ran holds none; one without times may hold any."""
    if job.conclusion is Conclusion.SKIPPED and job.phase is Phase.ENDED:
        return False
    if job.phase is Phase.WAITING and job.started_at is None:
        return False
    start = job.started_at or run.created_at
    end = job.ended_at if job.phase is Phase.ENDED else None
    return start <= created + skew and (end is None or end >= created - skew)


def attribute(
    lock: LockInfo,
    looks: Iterable[Look],
    *,
    holders: Holders,
    skew: timedelta,
    named: Iterable[Observation[Run]] = (),
) -> Attribution:
    """Ties runs to a lock by the strongest evidence that there is.

    `named` are look-ups of the run that the host name carries (`Holders.run_id_in`), if it carries one.
    """
    looks = tuple(looks)
    suspects = tuple(_suspects(lock, looks, skew))
    unseen = tuple(_unseen(looks))
    contenders = _contenders(lock, looks, skew)

    run_id = holders.run_id_in(lock.who)
    if run_id is not None:
        return _by_run_id(run_id[0], suspects, tuple(named), contenders)

    on_host = () if is_shared_host(lock.host) else tuple(_on_host(lock.host, suspects))
    if on_host:
        # Host names are used again, so another job on the same host must be ruled out: every pipeline must be seen,
        # and a run whose jobs are not known may have been on this host as well.
        unknown = tuple(candidate for candidate in suspects if not candidate.jobs)
        return Attribution(Strength.HOST, (*on_host, *unknown), _host_reason(lock.host, on_host), unseen, contenders)
    if suspects:
        return Attribution(Strength.WINDOW, suspects, _window_reason(suspects), unseen, contenders)
    return Attribution(
        None, (), ("no run of the mapped pipelines was going on when the lock was taken",), unseen, contenders
    )


def _suspects(lock: LockInfo, looks: Iterable[Look], skew: timedelta) -> Iterable[Candidate]:
    for look in looks:
        if not isinstance(look.listing, Found):
            continue
        for run in look.listing.value:
            if may_hold(run, lock.created, skew):
                candidate = _candidate(run, look, lock.created, skew)
                if candidate is not None:
                    yield candidate


def _candidate(run: Run, look: Look, created: datetime, skew: timedelta) -> Candidate | None:
    seen = look.closer.get(run.ref.id) or Unseen(
        look.system, Trouble.TOO_MUCH, "the run was listed, but not read again", look.listing.at
    )
    if not isinstance(seen, Found) or seen.value.jobs is None:
        return Candidate(run, seen, ())
    jobs = tuple(job for job in seen.value.jobs if holds_instant(job, seen.value, created, skew))
    if jobs:
        return Candidate(run, seen, jobs)
    # Without a single job to go by, the run's own time has to do; with jobs, none of which held the instant, it is out.
    never_ran = seen.value.phase is Phase.WAITING and seen.value.attempt <= 1
    return None if seen.value.jobs or never_ran else Candidate(run, seen, ())


def _unseen(looks: Iterable[Look]) -> Iterable[NotFound | Unseen]:
    for look in looks:
        if not isinstance(look.listing, Found):
            yield look.listing


def _contenders(lock: LockInfo, looks: Iterable[Look], skew: timedelta) -> tuple[Run, ...]:
    late = [
        run
        for look in looks
        if isinstance(look.listing, Found)
        for run in look.listing.value
        if run.created_at > lock.created + skew
    ]
    return tuple(sorted(late, key=lambda run: run.created_at, reverse=True))


def _by_run_id(
    run_id: str,
    suspects: tuple[Candidate, ...],
    named: tuple[Observation[Run], ...],
    contenders: tuple[Run, ...],
) -> Attribution:
    said = ("the host name says run ", Quoted(run_id))
    mine = tuple(candidate for candidate in suspects if candidate.run.ref.id == run_id)
    looked_up = tuple(Candidate(seen.value, seen, seen.value.jobs or ()) for seen in named if isinstance(seen, Found))
    found = mine or looked_up
    if found:
        return Attribution(Strength.RUN_ID, found, said, (), contenders)
    missing = tuple(seen for seen in named if not isinstance(seen, Found))
    return Attribution(None, (), (*said, ", which no mapped pipeline knows"), missing, contenders)


def _on_host(host: str, suspects: Iterable[Candidate]) -> Iterable[Candidate]:
    for candidate in suspects:
        jobs = tuple(job for job in candidate.jobs if job.host and host and job.host.casefold() == host.casefold())
        if jobs:
            yield Candidate(candidate.listed, candidate.seen, jobs)


def _host_reason(host: str, candidates: tuple[Candidate, ...]) -> Phrase:
    job = candidates[0].jobs[0]
    ran = (" ran from ", job.started_at) if job.started_at else (" ran",)
    until = (" to ", job.ended_at) if job.ended_at else ()
    return ("host ", Quoted(host), " is the runner of job ", Quoted(job.name), ", which", *ran, *until)


def _window_reason(candidates: tuple[Candidate, ...]) -> Phrase:
    if len(candidates) == 1:
        return ("it is the only mapped run that was going on when the lock was taken",)
    return (f"{len(candidates)} mapped runs were going on when the lock was taken, and any of them may hold it",)

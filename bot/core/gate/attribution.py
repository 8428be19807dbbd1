"""Which run holds the lock.

Terraform writes `user@host` and nothing else, and host names repeat. So there are strengths, from what a job said of
itself down to what merely ran at that time. With the weaker ones every run that could be the holder counts as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.gate.claim import Claim, Exited, exit_for, is_sealed, may_have_taken, names
from bot.core.instants import shifted
from bot.core.lock import LockInfo
from bot.core.phrase import Phrase, Quoted, quoted
from bot.core.policy import Holders, is_shared_host
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef


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

    `seen` is the newest reading of the run; if it is not `Found`, nothing is known of its end, unless the process
    that took the lock was itself reported to have ended: then `exited` says so, whatever became of the run. `actor` is
    who started it by the word of the job's claim; empty if it did not say.
    """

    listed: Run
    seen: Observation[Run]
    jobs: tuple[Job, ...]
    exited: Exited | None = None
    actor: str = ""

    @property
    def run(self) -> Run:
        return self.seen.value if isinstance(self.seen, Found) else self.listed


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim, and what its run was when its system was asked."""

    claim: Claim
    seen: Observation[Run]


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

    @property
    def is_exact(self) -> bool:
        """Whether it is known which run has the lock, by more than the time alone."""
        return self.strength in {Strength.CLAIM, Strength.RUN_ID, Strength.HOST}


def may_hold(run: Run, created: datetime, skew: timedelta) -> bool:
    """Whether any attempt of a listed run may have been going on when the lock was taken."""
    if run.created_at > shifted(created, skew):
        return False
    return run.phase is not Phase.ENDED or run.ended_at is None or run.ended_at >= shifted(created, -skew)


def holds_instant(job: Job, run: Run, created: datetime, skew: timedelta) -> bool:
    """Whether the job's own time holds the instant. A job that never ran holds none; one without times may hold any."""
    if job.conclusion is Conclusion.SKIPPED and job.phase is Phase.ENDED:
        return False
    if job.phase is Phase.WAITING and job.started_at is None:
        return False
    start = job.started_at or run.created_at
    end = job.ended_at if job.phase is Phase.ENDED else None
    return start <= shifted(created, skew) and (end is None or end >= shifted(created, -skew))


def attribute(
    lock: LockInfo,
    looks: Iterable[Look],
    *,
    holders: Holders,
    skew: timedelta,
    named: Iterable[Observation[Run]] = (),
    claims: Iterable[Claimed] = (),
) -> Attribution:
    """Ties runs to a lock by the strongest evidence that there is.

    `named` are look-ups of the run that the host name carries (`Holders.run_id_in`), if it carries one; `claims` those
    of the runs that have claimed the lock's state.
    """
    looks = tuple(looks)
    suspects = tuple(suspected(lock, looks, skew))
    unseen = tuple(_unseen(looks))
    contenders = _contenders(lock, looks, skew)

    claimants = tuple(_claimants(lock, claims, skew))
    if claimants:
        return _by_claim(lock, claimants, suspects, unseen, contenders)

    run_id = holders.run_id_in(lock.who)
    if run_id is not None:
        return _by_run_id(run_id[0], lock, suspects, tuple(named), contenders, skew)

    on_host = () if is_shared_host(lock.host) else tuple(_on_host(lock.host, suspects))
    if on_host:
        # Host names are used again, so another job on the same host must be ruled out: every pipeline must be seen,
        # and a run of which it is not known where it ran may have been on this host as well.
        certain = {candidate.listed.ref for candidate in on_host}
        others = (candidate for candidate in suspects if candidate.listed.ref not in certain)
        unknown = tuple(candidate for candidate in others if _may_be_on(lock.host, candidate))
        return Attribution(Strength.HOST, (*on_host, *unknown), _host_reason(lock.host, on_host), unseen, contenders)
    if suspects:
        reason = _window_reason(suspects, whole=not unseen)
        return Attribution(Strength.WINDOW, suspects, reason, unseen, contenders)
    return Attribution(
        None, (), ("no run of the mapped pipelines was going on when the lock was taken",), unseen, contenders
    )


def suspected(lock: LockInfo, looks: Iterable[Look], skew: timedelta) -> Iterable[Candidate]:
    """Every listed run that may hold the lock, as far as time tells."""
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
    return _in_time(run, seen, created, skew)


def _in_time(run: Run, seen: Observation[Run], created: datetime, skew: timedelta) -> Candidate | None:
    if not isinstance(seen, Found) or seen.value.jobs is None:
        return Candidate(run, seen, ())
    jobs = tuple(job for job in seen.value.jobs if holds_instant(job, seen.value, created, skew))
    if jobs:
        return Candidate(run, seen, jobs)
    # Without a single job to go by, the run's own time has to do; with jobs, none of which held the instant, it is out.
    return None if seen.value.jobs or _never_ran(seen.value) else Candidate(run, seen, ())


def _never_ran(run: Run) -> bool:
    return run.phase is Phase.WAITING and run.attempt <= 1 and run.ended_at is None and run.conclusion is None


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
        if run.created_at > shifted(lock.created, skew)
    ]
    return tuple(sorted(late, key=lambda run: run.created_at, reverse=True))


@dataclass(frozen=True, slots=True)
class _Claimant:
    claim: Claim
    candidate: Candidate
    sealed: bool
    named: bool


def _claimants(lock: LockInfo, claims: Iterable[Claimed], skew: timedelta) -> Iterable[_Claimant]:
    """The claims that fit the lock, each with its run. A run that was over before, or began later, is out."""
    for claimed in claims:
        claim = claimed.claim
        if not may_have_taken(claim, lock, skew):
            continue
        sealed = is_sealed(claim, lock)
        candidate = _claimed(claimed, lock.created, skew, sure=sealed)
        if candidate is not None:
            told = replace(candidate, exited=exit_for(claim, lock), actor=claim.actor)
            yield _Claimant(claim, told, sealed, names(claim, lock, skew))


def _claimed(claimed: Claimed, created: datetime, skew: timedelta, *, sure: bool) -> Candidate | None:
    seen = claimed.seen
    run = seen.value if isinstance(seen, Found) else _unread(claimed.claim)
    found = _in_time(run, seen, created, skew) if may_hold(run, created, skew) else None
    return Candidate(run, seen, ()) if found is None and sure else found


def _unread(claim: Claim) -> Run:
    """What stands for a run that could not be read: its address, and nothing of its end."""
    address = claim.run_url.rstrip("/")
    ref = RunRef(Pipeline("claimed run", ()), address.rpartition("/")[2] or claim.id, claim.run_url)
    return Run(
        ref=ref,
        title="",
        actor="",
        trigger="",
        phase=Phase.UNKNOWN,
        conclusion=None,
        attempt=claim.attempt,
        created_at=claim.made_at,
        started_at=None,
        ended_at=None,
    )


def _by_claim(
    lock: LockInfo,
    claimants: tuple[_Claimant, ...],
    suspects: tuple[Candidate, ...],
    unseen: tuple[NotFound | Unseen, ...],
    contenders: tuple[Run, ...],
) -> Attribution:
    """A sealed claim ties its run to the lock, whatever else ran.

    Any other says where its job was, and not that it got the lock: two jobs may share a machine, and the one that
    claimed may be the one that waited in vain. It makes no other run harmless.
    """
    sealed = tuple(claimant for claimant in claimants if claimant.sealed)
    reason = _claim_reason(lock, sealed or claimants)
    if sealed:
        mine = tuple(dict.fromkeys(claimant.candidate for claimant in sealed))
        return Attribution(Strength.CLAIM, mine, reason, (), contenders)

    mine = tuple(dict.fromkeys(claimant.candidate for claimant in claimants))
    refs = {candidate.run.ref for candidate in mine}
    rivals = tuple(candidate for candidate in suspects if candidate.run.ref not in refs)
    if rivals:
        reason = (*reason, "; so may another run that was going on then")
    return Attribution(Strength.CLAIM, (*mine, *rivals), reason, unseen, contenders)


def _claim_reason(lock: LockInfo, claimants: tuple[_Claimant, ...]) -> Phrase:
    if len(claimants) > 1:
        return (f"{len(claimants)} jobs that claimed the state there at that time may hold it",)
    only = claimants[0]
    if only.sealed:
        return ("the lock has the host name ", quoted(lock.host, ""), ", which only a job that claimed it at ",
                only.claim.made_at, " had")  # fmt: skip
    what = "said that it holds this lock" if only.named else "claimed the state before"
    heard = only.claim.heartbeat_at if only.named else None
    return ("a job on host ", quoted(only.claim.host, "without a name"), f" {what}, at ", heard or only.claim.made_at)


def _by_run_id(
    run_id: str,
    lock: LockInfo,
    suspects: tuple[Candidate, ...],
    named: tuple[Observation[Run], ...],
    contenders: tuple[Run, ...],
    skew: timedelta,
) -> Attribution:
    said: Phrase = ("the host name says run ", Quoted(run_id))
    unseen = tuple(seen for seen in named if isinstance(seen, Unseen))
    read = tuple(seen for seen in named if isinstance(seen, Found))

    mine = tuple(candidate for candidate in suspects if candidate.listed.ref.id == run_id)
    found = mine or tuple(_looked_up(read, lock.created, skew))
    if found:
        # Some systems count the runs of each pipeline from 1: one that gave no answer may know another run of this id.
        return Attribution(Strength.RUN_ID, found, said, unseen, contenders)
    if read:
        # A host name that outlived its run names somebody else than the holder.
        return Attribution(None, (), (*said, ", which was not going on when the lock was taken"), unseen, contenders)
    return Attribution(None, (), (*said, ", which no mapped pipeline knows"), unseen, contenders)


def _looked_up(read: Iterable[Found[Run]], created: datetime, skew: timedelta) -> Iterable[Candidate]:
    # The same run may have been asked for once for each of its pipelines.
    for seen in {seen.value.ref: seen for seen in read}.values():
        candidate = _in_time(seen.value, seen, created, skew) if may_hold(seen.value, created, skew) else None
        if candidate is not None:
            yield candidate


def _on_host(host: str, suspects: Iterable[Candidate]) -> Iterable[Candidate]:
    for candidate in suspects:
        jobs = tuple(job for job in candidate.jobs if job.host and host and job.host.casefold() == host.casefold())
        if jobs:
            yield Candidate(candidate.listed, candidate.seen, jobs)


def _may_be_on(host: str, candidate: Candidate) -> bool:
    return not candidate.jobs or any(not job.host or _alike(host, job.host) for job in candidate.jobs)


def _alike(one: str, other: str) -> bool:
    """Whether two names may mean one machine: `build-1`, its full name `build-1.example.com`, a runner `build-1-b`."""
    short, long = sorted((one.casefold(), other.casefold()), key=len)
    return long.startswith(short) and not long[len(short) :][:1].isalnum()


def _host_reason(host: str, candidates: tuple[Candidate, ...]) -> Phrase:
    job = candidates[0].jobs[0]
    ran = (" ran from ", job.started_at) if job.started_at else (" ran",)
    until = (" to ", job.ended_at) if job.ended_at else ()
    return ("host ", Quoted(host), " is the runner of job ", quoted(job.name, job.id), ", which", *ran, *until)


def _window_reason(candidates: tuple[Candidate, ...], *, whole: bool) -> Phrase:
    if len(candidates) == 1 and not whole:
        return ("it is the only run that is known to have been going on when the lock was taken",)
    if len(candidates) == 1:
        return ("it is the only mapped run that was going on when the lock was taken",)
    return (f"{len(candidates)} mapped runs were going on when the lock was taken, and any of them may hold it",)

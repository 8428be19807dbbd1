"""What ties a run to a lock. Terraform writes `user@host` and nothing else, and names repeat; so there are three ties.

**Sealed**: only one job's processes had this host name. **Shown**: the job's log, or the machine it was on, shows it.
**By time**: a run was active then, and nothing else is known. With the latter two every run that evidence does not
exclude counts as a possible holder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.evidence import Found, NotFound, Observation, Offset, Unseen
from bot.core.gate.attribution import (
    Attribution,
    Candidate,
    Claimed,
    PipelineSeen,
    Strength,
    Taken,
    Tie,
    allowance,
    contenders,
    in_time,
    is_outlived,
    may_hold,
    own_jobs,
    suspected,
    unlisted,
)
from bot.core.gate.claim import Claim, exit_for, is_private, is_sealed, may_have_taken, names, sealed_id
from bot.core.gate.ending import run_name
from bot.core.gate.exclusions import (
    is_same_machine,
    machine_of,
    weighed,
    why_not_hosted,
    why_not_its_machine,
    why_not_its_project,
)
from bot.core.hold import is_hold
from bot.core.instants import shifted
from bot.core.joblog.values import JobLog, Work
from bot.core.lock import LockInfo
from bot.core.phrase import Phrase, Quoted, quoted
from bot.core.policy import Holders
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.core.who import is_account_of, is_shared_host, is_slot, run_named_in

_EXACT = timedelta(0)
_NO_OFFSET = Offset(_EXACT, _EXACT)

_KEPT = timedelta(seconds=1)
"""How far two clocks may be apart that someone keeps. A store leaves out the fraction of a second, to the safe side."""

_ANYBODYS = frozenset({"root", ""})
"""The accounts that containers have. Neither is a person's name, and neither belongs to one job only."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One lock, and by which allowance for clocks it is asked whose it is. `earlier`: of when the locks are that its
    state was seen with before.
    """

    lock: LockInfo
    taken: Taken
    skew: timedelta
    holders: Holders
    earlier: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class _Possible:
    """A run that may hold the lock, what its system said, and the claim that it made on the lock's host."""

    candidate: Candidate
    look: PipelineSeen
    claim: Claim | None = None

    def logs(self) -> Iterable[tuple[Job, JobLog | None]]:
        run = self.candidate.run
        return ((job, self.look.log_of(run, job)) for job in self.candidate.jobs)


def attribute(
    lock: LockInfo,
    looks: Iterable[PipelineSeen],
    *,
    holders: Holders,
    skew: timedelta,
    named: Iterable[Observation[Run]] = (),
    claims: Iterable[Claimed] = (),
    taken: Taken | None = None,
    earlier: Iterable[datetime] = (),
) -> Attribution:
    """Ties runs to a lock by the strongest evidence that there is.

    `named` are look-ups of the run that the host name carries (`Holders.run_id_in`), if it carries one; `claims` those
    of the lock's state; `taken` is when it was taken, by its own word if nothing else is known; `earlier` is of when
    the locks are that its state was seen with before.
    """
    looks, claims = tuple(looks), tuple(claims)
    if is_hold(lock):
        at = taken or Taken.of(lock)
        none: Phrase = ("it is a hold of tflock's, and no run has it",)
        return Attribution(None, (), none, contenders=contenders(looks, at, skew), taken=at)
    question = _Question(lock, taken or Taken.of(lock), skew, holders, tuple(earlier))
    by_name = _by_seal(question, looks, claims) or _by_run_id(question, looks, tuple(named), claims)
    found = by_name or _by_evidence(question, looks, claims)
    return replace(found, contenders=contenders(looks, question.taken, skew), taken=question.taken)


# sealed


def _by_seal(question: _Question, looks: Sequence[PipelineSeen], claims: Sequence[Claimed]) -> Attribution | None:
    """The job whose claim gave it a host name of its own, or called its host private. Nobody else can have it."""
    lock = question.lock
    mine = [claimed for claimed in claims if is_sealed(claimed.claim, lock)]
    if not mine and sealed_id(lock.host) is not None:
        said: Phrase = (
            "only one claim's job had the host name ",
            Quoted(lock.host),
            ", and this state has no such claim",
        )
        return Attribution(None, (), said)
    mine = mine or _private(question, looks, claims)
    if not mine:
        return None
    candidates = tuple(dict.fromkeys(_claimed(question, claimed) for claimed in mine))
    made = mine[0].claim.made_at
    reason: Phrase = ("the lock has the host name ", Quoted(lock.host), ", which only a job that claimed it at ", made)
    return Attribution(Strength.CLAIM, candidates, (*reason, " had"), tie=Tie.SEALED)


def _private(question: _Question, looks: Sequence[PipelineSeen], claims: Sequence[Claimed]) -> list[Claimed]:
    """The claim that called its host private, if one run did; never where anything speaks against that.

    An agent in a container of its own has one name for all its jobs: then another run was there, or the claimed one was
    refused the lock.
    """
    lock, host = question.lock, question.lock.host
    mine = [claimed for claimed in claims if is_private(claimed.claim, lock, question.skew)]
    if len({claimed.claim.run_url for claimed in mine}) != 1 or is_shared_host(host) or is_slot(host):
        return []
    if not all(_was_at_work(claimed.seen, question.taken) for claimed in mine):
        return []
    possible, _ = _possible(question, looks, claims)
    urls = {claimed.claim.run_url for claimed in mine}
    beside = [one for one in possible if one.candidate.run.ref.url not in urls and _is_known_there(one, host)]
    is_out = not any(one.candidate.run.ref.url in urls for one in possible)
    return [] if beside or is_out else mine


def _is_known_there(one: _Possible, host: str) -> bool:
    machines = (machine_of(job, log) for job, log in one.logs())
    return one.claim is not None or any(machine and is_same_machine(machine, host) for machine in machines)


def _was_at_work(seen: Observation[Run], taken: Taken) -> bool:
    """Whether the run was active then without any allowance: a name that outlived its job may be another's. True if the
    run could not be read, since then it is not over either.
    """
    if not isinstance(seen, Found):
        return True
    run = seen.value
    at_either = tuple(Taken(at, at) for at in (taken.first, taken.last))
    if run.jobs:
        return any(_holds(job, Candidate(run, seen, ()), at) for job in run.jobs for at in at_either)
    return may_hold(run, replace(taken, policy=None), _EXACT)


def _claimed(question: _Question, claimed: Claimed) -> Candidate:
    seen, claim = claimed.seen, claimed.claim
    run = seen.value if isinstance(seen, Found) else _unread(claim)
    found = in_time(run, seen, question.taken, question.skew) or Candidate(run, seen, ())
    exited = exit_for(claim, question.lock)
    return replace(found, exited=exited, actor=claim.actor, system=claimed.system)


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


def _by_run_id(
    question: _Question,
    looks: Sequence[PipelineSeen],
    named: Sequence[Observation[Run]],
    claims: Sequence[Claimed],
) -> Attribution | None:
    """The run whose id the host name carries, by the team's own pattern."""
    run_id = question.holders.run_id_in(question.lock.who)
    if run_id is None:
        return None
    is_stores_word = run_named_in(question.lock.who) is not None
    said: Phrase = ("the lock's store names " if is_stores_word else "the host name says run ", Quoted(run_id[0]))
    unseen: tuple[NotFound | Unseen, ...] = tuple(seen for seen in named if isinstance(seen, Unseen))
    if any(isinstance(seen, NotFound) for seen in named):
        unseen += unlisted(looks)  # "no such run" of a pipeline that lists none either may be a right that is missing
    read = tuple(seen for seen in named if isinstance(seen, Found))

    suspects = (candidate for look in looks for candidate in suspected(look, question.taken, question.skew))
    mine = {candidate.listed.ref: candidate for candidate in suspects if candidate.listed.ref.id == run_id[0]}
    found = tuple(
        ({candidate.listed.ref: candidate for candidate in _looked_up(question, looks, read)} | mine).values()
    )
    found = tuple(one for one in found if not is_outlived(one, question.taken, question.skew))
    if is_stores_word:  # then all of the run holds the lock, and not only what ran when it was taken
        found = tuple(replace(candidate, jobs=candidate.run.jobs or ()) for candidate in found)
    if found and (is_stores_word or any(_was_there(candidate, question.taken) for candidate in found)):
        # Some systems count the runs of each pipeline from 1: one that gave no answer may know another run of this id.
        return Attribution(Strength.RUN_ID, found, said, unseen, tie=Tie.SEALED)
    if found:
        # On a machine that is used again the name may be there still, and the next job have it.
        beside = (*said, ", which was running then only if clocks differ; the next job may have found that name there")
        known = {candidate.run.ref for candidate in found}
        others = tuple(one.candidate for one in _possible(question, looks, claims)[0])
        others = tuple(candidate for candidate in others if candidate.run.ref not in known)
        unseen += unlisted(looks)
        return Attribution(Strength.RUN_ID, found, beside, unseen, tie=Tie.BY_TIME, others=others)
    if read:
        # A host name that outlived its run names someone else than the holder.
        return Attribution(None, (), (*said, ", which was not running when the lock was taken"), unseen)
    return Attribution(None, (), (*said, ", which no configured pipeline knows"), unseen)


def _was_there(candidate: Candidate, taken: Taken) -> bool:
    """Whether the run was active by the holder's clock and by the store's, without any allowance; of one that could not
    be read, its listing tells.
    """
    seen = candidate.seen if isinstance(candidate.seen, Found) else Found(candidate.listed, candidate.seen.at)
    return all(_was_at_work(seen, Taken(at, at)) for at in (taken.first, taken.last))


def _looked_up(question: _Question, looks: Iterable[PipelineSeen], read: Iterable[Found[Run]]) -> Iterable[Candidate]:
    systems = {look.pipeline.ci: look.system for look in looks}
    # The same run may have been asked for once for each of its pipelines.
    for seen in {seen.value.ref: seen for seen in read}.values():
        if may_hold(seen.value, question.taken, allowance(seen, question.skew)):
            candidate = in_time(seen.value, seen, question.taken, question.skew)
            if candidate is not None:
                yield replace(candidate, system=systems.get(seen.value.ref.pipeline.ci, ""))


# shown, or by time


def _by_evidence(question: _Question, looks: Sequence[PipelineSeen], claims: Sequence[Claimed]) -> Attribution:
    if not question.taken.is_known:
        return _since_unknown(question, looks, claims)
    possible, ruled_out = _possible(question, looks, claims)
    unseen, unread = unlisted(looks), _unread_logs(possible)
    outlived = tuple(one.candidate for one in possible if is_outlived(one.candidate, question.taken, question.skew))
    active = tuple(one for one in possible if one.candidate not in outlived)
    tied, why_none = _tied(question, active)
    candidates = tuple(one.candidate for one in active)
    if tied is None:
        if outlived and not active:
            why_none = (run_name(outlived[0].run), " had ended before, and at most its process can have taken it")
        others = (*candidates, *outlived)
        return Attribution(None, (), why_none, unseen, ruled_out=ruled_out, unread=unread, others=others)
    strength, tie, reason = tied
    return Attribution(
        strength, candidates, reason, unseen, tie=tie, ruled_out=ruled_out, unread=unread, others=outlived
    )


def _since_unknown(question: _Question, looks: Sequence[PipelineSeen], claims: Sequence[Claimed]) -> Attribution:
    """No run is tied by time, or excluded by it: each that is active, or may live on, may have taken the lock."""
    listed = [suspect for look in looks for suspect in suspected(look, question.taken, question.skew)]
    claimed = [one for one in (_fits(question, each) for each in claims) if one is not None]
    others = tuple({candidate.run.ref: candidate for candidate in (*listed, *claimed)}.values())
    why: Phrase = ("since when it is held is not known, so any run may have taken it",)
    return Attribution(None, (), why, unlisted(looks), others=others)


def _possible(
    question: _Question, looks: Sequence[PipelineSeen], claims: Sequence[Claimed]
) -> tuple[tuple[_Possible, ...], tuple[Phrase, ...]]:
    """Every run that may hold the lock, mapped or claimed; and of those whose time fits, why each other does not."""
    wide = question.skew + question.taken.apart
    fitting = [claimed for claimed in claims if may_have_taken(claimed.claim, question.lock, wide)]
    by_ref = {claimed.seen.value.ref: claimed for claimed in fitting if isinstance(claimed.seen, Found)}
    possible, ruled_out, known = list[_Possible](), list[Phrase](), set[RunRef]()
    for look in looks:
        for suspect in suspected(look, question.taken, question.skew):
            claimed = by_ref.get(suspect.listed.ref)
            own = own_jobs(suspect, question.taken, question.skew)
            candidate, why = weighed(suspect, look, question.lock, own=own, is_there=claimed is not None)
            known.add(suspect.listed.ref)
            if candidate is None:
                ruled_out.append(why)
            elif claimed is None:
                possible.append(_Possible(candidate, look))
            else:
                possible.append(_Possible(replace(candidate, actor=claimed.claim.actor), look, claimed.claim))
    for claimed in fitting:
        candidate = _fits(question, claimed)
        if candidate is not None and candidate.run.ref not in known:
            look = PipelineSeen(candidate.run.ref.pipeline, claimed.system, Found((), claimed.seen.at))
            possible.append(_Possible(candidate, look, claimed.claim))
    return tuple(possible), tuple(ruled_out)


def _fits(question: _Question, claimed: Claimed) -> Candidate | None:
    """The claimed run where no mapped pipeline lists it; None if its times exclude it."""
    seen, claim = claimed.seen, claimed.claim
    run = seen.value if isinstance(seen, Found) else _unread(claim)
    if not may_hold(run, question.taken, allowance(seen, question.skew)):
        return None
    candidate = in_time(run, seen, question.taken, question.skew)
    return None if candidate is None else replace(candidate, actor=claim.actor, system=claimed.system)


def _unread_logs(possible: Iterable[_Possible]) -> tuple[NotFound | Unseen, ...]:
    logs = (seen for one in possible for seen in one.look.logs.values() if isinstance(seen, Unseen))
    return tuple(dict.fromkeys(logs))


def _tied(question: _Question, possible: Sequence[_Possible]) -> tuple[tuple[Strength, Tie, Phrase] | None, Phrase]:
    """The strongest tie of any of the runs, with its reason; else None, and why there is none.

    Nothing shows that a run holds the lock of a person whom the configuration knows by this `Who` or user.
    """
    lock, holders = question.lock, question.holders
    is_persons = bool(holders.people_for_who(lock.who) or holders.people_called(lock.user))
    why_not = [_why_not_blamed(question, one) for one in possible]
    blamed = [one for one, why in zip(possible, why_not, strict=True) if why is None]
    # a job may well have shared its machine, or worked elsewhere
    witnesses = [one for one in blamed if not is_persons or _has_starters_account(lock, one)]
    by_log = _only(question, [(one, _shown_by_log(question, one)) for one in witnesses])
    if by_log is not None:
        one, job = by_log
        said: Phrase = (
            "the log of job ",
            quoted(job.name, job.id),
            " shows Terraform working under this lock",
        )
        return (Strength.LOG, Tie.SHOWN, (run_name(one.candidate.run), ": ", *said) if len(possible) > 1 else said), ()
    on_host = _only(question, [(one, _shown_by_machine(question, one)) for one in witnesses])
    if on_host is not None:
        return (Strength.HOST, Tie.SHOWN, _host_reason(question.lock.host, on_host[1])), ()
    if blamed:
        claimed = [one.claim for one in blamed if one.claim is not None]
        strength = Strength.CLAIM if claimed else Strength.WINDOW
        reason = _claim_reason(question, claimed) if claimed else _window_reason(blamed)
        if claimed and len(possible) > len(claimed):
            reason = (*reason, "; so may another run that was active then")
        return (strength, Tie.BY_TIME, reason), ()
    none: Phrase = ("none of the configured pipelines was running when the lock was taken",)
    return None, next((why for why in why_not if why is not None), none)


def _why_not_blamed(question: _Question, one: _Possible) -> Phrase | None:
    """Why the run, which is not excluded, is still not a candidate: the lock's `Who` speaks against it."""
    if one.claim is not None:
        return None
    why = why_not_its_machine(one.look, question.lock)
    if why is not None:
        return (run_name(one.candidate.run), *why)
    return why_not_its_project(one.candidate.run, question.lock) or why_not_hosted(one.candidate, question.lock)


def _only(
    question: _Question, shown: Sequence[tuple[_Possible, Mapping[JobLog | None, Job]]]
) -> tuple[_Possible, Job] | None:
    """The job that is shown. Of two whose logs show it one had another lock, and which one is not known."""
    found = [(one, job, log) for one, jobs in shown for log, job in jobs.items()]
    by_log = [(one, log) for one, _, log in found if log is not None]
    if not found or len(by_log) > 1 or any(_has_others(question, one, log) for one, log in by_log):
        return None
    return found[0][:2]


def _shown_by_log(question: _Question, one: _Possible) -> Mapping[JobLog | None, Job]:
    """The jobs whose logs show Terraform running on this state while this lock existed, by the log's own clock, which
    is the holder's. By their logs: all parts of a run may write into one.
    """
    if question.taken.is_doubtful(question.skew):
        return {}
    return {
        log: job
        for job, log in one.logs()
        if log is not None and _may_be_its_own(question, one, job, log) and _shows(question, one, job, log)
    }


def _has_others(question: _Question, one: _Possible, log: JobLog) -> bool:
    """Whether the run works on other states as well, which nobody has configured, and the log may be of one of them:
    another job of the run was refused this very lock, or ran Terraform while this lock existed, by more than clocks
    differ.
    """
    lock, late = question.lock, shifted(question.taken.last, question.skew)
    if lock.path and all(span.state == lock.path for span in log.work):
        return False
    run_id = one.candidate.run.ref.id
    mine = [seen.value for key, seen in one.look.logs.items() if key[0] == run_id and isinstance(seen, Found)]
    return any(
        any(refusal.lock_id == lock.id for refusal in other.refused)
        or (not other.without_lock and any(span.last >= late for span in other.work))
        for other in mine
        if other != log
    )


def _may_be_its_own(question: _Question, one: _Possible, job: Job, log: JobLog) -> bool:
    """Whether the job's Terraform can have written this `Who`. Work in a log outweighs a name that a person can have,
    but not one that nothing but a person's own account has: `alice@thinkpad` may hold this lock next to the job.
    """
    lock, machine = question.lock, machine_of(job, log)
    is_anybodys = lock.user.casefold() in _ANYBODYS
    is_there = machine is not None and is_same_machine(machine, lock.host)
    return is_anybodys or is_there or _is_jobs_account(question, one) or _has_starters_account(lock, one)


def _is_jobs_account(question: _Question, one: _Possible) -> bool:
    lock = question.lock
    return is_account_of(lock.user, one.look.system) or question.holders.looks_like_ci(lock.who)


def _has_starters_account(lock: LockInfo, one: _Possible) -> bool:
    """Whether the lock names no machine, and the account of who started the run: a store that knows only who signed in
    (GitLab) says so of a job, whose token has that person's account.
    """
    return bool(lock.user) and not lock.host and lock.user.casefold() == one.candidate.run.actor.casefold()


def _shows(question: _Question, one: _Possible, job: Job, log: JobLog) -> bool:
    """Terraform was running under this lock. Which lock it could not release says nothing: that may be another's."""
    lock = question.lock
    skew = question.skew + question.taken.apart
    # in a job that succeeded Terraform came to its own end
    is_enough = shifted(lock.created, skew) if job.conclusion is Conclusion.SUCCESS else lock.created
    spans = (span for span in log.shows(lock.created, lock_id=lock.id, skew=skew) if span.last >= is_enough)
    return any(_is_on_it(lock, one, log, span) and _is_its_own(question, one, job, log, span) for span in spans)


def _is_on_it(lock: LockInfo, one: _Possible, log: JobLog, span: Work) -> bool:
    """Whether the work was on the lock's state: the log names it, or the job has no other."""
    is_named = bool(lock.path) and span.state == lock.path  # a state behind an address has none
    is_one = one.look.one_state and not log.has_several
    return is_named or (is_one and _may_be_of(span.state, lock.path))


def _is_its_own(question: _Question, one: _Possible, job: Job, log: JobLog, span: Work) -> bool:
    """Whether this lock was there when the work began. Else the job had an earlier one, which it gave back or someone
    broke, and this lock is of a process whose clock is slow, or that had waited for it: Terraform notes the time before
    it waits.

    The store's clock says when it wrote the lock, and by how much the log's may be fast is taken off. If no store says
    that, the command must not have given its lock back, nor an earlier lock of the state fit it as well. And its work
    has to last longer than clocks differ, or be on a machine whose clock is the lock's or is kept, and the log has to
    say when the command began.
    """
    taken, host = question.taken, question.lock.host
    is_hosted = is_shared_host(host) and is_shared_host(machine_of(job, log) or host)
    fast = _fast_by(question, one.candidate, job, log) if taken.is_stored and not is_hosted else _EXACT
    if taken.last > shifted(span.first, _KEPT - fast) or _is_ahead(question, one.candidate, job, span):
        return False
    if taken.is_stored:
        return True
    if any(span.shows(created) for created in question.earlier) or not _kept_its_lock(job, log, span):
        return False
    is_kept = is_hosted or _is_one_clock(job, log, host)
    is_long = _until(question, one.candidate, job, span) >= shifted(taken.last, question.skew)
    return (is_kept and span.after is not None) or is_long


def _kept_its_lock(job: Job, log: JobLog, span: Work) -> bool:
    """Whether the command did not come to its own end, and was not asked to: else it most often gives its lock back,
    and who had waited for that has the next one, with a `Created` from when the waiting began.
    """
    is_read = job.phase is not Phase.ENDED or log.is_read or log.is_whole
    return is_read and job.conclusion is not Conclusion.SUCCESS and not (span.is_ended or span.is_interrupted)


def _fast_by(question: _Question, candidate: Candidate, job: Job, log: JobLog) -> timedelta:
    """By how much the log's clock may be fast: its first line was written after the job began, by its CI system's."""
    if log.begun_at is None or job.started_at is None:
        return question.skew
    offset = candidate.offset
    began = offset.earliest_on_ours(job.started_at) if offset is not None else shifted(job.started_at, -question.skew)
    return min(max(log.begun_at - began, _EXACT), question.skew)


def _until(question: _Question, candidate: Candidate, job: Job, span: Work) -> datetime:
    """How long a command that kept its lock ran at least: the last one of its job runs until the job ends."""
    if not span.is_last:
        return span.last
    if job.phase is not Phase.ENDED:
        return candidate.seen.at
    if job.ended_at is None:
        return span.last
    offset = candidate.offset
    ended = offset.earliest_on_ours(job.ended_at) if offset is not None else shifted(job.ended_at, -question.skew)
    return max(span.last, ended)


def _is_ahead(question: _Question, candidate: Candidate, job: Job, span: Work) -> bool:
    """Whether the log's clock is known to be fast: the job was running after its end by its CI system's clock."""
    if job.ended_at is None or job.phase is not Phase.ENDED:
        return False
    offset = candidate.offset
    ended = offset.on_ours(job.ended_at) if offset is not None else shifted(job.ended_at, question.skew)
    return span.last > shifted(ended, _KEPT)


def _is_one_clock(job: Job, log: JobLog, host: str) -> bool:
    """Whether the log's clock is that of the lock's machine. A slot is on many machines, one after the other."""
    machine = machine_of(job, log)
    return machine is not None and is_same_machine(machine, host) and not is_slot(host)


def _may_be_of(state: str | None, path: str) -> bool:
    """Whether a log's word for a state speaks for the lock's, or not against it: its `Path`, the end of it, or none.

    The end of a `Path` is a key without its bucket, and another bucket may well have the same key.
    """
    if state is None:
        return True
    return bool(state.strip("/")) and (path == state or path.endswith(f"/{state.lstrip('/')}"))


def _shown_by_machine(question: _Question, one: _Possible) -> Mapping[JobLog | None, Job]:
    """The jobs that ran on the lock's machine, under the lock's account, when it was taken, without any allowance for
    clocks. By their logs.

    Not where many machines have that name, nor by a log in which no Terraform was running under such a lock. A task has
    a machine of its own; on every other one a person may be active under their own account.
    """
    lock = question.lock
    if is_shared_host(lock.host):
        return {}
    is_jobs, found = _is_jobs_account(question, one), dict[JobLog | None, Job]()
    for job, log in one.logs():
        machine = machine_of(job, log)
        is_running = job.started_at is not None and _holds(job, one.candidate, question.taken)
        is_there = machine is not None and is_same_machine(machine, lock.host) and is_running
        if is_there and (job.machine is not None or is_jobs) and _may_show(question, one, job, log):
            found[log] = job
    return found


def _may_show(question: _Question, one: _Possible, job: Job, log: JobLog | None) -> bool:
    """Whether the log speaks for the machine's job. A task's own machine needs nobody's word, unless the log says that
    the task was working on another state or before this lock; on any other machine jobs of pipelines that nobody mapped
    may be running under the same account, so that the log has to show the work on this state.
    """
    lock = question.lock
    if log is None or not log.work:
        return job.machine is not None and not (log is not None and log.without_lock)
    if job.machine is None:
        return _shows(question, one, job, log)
    return not log.without_lock and any(
        span.shows(lock.created) and _may_be_of(span.state, lock.path) for span in log.work
    )


def _holds(job: Job, candidate: Candidate, taken: Taken) -> bool:
    """Whether the job surely ran all the time in which the lock may have been taken, if its clock was measured."""
    start, offset = job.started_at or candidate.run.created_at, candidate.offset or _NO_OFFSET
    if offset.on_ours(start) > taken.first:
        return False
    return job.phase is not Phase.ENDED or job.ended_at is None or offset.earliest_on_ours(job.ended_at) >= taken.last


def _host_reason(host: str, job: Job) -> Phrase:
    ran: Phrase = (" ran from ", job.started_at) if job.started_at else (" ran",)
    until: Phrase = (" to ", job.ended_at) if job.ended_at else ()
    return ("host ", Quoted(host), " is the machine of job ", quoted(job.name, job.id), ", which", *ran, *until)


def _claim_reason(question: _Question, claims: Sequence[Claim]) -> Phrase:
    if len(claims) > 1:
        return (f"{len(claims)} jobs claimed the state there at that time, and any of them may hold it",)
    claim = claims[0]
    is_named = names(claim, question.lock, question.skew)
    what = "said that it holds this lock" if is_named else "claimed the state before"
    heard = claim.heartbeat_at if is_named else None
    return ("a job on host ", quoted(claim.host, "without a name"), f" {what}, at ", heard or claim.made_at)


def _window_reason(blamed: Sequence[_Possible]) -> Phrase:
    if len(blamed) == 1:
        return ("it was the only configured run active when the lock was taken",)
    return (f"{len(blamed)} configured runs were active when the lock was taken, and any of them may hold it",)

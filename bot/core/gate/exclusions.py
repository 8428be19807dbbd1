"""What excludes a run as the holder of a lock, though its time fits. What is not known excludes nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from bot.core.gate.attribution import Candidate, PipelineSeen
from bot.core.gate.ending import run_name
from bot.core.joblog.values import JobLog, LogEnd
from bot.core.lock import LockInfo
from bot.core.phrase import Phrase, Quoted, quoted
from bot.core.run import Conclusion, Job, Run
from bot.core.who import form_of, is_ci, is_ec2_host, is_hosted_runner, project_in


def weighed(
    candidate: Candidate, look: PipelineSeen, lock: LockInfo, *, own: Collection[Job], is_there: bool
) -> tuple[Candidate | None, Phrase]:
    """The run with those of its jobs that may hold the lock; or None, and why it is none.

    `own` are the jobs that were active themselves when the lock was taken: what a process does that outlived its job is
    in no log. `is_there`: the run's own claim says that it was on the lock's host, so that no machine's name excludes
    it.
    """
    run = candidate.run
    why = why_not_its_machine(look, lock) if is_ci(lock.who) else None
    if why is not None:
        return None, (run_name(run), *why)
    reasons = {
        job: _why_not(job, look.log_of(run, job), lock, is_own=job in own, is_there=is_there) for job in candidate.jobs
    }
    jobs = tuple(job for job, reason in reasons.items() if reason is None)
    if candidate.jobs and not jobs:
        return None, (run_name(run), *next(reason for reason in reasons.values() if reason is not None))
    read = [(job, log) for job in jobs if (log := look.log_of(run, job)) is not None]
    return replace(candidate, jobs=jobs, is_declared=any(_is_declared(job, log) for job, log in read)), ()


def _is_declared(job: Job, log: JobLog) -> bool:
    """Whether the process may outlive the job: the server lost it, or broke off what another machine or a
    container was doing for it.
    """
    was_broken_off = job.conclusion in {Conclusion.CANCELLED, Conclusion.TIMED_OUT}
    return log.end is LogEnd.DECLARED or (log.elsewhere and log.has_worked and was_broken_off)


def _why_not(job: Job, log: JobLog | None, lock: LockInfo, *, is_own: bool, is_there: bool) -> Phrase | None:
    if log is not None and log.was_refused(lock.id):
        return (" was refused this very lock: the log of job ", quoted(job.name, job.id), " shows it")
    if is_own and log is not None and log.never_ran_terraform and not log.elsewhere:
        return (" ran no Terraform: the whole log of job ", quoted(job.name, job.id), " was read")
    machine = only_machine_of(job, log)
    if machine and lock.host and not is_there and not may_be_one(machine, lock.host):
        return (" was on another machine, ", Quoted(machine))
    return None


def machine_of(job: Job, log: JobLog | None) -> str | None:
    """A host name that the job had, where the system or the head of the log says it; never a label."""
    return job.machine or (log.machine if log is not None else None)


def only_machine_of(job: Job, log: JobLog | None) -> str | None:
    """The host name that everything in the job had, where the system or the whole log says it."""
    return job.machine or (log.only_machine if log is not None else None)


def may_be_one(one: str, other: str) -> bool:
    """Whether two names may mean one machine: `build-1`, its full name `build-1.example.com`, a runner `build-1-b`."""
    short, long = sorted((one.casefold(), other.casefold()))  # a beginning comes before what it begins
    return long.startswith(short) and not long[len(short) :][:1].isalnum()


def is_same_machine(one: str, other: str) -> bool:
    """Whether they surely do: the same name, or EC2's with and without its domain."""
    if one.casefold() == other.casefold():
        return True
    short = {name.casefold().partition(".")[0] for name in (one, other)}
    is_written_short = "." not in one or "." not in other
    return is_written_short and len(short) == 1 and is_ec2_host(one) and is_ec2_host(other)


def why_not_its_machine(look: PipelineSeen, lock: LockInfo) -> Phrase | None:
    """Why a run of this system cannot have written this `Who`, by its form; None if it may have."""
    form = form_of(lock.who)
    if form is not None and form.systems is not None and look.system not in form.systems:
        names = " or ".join(sorted(form.systems)) or "a system that tflock does not read"
        return (" is of ", look.system, ", and ", Quoted(lock.who), f" is how {names} calls its machines")
    return None


def why_not_its_project(run: Run, lock: LockInfo) -> Phrase | None:
    """Why the slot in the lock's host was not the run's: it works for another project. A child of the run may do so."""
    project = project_in(lock.host)
    mine = run.project or next((value for key, value in run.ref.pipeline.fields if key == "project"), "")
    if project is not None and mine.isdigit() and mine != project:
        return (run_name(run), f" is of project {mine}, and the lock's host works for project {project}")
    return None


def why_not_hosted(candidate: Candidate, lock: LockInfo) -> Phrase | None:
    """Why the run's own machines cannot have had such a name: they were its CI system's, and the lock's is EC2's."""
    jobs: Iterable[Job] = candidate.jobs
    is_hosted = bool(candidate.jobs) and all(job.host and is_hosted_runner(job.host) for job in jobs)
    if is_hosted and is_ec2_host(lock.host):
        return (run_name(candidate.run), " was on a hosted runner, and ", Quoted(lock.host), " is a machine at EC2")
    return None

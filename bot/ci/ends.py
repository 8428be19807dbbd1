"""Whether a run has ended and how, by what a system says of it and of its jobs. Pure, and the same for all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from bot.core.run import Cancelled, CancelResult, Conclusion, Job, Phase, Run

NOT_KNOWN = Phase.UNKNOWN, None
BROKEN_OFF = frozenset({Conclusion.FAILED, Conclusion.CANCELLED, Conclusion.TIMED_OUT})


def already_ended(run: Run) -> Cancelled:
    return Cancelled(CancelResult.ALREADY_ENDED, f"it has ended ({run.reported})")


def dated(
    phase: Phase, conclusion: Conclusion | None, at: datetime | None
) -> tuple[Phase, Conclusion | None, datetime | None]:
    """An end with its time; one that has no time is not known to be an end."""
    if phase is not Phase.ENDED:
        return phase, conclusion, None
    return (phase, conclusion, at) if at is not None else (*NOT_KNOWN, None)


def at_newest_attempt(run: Run, jobs: Collection[Job]) -> Run:
    """The run of a system that numbers only the attempts of jobs."""
    attempt = max((job.attempt for job in jobs), default=1)
    if attempt == 1:
        return replace(run, attempt=1)
    starts = (job.started_at for job in jobs if job.attempt == attempt and job.started_at is not None)
    return replace(run, attempt=attempt, started_at=min(starts, default=run.started_at))


def with_jobs(
    run: Run,
    jobs: tuple[Job, ...],
    *,
    newest: Iterable[Job],
    others: Iterable[Phase] = (),
    harder: tuple[Conclusion, ...] = (Conclusion.LOST, Conclusion.TIMED_OUT),
) -> Run:
    """The run with the jobs of all its attempts. It has ended only if all of them have, and all `others` with them.

    Its end is the latest one known. One that broke off is given the longer time to settle that a `harder` end of one
    of its `newest` jobs takes. While something is running, a run may wait in one job and run in another: then it runs.
    """
    phases = {*(job.phase for job in jobs), *others}
    if run.phase is not Phase.ENDED or phases - {Phase.ENDED}:
        own = Phase.UNKNOWN if run.phase is Phase.ENDED else run.phase
        phase = next((phase for phase in (Phase.RUNNING, Phase.ENDING) if phase in phases), own)
        return replace(run, jobs=jobs, phase=phase, conclusion=None, ended_at=None)
    conclusion, ends = run.conclusion, (run.ended_at, *(job.ended_at for job in jobs))
    if conclusion in BROKEN_OFF:
        found = {job.conclusion for job in newest}
        conclusion = next((hard for hard in harder if hard in found), conclusion)
    return replace(run, jobs=jobs, conclusion=conclusion, ended_at=max(end for end in ends if end is not None))


def without_jobs(run: Run, reason: str) -> Run:
    """The run when its jobs could not be read: what the system calls ended is then not known to have ended."""
    if run.phase is not Phase.ENDED:
        return replace(run, jobs_missing=reason)
    return replace(run, jobs_missing=reason, phase=Phase.UNKNOWN, conclusion=None, ended_at=None)

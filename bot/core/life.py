"""Whether a run that may hold a lock is over, and how it ended. A server's verdict is not yet a process's death."""

from __future__ import annotations

from datetime import datetime

from bot.core.attribution import Candidate
from bot.core.evidence import Found, NotFound
from bot.core.phrase import Linked, Phrase, Quoted
from bot.core.policy import Policy
from bot.core.run import Conclusion, Job, Phase, Run

WELL = frozenset({Conclusion.SUCCESS, Conclusion.SKIPPED})


def is_over(candidate: Candidate) -> bool:
    """Whether the run and every job in every one of its attempts have been seen to end."""
    if not isinstance(candidate.seen, Found):
        return False
    run = candidate.seen.value
    return run.phase is Phase.ENDED and run.jobs is not None and all(job.phase is Phase.ENDED for job in run.jobs)


def ended_well(candidate: Candidate) -> bool:
    """Whether everything that could have held the lock ended in success."""
    if candidate.jobs:
        return all(job.conclusion in WELL for job in candidate.jobs)
    return candidate.run.conclusion in WELL


def settled_at(candidate: Candidate, policy: Policy) -> tuple[datetime, Conclusion] | None:
    """When the run's end may be believed, and the conclusion that makes it wait; None if its end is not known.

    Counts from the last end of any job of any attempt, with the settle time of the run's or the job's own
    conclusion, whichever is longer.
    """
    if not is_over(candidate):
        return None
    run = candidate.run
    ends = [(job.conclusion, job.ended_at) for job in run.jobs or () if job.conclusion is not Conclusion.SKIPPED]
    if not ends:
        return _believed(run, run.conclusion, run.ended_at, policy)
    believed = [_believed(run, conclusion, at, policy) for conclusion, at in ends]
    known = [end for end in believed if end is not None]
    return max(known) if known and len(known) == len(believed) else None


def _believed(
    run: Run, conclusion: Conclusion | None, at: datetime | None, policy: Policy
) -> tuple[datetime, Conclusion] | None:
    words = [word for word in (conclusion, run.conclusion) if word is not None]
    if at is None or not words:
        return None
    slowest = max(words, key=policy.settle_time)
    return at + policy.settle_time(slowest), slowest


def why_alive(candidate: Candidate) -> Phrase:
    """Why the run does not count as over, for a person."""
    if not isinstance(candidate.seen, Found):
        detail = candidate.seen.what if isinstance(candidate.seen, NotFound) else candidate.seen.detail
        return (run_name(candidate.run), " could not be seen: ", Quoted(detail))
    run = candidate.seen.value
    if run.jobs is None:
        return (run_name(run), " could not be seen whole: ", Quoted(run.jobs_missing or "its jobs are missing"))
    going = next((job for job in run.jobs if job.phase is not Phase.ENDED), None)
    attempt = f" (attempt {run.attempt})" if run.attempt > 1 else ""
    if going is None:
        return (run_name(run), f"{attempt} is {_still(run.phase)}: ", Quoted(run.reported or run.phase))
    return (run_name(run), f"{attempt} is {_still(going.phase)}: job ", Quoted(going.name), *_since(going))


def how_it_ended(candidate: Candidate) -> Phrase:
    """The end of a run that is over, for a person."""
    run = candidate.run
    at = max((job.ended_at for job in run.jobs or () if job.ended_at), default=run.ended_at)
    word = _worst(candidate) or run.conclusion
    return (run_name(run), f" ended: {word or 'how is not known'}", *((" at ", at) if at else ()))


def run_name(run: Run) -> Linked:
    """A run as people know it: its pipeline and number, with its page."""
    return Linked(f"{run.ref.pipeline.title} #{run.ref.id}", run.ref.url or None)


def _worst(candidate: Candidate) -> Conclusion | None:
    words = [job.conclusion for job in candidate.jobs if job.conclusion not in WELL and job.conclusion is not None]
    return words[0] if words else None


def _still(phase: Phase) -> str:
    return {
        Phase.RUNNING: "still running",
        Phase.WAITING: "waiting to run",
        Phase.ENDING: "being ended, and not yet over",
        Phase.ENDED: "ended",
    }.get(phase, "in a condition that is not known")


def _since(job: Job) -> Phrase:
    return (" since ", job.started_at) if job.started_at else ()

"""Whether a run that may hold a lock is over, and how it ended. A server's verdict is not yet a process's death."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.evidence import Found, NotFound, Unseen
from bot.core.gate.attribution import Candidate
from bot.core.gate.claim import Exited
from bot.core.instants import shifted
from bot.core.phrase import Linked, Phrase, Quoted, one_line, quoted
from bot.core.policy import Policy
from bot.core.run import ENDED, Conclusion, Job, Phase, Run

BADLY = frozenset({Conclusion.FAILED, Conclusion.CANCELLED, Conclusion.TIMED_OUT, Conclusion.LOST})


def is_over(candidate: Candidate) -> bool:
    """Whether the run and every job in every one of its attempts have been seen to end, or the very process has."""
    if candidate.exited is not None:
        return True
    if not isinstance(candidate.seen, Found):
        return False
    run = candidate.seen.value
    return run.phase is Phase.ENDED and run.jobs is not None and all(job.phase is Phase.ENDED for job in run.jobs)


def ended_badly(candidate: Candidate) -> bool:
    """Whether something that could have held the lock is known to have ended otherwise than in success.

    An end of which it is not known how it came does not count: it might have been a success.
    """
    if candidate.exited is not None:
        return candidate.exited.code != 0
    if candidate.jobs:
        return any(job.conclusion in BADLY for job in candidate.jobs)
    return candidate.run.conclusion in BADLY


def is_lost(candidate: Candidate) -> bool:
    """Whether only a server declared the end of something that could have held the lock. No time makes that final."""
    if candidate.exited is not None:
        return False
    parts = candidate.jobs or candidate.run.jobs or ()
    declared = candidate.run.conclusion is Conclusion.LOST or any(job.conclusion is Conclusion.LOST for job in parts)
    return candidate.is_declared or declared


@dataclass(frozen=True, slots=True)
class Believed:
    """When an end may be believed, after a wait of `settle` for its conclusion; None where nobody knows how it ended.

    `reported`: it is the process's own end, which needs no waiting.
    """

    at: datetime
    conclusion: Conclusion | None
    settle: timedelta = timedelta(0)
    reported: bool = False


def settled_at(candidate: Candidate, policy: Policy, *, taken: datetime) -> Believed | None:
    """When the run's end may be believed; None if its end is not known.

    Counts from the last end of any job of any attempt, with the settle time of the run's or the job's own
    conclusion in its CI system, whichever is longer; with the longest of all, where a conclusion is not known. The
    end is by the CI system's clock: its measured difference from the bot's is taken out, at its worst; where none was
    measured, the allowance for clocks is added. Never from before the lock was `taken`: its holder was alive then,
    whatever the CI's clock says.
    """
    if candidate.exited is not None:
        return Believed(candidate.exited.at, _conclusion(candidate.exited), reported=True)
    if not is_over(candidate):
        return None
    run = candidate.run
    parts: list[Job | Run] = [job for job in run.jobs or () if job.conclusion is not Conclusion.SKIPPED]
    believed = [_believed(candidate, part.conclusion, part.ended_at, policy, taken) for part in parts or [run]]
    known = [end for end in believed if end is not None]
    return max(known, key=lambda end: end.at) if len(known) == len(believed) else None


def seen_to_end_at(candidate: Candidate) -> datetime | None:
    """The earliest end of what may have held the lock in this run; None if the run is not over, or an end is not known
    or was only declared (`LOST`).

    The earliest: of several jobs that were running when the lock was taken, any may have taken it.
    """
    if candidate.exited is not None:
        return candidate.exited.at
    if not is_over(candidate) or is_lost(candidate):
        return None
    run = candidate.run
    parts = candidate.jobs or tuple(job for job in run.jobs or () if job.conclusion is not Conclusion.SKIPPED)
    ends = [(job.conclusion, job.ended_at) for job in parts] or [(run.conclusion, run.ended_at)]
    known = [at for how, at in ends if at is not None and how is not None]
    return min(known) if len(known) == len(ends) else None


def _conclusion(exited: Exited) -> Conclusion:
    return Conclusion.FAILED if exited.code else Conclusion.SUCCESS


def _believed(
    candidate: Candidate, conclusion: Conclusion | None, at: datetime | None, policy: Policy, taken: datetime
) -> Believed | None:
    if at is None:
        return None
    offset = candidate.offset
    ours = offset.on_ours(at) if offset is not None else shifted(at, policy.clock_skew)
    slowest = max((conclusion, candidate.run.conclusion), key=lambda end: policy.settle_time(end, candidate.system))
    settle = policy.settle_time(slowest, candidate.system)
    return Believed(shifted(max(ours, taken), settle), slowest, settle)


def why_alive(candidate: Candidate) -> Phrase:
    """Why the run does not count as over, for a person."""
    if not isinstance(candidate.seen, Found):
        return (run_name(candidate.run), " could not be read: ", said(candidate.seen))
    run = candidate.seen.value
    if run.jobs is None:
        return (run_name(run), " could only be read in part: ", quoted(run.jobs_missing, "its jobs are missing"))
    going = next((job for job in run.jobs if job.phase is not Phase.ENDED), None)
    attempt = f" (attempt {run.attempt})" if run.attempt > 1 else ""
    if going is None:
        reported: Phrase = (": ", Quoted(run.reported)) if one_line(run.reported) else ()
        return (run_name(run), f"{attempt} is {_still(run.phase)}", *reported)
    name = quoted(going.name, going.id)
    return (run_name(run), f"{attempt} is {_still(going.phase)}: job ", name, *_since(going))


def said(seen: NotFound | Unseen) -> Quoted:
    """What a system said that had no answer."""
    if isinstance(seen, NotFound):
        return Quoted(f"not found: {quoted(seen.what, 'no such thing').text}")
    return quoted(seen.detail, str(seen.trouble))


def unanswered(seen: NotFound | Unseen) -> Phrase:
    """That a system did not tell what was asked, and why, for a person."""
    return (seen.system, " could not be read: ", said(seen))


def how_it_ended(candidate: Candidate) -> Phrase:
    """The end of a run that is over, for a person."""
    run, exited = candidate.run, candidate.exited
    if exited is not None:
        return (run_name(run), f" reported that its Terraform ended with exit code {exited.code} at ", exited.at)
    return (run_name(run), " ", *end_words(candidate))


def end_words(candidate: Candidate) -> Phrase:
    """How and when CI says that a run ended: `timed out at …`."""
    run = candidate.run
    at = max((job.ended_at for job in run.jobs or () if job.ended_at), default=run.ended_at)
    return (ENDED[worst(candidate) or run.conclusion], *((" at ", at) if at else ()))


def run_name(run: Run) -> Linked:
    """A run as people know it: its pipeline and number, with its page."""
    return Linked(f"{run.ref.pipeline.title} #{run.ref.id}", run.ref.url or None)


def short_name(run: Run) -> Linked:
    """The same in a few words, for a line on a phone: `deploy.yml #123`."""
    return Linked(f"{run.ref.pipeline.short} #{run.ref.id}", run.ref.url or None)


def worst(candidate: Candidate) -> Conclusion | None:
    """How the first of its jobs that ended badly did; None if none did."""
    return next((job.conclusion for job in candidate.jobs if job.conclusion in BADLY), None)


def _still(phase: Phase) -> str:
    return {
        Phase.RUNNING: "still running",
        Phase.WAITING: "waiting to run",
        Phase.ENDING: "being cancelled, and not yet over",
    }.get(phase, "in a state that CI does not report")


def _since(job: Job) -> Phrase:
    return (" since ", job.started_at) if job.started_at else ()

"""Which of a job's Terraform commands held a lock: the one whose changes a recovery is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.instants import shifted
from bot.core.joblog.values import UNKNOWN_STATE, Command, JobChanges

_LATE = timedelta(seconds=5)
"""A log's lines may be stamped by another clock than `Created`, and are late."""

_SOON = timedelta(minutes=15)
"""Terraform prints its first line soon after it has its lock; a large state takes long to refresh its first object."""


@dataclass(frozen=True, slots=True)
class HeldBy:
    """The command, or in plain words why it is not known which one it was."""

    command: Command | None
    why: str = ""


def held(job: JobChanges, path: str, created: datetime | None) -> HeldBy:
    """The command that worked on the state of this lock `path` under a lock of this age, None if that is not known."""
    working = [one for one in job.commands if _may_be_on(one, path)]
    if created is not None and any(one.work is not None for one in working):
        working = [one for one in working if one.work is not None and _began_under(one, created)]
        # a command that began long after another had a lock of its own
        working = sorted(working, key=lambda one: one.work.first if one.work else created)[:1]
    changing = [one for one in working if one.changes.changes]
    if not working:
        return HeldBy(None, "no Terraform command in it worked on this state while the lock was held")
    if job.has_several and not all(one.state for one in working):
        return HeldBy(None, "it works on several states, and does not say which command was on this one")
    if len(changing) > 1:
        return HeldBy(None, "several commands in it changed something, and it has no times to tell them apart")
    chosen = changing[0] if changing else working[-1]
    if created is not None and any(one.at and one.at < shifted(created, -_LATE) for one in chosen.changes.changes):
        return HeldBy(None, "it shows changes from before this lock was taken, which a script may have printed")
    return HeldBy(chosen)


def held_in(jobs: Sequence[JobChanges], path: str, created: datetime | None) -> HeldBy:
    """The same over all jobs of a run: the one command that fits, or why there is none."""
    found = [held(job, path, created) for job in jobs if job.commands]
    fitting = [one for one in found if one.command is not None]
    changing = [one for one in fitting if one.command is not None and one.command.changes.changes]
    if len(changing) > 1:
        return HeldBy(None, "several of its jobs changed something at that time")
    if fitting:
        return (changing or fitting)[0]
    return found[0] if found else HeldBy(None, "no Terraform command was seen running in it")


def _may_be_on(command: Command, path: str) -> bool:
    state = command.state
    return state is None or (state != UNKNOWN_STATE and (path == state or path.endswith(f"/{state}")))


def _began_under(command: Command, created: datetime) -> bool:
    work = command.work
    return work is not None and shifted(created, -_LATE) <= work.first <= shifted(created, _SOON)

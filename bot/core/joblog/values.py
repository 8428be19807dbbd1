"""What one job's log says. Values only: nothing else of a log leaves `bot.core.joblog.reader`.

Every answer is built so that a log which was cut, masked or read in part says less than the whole one, never more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.instants import shifted
from bot.core.joblog.changes import Changes

UNKNOWN_STATE = ""
"""What stands for the name of a state where the log says that a command may have been on another one."""

_SOON = timedelta(minutes=15)

_AT_ONCE = timedelta(seconds=5)
"""So much later than its command's lock a log may say that the command began: a log's lines are late."""


_ONE_SECOND = timedelta(seconds=1)
"""So much too early a line's time may be: some logs, and Terraform's own lines about locks, leave out the fraction."""


class LogEnd(StrEnum):
    """What a log says of the end of what the job ran: the process reported it, or only the server declared it."""

    REPORTED = "reported"
    DECLARED = "declared"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Work:
    """One Terraform command under a lock, from the first to the last sign of it, by the log's own times.

    `is_begun`: the log was read from its first byte to here, so that it did not begin before `first`. `is_over`: it
    said that it was done, which Terraform says only after it has released its lock. `after` is when the job started it,
    `wanted` when it said that it waits for its lock, where the log says that. `is_ended`: it came to an end of
    its own (an error, a plan that was made, an exit code), and most often it then releases its lock. `is_interrupted`:
    it was asked to stop, and may have released its lock before its job was killed. `state` is what the log calls the
    state: the lock's `Path`, or the end of it; `UNKNOWN_STATE` where it may be another or any; None where the log does
    not speak of it.
    """

    first: datetime
    last: datetime
    state: str | None = None
    is_begun: bool = True
    is_over: bool = False
    is_ended: bool = False
    after: datetime | None = None
    is_last: bool = False
    is_interrupted: bool = False
    wanted: datetime | None = None

    def shows(self, created: datetime) -> bool:
        """Whether it was running under a lock of this age, and has not said that it is done.

        A command that was running before `created` had another lock: perhaps one that someone took from it. One that
        began long after had another one, too, or none: Terraform prints its first line soon after it has its lock. Nor
        is it the lock of a command that began only later: that one wanted its own after `after`. Nor of one that waited
        for its lock before: Terraform notes the time before it waits, however long that is.
        """
        was_told = self.after is None or self.is_told_at(created)
        has_tried = self.wanted is None or created <= shifted(self.wanted, _ONE_SECOND)
        is_first = created <= self.first <= shifted(created, _SOON)
        return self.is_begun and not self.is_over and was_told and has_tried and is_first

    def is_told_at(self, created: datetime) -> bool:
        """Whether the log says when the command began, and that its first line came soon after a lock of this age."""
        return self.after is not None and self.after <= shifted(created, _AT_ONCE) and created <= self.first


@dataclass(frozen=True, slots=True)
class LockRefusal:
    """Terraform printed this lock as the one that another holder has.

    `is_first`: the log was read from its first byte to here, and no Terraform was running in it before, after or at the
    same time. Else the lock may well be the job's own: a job whose first Terraform was killed is refused by what that
    one left, and one of two branches by the other.
    """

    lock_id: str
    at: datetime | None
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class JobLog:
    """What the log of one job in one attempt says.

    `machine` is the host name that the log's head prints; a runner's or agent's own name is none. `elsewhere`: the job
    ran commands that may have had another host name (`docker run`, `ssh`). `is_read`: read from its first byte to its
    last, of a job that is over and was not lost; `is_whole`: and nothing that the job wrote can be missing.
    `ran_terraform`: Terraform is named anywhere in it. `without_lock`: so is `-lock=false`, and then the log proves
    nothing about a lock. `has_worked`: Terraform was running in it, with or without times. `has_several`: it works in
    several directories or units, each with a state of its own, or at several things at once. `begun_at`: the time of
    its first line, by the clock that wrote the others as well; None where its beginning was not read.
    """

    machine: str | None = None
    is_whole: bool = False
    ran_terraform: bool = False
    without_lock: bool = False
    work: tuple[Work, ...] = ()
    refused: tuple[LockRefusal, ...] = ()
    end: LogEnd = LogEnd.UNKNOWN
    elsewhere: bool = False
    has_worked: bool = False
    has_several: bool = False
    is_read: bool = False
    begun_at: datetime | None = None

    @property
    def never_ran_terraform(self) -> bool:
        return self.is_whole and not self.ran_terraform and not self.has_worked

    @property
    def only_machine(self) -> str | None:
        """The host name that everything in this job had; None where that is not known."""
        return self.machine if (self.is_read or self.is_whole) and not self.elsewhere else None

    def was_refused(self, lock_id: str) -> bool:
        """Whether the job's Terraform wanted this lock while another held it. It then is not the holder.

        Never of a job that is running, or whose log was not read to its end: what it does besides is not known.
        """
        return (self.is_read or self.is_whole) and any(
            refusal.lock_id == lock_id and refusal.is_first for refusal in self.refused
        )

    def shows(self, created: datetime, *, lock_id: str = "", skew: timedelta = timedelta(0)) -> tuple[Work, ...]:
        """The work under a lock of this age, which makes the job its holder if it was on that lock's state. `skew` is
        how far the clocks of two machines may be apart.

        None of a log that proves nothing about locks; of one that works on several states only what names its own.
        What comes after a refusal of this very lock was on another state. What came before it may have left that lock
        behind, if it was killed; if it came to its own end, it had another.
        """
        refusals = [refusal.at for refusal in self.refused if refusal.lock_id == lock_id]
        if self.without_lock or None in refusals:
            return ()
        named = (span for span in self.work if span.state is not None or not self.has_several)
        shown = (span for span in named if span.shows(created) and self._is_enough(span, created, skew))
        return tuple(span for span in shown if all(at and span.first < at and not span.is_ended for at in refusals))

    def _is_enough(self, span: Work, created: datetime, skew: timedelta) -> bool:
        """A command that came to its own end gave its lock back, and the next one may have been taken by a slower
        clock: then only work for longer than clocks differ shows whose lock it was. A killed command gave nothing back.
        """
        was_killed = not span.is_ended and (self.is_read or self.is_whole)
        return was_killed or span.last >= shifted(created, skew)


@dataclass(frozen=True, slots=True)
class Command:
    """One Terraform command of a job: what it changed, its work if its lines have times, and what it calls the state.

    `work` and `state` are as `Work` has them.
    """

    changes: Changes
    work: Work | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class JobChanges:
    """What the Terraform commands of a job changed. `is_read`: its log was read from its first byte to its last.

    `is_over`: the job has ended, and was not lost; of another the log may lack its last lines. `has_several` is as
    `JobLog` has it.
    """

    commands: tuple[Command, ...] = ()
    is_read: bool = False
    is_over: bool = False
    has_several: bool = False

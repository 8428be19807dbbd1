"""One job's log, read as it streams by, into the few facts of `bot.core.joblog.values`. Pure; keeps no text.

It never raises for what a log says, and what was not read is never evidence. docs/job-logs.md says what is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.joblog import shapes
from bot.core.joblog.changes import ChangeReader
from bot.core.joblog.ends import EndReader
from bot.core.joblog.lines import LONGEST_LINE, Lines
from bot.core.joblog.script import Script
from bot.core.joblog.shapes import AT_WORK, Line, Sign
from bot.core.joblog.values import Command, JobLog, LockRefusal, Work

_HEAD_LINES = 400
_BLOCK_LINES = 60
_MOST = 500
"""Spans, refusals and kept locks of one log; a log with more of them proves nothing."""

_MOST_FOLLOWED = 200_000
"""Lines about objects, of all commands of a log."""

_STARTS = frozenset({Sign.WANTED, Sign.SETS_UP, Sign.BEGUN})
_ENDINGS = frozenset({Sign.PLANNED, Sign.SAVED, Sign.RELEASING})
_AFTER_PLAN = frozenset({Sign.PLANNED, Sign.CHANGE, Sign.SAVED})
_OF_OBJECTS = frozenset({Sign.CHANGE, Sign.REFRESH})


@dataclass(slots=True)
class _Command:
    """The Terraform command whose lines are being read. `span` once it was seen running at a known time, `wanted` when
    it said that it waits for its lock.
    """

    span: int | None = None
    wanted: datetime | None = None
    has_planned: bool = False
    is_saved: bool = False
    is_refused: bool = False
    is_interrupted: bool = False


class LogReader:
    """Takes a log in pieces (`feed`) or line by line (`line`), counts what was left out (`gap`), and says what it
    came to (`close`).

    `since` is when the job started: only with it, times of day without a date count. Only `with_changes` it follows
    what each command changes, for `commands`.
    """

    def __init__(self, *, since: datetime | None = None, with_changes: bool = False) -> None:
        self._lines = Lines()
        self._since = since
        self._count = 0
        self._has_gap = False
        self._machine: str | None = None
        self._begun_at: datetime | None = None
        self._ran = self._without_lock = self._elsewhere = self._has_worked = self._has_several = False
        self._work: list[Work] = []
        self._refused: list[LockRefusal] = []
        self._units: set[str] = set()
        self._is_parallel = False
        self._latest: int | None = None
        self._told_at: datetime | None = None
        self._told_then = 0
        self._command = _Command()
        self._changes: list[tuple[_Command, str | None, ChangeReader]] | None = [] if with_changes else None
        self._followed = 0
        self._block: Sign | None = None
        self._block_left = 0
        self._block_at: datetime | None = None
        self._script = Script()
        self._end = EndReader()

    def feed(self, chunk: bytes) -> None:
        for line in self._lines.feed(chunk):
            self.line(line)

    def gap(self) -> None:
        """Something was left out here. What follows may be in the middle of anything."""
        self._lines.gap()
        self._has_gap = True
        for _, _, changes in self._changes or ():
            changes.gap()
        self._command, self._block = _Command(is_refused=True), None
        self._has_several |= self._script.has_several
        self._is_parallel |= self._script.is_parallel
        self._script = Script()
        self._end.gap()

    @property
    def lacks_times(self) -> bool:
        """Whether Terraform was seen running in it, and nothing says when."""
        return self._has_worked and not self._work

    def close(self, *, is_whole: bool, is_read: bool = False) -> JobLog:
        """What the log says, as far as it was read: see `JobLog` for what the two mean."""
        for line in self._lines.close():
            self.line(line)
        is_parallel = self._is_parallel or self._script.is_parallel
        is_alone = not (is_parallel or self._has_worked)
        if self._work and self._script.told == self._told_then:
            self._work[-1] = replace(self._work[-1], is_last=True)
        is_too_much = len(self._work) >= _MOST or len(self._refused) >= _MOST
        return JobLog(
            machine=self._machine,
            is_read=(is_read or is_whole) and not self._has_gap and not self._lines.is_cut,
            is_whole=is_whole and not self._has_gap and not self._lines.is_cut,
            ran_terraform=self._ran or self._has_worked,
            without_lock=self._without_lock,
            work=() if is_too_much else tuple(self._work),
            refused=tuple(replace(one, is_first=one.is_first and is_alone) for one in self._refused),
            end=self._end.of(),
            elsewhere=self._elsewhere,
            has_worked=self._has_worked,
            begun_at=self._begun_at,
            has_several=self._has_several or self._script.has_several or is_parallel or len(self._units) > 1,
        )

    def commands(self) -> tuple[Command, ...]:
        """What each Terraform command changed, in the order of the log. After `close`."""
        return tuple(
            Command(changes.close(), None if command.span is None else self._work[command.span], state)
            for command, state, changes in self._changes or ()
        )

    def line(self, raw: str, at: datetime | None = None) -> None:
        """One line; `at` where the system gives its time with it. A carriage return overwrites what came before."""
        said = shapes.plain(raw[:LONGEST_LINE].removesuffix("\r"))
        stamp, said = shapes.stamped(said)
        if not stamp:
            own, said = shapes.clocked(said, after=self._since)
            at, self._since = at or own, own or self._since
        if self._begun_at is None and not self._has_gap:
            self._begun_at = at or shapes.instant(stamp) or shapes.opened_at(said)
        for part in said.split("\r") if "\r" in said and not shapes.is_of_script(said) else (said,):
            self._part(part, stamp, at)

    def _part(self, said: str, stamp: str, at: datetime | None) -> None:
        self._count += 1
        self._end.line(said)
        low = said.lower()
        self._ran = self._ran or shapes.names_terraform(low)
        self._without_lock = self._without_lock or ("lock" in low and shapes.WITHOUT_LOCK.search(said) is not None)
        self._elsewhere = self._elsewhere or shapes.runs_elsewhere(low)
        begins = self._script.begins_step(said)
        if self._machine is None and self._count <= _HEAD_LINES and not self._has_gap:
            self._head(said, at or shapes.instant(stamp))
        if begins:
            self._command, self._block = _Command(), None
            self._told_at = at or shapes.instant(stamp)
        if self._script.line(said):
            return
        self._may_end(said)

        line = shapes.terraform_line(shapes.unboxed(said))
        if line is not None:
            if line.sign not in {Sign.REFUSED, Sign.NOT_RELEASED}:
                self._units.add(shapes.unit_of(said))
            if "Initializing the backend" in said:
                self._script.initializes()
            at = line.at or at or shapes.instant(stamp)
            if line.sign in {Sign.BEGUN, Sign.SETS_UP}:
                self._told_at = at  # not where it says that it waits: its lock is as old as its first try
            if line.sign in AT_WORK and shapes.is_quoted(said):
                self._has_worked = True  # nothing may be concluded from its absence, and nothing from it
                return
            self._terraform(line, at)
            self._follow(line, said, at)
        else:
            self._beside(said)

    def _beside(self, said: str) -> None:
        if self._changes:
            self._changes[-1][2].beside(said)
        if self._block is not None:
            self._in_block(shapes.bare(said))

    def _follow(self, line: Line, said: str, at: datetime | None) -> None:
        if self._changes is None or line.sign not in _OF_OBJECTS or self._script.is_quiet:
            return
        self._followed += 1
        if self._followed > _MOST_FOLLOWED:
            if self._changes:
                self._changes[-1][2].gap()
            return
        if not self._changes or self._changes[-1][0] is not self._command:
            self._changes.append((self._command, self._script.state, ChangeReader()))
        self._changes[-1][2].line(said, at)

    def _head(self, said: str, at: datetime | None) -> None:
        """The runner's own words come before anything that the job writes."""
        if self._script.has_run:
            return
        found = shapes.MACHINE.match(said)
        if found is not None:
            self._machine = found["quoted"] or found["agent"] or found["runner"]
        if said.startswith(shapes.FIRST_OF_RUNNER):
            self._begun_at = at or self._begun_at

    def _terraform(self, line: Line, at: datetime | None) -> None:
        is_work = line.sign in AT_WORK
        if self._script.is_quiet:
            self._has_worked |= is_work  # any program may have printed it: nothing may be concluded from its absence
            return
        if line.sign in {Sign.REFUSED, Sign.NOT_RELEASED}:
            self._lock_error(line, at)
            return
        if line.sign in _STARTS or (line.sign is Sign.REFRESH and self._is_another()):
            self._ends()
            self._command = _Command(wanted=at if line.sign is Sign.WANTED else None)
        self._command.has_planned |= line.sign in _AFTER_PLAN
        self._command.is_saved |= line.sign is Sign.SAVED
        if is_work:
            self._has_worked = True
            if not self._command.is_refused and at is not None:
                self._works(at)
        elif line.sign is Sign.DONE and self._command.span is not None:
            self._work[self._command.span] = replace(self._work[self._command.span], is_over=True)
            self._command = _Command()
        elif line.sign in {Sign.PLANNED, Sign.RELEASING} and self._command.span is not None and at is not None:
            self._works(at)
        if line.sign in _ENDINGS:
            self._ends()

    def _is_another(self) -> bool:
        """Terraform refreshes before it plans: a refresh after that is another command's."""
        return self._command.has_planned or self._command.is_refused

    def _works(self, at: datetime) -> None:
        command = self._command
        if not self._script.may_show:
            return
        self._told_then = self._script.told
        if command.is_saved:
            command = self._command = _Command()
        if command.span is None:
            if len(self._work) >= _MOST:
                return
            command.span = self._latest = len(self._work)
            span = Work(
                at, at, self._script.state, is_begun=not self._has_gap, after=self._told_at, wanted=command.wanted,
                is_interrupted=command.is_interrupted,
            )  # fmt: skip
            self._work.append(span)
            return
        span = self._work[command.span]
        self._work[command.span] = replace(span, first=min(span.first, at), last=max(span.last, at), is_ended=False)

    def _ends(self) -> None:
        """The last command seems to have ended on its own; if it continues, it has not."""
        if self._latest is not None:
            self._work[self._latest] = replace(self._work[self._latest], is_ended=True)

    def _may_end(self, said: str) -> None:
        if shapes.is_own_end(said):
            self._ends()
        if shapes.is_interrupted(said):
            self._command.is_interrupted = True
            if self._latest is not None:
                self._work[self._latest] = replace(self._work[self._latest], is_interrupted=True)

    def _lock_error(self, line: Line, at: datetime | None) -> None:
        self._block, self._block_left, self._block_at = line.sign, _BLOCK_LINES, at
        if line.lock_id is not None:
            self._names(line.lock_id)
        if line.sign is Sign.REFUSED:
            self._command, self._latest = (
                _Command(is_refused=True),
                None,
            )  # what ends from here on is not the earlier one

    def _in_block(self, said: str) -> None:
        """Below an error of the lock Terraform prints whose it is: `Lock Info:`, `ID:`, `Path:` and the rest."""
        self._block_left -= 1
        if self._block_left < 0 or self._block is Sign.NOT_RELEASED:
            self._block = None
            return
        found = shapes.LOCK_ID.match(said)
        if found is not None:
            self._names(found["id"])

    def _names(self, lock_id: str) -> None:
        if self._block is Sign.REFUSED and len(self._refused) < _MOST:
            self._refused.append(LockRefusal(lock_id, self._block_at, is_first=not self._has_gap))
        self._block = None

"""A CI system as a `bot.ports.runs.RunSource`: the system gives requests and its reading of JSON, the frame the rest.

A new system is a row in `bot.core.systems`, a package beside this module whose `source.py` has a class like `CiSystem`,
a line in the makers of `bot.app.adapters`, and a world for the contract suite (tests/contracts/test_run_source.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from bot.ci.urls import RunUrl
from bot.core.evidence import Found, Observation, Offset, Trouble
from bot.core.joblog.reader import LogReader
from bot.core.joblog.values import JobChanges, JobLog, LogEnd
from bot.core.run import Cancelled, CancelResult, Conclusion, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.http.client import Absent, Failed, Limits, Portion, observe, slow
from bot.ports.clock import Clock

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

_MOST_REMEMBERED = 5000
_LATE_LINES = timedelta(minutes=2)
_WROTE_ALL = frozenset({Conclusion.SUCCESS, Conclusion.FAILED})
LOG = Portion(head=7 * 1024 * 1024, tail=1024 * 1024)
"""How much of a job's log is read. A lock is taken early, and how a job ended comes at the end."""

_WHOLE_LOG = Portion(head=128 * 1024 * 1024, tail=1024 * 1024)
_WHOLE_LOG_TAKES = 50.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How a job's log is read: what it goes through, and how much of it."""

    new: Callable[..., LogReader] = LogReader
    portion: Portion = LOG


_FOR_CHANGES = Reading(partial(LogReader, with_changes=True), _WHOLE_LOG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What any CI system is made with: its key in the configuration, and the pipelines of all systems there."""

    name: str
    clock: Clock
    pipelines: Collection[Pipeline]
    limits: Limits = field(default_factory=Limits)

    @property
    def mine(self) -> tuple[Pipeline, ...]:
        return tuple(pipeline for pipeline in self.pipelines if pipeline.ci == self.name)

    def linked(self, key: str, is_in: Callable[[Pipeline, str], bool], found: RunUrl | None, url: str) -> RunRef | None:
        """The run of a URL that names only the `key` of its pipeline; None where no pipeline with it is configured."""
        pipeline = None if found is None else next((known for known in self.mine if is_in(known, found.scope)), None)
        if found is None or pipeline is None:
            return None
        return RunRef(replace(pipeline, fields=((key, pipeline.get(key) or ""),)), found.run_id, url)


class Connection(Protocol):
    """What asks the system."""

    @property
    def offset(self) -> Offset | None:
        """How far the system's clock is from ours, by its newest answer."""
        ...

    async def aclose(self) -> None: ...


class CiSystem(Protocol):
    """One CI system, asked on behalf of the configured pipelines. Its methods raise Failed or Absent."""

    configured: Configured

    @property
    def client(self) -> Connection: ...

    system: str
    """Its proper name, `GitHub Actions`."""

    server: str
    """What sentences call it, `GitHub`."""

    escalate_after: timedelta

    async def log(self, run: Run, job: Job, reading: Reading) -> tuple[LogReader, bool]:
        """A reader that the log of one job went through, and whether that was all of it."""
        ...

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:
        """Every run that may have been active at or after `since`, in any order; others may be among them."""
        ...

    async def run(self, ref: RunRef) -> Run:
        """One run with the jobs of all its attempts."""
        ...

    def ref_from_url(self, url: str) -> RunRef | None: ...

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled: ...

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched: ...

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:
        """Whether the pipeline is as wanted, no matter who did it; False for a system that has no such switch."""
        ...


@dataclass(frozen=True)
class Source:
    """A CI system as a `bot.ports.runs.RunSource`: every look-up within the system's limits, every error as a value."""

    ci: CiSystem
    _logs: dict[tuple[RunRef, str, int], JobLog] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.ci.configured.name

    @property
    def system(self) -> str:
        return self.ci.system

    @property
    def escalate_after(self) -> timedelta:
        return self.ci.escalate_after

    async def runs(self, pipeline: Pipeline, *, since: datetime) -> Observation[tuple[Run, ...]]:
        async def listed() -> tuple[Run, ...]:
            going_on = going_on_since(since, await self.ci.runs(pipeline, since))
            return tuple(sorted(going_on, key=lambda run: (run.created_at, len(run.ref.id), run.ref.id), reverse=True))

        return await self._observe(listed, more=self._limits.listing)

    async def with_jobs(self, run: Run) -> Observation[Run]:
        return await self.run(run.ref)

    async def run(self, ref: RunRef) -> Observation[Run]:
        return await self._observe(lambda: self.ci.run(ref))

    async def log(self, run: Run, job: Job) -> Observation[JobLog]:
        """A log that can grow no more is read once."""
        key = (run.ref, job.id, job.attempt)
        if key in self._logs:
            return Found(self._logs[key], self.ci.configured.clock.now(), self.ci.client.offset)

        async def read() -> JobLog:
            reader, is_read = await self.ci.log(run, job, Reading())
            log = reader.close(is_whole=is_read and job.conclusion in _WROTE_ALL, is_read=is_read and _is_over(job))
            # what was broken off has arrived whole if the log has its own last words
            return replace(log, is_whole=log.is_whole or (log.is_read and log.end is LogEnd.REPORTED))

        seen = await self._observe(read)
        if isinstance(seen, Found) and self._grows_no_more(job):
            remember(self._logs, key, seen.value)
        return seen

    async def changes(self, run: Run, job: Job) -> Observation[JobChanges]:
        """Reads the log again, and nearly all of it: an apply may print for hours."""

        async def read() -> JobChanges:
            reader, is_read = await self.ci.log(run, job, _FOR_CHANGES)
            log = reader.close(is_whole=is_read, is_read=is_read)
            is_over, several = _is_over(job), log.has_several
            return JobChanges(reader.commands(), is_read=log.is_read, is_over=is_over, has_several=several)

        return await self._observe(read, more=_WHOLE_LOG_TAKES)

    def _grows_no_more(self, job: Job) -> bool:
        """Systems may still take in lines for a moment after they call a job ended."""
        lately = self.ci.configured.clock.now() - _LATE_LINES
        return _is_over(job) and job.ended_at is not None and job.ended_at < lately

    def ref_from_url(self, url: str) -> RunRef | None:
        return self.ci.ref_from_url(url)

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        try:
            async with asyncio.timeout(self._limits.overall):
                return await self.ci.cancel(ref, force=force)
        except (Absent, Failed, TimeoutError) as error:
            result, detail = self._not_done(error)
            return Cancelled(CancelResult[result], detail)

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        try:
            async with asyncio.timeout(self._limits.overall):
                return await self.ci.switch(pipeline, on=on)
        except (Absent, Failed, TimeoutError) as error:
            result, detail = self._not_done(error)
            switched = Switched(SwitchResult[result], detail)
            if isinstance(error, Absent):
                return switched
        # After an answer that was lost only a look can tell; and GitHub refuses to disable what is disabled already.
        match await self._observe(lambda: self.ci.is_switched(pipeline, on=on)):
            case Found(True):
                return Switched(SwitchResult.DONE)
            case _:
                return switched

    async def aclose(self) -> None:
        await self.ci.client.aclose()

    @property
    def _limits(self) -> Limits:
        return self.ci.configured.limits

    def _not_done(self, error: Absent | Failed | TimeoutError) -> tuple[str, str]:
        """The result's name, which is the same of a cancel and of a switch, and why."""
        match error:
            case Absent():
                return "NOT_FOUND", why(self.ci.server, error)
            case Failed():
                return ("DENIED" if error.trouble is Trouble.DENIED else "NOT_KNOWN"), why(self.ci.server, error)
            case _:
                return "NOT_KNOWN", slow(self.ci.server, self._limits.overall)

    async def _observe(self, look: Callable[[], Awaitable[T]], *, more: float = 0.0) -> Observation[T]:
        clock, limit = self.ci.configured.clock, self._limits.overall + more
        seen = await observe(look, system=self.system, clock=clock, limit=limit, event="ci.unseen")
        return replace(seen, offset=self.ci.client.offset) if isinstance(seen, Found) else seen


def _is_over(job: Job) -> bool:
    return job.phase is Phase.ENDED and job.conclusion not in {None, Conclusion.LOST}


def going_on_since(since: datetime, runs: Iterable[Run]) -> list[Run]:
    """Those that have not ended before."""
    return [run for run in runs if run.ended_at is None or run.ended_at >= since]


def why(server: str, error: Absent | Failed) -> str:
    """Why a part of an answer is missing, in words."""
    return f"{server} does not know {error.what}" if isinstance(error, Absent) else error.detail


def remember(known: dict[K, V], key: K, value: V) -> None:
    """Keeps what never changes, and forgets the oldest of very many."""
    known[key] = value
    if len(known) > _MOST_REMEMBERED:
        known.pop(next(iter(known)))

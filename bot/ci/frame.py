"""A CI system as a `bot.ports.runs.RunSource`: the system gives requests and its reading of JSON, the frame the rest.

A new system is a package beside this module whose `source.py` has a class like `CiSystem`, a line in the makers of
`bot.app.adapters`, and a world for the contract suite (tests/contracts/test_run_source.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from bot.core.evidence import Found, Observation, Offset, Trouble
from bot.core.joblog.reader import LogReader
from bot.core.joblog.values import JobLog, LogEnd
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
"""How much of a job's log is read. A lock is taken early, and how a job ended is said at the end."""


class CiSystem(Protocol):
    """One CI system, asked on behalf of the configured pipelines. Its methods raise Failed or Absent."""

    name: str
    """The system's key in the configuration."""

    system: str
    """Its proper name, `GitHub Actions`."""

    server: str
    """What sentences call it, `GitHub`."""

    escalate_after: timedelta
    clock: Clock
    limits: Limits

    @property
    def offset(self) -> Offset | None:
        """How far the system's clock is from ours, by its newest answer."""
        ...

    async def log(self, run: Run, job: Job) -> tuple[LogReader, bool]:
        """A reader that the log of one job went through, and whether that was all of it."""
        ...

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:
        """Every run that may have been going on at or after `since`, in any order; others may be among them."""
        ...

    async def run(self, ref: RunRef) -> Run:
        """One run with the jobs of all its attempts."""
        ...

    def ref_from_url(self, url: str) -> RunRef | None: ...

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled: ...

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched: ...

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:
        """Whether the pipeline is as wanted, whoever did it; False for a system that has no such switch."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Source:
    """A CI system as a `bot.ports.runs.RunSource`: every look-up within the system's limits, every error as a value."""

    ci: CiSystem
    _logs: dict[tuple[RunRef, str, int], JobLog] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.ci.name

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

        return await self._observe(listed, more=self.ci.limits.listing)

    async def with_jobs(self, run: Run) -> Observation[Run]:
        return await self.run(run.ref)

    async def run(self, ref: RunRef) -> Observation[Run]:
        return await self._observe(lambda: self.ci.run(ref))

    async def log(self, run: Run, job: Job) -> Observation[JobLog]:
        """A log that can grow no more is read once."""
        key = (run.ref, job.id, job.attempt)
        if key in self._logs:
            return Found(self._logs[key], self.ci.clock.now(), self.ci.offset)

        async def read() -> JobLog:
            reader, is_read = await self.ci.log(run, job)
            log = reader.close(is_whole=is_read and job.conclusion in _WROTE_ALL, is_read=is_read and _is_over(job))
            # what was broken off has arrived whole if the log has its own last words
            return replace(log, is_whole=log.is_whole or (log.is_read and log.end is LogEnd.REPORTED))

        seen = await self._observe(read)
        if isinstance(seen, Found) and self._grows_no_more(job):
            remember(self._logs, key, seen.value)
        return seen

    def _grows_no_more(self, job: Job) -> bool:
        """Systems may still take in lines for a moment after they call a job ended."""
        return _is_over(job) and job.ended_at is not None and job.ended_at < self.ci.clock.now() - _LATE_LINES

    def ref_from_url(self, url: str) -> RunRef | None:
        return self.ci.ref_from_url(url)

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        try:
            async with asyncio.timeout(self.ci.limits.overall):
                return await self.ci.cancel(ref, force=force)
        except Absent as absent:
            return Cancelled(CancelResult.NOT_FOUND, self._unknown(absent))
        except Failed as failed:
            denied = failed.trouble is Trouble.DENIED
            return Cancelled(CancelResult.DENIED if denied else CancelResult.NOT_KNOWN, failed.detail)
        except TimeoutError:
            return Cancelled(CancelResult.NOT_KNOWN, slow(self.ci.server, self.ci.limits.overall))

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        try:
            async with asyncio.timeout(self.ci.limits.overall):
                return await self.ci.switch(pipeline, on=on)
        except Absent as absent:
            return Switched(SwitchResult.NOT_FOUND, self._unknown(absent))
        except Failed as failed:
            denied = failed.trouble is Trouble.DENIED
            result = Switched(SwitchResult.DENIED if denied else SwitchResult.NOT_KNOWN, failed.detail)
        except TimeoutError:
            result = Switched(SwitchResult.NOT_KNOWN, slow(self.ci.server, self.ci.limits.overall))
        # After an answer that was lost only a look can tell; and GitHub refuses to disable what is disabled already.
        match await self._observe(lambda: self.ci.is_switched(pipeline, on=on)):
            case Found(True):
                return Switched(SwitchResult.DONE)
            case _:
                return result

    async def aclose(self) -> None:
        await self.ci.aclose()

    def _unknown(self, absent: Absent) -> str:
        return f"{self.ci.server} does not know {absent.what}"

    async def _observe(self, look: Callable[[], Awaitable[T]], *, more: float = 0.0) -> Observation[T]:
        limit = self.ci.limits.overall + more
        seen = await observe(look, system=self.system, clock=self.ci.clock, limit=limit, event="ci.unseen")
        return replace(seen, offset=self.ci.offset) if isinstance(seen, Found) else seen


def _is_over(job: Job) -> bool:
    return job.phase is Phase.ENDED and job.conclusion not in {None, Conclusion.LOST}


def going_on_since(since: datetime, runs: Iterable[Run]) -> list[Run]:
    """Those that have not ended before."""
    return [run for run in runs if run.ended_at is None or run.ended_at >= since]


def mine(name: str, pipelines: Iterable[Pipeline]) -> tuple[Pipeline, ...]:
    """The pipelines of the CI system of this name."""
    return tuple(pipeline for pipeline in pipelines if pipeline.ci == name)


def remember(known: dict[K, V], key: K, value: V) -> None:
    """Keeps what never changes, and forgets the oldest of very many."""
    known[key] = value
    if len(known) > _MOST_REMEMBERED:
        known.pop(next(iter(known)))

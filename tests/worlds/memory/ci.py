"""A CI system in memory, beside `tests.worlds.memory.memory`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.evidence import Found, NotFound, Observation, Offset
from bot.core.joblog.values import JobChanges, JobLog, Work
from bot.core.run import Cancelled, CancelResult, Conclusion, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.errors import Unreachable
from bot.ports.clock import Clock
from tests.worlds.memory.memory import Switchboard, Throttle, unseen_by


@dataclass
class MemoryCI:
    """A CI system's truth, and `bot.ports.runs.RunSource` on it. Runs are kept with their jobs.

    `logs` are what jobs' logs say, by job id; all others say that Terraform was at work all the time, unless it keeps
    none (`keeps_logs`). `offset` is its clock's.
    """

    clock: Clock
    pipelines: tuple[Pipeline, ...]
    name: str = "github"
    system: str = "GitHub Actions"
    escalate_after: timedelta = timedelta(minutes=5)
    switchboard: Switchboard = field(default_factory=Switchboard)
    known: dict[str, Run] = field(default_factory=dict)
    off: set[Pipeline] = field(default_factory=set)
    logs: dict[str, JobLog] = field(default_factory=dict)
    changed: dict[str, JobChanges] = field(default_factory=dict)
    offset: Offset | None = field(default_factory=lambda: Offset(timedelta(0), timedelta(0)))
    keeps_logs: bool = True

    def start(self, run_id: str, pipeline: Pipeline, *, host: str | None, actor: str = "") -> None:
        """A new run, or a new attempt of one that has ended."""
        now, before = self.clock.now(), self.known.get(run_id)
        attempt = 1 if before is None else before.attempt + 1
        job = Job(f"{run_id}-{attempt}", "terraform", attempt, Phase.RUNNING, None, now, None, host)
        self.known[run_id] = Run(
            ref=RunRef(pipeline, run_id, f"https://ci.example.com/{run_id}"), title="Deploy", actor=actor,
            trigger="push", phase=Phase.RUNNING, conclusion=None, attempt=attempt,
            created_at=now if before is None else before.created_at, started_at=now, ended_at=None,
            jobs=(*(before.jobs or () if before is not None else ()), job),
        )  # fmt: skip

    def end(self, run_id: str, conclusion: Conclusion) -> None:
        now, run = self.clock.now(), self.known[run_id]
        jobs = tuple(
            job if job.phase is Phase.ENDED
            else replace(job, phase=Phase.ENDED, conclusion=conclusion, ended_at=now)
            for job in run.jobs or ()
        )  # fmt: skip
        self.known[run_id] = replace(run, phase=Phase.ENDED, conclusion=conclusion, ended_at=now, jobs=jobs)

    async def runs(self, pipeline: Pipeline, *, since: datetime) -> Observation[tuple[Run, ...]]:
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("list runs")
        except (Throttle, Unreachable) as error:
            return unseen_by(error, at, self.system)
        if pipeline not in self.pipelines:
            return NotFound(self.system, pipeline.title, at)
        found = [run for run in self.known.values() if run.ref.pipeline == pipeline]
        going = [run for run in found if run.ended_at is None or run.ended_at >= since]
        newest_first = sorted(going, key=lambda run: run.created_at, reverse=True)
        return Found(tuple(replace(run, jobs=None) for run in newest_first), at, self.offset)

    async def with_jobs(self, run: Run) -> Observation[Run]:
        return await self.run(run.ref)

    async def run(self, ref: RunRef) -> Observation[Run]:
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("read run")
        except (Throttle, Unreachable) as error:
            return unseen_by(error, at, self.system)
        run = self.known.get(ref.id)
        return NotFound(self.system, f"run {ref.id}", at) if run is None else Found(run, at, self.offset)

    async def log(self, run: Run, job: Job) -> Observation[JobLog]:  # noqa: ARG002 - the port's signature
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("read log")
        except (Throttle, Unreachable) as error:
            return unseen_by(error, at, self.system)
        log = self.logs.get(job.id) or (self._usual_log(job) if self.keeps_logs else None)
        return NotFound(self.system, f"the log of job {job.id}", at) if log is None else Found(log, at, self.offset)

    async def changes(self, run: Run, job: Job) -> Observation[JobChanges]:  # noqa: ARG002 - the port's signature
        at = self.clock.now()
        try:
            await self.switchboard.pass_through("read changes")
        except (Throttle, Unreachable) as error:
            return unseen_by(error, at, self.system)
        found = self.changed.get(job.id)
        return NotFound(self.system, f"the log of job {job.id}", at) if found is None else Found(found, at, self.offset)

    def _usual_log(self, job: Job) -> JobLog | None:
        if job.started_at is None:
            return None
        work = Work(job.started_at, job.ended_at or self.clock.now(), after=job.started_at)
        is_over, began = job.phase is Phase.ENDED, job.started_at
        return JobLog(is_whole=is_over, ran_terraform=True, has_worked=True, work=(work,), begun_at=began)

    def ref_from_url(self, url: str) -> RunRef | None:
        return next((run.ref for run in self.known.values() if run.ref.url == url), None)

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        await self.switchboard.pass_through("force" if force else "cancel")
        run = self.known.get(ref.id)
        if run is None:
            return Cancelled(CancelResult.NOT_FOUND)
        if run.phase is Phase.ENDED:
            return Cancelled(CancelResult.ALREADY_ENDED)
        self.end(ref.id, Conclusion.CANCELLED)
        return Cancelled(CancelResult.ACCEPTED)

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        await self.switchboard.pass_through("switch")
        (self.off.discard if on else self.off.add)(pipeline)
        return Switched(SwitchResult.DONE)

    async def aclose(self) -> None:
        """Nothing is open."""

"""Definitions, builds, jobs and steps with real life cycles: what the Azure DevOps stand-in shows. No I/O.

Instants may be given, so that builds can have happened hours ago; otherwise it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

_SPACE = UUID("4a7d1ed4-14ad-4d9a-8a2c-6f1d2a7c0f11")
_STEPS = ("Initialize job", "Checkout acme/infra@main", "terraform apply", "Finalize Job")
LOST = (
    "We stopped hearing from agent {agent}. Verify the agent machine is running and has a healthy network connection."
)
TOO_LONG = "The job running on agent {agent} ran longer than the maximum time of 60 minutes."


@dataclass(slots=True)
class StepRecord:
    id: str
    name: str
    state: str = "pending"
    result: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    log: int | None = None
    text: str = ""


@dataclass(slots=True)
class JobRecord:
    id: str
    attempt: int
    name: str
    state: str = "pending"
    result: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    agent: str | None = None
    machine: str | None = None
    issue: str | None = None
    log: int | None = None
    steps: list[StepRecord] = field(default_factory=list)


@dataclass(slots=True)
class Definition:
    id: int
    project: str
    name: str
    queue_status: str = "enabled"
    revision: int = 1


@dataclass(slots=True)
class BuildRecord:
    """`stubborn` builds stay `cancelling` until they are finished by hand. `due` is when a cancel takes effect."""

    id: int
    definition: Definition
    number: str
    title: str
    branch: str
    reason: str
    requested_for: str
    queued_at: datetime
    stubborn: bool
    agent: str
    machine: str
    job_names: tuple[str, ...]
    status: str = "notStarted"
    result: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 1
    jobs: list[JobRecord] = field(default_factory=list)
    due: datetime | None = None
    author: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status == "completed" and all(job.state == "completed" for job in self.jobs)

    @property
    def current_jobs(self) -> list[JobRecord]:
        return [job for job in self.jobs if job.attempt == self.attempt]

    def timeline_id(self, attempt: int) -> str:
        return str(uuid5(_SPACE, f"timeline/{self.id}/{attempt}"))


class AzureRuns:
    """All projects of one collection. `cancel_delay` is how long a build goes on after a cancel was accepted."""

    def __init__(self, now: Callable[[], datetime], *, cancel_delay: timedelta) -> None:
        self.now = now
        self.cancel_delay = cancel_delay
        self.definitions: list[Definition] = []
        self._builds: dict[int, BuildRecord] = {}
        self._ids = count(464)
        self._logs = count(3)

    def add_definition(self, project: str, number: int) -> Definition:
        """The definition, made if it is not there yet."""
        definition = self.definition(project, number)
        if definition is None:
            definition = Definition(number, project, f"deploy-{number}")
            self.definitions.append(definition)
        return definition

    def definition(self, project: str, number: int) -> Definition | None:
        mine = (one for one in self.definitions if one.project.casefold() == project.casefold())
        return next((one for one in mine if one.id == number), None)

    def project(self, name: str) -> str | None:
        """The project's own spelling, by name or by id."""
        wanted = name.casefold()
        known = dict.fromkeys(one.project for one in self.definitions)
        return next((one for one in known if wanted in {one.casefold(), project_id(one)}), None)

    def start_run(  # noqa: PLR0913 - what a build looks like is the caller's to say, by keyword
        self,
        project: str,
        definition: int,
        *,
        at: datetime | None = None,
        queued: bool = False,
        title: str = "Deploy to staging",
        requested_for: str = "Quinn",
        reason: str = "individualCI",
        branch: str = "main",
        jobs: Sequence[str] = ("terraform",),
        agent: str = "Azure Pipelines 2",
        machine: str = "fv-az719-784",
        stubborn: bool = False,
        author: str = "",
    ) -> BuildRecord:
        """A new build of the definition (made if it is not there), in progress unless it is to stay queued."""
        at, build_id = at or self.now(), next(self._ids)
        build = BuildRecord(
            id=build_id,
            definition=self.add_definition(project, definition),
            number=f"{at:%Y%m%d}.{build_id}",
            title=title,
            branch=branch,
            reason=reason,
            requested_for=requested_for,
            queued_at=at,
            stubborn=stubborn,
            agent=agent,
            machine=machine,
            job_names=tuple(jobs),
            author=author,
        )
        self._builds[build.id] = build
        if not queued:
            self.begin(build.id, at=at)
        return build

    def begin(self, build_id: int, *, at: datetime | None = None) -> None:
        """Agents pick up the jobs of the newest attempt; until then a build has no timeline."""
        build, at = self._builds[build_id], at or self.now()
        build.status, build.started_at = "inProgress", build.started_at or at
        for name in build.job_names:
            job = JobRecord(str(uuid5(_SPACE, f"{build.id}/{build.attempt}/{name}")), build.attempt, name)
            job.state, job.started_at, job.agent, job.machine = "inProgress", at, build.agent, build.machine
            job.steps = [StepRecord(str(uuid5(_SPACE, f"{job.id}/{step}")), step) for step in _STEPS]
            for step in job.steps[:2]:
                step.state, step.result, step.started_at, step.finished_at = "completed", "succeeded", at, at
                step.log = next(self._logs)
            job.steps[2].state, job.steps[2].started_at = "inProgress", at
            build.jobs.append(job)

    def finish(
        self,
        build_id: int,
        result: str = "succeeded",
        *,
        at: datetime | None = None,
        lost: bool = False,
        timed_out: bool = False,
    ) -> None:
        """The newest attempt ends. With `lost` the agent never reported: its steps stay open, the job is abandoned."""
        build, at = self._builds[build_id], at or self.now()
        for job in build.current_jobs:
            if job.state != "completed":
                self._end_job(job, "abandoned" if lost else _job_result(result), at, lost=lost)
                said = LOST if lost else TOO_LONG if timed_out else None
                job.issue = None if said is None else said.format(agent=job.agent)
        self.complete_early(build_id, result, at=at)

    def complete_early(self, build_id: int, result: str, *, at: datetime | None = None) -> None:
        """The build counts as completed from now on, whatever its jobs still do."""
        build = self._builds[build_id]
        build.status, build.result, build.finished_at, build.due = "completed", result, at or self.now(), None

    def rerun(self, build_id: int, *, at: datetime | None = None, queued: bool = False, machine: str = "") -> int:
        """Runs the failed stage again under the build's id; returns the new attempt's ordinal."""
        build, at = self._builds[build_id], at or self.now()
        build.attempt += 1
        build.status, build.result, build.finished_at = "notStarted", None, None
        build.machine = machine or build.machine
        if not queued:
            self.begin(build_id, at=at)
        return build.attempt

    def cancel(self, build_id: int) -> bool:
        """Whether the cancel was taken. It takes effect after the delay, and in the queue at once."""
        build = self.run(build_id)
        if build is None or build.status == "completed":
            return False
        if build.status == "notStarted" and not build.jobs:
            self.complete_early(build_id, "canceled")
            return True
        build.status = "cancelling"
        if not build.stubborn:
            build.due = build.due or self.now() + self.cancel_delay
        return True

    def forget(self) -> None:
        """All builds are gone; ids are not used again."""
        self._builds.clear()

    def run(self, build_id: int) -> BuildRecord | None:
        self.settle()
        return self._builds.get(build_id)

    def runs(self, project: str) -> list[BuildRecord]:
        """All builds of a project, newest first."""
        self.settle()
        mine = [build for build in self._builds.values() if build.definition.project.casefold() == project.casefold()]
        return sorted(mine, key=lambda build: (build.queued_at, build.id), reverse=True)

    def machine_of_log(self, build: BuildRecord, log: int) -> JobRecord | None:
        """The job whose set-up step, or whose whole, the log is of."""
        return next((job for job in build.jobs if log in {job.log, job.steps[0].log if job.steps else None}), None)

    def write_log(self, build_id: int, text: str) -> None:
        """What the step that runs Terraform wrote, in the newest attempt's first job."""
        step = self._builds[build_id].jobs[-1].steps[2]
        step.log, step.text = step.log or next(self._logs), text

    def text_of_log(self, build: BuildRecord, log: int) -> str | None:
        steps = (step for job in build.jobs for step in job.steps)
        heads = {job.log for job in build.jobs} | {job.steps[0].log for job in build.jobs if job.steps}
        return next((step.text for step in steps if step.log == log and log not in heads), None)

    def settle(self) -> None:
        now = self.now()
        for build in self._builds.values():
            if build.due is not None and build.due <= now:
                self.finish(build.id, "canceled", at=build.due)

    def _end_job(self, job: JobRecord, result: str, at: datetime, *, lost: bool) -> None:
        job.state, job.result, job.finished_at = "completed", result, at
        job.log = next(self._logs)
        for step in job.steps if not lost else ():
            if step.state == "inProgress":
                step.state, step.result, step.finished_at = "completed", result, at
            elif step.state == "pending":
                ran = "succeeded" if result == "succeeded" or step is job.steps[-1] else "skipped"
                step.state, step.result, step.started_at, step.finished_at = "completed", ran, at, at


def project_id(project: str) -> str:
    """The id that the stand-in gives a project; pages are linked with it."""
    return str(uuid5(_SPACE, f"project/{project.casefold()}"))


def _job_result(result: str) -> str:
    return "failed" if result == "partiallySucceeded" else result

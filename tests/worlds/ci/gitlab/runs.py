"""Projects, pipelines, jobs and schedules with real life cycles: what the GitLab stand-in shows. No I/O.

Instants may be given, so that pipelines can have run hours ago; otherwise it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

_FIRST_PROJECT = 7120
_FIRST_ID = 1_402_300
ENDED = frozenset({"success", "failed", "canceled", "skipped"})


@dataclass(slots=True)
class JobRecord:
    """`downstream` is the pipeline that a trigger job started. `trace` is what the runner has written so far."""

    id: int
    name: str
    created_at: datetime
    status: str = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    failure_reason: str | None = None
    allow_failure: bool = False
    is_bridge: bool = False
    is_retried: bool = False
    downstream: PipelineRecord | None = None
    host: str = ""
    trace: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


@dataclass(slots=True)
class PipelineRecord:
    """`stubborn` jobs heed only a forced cancel. `due` is when a cancel that was accepted takes effect."""

    id: int
    iid: int
    project: Project
    ref: str
    source: str
    user: str
    title: str
    sha: str
    created_at: datetime
    updated_at: datetime
    stubborn: bool
    host: str
    status: str = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    jobs: list[JobRecord] = field(default_factory=list)
    due: datetime | None = None
    author: str = ""
    author_email: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def current(self) -> list[JobRecord]:
        return [job for job in self.jobs if not job.is_retried]


@dataclass(slots=True)
class ScheduleRecord:
    id: int
    description: str
    ref: str
    owner: str
    active: bool = True


@dataclass(slots=True)
class Project:
    id: int
    path: str
    schedules: list[ScheduleRecord] = field(default_factory=list)
    pipelines: list[PipelineRecord] = field(default_factory=list)
    is_visible: bool = True


class GitLabRuns:
    """All projects of one GitLab. `cancel_delay` is how long jobs go on after a cancel was accepted."""

    def __init__(self, now: Callable[[], datetime], *, cancel_delay: timedelta) -> None:
        self.now = now
        self.cancel_delay = cancel_delay
        self.projects: list[Project] = []
        self._ids = count(_FIRST_ID)

    def add_project(self, path: str) -> Project:
        """The project, made if it is not there yet."""
        project = self.project(path)
        if project is None:
            project = Project(_FIRST_PROJECT + len(self.projects), path)
            self.projects.append(project)
        return project

    def project(self, key: str) -> Project | None:
        """By path, in any case, or by id, as the API takes both."""
        mine = (p for p in self.projects if key.casefold() == p.path.casefold() or key == str(p.id))
        return next(mine, None)

    def add_schedule(self, path: str, ref: str, description: str, *, owner: str = "elliott") -> ScheduleRecord:
        project = self.add_project(path)
        schedule = ScheduleRecord(next(self._ids), description, ref, owner)
        project.schedules.append(schedule)
        return schedule

    def start_pipeline(  # noqa: PLR0913 - what a pipeline looks like is the caller's to say, by keyword
        self,
        path: str,
        ref: str = "main",
        *,
        at: datetime | None = None,
        queued: bool = False,
        title: str = "",
        user: str = "quinn",
        source: str = "push",
        jobs: Sequence[str] = ("terraform",),
        host: str = "",
        stubborn: bool = False,
        author: str = "",
        author_email: str = "",
    ) -> PipelineRecord:
        """A new pipeline of the project (made if it is not there), running unless it is to stay queued."""
        at, project = at or self.now(), self.add_project(path)
        number = next(self._ids)
        made = PipelineRecord(
            id=number,
            iid=len(project.pipelines) + 1,
            project=project,
            ref=ref,
            source=source,
            user=user,
            title=title,
            sha=f"{number:040x}",
            created_at=at,
            updated_at=at,
            stubborn=stubborn,
            host=host or f"runner-t3qyxf-project-{project.id}-concurrent-0",
            author=author,
            author_email=author_email,
        )
        made.jobs = [JobRecord(next(self._ids), name, at) for name in jobs]
        project.pipelines.append(made)
        if not queued:
            self.begin(made.id, at=at)
        return made

    def begin(self, pipeline_id: int, *, at: datetime | None = None) -> None:
        """Runners pick up the pending jobs."""
        pipeline, at = self._known(pipeline_id), at or self.now()
        pipeline.status, pipeline.updated_at, pipeline.started_at = "running", at, pipeline.started_at or at
        for job in pipeline.current:
            if job.status == "pending" and not job.is_bridge:
                job.status, job.started_at, job.host = "running", at, pipeline.host
                job.trace = _trace(pipeline.host, at)

    def start_child(
        self, pipeline_id: int, path: str = "", *, name: str = "trigger", depend: bool = True, is_again: bool = False
    ) -> PipelineRecord:
        """A trigger job that starts a pipeline, in the same project or another; with `depend` it waits for it.

        `is_again`: one of this name was there before, and is retried; the pipeline that it started goes on.
        """
        parent = self._known(pipeline_id)
        source = "pipeline" if path else "parent_pipeline"
        child = self.start_pipeline(path or parent.project.path, parent.ref, user=parent.user, source=source)
        if not path:
            child.sha = parent.sha
        bridge = JobRecord(next(self._ids), name, self.now(), is_bridge=True, downstream=child)
        bridge.status = "running" if depend else "success"
        bridge.started_at = self.now() if depend else None
        bridge.finished_at = None if depend else self.now()
        for earlier in (job for job in parent.jobs if job.is_bridge and is_again and job.name == name):
            earlier.is_retried = True
        parent.jobs.append(bridge)
        return child

    def finish(
        self, pipeline_id: int, status: str = "success", *, reason: str = "script_failure", at: datetime | None = None
    ) -> None:
        """Its open jobs and trigger jobs end; a failed job says why."""
        pipeline, at = self._known(pipeline_id), at or self.now()
        for job in pipeline.current:
            if not job.has_ended and job.status != "manual":
                job.status, job.finished_at = status, at
                job.failure_reason = reason if status == "failed" else None
        pipeline.status, pipeline.updated_at, pipeline.finished_at, pipeline.due = status, at, at, None

    def retry(self, pipeline_id: int, *, at: datetime | None = None, queued: bool = False) -> None:
        """Starts its failed and cancelled jobs again, as new jobs of the same name."""
        pipeline, at = self._known(pipeline_id), at or self.now()
        for job in [job for job in pipeline.current if job.status in {"failed", "canceled"} and not job.is_bridge]:
            job.is_retried = True
            pipeline.jobs.append(JobRecord(next(self._ids), job.name, at))
        pipeline.status, pipeline.updated_at = "pending", at
        if not queued:
            self.begin(pipeline_id, at=at)

    def cancel(self, pipeline_id: int) -> None:
        """Asks for its end: what runs is `canceling` until its runner is done, what waits ends at once."""
        pipeline = self._known(pipeline_id)
        if pipeline.has_ended:
            return
        for job in pipeline.current:
            if job.downstream is not None and job.downstream.source == "parent_pipeline":
                self.cancel(job.downstream.id)
            if job.status == "pending":
                job.status, job.finished_at = "canceled", self.now()
            elif job.status == "running":
                job.status = "canceling"
        pipeline.status, pipeline.updated_at = "canceling", self.now()
        if not pipeline.stubborn:
            pipeline.due = pipeline.due or self.now() + self.cancel_delay
        self.settle()

    def force(self, job_id: int) -> None:
        """Ends a job that is being cancelled, on the server; what its runner does is another matter."""
        for pipeline in self.all_pipelines():
            for job in pipeline.current:
                if job.id == job_id and job.status == "canceling":
                    job.status, job.finished_at = "canceled", self.now()
                    if all(each.has_ended for each in pipeline.current):
                        self.finish(pipeline.id, "canceled")

    def forget(self) -> None:
        """All pipelines are gone; ids are not used again."""
        for project in self.projects:
            project.pipelines.clear()

    def pipeline(self, pipeline_id: int) -> PipelineRecord | None:
        self.settle()
        return next((pipeline for pipeline in self.all_pipelines() if pipeline.id == pipeline_id), None)

    def all_pipelines(self) -> Iterable[PipelineRecord]:
        return (pipeline for project in self.projects for pipeline in project.pipelines)

    def _known(self, pipeline_id: int) -> PipelineRecord:
        return next(pipeline for pipeline in self.all_pipelines() if pipeline.id == pipeline_id)

    def settle(self) -> None:
        now = self.now()
        for pipeline in self.all_pipelines():
            if pipeline.due is not None and pipeline.due <= now:
                self.finish(pipeline.id, "canceled", at=pipeline.due)


def _trace(host: str, at: datetime) -> str:
    """What a runner writes before the job's own output; the colours and section marks are the runner's."""
    second = int(at.timestamp())
    return (
        "\x1b[0KRunning with gitlab-runner 17.5.0 (12030cf4)\x1b[0;m\n"
        "\x1b[0K  on docker-1 t3qyxf, system ID: s_89e5e9956577\x1b[0;m\n"
        f"section_start:{second}:prepare_executor\r\x1b[0K\x1b[0K\x1b[36;1mPreparing the docker executor\x1b[0;m\n"
        f"section_end:{second}:prepare_executor\r\x1b[0K"
        f"section_start:{second}:prepare_script\r\x1b[0K\x1b[0K\x1b[36;1mPreparing environment\x1b[0;m\n"
        f"Running on {host} via runner-host-1...\n"
        f"section_end:{second}:prepare_script\r\x1b[0K"
        "\x1b[32;1m$ terraform apply -auto-approve\x1b[0;m\n"
    )

"""Workflows, runs and jobs with real life cycles: what the GitHub stand-in (`bot.sandbox.github.server`) shows. No I/O.

Instants may be given, so that runs can have happened hours ago; otherwise it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

_FIRST_ID = 11_900_000_000
_STEPS = ("Set up job", "Run actions/checkout@v4", "Run terraform apply", "Complete job")
_JOB_ENDS = frozenset({"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"})


@dataclass(slots=True)
class StepRecord:
    name: str
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(slots=True)
class JobRecord:
    """`log` is what the runner wrote, with its times; None for a job whose runner has sent nothing."""

    id: int
    attempt: int
    name: str
    created_at: datetime
    runner_name: str | None
    labels: Sequence[str]
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    steps: list[StepRecord] = field(default_factory=list)
    log: str | None = None
    is_log_expired: bool = False


@dataclass(slots=True)
class Workflow:
    id: int
    repo: str
    file: str
    state: str = "active"


@dataclass(slots=True)
class RunRecord:
    """`stubborn` runs heed only a forced cancel. `due` is when a cancel that was accepted takes effect."""

    id: int
    workflow: Workflow
    number: int
    created_at: datetime
    started_at: datetime
    updated_at: datetime
    title: str = ""
    branch: str = "main"
    event: str = "push"
    actor: str = "octocat"
    stubborn: bool = False
    runner: str | None = "GitHub Actions 2"
    labels: Sequence[str] = ("ubuntu-latest",)
    job_names: Sequence[str] = ()
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    jobs: list[JobRecord] = field(default_factory=list)
    due: datetime | None = None
    author: str = ""
    author_email: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status == "completed"

    @property
    def current_jobs(self) -> Iterator[JobRecord]:
        return (job for job in self.jobs if job.attempt == self.attempt)


class GitHubRuns:
    """All repositories of one GitHub. `cancel_delay` is how long a run continues after a cancel was accepted."""

    def __init__(self, now: Callable[[], datetime], *, cancel_delay: timedelta) -> None:
        self.now = now
        self.cancel_delay = cancel_delay
        self.workflows: list[Workflow] = []
        self._runs: dict[int, RunRecord] = {}
        self._ids = count(_FIRST_ID)
        self._numbers = count(1)

    def add_workflow(self, repo: str, file: str) -> Workflow:
        """The workflow, made if it is not there yet."""
        workflow = self.workflow(repo, file)
        if workflow is None:
            workflow = Workflow(next(self._ids), repo, file)
            self.workflows.append(workflow)
        return workflow

    def workflow(self, repo: str, name: str) -> Workflow | None:
        """By file name or by id, as the API takes both. Owners and repositories know no case."""
        mine = (workflow for workflow in self.workflows if workflow.repo.casefold() == repo.casefold())
        return next((workflow for workflow in mine if name in {workflow.file, str(workflow.id)}), None)

    def start_run(
        self,
        repo: str,
        workflow: str,
        *,
        at: datetime | None = None,
        queued: bool = False,
        jobs: Sequence[str] = ("terraform",),
        **facts: Any,
    ) -> RunRecord:
        """A new run of the workflow (made if it is not there), in progress unless it is to stay queued.

        `facts` are fields of `RunRecord`.
        """
        at = at or self.now()
        run = RunRecord(next(self._ids), self.add_workflow(repo, workflow), next(self._numbers), at, at, at, **facts)
        run.title, run.job_names = run.title or f"{workflow} on {run.branch}", tuple(jobs)
        self._runs[run.id] = run
        self._queue_jobs(run, at)
        if not queued:
            self.begin(run.id, at=at)
        return run

    def begin(self, run_id: int, *, at: datetime | None = None) -> None:
        """Runners pick up the queued jobs of the newest attempt."""
        run, at = self._runs[run_id], at or self.now()
        run.status, run.updated_at = "in_progress", at
        for job in run.current_jobs:
            job.status, job.started_at, job.runner_name = "in_progress", at, run.runner
            job.steps = [StepRecord(name) for name in _STEPS]
            for step in job.steps[:2]:
                step.status, step.conclusion, step.started_at, step.completed_at = "completed", "success", at, at
            job.steps[2].status, job.steps[2].started_at = "in_progress", at

    def finish(
        self, run_id: int, conclusion: str = "success", *, at: datetime | None = None, lost: bool = False
    ) -> None:
        """The newest attempt ends. With `lost` the runner never reported: its steps stay open."""
        run, at = self._runs[run_id], at or self.now()
        for job in run.current_jobs:
            if job.status != "completed":
                _end_job(job, conclusion if conclusion in _JOB_ENDS else "failure", at, lost=lost)
        run.status, run.conclusion, run.updated_at, run.due = "completed", conclusion, at, None

    def cancel(self, run_id: int, *, force: bool) -> bool:
        """Whether the cancel was taken. It takes effect after the delay, at once with `force`."""
        run = self.run(run_id)
        if run is None or run.has_ended:
            return False
        if force:
            self.finish(run_id, "cancelled", lost=True)
        elif not run.stubborn:
            run.due = run.due or self.now() + self.cancel_delay
        return True

    def run(self, run_id: int) -> RunRecord | None:
        self.settle()
        return self._runs.get(run_id)

    def job(self, job_id: int) -> JobRecord | None:
        self.settle()
        return next((job for run in self._runs.values() for job in run.jobs if job.id == job_id), None)

    def runs(self, repo: str) -> list[RunRecord]:
        """All runs of a repository, newest first."""
        self.settle()
        mine = [run for run in self._runs.values() if run.workflow.repo.casefold() == repo.casefold()]
        return sorted(mine, key=lambda run: (run.created_at, run.id), reverse=True)

    def settle(self) -> None:
        now = self.now()
        for run in self._runs.values():
            if run.due is not None and run.due <= now:
                self.finish(run.id, "cancelled", at=run.due)

    def _queue_jobs(self, run: RunRecord, at: datetime) -> None:
        run.jobs += [JobRecord(next(self._ids), run.attempt, name, at, None, run.labels) for name in run.job_names]


def log_of(
    lines: Iterable[tuple[datetime, str]], *, begun: datetime, commands: Sequence[str], machine: str = ""
) -> str:
    """A job's log as a runner writes it: its own words, the script, and what that prints, with times.

    A hosted runner's, or that of one's own on a `machine`.
    """
    own, hosted = [f"Machine name: '{machine}'"], ["##[group]Operating System", "Ubuntu", "24.04.2", "##[endgroup]"]
    head = ["Current runner version: '2.325.0'", *(own if machine else hosted)]
    script = [f"\x1b[36;1m{command}\x1b[0m" for command in commands]
    echo = [f"##[group]Run {commands[0]}", *script, "shell: /usr/bin/bash -e {0}", "##[endgroup]"]
    every = [*((begun, line) for line in (*head, *echo)), *lines]
    return "".join(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z {line}\r\n" for at, line in every)


def _end_job(job: JobRecord, conclusion: str, at: datetime, *, lost: bool) -> None:
    job.status, job.conclusion, job.completed_at = "completed", conclusion, at
    job.started_at = job.started_at or at
    for step in job.steps if not lost else ():
        if step.status == "in_progress":
            step.status, step.conclusion, step.completed_at = "completed", conclusion, at
        elif step.status == "queued":
            ran = "success" if conclusion == "success" or step is job.steps[-1] else "skipped"
            step.status, step.conclusion, step.started_at, step.completed_at = "completed", ran, at, at

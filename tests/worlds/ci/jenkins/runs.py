"""Jobs, builds and queue items with real life cycles: what the Jenkins stand-in shows. No I/O.

Instants may be given, so that builds can have run hours ago; otherwise it is now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

_FIRST_ITEM = 4100


@dataclass(slots=True)
class Build:
    """`stubborn` builds heed `term` and `kill` alone, `undead` ones only `kill`.

    `written` has when a line of the console was written, by its place. `steps_go_on` tells what no API does: that the
    steps of a killed build are still at work. `due` is when a stop takes effect.
    """

    job: JenkinsJob
    number: int
    queue_id: int
    started_at: datetime
    agent: str
    actor: str
    trigger: str
    stubborn: bool = False
    undead: bool = False
    building: bool = True
    in_progress: bool = True
    result: str | None = None
    ended_at: datetime | None = None
    interruption: str = ""
    steps_go_on: bool = True
    console: list[str] = field(default_factory=list)
    written: dict[int, datetime] = field(default_factory=dict)
    due: datetime | None = None
    author: str = ""
    author_email: str = ""

    @property
    def has_ended(self) -> bool:
        return not self.building and not self.in_progress


@dataclass(slots=True)
class Item:
    """What waits in the queue; after that `build` is what it became, unless it was cancelled."""

    id: int
    job: JenkinsJob
    queued_at: datetime
    actor: str
    trigger: str
    is_cancelled: bool = False
    build: Build | None = None

    @property
    def is_waiting(self) -> bool:
        return not self.is_cancelled and self.build is None


@dataclass(slots=True)
class JenkinsJob:
    """`path` is the full name: `infra/deploy`. A `branch` job is switched with its multibranch project alone."""

    path: str
    is_freestyle: bool = False
    is_branch: bool = False
    is_disabled: bool = False
    builds: list[Build] = field(default_factory=list)
    deleted: int = 0

    @property
    def next_number(self) -> int:
        return len(self.builds) + self.deleted + 1


class JenkinsRuns:
    """All jobs of one Jenkins. `cancel_delay` is how long a build goes on after a stop was taken."""

    def __init__(self, now: Callable[[], datetime], *, cancel_delay: timedelta) -> None:
        self.now = now
        self.cancel_delay = cancel_delay
        self.jobs: list[JenkinsJob] = []
        self.items: list[Item] = []
        self._ids = count(_FIRST_ITEM)

    def add_job(self, path: str, *, freestyle: bool = False, branch: bool = False) -> JenkinsJob:
        """The job, made if it is not there yet."""
        job = self.job(path)
        if job is None:
            job = JenkinsJob(path, is_freestyle=freestyle, is_branch=branch)
            self.jobs.append(job)
        return job

    def job(self, path: str) -> JenkinsJob | None:
        return next((job for job in self.jobs if job.path == path), None)

    def is_folder(self, path: str) -> bool:
        return any(job.path.startswith(f"{path}/") for job in self.jobs)

    def queue(
        self,
        path: str,
        *,
        at: datetime | None = None,
        actor: str = "quinn",
        trigger: str = "hudson.model.Cause$UserIdCause",
    ) -> Item:
        """Something that waits for an executor."""
        item = Item(next(self._ids), self.add_job(path), at or self.now(), actor, trigger)
        self.items.append(item)
        return item

    def start_build(
        self,
        path: str,
        *,
        at: datetime | None = None,
        agent: str = "jenkins-worker-7f4b8d9c",
        actor: str = "quinn",
        trigger: str = "hudson.model.Cause$UserIdCause",
        stubborn: bool = False,
        undead: bool = False,
    ) -> Build:
        """A new build of the job (made if it is not there), which goes on."""
        at = at or self.now()
        item = self.queue(path, at=at, actor=actor, trigger=trigger)
        return self.begin(item.id, at=at, agent=agent, stubborn=stubborn, undead=undead)

    def begin(
        self,
        item_id: int,
        *,
        at: datetime | None = None,
        agent: str = "jenkins-worker-7f4b8d9c",
        stubborn: bool = False,
        undead: bool = False,
    ) -> Build:
        """The item leaves the queue and becomes a build."""
        item = next(item for item in self.items if item.id == item_id)
        job = item.job
        build = Build(job, job.next_number, item.id, at or self.now(), agent, item.actor, item.trigger)
        build.stubborn, build.undead = stubborn or undead, undead
        build.console = _console(job, agent)
        build.written[0] = build.started_at
        job.builds.append(build)
        item.build = build
        return build

    def finish(
        self, build: Build, result: str = "SUCCESS", *, at: datetime | None = None, interruption: str = ""
    ) -> None:
        """The build ends, by itself or, with the class of an `interruption`, by somebody or a time-out."""
        build.building = build.in_progress = build.steps_go_on = False
        build.result, build.ended_at, build.interruption, build.due = result, at or self.now(), interruption, None
        build.console.append(f"Finished: {result}")

    def write(self, build: Build, line: str, at: datetime) -> None:
        build.written[len(build.console)] = at
        build.console.append(line)

    def cancel_item(self, item_id: int) -> bool:
        item = next((item for item in self.items if item.id == item_id and item.is_waiting), None)
        if item is not None:
            item.is_cancelled = True
        return item is not None

    def stop(self, build: Build) -> None:
        if not build.has_ended and not build.stubborn:
            build.due = build.due or self.now() + self.cancel_delay

    def term(self, build: Build) -> None:
        if not build.has_ended:
            build.console.append("Terminating sh")
            if not build.undead:
                self.finish(build, "ABORTED")

    def kill(self, build: Build) -> None:
        """Marks the build aborted at once; its steps are not asked."""
        if not build.has_ended:
            build.console.append("Hard kill!")
            self.finish(build, "ABORTED")
            build.steps_go_on = True

    def forget(self) -> None:
        """All builds are deleted and the queue is empty; numbers are not used again."""
        self.items.clear()
        for job in self.jobs:
            job.deleted += len(job.builds)
            job.builds.clear()

    def settle(self) -> None:
        """Lets the stops that are due take effect."""
        now = self.now()
        for job in self.jobs:
            for build in job.builds:
                if build.due is not None and build.due <= now:
                    self.finish(
                        build,
                        "ABORTED",
                        at=build.due,
                        interruption="jenkins.model.CauseOfInterruption$UserInterruption",
                    )


def _console(job: JenkinsJob, agent: str) -> list[str]:
    if job.is_freestyle:
        return [
            "Started by user \x1b[8mha:////4Jm3==\x1b[0mquinn",
            f"Building remotely on {agent} (linux) in workspace /home/jenkins/workspace/{job.path}",
            "+ terraform apply -auto-approve",
        ]
    return [
        "Started by user \x1b[8mha:////4Jm3==\x1b[0mquinn",
        "\x1b[8mha:////4Lw==\x1b[0m[Pipeline] Start of Pipeline",
        "[Pipeline] node",
        f"Running on \x1b[8mha:////4Nt==\x1b[0m{agent} in /home/jenkins/workspace/{job.path}",
        "[Pipeline] sh",
        "+ terraform apply -auto-approve",
    ]

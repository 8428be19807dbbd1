"""Clusters and tasks with real life cycles: what the ECS stand-in shows. No I/O.

Instants may be given, so that tasks can have run hours ago; otherwise it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

_SPACE = UUID("0f1f0f6e-5a52-4a0b-8a0e-2f1c7f0b6d11")
_SIGKILL = 137
_EXITED = "Essential container in task exited"


@dataclass(slots=True)
class ContainerRecord:
    name: str
    last_status: str = "PENDING"
    exit_code: int | None = None
    reason: str | None = None


@dataclass(slots=True)
class TaskRecord:
    """`stubborn` tasks do not heed SIGTERM. `due` is when a stop that was accepted takes effect."""

    id: str
    cluster: str
    family: str
    created_at: datetime
    started_by: str
    group: str
    address: str
    dns_name: str | None
    launch_type: str
    tags: Mapping[str, str]
    stubborn: bool
    containers: list[ContainerRecord]
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    due: datetime | None = None
    log: list[tuple[datetime, str]] = field(default_factory=list)
    seen_from: datetime | None = field(default=None)

    @property
    def has_ended(self) -> bool:
        return self.last_status == "STOPPED"


class EcsRuns:
    """All clusters of one region.

    `stop_delay` is how long a container takes to heed SIGTERM, `stop_timeout` when SIGKILL comes. A task is forgotten
    `retention` after its end. Lists show a new task only after `list_lag`.
    """

    def __init__(self, now: Callable[[], datetime], *, stop_delay: timedelta, retention: timedelta) -> None:
        self.now = now
        self.stop_delay = stop_delay
        self.stop_timeout = timedelta(seconds=30)
        self.retention = retention
        self.list_lag = timedelta(0)
        self.clusters: set[str] = set()
        self.families: set[str] = set()
        self._tasks: dict[str, TaskRecord] = {}
        self._numbers = count(1)

    def add_family(self, cluster: str, family: str) -> None:
        """The cluster and a task definition of the family, if they are not there yet."""
        self.clusters.add(cluster)
        self.families.add(family)

    def start_run(  # noqa: PLR0913 - what a task looks like is the caller's to say, by keyword
        self,
        cluster: str,
        family: str,
        *,
        at: datetime | None = None,
        queued: bool = False,
        started_by: str = "events-rule/deploy-nightly",
        group: str = "",
        address: str = "10.0.1.23",
        with_dns: bool = True,
        launch_type: str = "FARGATE",
        containers: Sequence[str] = ("terraform",),
        tags: Mapping[str, str] | None = None,
        stubborn: bool = False,
    ) -> TaskRecord:
        """A new task of the family (made if it is not there), running unless it is to stay queued."""
        self.add_family(cluster, family)
        at, name = at or self.now(), f"ip-{address.replace('.', '-')}.eu-west-1.compute.internal"
        task = TaskRecord(
            id=uuid5(_SPACE, str(next(self._numbers))).hex,
            cluster=cluster,
            family=family,
            created_at=at,
            started_by=started_by,
            group=group or f"family:{family}",
            address=address,
            dns_name=name if with_dns else None,
            launch_type=launch_type,
            tags=tags or {},
            stubborn=stubborn,
            containers=[ContainerRecord(container) for container in containers],
            seen_from=at + self.list_lag,
        )
        self._tasks[task.id] = task
        if not queued:
            self.begin(task.id, at=at)
        return task

    def begin(self, task_id: str, *, at: datetime | None = None) -> None:
        """The containers run. None of them has an exit code until it has exited."""
        task = self._tasks[task_id]
        task.last_status, task.started_at = "RUNNING", at or self.now()
        for container in task.containers:
            container.last_status = "RUNNING"

    def finish(self, task_id: str, exit_code: int | None = 0, *, at: datetime | None = None) -> None:
        """The essential container exits and the task is over. Without a code ECS never learns how."""
        self._end(self._tasks[task_id], at or self.now(), exit_code, "EssentialContainerExited", _EXITED)

    def interrupt(self, task_id: str, *, at: datetime | None = None) -> None:
        """The Spot capacity is taken away, and nothing reports an exit code."""
        reason = "Your Spot Task was interrupted."
        self._end(self._tasks[task_id], at or self.now(), None, "SpotInterruption", reason)

    def fail_to_start(self, task_id: str, *, at: datetime | None = None) -> None:
        """The image cannot be pulled: no container ever ran."""
        reason = "CannotPullContainerError: pull image manifest has been retried 5 time(s)"
        self._end(self._tasks[task_id], at or self.now(), None, "TaskFailedToStart", reason)

    def orphan(self, task_id: str, *, at: datetime | None = None) -> None:
        """Its machine is deregistered by force: ECS calls the task stopped, and the containers run on."""
        task = self._tasks[task_id]
        task.last_status, task.desired_status, task.stopped_at = "STOPPED", "STOPPED", at or self.now()
        task.stop_code, task.stopped_reason = "ServiceSchedulerInitiated", "Container instance deregistered by force"

    def stop(self, task_id: str, reason: str = "") -> bool:
        """Whether there is such a task. What runs is to stop from now on; what has stopped stays as it is."""
        task = self.run(task_id)
        if task is None:
            return False
        if task.has_ended or task.due is not None:
            return True
        now = self.now()
        task.desired_status, task.stopping_at = "STOPPED", now
        task.stop_code, task.stopped_reason = "UserInitiated", reason or "Task stopped by user"
        task.due = now + (self.stop_timeout if task.stubborn else self.stop_delay)
        if task.last_status == "RUNNING":
            task.last_status = "STOPPING"
        return True

    def forget(self) -> None:
        """All tasks are gone, as after the retention; ids are not used again."""
        self._tasks.clear()

    def all_tasks(self) -> list[TaskRecord]:
        return list(self._tasks.values())

    def run(self, task_id: str) -> TaskRecord | None:
        """A task, unless it never was or is forgotten."""
        self.settle()
        return self._tasks.get(task_id)

    def runs(self, cluster: str, family: str | None, desired_status: str) -> list[TaskRecord]:
        """What a list shows now: by the status that a task is to have, not by the one that it has."""
        self.settle()
        now = self.now()
        return [
            task
            for task in self._tasks.values()
            if task.cluster == cluster
            and family in {None, task.family}
            and task.desired_status == desired_status
            and (task.seen_from is None or task.seen_from <= now)
        ]

    def settle(self) -> None:
        now = self.now()
        for task in list(self._tasks.values()):
            if task.due is not None and task.due <= now and not task.has_ended:
                code = None if task.started_at is None else _SIGKILL if task.stubborn else 1
                self._end(task, task.due, code, "UserInitiated", task.stopped_reason or "")
            if task.stopped_at is not None and task.stopped_at + self.retention < now:
                del self._tasks[task.id]

    def _end(self, task: TaskRecord, at: datetime, exit_code: int | None, stop_code: str, reason: str) -> None:
        task.last_status, task.desired_status, task.due = "STOPPED", "STOPPED", None
        task.stopping_at, task.stopped_at = task.stopping_at or at, at
        task.stop_code, task.stopped_reason = stop_code, reason
        for container in task.containers:
            container.last_status, container.exit_code = "STOPPED", exit_code
            container.reason = None if exit_code is not None else reason

"""The ECS API as far as the bot asks it: lists of tasks that are complete or fail, tasks by name, and their end.

Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, TypeVar

import stamina

from bot.aws.errors import AwsError, may_be_asked_again, translated
from bot.core.evidence import Offset, Trouble
from bot.http.client import Absent, Failed, ServerClock, garbled, together
from bot.http.pages import MOST_PAGES, every_page
from bot.http.values import Json, inner, objects, text
from bot.ports.clock import Clock

T = TypeVar("T")

_AT_ONCE = 10
_TRIES = 3
_DESCRIBED = 100  # "up to 100 task IDs or full ARN entries"
DESIRED = ("RUNNING", "STOPPED")
"""What a list may be narrowed by: tasks that are to run (the default), and those that are to stop or have."""


@dataclass(frozen=True, slots=True)
class LogStream:
    """Where a container's lines are in CloudWatch Logs; `region` is None for the cluster's own."""

    group: str
    name: str
    region: str | None


class InThread(Protocol):
    """Runs blocking work in a thread, without waiting for it once the caller is cancelled."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]: ...


class EcsApi:
    """Sends calls and reads answers. Every method raises Failed or Absent, and nothing else.

    `client` gives botocore's client of ECS and `logs` that of CloudWatch Logs in a region (None: the same one). Both
    may block; they are called in `run`'s threads only.
    """

    def __init__(
        self, client: Callable[[], Any], logs: Callable[[str | None], Any], run: InThread, clock: Clock
    ) -> None:
        self._client = client
        self._logs = logs
        self._run = run
        self._clock = clock
        self._server = ServerClock(clock)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def offset(self) -> Offset | None:
        """How far AWS' clock is from ours, by the `Date` of its newest answer that has one."""
        return self._server.offset

    async def task_arns(self, cluster: str, family: str) -> set[str]:
        """Every task of the family that ECS lists, whether it is to run or to stop."""
        found = await together(*(self._listed(cluster, family, desired) for desired in DESIRED))
        return {arn for arns in found for arn in arns}

    async def tasks(self, cluster: str, names: Iterable[str]) -> list[Json]:
        """Those of the tasks that ECS still knows, with their tags. A list that lacks others is never returned."""
        names = sorted(names)
        if len(names) > MOST_PAGES * _DESCRIBED:
            raise Failed(Trouble.TOO_MUCH, f"ECS lists {len(names)} tasks in cluster {cluster}, more than can be read")
        parts = [names[first : first + _DESCRIBED] for first in range(0, len(names), _DESCRIBED)]
        return [task for found in await together(*(self._described(cluster, part) for part in parts)) for task in found]

    async def task(self, cluster: str, name: str, about: str) -> Json:
        """One task, with its tags. Raises Absent if ECS does not know it, or knows it no more."""
        tasks, failures = await self._describe(cluster, [name])
        if any(failure.get("reason") != "MISSING" for failure in failures):
            raise garbled(f"ECS did not say what became of {about}")
        if not tasks:
            raise Absent(f"{about}: it never existed, or it ended more than an hour ago and ECS has forgotten it")
        if [task_id(task.get("taskArn")) for task in tasks] != [name]:
            raise garbled(f"ECS returned a different task than {about}")
        return tasks[0]

    async def containers(self, definition: str) -> list[Json]:
        about = f"task definition {definition.rpartition('/')[2]}"
        answer = await self._call("DescribeTaskDefinition", about, taskDefinition=definition)
        return objects(inner(answer, "taskDefinition").get("containerDefinitions"))

    async def events(self, stream: LogStream, about: str, token: str | None, *, from_head: bool) -> Json:
        """One page of a log stream's events, from its head or from its tail."""
        arguments: dict[str, Any] = {
            "logGroupName": stream.group,
            "logStreamName": stream.name,
            "startFromHead": from_head,
            **({"nextToken": token} if token else {}),
        }
        return await self._call(
            "GetLogEvents", about, client=lambda: self._logs(stream.region), service="logs", **arguments
        )

    async def stop(self, cluster: str, task: str, reason: str, about: str) -> None:
        """Asks for the end of a task. To ask again for it changes nothing, so that a lost answer is asked for again."""
        await self._call("StopTask", about, cluster=cluster, task=task, reason=reason)

    async def knows_family(self, family: str) -> bool:
        """Whether there is or ever was a task definition of this family."""
        about = f"family {family}"
        families = await self._every_page(
            "ListTaskDefinitionFamilies",
            about,
            "families",
            lambda _: f"ECS knows too many families that begin with {family}",
            familyPrefix=family,
            status="ALL",
        )
        return family in families

    async def aclose(self) -> None:
        """Does nothing: the clients belong to their maker."""

    async def _listed(self, cluster: str, family: str, desired: str) -> set[str]:
        about = f"the tasks of {family} in cluster {cluster}"
        arns = await self._every_page(
            "ListTasks",
            about,
            "taskArns",
            lambda count: f"ECS lists more than {count} of {about}",
            cluster=cluster,
            family=family,
            desiredStatus=desired,
        )
        if not all(":task/" in text(arn) for arn in arns):
            raise _garbled(about)
        return set(arns)

    async def _every_page(
        self, operation: str, about: str, key: str, too_much: Callable[[int], str], **arguments: Any
    ) -> list[str]:
        async def page(token: str) -> tuple[list[str], str | None]:
            more: dict[str, Any] = {"nextToken": token} if token else {}
            answer = await self._call(operation, about, **arguments, **more)
            if not isinstance(answer.get(key), list):
                raise _garbled(about)
            return answer[key], text(answer.get("nextToken")) or None

        return await every_page(page, "", too_much=too_much)

    async def _described(self, cluster: str, names: list[str]) -> list[Json]:
        tasks, failures = await self._describe(cluster, names)
        missing = {task_id(failure.get("arn")) for failure in failures if failure.get("reason") == "MISSING"}
        known = missing | {task_id(task.get("taskArn")) for task in tasks}
        if any(failure.get("reason") != "MISSING" for failure in failures) or not {*map(task_id, names)} <= known:
            raise garbled(f"ECS did not say what became of every one of the tasks in cluster {cluster}")
        return tasks

    async def _describe(self, cluster: str, names: list[str]) -> tuple[list[Json], list[Json]]:
        about = f"tasks in cluster {cluster}"
        answer = await self._call("DescribeTasks", about, cluster=cluster, tasks=names, include=["TAGS"])
        tasks, failures = answer.get("tasks"), answer.get("failures", [])
        if not _are_objects(tasks) or not _are_objects(failures):
            raise _garbled(about)
        return tasks, failures

    async def _call(
        self,
        operation: str,
        about: str,
        *,
        client: Callable[[], Any] | None = None,
        service: str = "ecs",
        **arguments: Any,
    ) -> Json:
        def work() -> Json:
            call = getattr((client or self._client)(), _METHODS[operation])
            sent = self._clock.now()
            answer = call(**arguments)
            if not isinstance(answer, dict):
                raise _garbled(about)
            headers = inner(inner(answer, "ResponseMetadata"), "HTTPHeaders")
            self._server.hear(headers, sent)
            return answer

        try:
            async for attempt in stamina.retry_context(
                on=may_be_asked_again, attempts=_TRIES, timeout=None, wait_initial=0, wait_jitter=0.5
            ):
                with attempt, translated(f"{service}:{operation}", about):
                    async with self._slots:
                        answer = await self._run(work)
        except AwsError as error:
            if error.missing in {"cluster", "task"} or (service == "logs" and error.missing):
                raise Absent(error.detail) from error
            raise Failed(error.trouble or Trouble.GARBLED, error.detail) from error
        return answer


_METHODS = {
    "DescribeTaskDefinition": "describe_task_definition",
    "GetLogEvents": "get_log_events",
    "DescribeTasks": "describe_tasks",
    "ListTaskDefinitionFamilies": "list_task_definition_families",
    "ListTasks": "list_tasks",
    "StopTask": "stop_task",
}


def task_id(arn: object) -> str:
    """The last part of a task's ARN; an id stays as it is."""
    return text(arn).rpartition("/")[2]


def _are_objects(value: object) -> TypeGuard[list[Json]]:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _garbled(about: str) -> Failed:
    return garbled(f"ECS's answer on {about} has a different form than documented")

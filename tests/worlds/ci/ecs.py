"""A stand-in for Amazon ECS' JSON 1.1 API on loopback: documented shapes, limits and refusals, real life cycles.

The world behind it (`EcsStandIn.world`) is driven by plain calls; `loop` starts tasks by itself.
Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ and botocore's model of the service.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.worlds.ci.ecs_world import EcsWorld, TaskRecord

_TARGET = "AmazonEC2ContainerServiceV20141113."
_JSON = "application/x-amz-json-1.1"
_ACCOUNT = "123456789012"
_PAGE = 100

Contend = Callable[[TaskRecord], Awaitable[None]]
Body = dict[str, Any]


class _Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(slots=True)
class _Answer:
    """What to say instead, to the next `times` calls that `matching` is found in."""

    matching: str
    status: int
    body: str | None
    delay: float
    times: int


@dataclass(slots=True)
class EcsStandIn:
    """`async with EcsStandIn() as ecs:` serves at `ecs.base_url`, botocore's `endpoint_url`, until the block ends.

    `access_key` may do anything; `reading_key` may only list and describe. `offset` shifts the stand-in's clock
    against the real one. `asked` has a line for each call: the action and its JSON.
    """

    region: str = "eu-west-1"
    access_key: str = "AKIASANDBOX"
    reading_key: str = "AKIASANDBOXREADS"
    offset: timedelta = timedelta(0)
    stop_delay: timedelta = timedelta(seconds=1)
    retention: timedelta = timedelta(hours=1)
    page_size: int = _PAGE
    base_url: str = ""
    asked: list[str] = field(default_factory=list)
    world: EcsWorld = field(init=False)
    _answers: list[_Answer] = field(default_factory=list)
    _loops: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)
    _contending: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.world = EcsWorld(self.now, stop_delay=self.stop_delay, retention=self.retention)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def url(self, task: TaskRecord) -> str:
        """The task's page in AWS' console."""
        host = f"https://{self.region}.console.aws.amazon.com"
        return f"{host}/ecs/v2/clusters/{task.cluster}/tasks/{task.id}/configuration?region={self.region}"

    def answer_next(
        self, matching: str, *, status: int = 200, body: str | None = None, delay: float = 0, times: int = 1
    ) -> None:
        """The next calls in whose `ACTION JSON` the pattern is found get this answer, `delay` seconds late.

        Without a body a 200 is passed on to the real answer after the delay.
        """
        self._answers.append(_Answer(matching, status, body, delay, times))

    def heal(self) -> None:
        """Answers as usual again, whatever `answer_next` said."""
        self._answers.clear()

    def loop(
        self,
        cluster: str,
        family: str,
        *,
        every: float,
        lasts: float = 30.0,
        contend: Contend | None = None,
        started_by: str = "events-rule/dependency-bot",
    ) -> None:
        """Starts a task of the family every so many seconds until `stop_loop`, as a rule outside of ECS does.

        A task lasts as long as `contend(task)` does, or `lasts` seconds, and then exits with 1. A stopped task's
        `contend` is cancelled.
        """

        async def keep_starting() -> None:
            while True:
                task = self.world.start_run(cluster, family, started_by=started_by)
                self._contending[task.id] = asyncio.create_task(self._live(task, lasts, contend))
                await asyncio.sleep(every)

        self.stop_loop(cluster, family)
        self._loops[cluster, family] = asyncio.create_task(keep_starting())

    def stop_loop(self, cluster: str, family: str) -> None:
        """Nothing is started any more; what runs goes on."""
        task = self._loops.pop((cluster, family), None)
        if task is not None:
            task.cancel()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._loops.values(), *self._contending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _live(self, task: TaskRecord, lasts: float, contend: Contend | None) -> None:
        act = asyncio.ensure_future(contend(task) if contend else asyncio.sleep(lasts))
        try:
            while not act.done():
                await asyncio.wait([act], timeout=0.05)
                if (seen := self.world.run(task.id)) is None or seen.has_ended:
                    return
            self.world.finish(task.id, 1)
        finally:
            act.cancel()
            await asyncio.gather(act, return_exceptions=True)
            self._contending.pop(task.id, None)

    async def _answer(self, request: web.Request) -> web.Response:
        action, text = request.headers.get("X-Amz-Target", "").removeprefix(_TARGET), await request.text()
        line = f"{action} {text}"
        self.asked.append(line)
        instead = next((one for one in self._answers if one.times > 0 and re.search(one.matching, line)), None)
        if instead is not None:
            instead.times -= 1
            await asyncio.sleep(instead.delay)
            if instead.body is not None or instead.status != 200:
                return web.Response(status=instead.status, text=instead.body or "", content_type=_JSON)
        try:
            body, status = self._done(action, json.loads(text), request.headers.get("Authorization", "")), 200
        except _Refused as refused:
            body, status = {"__type": refused.code, "message": str(refused)}, refused.status
        return web.Response(status=status, text=json.dumps(body), content_type=_JSON)

    def _done(self, action: str, asked: Body, authorization: str) -> Body:
        actions: dict[str, Callable[[Body], Body]] = {
            "DescribeTasks": self._describe_tasks,
            "ListTaskDefinitionFamilies": self._list_families,
            "ListTasks": self._list_tasks,
            "StopTask": self._stop_task,
        }
        if action not in actions:
            raise _Refused("InvalidAction", f"The action {action} is not valid for this endpoint.")
        key = re.search(r"Credential=([^/]+)/", authorization)
        if key is None or key[1] not in {self.access_key, self.reading_key}:
            raise _Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
        if action == "StopTask" and key[1] == self.reading_key:
            raise _Refused("AccessDeniedException", f"User: reader is not authorized to perform: ecs:{action}")
        return actions[action](asked)

    def _list_tasks(self, asked: Body) -> Body:
        cluster, desired = self._cluster(asked), asked.get("desiredStatus", "RUNNING")
        if desired not in {"RUNNING", "PENDING", "STOPPED"}:
            raise _Refused("InvalidParameterException", "desiredStatus is not valid.")
        tasks = self.world.runs(cluster, asked.get("family"), desired)
        tasks = [task for task in tasks if asked.get("startedBy") in {None, task.started_by}]
        return self._paged(asked, "taskArns", [self._arn("task", cluster, task.id) for task in tasks])

    def _describe_tasks(self, asked: Body) -> Body:
        cluster, names = self._cluster(asked), asked.get("tasks", [])
        if not 1 <= len(names) <= _PAGE:
            raise _Refused("InvalidParameterException", "tasks must have between 1 and 100 entries.")
        tasks, failures = [], []
        for name in names:
            task = self.world.run(name.rpartition("/")[2])
            if task is None or task.cluster != cluster:
                failures.append({"arn": self._arn("task", cluster, name.rpartition("/")[2]), "reason": "MISSING"})
            else:
                tasks.append(self._task_json(task, with_tags="TAGS" in asked.get("include", [])))
        return {"tasks": tasks, "failures": failures}

    def _stop_task(self, asked: Body) -> Body:
        cluster, name = self._cluster(asked), asked.get("task", "").rpartition("/")[2]
        if not self.world.stop(name, asked.get("reason", "")):
            raise _Refused("InvalidParameterException", "The referenced task was not found.")
        task = self.world.run(name)
        return {"task": self._task_json(task, with_tags=False)} if task and task.cluster == cluster else {}

    def _list_families(self, asked: Body) -> Body:
        prefix = asked.get("familyPrefix", "")
        return self._paged(asked, "families", sorted(one for one in self.world.families if one.startswith(prefix)))

    def _cluster(self, asked: Body) -> str:
        name: str = asked.get("cluster", "default").rpartition("/")[2]
        if name not in self.world.clusters:
            raise _Refused("ClusterNotFoundException", "Cluster not found.")
        return name

    def _paged(self, asked: Body, key: str, entries: list[str]) -> Body:
        size = min(self.page_size, int(asked.get("maxResults", _PAGE)))
        first = int(asked.get("nextToken", "0"))
        more = {"nextToken": str(first + size)} if first + size < len(entries) else {}
        return {key: entries[first : first + size], **more}

    def _arn(self, kind: str, *parts: str) -> str:
        return f"arn:aws:ecs:{self.region}:{_ACCOUNT}:{'/'.join((kind, *parts))}"

    def _task_json(self, task: TaskRecord, *, with_tags: bool) -> Body:
        """What has not happened yet is not in the document at all."""
        body = {
            "attachments": [self._network_json(task)] if task.launch_type == "FARGATE" else [],
            "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
            "availabilityZone": f"{self.region}a",
            "clusterArn": self._arn("cluster", task.cluster),
            "connectivity": "CONNECTED" if task.started_at else None,
            "containers": [self._container_json(task, number) for number in range(len(task.containers))],
            "cpu": "256",
            "createdAt": task.created_at.timestamp(),
            "desiredStatus": task.desired_status,
            "enableExecuteCommand": False,
            "group": task.group,
            "healthStatus": "UNKNOWN",
            "lastStatus": task.last_status,
            "launchType": task.launch_type,
            "memory": "512",
            "overrides": {"containerOverrides": [{"name": one.name} for one in task.containers]},
            "startedAt": _seconds(task.started_at),
            "startedBy": task.started_by or None,
            "stopCode": task.stop_code,
            "stoppedAt": _seconds(task.stopped_at),
            "stoppedReason": task.stopped_reason,
            "stoppingAt": _seconds(task.stopping_at),
            "tags": [{"key": key, "value": value} for key, value in task.tags.items()] if with_tags else [],
            "taskArn": self._arn("task", task.cluster, task.id),
            "taskDefinitionArn": self._arn("task-definition", f"{task.family}:7"),
            "version": 4,
        }
        return {key: value for key, value in body.items() if value is not None}

    def _container_json(self, task: TaskRecord, number: int) -> Body:
        container = task.containers[number]
        body = {
            "containerArn": self._arn("container", task.cluster, task.id, str(number)),
            "taskArn": self._arn("task", task.cluster, task.id),
            "name": container.name,
            "image": "registry.example.com/terraform:1.9",
            "runtimeId": f"{task.id}-{number}",
            "lastStatus": container.last_status,
            "exitCode": container.exit_code,
            "reason": container.reason,
            "networkBindings": [],
            "networkInterfaces": [{"privateIpv4Address": task.address}],
            "healthStatus": "UNKNOWN",
            "cpu": "0",
        }
        return {key: value for key, value in body.items() if value is not None}

    def _network_json(self, task: TaskRecord) -> Body:
        details = {
            "subnetId": "subnet-0d0eab1bb38d5ca64",
            "networkInterfaceId": "eni-0fa40520aeEXAMPLE",
            "macAddress": "0e:89:76:28:07:b3",
            "privateDnsName": task.dns_name,
            "privateIPv4Address": task.address,
        }
        return {
            "id": f"{task.id[:8]}-attachment",
            "type": "ElasticNetworkInterface",
            "status": "DELETED" if task.has_ended else "ATTACHED",
            "details": [{"name": key, "value": value} for key, value in details.items() if value is not None],
        }


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()

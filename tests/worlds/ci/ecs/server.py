"""A stand-in for Amazon ECS's JSON 1.1 API on loopback: documented shapes, limits and refusals, real life cycles.

Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ and botocore's model of the service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from bot.sandbox.stand_in import Contend, Refused, cut
from tests.worlds.ci.ecs.runs import EcsRuns, TaskRecord
from tests.worlds.stand_in import FaultyCi

_TARGET = re.compile(r"(?:AmazonEC2ContainerServiceV20141113|Logs_20140328)\.")
_ACCOUNT = "123456789012"
_PAGE = 100

Body = dict[str, Any]


@dataclass(kw_only=True)
class EcsStandIn(FaultyCi):
    """`async with EcsStandIn() as ecs:` serves at `ecs.base_url`, botocore's `endpoint_url`, until the block ends.

    `access_key` may do anything; `reading_key` may only list and describe. The line of a call in `asked` is its action
    and its JSON.
    """

    json_type: str = field(default="application/x-amz-json-1.1", init=False)
    region: str = "eu-west-1"
    access_key: str = "AKIASANDBOX"
    reading_key: str = "AKIASANDBOXREADS"
    stop_delay: timedelta = timedelta(seconds=1)
    retention: timedelta = timedelta(hours=1)
    page_size: int = _PAGE
    log_driver: str = "awslogs"
    log_page: int = 1000
    runs: EcsRuns = field(init=False)

    def __post_init__(self) -> None:
        self.runs = EcsRuns(self.now, stop_delay=self.stop_delay, retention=self.retention)

    def url(self, task: TaskRecord) -> str:
        """The task's page in AWS' console."""
        host = f"https://{self.region}.console.aws.amazon.com"
        return f"{host}/ecs/v2/clusters/{task.cluster}/tasks/{task.id}/configuration?region={self.region}"

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
        """Starts a task of the family every so many seconds until `stop_loop`, as a rule outside of ECS does."""

        def start() -> TaskRecord:
            return self.runs.start_run(cluster, family, started_by=started_by)

        self.keep_starting(cluster, family, start=start, every=every, lasts=lasts, contend=contend)

    def fail(self, run: TaskRecord) -> None:
        self.runs.finish(run.id, 1)

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        return {"POST /": self._act}

    async def line(self, request: web.Request) -> str:
        return f"{_action(request)} {await request.text()}"

    async def _act(self, request: web.Request) -> Body:
        actions: Mapping[str, Callable[[Body], Body]] = {
            "DescribeTaskDefinition": self._describe_definition,
            "DescribeTasks": self._describe_tasks,
            "GetLogEvents": self._get_log_events,
            "ListTaskDefinitionFamilies": self._list_families,
            "ListTasks": self._list_tasks,
            "StopTask": self._stop_task,
        }
        action = _action(request)
        if action not in actions:
            raise _refusal("InvalidAction", f"The action {action} is not valid for this endpoint.")
        key = re.search(r"Credential=([^/]+)/", request.headers.get("Authorization", ""))
        if key is None or key[1] not in {self.access_key, self.reading_key}:
            raise _refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
        if action == "StopTask" and key[1] == self.reading_key:
            raise _refusal("AccessDeniedException", f"User: reader is not authorized to perform: ecs:{action}")
        return actions[action](json.loads(await request.text()))

    def _list_tasks(self, asked: Body) -> Body:
        cluster, desired = self._cluster(asked), asked.get("desiredStatus", "RUNNING")
        if desired not in {"RUNNING", "PENDING", "STOPPED"}:
            raise _refusal("InvalidParameterException", "desiredStatus is not valid.")
        tasks = self.runs.runs(cluster, asked.get("family"), desired)
        tasks = [task for task in tasks if asked.get("startedBy") in {None, task.started_by}]
        return self._paged(asked, "taskArns", [self._arn("task", cluster, task.id) for task in tasks])

    def _describe_tasks(self, asked: Body) -> Body:
        cluster, names = self._cluster(asked), asked.get("tasks", [])
        if not 1 <= len(names) <= _PAGE:
            raise _refusal("InvalidParameterException", "tasks must have between 1 and 100 entries.")
        tasks, failures = [], []
        for name in names:
            task = self.runs.run(name.rpartition("/")[2])
            if task is None or task.cluster != cluster:
                failures.append({"arn": self._arn("task", cluster, name.rpartition("/")[2]), "reason": "MISSING"})
            else:
                tasks.append(self._task_json(task, with_tags="TAGS" in asked.get("include", [])))
        return {"tasks": tasks, "failures": failures}

    def _describe_definition(self, asked: Body) -> Body:
        family = asked["taskDefinition"].rpartition("/")[2].partition(":")[0]
        options = {"awslogs-group": "/ecs/terraform", "awslogs-region": self.region, "awslogs-stream-prefix": "ecs"}
        logging = {"logDriver": self.log_driver, "options": options if self.log_driver == "awslogs" else {}}
        names = {one.name for task in self.runs.all_tasks() if task.family == family for one in task.containers}
        containers = [{"name": name, "image": "terraform", "logConfiguration": logging} for name in sorted(names)]
        return {"taskDefinition": {"family": family, "revision": 7, "containerDefinitions": containers}}

    def _get_log_events(self, asked: Body) -> Body:
        """Pages as CloudWatch Logs gives them: at the end of the stream the token stays the same."""
        task = self.runs.run(asked["logStreamName"].rpartition("/")[2])
        if task is None or not task.log or asked["logGroupName"] != "/ecs/terraform":
            raise _refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        size = self.log_page
        usual = 0 if asked.get("startFromHead") else max(0, len(task.log) - size)
        first = int(asked.get("nextToken", f"f/{usual}").rpartition("/")[2])
        shown = task.log[first : first + size]
        events = [{"timestamp": int(at.timestamp() * 1000), "message": line, "ingestionTime": 0} for at, line in shown]
        return {"events": events, "nextForwardToken": f"f/{first + len(shown)}", "nextBackwardToken": f"b/{first}"}

    def _stop_task(self, asked: Body) -> Body:
        cluster, name = self._cluster(asked), asked.get("task", "").rpartition("/")[2]
        if not self.runs.stop(name, asked.get("reason", "")):
            raise _refusal("InvalidParameterException", "The referenced task was not found.")
        task = self.runs.run(name)
        return {"task": self._task_json(task, with_tags=False)} if task and task.cluster == cluster else {}

    def _list_families(self, asked: Body) -> Body:
        prefix = asked.get("familyPrefix", "")
        return self._paged(asked, "families", sorted(one for one in self.runs.families if one.startswith(prefix)))

    def _cluster(self, asked: Body) -> str:
        name: str = asked.get("cluster", "default").rpartition("/")[2]
        if name not in self.runs.clusters:
            raise _refusal("ClusterNotFoundException", "Cluster not found.")
        return name

    def _paged(self, asked: Body, key: str, entries: list[str]) -> Body:
        size = min(self.page_size, int(asked.get("maxResults", _PAGE)))
        part, token = cut(entries, int(asked.get("nextToken", "0")), size)
        return {key: part, **({"nextToken": token} if token else {})}

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


def _action(request: web.Request) -> str:
    return _TARGET.sub("", request.headers.get("X-Amz-Target", ""))


def _refusal(code: str, message: str) -> Refused:
    return Refused(400, {"__type": code, "message": message})

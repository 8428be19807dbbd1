"""What AWS has to allow for tasks of ECS and their logs.

Source: "Actions, resources, and condition keys for Amazon ECS" and "… for Amazon CloudWatch Logs" in the Service
Authorization Reference. Lists know the cluster only as a condition; a task definition has no resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bot.aws.arn import arn
from bot.aws.clients import Access
from bot.core.rights import Grant, Right, Use
from bot.core.run import Pipeline

LIST = Right("ecs:ListTasks", "the tasks of a cluster", ("ecs:ListTasks",))
DESCRIBE = Right("ecs:DescribeTasks", "how a task is doing", ("ecs:DescribeTasks",))
STOP = Right("ecs:StopTask", "end a task", ("ecs:StopTask",), Use.END)
DEFINITION = Right("ecs:DescribeTaskDefinition", "where a task logs", ("ecs:DescribeTaskDefinition",))
FAMILIES = Right(
    "ecs:ListTaskDefinitionFamilies",
    "a family without tasks, and one that does not exist",
    ("ecs:ListTaskDefinitionFamilies",),
    Use.DETAIL,
)
LOGS = Right("logs:GetLogEvents", "the log of a task", ("logs:GetLogEvents",))

EVERY_LOG = "log-group:*"
CLUSTER = "ecs:cluster"
"""The condition key that narrows `LIST`."""


def grants(pipelines: Iterable[Pipeline], access: Access, log_groups: Iterable[str] = ()) -> Iterator[Grant]:
    """For the clusters of these pipelines. Where their tasks log is in their task definitions, and in the configuration
    only if someone has put it there: without `log_groups` the right to read logs is for all of them.
    """
    for name in dict.fromkeys(pipeline.get("cluster") or "default" for pipeline in pipelines):
        cluster = arn("ecs", f"cluster/{name}", access) if not name.startswith("arn:") else name
        tasks = f"{cluster.replace(':cluster/', ':task/', 1)}/*"
        yield Grant(LIST, f"{CLUSTER}={cluster}")
        yield from (Grant(right, tasks) for right in (DESCRIBE, STOP))
    yield from (Grant(right) for right in (DEFINITION, FAMILIES))
    groups = [f"log-group:{name}:*" for name in log_groups] or [EVERY_LOG]
    yield from (Grant(LOGS, arn("logs", group, access)) for group in groups)

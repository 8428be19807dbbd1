"""ECS's tasks as runs. Pure. A word or a shape that is not in these tables never means "ended".

Source: "Amazon ECS task lifecycle" and "Stopped tasks error codes" of the developer guide, `Task` in the API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from bot.ci.ecs.api import task_id
from bot.ci.ends import NOT_KNOWN, dated
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.http.client import garbled
from bot.http.values import Json, objects, text

_GOING_ON: Mapping[str, Phase] = {
    "PROVISIONING": Phase.WAITING,
    "PENDING": Phase.WAITING,
    "ACTIVATING": Phase.RUNNING,
    "RUNNING": Phase.RUNNING,
    "DEACTIVATING": Phase.ENDING,
    "STOPPING": Phase.ENDING,
    "DEPROVISIONING": Phase.ENDING,
}
_STOPPED_ON_PURPOSE = frozenset({"UserInitiated", "ServiceSchedulerInitiated"})
_ORPHANED = re.compile(r"deregister", re.IGNORECASE)
_ACTOR_TAGS = ("actor", "startedby", "started-by", "requestedby", "requested-by")
_AUTHOR_TAGS = ("author", "commit-author")
_AUTHOR_MAIL_TAGS = ("author-email", "commit-author-email")
_SOURCES = (
    ("events-rule/", "the EventBridge rule {name}: disable that rule"),
    ("chronos-schedule/", "the EventBridge schedule {name}: disable that schedule"),
    ("ecs-svc/", "the ECS service {name}: set its desired count to 0"),
)


def run_from(task: Json, pipeline: Pipeline, url: str) -> Run:
    """One `Task`, without jobs. Raises Failed (garbled) if it has no ARN or time of creation."""
    run_id, created_at = task_id(task.get("taskArn")), _instant(task.get("createdAt"))
    if not run_id or created_at is None:
        raise garbled("ECS's answer names a task without its ARN or the time it was created")
    phase, conclusion, ended_at = dated(*_phase(task), _instant(task.get("stoppedAt")))
    return Run(
        ref=RunRef(pipeline, run_id, url),
        title=_last(task.get("taskDefinitionArn")),
        actor=_actor(task) or text(task.get("startedBy")),
        trigger=text(task.get("startedBy")) or text(task.get("group")),
        phase=phase,
        conclusion=conclusion,
        attempt=1,
        created_at=created_at,
        started_at=_instant(task.get("startedAt")),
        ended_at=ended_at,
        reported=_reported(task),
        author=_tagged(task, _AUTHOR_TAGS),
        author_email=_tagged(task, _AUTHOR_MAIL_TAGS),
        by_bot=not _actor(task) and text(task.get("startedBy")).startswith(tuple(prefix for prefix, _ in _SOURCES)),
    )


def with_job(run: Run, task: Json) -> Run:
    """The run with its one job: the task itself, on its own address."""
    job = Job(
        id=run.ref.id,
        name=", ".join(text(container.get("name")) for container in _containers(task)) or run.title,
        attempt=1,
        phase=run.phase,
        conclusion=run.conclusion,
        started_at=run.started_at,
        ended_at=run.ended_at,
        host=host_of(task),
        machine=host_of(task),
        reported=run.reported,
        url=run.ref.url,
    )
    return replace(run, jobs=(job,))


def host_of(task: Json) -> str | None:
    """The host name of a task with a network interface of its own; tasks of other network modes do not tell theirs."""
    details = [detail for one in objects(task.get("attachments")) for detail in objects(one.get("details"))]
    known = {text(detail.get("name")): text(detail.get("value")) for detail in details}
    address = known.get("privateIPv4Address", "")
    return known.get("privateDnsName") or (f"ip-{address.replace('.', '-')}" if address else None)


def family_of(task: Json) -> str:
    """The family in `arn:…:task-definition/FAMILY:REVISION`."""
    return _last(task.get("taskDefinitionArn")).rpartition(":")[0]


def source_of(task: Json) -> str | None:
    """What starts tasks like this one and how to stop it, in words; None if the task does not tell."""
    started_by, group = text(task.get("startedBy")), text(task.get("group"))
    for prefix, words in _SOURCES:
        if started_by.startswith(prefix):
            name = group.removeprefix("service:") if group.startswith("service:") else started_by.removeprefix(prefix)
            return words.format(name=name)
    return f"{started_by}: stop them there" if started_by else None


def _phase(task: Json) -> tuple[Phase, Conclusion | None]:
    status = text(task.get("lastStatus"))
    if status == "STOPPED":
        return _ended(task)
    phase = _GOING_ON.get(status, Phase.UNKNOWN)
    if phase is Phase.WAITING and (_has_begun(task) or task.get("pullStartedAt") is not None):
        phase = Phase.RUNNING  # a container that others wait for runs while its task is still pending
    if phase is not Phase.UNKNOWN and task.get("desiredStatus") == "STOPPED":
        return Phase.ENDING, None
    return phase, None


def _ended(task: Json) -> tuple[Phase, Conclusion | None]:
    """`STOPPED` is the end unless a container says otherwise, or ECS only lost sight of the machine."""
    containers = task.get("containers")
    if not isinstance(containers, list) or not all(isinstance(container, Mapping) for container in containers):
        return NOT_KNOWN
    if any(container.get("lastStatus", "STOPPED") != "STOPPED" for container in containers) and _has_begun(task):
        return NOT_KNOWN
    if _ORPHANED.search(text(task.get("stoppedReason"))):
        return NOT_KNOWN
    return Phase.ENDED, _conclusion(task)


def _conclusion(task: Json) -> Conclusion:
    """Without a number from every container nobody knows that its process ended on its own."""
    codes, stop_code = _exit_codes(task), text(task.get("stopCode"))
    if stop_code == "TaskFailedToStart" and not _has_begun(task):
        return Conclusion.SKIPPED
    if stop_code in _STOPPED_ON_PURPOSE:
        return Conclusion.CANCELLED
    if not codes or None in codes:
        return Conclusion.LOST
    return Conclusion.SUCCESS if all(code == 0 for code in codes) else Conclusion.FAILED


def _exit_codes(task: Json) -> list[int | None]:
    codes = [container.get("exitCode") for container in _containers(task)]
    return [code if isinstance(code, int) and not isinstance(code, bool) else None for code in codes]


def _has_begun(task: Json) -> bool:
    """Whether any of its containers may have run: one that others wait for does so before the task has started."""
    begun = any(
        container.get("exitCode") is not None or container.get("lastStatus") in ("RUNNING", "STOPPING")
        for container in _containers(task)
    )
    return begun or task.get("startedAt") is not None


def _reported(task: Json) -> str:
    """ECS's words with the exit codes, as people look for them: `STOPPED, EssentialContainerExited, apply: exit 1`."""
    words = [text(task.get(key)) for key in ("lastStatus", "stopCode", "stoppedReason")]
    for container, code in zip(_containers(task), _exit_codes(task), strict=True):
        said = f"exit {code}" if code is not None else text(container.get("reason"))
        words.append(f"{text(container.get('name'))}: {said}" if said else "")
    return ", ".join(word for word in words if word)


def _actor(task: Json) -> str:
    return _tagged(task, _ACTOR_TAGS)


def _tagged(task: Json, names: Iterable[str]) -> str:
    tags = {text(tag.get("key")).casefold(): text(tag.get("value")) for tag in objects(task.get("tags"))}
    return next((tags[name] for name in names if tags.get(name)), "")


def _containers(task: Json) -> list[Json]:
    return objects(task.get("containers"))


def _last(arn: object) -> str:
    return text(arn).rpartition("/")[2]


def _instant(value: object) -> datetime | None:
    """Botocore has made instants of ECS's numbers, in the machine's own zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    try:
        return value.astimezone(UTC)
    except (ValueError, OverflowError):
        return None

"""The stand-in's answers as Jenkins exports them, cut to what `tree` asks for."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from tests.worlds.ci.jenkins.runs import Build, Item, JenkinsJob

_PIPELINE = "org.jenkinsci.plugins.workflow.job.Workflow"
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\[|\]|,|\{\d*,\d*\}")


def millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def job_url(job: JenkinsJob, base: str) -> str:
    return base + "".join(f"/job/{part.replace('%', '%25')}" for part in job.path.split("/")) + "/"


def build_json(build: Build, base: str) -> dict[str, Any]:
    job = build.job
    actions: list[dict[str, Any]] = [
        {"_class": "hudson.model.CauseAction", "causes": [_cause(build.trigger, build.actor)]},
        {},
        {
            "_class": "hudson.plugins.git.util.BuildData",
            "lastBuiltRevision": {
                "SHA1": f"{build.number:040x}",
                "branch": [{"SHA1": f"{build.number:040x}", "name": "refs/remotes/origin/main"}],
            },
        },
    ]
    if build.interruption:
        causes = [{"_class": build.interruption, "shortDescription": "Aborted"}]
        actions.append({"_class": "jenkins.model.InterruptedBuildAction", "causes": causes})
    body = {
        "_class": "hudson.model.FreeStyleBuild" if job.is_freestyle else f"{_PIPELINE}Run",
        "actions": actions,
        "building": build.building,
        "displayName": f"#{build.number}",
        "duration": 0 if build.ended_at is None else max(1, millis(build.ended_at) - millis(build.started_at)),
        "estimatedDuration": 60000,
        "fullDisplayName": f"{' » '.join(job.path.split('/'))} #{build.number}",
        "id": str(build.number),
        "inProgress": build.in_progress,
        "keepLog": False,
        "number": build.number,
        "queueId": build.queue_id,
        "result": build.result,
        "timestamp": millis(build.started_at),
        "url": f"{job_url(job, base)}{build.number}/",
    }
    commits = {"_class": "hudson.plugins.git.GitChangeSetList", "items": [_commit(build)] if build.author else []}
    if job.is_freestyle:
        return {**body, "builtOn": build.agent, "changeSet": commits}
    return {**body, "changeSets": [commits] if build.author else []}


def _commit(build: Build) -> dict[str, Any]:
    return {
        "_class": "hudson.plugins.git.GitChangeSet",
        "commitId": f"{build.number:040x}",
        "author": {"absoluteUrl": "", "fullName": build.author},
        "authorEmail": build.author_email,
    }


def item_json(item: Item, base: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "_class": "hudson.model.Queue$BuildableItem" if item.is_waiting else "hudson.model.Queue$LeftItem",
        "actions": [{"_class": "hudson.model.CauseAction", "causes": [_cause(item.trigger, item.actor)]}],
        "blocked": False,
        "buildable": item.is_waiting,
        "id": item.id,
        "inQueueSince": millis(item.queued_at),
        "stuck": False,
        "task": {"_class": f"{_PIPELINE}Job", "name": item.job.path.rpartition("/")[2], "url": job_url(item.job, base)},
        "url": f"queue/item/{item.id}/",
        "why": "Waiting for next available executor" if item.is_waiting else None,
    }
    if not item.is_waiting:
        body["cancelled"] = item.is_cancelled
        body["executable"] = build_json(item.build, base) if item.build else None
    return body


def job_json(job: JenkinsJob, base: str) -> dict[str, Any]:
    newest = sorted(job.builds, key=lambda build: -build.number)
    builds = [build_json(build, base) for build in newest]
    return {
        "_class": "hudson.model.FreeStyleProject" if job.is_freestyle else f"{_PIPELINE}Job",
        "fullName": job.path,
        "name": job.path.rpartition("/")[2],
        "url": job_url(job, base),
        "buildable": not job.is_disabled,
        "disabled": job.is_disabled,
        "builds": builds[:100],
        "allBuilds": builds,
        "inQueue": False,
        "nextBuildNumber": job.next_number,
    }


def pruned(body: Any, tree: str) -> Any:
    """What `tree` leaves of a document: `a,b[c]{0,100}`, as Jenkins reads it."""
    wanted, _ = _names(_TOKEN.findall(tree), 0)
    return _cut(body, wanted)


Wanted = dict[str, tuple[Any, str]]


def _names(tokens: list[str], at: int) -> tuple[Wanted, int]:
    found: Wanted = {}
    while at < len(tokens) and tokens[at] != "]":
        name, at = tokens[at], at + 1
        below: Any = None
        part = ""
        if at < len(tokens) and tokens[at] == "[":
            below, at = _names(tokens, at + 1)
            at += 1
        if at < len(tokens) and tokens[at].startswith("{"):
            part, at = tokens[at], at + 1
        found[name] = (below, part)
        if at < len(tokens) and tokens[at] == ",":
            at += 1
    return found, at


def _cut(body: Any, wanted: Wanted) -> Any:
    if isinstance(body, list):
        return [_cut(each, wanted) for each in body]
    if not isinstance(body, dict):
        return body
    kept = {"_class": body["_class"]} if "_class" in body else {}
    for name, (below, part) in wanted.items():
        if name in body:
            value = _range(body[name], part)
            kept[name] = value if below is None else _cut(value, below)
    return kept


def _range(value: Any, part: str) -> Any:
    if not part:
        return value
    first, _, last = part.strip("{}").partition(",")
    return value[int(first or 0) : int(last) if last else None]


def _cause(kind: str, actor: str) -> dict[str, Any]:
    cause = {"_class": kind, "shortDescription": f"Started by {actor}"}
    return {**cause, "userId": actor, "userName": actor} if kind.endswith("UserIdCause") else cause

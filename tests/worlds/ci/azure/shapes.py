"""The stand-in's answers in the shapes that Azure DevOps documents (`Build`, `Timeline`, `BuildDefinition`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.worlds.ci.azure.runs import BuildRecord, Definition, JobRecord, StepRecord, project_id

_NOBODY = "00000002-0000-8888-8000-000000000000"


def stamp(at: datetime | None) -> str | None:
    """Azure DevOps's instants have seven digits behind the point, less the zeros at their end."""
    if at is None:
        return None
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0").rstrip("0").rstrip(".")
    return f"{text}Z"


def build_json(build: BuildRecord, base: str) -> dict[str, Any]:
    """What has not happened yet is not in the document at all."""
    project, definition = build.definition.project, build.definition
    api = f"{base}/{project_id(project)}/_apis"
    body = {
        "_links": {
            "self": {"href": f"{api}/build/Builds/{build.id}"},
            "web": {"href": f"{base}/{project_id(project)}/_build/results?buildId={build.id}"},
            "timeline": {"href": f"{api}/build/builds/{build.id}/Timeline"},
        },
        "properties": {},
        "tags": [],
        "validationResults": [],
        "plans": [{"planId": build.timeline_id(0)}],
        "triggerInfo": {"ci.sourceBranch": f"refs/heads/{build.branch}", "ci.message": build.title},
        "id": build.id,
        "buildNumber": build.number,
        "status": build.status,
        "result": build.result,
        "queueTime": stamp(build.queued_at),
        "startTime": stamp(build.started_at),
        "finishTime": stamp(build.finished_at),
        "url": f"{api}/build/Builds/{build.id}",
        "definition": {
            "id": definition.id,
            "name": definition.name,
            "path": "\\",
            "type": "build",
            "queueStatus": definition.queue_status,
            "revision": definition.revision,
            "project": project_json(project, base),
        },
        "project": project_json(project, base),
        "uri": f"vstfs:///Build/Build/{build.id}",
        "sourceBranch": f"refs/heads/{build.branch}",
        "sourceVersion": f"{build.id:040x}",
        "priority": "normal",
        "reason": build.reason,
        "requestedFor": _person(build.requested_for),
        "requestedBy": {"displayName": "Microsoft.VisualStudio.Services.TFS", "id": _NOBODY},
        "logs": {"id": 0, "type": "Container", "url": f"{api}/build/builds/{build.id}/logs"},
        "retainedByRelease": False,
    }
    return {key: value for key, value in body.items() if value is not None}


def changes_json(build: BuildRecord) -> dict[str, Any]:
    """The commits that are new in a build: one, if its author was told."""
    commit = {
        "id": f"{build.id:040x}",
        "message": build.title,
        "type": "TfsGit",
        "author": _person(build.author),
        "timestamp": stamp(build.queued_at),
    }
    changes = [commit] if build.author else []
    return {"count": len(changes), "value": changes}


def timeline_json(build: BuildRecord, attempt: int, base: str) -> dict[str, Any]:
    """The timeline of one attempt; the newest one's records name those before it."""
    url = f"{base}/{project_id(build.definition.project)}/_apis/build/builds/{build.id}"
    jobs = [job for job in build.jobs if job.attempt == attempt]
    stage = _stage(build, jobs, attempt)
    records = [stage]
    for order, job in enumerate(jobs, start=1):
        records.append(_job_json(job, build, stage["id"], order, url))
        records += [_step_json(step, job, number, url) for number, step in enumerate(job.steps, start=1)]
    return {
        "records": records,
        "lastChangedBy": _NOBODY,
        "lastChangedOn": stamp(build.finished_at or build.started_at),
        "id": build.timeline_id(attempt),
        "changeId": 20,
        "url": f"{url}/Timeline/{build.timeline_id(attempt)}",
    }


def definition_json(definition: Definition, base: str) -> dict[str, Any]:
    api = f"{base}/{project_id(definition.project)}/_apis"
    return {
        "options": [],
        "triggers": [{"branchFilters": ["+refs/heads/main"], "triggerType": "continuousIntegration"}],
        "variables": {"TF_IN_AUTOMATION": {"value": "1"}},
        "jobAuthorizationScope": "projectCollection",
        "jobTimeoutInMinutes": 60,
        "jobCancelTimeoutInMinutes": 5,
        "process": {"yamlFilename": "azure-pipelines.yml", "type": 2},
        "id": definition.id,
        "name": definition.name,
        "url": f"{api}/build/Definitions/{definition.id}?revision={definition.revision}",
        "path": "\\",
        "type": "build",
        "queueStatus": definition.queue_status,
        "revision": definition.revision,
        "project": project_json(definition.project, base),
    }


def project_json(project: str, base: str) -> dict[str, Any]:
    identity = project_id(project)
    return {"id": identity, "name": project, "url": f"{base}/_apis/projects/{identity}", "state": "wellFormed"}


def refusal_json(key: str, message: str) -> dict[str, Any]:
    return {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"Microsoft.TeamFoundation.Build.WebApi.{key}, Microsoft.TeamFoundation.Build2.WebApi",
        "typeKey": key,
        "errorCode": 0,
        "eventId": 3000,
    }


def job_log(job: JobRecord) -> list[str]:
    """The head of a job's log as the agent (3.x) prints it."""
    at = stamp(job.started_at)
    lines = (
        "##[section]Starting: Initialize job",
        f"Agent name: '{job.agent}'",
        f"Agent machine name: '{job.machine}'",
        "Current agent version: '3.248.0'",
        "Agent running as: 'vsts'",
        "Prepare build directory.",
        "##[section]Finishing: Initialize job",
    )
    return [f"{at} {line}" for line in lines]


def _stage(build: BuildRecord, jobs: list[JobRecord], attempt: int) -> dict[str, Any]:
    done = bool(jobs) and all(job.state == "completed" for job in jobs)
    return {
        **_record(str(uuid5(NAMESPACE_URL, f"stage/{build.id}/{attempt}")), None, "Stage", "__default", attempt),
        "previousAttempts": _previous(build, attempt, "stage"),
        "startTime": stamp(min((job.started_at for job in jobs if job.started_at), default=None)),
        "finishTime": stamp(max((job.finished_at for job in jobs if job.finished_at), default=None)) if done else None,
        "state": "completed" if done else "inProgress" if jobs else "pending",
        "result": next((job.result for job in jobs if job.result != "succeeded"), "succeeded") if done else None,
    }


def _job_json(job: JobRecord, build: BuildRecord, parent: str, order: int, url: str) -> dict[str, Any]:
    return {
        **_record(job.id, parent, "Job", job.name, job.attempt),
        "previousAttempts": _previous(build, job.attempt, job.name),
        "startTime": stamp(job.started_at),
        "finishTime": stamp(job.finished_at),
        "state": job.state,
        "result": job.result,
        "workerName": job.agent,
        "order": order,
        "queueId": 9,
        "log": _log(job.log, url),
        "issues": [] if job.issue is None else [{"type": "error", "category": "General", "message": job.issue}],
    }


def _step_json(step: StepRecord, job: JobRecord, order: int, url: str) -> dict[str, Any]:
    return {
        **_record(step.id, job.id, "Task", step.name, 1),
        "previousAttempts": [],
        "startTime": stamp(step.started_at),
        "finishTime": stamp(step.finished_at),
        "state": step.state,
        "result": step.result,
        "workerName": job.agent if step.started_at else None,
        "order": order,
        "log": _log(step.log, url),
    }


def _record(identity: str, parent: str | None, kind: str, name: str, attempt: int) -> dict[str, Any]:
    return {
        "attempt": attempt,
        "id": identity,
        "parentId": parent,
        "type": kind,
        "name": name,
        "identifier": name,
        "currentOperation": None,
        "percentComplete": None,
        "resultCode": None,
        "changeId": 17,
        "details": None,
        "errorCount": 0,
        "warningCount": 0,
        "url": None,
        "task": None,
    }


def _previous(build: BuildRecord, attempt: int, name: str) -> list[dict[str, Any]]:
    return [
        {
            "attempt": earlier,
            "timelineId": build.timeline_id(earlier),
            "recordId": str(uuid5(NAMESPACE_URL, f"{name}/{build.id}/{earlier}")),
        }
        for earlier in range(1, attempt)
    ]


def _log(number: int | None, url: str) -> dict[str, Any] | None:
    return None if number is None else {"id": number, "type": "Container", "url": f"{url}/logs/{number}"}


def _person(name: str) -> dict[str, Any]:
    if name.startswith("Microsoft."):
        return {"displayName": name, "id": _NOBODY, "uniqueName": f"{_NOBODY}@{_NOBODY}"}
    address = f"{name.lower()}@example.com"
    return {"displayName": name, "id": str(uuid5(NAMESPACE_URL, address)), "uniqueName": address}

"""The stand-in's answers in the shapes that GitLab documents (pipelines, jobs, trigger jobs, schedules)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.worlds.ci.gitlab.runs import JobRecord, PipelineRecord, ScheduleRecord


def stamp(at: datetime | None) -> str | None:
    """GitLab's instants have milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def listed_json(pipeline: PipelineRecord, base: str) -> dict[str, Any]:
    """A pipeline as lists show it: without its start and end."""
    return {
        "id": pipeline.id,
        "iid": pipeline.iid,
        "project_id": pipeline.project.id,
        "sha": pipeline.sha,
        "ref": pipeline.ref,
        "status": pipeline.status,
        "source": pipeline.source,
        "created_at": stamp(pipeline.created_at),
        "updated_at": stamp(pipeline.updated_at),
        "web_url": f"{base}/{pipeline.project.path}/-/pipelines/{pipeline.id}",
        "name": pipeline.title or None,
    }


def pipeline_json(pipeline: PipelineRecord, base: str) -> dict[str, Any]:
    return {
        **listed_json(pipeline, base),
        "before_sha": "0" * 40,
        "tag": False,
        "yaml_errors": None,
        "user": _user(pipeline.user, base),
        "started_at": stamp(pipeline.started_at),
        "finished_at": stamp(pipeline.finished_at),
        "committed_at": None,
        "duration": None,
        "queued_duration": 1,
        "coverage": None,
        "detailed_status": {"text": pipeline.status, "label": pipeline.status, "group": pipeline.status},
    }


def job_json(job: JobRecord, pipeline: PipelineRecord, base: str) -> dict[str, Any]:
    body = _common(job, pipeline, base)
    runner = {"id": 32, "description": "docker-1", "runner_type": "project_type", "name": "gitlab-runner"}
    manager = {"id": 1, "system_id": "s_89e5e9956577", "version": "17.5.0", "platform": "linux"}
    ran = job.started_at is not None
    return {**body, "artifacts": [], "runner": runner if ran else None, "runner_manager": manager if ran else None}


def bridge_json(job: JobRecord, pipeline: PipelineRecord, base: str) -> dict[str, Any]:
    below = None if job.downstream is None else listed_json(job.downstream, base)
    return {**_common(job, pipeline, base), "downstream_pipeline": below}


def schedule_json(schedule: ScheduleRecord, base: str) -> dict[str, Any]:
    return {
        "id": schedule.id,
        "description": schedule.description,
        "ref": f"refs/heads/{schedule.ref}",
        "cron": "*/5 * * * *",
        "cron_timezone": "UTC",
        "next_run_at": "2026-11-22T18:00:00.000Z",
        "active": schedule.active,
        "created_at": "2026-11-01T09:00:00.000Z",
        "updated_at": "2026-11-01T09:00:00.000Z",
        "owner": _user(schedule.owner, base),
    }


def _common(job: JobRecord, pipeline: PipelineRecord, base: str) -> dict[str, Any]:
    body = {
        "id": job.id,
        "name": job.name,
        "stage": "deploy",
        "status": job.status,
        "ref": pipeline.ref,
        "tag": False,
        "coverage": None,
        "allow_failure": job.allow_failure,
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "finished_at": stamp(job.finished_at),
        "erased_at": None,
        "duration": None,
        "queued_duration": 0.01,
        "user": _user(pipeline.user, base),
        "commit": {
            "id": pipeline.sha,
            "short_id": pipeline.sha[:8],
            "title": pipeline.title,
            "author_name": pipeline.author,
            "author_email": pipeline.author_email,
        },
        "pipeline": {
            "id": pipeline.id,
            "project_id": pipeline.project.id,
            "ref": pipeline.ref,
            "sha": pipeline.sha,
            "status": pipeline.status,
        },
        "web_url": f"{base}/{pipeline.project.path}/-/jobs/{job.id}",
        "project": {"ci_job_token_scope_enabled": False},
    }
    return {**body, "failure_reason": job.failure_reason} if job.status == "failed" else body


def _user(name: str, base: str) -> dict[str, Any]:
    return {"id": sum(name.encode()), "username": name, "name": name, "state": "active", "web_url": f"{base}/{name}"}

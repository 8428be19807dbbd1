"""The stand-in's answers in the shapes that GitHub documents (`workflow-run`, `job`, `workflow`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.sandbox.github.runs import JobRecord, RunRecord, StepRecord, Workflow


def stamp(at: datetime | None) -> str | None:
    """GitHub's instants have whole seconds."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def run_json(run: RunRecord, base: str) -> dict[str, Any]:
    repo, api = run.workflow.repo, f"{base}/repos/{run.workflow.repo}/actions"
    url = f"{api}/runs/{run.id}"
    return {
        "id": run.id,
        "name": run.workflow.file.partition(".")[0],
        "node_id": f"WFR_{run.id}",
        "head_branch": run.branch,
        "head_sha": f"{run.number:040x}",
        "head_commit": _commit_json(run),
        "path": f".github/workflows/{run.workflow.file}",
        "display_title": run.title,
        "run_number": run.number,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "workflow_id": run.workflow.id,
        "check_suite_id": run.id + 1,
        "url": url,
        "html_url": f"{base}/{repo}/actions/runs/{run.id}",
        "pull_requests": [],
        "created_at": stamp(run.created_at),
        "updated_at": stamp(run.updated_at),
        "actor": _user(run.actor),
        "run_attempt": run.attempt,
        "referenced_workflows": [],
        "run_started_at": stamp(run.started_at),
        "triggering_actor": _user(run.actor),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": f"{url}/attempts/{run.attempt - 1}" if run.attempt > 1 else None,
        "workflow_url": f"{api}/workflows/{run.workflow.id}",
        "repository": {"full_name": repo, "name": repo.partition("/")[2], "private": True},
    }


def job_json(job: JobRecord, run: RunRecord, base: str) -> dict[str, Any]:
    repo = run.workflow.repo
    return {
        "id": job.id,
        "run_id": run.id,
        "workflow_name": run.workflow.file.partition(".")[0],
        "head_branch": run.branch,
        "run_url": f"{base}/repos/{repo}/actions/runs/{run.id}",
        "run_attempt": job.attempt,
        "node_id": f"CR_{job.id}",
        "head_sha": f"{run.number:040x}",
        "url": f"{base}/repos/{repo}/actions/jobs/{job.id}",
        "html_url": f"{base}/{repo}/actions/runs/{run.id}/job/{job.id}",
        "status": job.status,
        "conclusion": job.conclusion,
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at or job.created_at),
        "completed_at": stamp(job.completed_at),
        "name": job.name,
        "steps": [_step_json(number, step) for number, step in enumerate(job.steps, start=1)],
        "check_run_url": f"{base}/repos/{repo}/check-runs/{job.id}",
        "labels": list(job.labels),
        "runner_id": 2 if job.runner_name else None,
        "runner_name": job.runner_name,
        "runner_group_id": 1 if job.runner_name else None,
        "runner_group_name": "Default" if job.runner_name else None,
    }


def workflow_json(workflow: Workflow, base: str) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "node_id": f"W_{workflow.id}",
        "name": workflow.file.partition(".")[0],
        "path": f".github/workflows/{workflow.file}",
        "state": workflow.state,
        "url": f"{base}/repos/{workflow.repo}/actions/workflows/{workflow.id}",
        "html_url": f"{base}/{workflow.repo}/blob/main/.github/workflows/{workflow.file}",
    }


def _commit_json(run: RunRecord) -> dict[str, Any]:
    return {
        "id": f"{run.number:040x}",
        "message": run.title,
        "timestamp": stamp(run.created_at),
        "author": {"name": run.author, "email": run.author_email},
        "committer": {"name": "GitHub", "email": "noreply@github.com"},
    }


def _step_json(number: int, step: StepRecord) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status,
        "conclusion": step.conclusion,
        "number": number,
        "started_at": stamp(step.started_at),
        "completed_at": stamp(step.completed_at),
    }


def _user(login: str) -> dict[str, Any]:
    return {"login": login, "id": sum(login.encode()), "type": "Bot" if login.endswith("[bot]") else "User"}

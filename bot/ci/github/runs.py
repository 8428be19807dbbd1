"""GitHub's JSON as runs and jobs. Pure. A word or a shape that is not in these tables never means "ended".

Source: the REST API's schemas `workflow-run` and `job` (github/rest-api-description).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeGuard

from bot.core.evidence import Trouble
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.http.client import Failed

Json = Mapping[str, Any]

_GOING_ON: Mapping[str, Phase] = {
    "queued": Phase.WAITING,
    "requested": Phase.WAITING,
    "waiting": Phase.WAITING,
    "pending": Phase.WAITING,
    "in_progress": Phase.RUNNING,
}
_ENDS: Mapping[str, Conclusion] = {
    "success": Conclusion.SUCCESS,
    "neutral": Conclusion.SUCCESS,
    "failure": Conclusion.FAILED,
    "startup_failure": Conclusion.FAILED,
    "action_required": Conclusion.FAILED,
    "cancelled": Conclusion.CANCELLED,
    "timed_out": Conclusion.TIMED_OUT,
    "stale": Conclusion.LOST,
    "skipped": Conclusion.SKIPPED,
}
_BROKEN_OFF = frozenset({Conclusion.FAILED, Conclusion.CANCELLED, Conclusion.TIMED_OUT})
_LATER_ON = Phase.UNKNOWN, None


def run_from(entry: Json, pipeline: Pipeline) -> Run:
    """One `workflow-run`, without jobs. Raises Failed (garbled) if it has no id or creation time.

    One that does not say its attempt is at its first. One that ended without saying when has no `ended_at`: only its
    jobs can tell.
    """
    run_id, created_at = entry.get("id"), _instant(entry.get("created_at"))
    if not _is_count(run_id) or created_at is None:
        raise Failed(Trouble.GARBLED, "GitHub's answer names a run without its id or creation time")
    attempt, updated_at = entry.get("run_attempt", 1), _instant(entry.get("updated_at"))
    phase, conclusion = _run_phase(entry)
    unreadable = updated_at is None and entry.get("updated_at") is not None
    if phase is Phase.ENDED and (unreadable or not _is_count(attempt)):
        phase, conclusion = _LATER_ON
    return Run(
        ref=RunRef(pipeline, str(run_id), _text(entry.get("html_url"))),
        title=_text(entry.get("display_title")) or _text(entry.get("name")),
        actor=_login(entry.get("triggering_actor")) or _login(entry.get("actor")),
        trigger=_text(entry.get("event")),
        phase=phase,
        conclusion=conclusion,
        attempt=attempt if _is_count(attempt) else 1,
        created_at=created_at,
        started_at=_instant(entry.get("run_started_at")),
        ended_at=updated_at if phase is Phase.ENDED else None,
        reported=_reported(entry),
        branch=_text(entry.get("head_branch")),
        commit=_text(entry.get("head_sha")),
        author=_text(_of(_of(entry.get("head_commit"), "author"), "name")),
        author_email=_text(_of(_of(entry.get("head_commit"), "author"), "email")),
        by_bot=entry.get("event") == "schedule" or _is_bot(entry.get("triggering_actor") or entry.get("actor")),
        first_actor=_login(entry.get("actor")),
    )


def job_from(entry: Json, newest_attempt: int) -> Job:
    """One `job`. One that does not say its attempt counts to the newest. Raises Failed (garbled) without an id."""
    if not _is_count(entry.get("id")):
        raise Failed(Trouble.GARBLED, "GitHub's answer names a job without its id")
    attempt, ended_at = entry.get("run_attempt", newest_attempt), _instant(entry.get("completed_at"))
    phase, conclusion = _phase(entry)
    if phase is Phase.ENDED and (ended_at is None or not _is_count(attempt)):
        phase, conclusion = _LATER_ON
    if conclusion in _BROKEN_OFF and _has_open_steps(entry.get("steps")):
        conclusion = Conclusion.LOST
    return Job(
        id=str(entry["id"]),
        name=_text(entry.get("name")),
        attempt=attempt if _is_count(attempt) else newest_attempt,
        phase=phase,
        conclusion=conclusion,
        started_at=_instant(entry.get("started_at")),
        ended_at=ended_at if phase is Phase.ENDED else None,
        host=_text(entry.get("runner_name")) or None,
        reported=_reported(entry),
        url=_text(entry.get("html_url")),
    )


def completed(run: Run, jobs: Iterable[Json]) -> Run:
    """The run with its jobs. It has ended only if every job of every attempt has; its end is the latest one known.

    Where the run does not say when it ended, a job of its newest attempt must.
    """
    parts = tuple(job_from(entry, run.attempt) for entry in jobs)
    is_open = any(job.phase is not Phase.ENDED or job.attempt > run.attempt for job in parts)
    has_end = run.ended_at is not None or any(job.attempt == run.attempt for job in parts)
    if run.phase is not Phase.ENDED or is_open or not has_end:
        return replace(run, jobs=parts, phase=_open_phase(run, parts), conclusion=None, ended_at=None)
    ends = [end for end in (run.ended_at, *(job.ended_at for job in parts)) if end is not None]
    return replace(run, jobs=parts, conclusion=_harder(run, parts), ended_at=max(ends))


def without_jobs(run: Run, reason: str) -> Run:
    """The run when its jobs could not be read: what GitHub calls completed is then not known to have ended."""
    if run.phase is not Phase.ENDED:
        return replace(run, jobs_missing=reason)
    return replace(run, jobs_missing=reason, phase=Phase.UNKNOWN, conclusion=None, ended_at=None)


def pipeline_of(entry: Json, repo: str, pipelines: Iterable[Pipeline]) -> Pipeline | None:
    """The configured pipeline that a `workflow-run` belongs to; one that names its branch goes first."""
    path, branch = _text(entry.get("path")).partition("@")[0], _text(entry.get("head_branch"))
    names = {path.rpartition("/")[2], str(entry.get("workflow_id"))}
    mine = [
        pipeline
        for pipeline in pipelines
        if same_repo(pipeline, repo) and workflow_of(pipeline) in names and pipeline.get("branch") in {None, branch}
    ]
    return min(mine, key=lambda pipeline: pipeline.get("branch") is None, default=None)


def same_repo(pipeline: Pipeline, repo: str) -> bool:
    """GitHub's names of owners and repositories know no case."""
    return (pipeline.get("repo") or "").casefold() == repo.casefold()


def workflow_of(pipeline: Pipeline) -> str:
    """The workflow's file name or id, as the API takes it: a path is cut down to its last part."""
    return (pipeline.get("workflow") or "").rpartition("/")[2]


def _run_phase(entry: Json) -> tuple[Phase, Conclusion | None]:
    if entry.get("status") == "completed" and entry.get("conclusion") == "action_required":
        return Phase.WAITING, None  # it waits for somebody's approval, and goes on under the same id
    return _phase(entry)


def _phase(entry: Json) -> tuple[Phase, Conclusion | None]:
    status, conclusion = entry.get("status"), entry.get("conclusion")
    if status == "completed" and isinstance(conclusion, str) and conclusion in _ENDS:
        return Phase.ENDED, _ENDS[conclusion]
    if isinstance(status, str) and status in _GOING_ON and conclusion is None:
        return _GOING_ON[status], None
    return _LATER_ON


def _open_phase(run: Run, jobs: tuple[Job, ...]) -> Phase:
    """A run may wait for an approval in one job while another runs: then it runs."""
    if any(job.phase is Phase.RUNNING for job in jobs):
        return Phase.RUNNING
    return Phase.UNKNOWN if run.phase is Phase.ENDED else run.phase


def _harder(run: Run, jobs: tuple[Job, ...]) -> Conclusion | None:
    """A run that failed because a runner was lost is lost: it is given the longer time to settle."""
    lost = any(job.conclusion is Conclusion.LOST and job.attempt == run.attempt for job in jobs)
    return Conclusion.LOST if lost and run.conclusion in _BROKEN_OFF else run.conclusion


def _has_open_steps(steps: object) -> bool:
    if not isinstance(steps, list):
        return False
    return any(not isinstance(step, Mapping) or step.get("status") != "completed" for step in steps)


def _reported(entry: Json) -> str:
    words = (_text(entry.get("status")), _text(entry.get("conclusion")))
    return ", ".join(word for word in words if word)


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _login(value: object) -> str:
    return _text(value.get("login")) if isinstance(value, Mapping) else ""


def _is_bot(value: object) -> bool:
    return _of(value, "type") == "Bot" or _login(value).endswith("[bot]")


def _of(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

"""GitHub's JSON as runs and jobs. Pure. A word or a shape that is not in these tables never means "ended".

Source: the REST API's schemas `workflow-run` and `job` (github/rest-api-description).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from bot.ci.ends import BROKEN_OFF, NOT_KNOWN, with_jobs
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.http.client import garbled
from bot.http.values import Json, inner, instant, is_count, text, words

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


def run_from(entry: Json, pipeline: Pipeline) -> Run:
    """One `workflow-run`, without jobs. Raises Failed (garbled) if it has no id or creation time.

    One that does not say its attempt is at its first. One that ended without saying when has no `ended_at`: only its
    jobs can tell.
    """
    run_id, created_at = entry.get("id"), instant(entry.get("created_at"))
    if not is_count(run_id) or created_at is None:
        raise garbled("GitHub's answer names a run without its id or creation time")
    attempt, updated_at = entry.get("run_attempt", 1), instant(entry.get("updated_at"))
    phase, conclusion = _run_phase(entry)
    starter = inner(entry, "triggering_actor") or inner(entry, "actor")
    author = inner(inner(entry, "head_commit"), "author")
    unreadable = updated_at is None and entry.get("updated_at") is not None
    if phase is Phase.ENDED and (unreadable or not is_count(attempt)):
        phase, conclusion = NOT_KNOWN
    return Run(
        ref=RunRef(pipeline, str(run_id), text(entry.get("html_url"))),
        title=text(entry.get("display_title")) or text(entry.get("name")),
        actor=text(starter.get("login")) or text(inner(entry, "actor").get("login")),
        trigger=text(entry.get("event")),
        phase=phase,
        conclusion=conclusion,
        attempt=attempt if is_count(attempt) else 1,
        created_at=created_at,
        started_at=instant(entry.get("run_started_at")),
        ended_at=updated_at if phase is Phase.ENDED else None,
        reported=words(entry.get("status"), entry.get("conclusion")),
        branch=text(entry.get("head_branch")),
        commit=text(entry.get("head_sha")),
        author=text(author.get("name")),
        author_email=text(author.get("email")),
        by_bot=entry.get("event") == "schedule" or _is_bot(starter),
        first_actor=text(inner(entry, "actor").get("login")),
    )


def job_from(entry: Json, newest_attempt: int) -> Job:
    """One `job`. One that does not say its attempt counts to the newest. Raises Failed (garbled) without an id."""
    if not is_count(entry.get("id")):
        raise garbled("GitHub's answer names a job without its id")
    attempt, ended_at = entry.get("run_attempt", newest_attempt), instant(entry.get("completed_at"))
    phase, conclusion = _phase(entry)
    if phase is Phase.ENDED and (ended_at is None or not is_count(attempt)):
        phase, conclusion = NOT_KNOWN
    if conclusion in BROKEN_OFF and _has_open_steps(entry.get("steps")):
        conclusion = Conclusion.LOST
    return Job(
        id=str(entry["id"]),
        name=text(entry.get("name")),
        attempt=attempt if is_count(attempt) else newest_attempt,
        phase=phase,
        conclusion=conclusion,
        started_at=instant(entry.get("started_at")),
        ended_at=ended_at if phase is Phase.ENDED else None,
        host=text(entry.get("runner_name")) or None,
        reported=words(entry.get("status"), entry.get("conclusion")),
        url=text(entry.get("html_url")),
    )


def completed(run: Run, jobs: Iterable[Json]) -> Run:
    """The run with its jobs. It has ended only if every job of every attempt has; its end is the latest one known.

    Where the run does not say when it ended, a job of its newest attempt must.
    """
    parts = tuple(job_from(entry, run.attempt) for entry in jobs)
    newest = [job for job in parts if job.attempt == run.attempt]
    is_open = any(job.attempt > run.attempt for job in parts) or (run.ended_at is None and not newest)
    others = [Phase.UNKNOWN] if is_open else []
    return with_jobs(run, parts, newest=newest, others=others, harder=(Conclusion.LOST,))


def home_of(entry: Json, asked: Pipeline, pipelines: Collection[Pipeline]) -> Pipeline:
    """The configured pipeline that a `workflow-run` belongs to; else the one that was asked for.

    One that names its branch goes first.
    """
    if asked in pipelines:
        return asked
    path, branch = text(entry.get("path")).partition("@")[0], text(entry.get("head_branch"))
    repo, names = asked.get("repo") or "", {path.rpartition("/")[2], str(entry.get("workflow_id"))}
    mine = [
        pipeline
        for pipeline in pipelines
        if same_repo(pipeline, repo) and workflow_of(pipeline) in names and pipeline.get("branch") in {None, branch}
    ]
    return min(mine, key=lambda pipeline: pipeline.get("branch") is None, default=asked)


def same_repo(pipeline: Pipeline, repo: str) -> bool:
    """GitHub's names of owners and repositories know no case."""
    return (pipeline.get("repo") or "").casefold() == repo.casefold()


def workflow_of(pipeline: Pipeline) -> str:
    """The workflow's file name or id, as the API takes it: a path is cut down to its last part."""
    return (pipeline.get("workflow") or "").rpartition("/")[2]


def _run_phase(entry: Json) -> tuple[Phase, Conclusion | None]:
    if entry.get("status") == "completed" and entry.get("conclusion") == "action_required":
        return Phase.WAITING, None  # it waits for someone's approval, and continues under the same id
    return _phase(entry)


def _phase(entry: Json) -> tuple[Phase, Conclusion | None]:
    status, conclusion = entry.get("status"), entry.get("conclusion")
    if status == "completed" and isinstance(conclusion, str) and conclusion in _ENDS:
        return Phase.ENDED, _ENDS[conclusion]
    if isinstance(status, str) and status in _GOING_ON and conclusion is None:
        return _GOING_ON[status], None
    return NOT_KNOWN


def _has_open_steps(steps: object) -> bool:
    if not isinstance(steps, list):
        return False
    return any(not isinstance(step, Mapping) or step.get("status") != "completed" for step in steps)


def _is_bot(account: Json) -> bool:
    return account.get("type") == "Bot" or text(account.get("login")).endswith("[bot]")

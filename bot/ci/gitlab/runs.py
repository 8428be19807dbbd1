"""GitLab's JSON as runs and jobs. Pure. A word or a shape that is not in these tables never means "ended".

Source: the Pipelines and Jobs APIs (https://docs.gitlab.com/api/pipelines/, https://docs.gitlab.com/api/jobs/) and
GitLab's `Enums::Ci::CommitStatus` for the reasons of failures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from operator import itemgetter

from bot.ci.ends import BROKEN_OFF, NOT_KNOWN, at_newest_attempt, dated, with_jobs
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.http.client import garbled
from bot.http.values import Json, inner, instant, is_count, text, words

GOING_ON: Mapping[str, Phase] = {
    "created": Phase.WAITING,
    "waiting_for_resource": Phase.WAITING,
    "waiting_for_callback": Phase.WAITING,
    "preparing": Phase.WAITING,
    "pending": Phase.WAITING,
    "manual": Phase.WAITING,
    "scheduled": Phase.WAITING,
    "running": Phase.RUNNING,
    "canceling": Phase.ENDING,
}
_ENDS: Mapping[str, Conclusion] = {
    "success": Conclusion.SUCCESS,
    "failed": Conclusion.FAILED,
    "canceled": Conclusion.CANCELLED,
    "skipped": Conclusion.SKIPPED,
}
_REASONS: Mapping[str, Conclusion] = {
    # the runner itself reported these, or refused the job before it ran anything
    "script_failure": Conclusion.FAILED,
    "missing_dependency_failure": Conclusion.FAILED,
    "runner_unsupported": Conclusion.FAILED,
    "runner_configuration_error": Conclusion.FAILED,
    "unmet_prerequisites": Conclusion.FAILED,
    "secrets_provider_not_found": Conclusion.FAILED,
    "job_execution_timeout": Conclusion.TIMED_OUT,
}
"""Why a job failed. Every other reason (no news from the runner, the server's time-out, …) is the server's verdict."""

_NOTHING_STARTED = frozenset(
    {
        "insufficient_bridge_permissions",
        "downstream_bridge_project_not_found",
        "invalid_bridge_trigger",
        "upstream_bridge_project_not_found",
        "insufficient_upstream_permissions",
        "bridge_pipeline_is_child_pipeline",
        "downstream_pipeline_creation_failed",
        "reached_max_descendant_pipelines_depth",
        "reached_max_pipeline_hierarchy_size",
        "reached_downstream_pipeline_trigger_rate_limit",
        "downstream_project_trigger_resolved_to_empty",
        "protected_environment_failure",
        "pipeline_loop_detected",
    }
)
"""Why a trigger job failed without having started a pipeline."""

_BOT_USER = re.compile(r"(?:project|group)_\d+_bot(?:_[0-9a-z]+)?\d*|service_account_.+")


def run_from(entry: Json, pipeline: Pipeline) -> Run:
    """One pipeline as GitLab calls it, without jobs. Raises Failed (garbled) if it has no id or creation time."""
    run_id, created_at = entry.get("id"), instant(entry.get("created_at"))
    if not is_count(run_id) or created_at is None:
        raise garbled("GitLab's answer names a pipeline without its id or creation time")
    ended_at = max(filter(None, (instant(entry.get(key)) for key in ("finished_at", "updated_at"))), default=None)
    phase, conclusion, ended_at = dated(*_phase(entry), ended_at)
    return Run(
        ref=RunRef(pipeline, str(run_id), text(entry.get("web_url"))),
        title=text(entry.get("name")) or f"{text(entry.get('source'))} on {text(entry.get('ref'))}",
        actor=text(inner(entry, "user").get("username")),
        trigger=text(entry.get("source")),
        phase=phase,
        conclusion=conclusion,
        attempt=1,
        created_at=created_at,
        started_at=instant(entry.get("started_at")),
        ended_at=ended_at,
        reported=text(entry.get("status")),
        branch=text(entry.get("ref")),
        commit=text(entry.get("sha")),
        actor_email=text(inner(entry, "user").get("public_email")),
        by_bot=entry.get("source") == "schedule" or _is_bot(inner(entry, "user")),
        project=str(entry["project_id"]) if is_count(entry.get("project_id")) else "",
    )


def authored(run: Run, jobs: Iterable[Json]) -> Run:
    """The run with its commit's author, whom GitLab names with each job."""
    commits = (inner(entry, "commit") for entry in jobs)
    mine = next((commit for commit in commits if run.commit and commit.get("id") == run.commit), {})
    return replace(run, author=text(mine.get("author_name")), author_email=text(mine.get("author_email")))


def jobs_from(entries: Iterable[Json], *, parent: Run, hosts: Mapping[int, str]) -> tuple[Job, ...]:
    """The jobs of one pipeline, oldest first. GitLab numbers no attempts: jobs of one name are those of one another.

    Raises Failed (garbled) for a job without its id.
    """
    entries = list(entries)
    if not all(is_count(entry.get("id")) for entry in entries):
        raise garbled("GitLab's answer names a job without its id")
    tries: Counter[str] = Counter()
    jobs = []
    for entry in sorted(entries, key=itemgetter("id")):
        name = text(entry.get("name"))
        tries[name] += 1
        jobs.append(_job(entry, tries[name], parent=parent, host=hosts.get(entry["id"])))
    return tuple(jobs)


def has_started(entry: Json) -> bool:
    return instant(entry.get("started_at")) is not None


def bridge_phase(entry: Json, parent: Run) -> Phase:
    """Whether a trigger job is over. One that started a pipeline which GitLab does not name is never known to be."""
    phase, conclusion = _phase(entry)
    is_idle = "started_at" in entry and entry["started_at"] is None
    if parent.phase is Phase.ENDED and is_idle and _is_optional(entry):
        return Phase.ENDED
    if phase is not Phase.ENDED or inner(entry, "downstream_pipeline"):
        return phase
    started_nothing = is_idle or text(entry.get("failure_reason")) in _NOTHING_STARTED
    if conclusion is Conclusion.SKIPPED or (conclusion in BROKEN_OFF and started_nothing):
        return Phase.ENDED
    return Phase.UNKNOWN


def completed(run: Run, jobs: tuple[Job, ...], others: Iterable[Phase]) -> Run:
    """The run with its jobs. It has ended only if every job of every attempt has, and all `others` with it.

    `others` are its trigger jobs and the pipelines that they started.
    """
    newest = {job.name: job for job in jobs}  # a pipeline only knows `failed`: the newest try of each job tells how
    return with_jobs(at_newest_attempt(run, jobs), jobs, newest=newest.values(), others=others)


def may_lack_jobs(entry: Json) -> bool:
    """Whether a pipeline may have ended without a single job: it never began (its configuration was faulty)."""
    return "started_at" in entry and entry["started_at"] is None


def same_ref(wanted: str | None, ref: str | None) -> bool:
    """Whether a branch or tag is the wanted one; GitLab writes it short or in full (`refs/heads/main`)."""
    return wanted is None or ref in {wanted, f"refs/heads/{wanted}", f"refs/tags/{wanted}"}


def same_project(pipeline: Pipeline, project: str) -> bool:
    """GitLab finds projects by path in any case."""
    return (pipeline.get("project") or "").casefold() == project.casefold()


def home_of(entry: Json, asked: Pipeline, pipelines: Collection[Pipeline]) -> Pipeline:
    """The configured pipeline that one of GitLab's belongs to; else the one that was asked for.

    One that names its ref goes first.
    """
    if asked in pipelines:
        return asked
    project, ref = asked.get("project") or "", text(entry.get("ref"))
    mine = [p for p in pipelines if same_project(p, project) and same_ref(p.get("ref"), ref)]
    return min(mine, key=lambda pipeline: pipeline.get("ref") is None, default=asked)


def _job(entry: Json, attempt: int, *, parent: Run, host: str | None) -> Job:
    phase, conclusion = _job_phase(entry, parent)
    ended_at = instant(entry.get("finished_at"))
    if phase is Phase.ENDED and conclusion is not Conclusion.SKIPPED and ended_at is None:
        phase, conclusion = NOT_KNOWN
    return Job(
        id=str(entry["id"]),
        name=text(entry.get("name")),
        attempt=attempt,
        phase=phase,
        conclusion=conclusion,
        started_at=instant(entry.get("started_at")),
        ended_at=ended_at if phase is Phase.ENDED else None,
        host=host,
        reported=words(entry.get("status"), entry.get("failure_reason")),
        url=text(entry.get("web_url")),
    )


def _job_phase(entry: Json, parent: Run) -> tuple[Phase, Conclusion | None]:
    phase, conclusion = _phase(entry)
    if parent.phase is Phase.ENDED and _is_optional(entry) and _never_ran(entry):
        return Phase.ENDED, Conclusion.SKIPPED
    if phase is not Phase.ENDED:
        return phase, None
    if conclusion is Conclusion.SKIPPED:
        return (Phase.ENDED, conclusion) if entry.get("started_at") is None else (Phase.UNKNOWN, None)
    if conclusion in BROKEN_OFF and _never_ran(entry):
        return Phase.ENDED, Conclusion.SKIPPED
    if conclusion is Conclusion.FAILED:
        return Phase.ENDED, _REASONS.get(text(entry.get("failure_reason")), Conclusion.LOST)
    return phase, conclusion


def _phase(entry: Json) -> tuple[Phase, Conclusion | None]:
    status = entry.get("status")
    if not isinstance(status, str):
        return NOT_KNOWN
    if status in _ENDS:
        return Phase.ENDED, _ENDS[status]
    return GOING_ON.get(status, Phase.UNKNOWN), None


def _is_bot(user: Json) -> bool:
    """Access tokens of projects and groups, and service accounts, act as users of these names.

    https://docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects
    """
    return user.get("bot") is True or _BOT_USER.fullmatch(text(user.get("username"))) is not None


def _is_optional(entry: Json) -> bool:
    """A manual job that a pipeline ends without, as long as nobody starts it (`allow_failure: true`)."""
    return entry.get("status") == "manual" and entry.get("allow_failure") is True


def _never_ran(entry: Json) -> bool:
    """Whether GitLab says outright that no runner ever took the job; a field that is missing says nothing."""
    return all(key in entry and entry[key] is None for key in ("started_at", "runner"))

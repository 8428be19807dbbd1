"""Azure DevOps's JSON as runs and jobs. Pure. A word or a shape that is not in these tables never means "ended".

Source: `Build`, `Timeline` and `TimelineRecord` of the Build API 7.1; the sentences of the server's own `issues`
are those of the agent's troubleshooting page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.ci.ends import BROKEN_OFF, NOT_KNOWN, at_newest_attempt, dated, with_jobs
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.http.client import garbled
from bot.http.values import Json, inner, instant, is_count, objects, text, words

_GOING_ON: Mapping[str, Phase] = {
    "none": Phase.UNKNOWN,
    "inProgress": Phase.RUNNING,
    "cancelling": Phase.ENDING,
    "postponed": Phase.WAITING,
    "notStarted": Phase.WAITING,
}
_BUILD_ENDS: Mapping[str, Conclusion] = {
    "succeeded": Conclusion.SUCCESS,
    "partiallySucceeded": Conclusion.FAILED,  # a part of it did not succeed, and that part may hold the lock
    "failed": Conclusion.FAILED,
    "canceled": Conclusion.CANCELLED,
}
_JOB_ENDS: Mapping[str, Conclusion] = {
    "succeeded": Conclusion.SUCCESS,
    "succeededWithIssues": Conclusion.SUCCESS,
    "failed": Conclusion.FAILED,
    "canceled": Conclusion.CANCELLED,
    "skipped": Conclusion.SKIPPED,
    "abandoned": Conclusion.LOST,
}
_GIVEN_UP = frozenset({Conclusion.FAILED, Conclusion.LOST})
_LOST = re.compile(
    r"stopped hearing from agent|lost communication with the server|agent .{0,200}did not connect", re.IGNORECASE
)
_TOO_LONG = re.compile(r"ran longer than the maximum time", re.IGNORECASE)
_MACHINE = re.compile(r"Agent machine name: '([^'\r\n]{1,255})'")
_HOSTED = re.compile(r"(Hosted\b.*|Azure Pipelines(?: [0-9]+)?)", re.IGNORECASE)
_SERVICE = re.compile(r"^Microsoft\.VisualStudio\.Services\.|\bBuild Service\b", re.IGNORECASE)
_SHORT_HEADS = ("refs/heads/", "refs/tags/")


@dataclass(frozen=True, slots=True)
class BuildTimeline:
    """One timeline's records, with the ids of the timelines of earlier attempts that it names."""

    records: tuple[Json, ...]
    earlier: tuple[str, ...]

    @property
    def jobs(self) -> tuple[Json, ...]:
        return tuple(record for record in self.records if record["type"] == "Job")

    def tasks_of(self, job: Json) -> tuple[Json, ...]:
        return tuple(one for one in self.records if one["type"] == "Task" and one.get("parentId") == job["id"])


def run_from(build: Json, pipeline: Pipeline, url: str) -> Run:
    """One `Build`, without jobs. Raises Failed (garbled) if it has no id or time of queueing."""
    build_id, queued_at = build.get("id"), _instant(build.get("queueTime"))
    if not is_count(build_id) or queued_at is None:
        raise garbled("Azure DevOps's answer names a build without its id or the time it was queued")
    phase, conclusion, ended_at = dated(*_build_phase(build), _instant(build.get("finishTime")))
    starter = inner(build, "requestedFor")
    return Run(
        ref=RunRef(pipeline, str(build_id), url),
        title=_title(build),
        actor=_person(starter) or _person(inner(build, "requestedBy")),
        trigger=text(build.get("reason")),
        phase=phase,
        conclusion=conclusion,
        attempt=1,
        created_at=queued_at,
        started_at=_instant(build.get("startTime")),
        ended_at=ended_at,
        reported=words(build.get("status"), build.get("result")),
        branch=_branch(text(build.get("sourceBranch"))),
        commit=text(build.get("sourceVersion")),
        actor_email=_address(starter) or _address(inner(build, "requestedBy")),
        by_bot=build.get("reason") == "schedule" or _is_service(starter),
    )


def authored(run: Run, changes: object) -> Run:
    """The run with its commit's author, as `Change` tells it, if that commit is among the changes."""
    mine = (change for change in objects(changes) if run.commit and change.get("id") == run.commit)
    author = inner(next(mine, {}), "author")
    return replace(run, author=_person(author), author_email=_address(author))


def timeline_from(body: Json, about: str) -> BuildTimeline:
    """Raises Failed (garbled) if a record has no id or type: it might be a job."""
    records = body.get("records")
    if not isinstance(records, list) or not all(_is_record(record) for record in records):
        raise garbled(f"Azure DevOps's timeline of {about} has a different form than documented")
    earlier = [_earlier(attempt, about) for record in records for attempt in _attempts(record, about)]
    return BuildTimeline(tuple(records), tuple(dict.fromkeys(earlier)))


def job_from(record: Json, tasks: Iterable[Json], host: str | None) -> Job:
    """One record of type `Job`. With a step that is still running it has not ended, unless the agent was given up.

    With a step that was abandoned it is lost: nobody reported that step's end.
    """
    tasks = tuple(tasks)
    phase, conclusion = _record_phase(record)
    ended_at = _instant(record.get("finishTime"))
    conclusion = _by_issues(conclusion, record.get("issues"))
    if phase is Phase.ENDED and any(task.get("result") == "abandoned" for task in tasks):
        conclusion = Conclusion.LOST
    if phase is Phase.ENDED and any(_goes_on(task) for task in tasks):
        given_up = conclusion in _GIVEN_UP
        phase, conclusion = (Phase.ENDED, Conclusion.LOST) if given_up else (Phase.RUNNING, None)
    if conclusion is Conclusion.CANCELLED and _never_began(record):
        conclusion = Conclusion.SKIPPED
    if phase is Phase.ENDED and ended_at is None and conclusion is not Conclusion.SKIPPED:
        phase, conclusion = NOT_KNOWN
    attempt = record.get("attempt")
    return Job(
        id=text(record.get("id")),
        name=text(record.get("name")),
        attempt=attempt if is_count(attempt) else 1,
        phase=phase,
        conclusion=conclusion,
        started_at=_instant(record.get("startTime")),
        ended_at=ended_at if phase is Phase.ENDED else None,
        host=host,
        reported=words(record.get("state"), record.get("result")),
    )


def completed(run: Run, jobs: Iterable[Job], *, goes_on: bool) -> Run:
    """The run with its jobs. `goes_on` says that a stage or another record without a host still does.

    It has ended only if nothing of it is running; its end is the latest one known.
    """
    parts = tuple(sorted(jobs, key=lambda job: (job.attempt, job.started_at or run.created_at)))
    run = at_newest_attempt(run, parts)
    newest = [job for job in parts if job.attempt == run.attempt]
    done = with_jobs(run, parts, newest=newest, others=[Phase.UNKNOWN] if goes_on else [])
    return replace(done, phase=Phase.ENDING) if run.phase is Phase.ENDING else done


def never_began(run: Run) -> Run | None:
    """A build that was cancelled in the queue has no job: as a run with one that was skipped; None for all others."""
    if run.started_at is not None or run.conclusion is not Conclusion.CANCELLED:
        return None
    part = Job(run.ref.id, "no job was started", 1, Phase.ENDED, Conclusion.SKIPPED, None, None, reported=run.reported)
    return replace(run, jobs=(part,))


def record_goes_on(record: Json) -> bool:
    """Whether a stage, a phase or a checkpoint is under way; one that only waits holds nothing."""
    return record["type"] not in {"Job", "Task"} and _goes_on(record)


def machine_in(log: str) -> str | None:
    """The host name that the agent prints at the head of a job's log."""
    found = _MACHINE.search(log)
    return found[1] if found else None


def own_agent(record: Json) -> str | None:
    """The agent's name where it may be a host's: Microsoft's own agents are all called alike."""
    name = text(record.get("workerName"))
    return name if name and not _HOSTED.fullmatch(name) else None


def definition_of(build: Json) -> str:
    """The id of the build's definition; empty if it does not say."""
    value = inner(build, "definition").get("id")
    return str(value) if is_count(value) else ""


def _build_phase(build: Json) -> tuple[Phase, Conclusion | None]:
    status, result = text(build.get("status")), build.get("result")
    if status == "completed" and isinstance(result, str) and result in _BUILD_ENDS:
        return Phase.ENDED, _BUILD_ENDS[result]
    phase = _GOING_ON.get(status, Phase.UNKNOWN)
    if phase is Phase.WAITING and (result not in (None, "none") or build.get("startTime") is not None):
        return NOT_KNOWN
    return phase, None


def _record_phase(record: Json) -> tuple[Phase, Conclusion | None]:
    state, result = record.get("state"), record.get("result")
    if state == "completed" and isinstance(result, str) and result in _JOB_ENDS:
        return Phase.ENDED, _JOB_ENDS[result]
    if state == "inProgress":
        return Phase.RUNNING, None
    if state == "pending" and result is None and record.get("startTime") is None:
        return Phase.WAITING, None
    return NOT_KNOWN


def _goes_on(record: Json) -> bool:
    return record.get("state") not in ("pending", "completed")


def _never_began(record: Json) -> bool:
    return all(record.get(key) is None for key in ("startTime", "finishTime", "workerName", "log"))


def _by_issues(conclusion: Conclusion | None, issues: object) -> Conclusion | None:
    """The server says in a sentence, not in the result, that it lost the agent or that the time was up."""
    if conclusion not in BROKEN_OFF:
        return conclusion
    said = " ".join(text(issue.get("message")) for issue in objects(issues))
    if _LOST.search(said):
        return Conclusion.LOST
    return Conclusion.TIMED_OUT if _TOO_LONG.search(said) else conclusion


def _is_record(record: object) -> bool:
    return isinstance(record, Mapping) and bool(text(record.get("id"))) and bool(text(record.get("type")))


def _attempts(record: Json, about: str) -> list[object]:
    attempts = record.get("previousAttempts")
    if attempts is None:
        return []
    if not isinstance(attempts, list):
        raise garbled(f"Azure DevOps's timeline of {about} does not list earlier attempts as documented")
    return attempts


def _earlier(attempt: object, about: str) -> str:
    timeline = text(attempt.get("timelineId")) if isinstance(attempt, Mapping) else ""
    if not re.fullmatch(r"[0-9A-Fa-f-]{8,40}", timeline):
        raise garbled(f"Azure DevOps's timeline of {about} names an earlier attempt without its id")
    return timeline.lower()


def _title(build: Json) -> str:
    message = text(inner(build, "triggerInfo").get("ci.message"))
    name = text(inner(build, "definition").get("name"))
    return message or " ".join(part for part in (name, text(build.get("buildNumber"))) if part)


def _branch(ref: str) -> str:
    return next((ref.removeprefix(head) for head in _SHORT_HEADS if ref.startswith(head)), ref)


def _person(account: Json) -> str:
    return text(account.get("displayName")) or text(account.get("uniqueName"))


def _address(account: Json) -> str:
    """On the service a person's unique name is an address; on a server it is a domain with a user."""
    name = text(account.get("uniqueName"))
    return name if "@" in name else ""


def _is_service(account: Json) -> bool:
    """The server itself, and the accounts under which pipelines ask for others."""
    return _SERVICE.search(_person(account)) is not None


def _instant(value: object) -> datetime | None:
    """Azure DevOps writes the year 1 where it has no instant."""
    at = instant(value)
    return at if at is not None and at.year > 1 else None

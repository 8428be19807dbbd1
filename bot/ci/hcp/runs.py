"""HCP Terraform's JSON as runs and jobs. Pure. A run's jobs are its plan and its apply.

Source: "Run states" of the Runs API, "Plan states", "Apply states" and "Using HCP Terraform agents" of the plans' and
applies' API. A word or a shape that is not in these tables never means "ended".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bot.ci.ends import NOT_KNOWN, dated, with_jobs
from bot.core.joblog.lines import LONGEST_LINE
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.hcp.api import SYSTEM, Resource
from bot.hcp.runs import (
    ENDS,
    GOING_ON,
    author_of,
    begun_at,
    created_at,
    ended_at,
    latest,
    status_of,
    was_cancelled,
    was_forced,
)
from bot.http.client import Sink, garbled
from bot.http.values import inner, instant, text, words

PARTS = {"plan": "plans", "apply": "applies"}
"""What a run is made of, with the type of each."""

_AT_WORK: Mapping[str, Phase] = {
    "pending": Phase.WAITING,
    "managed_queued": Phase.WAITING,
    "queued": Phase.WAITING,
    "running": Phase.RUNNING,
}
_OVER: Mapping[str, Conclusion] = {
    "finished": Conclusion.SUCCESS,
    "errored": Conclusion.FAILED,
    "canceled": Conclusion.CANCELLED,
    "unreachable": Conclusion.SKIPPED,
}
_END_TIMES = ("finished-at", "errored-at", "canceled-at", "force-canceled-at")
_PROGRAMS = ("tfe-configuration-version", "tfe-run-trigger", "tfe-infrastructure-lifecycle", "assessment")
"""Sources that no person started. https://developer.hashicorp.com/terraform/cloud-docs/api-docs/run#run-sources"""


def run_from(entry: Resource, pipeline: Pipeline, page: str) -> Run:
    """One run without jobs. Raises Failed (garbled) if it has no creation time."""
    created = created_at(entry)
    if created is None:
        raise garbled(f"{SYSTEM}'s answer names run {entry.id} without its creation time")
    phase, conclusion, ended = dated(*_phase(entry), ended_at(entry))
    author, trigger = author_of(entry), words(*(entry.attributes.get(key) for key in ("source", "trigger-reason")))
    return Run(
        ref=RunRef(pipeline, entry.id, page),
        title=text(entry.attributes.get("message")),
        actor=author,
        trigger=trigger,
        phase=phase,
        conclusion=conclusion,
        attempt=1,
        created_at=created,
        started_at=begun_at(entry),
        ended_at=ended,
        reported=status_of(entry),
        by_bot=not author and text(entry.attributes.get("source")) in _PROGRAMS,
    )


def completed(run: Run, entry: Resource, parts: Mapping[str, Resource]) -> Run:
    """The run with its plan and its apply, as far as they began. It has ended only if both have."""
    jobs = tuple(
        job for name, part in parts.items() if (job := _job(name, part, run)) is not None and _counts(job, name)
    )
    return _forced(with_jobs(run, jobs, newest=jobs), entry)


def log_address(part: Resource) -> str:
    return text(part.attributes.get("log-read-url"))


class Plain:
    """Takes a log as archivist has it, and hands on what a person would read: without the signs for its beginning and
    end, and of structured output (`terraform … -json`) the time and the message of each line.

    Source: "Structured run output" of HCP Terraform's workspace settings; `LogReader` of HashiCorp's go-tfe.
    """

    def __init__(self, into: Sink) -> None:
        self._into = into
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk.translate(None, b"\x02\x03")).split(b"\n")
        if len(self._rest) > LONGEST_LINE:  # no line of Terraform's is that long
            lines, self._rest = [*lines, self._rest], b""
        if lines:
            self._into.feed(b"".join(_plain(line) + b"\n" for line in lines))

    def gap(self) -> None:
        self.close()
        self._into.gap()

    def close(self) -> None:
        if self._rest:
            self._into.feed(_plain(self._rest) + b"\n")
        self._rest = b""


def _plain(line: bytes) -> bytes:
    if not (line.startswith(b"{") and b'"@message"' in line):
        return line
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return line
    at = instant(said.get("@timestamp"))
    stamp = "" if at is None else f"{at:%Y-%m-%dT%H:%M:%S.%fZ} "
    return (stamp + text(said.get("@message"))).encode()


def _phase(entry: Resource) -> tuple[Phase, Conclusion | None]:
    status = status_of(entry)
    if status in ENDS:
        return Phase.ENDED, ENDS[status]
    if status not in GOING_ON:
        return NOT_KNOWN
    return (Phase.ENDING if was_cancelled(entry) else GOING_ON[status]), None


def _forced(run: Run, entry: Resource) -> Run:
    """A forced end is the server's: it unlocks the workspace at once, whatever an agent still does."""
    if run.phase is not Phase.ENDED or not was_forced(entry):
        return run
    jobs = tuple(
        replace(job, conclusion=Conclusion.LOST) if job.conclusion is Conclusion.CANCELLED else job
        for job in run.jobs or ()
    )
    return replace(run, conclusion=Conclusion.LOST, jobs=jobs)


def _counts(job: Job, name: str) -> bool:
    """An apply that waits for the plan, or never came, is no job yet; a plan always is."""
    return name == "plan" or job.started_at is not None or job.phase not in {Phase.WAITING, Phase.ENDED}


def _job(name: str, part: Resource, run: Run) -> Job | None:
    status, times = text(part.attributes.get("status")), inner(part.attributes, "status-timestamps")
    phase, conclusion = (Phase.ENDED, _OVER[status]) if status in _OVER else (_AT_WORK.get(status, Phase.UNKNOWN), None)
    started, ended = _started(name, times, run, phase), latest(times.get(key) for key in _END_TIMES)
    if phase is Phase.ENDED and conclusion is not Conclusion.SKIPPED and ended is None:
        phase, conclusion = NOT_KNOWN
    if phase is Phase.RUNNING and run.phase is Phase.ENDING:
        phase = Phase.ENDING
    details = inner(part.attributes, "execution-details")
    return Job(
        id=part.id,
        name=name,
        attempt=1,
        phase=phase,
        conclusion=conclusion,
        started_at=started,
        ended_at=ended if phase is Phase.ENDED else None,
        host=text(details.get("agent-name")) or f"{SYSTEM} ({text(details.get('mode')) or 'remote'})",
        reported=status,
        url=run.ref.url,
    )


def _started(name: str, times: Mapping[str, object], run: Run, phase: Phase) -> datetime | None:
    """A plan begins when the run's turn comes, with the lock, and not only once a worker has it."""
    own = instant(times.get("started-at"))
    if name != "plan" or run.started_at is None or phase is Phase.WAITING:
        return own
    return run.started_at if own is None else min(own, run.started_at)

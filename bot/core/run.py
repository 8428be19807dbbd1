"""Runs, their attempts and jobs, in one vocabulary for all CI systems.

An adapter maps what its system says to these values and keeps the system's own word in `reported`, so that people
can check it. A word that the adapter does not know becomes `Phase.UNKNOWN`, never `Phase.ENDED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.core.systems import SYSTEMS


class Phase(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Conclusion(StrEnum):
    """How something ended. `SKIPPED` never ran; `LOST` is an end that only the server declared."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    LOST = "lost"
    SKIPPED = "skipped"


ENDED: Mapping[str | None, str] = {
    Conclusion.SUCCESS: "succeeded",
    Conclusion.FAILED: "failed",
    Conclusion.CANCELLED: "was cancelled",
    Conclusion.TIMED_OUT: "timed out",
    Conclusion.LOST: "was lost by CI",
    Conclusion.SKIPPED: "was skipped",
    None: "ended in an unknown way",
}
"""How a run ended, as the verb of a sentence about it; None where nobody knows how."""


class Start(StrEnum):
    """What starts a run, as far as the system's own word for the trigger tells."""

    SCHEDULE = "a schedule"
    PIPELINE = "another pipeline"
    REQUEST = "a webhook or an API call"


_STARTS = {
    Start.SCHEDULE: ("schedule", "timer", "cron"),
    Start.PIPELINE: ("workflow_run", "pipeline", "upstream", "completion"),
    Start.REQUEST: ("dispatch", "trigger", "api", "hook", "remote"),
}
"""What the systems' words contain: `schedule`, `TimerTrigger`, `workflow_run`, `repository_dispatch` …"""


def start_of(trigger: str) -> Start | None:
    word = trigger.lower()
    return next((start for start, parts in _STARTS.items() if any(part in word for part in parts)), None)


_LEAVES = frozenset(system.leaf for system in SYSTEMS)
_SCOPES = frozenset(system.scope for system in SYSTEMS if system.scope)


@dataclass(frozen=True, slots=True, order=True)
class Pipeline:
    """What a CI system has to run, as the configuration names it.

    `ci` is the key in the configuration's `ci` section. `fields` are the entry's other keys in the order of the
    file (`repo`, `workflow`, `branch` for GitHub). `system` is the CI system's proper name, empty where it is not
    known. Hashable: it is a key in evidence.
    """

    ci: str
    fields: tuple[tuple[str, str], ...]
    system: str = field(default="", compare=False)

    def get(self, key: str) -> str | None:
        return dict(self.fields).get(key)

    @property
    def title(self) -> str:
        """A name for people: `deploy.yml in acme/infra`."""
        leaf, scope = self._leaf, self._scope
        return f"{leaf} in {scope}" if leaf and scope else leaf or scope or self.ci

    @property
    def short(self) -> str:
        """The same without where it is, for a line on a phone: `deploy.yml`."""
        return self._leaf or self._scope or self.ci

    @property
    def _leaf(self) -> str:
        return next((value for key, value in self.fields if key in _LEAVES), "")

    @property
    def _scope(self) -> str:
        return next((value for key, value in self.fields if key in _SCOPES), "")

    def may_share_runs(self, other: Pipeline) -> bool:
        """Whether a run of one may be a run of the other: nothing that both name differs. For pipelines of one system.

        A name and a number may mean the same project or workflow, and so may a name and its path's end.
        """
        values = dict(other.fields)
        return all(_may_mean(value, values[key]) for key, value in self.fields if key in values)


def _may_mean(one: str, other: str) -> bool:
    short, long = sorted((one.casefold().strip("/"), other.casefold().strip("/")), key=len)
    return short == long or long.endswith(f"/{short}") or one.isdigit() != other.isdigit()


@dataclass(frozen=True, slots=True, order=True)
class RunRef:
    """One execution of a pipeline. `id` is the system's own; `url` is for people and is not part of the identity."""

    pipeline: Pipeline
    id: str
    url: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a run on one runner, in one attempt. Times are aware; None means that the system gave none.

    `host` is the name of the runner, agent, machine or task that ran it, as far as the system tells; most often a
    label. `machine` is the host name that its processes had, where the system itself says that.
    """

    id: str
    name: str
    attempt: int
    phase: Phase
    conclusion: Conclusion | None
    started_at: datetime | None
    ended_at: datetime | None
    host: str | None = None
    reported: str = ""
    url: str = ""
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run as last read. `attempt` is the newest attempt's ordinal; `started_at` is that attempt's start.

    `jobs` holds the jobs of all attempts, or None where they were not asked for or could not be read; then
    `jobs_missing` says why. `ended_at` is the newest attempt's end as the system gives it (for GitHub `updated_at`).
    `actor` started attempt 1; where `first_actor` is given, that one did, and `actor` the newest attempt.
    `author` and `author_email` are of the commit, as its writer gave them; lists may lack them. `by_bot`: the system
    says that no person started it (a bot, a schedule, a service); without that it may have been a program all the same.
    `project` is the number of its project, where the system's machines carry that in their names.
    """

    ref: RunRef
    title: str
    actor: str
    trigger: str
    phase: Phase
    conclusion: Conclusion | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    reported: str = ""
    branch: str = ""
    commit: str = ""
    jobs: tuple[Job, ...] | None = None
    jobs_missing: str | None = None
    actor_email: str = ""
    author: str = ""
    author_email: str = ""
    by_bot: bool = False
    first_actor: str = ""
    project: str = ""


class CancelResult(StrEnum):
    """What a system answered to a request to end a run. `ACCEPTED` is intent, never death. `NOT_YET` is worth asking
    again.
    """

    ACCEPTED = "accepted"
    NOT_POSSIBLE = "not possible now"
    NOT_YET = "not possible yet"
    ALREADY_ENDED = "already ended"
    DENIED = "denied"
    NOT_FOUND = "not found"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Cancelled:
    result: CancelResult
    detail: str = ""


class SwitchResult(StrEnum):
    """What became of stopping or starting a pipeline's source (a workflow, a schedule)."""

    DONE = "done"
    DENIED = "denied"
    NOT_FOUND = "not found"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Switched:
    result: SwitchResult
    detail: str = ""

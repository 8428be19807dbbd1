"""A run of HCP Terraform: whether it is over, when it began, and how it is ended. Every end names this very run.

Sources: "Run states", "Discard", "Cancel" and "Forcefully cancel a run" of the Runs API, `RunStatus` of HashiCorp's
go-tfe. A word that is not in these tables never means "ended".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import httpx
from httpx import codes

from bot.core.run import Conclusion, Phase
from bot.hcp.api import ADMIN, API, APPLY, SYSTEM, Resource, one
from bot.http.client import Absent, Client, denied
from bot.http.values import inner, instant, text

GOING_ON: Mapping[str, Phase] = {
    "pending": Phase.WAITING,
    "fetching": Phase.WAITING,
    "fetching_completed": Phase.WAITING,
    "pre_plan_running": Phase.RUNNING,
    "pre_plan_completed": Phase.WAITING,
    "queuing": Phase.WAITING,
    "plan_queued": Phase.WAITING,
    "planning": Phase.RUNNING,
    "planned": Phase.WAITING,
    "planned_and_saved": Phase.WAITING,
    "cost_estimating": Phase.RUNNING,
    "cost_estimated": Phase.WAITING,
    "policy_checking": Phase.RUNNING,
    "policy_override": Phase.WAITING,
    "policy_checked": Phase.WAITING,
    "post_plan_running": Phase.RUNNING,
    "post_plan_completed": Phase.WAITING,
    "post_plan_awaiting_decision": Phase.WAITING,
    "confirmed": Phase.WAITING,
    "queuing_apply": Phase.WAITING,
    "apply_queued": Phase.WAITING,
    "pre_apply_running": Phase.RUNNING,
    "pre_apply_completed": Phase.WAITING,
    "applying": Phase.RUNNING,
}
ENDS: Mapping[str, Conclusion] = {
    "applied": Conclusion.SUCCESS,
    "planned_and_finished": Conclusion.SUCCESS,
    "policy_soft_failed": Conclusion.FAILED,
    "errored": Conclusion.FAILED,
    "discarded": Conclusion.CANCELLED,
    "canceled": Conclusion.CANCELLED,
    # the server unlocks at once, whatever an agent still does
    "force_canceled": Conclusion.LOST,
}
_ID = re.compile(r"run-[A-Za-z0-9]{4,32}")
_BEFORE = frozenset({"plan-queueable-at", "queuable-at"})
"""Of `status-timestamps`: when the run was made, and waited for the workspace."""


_FORCED = "force-canceled-at"


class End(StrEnum):
    """What the API takes to end a run, gentlest first."""

    DISCARD = "discard"
    CANCEL = "cancel"
    FORCE = "force-cancel"

    @property
    def needs(self) -> str:
        return ADMIN if self is End.FORCE else APPLY


@dataclass(frozen=True, slots=True)
class CoolOff:
    """A run that was cancelled may be ended by force only from `until` on; None where the API does not say when."""

    until: datetime | None


def is_run_id(value: str) -> bool:
    """Whether a run's id, which people type, can be one of this system."""
    return _ID.fullmatch(value) is not None


async def read_run(client: Client, run_id: str, *, include: str = "created_by", tries: int = 1) -> Resource:
    about = f"run {run_id}"
    if not is_run_id(run_id):
        raise Absent(about)
    found = await one(client, f"{API}/runs/{run_id}", about, "runs", include=include, tries=tries)
    if found.id != run_id:
        raise Absent(about)
    return found


def status_of(run: Resource) -> str:
    return text(run.attributes.get("status"))


def is_over(run: Resource) -> bool:
    return status_of(run) in ENDS


def created_at(run: Resource) -> datetime | None:
    return instant(run.attributes.get("created-at"))


def begun_at(run: Resource) -> datetime | None:
    """When its turn came, from when on it has the workspace's lock; None if it still waits for that.

    The earliest of the times that the API names, so that it is never later than the lock.
    """
    times = inner(run.attributes, "status-timestamps")
    known = (instant(value) for key, value in times.items() if key not in _BEFORE)
    return min((at for at in known if at is not None), default=None)


def ended_at(run: Resource) -> datetime | None:
    """When it came to its end; None where the API does not name the time of that very end, but only earlier ones.

    The attribute `canceled-at` is when the end was asked for.
    """
    times = inner(run.attributes, "status-timestamps")
    own = {f"{status_of(run).replace('_', '-')}-at", _FORCED if status_of(run) == "canceled" else ""}
    return latest(times.get(key) for key in own) and latest(times.values())


def latest(values: Iterable[object]) -> datetime | None:
    known = (instant(value) for value in values)
    return max((at for at in known if at is not None), default=None)


def was_forced(run: Resource) -> bool:
    return status_of(run) == "force_canceled" or _FORCED in inner(run.attributes, "status-timestamps")


def author_of(run: Resource) -> str:
    """The login of who started it; empty where the API does not say."""
    user = run.along("created-by")
    return "" if user is None else text(user.attributes.get("username"))


def was_cancelled(run: Resource) -> bool:
    return instant(run.attributes.get("canceled-at")) is not None


def next_end(run: Resource, *, force: bool) -> End | CoolOff | None:
    """How this run may be ended now, by the API's own word; None if it may not. By force only what was cancelled."""
    may = inner(run.attributes, "actions")
    if may.get("is-discardable") is True:
        return End.DISCARD
    if not was_cancelled(run):
        return End.CANCEL if may.get("is-cancelable") is True else None
    if not force:
        return None
    if may.get("is-force-cancelable") is True:
        return End.FORCE
    return CoolOff(instant(run.attributes.get("force-cancel-available-at")))


async def ask_end(client: Client, run_id: str, end: End, leaving: Callable[[], None] | None = None) -> bool:
    """Asks for the end of this run, once. False if it is not in a state that may be ended so: then nothing was done.

    Right after the run was read: "not found" then means that the right is missing.
    """
    about = f"run {run_id}"
    answer = await client.send(
        "POST",
        f"{API}/runs/{run_id}/actions/{end}",
        about,
        doing=_DOING[end],
        needs=end.needs,
        json={"comment": "Ended by tflock"},
        passing=_says,
        tries=1,
        leaving=leaving,
    )
    if answer.status_code == codes.NOT_FOUND:
        raise denied(f"{SYSTEM} denies {_DOING[end]} {about} (404): the token's team or user needs {end.needs}")
    return answer.is_success


_DOING = {End.DISCARD: "discarding", End.CANCEL: "cancelling", End.FORCE: "forcing the end of"}


def _says(answer: httpx.Response) -> bool:
    return answer.status_code in {codes.NOT_FOUND, codes.CONFLICT}

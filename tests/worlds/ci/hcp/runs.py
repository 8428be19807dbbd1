"""What HCP Terraform's stand-in knows: workspaces with their locks and states, and runs with their life cycles.

Sources: "Run states" and the run actions of the Runs API, "Workspaces", "State versions" and "Plans" of HCP Terraform.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

FINAL = frozenset(
    ("applied", "planned_and_finished", "policy_soft_failed", "errored", "discarded", "canceled", "force_canceled")
)
PAUSED = frozenset(("planned", "cost_estimated", "policy_checked", "policy_override", "post_plan_completed"))
_SIGNS = string.ascii_letters + string.digits


def new_id(kind: str) -> str:
    return f"{kind}-" + "".join(secrets.choice(_SIGNS) for _ in range(16))


@dataclass(slots=True)
class Step:
    """A plan or an apply."""

    id: str
    status: str = "pending"
    times: dict[str, datetime] = field(default_factory=dict)
    log: str = ""


@dataclass(slots=True)
class RunRecord:
    """`due` is when a cancel comes to its end; None for one that takes no notice of it."""

    id: str
    workspace: Workspace
    created_at: datetime
    user: str
    status: str
    plan: Step
    apply: Step
    times: dict[str, datetime] = field(default_factory=dict)
    message: str = "Triggered via UI"
    source: str = "tfe-ui"
    plan_only: bool = False
    agent: str = ""
    canceled_at: datetime | None = None
    due: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in FINAL

    @property
    def ended_at(self) -> datetime | None:
        return max(self.times.values()) if self.has_ended else None


@dataclass(slots=True)
class StateRecord:
    """`run` is the one that made it, empty for what Terraform uploaded from elsewhere."""

    id: str
    at: datetime
    text: bytes
    status: str = "finalized"
    run: str = ""


@dataclass(slots=True)
class Workspace:
    """`locked_by` is type and id of the holder. `odd` goes before what a document says of the lock."""

    id: str
    organization: str
    name: str
    updated_at: datetime
    locked_by: tuple[str, str] | None = None
    reason: str = ""
    states: list[StateRecord] = field(default_factory=list)
    odd: Mapping[str, Any] | None = None
    project: str = "Default Project"
    tags: tuple[str, ...] = ()

    @property
    def is_locked(self) -> bool:
        return self.locked_by is not None or self.odd is not None


class HcpRuns:
    """`now` is the stand-in's clock; `cancel_delay` how long a run takes to heed a cancel, `cool_off` how long force is
    kept back after it.
    """

    def __init__(self, now: Callable[[], datetime], cancel_delay: timedelta, cool_off: timedelta) -> None:
        self._now = now
        self.cancel_delay = cancel_delay
        self.cool_off = cool_off
        self.workspaces: dict[str, Workspace] = {}
        self.all: dict[str, RunRecord] = {}
        self.accounts: dict[str, str] = {}
        """Names by id: `user-…` and `team-…`."""

    def add_workspace(self, organization: str, name: str, **more: Any) -> Workspace:
        found = next(
            (one for one in self.workspaces.values() if (one.organization, one.name) == (organization, name)), None
        )
        if found is None:
            found = Workspace(new_id("ws"), organization, name, self._now(), **more)
            self.workspaces[found.id] = found
        return found

    def account(self, name: str, kind: str = "user") -> str:
        known = next((key for key, value in self.accounts.items() if value == name and key.startswith(kind)), None)
        if known is None:
            known = new_id(kind)
            self.accounts[known] = name
        return known

    def start_run(
        self,
        workspace: Workspace,
        *,
        at: datetime | None = None,
        queued: bool = False,
        user: str = "elliott",
        run_id: str | None = None,
        **more: Any,
    ) -> RunRecord:
        """A run that plans, and has the workspace's lock if that is free; `queued` it waits for that."""
        at = at or self._now()
        run = RunRecord(
            run_id or new_id("run"), workspace, at, user, "pending", Step(new_id("plan")), Step(new_id("apply")), **more
        )
        self.account(user)
        self.all[run.id] = run
        run.times["plan-queueable-at"] = at
        if not queued:
            self.begin(run, at)
        return run

    def begin(self, run: RunRecord, at: datetime | None = None) -> None:
        at = at or self._now()
        run.status = "planning"
        run.times |= {"plan-queued-at": at, "planning-at": at}
        run.plan.status, run.plan.times = "running", {"queued-at": at, "started-at": at}
        if not run.workspace.is_locked and not run.plan_only:
            run.workspace.locked_by, run.workspace.updated_at = ("runs", run.id), at

    def pause(self, run: RunRecord, at: datetime | None = None) -> None:
        """It has planned, and waits to be confirmed."""
        self._close(run.plan, "finished", at or self._now())
        run.status = "planned"
        run.times["planned-at"] = at or self._now()

    def confirm(self, run: RunRecord, at: datetime | None = None) -> None:
        at = at or self._now()
        run.status = "applying"
        run.times |= {"confirmed-at": at, "apply-queued-at": at, "applying-at": at}
        run.apply.status, run.apply.times = "running", {"queued-at": at, "started-at": at}

    def finish(self, run: RunRecord, status: str, *, at: datetime | None = None) -> None:
        """It ends so, in whatever it is doing, and its lock goes with it."""
        at = at or self._now()
        ends = {"errored": "errored", "canceled": "canceled", "force_canceled": "canceled"}
        for step in (run.plan, run.apply):
            if step.status == "running":
                self._close(step, ends.get(status, "finished"), at)
                if status == "force_canceled":
                    step.times["force-canceled-at"] = step.times.pop("canceled-at")
        if run.plan.status == "pending":
            run.plan.status = "unreachable"
        if run.apply.status == "pending":
            run.apply.status = "unreachable"
        run.status, run.due = status, None
        run.times[f"{status.replace('_', '-')}-at"] = at
        if run.workspace.locked_by == ("runs", run.id):
            self.unlock(run.workspace)

    def lock(self, workspace: Workspace, holder: str, *, reason: str = "", at: datetime | None = None) -> None:
        """A user or a team takes the lock."""
        assert not workspace.is_locked
        workspace.locked_by = (f"{holder.partition('-')[0]}s", holder)
        workspace.reason, workspace.updated_at = reason, at or self._now()

    def unlock(self, workspace: Workspace) -> None:
        workspace.locked_by, workspace.odd, workspace.reason = None, None, ""
        workspace.updated_at = self._now()
        waiting = [run for run in self.all.values() if run.workspace is workspace and run.status == "pending"]
        if waiting:
            self.begin(min(waiting, key=lambda run: run.created_at))

    def cancel(self, run: RunRecord) -> bool:
        if run.has_ended or run.status in PAUSED or run.canceled_at is not None:
            return False
        run.canceled_at = self._now()
        run.due = run.canceled_at + self.cancel_delay
        return True

    def discard(self, run: RunRecord) -> bool:
        if run.status not in {*PAUSED, "pending"}:
            return False
        self.finish(run, "discarded")
        return True

    def may_force(self, run: RunRecord) -> bool:
        return run.canceled_at is not None and not run.has_ended and self._now() >= run.canceled_at + self.cool_off

    def force(self, run: RunRecord) -> bool:
        if not self.may_force(run):
            return False
        self.finish(run, "force_canceled")
        return True

    def settle(self) -> None:
        for run in self.all.values():
            if run.due is not None and run.due <= self._now():
                self.finish(run, "canceled", at=run.due)

    def put_state(self, workspace: Workspace, text: bytes, *, status: str = "finalized", run: str = "") -> StateRecord:
        made = StateRecord(new_id("sv"), self._now(), text, status, run)
        workspace.states.append(made)
        return made

    def _close(self, step: Step, status: str, at: datetime) -> None:
        step.status = status
        step.times[f"{status}-at"] = at

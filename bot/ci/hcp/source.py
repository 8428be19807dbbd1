"""HCP Terraform and Terraform Enterprise, whose workspaces run Terraform themselves, for `bot.ci.frame.Source`.

A pipeline is a workspace. docs/ci/hcp.md says what is asked and which traps are behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import httpx
from pydantic import SecretStr

from bot.ci.ends import already_ended, without_jobs
from bot.ci.frame import Configured, Reading, remember, why
from bot.ci.hcp.runs import PARTS, Plain, completed, log_address, run_from
from bot.ci.hcp.urls import run_in, run_page
from bot.core.joblog.reader import LogReader
from bot.core.run import Cancelled, CancelResult, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.core.systems import HCP
from bot.hcp.api import API, APPLY, HCPS, SYSTEM, Resource, client_of, listing, one, way_to, workspace_path
from bot.hcp.runs import (
    GOING_ON,
    CoolOff,
    End,
    ask_end,
    created_at,
    is_over,
    next_end,
    read_run,
)
from bot.http.client import Absent, Failed, denied, together
from bot.http.values import inner, text

_TRIES = 3
_LONGEST_RUN = timedelta(days=30)
"""A run that waits longer for a confirmation, and ends then, is not in the list; while it waits it is."""

_TAKEN = {
    End.DISCARD: "the run was waiting, and is discarded",
    End.CANCEL: f"{SYSTEM} accepted the request; the run ends when its Terraform does",
    End.FORCE: f"{SYSTEM} ends the run at once and unlocks the workspace; what an agent started may still be running",
}


class HcpTerraform:
    """Asks one installation on behalf of the configured pipelines. `token_name` is what people know the token by.

    An `http` that is passed in is closed with this.
    """

    system = server = HCP.name
    escalate_after = timedelta(seconds=75)
    """A run is given a cool-off of about a minute after a cancel, in which it cannot be ended by force."""

    def __init__(
        self,
        configured: Configured,
        *,
        base_url: str = HCPS,
        token: SecretStr,
        token_name: str = "TFE_TOKEN",  # noqa: S107 - the name of a variable, not a secret
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.configured = configured
        self._address = base_url.rstrip("/")
        clock, limits = configured.clock, configured.limits
        self.client = client_of(self._address, token, token_name, clock=clock, limits=limits, http=http)
        self._workspaces: dict[str, str] = {}

    def ref_from_url(self, url: str) -> RunRef | None:
        found = run_in(url, self._address)
        if found is None:
            return None
        pipeline = next((each for each in self.configured.mine if _name(each) == found.scope), None)
        return None if pipeline is None else RunRef(pipeline, found.run_id, url)

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:
        path = f"{API}/workspaces/{await self._workspace_id(pipeline, afresh=True)}/runs"
        about, far = f"the runs of {_name(pipeline)}", since - _LONGEST_RUN

        def is_older(entry: Resource) -> bool:
            created = created_at(entry)
            return created is not None and created < far

        # the active ones first: one that ends in between is among the young ones
        at_work = await listing(self.client, path, about, "runs", {"filter[status]": ",".join(GOING_ON)}, tries=_TRIES)
        young = await listing(self.client, path, about, "runs", {}, until=is_older, tries=_TRIES)
        entries = {entry.id: entry for entry in (*at_work, *young)}
        return [self._run_from(entry, pipeline) for entry in entries.values()]

    async def run(self, ref: RunRef) -> Run:
        return (await self._read(ref))[0]

    async def log(self, run: Run, job: Job, reading: Reading) -> tuple[LogReader, bool]:
        """A log grows while its plan or apply does."""
        kind, about = PARTS.get(job.name, "plans"), f"the log of the {job.name} of run {run.ref.id}"
        if not job.id.isascii() or not job.id.replace("-", "").isalnum():
            raise Absent(about)
        part = await one(self.client, f"{API}/{kind}/{job.id}", about, kind, tries=_TRIES)
        address = log_address(part)
        if not address:
            raise Absent(about)
        into = reading.new()
        plain = Plain(into)
        is_read = await self.client.stream(way_to(self.client, address), about, plain, reading.portion, follows=True)
        plain.close()
        return into, is_read

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        """Ends a run by the gentlest way that there is now; by force only what was cancelled, after its cool-off."""
        try:
            run, entry = await self._read(ref)
        except Absent:
            await self._check_right(ref.pipeline)
            raise
        if is_over(entry):
            return already_ended(run)
        asked = await self._asked(run, entry, force=force)
        if asked is not None:
            return asked
        run, entry = await self._read(ref)
        if is_over(entry):
            return already_ended(run)
        return Cancelled(CancelResult.NOT_POSSIBLE, f"{SYSTEM} cannot end it in this state ({run.reported})")

    async def _asked(self, run: Run, entry: Resource, *, force: bool) -> Cancelled | None:
        """What became of asking for the end of a run that is not over; None if it may not be ended as it is."""
        end = next_end(entry, force=force)
        if isinstance(end, CoolOff):
            when = "later" if end.until is None else f"from {end.until:%H:%M:%S} UTC on"
            return Cancelled(CancelResult.NOT_YET, f"it was cancelled, and may be ended by force {when}")
        if end is None and not force and run.phase is Phase.ENDING:
            return Cancelled(CancelResult.ACCEPTED, "it was cancelled before; the run ends when its Terraform does")
        if end is None or not await ask_end(self.client, entry.id, end):
            return None
        if force and end is End.CANCEL:
            return Cancelled(CancelResult.NOT_YET, "it was cancelled only now, and may be ended by force later")
        return Cancelled(CancelResult.ACCEPTED, _TAKEN[end])

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        """A workspace has no switch for what starts its runs. Says so, and changes nothing."""
        await self._workspace_id(pipeline, afresh=True)
        word = "started again" if on else "stopped"
        detail = f"the bot cannot have it {word}: its runs are started by its VCS, its triggers, the API or people"
        return Switched(SwitchResult.DENIED, detail)

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:  # noqa: ARG002 - there is no switch
        return False

    async def _read(self, ref: RunRef) -> tuple[Run, Resource]:
        """A run of this workspace, with its plan and its apply. Ids are of the whole installation."""
        entry = await read_run(self.client, ref.id, include="plan,apply,created_by", tries=_TRIES)
        if entry.points_at("workspace") != ("workspaces", await self._workspace_id(ref.pipeline)):
            raise Absent(f"run {ref.id} in {_name(ref.pipeline)}")
        run = self._run_from(entry, ref.pipeline)
        try:
            found = await together(*(self._part(entry, name) for name in PARTS))
        except (Absent, Failed) as error:
            return without_jobs(run, why(SYSTEM, error)), entry
        parts = {name: part for name, part in zip(PARTS, found, strict=True) if part is not None}
        if "plan" not in parts:
            return without_jobs(run, f"{SYSTEM} shows no plan of run {ref.id}"), entry
        return completed(run, entry, parts), entry

    async def _part(self, entry: Resource, name: str) -> Resource | None:
        """The plan or the apply of a run; None if it has none."""
        there = entry.points_at(name)
        if there is None:
            return None
        about = f"the {name} of run {entry.id}"
        return entry.along(name) or await one(
            self.client, f"{API}/{PARTS[name]}/{there[1]}", about, PARTS[name], tries=_TRIES
        )

    async def _workspace_id(self, pipeline: Pipeline, *, afresh: bool = False) -> str:
        """Lists ask `afresh`: a workspace that is renamed keeps its id, and one of its old name has another."""
        name = _name(pipeline)
        if name not in self._workspaces or afresh:
            remember(self._workspaces, name, (await self._workspace(pipeline)).id)
        return self._workspaces[name]

    async def _workspace(self, pipeline: Pipeline) -> Resource:
        workspace = pipeline.get("workspace") or ""
        path = workspace_path(pipeline.get("organization") or "", workspace)
        found = await one(self.client, path, f"workspace {_name(pipeline)}", "workspaces", tries=_TRIES)
        if text(found.attributes.get("name")).casefold() != workspace.casefold():
            raise Absent(f"workspace {_name(pipeline)}")
        return found

    async def _check_right(self, pipeline: Pipeline) -> None:
        """Raises Failed if the token may end no run of the workspace: "not found" does not tell."""
        found = await self._workspace(pipeline)
        if inner(found.attributes, "permissions").get("can-queue-apply") is False:
            raise denied(f"{SYSTEM} lets the token end no run of {_name(pipeline)}: its team or user needs {APPLY}")

    def _run_from(self, entry: Resource, pipeline: Pipeline) -> Run:
        organization, workspace = pipeline.get("organization") or "", pipeline.get("workspace") or ""
        return run_from(entry, pipeline, run_page(self._address, organization, workspace, entry.id))


def _name(pipeline: Pipeline) -> str:
    return f"{pipeline.get('organization')}/{pipeline.get('workspace')}"

"""Azure DevOps, as a service and as a server with collections, for `bot.ci.frame.Source`.

A run is a build. A build that counts as completed may still have a job that is running, so ends are judged by the
timelines of all attempts. docs/ci/azure-devops.md says what is asked and which traps are behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.azure.api import SYSTEM, AzureApi, stamp
from bot.ci.azure.jobs import JobReader, Parts
from bot.ci.azure.runs import authored, completed, definition_of, never_began, run_from
from bot.ci.azure.urls import (
    build_in,
    definition_number,
    definition_path,
    definition_words,
    page_of,
    project_of,
    project_path,
    run_path,
    run_words,
)
from bot.ci.ends import already_ended, without_jobs
from bot.ci.frame import Configured, Reading, going_on_since, remember, why
from bot.core.joblog.reader import LogReader
from bot.core.run import Cancelled, CancelResult, Conclusion, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.http.client import Absent, Failed, both, garbled, together
from bot.http.values import Json, inner, text

_GOING_ON = ("postponed", "notStarted", "inProgress", "cancelling")
"""In the order in which a build goes through them. The API documents one status for a list, and not several."""

_LINGERS = timedelta(hours=6)
"""A cancelled build was seen running two hours more; for so long its jobs are looked at before its end is believed."""
_MOST_LINGERING = 30
_OFF = frozenset({"paused", "disabled"})
_TRIES = 2
_NO = frozenset({codes.BAD_REQUEST, codes.CONFLICT})
_NO_FORCE = (
    "Azure DevOps was asked to cancel it already and knows no harder way: "
    "it ends when its agent does, so stop the agent's process or its machine"
)


class AzureDevOps:
    """Asks one organisation or collection on behalf of the configured pipelines.

    `base_url` ends with the organisation (`https://dev.azure.com/acme`) or the collection
    (`https://host/tfs/Collection`). `token_name` is what people know the token by. An `http` that is passed in is
    closed with this.
    """

    system = server = SYSTEM
    escalate_after = timedelta(minutes=5)
    """A cancelled job has five minutes by default (`cancelTimeoutInMinutes`)."""

    def __init__(
        self,
        configured: Configured,
        *,
        base_url: str,
        token: SecretStr,
        token_name: str = "AZURE_DEVOPS_TOKEN",  # noqa: S107 - the name of a variable, not a secret
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.configured = configured
        self._base_url = base_url
        self._api = AzureApi(base_url, token, token_name, configured, http)
        self.client = self._api.client
        self._jobs = JobReader(self._api)
        self._over: dict[tuple[str, datetime | None], Run] = {}
        self._project_ids: dict[str, str] = {}

    def ref_from_url(self, url: str) -> RunRef | None:
        def is_in(known: Pipeline, named: str) -> bool:
            name = self._project_ids.get(named.casefold(), named)
            return project_of(known).casefold() == name.casefold()

        return self.configured.linked("project", is_in, build_in(url, self._base_url), url)

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:
        number = definition_number(pipeline)
        path, about = f"{project_path(pipeline)}/_apis/build/builds", f"the builds of {definition_words(pipeline)}"
        going_on = {"definitions": number, "queryOrder": "queueTimeDescending"}
        # minTime is compared with the time that queryOrder names; without a queryOrder of finish times it means another
        ended = {
            "definitions": number,
            "statusFilter": "completed",
            "queryOrder": "finishTimeDescending",
            "minTime": stamp(since),
        }
        # one after the other: a build that moves to its next status meanwhile is in both lists instead of in none
        entries = [
            build
            for status in _GOING_ON
            for build in await self._api.builds(path, about, {**going_on, "statusFilter": status})
        ]
        entries += await self._api.builds(path, about, ended)
        if not entries:
            await self._api.get_object(definition_path(pipeline), definition_words(pipeline))

        mapped = [self._listed(build, pipeline) for build in entries if definition_of(build) in {"", number}]
        runs = {run.ref: run for run in mapped}.values()
        return await self._settled(going_on_since(since, runs))

    def _listed(self, build: Json, pipeline: Pipeline) -> Run:
        self._learn(build, pipeline)
        return run_from(build, pipeline, page_of(self._base_url, project_of(pipeline), str(build.get("id"))))

    async def _settled(self, runs: list[Run]) -> list[Run]:
        """The runs, with those cancelled recently as their jobs show them: `completed` may come before the end."""
        lately = self.configured.clock.now() - _LINGERS
        cancelled = (run for run in runs if run.conclusion is Conclusion.CANCELLED)
        lingering = [run for run in cancelled if run.ended_at is not None and run.ended_at >= lately]
        looked = await together(*(self._lingering(run) for run in lingering[:_MOST_LINGERING]))
        looked += [without_jobs(run, "") for run in lingering[_MOST_LINGERING:]]
        fresh = {run.ref: replace(run, jobs=None, jobs_missing=None) for run in looked}
        return [fresh.get(run.ref, run) for run in runs]

    async def _lingering(self, run: Run) -> Run:
        key = (run.ref.id, run.ended_at)
        if key in self._over:
            return self._over[key]
        full = _join(run, await self._parts(run.ref, hosts=False))
        if full.phase is Phase.ENDED:
            remember(self._over, key, full)
        return full

    async def run(self, ref: RunRef) -> Run:
        return await self._run(ref, hosts=True)

    async def _run(self, ref: RunRef, *, hosts: bool) -> Run:
        about = run_words(ref)
        build, parts = await both(self._api.get_object(run_path(ref), about), self._parts(ref, hosts=hosts))
        run = self._listed(build, self._home(ref, build))
        if run.ref.id != ref.id:
            raise garbled(f"Azure DevOps answered with another build than {about}")
        return _join(await self._authored(run) if hosts and run.by_bot else run, parts)

    async def _authored(self, run: Run) -> Run:
        """A build that no person asked for, with its commit's author; it goes without one that cannot be read."""
        try:
            async with asyncio.timeout(self.configured.limits.overall / 5):
                changes = await self._api.get_object(f"{run_path(run.ref)}/changes", f"the changes of {run.ref.id}")
        except (Absent, Failed, TimeoutError):
            return run
        return authored(run, changes.get("value"))

    async def _parts(self, ref: RunRef, *, hosts: bool) -> Parts | str | None:
        """The jobs of all attempts, None if there is no timeline, or why they could not be read."""
        try:
            return await self._jobs.read(run_path(ref), f"the timeline of {run_words(ref)}", hosts=hosts)
        except (Absent, Failed) as error:
            return why(SYSTEM, error)

    async def log(self, run: Run, job: Job, reading: Reading) -> tuple[LogReader, bool]:
        """Every step has a log of its own."""
        path, about = run_path(run.ref), f"the timeline of {run_words(run.ref)}"
        into = reading.new()
        return into, await self._jobs.log(path, about, job, into, reading.portion)

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        run = await self._run(ref, hosts=False)
        if run.phase is Phase.ENDED:
            return already_ended(run)
        if run.reported.startswith("completed"):
            detail = (
                "Azure DevOps calls it completed, so it cannot be cancelled again, but parts of it are still running"
            )
            return Cancelled(CancelResult.NOT_POSSIBLE, detail)
        if force and run.phase is Phase.ENDING:
            return Cancelled(CancelResult.NOT_POSSIBLE, _NO_FORCE)
        # one try only: a second request would meet the first one's effect and hear that it cannot be done
        answer = await self._api.send(
            "PATCH",
            run_path(ref),
            run_words(ref),
            doing="cancelling",
            body={"status": "cancelling"},
            passing=lambda answer: answer.status_code in _NO,
            tries=1,
        )
        if answer.status_code not in _NO:
            return Cancelled(
                CancelResult.ACCEPTED, "Azure DevOps accepted the request; the build ends when its agent does"
            )
        run = await self._run(ref, hosts=False)
        if run.phase is Phase.ENDED:
            return already_ended(run)
        return Cancelled(CancelResult.NOT_POSSIBLE, f"Azure DevOps cannot cancel it in this state ({run.reported})")

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        """A definition is replaced completely, with the revision that was read; someone else's change goes first."""
        path, about = definition_path(pipeline), definition_words(pipeline)
        for _ in range(_TRIES):
            definition = await self._api.get_object(path, about)
            if _is_switched(definition, on=on):
                return Switched(SwitchResult.DONE)
            changed = {**definition, "queueStatus": "enabled" if on else "paused"}
            await self._api.send(
                "PUT",
                path,
                about,
                doing="changing",
                body=changed,
                passing=lambda answer: answer.status_code == codes.CONFLICT,
                tries=1,
            )
        raise garbled(f"{about} was being changed by someone else at the same time")

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:
        definition = await self._api.get_object(definition_path(pipeline), definition_words(pipeline))
        return _is_switched(definition, on=on)

    def _learn(self, build: Json, pipeline: Pipeline) -> None:
        """Pages are often linked with the project's id; which project that is, builds tell."""
        identity = text(inner(build, "project").get("id"))
        if identity:
            self._project_ids[identity.casefold()] = project_of(pipeline)

    def _home(self, ref: RunRef, build: Json) -> Pipeline:
        """The configured pipeline of the build's definition; else the one that was asked for."""
        project, number = project_of(ref.pipeline).casefold(), definition_of(build)
        mine = (known for known in self.configured.mine if project_of(known).casefold() == project)
        return next((known for known in mine if (known.get("definition") or "").strip() == number), ref.pipeline)


def _join(run: Run, parts: Parts | str | None) -> Run:
    if isinstance(parts, str):
        return without_jobs(run, parts)
    if parts is not None and (parts.jobs or parts.goes_on):
        return completed(run, parts.jobs, goes_on=parts.goes_on)
    if run.phase is Phase.ENDED and parts is None:
        return never_began(run) or without_jobs(run, "Azure DevOps keeps no timeline of it")
    return never_began(run) or replace(run, jobs=())


def _is_switched(definition: Json, *, on: bool) -> bool:
    return text(definition.get("queueStatus")) in ({"enabled"} if on else _OFF)

"""GitHub Actions, on github.com and on GitHub Enterprise Server, as a `bot.ports.RunSource`.

A re-run keeps its run's id and creation time, so lists are read from far enough back and ends are judged by the jobs
of all attempts. docs/ci/github-actions.md says what is asked and which traps are behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.github.api import SYSTEM, GitHubApi, Limits
from bot.ci.github.runs import completed, pipeline_of, run_from, same_repo, without_jobs, workflow_of
from bot.ci.github.urls import run_in
from bot.core.evidence import Found, Observation, Trouble
from bot.core.run import (
    Cancelled,
    CancelResult,
    Phase,
    Pipeline,
    Run,
    RunRef,
    Switched,
    SwitchResult,
)
from bot.http.client import Absent, Failed, both, observe
from bot.ports.clock import Clock

T = TypeVar("T")
Json = Mapping[str, Any]

# A run may be re-run until 30 days after its first start, and each attempt may last 35 days, waiting included:
# https://docs.github.com/en/actions/reference/limits and .../manage-workflow-runs/re-run-workflows-and-jobs
_FARTHEST_BACK = timedelta(days=30 + 35)
# Of a workflow with too many runs to read that far back, the completed ones are read from here on. What that leaves out
# has ended by GitHub's word: a re-run of an older run, or a run of more than three days.
_YOUNG = timedelta(days=3)
_FIRST_GUESS = 2
_MOST_GUESSED = 10
_OR_UNSEEN = ", or the token may not see it"


class GitHubActions:
    """Asks one GitHub on behalf of the configured pipelines. `token_name` is what people know the token by.

    A client that is passed in is closed with this source. `limits` are in seconds.
    """

    system = "GitHub Actions"
    escalate_after = timedelta(minutes=5)
    """GitHub ends a cancelled run by force after five minutes of its own."""

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        token: SecretStr,
        clock: Clock,
        pipelines: Iterable[Pipeline],
        token_name: str = "GITHUB_TOKEN",  # noqa: S107 - the name of a variable, not a secret
        limits: Limits | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._name = name
        self._base_url = base_url
        self._clock = clock
        self._pipelines = tuple(pipeline for pipeline in pipelines if pipeline.ci == name)
        self._limits = limits or Limits()
        self._api = GitHubApi(base_url, token, token_name, clock, self._limits, client)
        self._guesses: dict[Pipeline, int] = {}
        self._busy: set[Pipeline] = set()

    def __repr__(self) -> str:
        return f"GitHubActions({self._name!r}, {self._base_url!r})"

    @property
    def name(self) -> str:
        return self._name

    async def runs(self, pipeline: Pipeline, *, since: datetime) -> Observation[tuple[Run, ...]]:
        return await self._observe(lambda: self._runs(pipeline, since))

    async def with_jobs(self, run: Run) -> Observation[Run]:
        return await self.run(run.ref)

    async def run(self, ref: RunRef) -> Observation[Run]:
        return await self._observe(lambda: self._run(ref))

    def ref_from_url(self, url: str) -> RunRef | None:
        found = run_in(url, self._base_url)
        if found is None:
            return None
        mine = next((pipeline for pipeline in self._pipelines if same_repo(pipeline, found.repo)), None)
        if mine is None:
            return None
        return RunRef(Pipeline(self._name, (("repo", _repo(mine)),)), found.run_id, url)

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        try:
            path, about = f"{_run_path(ref)}/{'force-cancel' if force else 'cancel'}", f"cancelling {_run_words(ref)}"
            async with asyncio.timeout(self._limits.overall):
                # one try only: a second request would meet the first one's effect and be told that it cannot be done
                answer = await self._api.send("POST", path, about, passing={codes.CONFLICT}, tries=1)
        except Absent:
            return Cancelled(CancelResult.NOT_FOUND, f"GitHub does not know {_run_words(ref)}{_OR_UNSEEN}")
        except Failed as failed:
            denied = failed.trouble is Trouble.DENIED
            return Cancelled(CancelResult.DENIED if denied else CancelResult.NOT_KNOWN, failed.detail)
        except TimeoutError:
            return Cancelled(CancelResult.NOT_KNOWN, self._slow)
        if answer.status_code == codes.CONFLICT:
            return await self._conflict(ref)
        return Cancelled(CancelResult.ACCEPTED, "GitHub took the request; the run ends when its runner does")

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        path, about = f"{_workflow_path(pipeline)}/{'enable' if on else 'disable'}", _workflow_words(pipeline)
        try:
            async with asyncio.timeout(self._limits.overall):
                await self._api.send("PUT", path, f"{'enabling' if on else 'disabling'} {about}")
        except Absent:
            return Switched(SwitchResult.NOT_FOUND, f"GitHub does not know {about}{_OR_UNSEEN}")
        except Failed as failed:
            # GitHub refuses to disable what is disabled already; and after a broken answer only a look can tell
            if await self._is_switched(pipeline, on=on):
                return Switched(SwitchResult.DONE)
            denied = failed.trouble is Trouble.DENIED
            return Switched(SwitchResult.DENIED if denied else SwitchResult.NOT_KNOWN, failed.detail)
        except TimeoutError:
            done = await self._is_switched(pipeline, on=on)
            return Switched(SwitchResult.DONE) if done else Switched(SwitchResult.NOT_KNOWN, self._slow)
        return Switched(SwitchResult.DONE)

    async def aclose(self) -> None:
        await self._api.aclose()

    @property
    def _slow(self) -> str:
        return f"{SYSTEM} did not give the whole answer within {self._limits.overall:g} s"

    async def _observe(self, look: Callable[[], Awaitable[T]]) -> Observation[T]:
        return await observe(look, system=self.system, clock=self._clock, limit=self._limits.overall)

    async def _runs(self, pipeline: Pipeline, since: datetime) -> tuple[Run, ...]:
        branch = pipeline.get("branch")
        entries = await self._entries(pipeline, since)
        self._guesses[pipeline] = min(_MOST_GUESSED, max(1, -(-len(entries) // self._limits.per_page)))

        runs = [run_from(entry, pipeline) for entry in entries]
        going_on = [run for run in runs if run.ended_at is None or run.ended_at >= since]
        mine = [run for run in going_on if not branch or run.branch in {"", branch}]
        return tuple(sorted(mine, key=lambda run: (run.created_at, int(run.ref.id)), reverse=True))

    async def _entries(self, pipeline: Pipeline, since: datetime) -> list[Json]:
        branch, far = pipeline.get("branch"), since - _FARTHEST_BACK
        path, about = f"{_workflow_path(pipeline)}/runs", _workflow_words(pipeline)
        params = {"branch": branch} if branch else {}
        guess = self._guesses.get(pipeline, _FIRST_GUESS)

        few = await self._api.few_runs(path, about, params, since=far, guess=1 if pipeline in self._busy else guess)
        if few is not None:
            self._busy.discard(pipeline)
            return few
        self._busy.add(pipeline)
        return await self._api.open_and_young_runs(path, about, params, far=far, young=since - _YOUNG, guess=guess)

    async def _run(self, ref: RunRef) -> Run:
        entry, jobs = await both(self._api.get_object(_run_path(ref), _run_words(ref)), self._jobs(ref))
        run = run_from(entry, self._home(ref, entry))
        if run.ref.id != ref.id:
            raise Failed(Trouble.GARBLED, f"GitHub answered with another run than {_run_words(ref)}")
        try:
            return without_jobs(run, jobs) if isinstance(jobs, str) else completed(run, jobs)
        except Failed as failed:
            return without_jobs(run, failed.detail)

    async def _jobs(self, ref: RunRef) -> list[Json] | str:
        """The jobs of all attempts, or why they could not be read."""
        try:
            return await self._api.jobs(f"{_run_path(ref)}/jobs", f"the jobs of {_run_words(ref)}")
        except Absent as absent:
            return f"GitHub does not know {absent.what}"
        except Failed as failed:
            return failed.detail

    async def _conflict(self, ref: RunRef) -> Cancelled:
        match await self.run(ref):
            case Found(run) if run.phase is Phase.ENDED:
                return Cancelled(CancelResult.ALREADY_ENDED, f"it has ended ({run.reported})")
            case Found(run):
                return Cancelled(CancelResult.NOT_POSSIBLE, f"GitHub cannot cancel it as it stands ({run.reported})")
            case _:
                return Cancelled(CancelResult.NOT_POSSIBLE, "GitHub cannot cancel it as it stands")

    async def _is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:
        path, about = _workflow_path(pipeline), _workflow_words(pipeline)
        match await self._observe(lambda: self._api.get_object(path, about)):
            case Found({"state": str(state)}):
                return state == "active" if on else state.startswith("disabled")
            case _:
                return False

    def _home(self, ref: RunRef, entry: Json) -> Pipeline:
        if ref.pipeline in self._pipelines:
            return ref.pipeline
        return pipeline_of(entry, _repo(ref.pipeline), self._pipelines) or ref.pipeline


def _repo(pipeline: Pipeline) -> str:
    return pipeline.get("repo") or ""


def _repo_path(pipeline: Pipeline) -> str:
    return "/repos/" + "/".join(quote(part, safe="") for part in _repo(pipeline).split("/"))


def _workflow_path(pipeline: Pipeline) -> str:
    return f"{_repo_path(pipeline)}/actions/workflows/{quote(workflow_of(pipeline), safe='')}"


def _workflow_words(pipeline: Pipeline) -> str:
    return f"workflow {workflow_of(pipeline)} in {_repo(pipeline)}"


def _run_path(ref: RunRef) -> str:
    """Raises Absent for an id that cannot be one of GitHub's: people type ids."""
    if not (ref.id.isascii() and ref.id.isdigit()):
        raise Absent(_run_words(ref))
    return f"{_repo_path(ref.pipeline)}/actions/runs/{ref.id}"


def _run_words(ref: RunRef) -> str:
    return f"run {ref.id} in {_repo(ref.pipeline)}"

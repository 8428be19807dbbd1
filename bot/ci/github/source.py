"""GitHub Actions, on github.com and on GitHub Enterprise Server, for `bot.ci.frame.Source`.

A re-run keeps its run's id and creation time, so lists are read from far enough back and ends are judged by the jobs
of all attempts. docs/ci/github-actions.md says what is asked and which traps are behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import quote

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.ends import already_ended, without_jobs
from bot.ci.frame import Configured, Reading, why
from bot.ci.github.api import PER_PAGE, SYSTEM, GitHubApi
from bot.ci.github.old import OldRuns
from bot.ci.github.runs import completed, home_of, run_from, same_repo, workflow_of
from bot.ci.github.urls import run_in
from bot.core.joblog.reader import LogReader
from bot.core.run import Cancelled, CancelResult, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.core.systems import GITHUB
from bot.http.client import Absent, Failed, both, garbled
from bot.http.values import Json, is_number, text

# A run may be re-run until 30 days after its first start, and each attempt may last 35 days, waiting included:
# https://docs.github.com/en/actions/reference/limits and .../manage-workflow-runs/re-run-workflows-and-jobs
_FARTHEST_BACK = timedelta(days=30 + 35)
# Of a workflow with too many runs to read that far back, the completed ones are read from here on at every look, and
# the older ones once for a lock: bot/ci/github/old.py.
_YOUNG = timedelta(days=3)
_FIRST_GUESS = 2
_MOST_GUESSED = 10


class GitHubActions:
    """Asks one GitHub on behalf of the configured pipelines. `token_name` is what people know the token by.

    An `http` that is passed in is closed with this. `per_page` is how many entries GitHub puts on a page.
    """

    system = GITHUB.name
    server = SYSTEM
    escalate_after = timedelta(minutes=5)
    """GitHub ends a cancelled run by force after five minutes of its own."""

    def __init__(
        self,
        configured: Configured,
        *,
        base_url: str,
        token: SecretStr,
        token_name: str = "GITHUB_TOKEN",  # noqa: S107 - the name of a variable, not a secret
        per_page: int = PER_PAGE,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.configured = configured
        self._base_url = base_url
        self._per_page = per_page
        self._api = GitHubApi(base_url, token, token_name, configured, per_page, http)
        self.client = self._api.client
        self._guesses: dict[Pipeline, int] = {}
        self._busy: set[Pipeline] = set()
        self._old = OldRuns()

    def ref_from_url(self, url: str) -> RunRef | None:
        return self.configured.linked("repo", same_repo, run_in(url, self._base_url), url)

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:
        branch = pipeline.get("branch")
        entries = await self._entries(pipeline, since)
        self._guesses[pipeline] = min(_MOST_GUESSED, max(1, -(-len(entries) // self._per_page)))
        if len(self._guesses) > len(self.configured.pipelines):
            self._forget_retired()
        runs = (run_from(entry, pipeline) for entry in entries)
        return [run for run in runs if not branch or run.branch in {"", branch}]

    async def run(self, ref: RunRef) -> Run:
        entry, jobs = await both(self.client.get_object(_run_path(ref), _run_words(ref)), self._jobs(ref))
        run = run_from(entry, home_of(entry, ref.pipeline, self.configured.mine))
        if run.ref.id != ref.id:
            raise garbled(f"GitHub answered with another run than {_run_words(ref)}")
        try:
            return without_jobs(run, jobs) if isinstance(jobs, str) else completed(run, jobs)
        except Failed as failed:
            return without_jobs(run, failed.detail)

    async def log(self, run: Run, job: Job, reading: Reading) -> tuple[LogReader, bool]:
        """GitHub answers with a redirect to a storage of its own, good for a minute; while the job runs, with 404."""
        if not is_number(job.id):
            raise Absent(f"the log of job {job.id}")
        path = f"{_repo_path(run.ref.pipeline)}/actions/jobs/{job.id}/logs"
        into = reading.new()
        is_read = await self.client.stream(path, f"the log of job {job.id}", into, reading.portion, follows=True)
        return into, is_read

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        # one try only: a second request would meet the first one's effect and hear that it cannot be done
        answer = await self.client.send(
            "POST",
            f"{_run_path(ref)}/{'force-cancel' if force else 'cancel'}",
            _run_words(ref),
            doing="cancelling",
            passing=lambda answer: answer.status_code == codes.CONFLICT,
            tries=1,
        )
        if answer.status_code != codes.CONFLICT:
            return Cancelled(CancelResult.ACCEPTED, "GitHub accepted the request; the run ends when its runner does")
        try:
            run = await self.run(ref)
        except (Absent, Failed):
            return Cancelled(CancelResult.NOT_POSSIBLE, "GitHub cannot cancel it as it is")
        if run.phase is Phase.ENDED:
            return already_ended(run)
        return Cancelled(CancelResult.NOT_POSSIBLE, f"GitHub cannot cancel it in this state ({run.reported})")

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        verb, doing = ("enable", "enabling") if on else ("disable", "disabling")
        await self.client.send("PUT", f"{_workflow_path(pipeline)}/{verb}", _workflow_words(pipeline), doing=doing)
        return Switched(SwitchResult.DONE)

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:
        workflow = await self.client.get_object(_workflow_path(pipeline), _workflow_words(pipeline))
        state = text(workflow.get("state"))
        return state == "active" if on else state.startswith("disabled")

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
        young = since - _YOUNG
        listed = await self._api.open_and_young_runs(path, about, params, far=far, young=young, guess=guess)
        return listed + await self._old.ended(
            pipeline,
            listed,
            since=since,
            young=young,
            now=self.configured.clock.now(),
            read=lambda run_id: self.client.get_object(f"{_repo_path(pipeline)}/actions/runs/{run_id}", about),
            read_all=lambda: self._api.completed_runs(path, about, params, since=far, until=young),
        )

    def _forget_retired(self) -> None:
        """Pipelines go with the states that a pattern found and that are no longer there."""
        configured = self.configured.pipelines
        self._guesses = {pipeline: guess for pipeline, guess in self._guesses.items() if pipeline in configured}
        self._busy = {pipeline for pipeline in self._busy if pipeline in configured}
        self._old.keep(configured)

    async def _jobs(self, ref: RunRef) -> list[Json] | str:
        """The jobs of all attempts, or why they could not be read."""
        try:
            return await self._api.jobs(f"{_run_path(ref)}/jobs", f"the jobs of {_run_words(ref)}")
        except (Absent, Failed) as error:
            return why(SYSTEM, error)


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

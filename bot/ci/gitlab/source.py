"""GitLab CI, on gitlab.com and self-managed, for `bot.ci.frame.Source`. A run is a pipeline with all that it started.

docs/ci/gitlab.md says what is asked and which traps are behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.frame import Configured, Reading, going_on_since
from bot.ci.gitlab.api import SYSTEM, client_of, listing, project_path
from bot.ci.gitlab.cancel import cancel
from bot.ci.gitlab.runs import GOING_ON, home_of, run_from, same_project, same_ref
from bot.ci.gitlab.schedules import switch
from bot.ci.gitlab.tree import RETRIED, Hosts, Tree, pipeline_words, read_tree, started_by, whole
from bot.ci.gitlab.urls import JOB, run_in
from bot.core.joblog.reader import LogReader
from bot.core.run import Cancelled, Job, Pipeline, Run, RunRef, Switched
from bot.core.systems import GITLAB
from bot.http.client import Absent, garbled, together
from bot.http.values import Json, inner, is_count, is_number, text

_AT_WORK = ("running", "canceling", "pending", "preparing", "created", "waiting_for_resource", "waiting_for_callback")
"""A pipeline that has been in one of these for long was not updated, and `updated_after` misses it.

`manual` and `scheduled` ones wait for a person or an hour: since nothing of them has run, `updated_after` is enough.
"""
_CHILDREN_AT_WORK = ("running", "canceling")
_NEWER = frozenset({"canceling", "waiting_for_callback", "waiting_for_resource", "preparing"})
_CHILD = "parent_pipeline"
_UPDATES_LATE = timedelta(minutes=5)
_MOST_PARENTS = 10


class GitLab:
    """Asks one GitLab on behalf of the configured pipelines. `token_name` is what people know the token by.

    An `http` that is passed in is closed with this.
    """

    system = GITLAB.name
    server = SYSTEM
    escalate_after = timedelta(minutes=2)
    """A runner that does not answer a cancel is not waited for longer by GitLab's own page."""

    def __init__(
        self,
        configured: Configured,
        *,
        base_url: str,
        token: SecretStr,
        token_name: str = "GITLAB_TOKEN",  # noqa: S107 - the name of a variable, not a secret
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.configured = configured
        self._base_url = base_url
        self.client = client_of(base_url, token, token_name, configured, http)
        self._hosts = Hosts(self.client)

    def ref_from_url(self, url: str) -> RunRef | None:
        return self.configured.linked("project", same_project, run_in(url, self._base_url), url)

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:
        ref = pipeline.get("ref")
        updated = (since - _UPDATES_LATE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        scope = {"ref": ref} if ref else {}
        at_work = await together(
            *(self._list(pipeline, {**scope, "status": word}) for word in _AT_WORK),
            *(self._list(pipeline, {**scope, "source": _CHILD, "status": word}) for word in _CHILDREN_AT_WORK),
        )
        # only now: what went from one status to another meanwhile, and was in no list, is updated by that
        lately = await together(
            self._list(pipeline, {**scope, "updated_after": updated}),
            self._list(pipeline, {**scope, "source": _CHILD, "updated_after": updated}),
        )
        entries = _freshest(entry for found in (*lately, *at_work) for entry in found)

        # where GitLab's own filter left something without a readable ref, it is not for the bot to leave it out
        runs = [run_from(entry, pipeline) for entry in entries if same_ref(ref, text(entry.get("ref")) or ref)]
        return await self._without_known_children(pipeline, going_on_since(since, runs))

    async def run(self, ref: RunRef) -> Run:
        tree = await self._tree(ref)
        hosts = await self._hosts.of(tree, limit=self.configured.limits.overall / 3)
        run = whole(tree, hosts)
        home = home_of(tree.parts[0].entry, ref.pipeline, self.configured.mine)
        return replace(run, ref=replace(run.ref, pipeline=home))

    async def log(self, run: Run, job: Job, reading: Reading) -> tuple[LogReader, bool]:
        """A trace grows while its job runs. Jobs of child pipelines may be another project's: their page tells."""
        if not is_number(job.id):
            raise Absent(f"the log of job {job.id}")
        found = run_in(job.url, self._base_url)
        project = found.scope if found is not None else _project(run.ref.pipeline)
        path = f"{project_path(project)}/jobs/{job.id}/trace"
        into = reading.new()
        is_read = await self.client.stream(path, f"the log of job {job.id}", into, reading.portion, follows=True)
        return into, is_read

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        try:
            tree = await self._tree(ref)
        except Absent:
            await self._ask_whether_it_may(ref)
            raise
        return await cancel(self.client, self._base_url, tree, force=force)

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        return await switch(self.client, pipeline, on=on)

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:  # noqa: ARG002 - `switch` has looked itself
        return False

    async def _list(self, pipeline: Pipeline, params: Mapping[str, str]) -> list[Json]:
        # a GitLab that is too old for a status refuses to be asked for it, and has no pipeline in it
        may_be_unknown, project = params.get("status") in _NEWER, _project(pipeline)
        return await listing(
            self.client,
            f"{project_path(project)}/pipelines",
            f"the pipelines of {project}",
            params,
            is_empty=lambda answer: may_be_unknown and answer.status_code == codes.BAD_REQUEST,
        )

    async def _without_known_children(self, pipeline: Pipeline, runs: list[Run]) -> list[Run]:
        """Leaves out the child pipelines that are seen with their parent: one that outlives it is a run of its own."""
        children = [run for run in runs if run.trigger == _CHILD]
        commits = {run.commit for run in children}
        parents = [run for run in runs if run.trigger != _CHILD and run.commit in commits]
        seen: set[str] = set()
        for part, bridges in await together(*(self._bridges(pipeline, run) for run in parents[:_MOST_PARENTS])):
            ids = {str(found) for found in started_by(bridges)}
            seen |= {child.ref.id for child in children if child.ref.id in ids and _is_within(child, part)}
        return [run for run in runs if run.ref.id not in seen]

    async def _bridges(self, pipeline: Pipeline, run: Run) -> tuple[Run, list[Json]]:
        path = f"{project_path(_project(pipeline))}/pipelines/{run.ref.id}/bridges"
        try:
            return run, await listing(self.client, path, f"the trigger jobs of {run.ref.id}", RETRIED)
        except Absent:  # deleted since it was listed
            return run, []

    async def _tree(self, ref: RunRef) -> Tree:
        project, run_id = _project(ref.pipeline), ref.id
        if run_id.startswith(JOB):
            run_id = await self._pipeline_of_job(project, run_id.removeprefix(JOB))
        if not is_number(run_id):
            raise Absent(pipeline_words(run_id, project))
        return await read_tree(self.client, self._base_url, project, run_id)

    async def _ask_whether_it_may(self, ref: RunRef) -> None:
        """GitLab refuses a token without the scope before it looks for the pipeline. Raises Failed if it does."""
        project, words = _project(ref.pipeline), pipeline_words(ref.id, _project(ref.pipeline))
        if is_number(ref.id):
            with suppress(Absent):
                path = f"{project_path(project)}/pipelines/{ref.id}/cancel"
                await self.client.send("POST", path, words, doing="cancelling")

    async def _pipeline_of_job(self, project: str, job_id: str) -> str:
        if not is_number(job_id):
            raise Absent(f"job {job_id} in {project}")
        job = await self.client.get_object(f"{project_path(project)}/jobs/{job_id}", f"job {job_id} in {project}")
        found = inner(job, "pipeline").get("id")
        if not is_count(found):
            raise garbled(f"GitLab does not say to which pipeline job {job_id} belongs")
        return str(found)


def _project(pipeline: Pipeline) -> str:
    return pipeline.get("project") or ""


def _freshest(entries: Iterable[Json]) -> Iterable[Json]:
    """Each pipeline once: where lists that were read at the same time differ, as it is in the list that shows it
    active.
    """
    found: dict[int, Json] = {}
    for entry in entries:
        if entry["id"] not in found or text(entry.get("status")) in GOING_ON:
            found[entry["id"]] = entry
    return found.values()


def _is_within(child: Run, parent: Run) -> bool:
    """Whether its parent's time as listed holds the child's end, so that a look at the one shows the other."""
    if parent.ended_at is None:
        return True
    return child.ended_at is not None and child.ended_at <= parent.ended_at

"""A pipeline with the pipelines that it started: read together, since an end of one says nothing of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from bot.ci.ends import without_jobs
from bot.ci.frame import remember, why
from bot.ci.gitlab.api import SYSTEM, listing, project_path, traced_host
from bot.ci.gitlab.runs import (
    authored,
    bridge_phase,
    completed,
    has_started,
    jobs_from,
    may_lack_jobs,
    run_from,
)
from bot.ci.gitlab.urls import project_in
from bot.core.evidence import Trouble
from bot.core.run import Phase, Pipeline, Run
from bot.http.client import Absent, Client, Failed, both, garbled, together
from bot.http.values import Json, inner, is_count, text

RETRIED = {"include_retried": "true"}
"""Else lists lack what was started again: a retried trigger job's pipeline may be running all the same."""

_MOST_PARTS = 30
_MOST_TRACES = 40


@dataclass(frozen=True, slots=True)
class Part:
    """One pipeline of the tree. `project` is its path or id."""

    project: str
    entry: Json
    run: Run
    jobs: tuple[Json, ...]
    bridges: tuple[Json, ...]

    @property
    def path(self) -> str:
        return f"{project_path(self.project)}/pipelines/{self.run.ref.id}"

    @property
    def words(self) -> str:
        return pipeline_words(self.run.ref.id, self.project)


@dataclass(frozen=True, slots=True)
class Tree:
    """The pipeline that was asked for, first, and those below it. `missing` says what could not be read of them."""

    parts: tuple[Part, ...]
    missing: str | None

    @property
    def root(self) -> Run:
        return self.parts[0].run

    @property
    def jobs(self) -> Iterator[tuple[Part, Json]]:
        return ((part, job) for part in self.parts for job in part.jobs)


async def read_tree(client: Client, base_url: str, project: str, pipeline_id: str) -> Tree:
    """Raises Failed or Absent for the pipeline itself; the tree says what is missing below it."""
    entry, (jobs, bridges, missing) = await both(
        _entry(client, project, pipeline_id), _contents(client, project, pipeline_id)
    )
    parts = [Part(project, entry, _run(entry, pipeline_id), jobs, bridges)]
    asked, level = {pipeline_id}, parts[:]
    while level and missing is None:
        try:
            level = await _next_level(client, base_url, level, asked)
        except (Absent, Failed) as error:
            missing = why(SYSTEM, error)
        else:
            parts += level
    return Tree(tuple(parts), missing)


def whole(tree: Tree, hosts: Mapping[int, str]) -> Run:
    """The run with the jobs of all pipelines of the tree; it has ended only if all of them have."""
    root = authored(tree.root, tree.parts[0].jobs)
    if tree.missing is not None:
        return without_jobs(root, tree.missing)
    for part in tree.parts:
        if part.run.phase is Phase.ENDED and not (part.jobs or part.bridges or may_lack_jobs(part.entry)):
            return without_jobs(root, f"GitLab shows no job of {part.words}")
    jobs = tuple(chain.from_iterable(jobs_from(part.jobs, parent=part.run, hosts=hosts) for part in tree.parts))
    bridges = (bridge_phase(bridge, part.run) for part in tree.parts for bridge in part.bridges)
    return completed(root, jobs, (*bridges, *(part.run.phase for part in tree.parts)))


def pipeline_words(pipeline_id: str, project: str) -> str:
    return f"pipeline {pipeline_id} in {project}"


class Hosts:
    """On which machine jobs ran, as their traces say; what a trace said once is remembered, since it never changes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[int, str | None] = {}

    async def of(self, tree: Tree, *, limit: float) -> Mapping[int, str]:
        """By job id, as far as traces could be read within `limit` seconds: a host that is not known stays unknown."""
        started = [(part, job) for part, job in tree.jobs if has_started(job)]
        unread = [(part, job) for part, job in started if job["id"] not in self._known]
        newest = sorted(unread, key=lambda each: -each[1]["id"])[:_MOST_TRACES]
        try:
            async with asyncio.timeout(limit):
                await together(*(self._read(part, job) for part, job in newest))
        except TimeoutError:
            pass
        return {job["id"]: host for _, job in started if (host := self._known.get(job["id"])) is not None}

    async def _read(self, part: Part, job: Json) -> None:
        path, about = f"{project_path(part.project)}/jobs/{job['id']}/trace", f"the trace of job {job['id']}"
        try:
            host = await traced_host(self._client, path, about)
        except (Absent, Failed):
            return
        if host is not None or job.get("finished_at") is not None:
            remember(self._known, job["id"], host)


def started_by(bridges: Iterable[Json]) -> set[int]:
    """The ids of the pipelines that trigger jobs have started."""
    return {found for bridge in bridges if is_count(found := inner(bridge, "downstream_pipeline").get("id"))}


async def _next_level(client: Client, base_url: str, level: list[Part], asked: set[str]) -> list[Part]:
    """The pipelines that those of a level started, as far as they were not `asked` for before."""
    wanted = {id_: project for part in level for id_, project in _below(part, base_url) if id_ not in asked}
    asked.update(wanted)
    if len(asked) > _MOST_PARTS:
        raise Failed(Trouble.TOO_MUCH, f"it started more than {_MOST_PARTS} pipelines")
    return await together(*(_part(client, project, id_) for id_, project in wanted.items()))


async def _part(client: Client, project: str, pipeline_id: str) -> Part:
    entry, (jobs, bridges, missing) = await both(
        _entry(client, project, pipeline_id), _contents(client, project, pipeline_id)
    )
    if missing is not None:
        raise garbled(missing)
    return Part(project, entry, _run(entry, pipeline_id), jobs, bridges)


async def _entry(client: Client, project: str, pipeline_id: str) -> Json:
    words = pipeline_words(pipeline_id, project)
    return await client.get_object(f"{project_path(project)}/pipelines/{pipeline_id}", words)


def _run(entry: Json, pipeline_id: str) -> Run:
    run = run_from(entry, Pipeline("", ()))
    if run.ref.id != pipeline_id:
        raise garbled(f"GitLab answered with another pipeline than {pipeline_id}")
    return run


async def _contents(
    client: Client, project: str, pipeline_id: str
) -> tuple[tuple[Json, ...], tuple[Json, ...], str | None]:
    """Its jobs and trigger jobs, and why they could not be read."""
    path, words = f"{project_path(project)}/pipelines/{pipeline_id}", pipeline_words(pipeline_id, project)
    try:
        jobs, bridges = await together(
            listing(client, f"{path}/jobs", f"the jobs of {words}", RETRIED),
            listing(client, f"{path}/bridges", f"the trigger jobs of {words}", RETRIED),
        )
    except (Absent, Failed) as error:
        return (), (), why(SYSTEM, error)
    return tuple(jobs), tuple(bridges), None


def _below(part: Part, base_url: str) -> Iterator[tuple[str, str]]:
    """The id and project of each pipeline that the part's trigger jobs started. Raises Failed if one is not named."""
    for bridge in part.bridges:
        below = inner(bridge, "downstream_pipeline")
        if not below:
            continue
        project = _project_of(below, base_url)
        if project is None or not is_count(below.get("id")):
            detail = f"GitLab does not say which pipeline {text(bridge.get('name')) or 'a trigger job'} started"
            raise garbled(detail)
        yield str(below["id"]), project


def _project_of(entry: Json, base_url: str) -> str | None:
    if is_count(entry.get("project_id")):
        return str(entry["project_id"])
    return project_in(text(entry.get("web_url")), base_url)

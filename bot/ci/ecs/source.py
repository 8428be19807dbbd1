"""Terraform in Amazon ECS tasks, as a `bot.ports.RunSource`.

A run is a task. ECS' lists lag behind, and it forgets a task about an hour after its end: docs/ci/ecs.md says what
that means for an answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from bot.ci.ecs.api import EcsApi, InThread, task_id
from bot.ci.ecs.runs import family_of, run_from, source_of, with_job
from bot.ci.ecs.urls import page_of, task_in
from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
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
from bot.http.asking import Limits
from bot.http.client import Absent, Failed, observe
from bot.http.values import Json, text
from bot.ports.clock import Clock

T = TypeVar("T")

log = structlog.get_logger()

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_REASON = "asked for by tflock kill-job"
_STOPS = "ECS took the request: the containers get SIGTERM, and SIGKILL after their stop timeout (30 s unless set)"
_NO_SOURCE = "ECS starts no tasks by itself, and none of these says what started it: stop what calls RunTask"


class Ecs:
    """Asks ECS in one region on behalf of the configured pipelines.

    `client` gives botocore's client of ECS and may block; `run` runs blocking work in a thread. `region` must be the
    client's. `relist_delay` is how long a list is waited with before it is asked for again. Of `limits` only `overall`
    counts, and `relist_delay` is added to it for lists: a call's own limits are the client's.
    """

    system = "ECS"
    escalate_after = timedelta(seconds=60)
    """StopTask sends SIGTERM, and SIGKILL 30 s later by default."""

    def __init__(
        self,
        *,
        name: str,
        region: str,
        client: Callable[[], Any],
        run: InThread,
        clock: Clock,
        pipelines: Iterable[Pipeline],
        relist_delay: timedelta = timedelta(seconds=5),
        limits: Limits | None = None,
    ) -> None:
        self._name = name
        self._region = region
        self._clock = clock
        self._pipelines = tuple(pipeline for pipeline in pipelines if pipeline.ci == name)
        self._relist_delay = relist_delay.total_seconds()
        self._limits = limits or Limits()
        self._api = EcsApi(client, run)

    def __repr__(self) -> str:
        return f"Ecs({self._name!r}, {self._region!r})"

    @property
    def name(self) -> str:
        return self._name

    async def runs(self, pipeline: Pipeline, *, since: datetime) -> Observation[tuple[Run, ...]]:
        """As the port says, except that tasks which ECS has forgotten are not there.

        ECS forgets only what stopped about an hour ago or earlier, so what is left out is over.
        """
        return await self._observe(lambda: self._runs(pipeline, since), extra=self._relist_delay)

    async def with_jobs(self, run: Run) -> Observation[Run]:
        return await self.run(run.ref)

    async def run(self, ref: RunRef) -> Observation[Run]:
        return await self._observe(lambda: self._run(ref))

    def ref_from_url(self, url: str) -> RunRef | None:
        found = task_in(url, self._region)
        clusters = (_cluster(pipeline) for pipeline in self._pipelines)
        mine = next((cluster for cluster in clusters if found and task_id(cluster) == found.cluster), None)
        if found is None or mine is None:
            return None
        return RunRef(Pipeline(self._name, (("cluster", mine),)), found.task_id, url)

    async def cancel(
        self,
        ref: RunRef,
        *,
        force: bool,  # noqa: ARG002 - the port's word; there is no harder way to ask ECS
    ) -> Cancelled:
        """ECS has one way to end a task, and it ends in SIGKILL: `force` changes nothing."""
        seen = await self._observe(lambda: self._cancel(ref))
        match seen:
            case Found(cancelled):
                return cancelled
            case NotFound():
                return Cancelled(CancelResult.NOT_FOUND, f"ECS does not know {seen.what}")
            case Unseen():
                denied = seen.trouble is Trouble.DENIED
                return Cancelled(CancelResult.DENIED if denied else CancelResult.NOT_KNOWN, seen.detail)

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        """ECS has no switch for a family. Says what starts its tasks, as far as they tell, and changes nothing."""
        match await self._observe(lambda: self._sources(pipeline)):
            case Found(()):
                return Switched(SwitchResult.NOT_FOUND, _NO_SOURCE)
            case Found(sources):
                word = "started again" if on else "stopped"
                detail = f"the bot cannot have it {word}: these tasks are started by {'; and by '.join(sources)}"
                return Switched(SwitchResult.DENIED, detail)
            case NotFound() as seen:
                return Switched(SwitchResult.NOT_FOUND, f"ECS does not know {seen.what}")
            case Unseen() as seen:
                denied = seen.trouble is Trouble.DENIED
                return Switched(SwitchResult.DENIED if denied else SwitchResult.NOT_KNOWN, seen.detail)

    async def aclose(self) -> None:
        """Does nothing: the client belongs to whoever made it."""

    async def _observe(self, look: Callable[[], Awaitable[T]], *, extra: float = 0) -> Observation[T]:
        return await observe(look, system=self.system, clock=self._clock, limit=self._limits.overall + extra)

    async def _runs(self, pipeline: Pipeline, since: datetime) -> tuple[Run, ...]:
        tasks = await self._tasks(pipeline, relist=True)
        if not tasks:
            await self._check_family(pipeline)
        runs = [self._read(task, pipeline) for task in tasks]
        mine = [run for run in runs if run.ended_at is None or run.ended_at >= since]
        return tuple(sorted(mine, key=lambda run: (run.created_at, run.ref.id), reverse=True))

    async def _tasks(self, pipeline: Pipeline, *, relist: bool) -> list[Json]:
        """The family's tasks. A list may lack what was started a moment ago, so it is asked for twice."""
        cluster, family = _cluster(pipeline), pipeline.get("family") or ""
        arns = await self._api.task_arns(cluster, family)
        if relist:
            await asyncio.sleep(self._relist_delay)
            arns |= await self._api.task_arns(cluster, family)
        return [task for task in await self._api.tasks(cluster, arns) if family_of(task) in {"", family}]

    async def _check_family(self, pipeline: Pipeline) -> None:
        """A family that never was has no tasks either. Raises Absent; a look that fails is passed over."""
        cluster, family = _cluster(pipeline), pipeline.get("family") or ""
        try:
            is_known = await self._api.knows_family(cluster, family)
        except Failed as failed:
            log.info("ecs.family_unchecked", family=family, detail=failed.detail)
            return
        if not is_known:
            raise Absent(f"family {family}: no task definition was ever registered under this name")

    async def _run(self, ref: RunRef) -> Run:
        if not _ID.fullmatch(ref.id):
            raise Absent(_run_words(ref))
        task = await self._api.task(_cluster(ref.pipeline), ref.id, _run_words(ref))
        return with_job(self._read(task, self._home(ref, task)), task)

    async def _cancel(self, ref: RunRef) -> Cancelled:
        run = await self._run(ref)
        if run.phase is Phase.ENDED:
            return Cancelled(CancelResult.ALREADY_ENDED, f"it has ended ({run.reported})")
        if run.reported.startswith("STOPPED"):
            detail = f"ECS holds it for stopped and cannot reach it any more ({run.reported}): look at its machine"
            return Cancelled(CancelResult.NOT_POSSIBLE, detail)
        await self._api.stop(_cluster(ref.pipeline), ref.id, _REASON, _run_words(ref))
        return Cancelled(CancelResult.ACCEPTED, _STOPS)

    async def _sources(self, pipeline: Pipeline) -> tuple[str, ...]:
        found = (source_of(task) for task in await self._tasks(pipeline, relist=False))
        return tuple(sorted({source for source in found if source}))

    def _read(self, task: Json, pipeline: Pipeline) -> Run:
        url = page_of(self._region, task_id(_cluster(pipeline)), task_id(task.get("taskArn")))
        return run_from(task, pipeline, url)

    def _home(self, ref: RunRef, task: Json) -> Pipeline:
        """The configured pipeline of the task's family; else the one that was asked for."""
        cluster, family = task_id(_cluster(ref.pipeline)), family_of(task)
        mine = (pipeline for pipeline in self._pipelines if task_id(_cluster(pipeline)) == cluster)
        return next((pipeline for pipeline in mine if text(pipeline.get("family")) == family), ref.pipeline)


def _cluster(pipeline: Pipeline) -> str:
    return pipeline.get("cluster") or ""


def _run_words(ref: RunRef) -> str:
    return f"task {ref.id} in cluster {task_id(_cluster(ref.pipeline))}"

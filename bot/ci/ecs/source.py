"""Terraform in Amazon ECS tasks, for `bot.ci.frame.Source`.

A run is a task. ECS's lists lag behind, and it forgets a task about an hour after its end: docs/ci/ecs.md says what
that means for an answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.ci.ecs.api import EcsApi, InThread, task_id
from bot.ci.ecs.logs import pour, stream_of
from bot.ci.ecs.runs import family_of, run_from, source_of, with_job
from bot.ci.ecs.urls import page_of, task_in
from bot.ci.ends import already_ended
from bot.ci.frame import Configured, Reading, remember
from bot.core.joblog.reader import LogReader
from bot.core.run import Cancelled, CancelResult, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.core.systems import ECS
from bot.http.client import Absent, Failed
from bot.http.values import Json, text

log = structlog.get_logger()

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_REASON = "asked for by tflock kill-job"
_STOPS = "ECS accepted the request: the containers get SIGTERM, and SIGKILL after their stop timeout (30 s unless set)"
_NO_SOURCE = "ECS starts no tasks on its own, and none of these says what started it: stop what calls RunTask"


class Ecs:
    """Asks ECS in one region on behalf of the configured pipelines.

    `client` gives botocore's client of ECS, `logs` that of CloudWatch Logs in a region; both may block. `run` runs
    blocking work in a thread. `region` must be the client's. `relist_delay` is how long a list is waited with before
    it is asked for again. Of the limits only `overall` counts, and `relist_delay` is added to it for lists: a call's
    own limits are the client's.
    """

    system = server = ECS.name
    escalate_after = timedelta(seconds=60)
    """StopTask sends SIGTERM, and SIGKILL 30 s later by default."""

    def __init__(
        self,
        configured: Configured,
        *,
        region: str,
        client: Callable[[], Any],
        logs: Callable[[str | None], Any],
        run: InThread,
        relist_delay: timedelta = timedelta(seconds=5),
    ) -> None:
        limits = replace(configured.limits, listing=relist_delay.total_seconds())
        self.configured = replace(configured, limits=limits)
        self._region = region
        self.client = EcsApi(client, logs, run, configured.clock)
        self._definitions: dict[str, list[Json]] = {}

    def ref_from_url(self, url: str) -> RunRef | None:
        found = task_in(url, self._region)
        return self.configured.linked("cluster", lambda known, cluster: task_id(_cluster(known)) == cluster, found, url)

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:  # noqa: ARG002 - ECS forgets on its own
        """All tasks but those that ECS has forgotten: it forgets only what stopped about an hour ago or earlier, so
        what is left out is over.
        """
        tasks = await self._tasks(pipeline, relist=True)
        if not tasks:
            await self._check_family(pipeline)
        return [self._read(task, pipeline) for task in tasks]

    async def run(self, ref: RunRef) -> Run:
        if not _ID.fullmatch(ref.id):
            raise Absent(_run_words(ref))
        task = await self.client.task(_cluster(ref.pipeline), ref.id, _run_words(ref))
        return with_job(self._read(task, self._home(ref, task)), task)

    async def log(self, run: Run, job: Job, reading: Reading) -> tuple[LogReader, bool]:  # noqa: ARG002 - a task is its own job
        """The lines of every container that CloudWatch Logs keeps, by the task definition's log options."""
        about = _run_words(run.ref)
        containers = await self._containers(run)
        streams = [found for one in containers if (found := stream_of(one, run.ref.id)) is not None]
        if not streams:
            raise Absent(f"a log of {about}: its containers do not log to CloudWatch Logs with a stream prefix")
        into, reads = reading.new(), []
        for stream in streams:
            reads.append(await pour(self.client, stream, f"the log of {about}", into, reading.portion))
            if not reads[-1]:
                into.gap()
        return into, all(reads) and len(streams) == len(containers)

    async def _containers(self, run: Run) -> list[Json]:
        """A revision of a task definition never changes."""
        definition = run.title
        if not definition:
            task = await self.client.task(_cluster(run.ref.pipeline), run.ref.id, _run_words(run.ref))
            definition = text(task.get("taskDefinitionArn"))
        if definition not in self._definitions:
            remember(self._definitions, definition, await self.client.containers(definition))
        return self._definitions[definition]

    async def cancel(
        self,
        ref: RunRef,
        *,
        force: bool,  # noqa: ARG002 - the port's word; there is no harder way to ask ECS
    ) -> Cancelled:
        """ECS has one way to end a task, and it ends in SIGKILL: `force` changes nothing."""
        run = await self.run(ref)
        if run.phase is Phase.ENDED:
            return already_ended(run)
        if run.reported.startswith("STOPPED"):
            detail = f"ECS holds it for stopped and cannot reach it any more ({run.reported}): look at its machine"
            return Cancelled(CancelResult.NOT_POSSIBLE, detail)
        await self.client.stop(_cluster(ref.pipeline), ref.id, _REASON, _run_words(ref))
        return Cancelled(CancelResult.ACCEPTED, _STOPS)

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        """ECS has no switch for a family. Says what starts its tasks, as far as they tell, and changes nothing."""
        found = {source_of(task) for task in await self._tasks(pipeline, relist=False)}
        sources = sorted(source for source in found if source)
        if not sources:
            return Switched(SwitchResult.NOT_FOUND, _NO_SOURCE)
        word = "started again" if on else "stopped"
        detail = f"the bot cannot have it {word}: these tasks are started by {'; and by '.join(sources)}"
        return Switched(SwitchResult.DENIED, detail)

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:  # noqa: ARG002 - there is no switch
        return False

    async def _tasks(self, pipeline: Pipeline, *, relist: bool) -> list[Json]:
        """The family's tasks. A list may lack what was started a moment ago, so it is asked for twice."""
        cluster, family = _cluster(pipeline), pipeline.get("family") or ""
        arns = await self.client.task_arns(cluster, family)
        if relist:
            await asyncio.sleep(self.configured.limits.listing)
            arns |= await self.client.task_arns(cluster, family)
        return [task for task in await self.client.tasks(cluster, arns) if family_of(task) in {"", family}]

    async def _check_family(self, pipeline: Pipeline) -> None:
        """A family that never was has no tasks either. Raises Absent; a look that fails is passed over."""
        family = pipeline.get("family") or ""
        try:
            is_known = await self.client.knows_family(family)
        except Failed as failed:
            log.info("ecs.family_unchecked", family=family, detail=failed.detail)
            return
        if not is_known:
            raise Absent(f"family {family}: no task definition was ever registered under this name")

    def _read(self, task: Json, pipeline: Pipeline) -> Run:
        url = page_of(self._region, task_id(_cluster(pipeline)), task_id(task.get("taskArn")))
        return run_from(task, pipeline, url)

    def _home(self, ref: RunRef, task: Json) -> Pipeline:
        """The configured pipeline of the task's family; else the one that was asked for."""
        cluster, family = task_id(_cluster(ref.pipeline)), family_of(task)
        mine = (pipeline for pipeline in self.configured.mine if task_id(_cluster(pipeline)) == cluster)
        return next((pipeline for pipeline in mine if text(pipeline.get("family")) == family), ref.pipeline)


def _cluster(pipeline: Pipeline) -> str:
    return pipeline.get("cluster") or ""


def _run_words(ref: RunRef) -> str:
    return f"task {ref.id} in cluster {task_id(_cluster(ref.pipeline))}"

"""Lists of runs that several looks of one sweep share: states of one repository often have the same pipelines."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.evidence import Observation
from bot.core.joblog.values import JobChanges, JobLog
from bot.core.run import Cancelled, Job, Pipeline, Run, RunRef, Switched
from bot.ports.runs import RunSource
from bot.usecases.world import World


@dataclass
class SharedListings:
    """A `bot.ports.runs.RunSource` that asks another one for the list of a pipeline once, for looks at the same time.

    A later `since` is met by the same list, which then has more than was asked for, as it always may.
    """

    source: RunSource
    _asked: dict[Pipeline, tuple[datetime, asyncio.Task[Observation[tuple[Run, ...]]]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def system(self) -> str:
        return self.source.system

    @property
    def escalate_after(self) -> timedelta:
        return self.source.escalate_after

    async def runs(self, pipeline: Pipeline, *, since: datetime) -> Observation[tuple[Run, ...]]:
        known = self._asked.get(pipeline)
        if known is None or known[0] > since:
            known = (since, asyncio.ensure_future(self.source.runs(pipeline, since=since)))
            self._asked[pipeline] = known
        return await asyncio.shield(known[1])

    async def with_jobs(self, run: Run) -> Observation[Run]:
        return await self.source.with_jobs(run)

    async def run(self, ref: RunRef) -> Observation[Run]:
        return await self.source.run(ref)

    async def log(self, run: Run, job: Job) -> Observation[JobLog]:
        return await self.source.log(run, job)

    async def changes(self, run: Run, job: Job) -> Observation[JobChanges]:
        return await self.source.changes(run, job)

    def ref_from_url(self, url: str) -> RunRef | None:
        return self.source.ref_from_url(url)

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        return await self.source.cancel(ref, force=force)

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        return await self.source.switch(pipeline, on=on)

    async def aclose(self) -> None:
        """The other one is not ours to close."""


def sharing_listings(world: World) -> World:
    """The world for looks that are taken together and within a minute."""
    return replace(world, sources={name: SharedListings(source) for name, source in world.sources.items()})

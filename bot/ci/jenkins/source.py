"""Jenkins, its freestyle and pipeline jobs in folders and multibranch projects, for `bot.ci.frame.Source`.

docs/ci/jenkins.md says what is asked and which traps are behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import httpx

from bot.ci.ends import already_ended
from bot.ci.frame import Configured, Reading, remember
from bot.ci.jenkins.api import SYSTEM, Credentials, JenkinsApi
from bot.ci.jenkins.runs import ITEM, QUEUED, WHOLE_BUILD, Console, build_from, completed, is_freestyle, item_from
from bot.ci.jenkins.urls import build_in, job_of, job_path
from bot.core.joblog.reader import LogReader
from bot.core.run import Cancelled, CancelResult, Conclusion, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.http.client import Absent, garbled
from bot.http.values import Json, inner, is_count, is_number, text

# Jenkins has no time filter and no limit to how long a build may run: this is how long one is taken to run at most
_LONGEST_BUILD = timedelta(days=30)
_LOOKS = 3


class Jenkins:
    """Asks one Jenkins on behalf of the configured pipelines.

    `patience` is how many seconds a forced cancel waits for `term` before it moves to `kill`. An `http` that is
    passed in is closed with this.
    """

    system = server = SYSTEM
    escalate_after = timedelta(seconds=30)
    """A stopped build gets a moment to end on its own; `term` and `kill` follow."""

    def __init__(
        self,
        configured: Configured,
        *,
        base_url: str,
        credentials: Credentials,
        patience: float = 3.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.configured = configured
        self._patience = patience
        self._api = JenkinsApi(base_url, credentials, configured, http)
        self.client = self._api.client
        self._base_url = self.client.base_url
        self._consoles: dict[str, Console] = {}

    def ref_from_url(self, url: str) -> RunRef | None:
        found = build_in(url, self._base_url)
        if found is None:
            return None
        pipeline = next((each for each in self.configured.mine if _job(each) in found.jobs), None)
        return RunRef(pipeline, found.number, url) if pipeline is not None else None

    async def runs(self, pipeline: Pipeline, since: datetime) -> Iterable[Run]:
        # the queue first: what leaves it in between is then among the builds
        items = await self._queue()
        path, job = job_path(_job(pipeline)), _job(pipeline)
        builds = await self._api.builds(path, job, since=since - _LONGEST_BUILD)

        started = {f"{QUEUED}{build['queueId']}" for build in builds if is_count(build.get("queueId"))}
        queued = [item_from(item, pipeline, self._base_url + path) for item in items if _is_of(item, job)]
        waiting = [run for run in queued if run.ref.id not in started]
        runs = [build_from(build, pipeline, self._base_url + path) for build in builds]
        return [*runs, *waiting]

    async def _queue(self) -> list[Json]:
        try:
            return await self._api.queue()
        except Absent:  # what waits holds no lock: a server that shows no queue can still say who does
            return []

    async def run(self, ref: RunRef) -> Run:
        return (await self._read(ref))[0]

    async def _read(self, ref: RunRef) -> tuple[Run, Json]:
        """The build or queue item that a ref means now, with the document that says so."""
        job = _job(ref.pipeline)
        if ref.id.startswith(QUEUED):
            item = await self._item(ref)
            number = inner(item, "executable").get("number")
            if not is_count(number):
                return item_from(item, ref.pipeline, self._base_url + job_path(job)), item
            ref = RunRef(ref.pipeline, str(number))
        if not is_number(ref.id):
            raise Absent(f"build {ref.id} of {job}")
        entry = await self._api.get_object(f"{job_path(job)}/{ref.id}", f"build {ref.id} of {job}", WHOLE_BUILD)
        run = build_from(entry, ref.pipeline, self._base_url + job_path(job))
        if run.ref.id != ref.id:
            raise garbled(f"Jenkins answered with another build than {ref.id} of {job}")
        return completed(run, entry, await self._console(run, entry)), entry

    async def _item(self, ref: RunRef) -> Json:
        number, job = ref.id.removeprefix(QUEUED), _job(ref.pipeline)
        about = f"item {number} in the queue for {job}"
        if not is_number(number):
            raise Absent(about)
        item = await self._api.get_object(f"/queue/item/{number}", about, ITEM)
        if not _is_of(item, job):
            raise Absent(about)
        if str(item.get("id")) != number:
            raise garbled(f"Jenkins answered with another item than {number}")
        return item

    async def _console(self, run: Run, entry: Json) -> Console:
        """A build that ended writes no more, so what its console said is remembered."""
        if is_freestyle(entry) and (run.phase is not Phase.ENDED or run.conclusion is Conclusion.SUCCESS):
            return Console()
        known = self._consoles.get(run.ref.url)
        if known is not None:
            return known
        path = f"{job_path(_job(run.ref.pipeline))}/{run.ref.id}"
        try:
            async with asyncio.timeout(self.configured.limits.overall / 3):
                is_over, about = run.phase is Phase.ENDED, f"the console of build {run.ref.id}"
                console = await self._api.console(path, about, is_over=is_over)
        except TimeoutError:
            return Console()
        if run.phase is Phase.ENDED and console.is_final:
            remember(self._consoles, run.ref.url, console)
        return console

    async def log(self, run: Run, job: Job, reading: Reading) -> tuple[LogReader, bool]:
        """All parts of a build write into one console."""
        if not is_number(run.ref.id):
            raise Absent(f"the console of {run.ref.id}")
        path = f"{job_path(_job(run.ref.pipeline))}/{run.ref.id}"
        return await self._api.log(path, f"the console of build {run.ref.id}", job.started_at, reading)

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        run, entry = await self._read(ref)
        if run.phase is Phase.ENDED:
            return already_ended(run)
        if run.ref.id.startswith(QUEUED):
            item = run.ref.id.removeprefix(QUEUED)
            about, doing = f"item {item} in the queue", "taking out"
            await self._api.post("/queue/cancelItem", about, "Job/Cancel", doing=doing, params={"id": item})
            return Cancelled(CancelResult.ACCEPTED, "Jenkins takes it out of the queue")
        if force and not is_freestyle(entry):
            return await self._force(run)
        await self._end(run, "stop")
        hardest = "; a freestyle build has no harder end than this" if force else ""
        return Cancelled(
            CancelResult.ACCEPTED, f"Jenkins accepted the request; the build ends when its steps do{hardest}"
        )

    async def _force(self, run: Run) -> Cancelled:
        try:
            await self._end(run, "term")
        except Absent:  # only pipelines have it
            await self._end(run, "stop")
            return Cancelled(CancelResult.ACCEPTED, "Jenkins was asked to stop it, and knows no harder end for it")
        for _ in range(_LOOKS):
            await asyncio.sleep(self._patience / _LOOKS)
            if (await self.run(run.ref)).phase is Phase.ENDED:
                return Cancelled(
                    CancelResult.ACCEPTED, "Jenkins terminated its steps; what they started may still be running"
                )
        await self._end(run, "kill")
        return Cancelled(CancelResult.ACCEPTED, "Jenkins killed the build, which does not stop what its steps started")

    async def _end(self, run: Run, verb: str) -> None:
        job = _job(run.ref.pipeline)
        path, about = f"{job_path(job)}/{run.ref.id}/{verb}", f"build {run.ref.id} of {job}"
        await self._api.post(path, about, "Job/Cancel", doing=f"to {verb}")

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        verb, job = "enable" if on else "disable", _job(pipeline)
        await self._api.post(f"{job_path(job)}/{verb}", job, "Job/Configure", doing=f"to {verb}")
        if await self.is_switched(pipeline, on=on):
            return Switched(SwitchResult.DONE)
        detail = (
            f"Jenkins accepted the request and did not {verb} it: a branch is switched with its multibranch project"
        )
        return Switched(SwitchResult.NOT_KNOWN, detail)

    async def is_switched(self, pipeline: Pipeline, *, on: bool) -> bool:
        job = _job(pipeline)
        entry = await self._api.get_object(job_path(job), job, "disabled,buildable")
        is_on = not entry["disabled"] if isinstance(entry.get("disabled"), bool) else entry.get("buildable")
        return is_on is on


def _job(pipeline: Pipeline) -> str:
    return (pipeline.get("job") or "").strip("/")


def _is_of(item: Json, job: str) -> bool:
    return job_of(text(inner(item, "task").get("url"))) == job

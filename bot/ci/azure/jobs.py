"""A build's jobs in all its attempts, put together from its timelines and from the heads of the jobs' logs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.ci.azure.api import AzureApi
from bot.ci.azure.runs import BuildTimeline, job_from, machine_in, own_agent, record_goes_on, timeline_from
from bot.ci.frame import LOG, remember
from bot.core.evidence import Trouble
from bot.core.run import Job, Phase
from bot.http.client import Absent, Failed, Portion, Sink, together
from bot.http.values import Json, inner, is_count, text

_MOST_TIMELINES = 30
_MOST_LOGS = 60
_INITIALIZE = "Initialize job"


@dataclass(frozen=True, slots=True)
class Parts:
    """All jobs of a build; `goes_on` where something of it does that is neither a job nor a step of one."""

    jobs: tuple[Job, ...]
    goes_on: bool


class JobReader:
    """Reads jobs through one `AzureApi`. Host names that were found once are kept: they never change."""

    def __init__(self, api: AzureApi) -> None:
        self._api = api
        self._machines: dict[str, str] = {}
        self._logs: dict[str, tuple[int, ...]] = {}

    async def read(self, path: str, about: str, *, hosts: bool) -> Parts | None:
        """The jobs of all attempts; None if the build has no timeline. Raises Failed, or Absent.

        Without `hosts` no log is read, and no job has a host.
        """
        body = await self._api.timeline(f"{path}/timeline", about)
        if body is None:
            return None
        timelines = await self._all(path, about, body)
        found = {
            (record["id"], str(record.get("attempt"))): (record, line) for line in timelines for record in line.jobs
        }
        named = await self._hosts(path, about, list(found.values())) if hosts else [None] * len(found)
        for record, line in found.values():
            remember(self._logs, _key(path, record), _log_numbers(record, line))
        jobs = [
            job_from(record, line.tasks_of(record), host)
            for (record, line), host in zip(found.values(), named, strict=True)
        ]
        return Parts(tuple(jobs), any(record_goes_on(record) for line in timelines for record in line.records))

    async def log(self, path: str, about: str, job: Job, into: Sink, portion: Portion) -> bool:
        """Sends a job's log through `into`; True if it was read to its last byte. Raises Failed, or Absent."""
        key = f"{path}#{job.id}#{job.attempt}"
        if key not in self._logs or job.phase is not Phase.ENDED:
            await self.read(path, about, hosts=False)
        numbers = self._logs.get(key, ())
        if not numbers:
            raise Absent(f"a log of job {job.id}")
        share = Portion(portion.head // len(numbers), portion.tail // len(numbers))
        if portion != LOG:  # too much to keep: one after the other
            return all([await self._streamed(path, number, job, into, share) for number in numbers])
        pieces = [_Pieces() for _ in numbers]
        reads = await together(
            *(
                self._api.log(f"{path}/logs/{number}", f"log {number} of job {job.id}", each, share)
                for number, each in zip(numbers, pieces, strict=True)
            )
        )
        for is_read, each in zip(reads, pieces, strict=True):
            await each.pour(into)
            if not is_read:
                into.gap()
        return all(reads)

    async def _streamed(self, path: str, number: int, job: Job, into: Sink, share: Portion) -> bool:
        is_read = await self._api.log(f"{path}/logs/{number}", f"log {number} of job {job.id}", into, share)
        into.feed(b"\n")
        return is_read

    async def _all(self, path: str, about: str, body: Json) -> list[BuildTimeline]:
        """This timeline and those of all earlier attempts, oldest knowledge first."""
        newest = timeline_from(body, about)
        seen = {text(body.get("id")).lower()}
        timelines, todo = [newest], [name for name in newest.earlier if name not in seen]
        while todo:
            seen.update(todo)
            if len(seen) > _MOST_TIMELINES:
                raise Failed(Trouble.TOO_MUCH, f"{about} has more attempts than can be read in time")
            more = await together(*(self._earlier(path, about, name) for name in todo))
            timelines += more
            todo = [name for name in dict.fromkeys(name for line in more for name in line.earlier) if name not in seen]
        return timelines[::-1]

    async def _earlier(self, path: str, about: str, name: str) -> BuildTimeline:
        about = f"an earlier attempt of {about}"
        body = await self._api.timeline(f"{path}/timeline/{name}", about)
        if body is None:
            raise Absent(f"the timeline of {about}")
        return timeline_from(body, about)

    async def _hosts(self, path: str, about: str, jobs: list[tuple[Json, BuildTimeline]]) -> list[str | None]:
        found = await together(*(self._host(path, about, record, line) for record, line in jobs[:_MOST_LOGS]))
        return found + [None] * (len(jobs) - len(found))

    async def _host(self, path: str, about: str, record: Json, line: BuildTimeline) -> str | None:
        """The machine that the log names; else the agent's name, which is often the machine's.

        Where the log could not be read, nothing is known: the agent's name would rule other machines out.
        """
        key = _key(path, record)
        if key in self._machines:
            return self._machines[key]
        try:
            machine = await self._machine(path, about, (*line.tasks_of(record), record))
        except Failed:
            return None
        if machine is None:
            return own_agent(record)
        remember(self._machines, key, machine)
        return machine

    async def _machine(self, path: str, about: str, places: Iterable[Json]) -> str | None:
        """From the log of the step that sets a job up, or from the job's own."""
        for record in places:
            number = inner(record, "log").get("id")
            is_early = record["type"] == "Job" or record.get("name") == _INITIALIZE
            if not is_early or not is_count(number):
                continue
            try:
                found = machine_in(await self._api.log_head(f"{path}/logs/{number}", f"a log of {about}"))
            except Absent:
                continue
            if found is not None:
                return found
        return None


def _key(path: str, record: Json) -> str:
    return f"{path}#{record['id']}#{record.get('attempt') if is_count(record.get('attempt')) else 1}"


def _log_numbers(record: Json, line: BuildTimeline) -> tuple[int, ...]:
    """The logs of the job's steps in their order; where no step has one, the job's own."""
    steps = sorted(line.tasks_of(record), key=lambda task: text(task.get("startTime")) or "~")
    numbers = [inner(task, "log").get("id") for task in steps]
    found = [number for number in (numbers if any(numbers) else [inner(record, "log").get("id")]) if is_count(number)]
    return tuple(dict.fromkeys(found))[:_MOST_LOGS]


@dataclass
class _Pieces:
    """A log that waits for those before it: all are asked for at the same time."""

    pieces: list[bytes | None] = field(default_factory=list)

    def feed(self, chunk: bytes) -> None:
        self.pieces.append(chunk)

    def gap(self) -> None:
        self.pieces.append(None)

    async def pour(self, into: Sink) -> None:
        for piece in self.pieces:
            if piece is None:
                into.gap()
            else:
                into.feed(piece)
                await asyncio.sleep(0)
        into.feed(b"\n")

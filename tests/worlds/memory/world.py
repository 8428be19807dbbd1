"""A whole world in memory: the real use cases on stand-ins, and a queue that works like the durable one.

world = MemoryWorld()
world.run(unlock.confirm(world.ports, request, lock_id=lock, user="U0QUINN"))
world.pass_time(60)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from bot.app.metrics import Metrics
from bot.core.gate.inspection import StateName
from bot.core.lock import LockInfo, PlaceKind, lock_text
from bot.core.policy import Holders, KnownPerson, Policy
from bot.core.record.incident import Incident
from bot.core.record.timeline import verify
from bot.core.run import Pipeline
from bot.core.systems import GITHUB
from bot.errors import JournalAway, UnknownState, UpstreamError
from bot.usecases.lease import Busy
from bot.usecases.world import State, World
from bot.worker import FIRST_AGAIN_AFTER, LAST_AGAIN_AFTER, PERIODIC, REDELIVER_AFTER, TRIES, run_job, run_periodic
from tests.worlds.memory.ci import MemoryCI
from tests.worlds.memory.files import MemoryExporter, MemoryFiles
from tests.worlds.memory.journal import MemoryJournal, MemoryRecords
from tests.worlds.memory.memory import (
    WORKER,
    JumpingLoop,
    Killed,
    LoopClock,
    MemoryLockBackend,
    MemoryStore,
    MemorySweep,
    Switchboard,
)
from tests.worlds.memory.messages import MemoryMessages
from tests.worlds.memory.messenger import MemoryMessenger
from tests.worlds.memory.people import MemoryDirectory, MemoryJobs, Waiting
from tests.worlds.memory.tickets import MemoryTickets

T = TypeVar("T")

STATE = "staging"
CHANNEL = "C0INC"
DEPLOY = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")), GITHUB.name)


@dataclass
class MemoryWorld:
    """One state `staging`, one pipeline, and the people quinn, parker, elliott and a guest in one incident channel."""

    kinds: tuple[PlaceKind, ...] = (PlaceKind.FILE, PlaceKind.ITEM)
    protected: bool = False
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.loop = JumpingLoop()
        self.clock = LoopClock(self.loop)
        self.switchboard = Switchboard()
        self.store = MemoryStore(self.kinds)
        self.ci = MemoryCI(self.clock, (DEPLOY,), switchboard=self.switchboard)
        self.journal = MemoryJournal(self.clock, self.switchboard)
        self.records = MemoryRecords(self.clock, self.switchboard)
        self.messenger = MemoryMessenger(self.switchboard)
        self.files = MemoryFiles(self.switchboard)
        self.exporter = MemoryExporter(self.journal)
        self.tickets = MemoryTickets(self.clock, self.switchboard)
        self.jobs = MemoryJobs(self.clock, self.switchboard)
        self.directory = MemoryDirectory(self.clock, switchboard=self.switchboard)
        self.messages = MemoryMessages(self.clock, self.switchboard)
        for user, name in (("U0QUINN", "quinn"), ("U0PARKER", "parker"), ("U0ELLIOTT", "elliott")):
            self.directory.add(user, name, CHANNEL)
        self.directory.add("U0GUEST", "gale", CHANNEL, is_guest=True)
        self._ids = self._deaths = 0
        self.given_up: list[Waiting] = []
        self.ports = self._wired()
        self.incident: Incident = self.run(self._opened())

    def _wired(self) -> World:
        backend = MemoryLockBackend(self.store, self.clock, self.switchboard)
        return World(
            states={STATE: State(StateName(STATE, "", self.protected), backend, "memory", (DEPLOY,), holds=backend)},
            sources={"github": self.ci},
            journal=self.journal,
            records=self.records,
            directory=self.directory,
            messages=self.messages,
            messenger=self.messenger,
            exporter=self.exporter,
            tickets=self.tickets,
            files=self.files,
            jobs=self.jobs,
            clock=self.clock,
            meter=Metrics(),
            policy=self.policy,
            holders=Holders(people=(KnownPerson("elliott", "U0ELLIOTT", github="elliott-ci"),)),
            incident_channels=("inc-*",),
            capture_reactions=("pushpin", "round_pushpin"),
            upload_exports=True,
            sweep=MemorySweep({STATE: backend}),
            new_id=self._new_id,
        )

    async def _opened(self) -> Incident:
        made, _ = await self.journal.open(channel=CHANNEL, title="t", by="U0QUINN", at=self.clock.now())
        return made

    def _new_id(self) -> str:
        self._ids += 1
        return f"id{self._ids}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def pass_time(self, seconds: float, *, workers: Sequence[str] = ("w1",)) -> None:
        """Lets time pass, and the workers do what falls due meanwhile: each job is given to all of them at once."""
        self.run(self._pass(seconds, workers))

    async def _pass(self, seconds: float, workers: Sequence[str]) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        while True:
            job = self.jobs.due()
            if job is not None:
                await asyncio.gather(*(self.deliver(job, worker) for worker in workers))
                continue
            now = self.clock.now()
            if now >= until:
                return
            following = min((waiting.at for waiting in self.jobs.waiting.values()), default=until)
            await asyncio.sleep(max(0.001, (min(following, until) - now).total_seconds()))

    async def deliver(self, job: Waiting, worker: str) -> None:
        """Runs a job as the durable queue does: tried again when it fails, redelivered when its worker dies.

        A new process takes a dead worker's place, and nothing of the old one gets through any more.
        """
        token = WORKER.set(f"{worker}.{self._deaths}")
        try:
            if job.name in PERIODIC:
                await run_periodic(self.ports, job.name)
            else:
                await run_job(self.ports, job.name, job.args, attempt=job.attempt, worker=WORKER.get())
        except (JournalAway, UpstreamError, UnknownState, Busy):
            if job.attempt < TRIES:
                after = min(FIRST_AGAIN_AFTER * 2 ** (job.attempt - 1), LAST_AGAIN_AFTER)
                self._put_back(replace(job, attempt=job.attempt + 1), after)
            else:
                self.given_up.append(job)
        except Killed:
            self._deaths += 1
            self._put_back(job, REDELIVER_AFTER)
        finally:
            WORKER.reset(token)

    def _put_back(self, job: Waiting, after: timedelta) -> None:
        self.jobs.waiting.setdefault(job.key, replace(job, at=self.clock.now() + after))

    def disturb(
        self, step: int = 1, how: Callable[[str], Awaitable[None]] | None = None, *, times: int = 1
    ) -> Callable[[], int]:
        """From the `step`th call of a worker on, so many of its calls meet this. Returns what counts its calls."""
        count = 0

        async def fault(name: str) -> None:
            nonlocal count
            if WORKER.get():
                count += 1
                if how is not None and step <= count < step + times:
                    await how(name)

        self.switchboard.fault = fault
        return lambda: count

    def fail(self, error: Exception, *names: str, times: int = 10**6) -> None:
        """From now on the calls of workers whose names begin so fail, so many of them."""
        left = iter(range(times))

        async def fault(name: str) -> None:
            if WORKER.get() and name.startswith(names) and next(left, None) is not None:
                raise error

        self.switchboard.fault = fault

    def take_lock(self, *, host: str = "runner-1", who: str = "runner@fv-az1-1") -> None:
        """Run 1001, which elliott began, starts on this machine, and its Terraform takes `lock-1` in each place."""
        self.ci.start("1001", DEPLOY, host=host, actor="elliott-ci")
        info = LockInfo("lock-1", "OperationTypeApply", "", who, "1.9.8", self.clock.now(), "p")
        for kind in self.kinds:
            self.store.write(kind, lock_text(info))
        self.store.last_written = self.clock.now()

    def outcomes(self) -> list[str]:
        """What the timeline, which must be whole, says of the ends of unlocks."""
        entries = self.journal.logs[self.incident.id]
        verify(entries)
        return [str(entry.facts["outcome"]) for entry in entries if entry.kind in {"unlock.released", "unlock.failed"}]

    def close(self) -> None:
        self.loop.close()

"""The incident that tflock exists for, made to happen on a stage: a lost deployment, and a loop on its lock table."""

from __future__ import annotations

import asyncio
import getpass
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from bot.sandbox.github.runs import RunRecord, log_of
from bot.sandbox.machine.aws import LocalAws
from bot.sandbox.machine.proxy import Call, OutOfCapacity
from bot.sandbox.machine.terraform import Finished, TerraformWorkspace, write_workspace
from bot.sandbox.stage import DEPLOY, REPO, UPDATE, Stage

HOST = socket.gethostname()
"""Terraform writes this machine's name into the lock, so the deployment's runner has it, too."""

REPORT = "Deployments to staging fail: Error acquiring the state lock. Is anyone applying?"
"""How quinn reports it."""

STARTS_EVERY = 2.0
"""Seconds between two starts of the dependency update; a minute, that day."""

HELD_SECONDS = 20.0
"""How long the deployment holds the lock before it is killed; ten minutes, that day."""

_ENOUGH_STARTS = 5
_TRIES_EVERY = 1.0
_LET_THROUGH = 3
_BEFORE_THE_LOCK = timedelta(minutes=3)
_CLEAR_OF_THE_LOCK = 3.5

POLICY: dict[str, Any] = {
    "settle": {"failed": "10s", "cancelled": "15s", "timed_out": "25s", "lost": "30s"},
    "state_quiet": "10s",
    "clock_skew": "2s",
}
"""The waiting times of the demo. The real defaults are those of `bot.core.policy`."""


@dataclass(frozen=True, slots=True)
class HumanStep:
    """What someone did that day, and when (`11:05`)."""

    at: str
    who: str
    did: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """`took_minutes` is from the first report to the released lock."""

    state: str
    took_minutes: int
    course: tuple[HumanStep, ...]

    def between(self, first: str, last: str) -> tuple[HumanStep, ...]:
        """The steps from one time of that day to another, both included."""
        return tuple(step for step in self.course if first <= step.at <= last)


def load_scenario() -> Scenario:
    story = yaml.safe_load(resources.files("bot.sandbox.demo").joinpath("scenario.yml").read_text("utf-8"))
    course = tuple(HumanStep(**step) for step in story["human_course"])
    return Scenario(story["state"], story["took_minutes"], course)


def settings() -> dict[str, Any]:
    """What the bot's configuration needs, so that a lock taken on this machine counts as one of a CI runner."""
    return {"holders": {"ci_hosts": [f"*@{HOST}"]}}


@dataclass(slots=True)
class StagedIncident:
    """Makes it happen. `terraform` is None where there is no binary: then the same lock item is written by hand."""

    stage: Stage
    state: str
    binary: Path | None
    throttled: int = 0
    contending: int = 0
    _puts: int = 0
    _lost_at: float = 0.0
    _terraform: TerraformWorkspace | None = None
    _hands: LocalAws | None = field(default=None, repr=False)

    async def deploy_well(self) -> None:
        """The state is there and whole: an earlier deployment has gone well."""
        of = self.stage.states[self.state]
        if self.binary is None:
            await self.stage.aws.put_state(of.key)
            return
        self._terraform = await asyncio.to_thread(
            write_workspace,
            self.binary,
            self.stage.directory / "deployment",
            endpoint=self.stage.proxy.url,
            bucket=self.stage.aws.bucket,
            key=of.key,
            table=self.stage.aws.table if of.item else None,
            lockfile=of.file,
        )
        await self._terraform.init()
        await self._terraform.apply(hold=1)

    async def lose_a_deployment(self, *, held: float = HELD_SECONDS) -> RunRecord:
        """A CI run takes the lock, and so many seconds later is lost in the middle of its apply: killed with SIGKILL,
        the lock stays.
        """
        begun = datetime.now(UTC) - _BEFORE_THE_LOCK
        run = self.stage.runs.start_run(REPO, DEPLOY, at=begun, actor="elliott-ci", title="Deploy staging", runner=HOST)
        if self._terraform is None:
            who = f"{getpass.getuser()}@{HOST}"
            await self.stage.take_lock(self.state, who=who, created=datetime.now(UTC))
            lines = [(datetime.now(UTC), "terraform_data.deployment: Creating...")]
            await asyncio.sleep(held)
        else:
            async with self._terraform.applying() as apply:
                await asyncio.sleep(held)
                await apply.kill()
            lines = apply.lines
        run.jobs[-1].log = log_of(lines, begun=begun, commands=self._commands())
        self.stage.runs.finish(run.id, "timed_out")
        self._lost_at = time.monotonic()
        return run

    async def start_the_loop(self) -> None:
        """The dependency update is started over and over; each run tries to take the lock, and the table throttles.

        It begins when the lock is older than the clock skew, so that none of its runs could be the lock's holder.
        """
        await asyncio.sleep(self._lost_at + _CLEAR_OF_THE_LOCK - time.monotonic())
        self._wear_out_the_table()
        self.stage.github.loop(REPO, UPDATE, every=STARTS_EVERY, contend=self._contend)

    def _commands(self) -> list[str]:
        """What the job runs; its `init` says which state it works on."""
        key = self.stage.states[self.state].key
        backend = f"-backend-config=bucket={self.stage.aws.bucket} -backend-config=key={key}"
        return [f"terraform init {backend}", "terraform apply -auto-approve"]

    def crowd(self, count: int, *, every: timedelta) -> None:
        """This many runs of the dependency update are active at once, started at that pace, and more come at it.

        The newest starts now. The lock has to be older than the first of them.
        """
        self._wear_out_the_table()
        now = datetime.now(UTC)
        for before in range(count - 1, 0, -1):
            run = self.stage.runs.start_run(
                REPO, UPDATE, at=now - before * every, actor="dependency-bot", event="schedule"
            )
            self.stage.github.live(run, contend=self._contend)
        self.stage.github.loop(REPO, UPDATE, every=every.total_seconds(), contend=self._contend)

    def loops(self) -> int:
        """How many runs of the dependency update were started."""
        return sum(run.workflow.file == UPDATE for run in self.stage.runs.runs(REPO))

    def is_looping(self) -> bool:
        """Whether it was started often enough for the bot to see a loop in it."""
        return self.loops() > _ENOUGH_STARTS

    async def try_to_deploy(self) -> Finished | None:
        """The deployment that quinn wants, whatever comes of it; None where there is no Terraform."""
        return None if self._terraform is None else await self._terraform.try_apply()

    async def lock_and_give_back(self) -> None:
        """What an apply does to the lock, by hand. Raises botocore's ClientError if the lock is taken."""
        of = self.stage.states[self.state]
        await self.stage.take_lock(self.state, who=f"{getpass.getuser()}@{HOST}", created=datetime.now(UTC))
        await self.stage.aws.delete_item(f"{self.stage.aws.bucket}/{of.key}")

    async def aclose(self) -> None:
        if self._hands is not None:
            await self._hands.aclose()

    def _wear_out_the_table(self) -> None:
        self._hands = self._hands or LocalAws(self.stage.proxy.url, self.stage.aws.bucket, self.stage.aws.table)
        self.stage.runs.add_workflow(REPO, UPDATE).state = "active"
        self.stage.proxy.fault(self._exceeds, OutOfCapacity())

    def _exceeds(self, call: Call) -> bool:
        """The table's write capacity is used up while anyone contends; of many puts a few get through."""
        if not self.contending or call.operation not in {"dynamodb:PutItem", "dynamodb:DeleteItem"}:
            return False
        self._puts += call.operation == "dynamodb:PutItem"
        if call.operation == "dynamodb:PutItem" and self._puts % _LET_THROUGH == 0:
            return False
        self.throttled += 1
        return True

    async def _contend(self, run: RunRecord) -> None:
        self.contending += 1
        try:
            while True:
                await self._try_to_lock(run)
                await asyncio.sleep(_TRIES_EVERY)
        finally:
            self.contending -= 1

    async def _try_to_lock(self, run: RunRecord) -> None:
        """One conditional put, as Terraform makes it. It is waited for to its end, also by a run that is cancelled."""
        put = asyncio.ensure_future(self._put(run))
        try:
            await asyncio.shield(put)
        except asyncio.CancelledError:
            await asyncio.wait([put])
            raise

    async def _put(self, run: RunRecord) -> None:
        if self._hands is None:
            return
        of = self.stage.states[self.state]
        text = f'{{"ID":"{run.id}","Operation":"OperationTypePlan","Who":"runner@fv-az{run.id}"}}'
        with suppress(ClientError):
            await self._hands.hold(of.key, text, item=True, file=False)

"""Worlds for the use cases: on paper (`tests.worlds.memory.world`), and of real servers (`Scene`)."""

from __future__ import annotations

import random
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from bot.app.metrics import Metrics
from bot.aws.clients import Access, AwsClients
from bot.backends.s3.address import S3Address
from bot.backends.s3.backend import S3Backend
from bot.ci.github.source import GitHubActions
from bot.core.gate.inspection import StateName
from bot.core.policy import Holders, KnownPerson, Policy
from bot.core.run import Pipeline
from bot.core.systems import GITHUB
from bot.errors import JournalAway, UpstreamError
from bot.export.exporter import FileExporter
from bot.sandbox.machine.aws import CREDENTIALS, REGION, WrittenLock, fresh_moto
from bot.sandbox.machine.proxy import FaultProxy, fault_proxy
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import DEPLOY, REPO, UPDATE, populate
from bot.slack.client import slack_client
from bot.slack.directory import SlackDirectory
from bot.slack.files import SlackFiles
from bot.slack.messages import SlackMessages
from bot.slack.messenger import SlackMessenger
from bot.store.connect import connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal
from bot.store.redis_records import RedisRecords
from bot.usecases.lease import Busy
from bot.usecases.record.lifecycle import enter
from bot.usecases.request import approval
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import unlock
from bot.usecases.world import State, World
from bot.worker import run_job
from tests.worlds.aws import FullAws
from tests.worlds.ci.github import FullGitHub
from tests.worlds.ci.sources import source_of
from tests.worlds.clocks import MovableClock
from tests.worlds.key_families import without_bound
from tests.worlds.logs import held
from tests.worlds.memory.people import MemoryJobs
from tests.worlds.memory.world import MemoryWorld
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stores import Trusted

CHANNEL = "C0STAGING"
KEY = "environments/staging/terraform.tfstate"
PIPELINES = tuple(
    Pipeline("github", (("repo", REPO), ("workflow", workflow)), GITHUB.name) for workflow in (DEPLOY, UPDATE)
)


@pytest.fixture(autouse=True)
def _quiet():
    """A thousand worlds log a lot."""
    with structlog.testing.capture_logs():
        yield


@dataclass
class Scene:
    """The use cases on real servers. Jobs wait in a list, and are run by `work` when their time has come."""

    ports: World
    clock: MovableClock
    aws: FullAws
    proxy: FaultProxy
    github: FullGitHub
    slack: FullWorkspace
    jobs: MemoryJobs
    redis: Any
    exports: Path
    incident: str = ""
    failures: list[Exception] = field(default_factory=list)

    def forward(self, seconds: float) -> None:
        """Time passes, for the bot and for GitHub."""
        self.clock.offset += timedelta(seconds=seconds)
        self.github.offset = self.clock.offset

    async def lock(self, *, who: str = "runner@fv-az881-525", ago: float = 7200, file: bool = True) -> WrittenLock:
        await self.aws.put_state(KEY)
        created = self.clock.now() - timedelta(seconds=ago)
        lock = WrittenLock(f"{secrets.token_hex(4)}-1b2c", created, f"{self.aws.bucket}/{KEY}", who=who)
        await self.aws.hold(KEY, lock.text, item=True, file=file)
        return lock

    async def running_lock(self, **how):
        """A lock with the run that holds it, whose log shows that once it is over."""
        lock = await self.lock(**how)
        at = lock.created - timedelta(minutes=3)
        run = self.github.runs.start_run(REPO, DEPLOY, at=at, actor="elliott-ci", title="Deploy")
        return lock, held(run, lock)

    async def dead_lock(self, conclusion: str = "timed_out", **how):
        lock, run = await self.running_lock(**how)
        self.github.runs.finish(run.id, conclusion, at=lock.created + timedelta(minutes=10))
        return lock, run

    async def stands(self, lock: WrittenLock) -> bool:
        return lock.id in (await self.aws.lock_ids(KEY)).values()

    async def ask(self, user: str = "U0QUINN", **wish):
        report = await unlock.ask(self.ports, unlock.UnlockCommand("staging", user, CHANNEL, self.incident, **wish))
        await self.write_letters()
        return report

    async def write_letters(self):
        """Runs the jobs that write to owners, as a worker does at once."""
        for job in [job for job in self.jobs.waiting.values() if job.name == "letter" and job.at <= self.clock.now()]:
            del self.jobs.waiting[job.key]
            await self._run(job, "w1")

    async def confirm(self, report, user: str = "U0QUINN"):
        request = report.request
        await unlock.confirm(self.ports, request.id, lock_id=request.lock_id, user=user)

    async def approve(self, report, user: str = "U0PARKER", covers: str | None = None):
        """The click on the approval's button, as it is shown now."""
        request = report.request
        if covers is None:
            covers = "+".join((await UNLOCKS.get(self.ports, request.id)).wanted)
        await approval.approve(self.ports, request.id, lock_id=request.lock_id, user=user, covers=covers)

    async def work(self, *, worker: str = "w1") -> int:
        """Runs every job whose time has come, once; how many there were beside letters to owners."""
        count = 0
        while (job := self.jobs.due()) is not None:
            count += job.name != "letter"
            await self._run(job, worker)
        return count

    async def _run(self, job, worker):
        try:
            await run_job(self.ports, job.name, job.args, attempt=job.attempt, worker=worker)
        except (JournalAway, UpstreamError, Busy) as error:
            self.failures.append(error)

    async def entries(self, *kinds: str):
        log = [entry async for entry in self.ports.journal.entries(self.incident)]
        return [entry for entry in log if not kinds or entry.kind in kinds]

    async def has_intent(self) -> bool:
        return bool(await self.entries("unlock.releasing"))

    def said(self) -> list[str]:
        """What the bot's messages in the channel show now."""
        return [flat(message) for message in self.slack.messages(CHANNEL) if not message.thread_ts]

    def wrote(self, user: str = "U0ELLIOTT") -> list[str]:
        return [flat(message) for message in self.slack.directs(user)]


@pytest.fixture(scope="module")
def moto():
    with fresh_moto() as endpoint:
        yield endpoint


@pytest.fixture
def policy():
    # the store's clock does not move with ours, so that no state would ever be quiet
    return Policy(release_deadline=timedelta(seconds=6), state_quiet=timedelta(0))


@pytest.fixture
def protected():
    return False


@pytest.fixture
def table_within():
    """Seconds for a look at the lock table: the first one at a moto takes more than the bot's two on a busy machine."""
    return 30.0


@pytest.fixture
async def scene(moto, policy, protected, table_within, directory, tmp_path, monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    async with AsyncExitStack() as stack:
        token = secrets.token_hex(4)
        aws = FullAws(moto, f"acme-tfstate-{token}", f"acme-tf-locks-{token}")
        await aws.create()
        stack.push_async_callback(aws.aclose)
        proxy = await stack.enter_async_context(fault_proxy(aws.endpoint))
        github = await stack.enter_async_context(FullGitHub(cancel_delay=timedelta(0)))
        slack = await stack.enter_async_context(FullWorkspace())
        populate(slack)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = connect(await stack.enter_async_context(redis_for(None, directory)))
        stack.push_async_callback(client.aclose)
        clients = AwsClients()
        stack.push_async_callback(clients.aclose)
        for pipeline in PIPELINES:
            github.runs.add_workflow(REPO, pipeline.get("workflow"))

        clock = MovableClock()
        source = source_of(GitHubActions, github, *PIPELINES, clock=clock)
        stack.push_async_callback(source.aclose)
        address = S3Address(
            Access(region=REGION, endpoint_url=proxy.url),
            bucket=aws.bucket, key=KEY, dynamodb_table=aws.table, use_lockfile=True,
        )  # fmt: skip
        api = slack_client(slack.bot_token, base_url=slack.api_url, session=session)
        people = SlackDirectory(api, clock=clock)
        await people.introduce()
        journal = RedisJournal(client, clock=clock, rng=random.Random(), retention=timedelta(days=400))
        jobs = MemoryJobs(clock)
        ports = World(
            states={
                "staging": State(
                    StateName("staging", "Staging", protected),
                    S3Backend(address, clients, clock, proofs=Trusted(), table_within=table_within),
                    "S3",
                    PIPELINES,
                )
            },
            sources={"github": source},
            journal=journal,
            records=RedisRecords(client, rng=random.Random()),
            directory=people,
            messages=SlackMessages(api, clock=clock),
            messenger=SlackMessenger(api),
            exporter=FileExporter(journal, tmp_path / "exports", ("markdown", "json")),
            files=SlackFiles(api),
            jobs=jobs,
            clock=clock,
            meter=Metrics(),
            policy=policy,
            holders=Holders(people=(KnownPerson("elliott", "U0ELLIOTT", github="elliott-ci", who=("elliott@*",)),)),
            incident_channels=("inc-*",),
            capture_reactions=("pushpin", "round_pushpin"),
            upload_exports=True,
            new_id=lambda: secrets.token_hex(5),
        )
        made = Scene(ports, clock, aws, proxy, github, slack, jobs, client, tmp_path / "exports")
        made.incident = (
            await enter(ports, channel=CHANNEL, user="U0QUINN", title="staging", command="unlock staging")
        ).id
        yield made
        assert not await without_bound(client), "keys of Redis that neither run out nor have a bound"


@pytest.fixture
def make_paper():
    """Worlds in memory, with a lock that its run left behind: `paper.lock_id`."""
    made = []

    def make(**settings):
        made.append(MemoryWorld(**settings))
        return made[-1]

    yield make
    for world in made:
        world.close()

"""The composition root: a configuration becomes a running bot. Only here adapters are chosen for ports."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from docket import Docket
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot import worker
from bot.app import stores
from bot.app.adapters import SystemClock, export_targets, run_sources, ticket_system
from bot.app.discovery import Discovery, LivePipelines, LiveStates, LiveSweep
from bot.app.metrics import Metrics
from bot.app.remembered import VAR, redis_of_a_bot
from bot.aws.clients import AwsClients
from bot.backends.frame import Means
from bot.config.settings import Config
from bot.errors import ConfigInvalid, TflockError, UnknownState
from bot.export.exporter import FileExporter
from bot.slack.client import slack_client
from bot.slack.directory import SlackDirectory
from bot.slack.files import SlackFiles
from bot.slack.messages import SlackMessages
from bot.slack.messenger import SlackMessenger
from bot.store.connect import Client, connect
from bot.store.embedded import redis_for
from bot.store.jobs import DocketJobs, open_docket
from bot.store.redis_journal import RedisJournal
from bot.store.redis_records import RedisRecords
from bot.usecases.world import World
from handlers.backlog import Backlog
from handlers.intake import Intake
from handlers.listeners import listen

_WARM_WITHIN = 5.0
_FOUND_WITHIN = 20.0
_HEEDED_WITHIN = 1.0


@dataclass(frozen=True, slots=True)
class Bot:
    config: Config
    world: World
    metrics: Metrics
    directory: SlackDirectory
    bolt: AsyncApp
    docket: Docket
    jobs: DocketJobs
    redis: Client
    backlog: Backlog
    intake: Intake
    worker_name: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """A world, and its adapters where more than their port is needed of them."""

    world: World
    slack: AsyncWebClient
    directory: SlackDirectory
    metrics: Metrics
    aws: AwsClients
    means: Means
    docket: Docket
    jobs: DocketJobs
    redis: Client
    discovery: Discovery

    def named(self, name: str) -> str:
        """The state's name as `Config.named`, of all that are known now. Raises UnknownState, or TflockError if it may
        be a state of a pattern that could not be listed.
        """
        try:
            return self.discovery.config.named(name)
        except UnknownState as unknown:
            of = [pattern.template.name for pattern in self.discovery.config.patterns if pattern.can_be_called(name)]
            unlisted = [self.discovery.unlisted[each].problem for each in of if each in self.discovery.unlisted]
            if not unlisted:
                unknown.left_out = self.discovery.left_out if of else ()
                raise
            raise TflockError(f"{name} is not among the states that are known, and {'; '.join(unlisted)}.") from None


@asynccontextmanager
async def build(config: Config) -> AsyncIterator[Bot]:
    """Wires everything, warms what is slow to make, and takes it apart again. Talks to nobody but the store.

    Raises ConfigInvalid for a Redis that cannot be, JournalAway if the embedded Redis does not start.
    """
    async with with_redis(config) as wiring, _discovering(wiring.discovery):
        bot = _assemble(config, wiring)
        warming = asyncio.create_task(stores.warm(wiring.discovery.config, wiring.means))
        try:
            await asyncio.wait({warming}, timeout=_WARM_WITHIN)  # else the first answers would wait for it
            async with bot.intake.tended(), bot.backlog.worked_off():
                yield bot
        finally:
            await ended(warming)


@asynccontextmanager
async def _discovering(discovery: Discovery) -> AsyncIterator[None]:
    """Waits a while for the states that patterns mean, and looks for them again as long as the bot runs."""
    if not discovery.config.patterns:
        yield
        return
    looked = asyncio.Event()
    looking = asyncio.create_task(discovery.run(looked))
    try:
        await asyncio.wait({asyncio.create_task(looked.wait())}, timeout=_FOUND_WITHIN)
        yield
    finally:
        await ended(looking)


@asynccontextmanager
async def with_redis(config: Config) -> AsyncIterator[Wiring]:
    """Wired to the configured Redis, or to the embedded one, which is started for as long as it is needed."""
    given = config.redis_url.get_secret_value() if config.redis_url else None
    async with redis_for(given, VAR) as url, wired(config, url) as wiring:
        yield wiring


@asynccontextmanager
async def beside_a_bot(config: Config) -> AsyncIterator[Wiring]:
    """Wired to a Redis that someone runs already, if there is one: none is started."""
    url = await redis_of_a_bot(config)
    async with wired(config, url) as wiring:
        wiring.discovery.remembers = False
        await wiring.discovery.start()
        yield wiring


@asynccontextmanager
async def wired(config: Config, url: str) -> AsyncIterator[Wiring]:
    """Every port on its adapter, with the Redis at `url`. Asks nobody: Redis may be away and Slack not configured.

    Raises ConfigInvalid for a URL that cannot be one, and for a backend that cannot be made.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client, aws = connect(url), AwsClients()
        stack.push_async_callback(client.aclose)
        stack.push_async_callback(aws.aclose)
        wiring = _wiring(config, session, client, aws, open_docket(url))
        stack.push_async_callback(_closed, wiring.means)
        for source in wiring.world.sources.values():
            stack.push_async_callback(source.aclose)
        if wiring.world.tickets is not None:
            stack.push_async_callback(wiring.world.tickets.aclose)
        yield wiring


async def _closed(means: Means) -> None:
    """Ends what states were made with, those that were found later, too."""
    for close in reversed(means.closing):
        await close()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancels until it is over: what it waits for can swallow a cancellation, as `asyncio.wait_for` before Python 3.12
    does where its answer comes at the same time. Whatever it raises is dropped.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_HEEDED_WITHIN)
    await asyncio.gather(task, return_exceptions=True)


def _wiring(config: Config, session: aiohttp.ClientSession, client: Client, aws: AwsClients, docket: Docket) -> Wiring:
    """Which adapter is behind each port: all of it is here, and in `adapters.py` where the configuration chooses."""
    token = config.slack.bot_token
    clock, rng, metrics = SystemClock(), random.SystemRandom(), Metrics()
    slack = slack_client(token or "", base_url=config.slack.api_url, session=session)
    directory = SlackDirectory(slack, clock=clock)
    journal = RedisJournal(client, clock=clock, rng=rng, retention=config.timeline.retention)
    records, jobs = RedisRecords(client, rng=rng), DocketJobs(docket)
    means = stores.means(config, aws, records, clock)
    states, pipelines = LiveStates(stores.lock_backends(config, means)), LivePipelines(config)
    sweep = LiveSweep(stores.lock_sweep(config, means))
    world = World(
        states=states,
        sources=run_sources(config, aws, pipelines),
        journal=journal,
        records=records,
        directory=directory,
        messages=SlackMessages(slack, clock=clock),
        messenger=SlackMessenger(slack),
        exporter=FileExporter(journal, Path(config.export.directory), config.export.formats),
        files=SlackFiles(slack),
        targets=export_targets(config, aws),
        export_directory=config.export.directory,
        tickets=ticket_system(config),
        jobs=jobs,
        clock=clock,
        meter=metrics,
        policy=config.policy,
        holders=config.holders,
        incident_channels=config.slack.incident_channels,
        capture_reactions=config.timeline.capture_reactions,
        close_after_quiet=config.timeline.close_after_quiet,
        upload_exports=config.export.upload_to_channel,
        new_id=lambda: secrets.token_hex(5),
        export_zone=config.export.timezone,
        sweep=sweep,
        watch=config.watch,
        alerts_channel=config.slack.alerts_channel,
        private_incident_channels=config.slack.private_incident_channels,
        shared_pipelines=tuple(each for pattern in config.patterns for each in pattern.shared),
        meant=config.meant,
    )
    discovery = Discovery(config, means, records, metrics, states, sweep, pipelines)
    return Wiring(world, slack, directory, metrics, aws, means, docket, jobs, client, discovery)


def _assemble(config: Config, wiring: Wiring) -> Bot:
    token = config.slack.bot_token
    if token is None:
        raise ConfigInvalid(("SLACK_BOT_TOKEN: is not set",))
    world, directory, docket = wiring.world, wiring.directory, wiring.docket
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    worker.register(docket, world, worker_name=name)

    async def authorize() -> AuthorizeResult:
        # Answered from memory: asking Slack here would make the ack wait for it.
        return AuthorizeResult(
            enterprise_id=None,
            team_id=directory.home_team,
            bot_token=token.get_secret_value(),
            bot_user_id=directory.user_id,
        )

    bolt = AsyncApp(
        name="tflock",  # Bolt would look for one in the source of all frames, which is a twentieth of the start
        client=wiring.slack,
        authorize=authorize,
        # `web` does it before Bolt reads a body, with the secret as it is then
        request_verification_enabled=False,
    )
    backlog = Backlog()
    intake = Intake(world, backlog)
    listen(bolt, world, intake)
    return Bot(config, world, wiring.metrics, directory, bolt, docket, wiring.jobs, wiring.redis, backlog, intake, name)

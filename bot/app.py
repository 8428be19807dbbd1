"""The composition root: a configuration becomes a running bot. Only here adapters are chosen for ports."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import aiohttp
import structlog
from aiohttp import web
from docket import Docket
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot import worker
from bot.adapters import SystemClock, export_targets, lock_backends, lock_sweep, place_of, run_sources, ticket_system
from bot.backends.s3 import AwsClients
from bot.config import Config
from bot.errors import ConfigInvalid, JournalAway, UpstreamError
from bot.export.exporter import FileExporter
from bot.metrics import Metrics
from bot.ports import RunSource
from bot.slack.client import slack_client
from bot.slack.directory import SlackDirectory
from bot.slack.messages import SlackMessages
from bot.slack.notifier import SlackNotifier
from bot.slack.sharing import SlackSharing
from bot.slack.steps import SlackSteps
from bot.slack.teller import SlackTeller
from bot.slack.views import SlackViews
from bot.store.connect import Client, connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal
from bot.store.redis_records import RedisRecords
from bot.usecases.world import World
from handlers.backlog import Backlog
from handlers.claims_http import claim_routes
from handlers.events import event_in, is_mere_talk
from handlers.listeners import listen

log = structlog.get_logger()

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]

VAR = Path("var")
"""Where the embedded Redis lives, below the working directory."""

_RECONNECT_AFTER = 1.0
_JOBS_MAY_TAKE = 5.0
"""Seconds that jobs at work get when the process is told to stop; what takes longer goes to the next worker."""
_WARM_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Bot:
    """Everything wired."""

    config: Config
    world: World
    metrics: Metrics
    directory: SlackDirectory
    bolt: AsyncApp
    docket: Docket
    jobs: worker.DocketJobs
    backlog: Backlog
    worker_name: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """A world, and its adapters where more than their port is needed of them."""

    world: World
    slack: AsyncWebClient
    directory: SlackDirectory
    metrics: Metrics
    redis: Client
    aws: AwsClients
    docket: Docket
    jobs: worker.DocketJobs


@asynccontextmanager
async def build(config: Config) -> AsyncIterator[Bot]:
    """Wires everything, warms what is slow to make, and takes it apart again. Talks to nobody but the store.

    Raises ConfigInvalid for a Redis that cannot be, JournalAway if the embedded Redis does not start.
    """
    given = config.redis_url.get_secret_value() if config.redis_url else None
    async with redis_for(given, VAR) as url, wired(config, url) as wiring:
        bot = _assemble(config, wiring)
        warming = asyncio.create_task(_warm(wiring.aws, config))
        try:
            await asyncio.wait({warming}, timeout=_WARM_WITHIN)  # else the first answers would wait for it
            async with bot.backlog.worked_off():
                yield bot
        finally:
            await _ended(warming)


@asynccontextmanager
async def wired(config: Config, url: str) -> AsyncIterator[Wiring]:
    """Every port on its adapter, with the Redis at `url`. Asks nobody: Redis may be away and Slack not configured.

    Raises ConfigInvalid for a URL that cannot be one.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = connect(url)
        stack.push_async_callback(client.aclose)
        aws = AwsClients()
        stack.push_async_callback(aws.aclose)
        sources = run_sources(config, aws)
        for source in sources.values():
            stack.push_async_callback(source.aclose)
        wiring = _wiring(config, session, client, aws, sources, worker.open_docket(url))
        if wiring.world.tickets is not None:
            stack.push_async_callback(wiring.world.tickets.aclose)
        yield wiring


async def _warm(aws: AwsClients, config: Config) -> None:
    await aws.warm(place_of(settings).access for settings in config.states.values())


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def working(bot: Bot, *, run_jobs: bool) -> AsyncIterator[None]:
    """Connects the queue and, with `run_jobs`, works it off. Redis may come and go; both go on when it is back."""
    stopping = asyncio.Event()
    tending = asyncio.create_task(_tend(bot, stopping, run_jobs=run_jobs))
    try:
        yield
    finally:
        stopping.set()  # the worker takes a cancellation for itself, so the loop around it needs to be told
        tending.cancel()  # from here on it only lets the jobs at work come to their end
        await asyncio.wait({tending}, timeout=_JOBS_MAY_TAKE)
        await _ended(tending)


async def _tend(bot: Bot, stopping: asyncio.Event, *, run_jobs: bool) -> None:
    while not stopping.is_set():
        try:
            await bot.world.journal.ping()
            async with bot.docket:
                bot.jobs.connected = True
                await _work(bot, run_jobs=run_jobs)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the queue must come back whatever Redis answers meanwhile
            log.warning("queue.away", error=str(error))
        finally:
            bot.jobs.connected = False
        if not stopping.is_set():
            await asyncio.sleep(_RECONNECT_AFTER)


async def _work(bot: Bot, *, run_jobs: bool) -> None:
    if not run_jobs:
        await asyncio.Event().wait()
    async with worker.new_worker(bot.docket, name=bot.worker_name) as hands:
        await hands.run_forever()


@asynccontextmanager
async def introduced(bot: Bot) -> AsyncIterator[None]:
    """Finds out who the bot is in Slack, as soon as Slack answers. Until then nobody counts as a member."""
    asking = asyncio.create_task(_introduce(bot))
    try:
        await asyncio.wait({asking}, timeout=5)
        yield
    finally:
        await _ended(asking)


async def _introduce(bot: Bot) -> None:
    while True:
        try:
            log.info("slack.introduced", user=await bot.directory.introduce())
        except UpstreamError as error:
            log.warning("slack.away", detail=error.detail)
            await asyncio.sleep(5)
        else:
            return


def web_app(bot: Bot) -> web.Application:
    """The HTTP face of the contract."""
    app = web.Application(client_max_size=1024**2)
    app.add_routes([
        web.post("/slack/events", _slack(bot)),
        web.get("/healthz", _healthz),
        web.get("/readyz", _readyz(bot)),
        web.get("/metrics", _metrics(bot)),
        *claim_routes(bot.world, bot.config.claim_token.get_secret_value() if bot.config.claim_token else None),
    ])  # fmt: skip
    return app


@asynccontextmanager
async def socket_mode(bot: Bot) -> AsyncIterator[None]:
    """With an app token, Slack's payloads come over a connection that we open, as soon as Slack takes it."""
    token = bot.config.slack.app_token
    if token is None:
        yield
        return
    handler = AsyncSocketModeHandler(bot.bolt, token.get_secret_value())
    connecting = asyncio.create_task(_connect(handler))
    try:
        yield
    finally:
        await _ended(connecting)
        await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt has no types here


async def _connect(handler: AsyncSocketModeHandler) -> None:
    await handler.connect_async()  # type: ignore[no-untyped-call]  # as above
    log.info("slack.connected")


def _slack(bot: Bot) -> Handler:
    secret = bot.config.slack.signing_secret
    verifier = SignatureVerifier(secret.get_secret_value()) if secret else None

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        if verifier is None or not _is_signed(verifier, body, request.headers):
            return web.json_response({"error": "not signed by Slack"}, status=401)
        event = event_in(body, request.content_type)
        if event is not None and is_mere_talk(event):
            return web.Response()  # a busy channel costs no more than this
        with nullcontext() if event is not None else bot.backlog.receiving():
            try:
                answer = await bot.bolt.async_dispatch(await to_bolt_request(request))
            except Exception as error:  # noqa: BLE001 - Bolt raises anything for a body that is not of Slack's shape
                log.warning("request.unreadable", error=repr(error))
                return web.json_response({"error": "this is no request that Slack makes"}, status=400)
            return await to_aiohttp_response(answer)

    return handle


def _is_signed(verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str]) -> bool:
    """Checked here before Bolt reads the body, and again by Bolt. Headers of any shape are no more than a no."""
    timestamp, signature = headers.get("X-Slack-Request-Timestamp"), headers.get("X-Slack-Signature")
    try:
        return verifier.is_valid(body, timestamp, signature)
    except (ValueError, TypeError):
        return False


async def _healthz(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everybody
    return web.json_response({"alive": True})


def _readyz(bot: Bot) -> Handler:
    async def handle(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everybody
        redis, slack = await asyncio.gather(_redis_answers(bot), _slack_answers(bot))
        ready = redis and slack
        return web.json_response({"redis": redis, "slack": slack}, status=200 if ready else 503)

    return handle


def _metrics(bot: Bot) -> Handler:
    async def handle(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everybody
        return web.Response(body=bot.metrics.exposition(), headers={"Content-Type": bot.metrics.content_type})

    return handle


async def _redis_answers(bot: Bot) -> bool:
    try:
        await bot.world.journal.ping()
    except JournalAway:
        return False
    return True


async def _slack_answers(bot: Bot) -> bool:
    try:
        await bot.directory.introduce()
    except UpstreamError:
        return False
    return True


def _wiring(
    config: Config,
    session: aiohttp.ClientSession,
    client: Client,
    aws: AwsClients,
    sources: Mapping[str, RunSource],
    docket: Docket,
) -> Wiring:
    token = config.slack.bot_token
    clock, rng, metrics = SystemClock(), random.SystemRandom(), Metrics()
    slack = slack_client(token.get_secret_value() if token else "", base_url=config.slack.api_url, session=session)
    directory, notifier = SlackDirectory(slack, clock=clock), SlackNotifier(slack)
    journal = RedisJournal(client, clock=clock, rng=rng, retention=config.timeline.retention)
    jobs = worker.DocketJobs(docket)
    world = World(
        states=lock_backends(config, aws),
        sources=sources,
        journal=journal,
        records=RedisRecords(client, rng=rng),
        directory=directory,
        messages=SlackMessages(slack, clock=clock),
        teller=SlackTeller(notifier),
        notifier=notifier,
        views=SlackViews(slack),
        steps=SlackSteps(slack, notifier),
        exporter=FileExporter(journal, Path(config.export.directory), config.export.formats),
        sharing=SlackSharing(slack),
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
        sweep=lock_sweep(config, aws),
        watch=config.watch,
        alerts_channel=config.slack.alerts_channel,
    )
    return Wiring(world, slack, directory, metrics, client, aws, docket, jobs)


def _assemble(config: Config, wiring: Wiring) -> Bot:
    token = config.slack.bot_token
    if token is None:
        raise ConfigInvalid(("SLACK_BOT_TOKEN: is not set",))
    world, directory, docket = wiring.world, wiring.directory, wiring.docket
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    worker.register(docket, world, worker_name=name)
    secret = config.slack.signing_secret

    async def authorize() -> AuthorizeResult:
        # Answered from memory: asking Slack here would make the ack wait for it.
        return AuthorizeResult(
            enterprise_id=None,
            team_id=directory.home_team,
            bot_token=token.get_secret_value(),
            bot_user_id=directory.user_id,
        )

    bolt = AsyncApp(
        client=wiring.slack,
        signing_secret=secret.get_secret_value() if secret else "",
        authorize=authorize,
        request_verification_enabled=secret is not None,
    )
    backlog = Backlog()
    listen(bolt, world, backlog)
    return Bot(config, world, wiring.metrics, directory, bolt, docket, wiring.jobs, backlog, name)

"""The processes of the Procfile, and what a running bot keeps up: the queue, and the connections to Slack."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from bot import worker
from bot.app.connections import ConnectionLimits, Connections
from bot.app.health import Health
from bot.app.rereading import heeding_hangups
from bot.app.web import web_app, worker_app
from bot.app.wiring import Bot, build, ended
from bot.config.settings import Config, Secret
from bot.errors import JournalAway, JournalRefused, TflockError, UpstreamError
from bot.store.rights import missing_rights, refusal_of

if TYPE_CHECKING:
    from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
    from slack_sdk.socket_mode.aiohttp import SocketModeClient

log = structlog.get_logger()

_RECONNECT_AFTER = 1.0
_JOBS_MAY_TAKE = 5.0
"""Seconds that running jobs get when the process has to stop; what takes longer goes to the next worker."""


async def serve(config: Config, *, run_jobs: bool) -> None:
    """Takes Slack's requests until it has to stop. Raises TflockError if the port cannot be had."""
    stop = _stop_signal()
    async with (
        build(config) as bot,
        heeding_hangups(config, stop),
        introduced(bot),
        watched(bot, run_jobs=run_jobs) as health,
        working(bot, health, run_jobs=run_jobs),
        listening(partial(web_app, bot, health=health), config.port) as port,
    ):
        _started()
        log.info("serving", port=port, jobs=run_jobs, socket_mode=config.slack.app_token is not None)
        async with socket_mode(bot):
            await stop.wait()
            log.info("stopping")


@asynccontextmanager
async def listening(
    application: Callable[[Connections], web.Application], port: int, limits: ConnectionLimits | None = None
) -> AsyncIterator[int]:
    """Answers HTTP. Gives the port. Raises TflockError if it cannot be had."""
    connections = Connections(limits or ConnectionLimits())
    idle = connections.limits.idle
    app = application(connections)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=3, keepalive_timeout=idle)
    await runner.setup()
    server = None
    try:
        server = await _listen(connections, runner, port)
        yield server.sockets[0].getsockname()[1]
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()


async def work(config: Config) -> None:
    """Runs the durable jobs until it has to stop. Answers probes and Prometheus if WORKER_PORT is set."""
    stop = _stop_signal()
    async with (
        build(config) as bot,
        heeding_hangups(config, stop),
        introduced(bot),
        watched(bot, run_jobs=True) as health,
        working(bot, health, run_jobs=True),
        AsyncExitStack() as stack,
    ):
        port = None
        if config.worker_port is not None:
            probed = listening(partial(worker_app, bot, health=health), config.worker_port)
            port = await stack.enter_async_context(probed)
        _started()
        log.info("working", name=bot.worker_name, port=port)
        await stop.wait()
        log.info("stopping")


def _started() -> None:
    """What the start made stays, and is not looked through again. What comes now mostly goes: an export's pictures are
    4 MB in circles, which waited for millions of other objects to be found.
    """
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT. Asked for first, so that a process that is still starting stops cleanly too."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _listen(connections: Connections, runner: web.AppRunner, port: int) -> asyncio.Server:
    handlers = runner.server
    assert handlers is not None  # noqa: S101 - the runner is set up
    try:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: connections.protocol(handlers), port=port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise TflockError(f"Port {port} cannot be served ({why}): free it, or name another one in PORT") from error


@asynccontextmanager
async def watched(bot: Bot, *, run_jobs: bool) -> AsyncIterator[Health]:
    """Looks after itself again and again, and logs what is wrong."""
    health = Health(bot, run_jobs=run_jobs, missing=partial(_missing, bot))
    watching = asyncio.create_task(health.watch())
    try:
        yield health
    finally:
        await ended(watching)


@asynccontextmanager
async def working(bot: Bot, health: Health, *, run_jobs: bool) -> AsyncIterator[None]:
    """Connects the queue and, with `run_jobs`, works it off. Redis may come and go; both continue when it is back."""
    stopping = asyncio.Event()
    tending = asyncio.create_task(_tend(bot, health, stopping, run_jobs=run_jobs))
    try:
        yield
    finally:
        stopping.set()  # the worker takes a cancellation for itself, so the loop around it needs a flag
        tending.cancel()  # from here on it only lets the running jobs end
        await asyncio.wait({tending}, timeout=_JOBS_MAY_TAKE)
        await ended(tending)


async def _tend(bot: Bot, health: Health, stopping: asyncio.Event, *, run_jobs: bool) -> None:
    while not stopping.is_set():
        try:
            await bot.world.journal.ping()
            async with bot.docket:
                await _permitted(bot)
                bot.jobs.connected, bot.jobs.trouble = True, None
                bot.jobs.tried.set()
                await _work_off(bot, run_jobs=run_jobs)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the queue must come back whatever Redis answers meanwhile
            known = error if isinstance(error, JournalAway) else None
            bot.jobs.trouble = known or JournalAway(f"the job queue does not start: {type(error).__name__}")
            if known is None or isinstance(known, JournalRefused):  # `health` finds out itself that Redis is away
                health.telling.tell("jobs", bot.jobs.trouble.with_fix)
        finally:
            bot.jobs.connected = False
            bot.jobs.tried.set()
        if not stopping.is_set():
            await asyncio.sleep(_RECONNECT_AFTER)


async def _permitted(bot: Bot) -> None:
    """Raises JournalRefused with the rights that are missing: without them pydocket would try again, silently."""
    missing = await _missing(bot)
    if missing:
        raise refusal_of(missing)


async def _missing(bot: Bot) -> tuple[str, ...]:
    return await missing_rights(bot.redis, bot.docket, secrets.token_hex(4))


async def _work_off(bot: Bot, *, run_jobs: bool) -> None:
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
        await ended(asking)


async def _introduce(bot: Bot) -> None:
    while True:
        try:
            log.info("slack.introduced", user=await bot.directory.introduce())
        except UpstreamError as error:
            log.warning("slack.away", detail=error.detail)
            await asyncio.sleep(5)
        else:
            return


@asynccontextmanager
async def socket_mode(bot: Bot) -> AsyncIterator[None]:
    """With an app token, Slack's payloads come over a connection that we open, as soon as Slack takes it."""
    token = bot.config.slack.app_token
    if token is None:
        yield
        return
    from slack_bolt.adapter.socket_mode.async_handler import (  # noqa: PLC0415 - over HTTP it is not needed
        AsyncSocketModeHandler,
    )

    handler = AsyncSocketModeHandler(bot.bolt, token.get_secret_value())
    _keep_current(handler.client, token)
    connecting = asyncio.create_task(_connect(handler))
    try:
        yield
    finally:
        await ended(connecting)
        await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt has no types here


def _keep_current(client: SocketModeClient, token: Secret) -> None:
    """Lets it ask for each new connection's address with the token as it is then."""
    ask = client.issue_new_wss_url

    async def with_the_newest() -> str:
        client.app_token = token.get_secret_value()
        return str(await ask())

    client.issue_new_wss_url = with_the_newest  # type: ignore[method-assign]  # the SDK has no other place for it


async def _connect(handler: AsyncSocketModeHandler) -> None:
    await handler.connect_async()  # type: ignore[no-untyped-call]  # as above
    log.info("slack.connected")

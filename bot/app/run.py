"""What a running bot keeps up: the queue, and the connections to Slack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler

from bot import worker
from bot.app.wiring import Bot, ended
from bot.errors import UpstreamError

log = structlog.get_logger()

_RECONNECT_AFTER = 1.0
_JOBS_MAY_TAKE = 5.0
"""Seconds that jobs at work get when the process is told to stop; what takes longer goes to the next worker."""


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
        await ended(tending)


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
    handler = AsyncSocketModeHandler(bot.bolt, token.get_secret_value())
    connecting = asyncio.create_task(_connect(handler))
    try:
        yield
    finally:
        await ended(connecting)
        await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt has no types here


async def _connect(handler: AsyncSocketModeHandler) -> None:
    await handler.connect_async()  # type: ignore[no-untyped-call]  # as above
    log.info("slack.connected")

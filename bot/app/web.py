"""The HTTP face of the contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import TypeAlias

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_sdk.signature import SignatureVerifier

from bot.app.connections import LARGEST, Connections
from bot.app.readiness import Readiness
from bot.app.wiring import Bot
from bot.errors import UpstreamError
from handlers.claims_http import claim_routes
from handlers.events import event_in, is_mere_talk

log = structlog.get_logger()

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


def web_app(bot: Bot, connections: Connections) -> web.Application:
    """The HTTP face of the contract. Served through `connections`, which limit what a request may take."""
    app = web.Application(client_max_size=LARGEST, middlewares=[connections.middleware()])
    app.add_routes([
        web.post("/slack/events", _slack(bot)),
        web.get("/healthz", _healthz),
        web.get("/readyz", _readyz(bot)),
        web.get("/metrics", _metrics(bot)),
        *claim_routes(bot.world, bot.config.claim_token.get_secret_value() if bot.config.claim_token else None),
    ])  # fmt: skip
    return app


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
                log.warning("request.unreadable", error=type(error).__name__)
                return web.json_response({"error": "this is not a request that Slack makes"}, status=400)
            return await to_aiohttp_response(answer)

    return handle


def _is_signed(verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str]) -> bool:
    """Checked here before Bolt reads the body, and again by Bolt. Headers of any shape are no more than a no."""
    timestamp, signature = headers.get("X-Slack-Request-Timestamp"), headers.get("X-Slack-Signature")
    try:
        return verifier.is_valid(body, timestamp, signature)
    except (ValueError, TypeError):
        return False


async def _healthz(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everyone
    return web.json_response({"alive": True})


def _readyz(bot: Bot) -> Handler:
    readiness = Readiness({"redis": lambda: _redis_answers(bot), "slack": lambda: _slack_answers(bot)})

    async def handle(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everyone
        found = await readiness.now()
        return web.json_response(found, status=200 if all(found.values()) else 503)

    return handle


def _metrics(bot: Bot) -> Handler:
    async def handle(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everyone
        return web.Response(body=bot.metrics.exposition(), headers={"Content-Type": bot.metrics.content_type})

    return handle


async def _redis_answers(bot: Bot) -> bool:
    return not await bot.world.is_journal_away()


async def _slack_answers(bot: Bot) -> bool:
    try:
        await bot.directory.introduce()
    except UpstreamError:
        return False
    return True

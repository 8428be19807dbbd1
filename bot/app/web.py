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
from bot.app.health import Health
from bot.app.wiring import Bot
from bot.config.settings import Secret
from handlers.claims_http import claim_routes
from handlers.events import event_in, is_mere_talk

log = structlog.get_logger()

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


def web_app(bot: Bot, connections: Connections, health: Health) -> web.Application:
    """The HTTP face of the contract. Served through `connections`, which limit what a request may take."""
    app = web.Application(client_max_size=LARGEST, middlewares=[connections.middleware()])
    app.add_routes([
        web.post("/slack/events", _slack(bot)),
        *_probes(bot, health),
        *claim_routes(bot.world, bot.config.claim_token),
    ])  # fmt: skip
    return app


def worker_app(bot: Bot, connections: Connections, health: Health) -> web.Application:
    """What a worker answers: only to probes and to Prometheus."""
    app = web.Application(client_max_size=LARGEST, middlewares=[connections.middleware()])
    app.add_routes(_probes(bot, health))
    return app


def _probes(bot: Bot, health: Health) -> list[web.RouteDef]:
    return [
        web.get("/healthz", _alive),
        web.get("/livez", _alive),
        web.get("/readyz", _readyz(health)),
        web.get("/metrics", _metrics(bot)),
    ]


def _slack(bot: Bot) -> Handler:
    secret = bot.config.slack.signing_secret

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        if secret is None or not _is_signed(secret, body, request.headers):
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


def _is_signed(secret: Secret, body: bytes, headers: Mapping[str, str]) -> bool:
    """Checked before Bolt reads the body, and only here. Headers of any shape are no more than a no."""
    timestamp, signature = headers.get("X-Slack-Request-Timestamp"), headers.get("X-Slack-Signature")
    try:
        return SignatureVerifier(secret.get_secret_value()).is_valid(body, timestamp, signature)
    except (ValueError, TypeError):
        return False


async def _alive(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everyone
    return web.json_response({"alive": True})


def _readyz(health: Health) -> Handler:
    async def handle(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everyone
        found = await health.readiness.now()
        wrong = {name: why for name, why in found.items() if why}
        body: dict[str, object] = {name: not why for name, why in found.items()}
        return web.json_response(body | ({"wrong": wrong} if wrong else {}), status=503 if wrong else 200)

    return handle


def _metrics(bot: Bot) -> Handler:
    async def handle(request: web.Request) -> web.Response:  # noqa: ARG001 - the same answer to everyone
        return web.Response(body=bot.metrics.exposition(), headers={"Content-Type": bot.metrics.content_type})

    return handle

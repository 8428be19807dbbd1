"""The local workspace's server as Slack is on a bad day, and with its rules: rate limits, Block Kit, Socket Mode."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.sandbox.slack.call import ApiError, Args
from bot.sandbox.slack.server import Server
from bot.sandbox.slack.team import Json, Team
from tests.worlds.slack.blocks import MESSAGE_CHARACTERS, malformed, size, view_faults
from tests.worlds.slack.limits import Cut, Fault, Limits
from tests.worlds.slack.sockets import Sockets


@dataclass(kw_only=True)
class TroubledServer(Server):
    """A server whose calls meet `limits`, and which opens `sockets` to who has the app's token."""

    limits: Limits
    sockets: Sockets
    app_token: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.methods["apps.connections.open"] = self._connect

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_get("/link/", self.sockets.serve)
        return app

    @asynccontextmanager
    async def running(self, port: int) -> AsyncIterator[None]:
        async with super().running(port):
            try:
                yield
            finally:
                for socket in list(self.sockets.open):
                    await socket.close()

    def check(self, method: str, token: str) -> None:
        if method == "api.test":
            return
        is_app = hmac.compare_digest(token, self.app_token)
        if not is_app:
            super().check(method, token)
        if is_app != (method == "apps.connections.open"):
            raise ApiError("not_allowed_token_type")

    async def respond(
        self, request: web.Request, method: str, args: Json, answer: Callable[[], web.Response]
    ) -> web.StreamResponse:
        fault = await self._meet(method)
        is_gone = request.transport is None  # who sent it has died while it was on its slow way: it never came
        if is_gone or (fault and fault.cut is Cut.BEFORE):
            return _cut(request)
        trouble = _faulty(fault) or self._throttled(method, args)
        response = await super().respond(request, method, args, (lambda: trouble) if trouble else answer)
        return _cut(request) if fault and fault.cut else response

    async def take_response(self, request: web.Request) -> web.StreamResponse:
        fault = await self._meet("response_url")
        if fault and fault.cut:
            return _cut(request)
        return _faulty(fault) or await super().take_response(request)

    async def _meet(self, method: str) -> Fault | None:
        await asyncio.sleep(self.limits.delay(method))
        return self.limits.fault(method)

    def _throttled(self, method: str, args: Args) -> web.Response | None:
        wait = self.limits.wait(method, str(args.get("channel", "")))
        return _too_many(wait) if wait else None

    def _connect(self, team: Team, _: Args) -> Json:
        return {"url": f"{self.base.replace('http', 'ws', 1)}/link/?ticket={team.fresh('ticket')}"}


def check(thing: Any, kind: str) -> None:
    """Raises Refused for blocks of a message, or a view, that Slack would not take."""
    if kind != "message":
        if faults := view_faults(thing, kind=kind):
            raise ApiError("invalid_arguments", response_metadata={"messages": faults})
    elif faults := malformed(thing):
        raise ApiError("invalid_blocks", errors=faults, response_metadata={"messages": faults})
    elif size(thing) > MESSAGE_CHARACTERS:
        raise ApiError("msg_blocks_too_long")


def _faulty(fault: Fault | None) -> web.Response | None:
    """The answer of a call that met this fault; None where it is to be answered as usual."""
    if fault is None or fault.cut:
        return None
    if fault.status == 429:
        return _too_many(fault.retry_after or 1)
    if fault.status:
        return web.Response(status=fault.status, text="<html>Slack is having trouble</html>", content_type="text/html")
    return web.json_response({"ok": False, "error": fault.error, **fault.facts})


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return web.Response()


def _too_many(seconds: int) -> web.Response:
    body = {"ok": False, "error": "ratelimited"}
    return web.json_response(body, status=429, headers={"Retry-After": str(seconds)})

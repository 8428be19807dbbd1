"""The HTTP face of the local workspace: Web API, upload URLs, response URLs and Socket Mode's endpoint."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.sandbox.slack.dispatch import Sockets
from bot.sandbox.slack.limits import Cut, Fault, Limits
from bot.sandbox.slack.methods import READING, Args, Method, Refused
from bot.sandbox.slack.team import Json, Team
from bot.sandbox.slack.views import VIEWS
from bot.sandbox.slack.writing import WRITING, answer, complete_upload, upload_url
from bot.sandbox.stand_in import serving

SHARING_SECONDS = 0.02
LARGEST_UPLOAD = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the Web API, as it was answered. The token is not kept."""

    method: str
    args: Json
    status: int
    error: str | None


@dataclass(slots=True)
class Server:
    """Answers as Slack would. `base` is its own address, known once it listens."""

    team: Team
    limits: Limits
    sockets: Sockets
    bot_token: str
    app_token: str
    base: str = ""
    calls: list[Call] = field(default_factory=list)
    methods: dict[str, Method] = field(init=False)

    def __post_init__(self) -> None:
        self.methods = {
            **READING,
            **WRITING,
            **VIEWS,
            "apps.connections.open": self._connect,
            "files.getUploadURLExternal": lambda team, args: upload_url(team, args, base=self.base),
            "files.completeUploadExternal": lambda team, args: complete_upload(team, args, later=_later),
        }

    @asynccontextmanager
    async def running(self, port: int) -> AsyncIterator[None]:
        app = web.Application(client_max_size=LARGEST_UPLOAD)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/upload/v1/{file}", self._upload)
        app.router.add_post("/actions/{token:.+}", self._response)
        app.router.add_get("/link/", self.sockets.serve)
        async with serving(app, port=port, patience=1.0) as self.base:
            try:
                yield
            finally:
                for socket in list(self.sockets.open):
                    await socket.close()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            token, args = await arguments(request)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_json"})
        fault = await self._meet(method)
        if fault and fault.cut is Cut.BEFORE:
            return _cut(request)
        response = _faulty(fault) or self._throttled(method, args) or self._answered(method, token, args)
        self.calls.append(Call(method, args, response.status, _error_of(response)))
        return _cut(request) if fault and fault.cut else response

    async def _meet(self, method: str) -> Fault | None:
        await asyncio.sleep(self.limits.delay(method))
        return self.limits.fault(method)

    def _throttled(self, method: str, args: Args) -> web.Response | None:
        wait = self.limits.wait(method, str(args.get("channel", "")))
        return _too_many(wait) if wait else None

    def _answered(self, method: str, token: str, args: Args) -> web.Response:
        try:
            self._check(method, token)
            scopes = {"X-OAuth-Scopes": ",".join(self.team.scopes)}
            return web.json_response({"ok": True, **self.methods[method](self.team, args)}, headers=scopes)
        except Refused as refused:
            return web.json_response({"ok": False, "error": refused.error, **refused.facts})

    def _check(self, method: str, token: str) -> None:
        """The right token for a method that there is."""
        if method == "api.test":
            return
        if not token:
            raise Refused("not_authed")
        is_app = hmac.compare_digest(token, self.app_token)
        if not is_app and not hmac.compare_digest(token, self.bot_token):
            raise Refused("invalid_auth")
        if is_app != (method == "apps.connections.open"):
            raise Refused("not_allowed_token_type")
        if method not in self.methods:
            raise Refused("unknown_method", req_method=method)

    def _connect(self, team: Team, _: Args) -> Json:
        return {"url": f"{self.base.replace('http', 'ws', 1)}/link/?ticket={team.fresh('ticket')}"}

    async def _upload(self, request: web.Request) -> web.Response:
        upload = self.team.uploads.get(request.match_info["file"])
        if upload is None:
            return web.Response(status=404, text="no such upload")
        upload.content = await request.read()
        return web.Response(text=f"OK - {len(upload.content)}")

    async def _response(self, request: web.Request) -> web.StreamResponse:
        fault = await self._meet("response_url")
        if fault and fault.cut:
            return _cut(request)
        return _faulty(fault) or await self._taken(request)

    async def _taken(self, request: web.Request) -> web.Response:
        try:
            _, body = await arguments(request)
            answer(self.team, request.match_info["token"], body)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_json"}, status=400)
        except Refused as refused:
            status = 404 if refused.error.endswith("_url") else 400
            return web.json_response({"ok": False, "error": refused.error}, status=status)
        return web.Response(text="ok")


async def arguments(request: web.Request) -> tuple[str, Json]:
    """The token and the arguments of a call: header or field, query, form or JSON."""
    args: Json = dict(request.query)
    if request.content_type == "application/json":
        body: Any = await request.json() if request.can_read_body else {}
        args |= body if isinstance(body, Mapping) else {}
    elif request.can_read_body:
        args |= dict(await request.post())
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    field_token = str(args.pop("token", ""))
    return (secret if scheme == "Bearer" else field_token), args


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


def _error_of(response: web.Response) -> str | None:
    if response.content_type != "application/json":
        return f"http_{response.status}"
    error = json.loads(response.text or "{}").get("error")
    return str(error) if error else None


def _later(act: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(SHARING_SECONDS, act)

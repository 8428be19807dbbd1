"""The HTTP face of the local workspace: Web API, upload URLs and response URLs."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.sandbox.slack.call import ApiError, Args, Method
from bot.sandbox.slack.files import complete_upload, file_info, upload_url
from bot.sandbox.slack.people import PEOPLE
from bot.sandbox.slack.reading import READING
from bot.sandbox.slack.team import Json, Team
from bot.sandbox.slack.views import VIEWS
from bot.sandbox.slack.writing import WRITING, answer
from bot.sandbox.stand_in import serving

LARGEST_UPLOAD = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WebApiCall:
    """One call of the Web API, as it was answered. The token is not kept."""

    method: str
    args: Json
    status: int
    error: str | None


@dataclass
class Server:
    """Answers as Slack would. `base` is its own address, known once it listens."""

    team: Team
    bot_token: str
    base: str = ""
    calls: list[WebApiCall] = field(default_factory=list)
    methods: dict[str, Method] = field(init=False)

    def __post_init__(self) -> None:
        self.methods = {
            **PEOPLE,
            **READING,
            **WRITING,
            **VIEWS,
            "files.info": lambda team, args: file_info(team, args, base=self.base),
            "files.getUploadURLExternal": lambda team, args: upload_url(team, args, base=self.base),
            "files.completeUploadExternal": complete_upload,
        }

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_UPLOAD)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/upload/v1/{file}", self._upload)
        app.router.add_get("/files-pri/{file}/download/{name}", self._download)
        app.router.add_post("/actions/{token:.+}", self.take_response)
        return app

    @asynccontextmanager
    async def running(self, port: int) -> AsyncIterator[None]:
        async with serving(self.app(), port=port, patience=1.0) as self.base:
            yield

    def check(self, method: str, token: str) -> None:
        """Raises Refused without the right token for a method that exists."""
        if not token:
            raise ApiError("not_authed")
        if not hmac.compare_digest(token, self.bot_token):
            raise ApiError("invalid_auth")
        if method not in self.methods:
            raise ApiError("unknown_method", req_method=method)

    async def respond(
        self, _: web.Request, method: str, args: Json, answer: Callable[[], web.Response]
    ) -> web.StreamResponse:
        """Answers a call, and remembers it."""
        response = answer()
        self.calls.append(WebApiCall(method, args, response.status, _error_of(response)))
        return response

    async def take_response(self, request: web.Request) -> web.StreamResponse:
        """Takes what the bot sends to a response URL."""
        try:
            _, body = await arguments(request)
            answer(self.team, request.match_info["token"], body)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_json"}, status=400)
        except ApiError as refused:
            status = 404 if refused.error.endswith("_url") else 400
            return web.json_response({"ok": False, "error": refused.error}, status=status)
        return web.Response(text="ok")

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            token, args = await arguments(request)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_json"})
        return await self.respond(request, method, args, lambda: self._answered(method, token, args))

    def _answered(self, method: str, token: str, args: Args) -> web.Response:
        try:
            self.check(method, token)
            scopes = {"X-OAuth-Scopes": ",".join(self.team.scopes)}
            return web.json_response({"ok": True, **self.methods[method](self.team, args)}, headers=scopes)
        except ApiError as refused:
            return web.json_response({"ok": False, "error": refused.error, **refused.facts})

    async def _upload(self, request: web.Request) -> web.Response:
        upload = self.team.uploads.get(request.match_info["file"])
        if upload is None:
            return web.Response(status=404, text="no such upload")
        upload.content = await request.read()
        return web.Response(text=f"OK - {len(upload.content)}")

    async def _download(self, request: web.Request) -> web.Response:
        """A file's bytes. Without the token Slack sends on to its login page."""
        upload = self.team.uploads.get(request.match_info["file"])
        if request.headers.get("Authorization") != f"Bearer {self.bot_token}" or "files:read" not in self.team.scopes:
            return web.Response(status=302, headers={"Location": f"{self.base}/login"})
        if upload is None or upload.content is None:
            return web.Response(status=404, text="no such file")
        return web.Response(body=upload.content, content_type="application/octet-stream")


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


def _error_of(response: web.Response) -> str | None:
    if response.content_type != "application/json":
        return f"http_{response.status}"
    error = json.loads(response.text or "{}").get("error")
    return str(error) if error else None

"""A reverse proxy on loopback that can throttle, delay, cut or answer calls on their way to a real server.

Stands in front of any HTTP server; for AWS it knows the operations by name and AWS's own error bodies
("Error responses" of the Amazon S3 API; "Programmatic errors" of DynamoDB).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from yarl import URL

from bot.sandbox.stand_in import serving

_HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_LONGEST_BODY = 256 * 1024 * 1024
_DYNAMODB_ERROR = "com.amazonaws.dynamodb.v20120810#"
_CLOUDWATCH_ERROR = "com.amazonaws.cloudwatch.v2010_08_01#"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `operation` is `dynamodb:GetItem`, `s3:DeleteObject` …; for anything but AWS it is `GET /path`."""

    operation: str
    method: str
    path: str
    body: bytes = field(repr=False)
    at: datetime

    @property
    def is_dynamodb(self) -> bool:
        return self.operation.startswith("dynamodb:")


@dataclass(frozen=True, slots=True)
class Throttle:
    """The service's own words for "too fast"; `retry_after` in seconds goes into the header."""

    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Deny:
    """The service's own words for missing rights."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Waits, then passes the call on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Cuts the connection; with `after` only when the server has done what was asked."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers in the server's place."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Action: TypeAlias = Throttle | Deny | Delay | Cut | Answer
Matcher: TypeAlias = Callable[[Call], bool]


@dataclass(eq=False, slots=True)
class Fault:
    """A rule of the proxy: what to do with matching calls, `times` of them (None: until lifted)."""

    matches: Matcher
    action: Action
    times: int | None

    def lift(self) -> None:
        """Ends the fault now."""
        self.times = 0

    def strikes(self, call: Call) -> bool:
        """Whether this call is hit; counts it."""
        if self.times == 0 or not self.matches(call):
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True, slots=True)
class Passed:
    """One entry of the proxy's log. `outcome` is `passed`, or the name of the fault that hit the call."""

    call: Call
    outcome: str
    status: int | None


class FaultProxy:
    """The proxy's controls. `url` is where it listens."""

    def __init__(self, upstream: str, *, now: Callable[[], datetime]) -> None:
        self.upstream = upstream.rstrip("/")
        self.url = ""
        self.log: list[Passed] = []
        self._faults: list[Fault] = []
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    def fault(self, matches: str | Matcher, action: Action, *, times: int | None = None) -> Fault:
        """Adds a fault; the newest that matches a call wins. A text matches the operation of that name."""
        rule = Fault(operation(matches) if isinstance(matches, str) else matches, action, times)
        self._faults.insert(0, rule)
        return rule

    def lift_all(self) -> None:
        """Ends all faults."""
        self._faults.clear()

    def calls(self, name: str) -> tuple[Passed, ...]:
        """What the log has of one operation."""
        return tuple(entry for entry in self.log if entry.call.operation == name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Passes one request on, or does to it what the first matching fault says."""
        call = Call(_operation(request), request.method, request.path, await request.read(), self._now())
        rule = next((rule for rule in self._faults if rule.strikes(call)), None)
        match rule.action if rule else None:
            case None:
                return await self._pass(request, call, "passed")
            case Delay(seconds):
                await asyncio.sleep(seconds)
                return await self._pass(request, call, "delayed")
            case Cut(after=True):
                return await self._cut_after(request, call)
            case Cut():
                return self._cut(request, call, "cut before")
            case Throttle() | Deny() | Answer() as action:
                return self._answer(call, action)

    def _answer(self, call: Call, action: Throttle | Deny | Answer) -> web.Response:
        match action:
            case Throttle(retry_after):
                outcome, answer = "throttled", _throttled(call, retry_after)
            case Deny():
                outcome, answer = "denied", _denied(call)
            case Answer():
                outcome, answer = "answered", action
        self.log.append(Passed(call, outcome, answer.status))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    def _cut(self, request: web.Request, call: Call, outcome: str) -> web.Response:
        self.log.append(Passed(call, outcome, None))
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _cut_after(self, request: web.Request, call: Call) -> web.Response:
        async with self._asked(request, call) as upstream:
            await upstream.read()
        return self._cut(request, call, "cut after")

    async def _pass(self, request: web.Request, call: Call, outcome: str) -> web.StreamResponse:
        try:
            async with self._asked(request, call) as upstream:
                self.log.append(Passed(call, outcome, upstream.status))
                response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
                response.headers.extend(_end_to_end(upstream.headers))
                await response.prepare(request)
                async for chunk in upstream.content.iter_chunked(64 * 1024):
                    await response.write(chunk)
                return response
        except ConnectionResetError:  # the caller has gone, which is his right
            return web.Response()
        except aiohttp.ClientConnectionError:
            return web.Response(status=HTTPStatus.BAD_GATEWAY)

    def _asked(self, request: web.Request, call: Call) -> aiohttp.client._RequestContextManager:
        if self._session is None:
            raise RuntimeError("the proxy is not running")
        url = URL(self.upstream + request.raw_path, encoded=True)
        headers = _end_to_end(request.headers)
        return self._session.request(request.method, url, headers=headers, data=call.body, allow_redirects=False)


@asynccontextmanager
async def fault_proxy(upstream: str, *, now: Callable[[], datetime] | None = None) -> AsyncIterator[FaultProxy]:
    """Runs a proxy in front of `upstream` on a free loopback port. `now` stamps the log."""
    proxy = FaultProxy(upstream, now=now or (lambda: datetime.now(UTC)))
    app = web.Application(client_max_size=_LONGEST_BODY)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    async with serving(app, patience=0.5) as proxy.url:
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as proxy._session:  # noqa: SLF001 - its maker
            yield proxy


def operation(name: str, *, suffix: str = "") -> Matcher:
    """Matches calls of one operation, of the given end of the path (an S3 key) if there is one."""
    return lambda call: call.operation == name and call.path.endswith(suffix)


def _operation(request: web.Request) -> str:
    target = request.headers.get("X-Amz-Target", "")
    if target.startswith("DynamoDB_"):
        return f"dynamodb:{target.rpartition('.')[2]}"
    if target.startswith("GraniteServiceVersion"):
        return f"cloudwatch:{target.rpartition('.')[2]}"
    if "/s3/" not in request.headers.get("Authorization", ""):
        return f"{request.method} {request.path}"
    is_object = "/" in unquote(request.path).strip("/")
    verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}.get(request.method, "")
    if request.method == "GET" and not is_object:
        return "s3:ListObjectVersions" if "versions" in request.query else "s3:ListObjects"
    return f"s3:{verb}{'Object' if is_object else 'Bucket'}"


def _throttled(call: Call, retry_after: int | None) -> Answer:
    header = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if call.is_dynamodb:
        return _json_error(
            _DYNAMODB_ERROR + "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
            "provisioning level with the UpdateTable API.",
            header,
        )
    if call.operation.startswith("s3:"):
        return _s3_error(503, "SlowDown", "Please reduce your request rate.", header)
    if call.operation.startswith("cloudwatch:"):
        return _json_error(_CLOUDWATCH_ERROR + "ThrottlingException", "Rate exceeded", header)
    return Answer(429, b'{"message": "Too many requests"}', {"Content-Type": "application/json", **header})


def _denied(call: Call) -> Answer:
    if call.is_dynamodb:
        text = f"User: arn:aws:iam::123456789012:user/tflock is not authorized to perform: {call.operation}"
        return _json_error(_DYNAMODB_ERROR + "AccessDeniedException", text, {})
    if call.operation.startswith("s3:"):
        return _s3_error(403, "AccessDenied", "Access Denied", {})
    if call.operation.startswith("cloudwatch:"):
        text = f"User: arn:aws:iam::123456789012:user/tflock is not authorized to perform: {call.operation}"
        return _json_error(_CLOUDWATCH_ERROR + "AccessDeniedException", text, {}, status=403)
    return Answer(403, b'{"message": "Forbidden"}', {"Content-Type": "application/json"})


def _json_error(kind: str, text: str, headers: Mapping[str, str], *, status: int = 400) -> Answer:
    body = json.dumps({"__type": kind, "message": text}).encode()
    return Answer(status, body, {"Content-Type": "application/x-amz-json-1.0", **headers})


def _s3_error(status: int, code: str, text: str, headers: Mapping[str, str]) -> Answer:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message>'
        "<RequestId>SANDBOX</RequestId><HostId>sandbox</HostId></Error>"
    )
    return Answer(status, body.encode(), {"Content-Type": "application/xml", **headers})


def _end_to_end(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]

"""A reverse proxy on loopback that can keep calls from the real server behind it, or do something to them.

For any HTTP server; it knows AWS's operations by name. What may happen to a call is an Action; the demo plays one.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
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


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `operation` is `dynamodb:GetItem`, `s3:DeleteObject` …; for anything but AWS it is `GET /path`."""

    operation: str
    method: str
    path: str
    body: bytes = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class Passed:
    """One entry of the proxy's log. `outcome` is `passed`, or what was done to the call."""

    call: Call
    outcome: str
    status: int | None


@dataclass(frozen=True, slots=True)
class Passage:
    """A call that has come to the proxy. Each of the ways to end it is logged."""

    call: Call
    request: web.Request
    upstream: str
    session: aiohttp.ClientSession
    log: list[Passed]

    async def go_on(self, outcome: str = "passed") -> web.StreamResponse:
        """To the server, and its answer back."""
        try:
            async with self.ask() as upstream:
                self.log.append(Passed(self.call, outcome, upstream.status))
                response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
                response.headers.extend(_end_to_end(upstream.headers))
                await response.prepare(self.request)
                async for chunk in upstream.content.iter_chunked(64 * 1024):
                    await response.write(chunk)
                return response
        except ConnectionResetError:  # the caller has gone, as they may
            return web.Response()
        except aiohttp.ClientConnectionError:
            return web.Response(status=HTTPStatus.BAD_GATEWAY)

    def answer(self, outcome: str, status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
        """An answer in the server's place."""
        self.log.append(Passed(self.call, outcome, status))
        return web.Response(status=status, body=body, headers=headers)

    def ask(self) -> aiohttp.client._RequestContextManager:
        url = URL(self.upstream + self.request.raw_path, encoded=True)
        return self.session.request(
            self.request.method,
            url,
            headers=_end_to_end(self.request.headers),
            data=self.call.body,
            allow_redirects=False,
        )


class Action(ABC):
    """What happens to a call that a fault matches."""

    @abstractmethod
    async def meet(self, passage: Passage) -> web.StreamResponse:
        """Ends the call in one of the ways that a passage has."""


class OutOfCapacity(Action):
    """DynamoDB's own words for "too fast" ("Programmatic errors" of its developer guide)."""

    async def meet(self, passage: Passage) -> web.StreamResponse:
        body = {
            "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "message": "The level of configured provisioned throughput for the table was exceeded. Consider increasing "
            "your provisioning level with the UpdateTable API.",
        }
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        return passage.answer("throttled", 400, json.dumps(body).encode(), headers)


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


class FaultProxy:
    """The proxy's controls. `url` is where it listens."""

    def __init__(self, upstream: str, *, now: Callable[[], datetime]) -> None:
        self.upstream = upstream.rstrip("/")
        self.url = ""
        self.log: list[Passed] = []
        self._faults: list[Fault] = []
        self._now = now
        self.session: aiohttp.ClientSession | None = None

    def fault(self, matches: str | Matcher, action: Action, *, times: int | None = None) -> Fault:
        """Adds a fault; the newest that matches a call wins. A text matches the operation of that name."""
        rule = Fault(operation(matches) if isinstance(matches, str) else matches, action, times)
        self._faults.insert(0, rule)
        return rule

    def lift_all(self) -> None:
        self._faults.clear()

    def calls(self, name: str) -> tuple[Passed, ...]:
        """What the log has of one operation."""
        return tuple(entry for entry in self.log if entry.call.operation == name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Passes one request on, or does to it what the first matching fault says."""
        if self.session is None:
            raise RuntimeError("the proxy is not running")
        call = Call(_operation(request), request.method, request.path, await request.read(), self._now())
        passage = Passage(call, request, self.upstream, self.session, self.log)
        rule = next((rule for rule in self._faults if rule.strikes(call)), None)
        return await (rule.action.meet(passage) if rule else passage.go_on())


@asynccontextmanager
async def fault_proxy(upstream: str, *, now: Callable[[], datetime] | None = None) -> AsyncIterator[FaultProxy]:
    """Runs a proxy in front of `upstream` on a free loopback port. `now` stamps the log."""
    proxy = FaultProxy(upstream, now=now or (lambda: datetime.now(UTC)))
    app = web.Application(client_max_size=_LONGEST_BODY)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    async with serving(app, patience=0.5) as proxy.url:
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as proxy.session:
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


def _end_to_end(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]

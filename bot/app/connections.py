"""What a connection to the bot's port may take: none stays for ever, and many slow ones keep nobody else out.

aiohttp limits a request's line and headers (8,190 bytes each, 128 headers) and its body (`LARGEST`), but no time. Here
each connection has one deadline, for what it does now: headers, body, answer, or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import TypeAlias

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

log = structlog.get_logger()

Inner: TypeAlias = Callable[[], asyncio.Protocol]
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

LARGEST = 1024**2
"""Bytes of a request's body. Slack's largest payloads, a click on a message of 50 blocks, have half of that."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds, and `most` connections at a time.

    `idle` is longer than the 60 s after which load balancers drop an idle connection, so that they are the first to.
    """

    headers: float = 10.0
    body: float = 10.0
    answer: float = 60.0
    idle: float = 75.0
    most: int = 500


class _Doing(Enum):
    READING = auto()
    ANSWERING = auto()
    IDLE = auto()


class Connections:
    """All connections of one port. `serve` with `protocol` as the factory, and `middleware` in the application."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._open: dict[_Connection, None] = {}  # in the order in which they began what they do
        self._by_inner: dict[object, _Connection] = {}  # until they are closed

    def __len__(self) -> int:
        return len(self._open)

    def protocol(self, inner: Inner) -> asyncio.Protocol:
        return _Connection(self, inner())

    def opened(self, connection: _Connection) -> bool:
        """Takes it in; False if there is no room. Of those that are read from, or idle, the oldest makes room."""
        if len(self._open) >= self.limits.most:
            waiting = next((other for other in self._open if other.doing is not _Doing.ANSWERING), None)
            log.warning("http.full", connections=len(self._open), refused=waiting is None)
            if waiting is None:
                return False
            waiting.drop()
        self._open[connection] = None
        self._by_inner[connection.inner] = connection
        return True

    def began(self, connection: _Connection) -> None:
        """Puts it last in the line of those that have to make room."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def closed(self, connection: _Connection) -> None:
        self._open.pop(connection, None)
        self._by_inner.pop(connection.inner, None)

    def middleware(self) -> Middleware:
        """Reads each request's body within its time, and says when the answer begins and is given."""

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = self._by_inner.get(request.protocol)
            if connection is None:  # it is closed already
                raise web.HTTPRequestTimeout
            connection.does(_Doing.READING, self.limits.body + self.limits.answer)
            try:
                refusal = await self._read(request)
                connection.does(_Doing.ANSWERING, self.limits.answer)
                return refusal or await handler(request)
            finally:
                connection.does(_Doing.IDLE, self.limits.idle)

        return watch

    async def _read(self, request: web.Request) -> web.Response | None:
        """Keeps the body with the request. Gives the answer to a body that is too slow or too large."""
        try:
            async with asyncio.timeout(self.limits.body):
                await request.read()
        except TimeoutError:
            status, why = HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {self.limits.body:g} s"
        except web.HTTPRequestEntityTooLarge:
            status, why = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {LARGEST} bytes"
        except web.RequestPayloadError:
            status, why = HTTPStatus.BAD_REQUEST, "the body could not be read"
        else:
            return None
        answer = web.json_response({"error": why}, status=status)
        answer.force_close()
        return answer


class _Connection(asyncio.Protocol):
    """One connection: passes everything on to aiohttp's protocol, and is dropped at its deadline."""

    def __init__(self, all_: Connections, inner: asyncio.Protocol) -> None:
        self._all = all_
        self.inner = inner
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.doing = _Doing.READING

    def does(self, doing: _Doing, seconds: float) -> None:
        if self._transport is None:
            return
        self.doing = doing
        self._all.began(self)
        self._limit(seconds)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._all.closed(self)

    def _limit(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.drop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server's transport is
        self.inner.connection_made(transport)
        self._transport = transport
        if self._all.opened(self):
            self._limit(self._all.limits.headers)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.doing is _Doing.IDLE:
            self.does(_Doing.READING, self._all.limits.headers)
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._transport = None
        self._all.closed(self)
        self.inner.connection_lost(exc)

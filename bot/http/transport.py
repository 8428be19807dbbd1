"""What sends for httpx here: aiohttp, which reads answers in C. httpx's own transport does it in Python and takes four
times as much of the processor.

Each request goes out once, and httpx's errors say of each failure whether it had.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import aiohttp
import httpx
from aiohttp.connector import Connection
from yarl import URL

_LONGEST_HEADER = 65_536
_KEPT_FOR = 5.0
"""Seconds that a connection waits for its next request, as with httpx's own."""

_NEVER_ROUNDED = math.inf
"""aiohttp would round a time-out of more than so many seconds up to a whole second."""

_BROKE = "the connection broke before there was an answer"

_leaving: ContextVar[Callable[[], Awaitable[None]]] = ContextVar("leaving")


class Transport(httpx.AsyncBaseTransport):
    """To servers that are reached without a proxy. Sends nothing of its own: no header, no cookie, no credentials.

    As httpx's own, it calls the extension `trace` right before the first byte goes out, with the connection already
    there; what that raises keeps the request back.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        times, trace, url = request.extensions["timeout"], request.extensions.get("trace"), request.url
        is_out = False

        async def leave() -> None:
            nonlocal is_out
            if is_out:  # aiohttp repeats a request, a delete too, when a connection breaks that was kept from before
                raise httpx.RemoteProtocolError(_BROKE)
            is_out = True
            if trace is not None:
                await trace("aiohttp.send_request_headers.started", {})

        outer = _leaving.set(leave)
        try:
            with _translated():
                # of the three parts aiohttp limits two itself
                async with asyncio.timeout(times["connect"] + times["write"] + times["read"]):
                    answer = await self._opened().request(
                        request.method,
                        URL(f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}", encoded=True),
                        headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
                        data=await request.aread() or None,
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(
                            connect=times["connect"], sock_read=times["read"], ceil_threshold=_NEVER_ROUNDED
                        ),
                    )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, ValueError) as error:
            if is_out:  # and found no connection to repeat it on
                raise httpx.RemoteProtocolError(_BROKE) from error
            raise
        finally:
            _leaving.reset(outer)
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Stream(answer))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Made by the first request: it belongs to the event loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, ssl=self._context, keepalive_timeout=_KEPT_FOR, timeout_ceil_threshold=_NEVER_ROUNDED
                ),
                request_class=_Request,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                auto_decompress=False,
                max_line_size=_LONGEST_HEADER,
                max_field_size=_LONGEST_HEADER,
            )
        return self._session


class _Request(aiohttp.ClientRequest):
    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        await _leaving.get()()
        return await super().send(conn)


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._answer.release()  # which closes the connection if the answer was not read to its end


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except aiohttp.InvalidURL as error:
        raise httpx.InvalidURL("no request can be made of it") from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error

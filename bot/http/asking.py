"""One CI system's server, asked over HTTP: limits in time and number, and answers that are read only so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from bot.http.client import ask, new_client, translated

_AT_ONCE = 10
_TRIES = 3

Check = Callable[[httpx.Response], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect, between two pieces of an answer, and for a whole look-up with its pages and retries."""

    connect: float = 3.0
    read: float = 8.0
    overall: float = 10.0


class Asker:
    """Sends requests to one server. `credentials` makes the headers of each request, so that no secret is kept here.

    Every method raises Failed and what its `check` raises. A client that is passed in is closed with this.
    """

    def __init__(
        self,
        system: str,
        base_url: str,
        credentials: Callable[[], Mapping[str, str]],
        limits: Limits,
        client: httpx.AsyncClient | None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._system = system
        self._credentials = credentials
        self._limits = limits
        self._client = client or new_client(base_url)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def send(
        self,
        method: str,
        path: str,
        check: Check,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        tries: int = _TRIES,
    ) -> httpx.Response:
        """One request; `path` starts behind the base URL."""
        request = self._request(method, path, params, json, headers or {})
        async with self._slots:
            return await ask(self._client, request, check, system=self._system, tries=tries)

    async def beginning(self, path: str, check: Check, *, most: int) -> bytes:
        """The first `most` bytes of a long text, whatever the server sends; one try."""
        request = self._request("GET", path, None, None, {"Range": f"bytes=0-{most - 1}"})
        async with self._slots:
            with translated(self._system):
                response = await self._client.send(request, stream=True, follow_redirects=False)
                try:
                    check(response)
                    return await _first(response, most)
                finally:
                    await response.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    def _request(
        self, method: str, path: str, params: Mapping[str, str] | None, json: Any, headers: Mapping[str, str]
    ) -> httpx.Request:
        request = self._client.build_request(
            method,
            self.base_url + path,
            params=params,
            json=json,
            headers={"User-Agent": "tflock", **self._credentials(), **headers},
        )
        request.extensions["timeout"] = httpx.Timeout(
            self._limits.read, connect=self._limits.connect, pool=self._limits.overall
        ).as_dict()
        return request


async def _first(response: httpx.Response, most: int) -> bytes:
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) >= most:
            break
    return bytes(found[:most])

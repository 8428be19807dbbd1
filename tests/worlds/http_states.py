"""A server of Terraform's `http` protocol on loopback. What it refuses follows "Backend Type: http" of Terraform's
documentation; the rest is a server's own choice, and here a switch.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from bot.sandbox.stand_in import serving


@dataclass
class HttpStates:
    """States by path, and locks as their text. `compares`: a release has to name the lock's ID. `echoes`: a refusal
    says the asker's own operation, as GitLab's does; `echoes_all`: all that the asker said. `says_who` False: a refusal
    has no body.
    """

    lock_method: str = "LOCK"
    unlock_method: str = "UNLOCK"
    refuses_with: int = 423
    compares: bool = False
    echoes: bool = False
    echoes_all: bool = False
    says_who: bool = True
    dates: bool = True
    credentials: str = "tflock:s3cr3t"
    origin: str = ""
    states: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    locks: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    before_lock: list[Callable[[], Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body, path = await request.read(), request.path
        self.asked.append((request.method, path, body))
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        if b64decode(given).decode() != self.credentials:
            return web.Response(status=401)
        if request.method == self.lock_method and (self.lock_method != "POST" or path.endswith("/lock")):
            return await self._lock(path.removesuffix("/lock"), body)
        if request.method == self.unlock_method:
            return self._unlock(path.removesuffix("/lock"), body)
        return self._state(request, path, body)

    async def _lock(self, path: str, body: bytes) -> web.Response:
        for change in self.before_lock:
            done = change()
            if asyncio.iscoroutine(done):
                await done
        held = self.locks.get(path)
        if held is None:
            self.locks[path] = body.decode()
            return web.Response(status=200)
        if not self.says_who:
            return web.Response(status=self.refuses_with)
        if self.echoes_all:
            return web.Response(status=self.refuses_with, text=body.decode())
        if self.echoes:
            asker = json.loads(body)
            held = json.dumps({**json.loads(held), **{key: asker[key] for key in ("Operation", "Info", "Version")}})
        return web.Response(status=self.refuses_with, text=held)

    def _unlock(self, path: str, body: bytes) -> web.Response:
        """`terraform force-unlock` sends no body."""
        if self.compares and body and path in self.locks:
            there = json.loads(self.locks[path])["ID"]
            if json.loads(body)["ID"] != there:
                return web.Response(status=409, text=self.locks[path])
        self.locks.pop(path, None)
        return web.Response(status=200)

    def _state(self, request: web.Request, path: str, body: bytes) -> web.Response:
        if request.method == "POST":
            self.put(path, body)
            return web.Response(status=200)
        if path not in self.states:
            return web.Response(status=404)
        text, at = self.states[path]
        headers = {"Last-Modified": format_datetime(at, usegmt=True)} if self.dates else {}
        return web.Response(body=text, headers=headers)

    def put(self, path: str, text: bytes, at: datetime | None = None) -> None:
        self.states[path] = text, at or datetime.now(UTC)


@asynccontextmanager
async def http_states(**settings: Any) -> AsyncIterator[HttpStates]:
    states = HttpStates(**settings)
    app = web.Application(client_max_size=256 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", states.handle)
    async with serving(app) as states.origin:
        yield states

"""Socket Mode of the local workspace: the bot's connections, and envelopes through them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from bot.sandbox.slack.dispatch import Delivery, Dispatcher, EnvelopeKind
from bot.sandbox.slack.team import APP, Json

CONNECTIONS = 10


@dataclass(slots=True)
class Sockets:
    """The Socket Mode connections of the bot. Each envelope goes to one of them at random."""

    rng: random.Random
    open: list[web.WebSocketResponse] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    _count: int = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self.open) >= CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await socket.close()
            return socket
        self.open.append(socket)
        await socket.send_json(self._hello())
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._acknowledged(json.loads(frame.data))
        finally:
            with suppress(ValueError):
                self.open.remove(socket)
        return socket

    async def send(self, kind: EnvelopeKind, payload: Json, *, retry: int, reason: str, patience: float) -> str:
        """Sends an envelope; returns the ack's payload as text. Raises TimeoutError."""
        self._count += 1
        envelope_id = f"envelope-{self._count}"
        envelope: Json = {"envelope_id": envelope_id, "type": kind.value, "payload": payload}
        envelope["accepts_response_payload"] = kind is not EnvelopeKind.EVENT
        if kind is EnvelopeKind.EVENT:
            envelope |= {"retry_attempt": retry, "retry_reason": reason}
        self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(patience):
                await self.rng.choice(self.open).send_json(envelope)
                answer = await self._waiting[envelope_id]
        finally:
            del self._waiting[envelope_id]
        return json.dumps(answer) if answer else ""

    async def disconnect(self) -> None:
        """Tells every connection to come back, as Slack does every few hours, and closes it."""
        closing, self.open[:] = list(self.open), []  # from now on nothing is sent into these
        for socket in closing:
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})
            await socket.close()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.open),
            "debug_info": {"host": "sandbox", "approximate_connection_time": 3600},
            "connection_info": {"app_id": APP},
        }

    def _acknowledged(self, frame: Mapping[str, Any]) -> None:
        waiting = self._waiting.get(str(frame.get("envelope_id")))
        if waiting and not waiting.done():
            waiting.set_result(frame.get("payload"))


@dataclass(kw_only=True)
class SocketDispatcher(Dispatcher):
    """Delivers through a socket while one is open."""

    sockets: Sockets

    async def send(self, kind: EnvelopeKind, payload: Json, retry: int, reason: str, started: float) -> Delivery:
        if not self.sockets.open:
            return await super().send(kind, payload, retry, reason, started)
        try:
            body = await self.sockets.send(kind, payload, retry=retry, reason=reason, patience=self.patience)
        except TimeoutError:
            return Delivery(kind, payload, None, "", time.perf_counter() - started, retry, "timeout")
        return Delivery(kind, payload, 200, body, time.perf_counter() - started, retry)

"""How the local workspace reaches the bot: signed requests to its URL, or envelopes through Socket Mode."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from bot.sandbox.slack.team import APP, Json

RETRIES_AFTER = (0.0, 60.0, 300.0)  # seconds; docs.slack.dev/apis/events-api, "retries"
CONNECTIONS = 10


class Kind(StrEnum):
    """Also the types of Socket Mode's envelopes."""

    COMMAND = "slash_commands"
    INTERACTIVE = "interactive"
    EVENT = "events_api"


@dataclass(frozen=True, slots=True)
class Signing:
    """How requests are signed: another secret makes them forged, an age in seconds makes them old."""

    secret: str
    age: float = 0.0

    def headers(self, body: bytes, now: float) -> dict[str, str]:
        stamp = str(int(now - self.age))
        base = b"v0:" + stamp.encode() + b":" + body
        digest = hmac.new(self.secret.encode(), base, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery and the bot's answer. `status` is None where none came in time; `seconds` is the time to the ack."""

    kind: Kind
    payload: Json
    status: int | None
    body: str
    seconds: float
    retry: int = 0
    reason: str = ""
    may_retry: bool = True

    @property
    def is_acked(self) -> bool:
        return self.status == 200


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
            self.open.remove(socket)
        return socket

    async def send(self, kind: Kind, payload: Json, *, retry: int, reason: str, patience: float) -> str:
        """Sends an envelope; returns the ack's payload as text. Raises TimeoutError."""
        self._count += 1
        envelope_id = f"envelope-{self._count}"
        envelope: Json = {"envelope_id": envelope_id, "type": kind.value, "payload": payload}
        envelope["accepts_response_payload"] = kind is not Kind.EVENT
        if kind is Kind.EVENT:
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
        for socket in list(self.open):
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


@dataclass(slots=True)
class Dispatcher:
    """Delivers payloads to `url`, or through a socket while one is open. `patience` and delays are in seconds."""

    session: aiohttp.ClientSession
    sockets: Sockets
    signing: Signing
    url: str | None = None
    patience: float = 3.0
    retry_scale: float = 1.0
    sent: list[Delivery] = field(default_factory=list)
    _retrying: set[asyncio.Task[None]] = field(default_factory=set)

    async def deliver(self, kind: Kind, payload: Json, *, retry: int = 0, reason: str = "") -> Delivery:
        """Delivers once and remembers it. What the bot answers is never an exception."""
        started = time.perf_counter()
        if self.sockets.open:
            delivery = await self._through_socket(kind, payload, retry, reason, started)
        else:
            delivery = await self._over_http(kind, payload, retry, reason, started)
        self.sent.append(delivery)
        return delivery

    async def deliver_event(self, payload: Json) -> Delivery:
        """Delivers an event; while the bot does not take it, again after Slack's delays, in the background."""
        first = await self.deliver(Kind.EVENT, payload)
        if not first.is_acked and first.may_retry:
            task = asyncio.create_task(self._retry(payload, first.reason))
            self._retrying.add(task)
            task.add_done_callback(self._retrying.discard)
        return first

    async def aclose(self) -> None:
        for task in list(self._retrying):
            task.cancel()
        await asyncio.gather(*self._retrying, return_exceptions=True)

    async def _retry(self, payload: Json, reason: str) -> None:
        for number, delay in enumerate(RETRIES_AFTER, start=1):
            await asyncio.sleep(delay * self.retry_scale)
            delivery = await self.deliver(Kind.EVENT, payload, retry=number, reason=reason)
            if delivery.is_acked or not delivery.may_retry:
                return
            reason = delivery.reason

    async def _through_socket(self, kind: Kind, payload: Json, retry: int, reason: str, started: float) -> Delivery:
        try:
            body = await self.sockets.send(kind, payload, retry=retry, reason=reason, patience=self.patience)
        except TimeoutError:
            return Delivery(kind, payload, None, "", time.perf_counter() - started, retry, "timeout")
        return Delivery(kind, payload, 200, body, time.perf_counter() - started, retry)

    async def _over_http(self, kind: Kind, payload: Json, retry: int, reason: str, started: float) -> Delivery:
        if self.url is None:
            raise RuntimeError("the workspace does not know the bot's URL, and no socket is open")
        body, content_type = encoded(kind, payload)
        headers = {"Content-Type": content_type, **self.signing.headers(body, time.time())}
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason}
        timeout = aiohttp.ClientTimeout(total=self.patience)
        try:
            async with self.session.post(self.url, data=body, headers=headers, timeout=timeout) as answer:
                text = await answer.text()
        except TimeoutError:
            return Delivery(kind, payload, None, "", time.perf_counter() - started, retry, "http_timeout")
        except aiohttp.ClientError:
            return Delivery(kind, payload, None, "", time.perf_counter() - started, retry, "connection_failed")
        fault = "" if answer.status == 200 else "http_error"
        may_retry = answer.headers.get("X-Slack-No-Retry") != "1"
        return Delivery(kind, payload, answer.status, text, time.perf_counter() - started, retry, fault, may_retry)


def encoded(kind: Kind, payload: Json) -> tuple[bytes, str]:
    """A payload as its request's body, with the content type."""
    match kind:
        case Kind.COMMAND:
            return urlencode(payload).encode(), "application/x-www-form-urlencoded"
        case Kind.INTERACTIVE:
            return urlencode({"payload": json.dumps(payload)}).encode(), "application/x-www-form-urlencoded"
        case Kind.EVENT:
            return json.dumps(payload).encode(), "application/json"

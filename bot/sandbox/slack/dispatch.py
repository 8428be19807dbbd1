"""How the local workspace reaches the bot: signed requests to its URL."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlencode

import aiohttp

from bot.sandbox.slack.team import Json

RETRIES_AFTER = (0.0, 60.0, 300.0)  # seconds; docs.slack.dev/apis/events-api, "retries"


class EnvelopeKind(StrEnum):
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

    kind: EnvelopeKind
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


@dataclass
class Dispatcher:
    """Delivers payloads to `url`. `patience` and delays are in seconds."""

    session: aiohttp.ClientSession
    signing: Signing
    url: str | None = None
    patience: float = 3.0
    retry_scale: float = 1.0
    sent: list[Delivery] = field(default_factory=list)
    _retrying: set[asyncio.Task[None]] = field(default_factory=set)

    async def deliver(self, kind: EnvelopeKind, payload: Json, *, retry: int = 0, reason: str = "") -> Delivery:
        """Delivers once and remembers it. What the bot answers is never an exception."""
        delivery = await self.send(kind, payload, retry, reason, time.perf_counter())
        self.sent.append(delivery)
        return delivery

    async def deliver_event(self, payload: Json) -> Delivery:
        """Delivers an event; while the bot does not take it, again after Slack's delays, in the background."""
        first = await self.deliver(EnvelopeKind.EVENT, payload)
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
            delivery = await self.deliver(EnvelopeKind.EVENT, payload, retry=number, reason=reason)
            if delivery.is_acked or not delivery.may_retry:
                return
            reason = delivery.reason

    async def send(self, kind: EnvelopeKind, payload: Json, retry: int, reason: str, started: float) -> Delivery:
        if self.url is None:
            raise RuntimeError("the workspace does not know the bot's URL")
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


def encoded(kind: EnvelopeKind, payload: Json) -> tuple[bytes, str]:
    """A payload as its request's body, with the content type."""
    match kind:
        case EnvelopeKind.COMMAND:
            return urlencode(payload).encode(), "application/x-www-form-urlencoded"
        case EnvelopeKind.INTERACTIVE:
            return urlencode({"payload": json.dumps(payload)}).encode(), "application/x-www-form-urlencoded"
        case EnvelopeKind.EVENT:
            return json.dumps(payload).encode(), "application/json"

"""What else the proxy can do to calls: throttle, deny, delay, cut or answer them, in the services' own words.

AWS's bodies follow "Error responses" of the Amazon S3 API and "Programmatic errors" of DynamoDB.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

from bot.sandbox.machine.proxy import Action, Passage, Passed

_CLOUDWATCH = "com.amazonaws.cloudwatch.v2010_08_01#"
_DYNAMODB = "com.amazonaws.dynamodb.v20120810#"


@dataclass(frozen=True, slots=True)
class Answer(Action):
    """Answers in the server's place."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def meet(self, passage: Passage) -> web.StreamResponse:
        return self.given(passage, "answered")

    def given(self, passage: Passage, outcome: str) -> web.Response:
        return passage.answer(outcome, self.status, self.body, self.headers)


@dataclass(frozen=True, slots=True)
class Throttle(Action):
    """The service's own words for "too fast"; `retry_after` in seconds goes into the header."""

    retry_after: int | None = None

    async def meet(self, passage: Passage) -> web.StreamResponse:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        match _service(passage):
            case "dynamodb":
                text = (
                    "The level of configured provisioned throughput for the table was exceeded. Consider increasing "
                    "your provisioning level with the UpdateTable API."
                )
                answer = _json_error(_DYNAMODB + "ProvisionedThroughputExceededException", text, headers)
            case "s3":
                answer = _s3_error(503, "SlowDown", "Please reduce your request rate.", headers)
            case "cloudwatch":
                answer = _json_error(_CLOUDWATCH + "ThrottlingException", "Rate exceeded", headers)
            case _:
                answer = Answer(
                    429, b'{"message": "Too many requests"}', {"Content-Type": "application/json", **headers}
                )
        return answer.given(passage, "throttled")


@dataclass(frozen=True, slots=True)
class Deny(Action):
    """The service's own words for missing rights."""

    async def meet(self, passage: Passage) -> web.StreamResponse:
        operation = passage.call.operation
        text = f"User: arn:aws:iam::123456789012:user/tflock is not authorized to perform: {operation}"
        match _service(passage):
            case "dynamodb":
                answer = _json_error(_DYNAMODB + "AccessDeniedException", text, {})
            case "s3":
                answer = _s3_error(403, "AccessDenied", "Access Denied", {})
            case "cloudwatch":
                answer = _json_error(_CLOUDWATCH + "AccessDeniedException", text, {}, status=403)
            case _:
                answer = Answer(403, b'{"message": "Forbidden"}', {"Content-Type": "application/json"})
        return answer.given(passage, "denied")


@dataclass(frozen=True, slots=True)
class Delay(Action):
    """Waits, then passes the call on."""

    seconds: float

    async def meet(self, passage: Passage) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return await passage.go_on("delayed")


@dataclass(frozen=True, slots=True)
class Meanwhile(Action):
    """Lets something happen while the call is on its way, then passes it on, or does to it what comes `then`."""

    happens: Callable[[], object]
    then: Action | None = None

    async def meet(self, passage: Passage) -> web.StreamResponse:
        happening = self.happens()
        if inspect.isawaitable(happening):
            await happening
        return await (self.then.meet(passage) if self.then else passage.go_on("meanwhile"))


@dataclass(frozen=True, slots=True)
class Halt(Action):
    """Stops the process that calls, then passes the call on: its answer comes when the process goes on again."""

    pid: int
    halted: asyncio.Event = field(default_factory=asyncio.Event)

    async def meet(self, passage: Passage) -> web.StreamResponse:
        os.kill(self.pid, signal.SIGSTOP)
        self.halted.set()
        return await passage.go_on("halted")

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Cut(Action):
    """Cuts the connection; with `after` only when the server has done what was asked."""

    after: bool = False

    async def meet(self, passage: Passage) -> web.StreamResponse:
        if self.after:
            async with passage.ask() as upstream:
                await upstream.read()
        passage.log.append(Passed(passage.call, "cut after" if self.after else "cut before", None))
        if passage.request.transport is not None:
            passage.request.transport.abort()
        return web.Response()


class _Bare(Passage):
    """A call without the condition that it came with."""

    def ask(self) -> aiohttp.client._RequestContextManager:
        dropped = {"if-match", "content-length", "connection", "transfer-encoding", "expect"}
        headers = [(name, value) for name, value in self.request.headers.items() if name.lower() not in dropped]
        body = self.call.body
        if _service(self) == "dynamodb":
            asked = json.loads(body)
            body = json.dumps({name: asked[name] for name in ("TableName", "Key") if name in asked}).encode()
        url = URL(self.upstream + self.request.raw_path, encoded=True)
        return self.session.request(self.request.method, url, headers=headers, data=body, allow_redirects=False)


@dataclass(frozen=True, slots=True)
class Unconditional(Action):
    """Passes a delete on without its condition, as a store does that knows of none."""

    async def meet(self, passage: Passage) -> web.StreamResponse:
        bare = _Bare(passage.call, passage.request, passage.upstream, passage.session, passage.log)
        return await bare.go_on("unconditional")


def _service(passage: Passage) -> str:
    return passage.call.operation.partition(":")[0]


def _json_error(kind: str, text: str, headers: Mapping[str, str], *, status: int = 400) -> Answer:
    body = json.dumps({"__type": kind, "message": text}).encode()
    return Answer(status, body, {"Content-Type": "application/x-amz-json-1.0", **headers})


def _s3_error(status: int, code: str, text: str, headers: Mapping[str, str]) -> Answer:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message>'
        "<RequestId>SANDBOX</RequestId><HostId>sandbox</HostId></Error>"
    )
    return Answer(status, body.encode(), {"Content-Type": "application/xml", **headers})

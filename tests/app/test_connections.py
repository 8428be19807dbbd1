"""Real sockets at the bot's limits: whoever is slow, silent or many is dropped, and everybody else is answered."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from bot.app.connections import LARGEST, ConnectionLimits, Connections

QUICK = ConnectionLimits(headers=1, body=1, answer=1, idle=1, most=20)
PATIENT = ConnectionLimits(headers=30, body=30, answer=30, idle=30, most=20)
HEAD = b"POST /echo HTTP/1.1\r\nHost: bot\r\nContent-Type: text/plain\r\n"
GONE = 10.0
"""Seconds until what must be dropped is said not to be. No test is slower for it, unless it fails."""


@dataclass
class Server:
    """A bot of two paths: one answers with the body, one when it is let."""

    connections: Connections
    port: int
    session: aiohttp.ClientSession
    release: asyncio.Event
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    waiting: int = 0

    async def post(self, body=b"hello", path="/echo"):
        async with self.session.post(f"http://127.0.0.1:{self.port}{path}", data=body) as answer:
            return answer.status, await answer.text()

    async def open(self, *parts: bytes):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        for part in parts:
            writer.write(part)
            await writer.drain()
        return reader, writer


@asynccontextmanager
async def serving(limits: ConnectionLimits):
    release = asyncio.Event()

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def waits(_: web.Request) -> web.Response:
        made.waiting += 1
        await release.wait()
        return web.Response(text="at last")

    connections = Connections(limits)
    app = web.Application(client_max_size=LARGEST, middlewares=[connections.middleware()])
    app.add_routes([web.post("/echo", echo), web.post("/waits", waits)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, keepalive_timeout=limits.idle)
    await runner.setup()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: connections.protocol(runner.server), "127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        stack.callback(server.close)
        stack.callback(release.set)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        )
        made = Server(connections, server.sockets[0].getsockname()[1], session, release)
        yield made
        for writer in made.writers:
            writer.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(GONE):
        while not holds():  # noqa: ASYNC110 - the server says nothing of its connections
            await asyncio.sleep(0.01)


async def ends(reader: asyncio.StreamReader) -> bytes:
    """What the server still says, up to the end of the connection."""
    said = b""
    try:
        async with asyncio.timeout(GONE):
            while chunk := await reader.read(4096):
                said += chunk
    except ConnectionError:
        pass
    return said


@pytest.mark.parametrize(
    "sent",
    [b"", b"P", b"POST /echo HTTP/1.1\r\n", HEAD, HEAD + b"X-Long: " + b"a" * 4000],
    ids=["nothing", "a byte", "a line", "headers", "a long header"],
)
async def test_headers_that_do_not_end_are_dropped_and_a_whole_request_beside_them_is_answered(sent):
    async with serving(QUICK) as server:
        reader, _ = await server.open(sent)

        assert await server.post() == (200, "hello")
        assert await ends(reader) == b""
        assert await server.post() == (200, "hello")


async def test_headers_that_drip_get_no_more_time_than_those_that_stop():
    async with serving(QUICK) as server:
        reader, writer = await server.open(HEAD)

        async def drip() -> None:
            try:
                while True:
                    writer.write(b"X-Drip: 1\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            except ConnectionError:
                pass

        dripping = asyncio.create_task(drip())
        assert await ends(reader) == b""
        dripping.cancel()
        assert await server.post() == (200, "hello")


@pytest.mark.parametrize("is_dripping", [False, True])
async def test_a_body_that_does_not_end_is_told_so_and_dropped(is_dripping):
    async with serving(QUICK) as server:
        reader, writer = await server.open(HEAD + b"Content-Length: 1000\r\n\r\n", b"a")

        async def drip() -> None:
            try:
                while is_dripping:
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            except ConnectionError:
                pass

        dripping = asyncio.create_task(drip())
        assert await server.post() == (200, "hello")
        head, _, body = (await ends(reader)).partition(b"\r\n\r\n")
        dripping.cancel()
        assert head.startswith(b"HTTP/1.1 408")
        assert json.loads(body) == {"error": "the body did not arrive within 1 s"}


async def test_a_slow_body_within_its_time_is_answered():
    async with serving(PATIENT) as server:
        reader, writer = await server.open(HEAD + b"Content-Length: 3\r\nConnection: close\r\n\r\n")
        for part in (b"a", b"b", b"c"):
            await asyncio.sleep(0.05)
            writer.write(part)

        assert (await ends(reader)).endswith(b"abc")


async def test_an_idle_connection_is_dropped_after_its_time_and_used_again_before():
    request = HEAD + b"Content-Length: 2\r\n\r\nhi"
    async with serving(QUICK) as server:
        reader, writer = await server.open(request)
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")
        writer.write(request)
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")

        assert await ends(reader) == b""


async def test_a_second_request_on_a_connection_has_its_time_for_headers_as_well():
    limits = ConnectionLimits(headers=0.3, body=30, answer=30, idle=30, most=20)
    async with serving(limits) as server:
        reader, writer = await server.open(HEAD + b"Content-Length: 2\r\n\r\nhi")
        await reader.readuntil(b"hi")
        writer.write(b"POST /ec")

        assert await ends(reader) == b""


async def test_an_answer_that_takes_too_long_is_dropped():
    async with serving(QUICK) as server:
        reader, _ = await server.open(HEAD.replace(b"/echo", b"/waits") + b"Content-Length: 0\r\n\r\n")

        assert await server.post() == (200, "hello")
        assert await ends(reader) == b""


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n"], ids=["silent", "headers", "body"])
async def test_many_half_requests_keep_nobody_out(sent):
    async with serving(PATIENT) as server:
        half = [await server.open(sent) for _ in range(3 * PATIENT.most)]

        assert await server.post() == (200, "hello")
        assert len(server.connections) <= PATIENT.most
        assert await ends(half[0][0]) == b""  # the oldest made room


async def test_a_request_that_is_being_answered_never_makes_room():
    async with serving(PATIENT) as server:
        answered = asyncio.create_task(server.post(b"", "/waits"))
        await until(lambda: server.waiting == 1)
        half = [await server.open(HEAD) for _ in range(3 * PATIENT.most)]
        assert await server.post() == (200, "hello")

        server.release.set()

        assert await answered == (200, "at last")
        assert half


async def test_when_all_are_being_answered_one_more_is_refused_and_the_others_are_not_harmed():
    async with serving(PATIENT) as server:
        waiting = HEAD.replace(b"/echo", b"/waits") + b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        answered = [await server.open(waiting) for _ in range(PATIENT.most)]
        await until(lambda: server.waiting == PATIENT.most)

        refused, _ = await server.open(HEAD)
        assert await ends(refused) == b""
        server.release.set()

        said = await asyncio.gather(*(ends(reader) for reader, _ in answered))
        assert all(answer.endswith(b"at last") for answer in said)
        assert await server.post() == (200, "hello")


async def test_a_body_that_is_too_large_is_refused_in_words():
    async with serving(PATIENT) as server:
        status, text = await server.post(io.BytesIO(b"a" * (LARGEST + 1)))

        assert (status, json.loads(text)) == (413, {"error": f"the body is larger than {LARGEST} bytes"})
        assert (await server.post(io.BytesIO(b"a" * LARGEST)))[0] == 200


async def test_headers_that_are_too_long_or_too_many_are_refused():
    async with serving(PATIENT) as server:
        for headers in (
            b"X-Long: " + b"a" * 9000 + b"\r\n",
            b"".join(b"X-%d: 1\r\n" % number for number in range(200)),
        ):
            reader, _ = await server.open(HEAD + headers + b"Content-Length: 0\r\nConnection: close\r\n\r\n")

            assert (await ends(reader)).split()[1] == b"400"


async def test_a_body_that_is_no_body_is_refused():
    async with serving(PATIENT) as server:
        reader, _ = await server.open(
            HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", b"zz\r\nno\r\n"
        )

        assert (await ends(reader)).split()[1] == b"400"


async def test_a_connection_that_is_over_is_forgotten():
    async with serving(PATIENT) as server:
        _, writer = await server.open(HEAD)
        await until(lambda: len(server.connections) == 1)

        writer.close()

        await until(lambda: len(server.connections) == 0)

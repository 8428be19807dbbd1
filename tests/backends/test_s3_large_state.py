"""A large state over HTTP: seen whole, held never."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tracemalloc
from email.utils import formatdate

import pytest
from aiohttp import web

from bot.core.evidence import Found, Trouble, Unseen
from tests.worlds.own_time import own_time

SIZE = 60_000_000
HEAD = b'{"version":4,"terraform_version":"1.11.4","serial":7,"lineage":"b0c5d1f2","resources":['
RESOURCE = json.dumps({"type": "aws_instance", "attributes": {f"a{n}": "v" * 300 for n in range(200)}}).encode() + b","


def pieces():
    yield HEAD
    for _ in range(SIZE // len(RESOURCE) + 1):
        yield RESOURCE
    yield b"{}]}"


@pytest.fixture
async def store():
    """Speaks just enough S3 to send one large object, quickly, or slowly and without an end."""
    slow = asyncio.Event()

    async def send(request: web.Request) -> web.StreamResponse:
        if request.method != "GET" or "versions" in request.query:
            return web.Response(status=403)
        response = web.StreamResponse(headers={"Last-Modified": formatdate(usegmt=True), "ETag": '"x"'})
        await response.prepare(request)
        for piece in pieces():
            await response.write(piece)
            if slow.is_set():
                await asyncio.sleep(0.05)
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", send)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", slow
    await runner.cleanup()


async def test_a_large_state_is_read_whole_without_ever_being_held(cloud, store):
    url, _ = store
    backend = cloud.backend(endpoint_url=url, dynamodb_table=None, timeout=60)
    await backend.read_lock()

    tracemalloc.start()
    check = await backend.read_state()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(check.state, Found)
    state = check.state.value
    assert state.fault is None
    assert state.size > SIZE
    assert (state.serial, state.lineage) == (7, "b0c5d1f2")
    assert state.md5 == md5_of_the_pieces()
    assert peak < 12_000_000


async def test_a_large_state_that_comes_too_slowly_is_unseen_when_the_time_is_up(cloud, store):
    url, slow = store
    slow.set()

    async with own_time() as spent:
        check = await cloud.backend(endpoint_url=url, dynamodb_table=None, timeout=0.7).read_state()

    assert spent.seconds < 2
    assert isinstance(check.state, Unseen)
    assert check.state.trouble is Trouble.TIMED_OUT


def md5_of_the_pieces() -> str:
    md5 = hashlib.md5()
    for piece in pieces():
        md5.update(piece)
    return md5.hexdigest()

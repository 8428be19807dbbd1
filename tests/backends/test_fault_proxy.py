"""The sandbox's fault proxy in front of a plain HTTP server."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from bot.sandbox.machine.proxy import fault_proxy
from tests.worlds.proxy import Answer, Cut, Delay, Deny, Throttle


@pytest.fixture
async def upstream():
    """Echoes, and remembers what reached it."""
    reached: list[str] = []

    async def echo(request: web.Request) -> web.Response:
        reached.append(request.path_qs)
        headers = {"X-Kept": "yes", "Link": "<next>"}
        return web.Response(status=201, body=await request.read(), headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", reached
    await runner.cleanup()


@pytest.fixture
async def proxy(upstream):
    async with fault_proxy(upstream[0]) as running:
        yield running


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_call_without_a_fault_passes_unchanged(proxy, http, upstream):
    async with http.post(f"{proxy.url}/repos/a%2Fb?page=2", data=b"hello") as response:
        assert (response.status, await response.read()) == (201, b"hello")
        assert (response.headers["X-Kept"], response.headers["Link"]) == ("yes", "<next>")

    assert upstream[1] == ["/repos/a%2Fb?page=2"] or upstream[1] == ["/repos/a/b?page=2"]
    assert [(entry.call.operation, entry.outcome, entry.status) for entry in proxy.log] == [
        ("POST /repos/a/b", "passed", 201)
    ]


async def test_a_throttled_call_is_told_when_to_come_back_and_never_arrives(proxy, http, upstream):
    proxy.fault("GET /runs", Throttle(retry_after=3), times=1)

    async with http.get(f"{proxy.url}/runs") as first, http.get(f"{proxy.url}/runs") as second:
        assert (first.status, first.headers["Retry-After"]) == (429, "3")
        assert second.status == 201

    assert upstream[1] == ["/runs"]


async def test_a_fault_hits_only_what_it_matches_until_it_is_lifted(proxy, http):
    fault = proxy.fault("GET /runs", Deny())

    async with http.get(f"{proxy.url}/runs") as hit, http.get(f"{proxy.url}/jobs") as missed:
        assert (hit.status, missed.status) == (403, 201)
    fault.lift()

    async with http.get(f"{proxy.url}/runs") as after:
        assert after.status == 201


async def test_the_newest_fault_wins_and_all_can_be_lifted(proxy, http):
    proxy.fault("GET /runs", Answer(500))
    proxy.fault("GET /runs", Answer(418, b"teapot", {"X-Why": "tea"}), times=1)

    async with http.get(f"{proxy.url}/runs") as response:
        assert (response.status, await response.read(), response.headers["X-Why"]) == (418, b"teapot", "tea")
    async with http.get(f"{proxy.url}/runs") as response:
        assert response.status == 500
    proxy.lift_all()
    async with http.get(f"{proxy.url}/runs") as response:
        assert response.status == 201


async def test_a_call_cut_before_never_arrives(proxy, http, upstream):
    proxy.fault("POST /runs", Cut())

    with pytest.raises(aiohttp.ClientError):
        await http.post(f"{proxy.url}/runs")

    assert upstream[1] == []
    assert [entry.outcome for entry in proxy.log] == ["cut before"]


async def test_a_call_cut_after_has_arrived(proxy, http, upstream):
    proxy.fault("POST /runs", Cut(after=True))

    with pytest.raises(aiohttp.ClientError):
        await http.post(f"{proxy.url}/runs")

    assert upstream[1] == ["/runs"]
    assert [entry.outcome for entry in proxy.log] == ["cut after"]


async def test_a_delayed_call_arrives_late(proxy, http):
    proxy.fault("GET /runs", Delay(0.3))
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with http.get(f"{proxy.url}/runs") as response:
        assert response.status == 201

    assert loop.time() - began >= 0.3


async def test_a_server_that_is_away_is_a_bad_gateway(http):
    async with fault_proxy("http://127.0.0.1:1") as proxy, http.get(f"{proxy.url}/runs") as response:
        assert response.status == 502

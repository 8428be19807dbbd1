"""The transport on real connections: what goes out, how often, and what is known of it when no answer comes."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import httpx
import pytest

from bot.core.evidence import Trouble
from bot.http.client import Client, Failed, Limits
from bot.http.transport import Transport
from tests.worlds.azure_public import certified
from tests.worlds.clocks import SetClock

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CUT = b"<the server closes the connection here>"
PATIENCE = 30


class Server:
    """Gives each request its answer, in order, on any number of connections."""

    def __init__(self, *answers):
        self.answers, self.asked, self.connections = list(answers), [], 0
        self.hung_up = asyncio.Event()
        self.last_words = lambda: None
        self.tasks = set()

    async def serve(self, reader, writer):
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        try:
            while True:
                self.asked.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                writer.write(answer.removesuffix(CUT))
                await writer.drain()
                if answer.endswith(CUT):
                    self.last_words()
                    break
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.hung_up.set()
        finally:
            writer.close()


@asynccontextmanager
async def listening(*answers, context=None):
    """A server and its address."""
    server = Server(*answers)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context) as door:
        server.door = door
        yield server, f"{'https' if context else 'http'}://127.0.0.1:{door.sockets[0].getsockname()[1]}"
    await asyncio.gather(*server.tasks)


@asynccontextmanager
async def client_of(address, *, http=None, **limits):
    client = Client(
        "Jenkins",
        address,
        headers=lambda: {"Authorization": "Basic verysecret"},
        errors=lambda _: {},
        clock=SetClock(),
        limits=Limits(**limits),
        http=http,
    )
    yield client
    await client.aclose()


async def failure(address, method="GET", **limits):
    async with client_of(address, **limits) as client:
        with pytest.raises(Failed) as caught:
            await client.send(method, "/thing", "the thing", tries=1)
    assert "verysecret" not in str(caught.value)
    return caught.value.trouble, caught.value.was_sent


async def test_a_request_goes_out_as_httpxs_own_transport_sends_it():
    async with listening(OK, OK, OK, OK, OK, OK) as (server, address):
        for transport in (None, httpx.AsyncHTTPTransport()):
            http = None if transport is None else httpx.AsyncClient(transport=transport)
            async with client_of(address, http=http) as client:
                await client.send("GET", "/a%2Fb", "it", params={"q": "ä b", "r": "1+1"}, headers={"If-Match": '"x"'})
                await client.send("PUT", "/lease", "it")
                await client.send("DELETE", "/lock?generation=1", "it")

    heads = [(line, sorted(fields)) for line, *fields in (head.split(b"\r\n") for head in server.asked)]
    heads[2][1].remove(b"Content-Length: 0")  # as most clients say, and the standard lets them
    assert heads[:3] == heads[3:]
    assert server.connections == 2


async def test_a_body_goes_out_whole():
    async with listening(OK) as (_, address), client_of(address) as client:
        answer = await client.send("POST", "/thing", "it", json={"a": "ü"})

        assert answer.request.headers["Content-Type"] == "application/json"
        assert answer.json() == {}


async def test_a_session_goes_on_with_the_servers_cookie():
    answer = OK.replace(b"\r\n", b"\r\nSet-Cookie: session=s1; Path=/; HttpOnly\r\n", 1)

    async with listening(answer, OK) as (server, address), client_of(address) as client:
        await client.send("GET", "/crumb", "it")
        await client.send("POST", "/thing", "it")

    assert [b"Cookie: session=s1" in head for head in server.asked] == [False, True]


@pytest.mark.parametrize("is_gone", [False, True], ids=["up", "gone"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_a_request_on_a_kept_connection_that_breaks_is_not_sent_twice(method, is_gone):
    async with listening(OK, CUT, OK) as (server, address), client_of(address) as client:
        if is_gone:
            server.last_words = server.door.close
        await client.send("GET", "/first", "it")
        with pytest.raises(Failed) as caught:
            await client.send(method, "/thing", "the thing", tries=1)

    assert (caught.value.trouble, caught.value.was_sent) == (Trouble.NO_CONNECTION, True)
    assert len(server.asked) == 2


class TooLate(Exception):
    pass


async def test_what_is_said_right_before_it_leaves_keeps_it_back_with_the_connection_already_there():
    connected = []

    async with listening(OK, OK) as (server, address), client_of(address) as client:

        def leaving():
            connected.append(server.connections)
            raise TooLate

        await client.send("GET", "/first", "it", leaving=lambda: connected.append(server.connections))
        with pytest.raises(TooLate):
            await client.send("DELETE", "/thing", "it", leaving=leaving)

        async with asyncio.timeout(PATIENCE):
            await server.hung_up.wait()
    assert len(server.asked) == 1
    assert connected[1] == 1


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (CUT, Trouble.NO_CONNECTION),
        (b"hello\r\n\r\n", Trouble.NO_CONNECTION),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{" + CUT, Trouble.NO_CONNECTION),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{" + CUT, Trouble.NO_CONNECTION),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", Trouble.GARBLED),
        (b"", Trouble.TIMED_OUT),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", Trouble.TIMED_OUT),
    ],
)
async def test_a_request_that_went_out_and_got_no_whole_answer_may_have_been_taken(answer, trouble):
    async with listening(answer) as (server, address):
        assert await failure(address, "DELETE", read=0.2) == (trouble, True)
    assert len(server.asked) == 1


async def test_a_request_without_a_connection_was_not_sent(tmp_path):
    async with listening() as (_, address):
        pass
    assert await failure(address) == (Trouble.NO_CONNECTION, False)
    assert await failure("http://tflock.invalid") == (Trouble.NO_CONNECTION, False)

    context, _ = certified(tmp_path / "server", "localhost")
    async with listening(OK, context=context) as (server, address):
        assert await failure(address) == (Trouble.NO_CONNECTION, False)
    assert server.asked == []


async def test_a_connection_that_is_not_there_in_time_is_given_up_and_nothing_was_sent():
    async with listening() as (_, address):
        tls = address.replace("http:", "https:")

        assert await failure(tls, connect=0.2) == (Trouble.TIMED_OUT, False)


async def test_a_certificate_of_a_known_authority_is_taken(tmp_path):
    context, authority = certified(tmp_path / "server", "localhost")
    http = httpx.AsyncClient(transport=Transport(ssl.create_default_context(cafile=authority)))

    async with listening(OK, context=context) as (_, address), client_of(address, http=http) as client:
        assert await client.get_object("/thing", "it") == {}


async def test_a_long_header_is_read():
    long = b"https://storage.example.net/?sig=" + b"x" * 20_000
    answer = b"HTTP/1.1 200 OK\r\nX-Where: " + long + b"\r\nContent-Length: 2\r\n\r\n{}"

    async with listening(answer) as (_, address), client_of(address) as client:
        assert (await client.send("GET", "/thing", "it")).headers["x-where"] == long.decode()


async def test_of_an_answer_without_end_no_more_is_read_than_asked_for():
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 4_000_000

    async with listening(endless) as (server, address), client_of(address) as client:
        assert await client.beginning("/log", "the log", most=10) == b"x" * 10
        async with asyncio.timeout(PATIENCE):
            await server.hung_up.wait()


async def test_the_environments_proxy_is_asked_for_another_machine_and_not_for_this_one(monkeypatch):
    async with listening(OK, OK) as (server, address):
        monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.delenv("NO_PROXY", raising=False)
        for to in ("http://ci.example.com", address):
            async with client_of(to) as client:
                await client.send("GET", "/thing", "it")

    lines = [head.split(b" ")[1] for head in server.asked]
    assert lines == [b"http://ci.example.com/thing", b"/thing"]

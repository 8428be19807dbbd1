"""A delete that is held up on its way, past its deadline: it is never sent, not even when nobody waits for it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from bot.core.lock import PlaceKind, ReleaseResult
from tests.worlds.proxy import Delay

HELD_UP, SHORT = 1.2, 0.6
ROLE = "arn:aws:iam::123456789012:role/tflock"
DELETES = {PlaceKind.FILE: "s3:DeleteObject", PlaceKind.ITEM: "dynamodb:DeleteItem"}


@asynccontextmanager
async def while_a_client_is_made(cloud, monkeypatch, tmp_path):
    clients = cloud.clients()
    backend = cloud.backend()
    backend._clients = clients
    clients._making.acquire()
    threading.Timer(HELD_UP, clients._making.release).start()
    yield backend


@asynccontextmanager
async def while_credentials_are_fetched(cloud, monkeypatch, tmp_path):
    cloud.proxy.fault(lambda call: b"AssumeRole" in call.body, Delay(HELD_UP))
    yield cloud.backend(assume_role=ROLE)


@asynccontextmanager
async def while_a_name_is_resolved(cloud, monkeypatch, tmp_path):
    resolve = socket.getaddrinfo

    def slow(host, *rest, **more):
        if host == "localhost":
            time.sleep(HELD_UP)
        return resolve(host, *rest, **more)

    backend = cloud.backend(endpoint_url=cloud.proxy.url.replace("127.0.0.1", "localhost"))
    await backend._clients.warm([backend._address.access])
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield backend


@asynccontextmanager
async def while_a_connection_is_made(cloud, monkeypatch, tmp_path):
    """A server that takes its time for the TLS handshake, in front of the proxy."""
    context = await asyncio.to_thread(_certified, tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        threads.submit(_shake_hands, listening, context, int(cloud.proxy.url.rpartition(":")[2]))
        backend = cloud.backend(endpoint_url=f"https://127.0.0.1:{listening.getsockname()[1]}")
        await backend._clients.warm([backend._address.access])
        try:
            yield backend
        finally:
            await backend._clients.aclose()


def _certified(home):
    key, cert = home / "key.pem", home / "cert.pem"
    how = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    where = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", "-x509", *how, *where], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def _shake_hands(listening, context, port):
    """Serves one connection until its client closes it, one request and one answer at a time."""
    accepted, _ = listening.accept()
    time.sleep(HELD_UP)
    near = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
    with suppress(OSError), near as client, socket.create_connection(("127.0.0.1", port)) as server:
        while asked := client.recv(65536):
            server.sendall(asked)
            client.sendall(server.recv(65536))


WAYS = [
    while_a_client_is_made,
    while_credentials_are_fetched,
    while_a_name_is_resolved,
    while_a_connection_is_made,
]


@pytest.fixture
async def lock(cloud):
    lock = cloud.lock()
    await cloud.aws.hold(cloud.address.key, lock.text, item=True, file=True)
    return lock


async def places(cloud):
    """The lock as somebody else has read it: the backend under test has made no connection yet."""
    return {place.kind: place for place in (await cloud.backend().read_lock()).held}


async def all_is_over(backend):
    """Waits until no thread is at work any more."""
    async with asyncio.timeout(20):
        while backend._clients._limiter.borrowed_tokens:  # noqa: ASYNC110 - threads ring no bell
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", list(DELETES))
@pytest.mark.parametrize("hold_up", WAYS)
async def test_a_delete_that_is_held_up_past_its_deadline_is_never_sent(
    cloud, lock, hold_up, kind, monkeypatch, tmp_path
):
    place = (await places(cloud))[kind]

    async with hold_up(cloud, monkeypatch, tmp_path) as backend:
        outcome = await backend.release(place, before=backend._clock.running() + SHORT)
        await all_is_over(backend)

    assert outcome.result is ReleaseResult.NOT_SENT, outcome
    assert cloud.proxy.calls(DELETES[kind]) == ()
    assert await cloud.aws.lock_ids(cloud.address.key) == {"item": lock.id, "file": lock.id}


@pytest.mark.parametrize("hold_up", WAYS)
async def test_a_delete_that_was_given_up_is_never_sent(cloud, lock, hold_up, monkeypatch, tmp_path):
    place = (await places(cloud))[PlaceKind.FILE]

    async with hold_up(cloud, monkeypatch, tmp_path) as backend:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(backend.release(place), SHORT)
        await all_is_over(backend)

    assert cloud.proxy.calls(DELETES[PlaceKind.FILE]) == ()
    assert (await cloud.aws.lock_ids(cloud.address.key))["file"] == lock.id


@pytest.mark.parametrize("hold_up", WAYS)
async def test_a_delete_that_is_held_up_and_comes_in_time_is_sent(cloud, lock, hold_up, monkeypatch, tmp_path):
    place = (await places(cloud))[PlaceKind.FILE]

    async with hold_up(cloud, monkeypatch, tmp_path) as backend:
        outcome = await backend.release(place, before=backend._clock.running() + 20)
        await all_is_over(backend)

    assert outcome.result is ReleaseResult.RELEASED, outcome
    assert (await cloud.aws.lock_ids(cloud.address.key))["file"] is None


class Asleep:
    """A clock of a machine that falls asleep: `sleep` seconds pass at once, when it is asked for the n-th time."""

    def __init__(self, clock, asked: int, sleep: float) -> None:
        self._clock, self._left, self._sleep = clock, asked, sleep
        self.now = clock.now

    def running(self) -> float:
        self._left -= 1
        return self._clock.running() + (self._sleep if self._left < 0 else 0)


@pytest.mark.parametrize("asked", [1, 2])
async def test_a_machine_that_slept_between_the_question_and_the_bytes_deletes_nothing(cloud, lock, asked):
    place = (await places(cloud))[PlaceKind.ITEM]
    awake, backend = cloud.backend()._clock, cloud.backend()
    backend._clock = Asleep(awake, asked, 3600)

    outcome = await backend.release(place, before=awake.running() + 20)

    assert outcome.result is ReleaseResult.NOT_SENT
    assert cloud.proxy.calls(DELETES[PlaceKind.ITEM]) == ()
    assert (await cloud.aws.lock_ids(cloud.address.key))["item"] == lock.id


async def test_a_delete_whose_answer_is_late_is_read_again_and_not_called_unsent(cloud, lock):
    place = (await places(cloud))[PlaceKind.FILE]
    cloud.proxy.fault(DELETES[PlaceKind.FILE], Delay(HELD_UP))

    outcome = await cloud.backend(timeout=SHORT).release(place)

    assert outcome.result is ReleaseResult.NOT_KNOWN
    assert outcome.detail.endswith("the lock is still there")


async def test_a_place_is_released_through_a_client_that_was_used_before(cloud, lock):
    backend = cloud.backend()
    (seen,) = [place for place in (await backend.read_lock()).held if place.kind is PlaceKind.FILE]

    late = await backend.release(replace(seen), before=backend._clock.running() - 1)
    in_time = await backend.release(seen, before=backend._clock.running() + 20)

    assert [late.result, in_time.result] == [ReleaseResult.NOT_SENT, ReleaseResult.RELEASED]
    assert len(cloud.proxy.calls(DELETES[PlaceKind.FILE])) == 1

"""A request that leaves this machine in time or never, decided in the thread that sends it.

A call that was given up continues in its thread: it waits for a lock, for credentials, for DNS or for a connection, and
would then do what nobody wants any more. So it has to find out itself, when all of that lies behind it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from bot.ports.clock import Clock


class KeptBack(Exception):
    """The request was not sent: its time was over, or it had been called off."""


class SendBy:
    """The permission for one request to leave until an instant of `Clock.running`, unless it is called off before."""

    def __init__(self, clock: Clock, at: float) -> None:
        self._clock = clock
        self._at = at
        self._changing = threading.Lock()
        self._is_off = False
        self._has_left = False

    def check(self) -> None:
        """Raises KeptBack if the request may not leave any more."""
        if self._is_off or self._clock.running() > self._at:
            raise KeptBack

    def leave(self) -> None:
        """The last question before the bytes go out. Raises KeptBack: then none of them does."""
        with self._changing:
            self.check()
            self._has_left = True

    def call_off(self) -> bool:
        """From now on nothing leaves. True if nothing has left before, either."""
        with self._changing:
            self._is_off = True
            return not self._has_left

    @contextmanager
    def applied(self) -> Iterator[None]:
        """What this thread sends inside needs this permission."""
        token = _needed.set(self)
        try:
            yield
        finally:
            _needed.reset(token)


_needed: ContextVar[SendBy | None] = ContextVar("send_by", default=None)


def watch(client: Any) -> Any:
    """The client, whose requests ask for their permission: first when they are signed, and right before they leave.

    botocore's event `before-send` comes before DNS and the connection, so the connection asks again. Its pool is not
    part of botocore's public face; the tests hold a call up at each of these places.
    """
    client.meta.events.register("before-send", _before_send)
    client._endpoint.http_session._pool_classes_by_scheme.update(http=_PlainPool, https=_TlsPool)  # noqa: SLF001 - see above
    return client


def _before_send(**_: object) -> None:
    send_by = _needed.get()
    if send_by is not None:
        send_by.check()


def _leave(connection: Any) -> None:
    send_by = _needed.get()
    if send_by is None:
        return
    if connection.sock is None:
        connection.connect()
    send_by.leave()


class _PlainConnection(AWSHTTPConnection):  # type: ignore[misc]  # botocore ships no types
    def send(self, data: Any) -> Any:
        _leave(self)
        return super().send(data)


class _TlsConnection(AWSHTTPSConnection):  # type: ignore[misc]  # botocore ships no types
    def send(self, data: Any) -> Any:
        _leave(self)
        return super().send(data)


class _PlainPool(AWSHTTPConnectionPool):  # type: ignore[misc]  # botocore ships no types
    ConnectionCls = _PlainConnection


class _TlsPool(AWSHTTPSConnectionPool):  # type: ignore[misc]  # botocore ships no types
    ConnectionCls = _TlsConnection

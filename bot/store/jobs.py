"""The queue of the durable jobs in Redis: pydocket's keys begin with `tflock-jobs`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from docket import Docket
from docket._redis import RedisConnection
from redis.asyncio.connection import Connection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError

from bot.errors import JournalAway
from bot.store.connect import DEADLINE, answering, entered
from bot.store.refusals import refused

DOCKET = "tflock-jobs"
_ONE_SERVER = ("redis://", "rediss://", "unix://")
_GIVEN_UP = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 20_000))
    if hasattr(socket, name)
}
"""A link that is cut without a word is given up after 20 s without an answer (35 s if it was idle).
Linux would send again for 15 minutes, in which a worker does nothing.
"""

_AWAY = "the job queue in Redis cannot be reached"


class Queue(Docket):
    """A docket that may be given several hosts of a cluster: it connects by way of one that answers."""

    def __init__(self, name: str, url: str) -> None:
        self._given = _with_second_try(url)
        self._connects_to(name, self._given)

    def _connects_to(self, name: str, url: str) -> None:
        super().__init__(name=name, url=url, heartbeat_interval=timedelta(seconds=2), missed_heartbeats=5)
        self._redis = _Connections(url)

    async def __aenter__(self) -> Self:
        url = await entered(self._given)
        if url != self.url:
            tasks = self.tasks
            self._connects_to(self.name, url)
            self.tasks = tasks
        return await super().__aenter__()


class _Connections(RedisConnection):
    """Those of pydocket, which set no limit for an answer, as some of its questions wait in Redis."""

    async def _connection_pool_from_url(self, *args: Any, **options: Any) -> ConnectionPool:
        return _noticing_cuts(await super()._connection_pool_from_url(*args, **options))

    def _create_node_pool(self) -> ConnectionPool:
        return _noticing_cuts(super()._create_node_pool())


def _noticing_cuts(pool: ConnectionPool) -> ConnectionPool:
    if issubclass(pool.connection_class, Connection):
        pool.connection_class = type("Connection", (_NoticesCuts, pool.connection_class), {})
        pool.connection_kwargs["socket_keepalive_options"] = _GIVEN_UP
    return pool


class _NoticesCuts(Connection):
    """redis-py takes the system's time-out of a dead connection for the caller's own: it answers "nothing yet" at once.
    Who asks again, as pydocket does, then keeps the whole process busy for ever.
    """

    async def _read_response_from_parser(self, *args: Any, **options: Any) -> Any:
        try:
            return await super()._read_response_from_parser(*args, **options)
        except TimeoutError as error:
            if error.errno is None:
                raise
            raise RedisConnectionError(str(error)) from error


def open_docket(url: str, *, name: str = DOCKET) -> Docket:
    """The queue on this Redis; the same name for all processes."""
    return Queue(name, url)


async def waiting(docket: Docket, now: datetime) -> tuple[int, int]:
    """How many jobs are due and not begun, and how many workers there are. Raises JournalAway."""
    async with answering(), docket, docket.redis() as redis, redis.pipeline() as asking:
        oldest = now - docket.heartbeat_interval * docket.missed_heartbeats
        asking.zcount(docket.queue_key, 0, now.timestamp())
        asking.xlen(docket.stream_key)
        asking.zcount(docket.workers_set, oldest.timestamp(), "+inf")
        overdue, in_stream, workers = await asking.execute()
    return int(overdue) + int(in_stream), int(workers)


def _with_second_try(url: str) -> str:
    """The URL with one more try on a fresh connection, as redis-py makes it for this option.

    Without it a job that comes right after Redis is back meets a dead connection of the queue's pool, and waits for
    its redelivery.
    """
    if not url.startswith(_ONE_SERVER) or "retry_on_timeout=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}retry_on_timeout=true"


class DocketJobs:
    """`bot.ports.jobs.Jobs` on pydocket. Not connected (yet), or Redis gone: JournalAway, with the reason."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self.connected = False
        self.trouble: JournalAway | None = None
        """Why it is not connected, where that is known."""
        self.tried = asyncio.Event()
        """Whether it was connected, or could not be: what an earlier process has acked is taken up before."""

    async def start(self, name: str, *args: str, key: str, at: datetime | None = None) -> None:
        if not self.connected:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.tried.wait(), DEADLINE)
        if not self.connected:
            raise self.trouble or JournalAway(_AWAY)
        async with _answering():
            await self._docket.add(name, when=at, key=key)(*args)

    async def again_now(self, names: Iterable[str]) -> None:
        """Runs periodic jobs now: after the clock was set back, they would else wait until it is as late again."""
        for name in names:
            async with _answering():
                await self._docket.replace(name, when=datetime.now(UTC), key=name)()


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """As `answering`: pydocket's own connections may be silent for longer."""
    async with answering():
        try:
            yield
        except (RedisError, RedisClusterException, OSError) as error:
            raise refused(error) or JournalAway(_AWAY) from error

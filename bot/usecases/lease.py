"""One worker at a time per state. A lease, not a guarantee: the compare-and-delete is what keeps a lock safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial

import structlog

from bot.errors import JournalAway, TflockError
from bot.ports.records import LEASE, Records

log = structlog.get_logger()

TTL = timedelta(seconds=15)
_RENEW_EVERY = 4.0
_ASK_EVERY = 0.5


class Busy(TflockError):
    """Another worker is at this state, and took longer than we waited."""


@asynccontextmanager
async def lease(
    records: Records,
    name: str,
    *,
    holder: str,
    patience: timedelta,
    take: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Holds the lease `name` while inside, renewing it. Raises Busy after `patience`, JournalAway as Records does.

    `take` is how the holder takes it, where something is asked together with it.
    Yields a check for the moment before something that must not be done twice: it raises Busy if the lease ran out
    meanwhile, as after a worker that paused, also if nobody else has taken it.
    """
    deadline = asyncio.get_running_loop().time() + patience.total_seconds()
    take = take or partial(records.take, LEASE, name, holder=holder, ttl=TTL)
    while not await take():
        if asyncio.get_running_loop().time() > deadline:
            raise Busy(f"another worker is at {name}")
        await asyncio.sleep(_ASK_EVERY)
    over = asyncio.Event()
    renewing = asyncio.create_task(_renew(records, name, holder, over))
    try:
        yield partial(_make_sure, records, name, holder)
    finally:
        # Not cancelled: redis-py sends through `asyncio.wait_for`, which before Python 3.12 swallows a cancellation
        # that comes when the bytes are out. The lease would be renewed for ever, and the work inside never end.
        over.set()
        await renewing
        with suppress(JournalAway):
            await records.give_back(LEASE, name, holder=holder)


async def _make_sure(records: Records, name: str, holder: str) -> None:
    if not await records.renew(LEASE, name, holder=holder, ttl=TTL):
        raise Busy(f"the lease of {name} ran out")


async def _renew(records: Records, name: str, holder: str, over: asyncio.Event) -> None:
    while not await _is_over(over):
        try:
            if not await records.renew(LEASE, name, holder=holder, ttl=TTL):
                log.warning("lease.ran_out", name=name)
                return
        except JournalAway:
            log.warning("lease.not_renewed", name=name)


async def _is_over(over: asyncio.Event) -> bool:
    """Waits until it is, or the lease is to be renewed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_RENEW_EVERY):
            await over.wait()
    return over.is_set()

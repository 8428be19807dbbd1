"""One worker at a time per state. A lease, not a guarantee: the compare-and-delete is what keeps a lock safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog

from bot.errors import JournalAway, TflockError
from bot.ports import Records

log = structlog.get_logger()

TTL = timedelta(seconds=15)
_RENEW_EVERY = 4.0
_ASK_EVERY = 0.5


class Busy(TflockError):
    """Another worker is at this state, and went on for longer than we waited."""


@asynccontextmanager
async def lease(records: Records, name: str, *, holder: str, patience: timedelta) -> AsyncIterator[None]:
    """Holds the lease `name` while inside, renewing it. Raises Busy after `patience`, JournalAway as Records does."""
    deadline = asyncio.get_running_loop().time() + patience.total_seconds()
    while not await records.take("lease", name, holder=holder, ttl=TTL):
        if asyncio.get_running_loop().time() > deadline:
            raise Busy(f"another worker is at {name}")
        await asyncio.sleep(_ASK_EVERY)
    renewing = asyncio.create_task(_renew(records, name, holder))
    try:
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(JournalAway):
            await records.give_back("lease", name, holder=holder)


async def _renew(records: Records, name: str, holder: str) -> None:
    while True:
        await asyncio.sleep(_RENEW_EVERY)
        try:
            await records.take("lease", name, holder=holder, ttl=TTL)
        except JournalAway:
            log.warning("lease.not_renewed", name=name)

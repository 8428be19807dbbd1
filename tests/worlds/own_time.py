"""Time as this process had it, to hold code to "gives up after two seconds" on any machine.

What a busy machine takes away does not count: each turn of the event loop counts for its own length, a late one for
hardly more. So it never counts more than a clock does, and the same on a machine with nothing else to do.
What never lets the loop turn is held to the processor's time instead, which other programs do not use up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic, thread_time

TURN = 0.02
LONGEST_TURN = 0.1


@dataclass
class Spent:
    seconds: float = 0.0


@asynccontextmanager
async def own_time() -> AsyncIterator[Spent]:
    """Counts while the context is open."""
    spent = Spent()
    counting = asyncio.create_task(_count(spent))
    try:
        yield spent
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)


async def _count(spent: Spent) -> None:
    while True:
        began = monotonic()
        await asyncio.sleep(TURN)
        spent.seconds += min(monotonic() - began, LONGEST_TURN)


def processor_seconds(work: Callable[[], object]) -> float:
    """The processor's time that this thread needed for the work."""
    began = thread_time()
    work()
    return thread_time() - began

"""The queue of those who wait for a state, as one record in Redis that is only ever swapped for a newer one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from bot.core.reports.waiting import Queue
from bot.errors import JournalAway
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

_KEPT = timedelta(days=2)
_TRIES = 50


@dataclass(frozen=True, slots=True)
class QueueRecord:
    version: str = ""
    queue: Queue = field(default_factory=Queue)


QUEUES = Shelf("queue", QueueRecord, _KEPT)

Change: TypeAlias = Callable[[Queue], Queue]


def kept(world: World) -> timedelta:
    """How long a queue outlives its last change: longer than anyone waits."""
    return world.watch.wait_for + _KEPT


async def load_queue(world: World, state: str) -> Queue:
    """The queue as it is now, empty if nobody ever waited. Raises JournalAway."""
    return (await QUEUES.get(world, state) or QueueRecord()).queue


async def change_queue(world: World, state: str, change: Change) -> Queue:
    """The queue after a change that nobody else's change gets lost by. Raises JournalAway.

    `change` may be called several times. What it leaves as it is, is not written.
    """
    for _ in range(_TRIES):
        record = await QUEUES.get(world, state) or QueueRecord()
        changed = change(record.queue)
        if changed == record.queue:
            return changed
        newer = QueueRecord(world.new_id(), changed)
        if await QUEUES.swap(world, state, newer, was=record.version, ttl=kept(world)):
            return changed
    raise JournalAway(f"too many change the queue of {state} at the same time")

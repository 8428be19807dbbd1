"""The queue of those who wait for a state, as one record in Redis that is only ever swapped for a newer one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

from pydantic import TypeAdapter

from bot.core.reports.queue import Queue
from bot.errors import JournalAway
from bot.usecases.world import World

_KEPT = timedelta(days=2)
_TRIES = 50
_QUEUE = TypeAdapter(Queue)

Change: TypeAlias = Callable[[Queue], Queue]


def kept(world: World) -> timedelta:
    """How long a queue outlives its last change: longer than anybody waits."""
    return world.watch.wait_for + _KEPT


async def load_queue(world: World, state: str) -> Queue:
    """The queue as it is now, empty if nobody ever waited. Raises JournalAway."""
    return (await _load(world, state))[0]


async def change_queue(world: World, state: str, change: Change) -> Queue:
    """The queue after a change that nobody else's change gets lost by. Raises JournalAway.

    `change` may be called several times. What it leaves as it is, is not written.
    """
    for _ in range(_TRIES):
        queue, version = await _load(world, state)
        changed = change(queue)
        if changed == queue:
            return queue
        value = {"version": world.new_id(), "queue": _QUEUE.dump_python(changed, mode="json")}
        if await world.records.swap("queue", state, value, was=version, ttl=kept(world)):
            return changed
    raise JournalAway(f"too many change the queue of {state} at the same time")


async def _load(world: World, state: str) -> tuple[Queue, str]:
    record = await world.records.get("queue", state)
    return (Queue(), "") if record is None else (_QUEUE.validate_python(record["queue"]), str(record["version"]))

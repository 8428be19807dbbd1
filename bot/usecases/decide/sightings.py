"""Which locks a state has had. Of two that fit one command of a job, the job's own is the one that was seen first.

Terraform notes the time before it waits for a lock (`-lock-timeout`), and not every store says when it wrote one. So a
lock can look as old as one that was broken hours later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.core.lock import LockSeen
from bot.errors import JournalAway
from bot.usecases.shelf import LOCK_LIFE, Shelf
from bot.usecases.world import World


@dataclass(frozen=True, slots=True)
class SeenLock:
    id: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Sightings:
    """The newest locks that a state was seen with, in that order. No two values have the same `version`."""

    locks: tuple[SeenLock, ...] = ()
    version: str = ""


SIGHTINGS = Shelf("lock-sightings", Sightings, LOCK_LIFE)
_MOST, _AT_ONCE, _TRIES = 50, 20, 20


def earlier_than(known: Sightings | None, lock_id: str) -> tuple[datetime, ...]:
    """Of when the locks are that the state was seen with before this one."""
    ids = [] if known is None else [lock.id for lock in known.locks]
    seen_at = ids.index(lock_id) if lock_id in ids else len(ids)
    return tuple(lock.created for lock in known.locks[:seen_at]) if known is not None else ()


async def note(world: World, state: str, known: Sightings | None, seen: LockSeen) -> None:
    """Remembers the locks that a look brought, after what other looks have brought meanwhile. Raises JournalAway."""
    for _ in range(_TRIES):
        before, version = ((), "") if known is None else (known.locks, known.version)
        ids = {lock.id for lock in before}
        new = tuple(SeenLock(info.id, info.created) for info in seen.locks if info.id not in ids)
        found = Sightings((*before, *new)[-_MOST:], version=world.new_id())
        if not new or await SIGHTINGS.swap(world, state, found, was=version):
            return
        known = await SIGHTINGS.get(world, state)
    raise JournalAway("too many looks at one state at the same time")


async def remember(world: World, state: str, seen: LockSeen) -> None:
    """The same for a look that asked nothing else. Raises JournalAway."""
    if seen.locks:
        await note(world, state, await SIGHTINGS.get(world, state), seen)


async def remember_all(world: World, seen: Mapping[str, LockSeen]) -> None:
    """The same for all states that have a lock. Raises JournalAway."""
    held = [(state, lock) for state, lock in seen.items() if lock.locks]
    for start in range(0, len(held), _AT_ONCE):
        await asyncio.gather(*(remember(world, *one) for one in held[start : start + _AT_ONCE]))

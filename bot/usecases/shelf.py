"""What outlives a process, as values: one type for each kind of record, written and read by the same code.

What people, stores and CI systems wrote (reasons, titles of runs, errors) loses its secrets here, before it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from bot.core.codec import RECORDS, changes, read, written
from bot.core.record.redact import texts_redacted
from bot.core.record.timeline import Entry
from bot.errors import NotReplicated
from bot.ports.records import LEASE
from bot.usecases.world import World

T = TypeVar("T")

LOCK_LIFE = timedelta(days=400)
"""What is known of a lock counts as long as the lock exists; none exists for longer than this."""


@dataclass(frozen=True, slots=True)
class Handled:
    """That something which may come twice was dealt with."""

    done: bool = True


@dataclass(frozen=True, slots=True)
class Shelf(Generic[T]):
    """The records of one kind, kept for `ttl`. `earlier` turns what earlier versions wrote into what is written now.

    Everything here raises JournalAway as `bot.ports.records.Records` does, and ValueError for a record that cannot be
    read.
    """

    kind: str
    of: type[T]
    ttl: timedelta
    earlier: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict

    async def put(self, world: World, key: str, record: T, *, ttl: timedelta | None = None) -> None:
        await world.records.put(self.kind, key, texts_redacted(written(record, RECORDS)), ttl=ttl or self.ttl)

    async def get(self, world: World, key: str) -> T | None:
        return self._read(await world.records.get(self.kind, key))

    async def get_all(self, world: World, keys: Sequence[str]) -> dict[str, T]:
        """Those that are there, by key."""
        records = await world.records.get_all(self.kind, keys) if keys else {}
        return {key: read(self.of, self.earlier(record), RECORDS) for key, record in records.items()}

    async def update(
        self,
        world: World,
        key: str,
        some: Mapping[str, object] | None = None,
        /,
        *,
        only_if: tuple[str, Collection[object]] | None = None,
        and_is: Mapping[str, object] | None = None,
        durably: bool = False,
        **fields: object,
    ) -> T | None:
        """Sets some fields at once and returns the record; None (and no change) if it is not there.

        `only_if` is a field with what it may hold now, `and_is` are fields with the one value of each: with anything
        else in them nothing is changed, and None returned. `durably`: returns when it would outlive a fail-over of
        Redis, or raises NotReplicated.
        """
        said = texts_redacted(changes(self.of, {**(some or {}), **fields}))
        guard = None if only_if is None else (only_if[0], tuple(only_if[1]))
        also = None if and_is is None else texts_redacted(changes(self.of, and_is))
        return self._read(await world.records.update(self.kind, key, said, only_if=guard, and_is=also, durably=durably))

    async def swap(self, world: World, key: str, record: T, *, was: str, ttl: timedelta | None = None) -> bool:
        """Replaces the record if its `version` is `was`, empty for none; False for any other."""
        return await world.records.swap(
            self.kind, key, texts_redacted(written(record, RECORDS)), was=was, ttl=ttl or self.ttl
        )

    async def get_leased(
        self, world: World, key: str, *, lease: str, holder: str, ttl: timedelta
    ) -> tuple[bool, T | None]:
        """Takes a lease as `Records.take` does, with the record as it is after that."""
        taken, found = await world.records.take_and_get(LEASE, lease, holder=holder, ttl=ttl, record=(self.kind, key))
        return taken, self._read(found)

    async def secure(self, world: World, key: str, *, has: Callable[[T | None], bool]) -> T | None:
        """Returns the record when what was written there would outlive a fail-over of Redis. Raises NotReplicated.

        Also if a fail-over has lost it already: the record, if it is there, then does not have what it is expected to.
        """
        record = self._read(await world.records.secure(self.kind, key))
        if not has(record):
            raise NotReplicated("a fail-over of Redis has lost what was written")
        return record

    async def forget(self, world: World, key: str) -> None:
        await world.records.forget(self.kind, key)

    def _read(self, found: Mapping[str, Any] | None) -> T | None:
        return None if found is None else read(self.of, self.earlier(found), RECORDS)


async def secure_entry(world: World, incident: str, entry: Entry) -> None:
    """As `Shelf.secure`, for what was appended to a timeline."""
    if await world.journal.secure(incident, entry.id) != entry:
        raise NotReplicated("a fail-over of Redis has lost what was written")

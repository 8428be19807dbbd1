"""The locks of many states at once: DynamoDB's items by the hundred, the lock objects of S3 a few at a time.

S3 has no batch read. A lock object is therefore asked for on its own, as `S3Backend` does it, and not looked for in a
listing: a listing names every object below a prefix, so that its pages grow with the bucket and not with the states.
Source: `BatchGetItem` in the DynamoDB API (100 keys a call, `UnprocessedKeys`, backoff between the tries).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from bot.aws.clients import Access, AwsClients
from bot.aws.errors import AwsError, aws_error, may_be_asked_again, system_of, timed_out, translated
from bot.backends.s3.address import S3Address
from bot.backends.s3.places import FilePlace, ItemPlace, lock_seen, nowhere
from bot.core.evidence import Trouble
from bot.core.lock import LockPlace, LockSeen, PlaceKind
from bot.ports.clock import Clock

MOST_KEYS = 100
_READS = "dynamodb:BatchGetItem"
_TRIES, _FILE_TRIES = 4, 2
_LONGEST_WAIT, _LONGEST_FILE_WAIT = 1.0, 0.6
_TABLES_AT_ONCE, _FILES_AT_ONCE = 4, 8
"""Few enough to leave most threads of `AwsClients` to people who ask meanwhile."""

_GOES_ON = frozenset({Trouble.SERVER_ERROR, Trouble.GARBLED})
"""After these a table's next batch may fare better; after anything else the table is left alone for this sweep."""

Item: TypeAlias = dict[str, Any]
Read: TypeAlias = LockPlace | AwsError | None


class S3Sweep:
    """Implements `bot.ports.locks.LockSweep` for states in S3, by their names.

    `call_timeout` is for one call, `timeout` for all of a sweep, in seconds: what is not read by then is unseen.
    """

    def __init__(
        self,
        addresses: Mapping[str, S3Address],
        clients: AwsClients,
        clock: Clock,
        *,
        rng: random.Random,
        call_timeout: float = 5.0,
        timeout: float = 30.0,
    ) -> None:
        self._addresses = addresses
        self._clients = clients
        self._clock = clock
        self._rng = rng
        self._call_timeout = call_timeout
        self._timeout = timeout

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        """As `LockBackend.read_lock` would say of each: strongly consistent, and never free where it was not read."""
        at = self._clock.now()
        addresses = {name: self._addresses[name] for name in names}
        places_read = dict[tuple[str, PlaceKind], Read]()
        working = asyncio.create_task(self._read_all(addresses, places_read))
        _, late = await asyncio.wait({working}, timeout=self._timeout)
        if late:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        else:
            working.result()
        return {name: _seen(name, address, places_read, at) for name, address in addresses.items()}

    async def _read_all(self, addresses: Mapping[str, S3Address], read: dict[tuple[str, PlaceKind], Read]) -> None:
        """Fills `read` as it goes, so that what was read counts even if the time is up for the rest."""
        tables = dict[tuple[Access, str], dict[str, list[str]]]()
        for name, address in addresses.items():
            if address.dynamodb_table:
                table = tables.setdefault((address.access, address.dynamodb_table), {})
                table.setdefault(address.lock_key, []).append(name)
        at_tables, at_files = asyncio.Semaphore(_TABLES_AT_ONCE), asyncio.Semaphore(_FILES_AT_ONCE)

        async with asyncio.TaskGroup() as group:
            for (access, table_name), keys in tables.items():
                group.create_task(self._table(at_tables, access, table_name, keys, read))
            for name, address in addresses.items():
                if address.use_lockfile:
                    group.create_task(self._file(at_files, name, address, read))

    async def _table(
        self,
        turns: asyncio.Semaphore,
        access: Access,
        table: str,
        keys: Mapping[str, Sequence[str]],
        read: dict[tuple[str, PlaceKind], Read],
    ) -> None:
        async with turns:
            stopped: AwsError | None = None
            for batch in _batches(tuple(keys)):
                items, error = ({}, stopped) if stopped is not None else await self._batch(access, table, batch)
                if error is not None and error.trouble not in _GOES_ON:
                    stopped = error
                for key in batch:
                    place = _place(table, key, items[key]) if key in items else error
                    read.update({(name, PlaceKind.ITEM): place for name in keys[key]})

    async def _batch(
        self, access: Access, table: str, keys: Sequence[str]
    ) -> tuple[dict[str, Item | None], AwsError | None]:
        """The items of these keys, None for one that is not there. Of what is not among them the error says why."""
        found, left = dict[str, Item | None](), tuple(keys)
        error: AwsError | None = None
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(self._rng.uniform(0, _LONGEST_WAIT * attempt / (_TRIES - 1)))
            try:
                items, unprocessed = await self._call(access, table, left)
            except AwsError as failed:
                error = failed
                if not may_be_asked_again(failed):
                    break
                continue
            found |= {key: items.get(key) for key in left if key not in unprocessed}
            left = unprocessed
            if not left:
                return found, None
            error = aws_error(
                system_of(_READS), f"DynamoDB throttles {_READS} on table {table}", trouble=Trouble.THROTTLED
            )
        return found, error

    async def _call(self, access: Access, table: str, keys: Sequence[str]) -> tuple[dict[str, Item], tuple[str, ...]]:
        try:
            async with asyncio.timeout(self._call_timeout):
                return await self._clients.run(partial(self._ask, access, table, keys))
        except TimeoutError as error:
            raise timed_out(_READS, f"table {table}") from error

    def _ask(self, access: Access, table: str, keys: Sequence[str]) -> tuple[dict[str, Item], tuple[str, ...]]:
        """The items that are there, by key, and the keys that DynamoDB has not looked at. Blocking."""
        asked = {"Keys": [{"LockID": {"S": key}} for key in keys], "ConsistentRead": True}
        with translated(_READS, f"table {table}"):
            answer = self._clients.client("dynamodb", access).batch_get_item(RequestItems={table: asked})
            try:
                return _answered(answer, keys)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # botocore gives on some bodies that are not what they should be
                detail = f"{_READS} on table {table} brought no usable answer"
                raise aws_error(system_of(_READS), detail, trouble=Trouble.GARBLED) from error

    async def _file(
        self, turns: asyncio.Semaphore, name: str, address: S3Address, read: dict[tuple[str, PlaceKind], Read]
    ) -> None:
        place = FilePlace(partial(self._clients.client, "s3", address.access), address.bucket, address.lockfile_key)
        async with turns:
            for attempt in range(_FILE_TRIES):
                if attempt:
                    await asyncio.sleep(self._rng.uniform(0, _LONGEST_FILE_WAIT))
                read[name, PlaceKind.FILE] = answer = await self._file_now(place)
                if not (isinstance(answer, AwsError) and may_be_asked_again(answer)):
                    return

    async def _file_now(self, place: FilePlace) -> Read:
        try:
            async with asyncio.timeout(self._call_timeout):
                return await self._clients.run(place.read)
        except TimeoutError:
            return timed_out(place.reads, place.target)
        except AwsError as error:
            return error


def _answered(answer: Mapping[str, Any], keys: Sequence[str]) -> tuple[dict[str, Item], tuple[str, ...]]:
    """Raises ValueError for an answer that says nothing of keys that it does not leave either."""
    left = [key["LockID"]["S"] for part in (answer.get("UnprocessedKeys") or {}).values() for key in part["Keys"]]
    responses = answer.get("Responses") or {}
    if not responses and not set(keys) <= set(left):
        raise ValueError("neither items nor keys that are left")
    return {item["LockID"]["S"]: item for part in responses.values() for item in part}, tuple(left)


def _place(table: str, key: str, item: Item | None) -> LockPlace | None:
    return ItemPlace(_no_client, table, key).place_of(item)


def _no_client() -> Any:
    raise AssertionError("an item that was read needs no client")


def _seen(name: str, address: S3Address, read: Mapping[tuple[str, PlaceKind], Read], at: datetime) -> LockSeen:
    places = dict[PlaceKind, Read]()
    if address.use_lockfile:
        late = timed_out(FilePlace.reads, f"s3://{address.bucket}/{address.lockfile_key}")
        places[PlaceKind.FILE] = read.get((name, PlaceKind.FILE), late)
    if address.dynamodb_table:
        late = timed_out(_READS, f"table {address.dynamodb_table}")
        places[PlaceKind.ITEM] = read.get((name, PlaceKind.ITEM), late)
    return lock_seen(places, at) if places else nowhere(at)


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + MOST_KEYS] for start in range(0, len(keys), MOST_KEYS))

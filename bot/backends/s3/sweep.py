"""The locks of many states at once: DynamoDB's items by the hundred, the lock objects of S3 by listings.

S3 has no batch read. Where a bucket has many states, its listing says which lock objects there are, and only those are
read. A listing names every object below a prefix, so that its pages may grow with the bucket and not with the states:
it jumps to the next object that is wanted, and is given up where it is not worth it. What no listing covers is asked
for on its own, as `S3Backend` does it.
Sources: `BatchGetItem` in the DynamoDB API (100 keys a call, `UnprocessedKeys`, backoff between the tries);
`ListObjectsV2` in the S3 API (`StartAfter`; the order is that of the keys' UTF-8 bytes, except in directory buckets).
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from os.path import commonprefix
from typing import Any, NamedTuple, TypeAlias

import structlog

from bot.aws.clients import Access, AwsClients
from bot.aws.errors import AwsError, aws_error, may_be_asked_again, system_of, timed_out, translated
from bot.backends.s3.address import S3Address
from bot.backends.s3.places import FilePlace, ItemPlace, lock_seen, nowhere
from bot.core.evidence import Trouble
from bot.core.lock import LockPlace, LockSeen, PlaceKind
from bot.ports.clock import Clock

log = structlog.get_logger()

MOST_KEYS = 100
_READS, _LISTS = "dynamodb:BatchGetItem", "s3:ListBucket"
_TRIES, _FILE_TRIES = 4, 2
_LONGEST_WAIT, _LONGEST_FILE_WAIT = 1.0, 0.6
_TABLES_AT_ONCE, _FILES_AT_ONCE = 4, 8
"""Few enough to leave most threads of `AwsClients` to people who ask meanwhile."""

_WORTH_A_PAGE = 12
"""Lock objects that a page of a listing has to settle, on average: a listing costs about as much as 12 `GetObject`s."""

_GOES_ON = frozenset({Trouble.SERVER_ERROR, Trouble.GARBLED})
"""After these a table's next batch may fare better; after anything else the table is left alone for this sweep."""

Item: TypeAlias = dict[str, Any]
Read: TypeAlias = LockPlace | AwsError | None


class _Page(NamedTuple):
    """Keys of a bucket, and the last one up to which these are all; None: to the end."""

    keys: frozenset[str]
    end: str | None


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
        self._sweeps = 0
        self._turns = dict[tuple[str, PlaceKind], int]()

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        """As `LockBackend.read_lock` would say of each: strongly consistent, and never free where it was not read.

        What was not asked for the longest time comes first: where the time is not enough for all, all have their turn.
        """
        at, self._sweeps = self._clock.now(), self._sweeps + 1
        addresses = {name: self._addresses[name] for name in sorted(names, key=self._last_turn)}
        places_read = dict[tuple[str, PlaceKind], Read]()
        working = asyncio.create_task(self._read_all(addresses, places_read))
        _, late = await asyncio.wait({working}, timeout=self._timeout)
        if late:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        else:
            working.result()
        # in a thread: of ten thousand states, this would keep the event loop from people for too long
        return await asyncio.to_thread(_all_seen, {name: addresses[name] for name in names}, places_read, at)

    def _last_turn(self, name: str) -> int:
        """The sweep in which all of the state's places were asked last."""
        address = self._addresses[name]
        kinds = {PlaceKind.FILE: address.use_lockfile, PlaceKind.ITEM: address.dynamodb_table}
        return min((self._turns.get((name, kind), 0) for kind, is_used in kinds.items() if is_used), default=0)

    def _take_turns(self, names: Iterable[str], kind: PlaceKind) -> None:
        self._turns |= {(name, kind): self._sweeps for name in names}

    async def _read_all(self, addresses: Mapping[str, S3Address], read: dict[tuple[str, PlaceKind], Read]) -> None:
        """Fills `read` as it goes, so that what was read counts even if the time is up for the rest."""
        tables = dict[tuple[Access, str], dict[str, list[str]]]()
        for name, address in addresses.items():
            if address.dynamodb_table:
                table = tables.setdefault((address.access, address.dynamodb_table), {})
                table.setdefault(address.lock_key, []).append(name)
        buckets = dict[tuple[Access, str], dict[str, list[str]]]()
        for name, address in addresses.items():
            if address.use_lockfile:
                bucket = buckets.setdefault((address.access, address.bucket), {})
                bucket.setdefault(address.lockfile_key, []).append(name)
        at_tables, at_files = asyncio.Semaphore(_TABLES_AT_ONCE), asyncio.Semaphore(_FILES_AT_ONCE)

        async with asyncio.TaskGroup() as group:
            for (access, table_name), keys in tables.items():
                group.create_task(self._table(at_tables, access, table_name, keys, read))
            for (access, bucket_name), objects in buckets.items():
                group.create_task(self._bucket(at_files, access, bucket_name, objects, read))

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
                self._take_turns((name for key in batch for name in keys[key]), PlaceKind.ITEM)
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

    async def _bucket(
        self,
        turns: asyncio.Semaphore,
        access: Access,
        bucket: str,
        objects: Mapping[str, Sequence[str]],
        read: dict[tuple[str, PlaceKind], Read],
    ) -> None:
        """Which of the lock objects are not there, by a listing; the others one by one, in the order of `objects`."""
        gone = set[str]()
        async for key in self._not_listed(turns, access, bucket, sorted(objects)):
            gone.add(key)
            self._take_turns(objects[key], PlaceKind.FILE)
            read.update({(name, PlaceKind.FILE): None for name in objects[key]})
        async with asyncio.TaskGroup() as group:
            for key, names in objects.items():
                if key not in gone:
                    group.create_task(self._file(turns, access, bucket, key, names, read))

    async def _not_listed(
        self, turns: asyncio.Semaphore, access: Access, bucket: str, wanted: Sequence[str]
    ) -> AsyncIterator[str]:
        """Those of the keys, which are sorted, that a listing shows not to be there. It may end before the last one."""
        left, prefix, after = wanted, commonprefix(wanted), ""  # noqa: RUF071 - a prefix of text, as S3 has it
        settled = pages = 0
        while len(left) >= _WORTH_A_PAGE and settled >= (pages - 1) * _WORTH_A_PAGE:
            after = max(after, left[0][:-1])  # comes before it, and hardly anything is between them
            try:
                async with turns:
                    page = await self._page(access, bucket, prefix, after)
            except AwsError as error:
                log.info("sweep.not_listed", bucket=bucket, trouble=str(error.trouble))
                return
            covered = len(left) if page.end is None else bisect_right(left, page.end)
            for key in left[:covered]:
                if key not in page.keys:
                    yield key
            left, after = left[covered:], page.end or ""
            pages, settled = pages + 1, settled + covered

    async def _page(self, access: Access, bucket: str, prefix: str, after: str) -> _Page:
        target = f"s3://{bucket}/{prefix}"
        try:
            async with asyncio.timeout(self._call_timeout):
                return await self._clients.run(partial(self._list, access, bucket, prefix, after))
        except TimeoutError as error:
            raise timed_out(_LISTS, target) from error

    def _list(self, access: Access, bucket: str, prefix: str, after: str) -> _Page:
        """Blocking. Raises AwsError also for a list that is not in order: what it does not name may be there."""
        target = f"s3://{bucket}/{prefix}"
        with translated(_LISTS, target):
            client = self._clients.client("s3", access)
            answer = client.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after)
            keys = [str(found["Key"]) for found in answer.get("Contents") or ()]
            is_cut = answer["IsTruncated"]
        in_order = all(one < two for one, two in pairwise((after, *keys)))
        if not in_order or not isinstance(is_cut, bool) or (is_cut and not keys):
            detail = f"{_LISTS} of {target} brought a list that is not in order"
            raise aws_error(system_of(_LISTS), detail, trouble=Trouble.GARBLED)
        return _Page(frozenset(keys), keys[-1] if is_cut else None)

    async def _file(
        self,
        turns: asyncio.Semaphore,
        access: Access,
        bucket: str,
        key: str,
        names: Sequence[str],
        read: dict[tuple[str, PlaceKind], Read],
    ) -> None:
        place = FilePlace(partial(self._clients.client, "s3", access), bucket, key)
        async with turns:
            self._take_turns(names, PlaceKind.FILE)
            for attempt in range(_FILE_TRIES):
                if attempt:
                    await asyncio.sleep(self._rng.uniform(0, _LONGEST_FILE_WAIT))
                answer = await self._file_now(place)
                read.update({(name, PlaceKind.FILE): answer for name in names})
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
    return None if item is None else ItemPlace(_no_client, table, key).place_of(item)


def _no_client() -> Any:
    raise AssertionError("an item that was read needs no client")


def _all_seen(
    addresses: Mapping[str, S3Address], read: Mapping[tuple[str, PlaceKind], Read], at: datetime
) -> Mapping[str, LockSeen]:
    return {name: _seen(name, address, read, at) for name, address in addresses.items()}


def _seen(name: str, address: S3Address, read: Mapping[tuple[str, PlaceKind], Read], at: datetime) -> LockSeen:
    places = dict[PlaceKind, Read]()
    if address.use_lockfile:
        target = f"s3://{address.bucket}/{address.lockfile_key}"
        places[PlaceKind.FILE] = _read_or_late(read, (name, PlaceKind.FILE), FilePlace.reads, target)
    if address.dynamodb_table:
        target = f"table {address.dynamodb_table}"
        places[PlaceKind.ITEM] = _read_or_late(read, (name, PlaceKind.ITEM), _READS, target)
    return lock_seen(places, at) if places else nowhere(at)


def _read_or_late(
    read: Mapping[tuple[str, PlaceKind], Read], which: tuple[str, PlaceKind], action: str, target: str
) -> Read:
    return read[which] if which in read else timed_out(action, target)


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + MOST_KEYS] for start in range(0, len(keys), MOST_KEYS))

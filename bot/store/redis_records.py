"""Small facts in Redis: a hash per record, each field's value as JSON, and keys that only one process can have."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import RedisCluster

from bot.errors import NotReplicated
from bot.ports.records import TakenUp
from bot.store import scripts
from bot.store.connect import Client, answering
from bot.store.replicas import reach_a_replica, write_to_a_replica

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DELIVERIES = "tflock:{deliveries}"
"""In braces: one hash slot has them all, so that a script may look at several."""

_PAGE = 100
_THERE = "there"
"""A field that every record has, so that an empty one exists too. The record's own fields begin with a dot."""


class RedisRecords:
    """`bot.ports.records.Records`. What Redis does not do in time is JournalAway, never an error of redis-py."""

    def __init__(self, client: Client, *, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        self._put = client.register_script(scripts.PUT)
        self._update = client.register_script(scripts.UPDATE)
        self._swap = client.register_script(scripts.SWAP)
        self._claim = client.register_script(scripts.CLAIM)
        self._take = client.register_script(scripts.TAKE)
        self._renew = client.register_script(scripts.RENEW)
        self._delete_if = client.register_script(scripts.DELETE_IF)
        self._enlist = client.register_script(scripts.ENLIST)
        self._accept = client.register_script(scripts.ACCEPT)
        self._settle = client.register_script(scripts.SETTLE)
        self._take_up = client.register_script(scripts.TAKE_UP)

    async def put(self, kind: str, key: str, value: Mapping[str, Any], *, ttl: timedelta) -> None:
        """Replaces the complete record. Raises ValueError or TypeError for what JSON cannot hold."""
        fields = [_milliseconds(ttl), _THERE, "1", *_packed(value)]
        async with answering():
            await self._put([_key("record", kind, key)], fields)

    async def get(self, kind: str, key: str) -> dict[str, Any] | None:
        async with answering():
            fields = await self._client.hgetall(_key("record", kind, key))
        return _record(fields)

    async def get_all(self, kind: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = dict[str, dict[str, Any]]()
        for start in range(0, len(keys), _PAGE):
            some = keys[start : start + _PAGE]
            async with answering(), self._client.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.hgetall(_key("record", kind, key))
                answers = await pipe.execute()
            found |= {key: _unpacked(fields) for key, fields in zip(some, answers, strict=True) if fields}
        return found

    async def update(
        self,
        kind: str,
        key: str,
        changes: Mapping[str, Any],
        *,
        only_if: tuple[str, Sequence[object]] | None = None,
        and_is: Mapping[str, object] | None = None,
        durably: bool = False,
    ) -> dict[str, Any] | None:
        """As the port says. How long the record lives does not change."""
        record, (name, allowed), also = _key("record", kind, key), only_if or ("", ()), and_is or {}
        guard = [f".{name}", str(len(allowed) if only_if else -1), *map(_json, allowed), str(len(also))]
        said = [*guard, *_packed(also), *_packed(changes)]
        if durably:
            flat, found = await write_to_a_replica(
                self._client, record, ("EVAL", scripts.UPDATE, "1", record, *said), ("HGETALL", record)
            )
            return _kept(_record(found), changes) if flat else None
        async with answering():
            flat = await self._update([record], said)
        return _record(flat or ())

    async def swap(self, kind: str, key: str, value: Mapping[str, Any], *, was: str, ttl: timedelta) -> bool:
        versions = [_json(was) if was else "", _json(value["version"])]
        async with answering():
            fields = [*versions, _milliseconds(ttl), _THERE, "1", *_packed(value)]
            return bool(await self._swap([_key("record", kind, key)], fields))

    async def secure(self, kind: str, key: str) -> dict[str, Any] | None:
        name = _key("record", kind, key)
        return _record(await reach_a_replica(self._client, name, "HGETALL", name))

    async def forget(self, kind: str, key: str) -> None:
        async with answering():
            await self._client.delete(_key("record", kind, key))

    async def once(self, kind: str, key: str, *, ttl: timedelta) -> bool:
        claimant = f"{self._rng.getrandbits(64):016x}"
        async with answering():
            return bool(await self._claim([_key("once", kind, key)], [claimant, _milliseconds(ttl)]))

    async def take(self, kind: str, key: str, *, holder: str, ttl: timedelta) -> bool:
        async with answering():
            return bool(await self._take([_key("lease", kind, key)], [holder, _milliseconds(ttl)]))

    async def take_and_get(
        self, kind: str, key: str, *, holder: str, ttl: timedelta, record: tuple[str, str]
    ) -> tuple[bool, dict[str, Any] | None]:
        """In a cluster in two questions: only one node answers in the order in which it was asked."""
        if isinstance(self._client, RedisCluster):
            taken = await self.take(kind, key, holder=holder, ttl=ttl)
            return taken, await self.get(*record)
        async with answering(), self._client.pipeline(transaction=False) as pipe:
            pipe.eval(scripts.TAKE, 1, _key("lease", kind, key), holder, _milliseconds(ttl))
            pipe.hgetall(_key("record", *record))
            is_taken, fields = await pipe.execute()
        return bool(is_taken), _record(fields)

    async def renew(self, kind: str, key: str, *, holder: str, ttl: timedelta) -> bool:
        async with answering():
            return bool(await self._renew([_key("lease", kind, key)], [holder, _milliseconds(ttl)]))

    async def give_back(self, kind: str, key: str, *, holder: str) -> None:
        async with answering():
            await self._delete_if([_key("lease", kind, key)], [holder])

    async def enlist(self, kind: str, key: str, member: str, *, at: datetime, ttl: timedelta) -> None:
        async with answering():
            await self._enlist([_key("list", kind, key)], [_instant(at), member, _milliseconds(ttl)])

    async def enlisted(self, kind: str, key: str, *, since: datetime, until: datetime, limit: int) -> tuple[str, ...]:
        found = await self.enlisted_all(kind, [key], since=since, until=until, limit=limit)
        return found.get(key, ())

    async def enlisted_all(
        self, kind: str, keys: Sequence[str], *, since: datetime, until: datetime, limit: int
    ) -> dict[str, tuple[str, ...]]:
        of, to = _instant(since), _instant(until)
        found = dict[str, tuple[str, ...]]()
        for start in range(0, len(keys), _PAGE):
            some = keys[start : start + _PAGE]
            async with answering(), self._client.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.zrange(_key("list", kind, key), to, of, desc=True, byscore=True, offset=0, num=limit)
                answers = await pipe.execute()
            found |= {key: tuple(map(str, members)) for key, members in zip(some, answers, strict=True) if members}
        return found

    async def lists_with(self, kind: str, keys: Sequence[str], member: str, *, since: datetime) -> tuple[str, ...]:
        of, found = _instant(since), list[str]()
        for start in range(0, len(keys), _PAGE):
            some = keys[start : start + _PAGE]
            async with answering(), self._client.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.zscore(_key("list", kind, key), member)
                scores = await pipe.execute()
            found += [key for key, score in zip(some, scores, strict=True) if score is not None and score >= of]
        return tuple(found)

    async def accept(self, name: str, what: Mapping[str, Any], *, lease: timedelta, ttl: timedelta) -> bool:
        call = f"{self._rng.getrandbits(64):016x}"
        said = [name, call, _json(what), _milliseconds(lease), _milliseconds(ttl)]
        async with answering():
            return bool(await self._accept([_DELIVERIES, f"{_DELIVERIES}:{name}"], said))

    async def settle(self, name: str, *, remember: timedelta) -> None:
        async with answering():
            await self._settle([_DELIVERIES, f"{_DELIVERIES}:{name}"], [name, _milliseconds(remember)])

    async def take_up(self, *, kept: Collection[str], lease: timedelta, limit: int) -> tuple[TakenUp, ...]:
        async with answering():
            found = await self._take_up([_DELIVERIES], [f"{_DELIVERIES}:", _milliseconds(lease), limit, *kept])
        return tuple(
            TakenUp(name, json.loads(what), timedelta(milliseconds=int(age)), int(takes))
            for name, what, age, takes in found
        )


def _key(use: str, kind: str, key: str) -> str:
    return f"tflock:{use}:{kind}:{key}"


def _milliseconds(ttl: timedelta) -> str:
    return str(max(1, round(ttl.total_seconds() * 1000)))


def _instant(at: datetime) -> int:
    """Milliseconds since 1970, which a sorted set's doubles hold exactly."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _packed(value: Mapping[str, Any]) -> Sequence[str]:
    return [part for name, content in value.items() for part in (f".{name}", _json(content))]


def _json(content: object) -> str:
    """JSON in ASCII, so that a lone surrogate in someone's text survives too."""
    return json.dumps(content, ensure_ascii=True, allow_nan=False)


def _record(found: Mapping[Any, Any] | Sequence[Any]) -> dict[str, Any] | None:
    """A hash as a client gives it, or a node of a cluster and a script: in the raw form."""
    fields = found if isinstance(found, Mapping) else dict(zip(found[::2], found[1::2], strict=True))
    return _unpacked(fields) if fields else None


def _kept(record: dict[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The record that was made durable, if it has the changes. Raises NotReplicated."""
    if record is None or any(_json(record.get(name)) != _json(value) for name, value in changes.items()):
        raise NotReplicated("a fail-over of Redis has lost what was written")
    return record


def _unpacked(fields: Mapping[Any, Any]) -> dict[str, Any]:
    return {name[1:]: json.loads(content) for name, content in fields.items() if name != _THERE}

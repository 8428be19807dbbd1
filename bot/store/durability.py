"""What a Redis promises about the entries that it has taken: plain values for the doctor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from bot.store.connect import Client, answering

_DISK = {
    "aof_last_write_status": "the last write of the append-only file failed",
    "aof_last_bgrewrite_status": "the last rewrite of the append-only file failed",
    "rdb_last_bgsave_status": "the last snapshot failed",
}


@dataclass(frozen=True, slots=True)
class Durability:
    """What could be learned; None where Redis does not let us ask (hosted ones forbid CONFIG, some also INFO).

    `maxmemory` is in bytes, 0 for no limit. `replicas` are those connected now, `min_replicas` those without which it
    takes no writes. `faults` are what its disk did wrong recently. `version` has the server's own name.
    """

    version: str | None
    role: str | None
    appendonly: bool | None
    appendfsync: str | None
    maxmemory: int | None
    maxmemory_policy: str | None
    faults: tuple[str, ...]
    replicas: int | None = None
    min_replicas: int | None = None


async def measured(client: Client) -> Durability:
    """Asks one Redis (of a cluster: one node) how safe its entries are. Raises JournalAway if it does not answer."""
    async with answering():
        info = await _info(client)
        settings = await _settings(client)
    appendonly = info.get("aof_enabled")
    maxmemory = info.get("maxmemory")
    replicas = info.get("connected_slaves")
    min_replicas = settings.get("min-replicas-to-write")
    return Durability(
        version=version_of(info),
        role=_text(info.get("role")),
        appendonly=None if appendonly is None else bool(int(appendonly)),
        appendfsync=_text(settings.get("appendfsync")),
        maxmemory=None if maxmemory is None else int(maxmemory),
        maxmemory_policy=_text(info.get("maxmemory_policy", settings.get("maxmemory-policy"))),
        faults=tuple(words for name, words in _DISK.items() if info.get(name, "ok") != "ok"),
        replicas=None if replicas is None else int(replicas),
        min_replicas=None if min_replicas is None else int(min_replicas),
    )


async def _info(client: Client) -> Mapping[str, Any]:
    try:
        return await client.info()
    except ResponseError:
        return {}


async def _settings(client: Client) -> Mapping[Any, Any]:
    found: dict[Any, Any] = {}
    for name in ("appendfsync", "maxmemory-policy", "min-replicas-to-write"):
        try:
            found.update(await client.config_get(name))
        except ResponseError:
            return found
    return found


_NAMES = {"valkey": "Valkey", "dragonfly": "Dragonfly", "keydb": "KeyDB", "redict": "Redict", "kvrocks": "Kvrocks"}


def version_of(info: Mapping[str, Any]) -> str | None:
    """`Redis 7.0.15`; of a server that only resembles it, its own name and version too."""
    like = _text(info.get("redis_version"))
    for name, words in _NAMES.items():
        if f"{name}_version" in info:
            return f"{words} {info[f'{name}_version']}" + (f" (like Redis {like})" if like else "")
    other = _text(info.get("server_name"))
    named = other if other and other != "redis" else "Redis"
    return f"{named} {like}" if like else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)

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

    `maxmemory` is in bytes, 0 for no limit. `replicas` are those connected now. `faults` are what its disk did
    wrong recently.
    """

    version: str | None
    role: str | None
    appendonly: bool | None
    appendfsync: str | None
    maxmemory: int | None
    maxmemory_policy: str | None
    faults: tuple[str, ...]
    replicas: int | None = None


async def durability(client: Client) -> Durability:
    """Asks one Redis (of a cluster: one node) how safe its entries are. Raises JournalAway if it does not answer."""
    async with answering():
        info = await _info(client)
        settings = await _settings(client)
    appendonly = info.get("aof_enabled")
    maxmemory = info.get("maxmemory")
    replicas = info.get("connected_slaves")
    return Durability(
        version=_text(info.get("redis_version")),
        role=_text(info.get("role")),
        appendonly=None if appendonly is None else bool(int(appendonly)),
        appendfsync=_text(settings.get("appendfsync")),
        maxmemory=None if maxmemory is None else int(maxmemory),
        maxmemory_policy=_text(info.get("maxmemory_policy", settings.get("maxmemory-policy"))),
        faults=tuple(words for name, words in _DISK.items() if info.get(name, "ok") != "ok"),
        replicas=None if replicas is None else int(replicas),
    )


async def _info(client: Client) -> Mapping[str, Any]:
    try:
        return await client.info()
    except ResponseError:
        return {}


async def _settings(client: Client) -> Mapping[Any, Any]:
    found: dict[Any, Any] = {}
    for name in ("appendfsync", "maxmemory-policy"):
        try:
            found.update(await client.config_get(name))
        except ResponseError:
            return found
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)

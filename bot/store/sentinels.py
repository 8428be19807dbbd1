"""What the Sentinels say of the service that they watch: plain values for the doctor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError, ResponseError

from bot.store.connect import DEADLINE, Client


@dataclass(frozen=True, slots=True)
class Watch:
    """`named` are the Sentinels in REDIS_URL, `away` those of them that did not answer. `known` are all that watch the
    service, as those that answered count them, and `quorum` how many must agree that it is down. `trouble` is why a
    fail-over cannot be carried out now, in Sentinel's words.
    """

    named: int
    away: tuple[str, ...]
    known: int
    quorum: int
    trouble: str


async def watch(client: Client) -> Watch | None:
    """None where no Sentinel is asked. Never raises for what one of them does."""
    pool = None if not isinstance(client, Redis) else client.connection_pool
    if not isinstance(pool, SentinelConnectionPool):
        return None
    sentinels = pool.sentinel_manager.sentinels
    answers = await asyncio.gather(*(_asked(one, pool.service_name) for one in sentinels))
    kwargs = [one.connection_pool.connection_kwargs for one in sentinels]
    away = tuple(
        f"{place['host']}:{place['port']}" for place, answer in zip(kwargs, answers, strict=True) if answer is None
    )
    there = [answer for answer in answers if answer is not None]
    return Watch(
        named=len(sentinels),
        away=away,
        known=max((known for known, _, _ in there), default=0),
        quorum=max((quorum for _, quorum, _ in there), default=0),
        trouble=next((trouble for _, _, trouble in there if trouble), ""),
    )


async def _asked(sentinel: Any, service: str) -> tuple[int, int, str] | None:
    try:
        async with asyncio.timeout(DEADLINE):
            seen = await sentinel.sentinel_master(service)
            trouble = ""
            try:
                await sentinel.execute_command("SENTINEL", "CKQUORUM", service)
            except ResponseError as error:
                trouble = str(error)
            return int(seen["num-other-sentinels"]) + 1, int(seen["quorum"]), trouble
    except (RedisError, OSError, TimeoutError, KeyError, TypeError, ValueError):
        return None

"""The doctor's look at Redis: does it take the timeline, and will it keep what it took."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bot.app.adapters import SystemClock
from bot.app.wiring import VAR
from bot.config.settings import Config
from bot.doctor.check import Check, Level
from bot.errors import ConfigInvalid, JournalAway
from bot.store.connect import connect, masked
from bot.store.durability import Durability, durability
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal

_CONFIGURE = "in redis.conf, or with CONFIG SET and CONFIG REWRITE"


async def redis_checks(config: Config) -> list[Check]:
    """Writes one key that expires after a second. Without REDIS_URL the embedded one is started and stopped again:
    on its own files if there are any, else in a temporary directory, so that nothing is left behind.
    """
    if config.redis_url is not None:
        url = config.redis_url.get_secret_value()
        return await _asked(url, masked(url))
    if (VAR / "redis").is_dir():
        return await _embedded(VAR)
    with tempfile.TemporaryDirectory(prefix="tflock-doctor-") as trial:
        return [*_room(), *await _embedded(Path(trial))]


def _room() -> Iterator[Check]:
    """Whether the bot could make its directory here."""
    home = VAR if VAR.is_dir() else VAR.absolute().parent
    if not os.access(home, os.W_OK | os.X_OK):
        mend = "start the bot in a directory of its own, or set REDIS_URL"
        yield Check("redis", "embedded", Level.FAIL, f"{home} cannot be written, where it would keep its files", mend)


async def _embedded(directory: Path) -> list[Check]:
    try:
        async with redis_for(None, directory) as url:
            return await _asked(url, "the embedded Redis")
    except (ConfigInvalid, JournalAway) as error:
        return [Check("redis", "embedded", Level.FAIL, str(error), "set REDIS_URL, or install redis-server")]


async def _asked(url: str, name: str) -> list[Check]:
    client = connect(url)
    try:
        await RedisJournal(client, clock=SystemClock(), rng=random.SystemRandom()).ping()
        found = await durability(client)
    except JournalAway as error:
        mend = "start Redis, or correct REDIS_URL: without a timeline nothing is unlocked"
        return [Check("redis", "timeline", Level.FAIL, f"{name} cannot be used: {error}", mend)]
    finally:
        await client.aclose()
    version = f", version {found.version}" if found.version else ""
    return [Check("redis", "timeline", Level.OK, f"{name} answers and takes writes{version}"), *_kept(found)]


def _kept(found: Durability) -> list[Check]:
    return [_file(found), _memory(found), *(_fault(words) for words in found.faults)]


def _file(found: Durability) -> Check:
    subject = "durability"
    if found.appendonly is None:
        return Check("redis", subject, Level.WARN, "it does not tell whether it keeps an append-only file")
    if not found.appendonly:
        told = "no append-only file: a crash of Redis loses timeline entries and requests"
        return Check("redis", subject, Level.WARN, told, f"appendonly yes, {_CONFIGURE}")
    if found.appendfsync is None:
        return Check("redis", subject, Level.WARN, "append-only file; it does not tell how often that is synced")
    if found.appendfsync != "always":
        told = f"appendfsync {found.appendfsync}: a crash of its machine may lose the last entries"
        return Check("redis", subject, Level.WARN, told, f"appendfsync always, {_CONFIGURE}")
    return Check("redis", subject, Level.OK, "append-only file, synced on every write")


def _memory(found: Durability) -> Check:
    if found.maxmemory_policy is None:
        return Check("redis", "memory", Level.WARN, "it does not tell its maxmemory-policy")
    if found.maxmemory_policy != "noeviction":
        told = f"maxmemory-policy {found.maxmemory_policy}: timelines may be evicted when its memory is full"
        return Check("redis", "memory", Level.WARN, told, f"maxmemory-policy noeviction, {_CONFIGURE}")
    return Check("redis", "memory", Level.OK, "maxmemory-policy noeviction")


def _fault(words: str) -> Check:
    return Check("redis", "disk", Level.WARN, words, "look into Redis's log and at its disk")

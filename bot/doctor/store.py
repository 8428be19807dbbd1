"""Redis: does it take the timeline, and will it keep what it took."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bot.app.adapters import SystemClock
from bot.app.wiring import VAR, Wiring
from bot.config.settings import Config
from bot.doctor.check import Area, Result
from bot.errors import ConfigInvalid, JournalAway
from bot.store.connect import connect, masked
from bot.store.durability import Durability, durability
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal

_REDIS = Area("redis")
_ALLOW = "let the bot's user call CONFIG GET, or look there yourself"
_CONFIGURE = "in redis.conf, or with CONFIG SET and CONFIG REWRITE"


async def checks(config: Config, _: Wiring) -> list[Result]:
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


def _room() -> Iterator[Result]:
    """Whether the bot could make its directory here."""
    home = VAR if VAR.is_dir() else VAR.absolute().parent
    if not os.access(home, os.W_OK | os.X_OK):
        fix = "start the bot in a directory of its own, or set REDIS_URL"
        yield _REDIS.fail("embedded", f"{home} cannot be written, where it would keep its files", fix)


async def _embedded(directory: Path) -> list[Result]:
    try:
        async with redis_for(None, directory) as url:
            return await _asked(url, "the embedded Redis")
    except (ConfigInvalid, JournalAway) as error:
        return [_REDIS.fail("embedded", str(error), "set REDIS_URL, or install redis-server")]


async def _asked(url: str, name: str) -> list[Result]:
    client = connect(url)
    try:
        await RedisJournal(client, clock=SystemClock(), rng=random.SystemRandom()).ping()
        found = await durability(client)
    except JournalAway as error:
        fix = "start Redis, or correct REDIS_URL: without a timeline nothing is unlocked"
        return [_REDIS.fail("timeline", f"{name} cannot be used: {error}", fix)]
    finally:
        await client.aclose()
    version = f", version {found.version}" if found.version else ""
    faults = [_REDIS.warn("disk", words, "look into Redis's log and at its disk") for words in found.faults]
    return [
        _REDIS.ok("timeline", f"{name} answers and takes writes{version}"), _file(found), _memory(found),
        _replicas(found), *faults,
    ]  # fmt: skip


def _file(found: Durability) -> Result:
    subject = "durability"
    if found.appendonly is None:
        return _REDIS.unproven(subject, "it does not say whether it keeps an append-only file", _ALLOW)
    if not found.appendonly:
        detail = "no append-only file: a crash of Redis loses timeline entries and requests"
        return _REDIS.warn(subject, detail, f"appendonly yes, {_CONFIGURE}")
    if found.appendfsync is None:
        return _REDIS.unproven(subject, "append-only file; it does not say how often that is synced", _ALLOW)
    if found.appendfsync != "always":
        detail = f"appendfsync {found.appendfsync}: a crash of its machine may lose the last entries"
        return _REDIS.warn(subject, detail, f"appendfsync always, {_CONFIGURE}")
    return _REDIS.ok(subject, "append-only file, synced on every write")


def _memory(found: Durability) -> Result:
    if found.maxmemory_policy is None:
        return _REDIS.unproven("memory", "it does not say its maxmemory-policy", _ALLOW)
    if found.maxmemory_policy != "noeviction":
        detail = f"maxmemory-policy {found.maxmemory_policy}: timelines may be evicted when its memory is full"
        return _REDIS.warn("memory", detail, f"maxmemory-policy noeviction, {_CONFIGURE}")
    return _REDIS.ok("memory", "maxmemory-policy noeviction")


def _replicas(found: Durability) -> Result:
    """A Redis that forbids INFO is taken for one without replicas (`bot.store.replicas`)."""
    if found.replicas is None:
        detail = "it does not say whether it has replicas, so tflock waits for none: a fail-over may lose an answer"
        return _REDIS.unproven("replicas", detail, "let the bot's user call INFO")
    if not found.replicas:
        return _REDIS.ok("replicas", "none: what is written is as durable as this one Redis")
    many = "1 replica" if found.replicas == 1 else f"{found.replicas} replicas"
    return _REDIS.ok("replicas", f"{many}: what decides about a release counts once one of them has it")

"""Redis: does it take a timeline and run a job, and may tflock's user do so. `durability` has what it keeps."""

from __future__ import annotations

import random
import secrets
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bot.app.adapters import SystemClock
from bot.app.remembered import VAR
from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.doctor import durability
from bot.doctor.check import Area, Result
from bot.errors import ChainBroken, ConfigInvalid, JournalAway, JournalRefused, NotReplicated
from bot.store import trial
from bot.store.connect import Client, connect, masked
from bot.store.durability import Durability, measured
from bot.store.embedded import redis_for, trouble_at
from bot.store.jobs import DOCKET, open_docket, waiting
from bot.store.rights import missing_rights, refusal_of
from bot.store.sentinels import watch

_REDIS = Area("redis")
_JOB_WITHIN = 15.0
_START = "start Redis, or correct REDIS_URL: without a timeline nothing is unlocked"
_ROOM = "free or repair that disk, start the bot in a directory of its own elsewhere, or set REDIS_URL"


async def checks(config: Config, _: Wiring) -> list[Result]:
    """Writes a timeline and runs a job, both its own, and removes them.

    Without REDIS_URL the embedded Redis is started and stopped again: on its own files if there are any, else in a
    temporary directory, so that nothing is left behind.
    """
    if config.redis_url is not None:
        url = config.redis_url.get_secret_value()
        return await _asked(url, masked(url))
    if (VAR / "redis").is_dir():
        return [*_room(), *await _embedded(VAR)]
    with tempfile.TemporaryDirectory(prefix="tflock-doctor-") as directory:
        return [*_room(), *await _embedded(Path(directory))]


def _room() -> Iterator[Result]:
    """Whether the embedded Redis can keep its files here."""
    trouble = trouble_at(VAR)
    if trouble:
        yield _REDIS.fail("embedded", trouble, _ROOM)


async def _embedded(directory: Path) -> list[Result]:
    try:
        async with redis_for(None, directory) as url:
            return await _asked(url, "the embedded Redis")
    except (ConfigInvalid, JournalAway) as error:
        fix = _ROOM if trouble_at(VAR) else "set REDIS_URL, or install redis-server"
        return [_REDIS.fail("embedded", str(error), fix)]


async def _asked(url: str, name: str) -> list[Result]:
    client = connect(url)
    try:
        found = await measured(client)
        return [*await _works(client, url, name, found), *durability.results(found, await watch(client))]
    except JournalAway as error:
        fix = error.fix if isinstance(error, JournalRefused) else _START
        return [_REDIS.fail("timeline", f"{name} cannot be used: {error}", fix)]
    finally:
        await client.aclose()


async def _works(client: Client, url: str, name: str, found: Durability) -> list[Result]:
    token = secrets.token_hex(4)
    missing = await missing_rights(client, open_docket(url), token)
    if missing:  # what follows could only fail in other words
        refusal = refusal_of(missing)
        return [_REDIS.fail("rights", f"{refusal}: no unlock would work", refusal.fix)]
    rights = _REDIS.ok("rights", "tflock's user has every right that an unlock needs")
    timeline = await _timeline(client, token, f"{name}{f', {found.version}' if found.version else ''}")
    return [rights, timeline, await _job(url, token), *await _backlog(url)]


async def _timeline(client: Client, token: str, name: str) -> Result:
    try:
        await trial.write_and_read(client, token, clock=SystemClock(), rng=random.SystemRandom())
    except NotReplicated:
        detail = "no replica confirms what is written within a second, so nothing is released"
        return _REDIS.fail("timeline", f"{name}: {detail}", "look at the replicas: INFO replication")
    except ChainBroken as error:
        return _REDIS.fail("timeline", f"{name}: a timeline did not come back as it was written: {error}", _START)
    return _REDIS.ok("timeline", f"{name} takes and gives back a timeline")


async def _job(url: str, token: str) -> Result:
    fix = "look at Redis's log and at its slow log; then ask again"
    try:
        if await trial.run_a_job(open_docket(url, name=f"{DOCKET}:doctor-{token}"), within=_JOB_WITHIN):
            return _REDIS.ok("jobs", "a job goes through the queue and is run")
    except JournalRefused as error:
        return _REDIS.fail("jobs", f"a job could not be run: {error}", error.fix)
    except JournalAway as error:
        return _REDIS.fail("jobs", f"a job could not be run: {error}", fix)
    return _REDIS.fail("jobs", f"a job was not run within {_JOB_WITHIN:g} s: no unlock would be carried out", fix)


async def _backlog(url: str) -> list[Result]:
    """Jobs that are due and that nobody takes. Without any, the bot may simply not be started yet."""
    overdue, workers = await waiting(open_docket(url), datetime.now(UTC))
    if overdue and not workers:
        many = "1 job is" if overdue == 1 else f"{overdue} jobs are"
        fix = "start `tflock worker`, or `tflock serve` without --no-worker"
        return [_REDIS.fail("workers", f"{many} due and no worker runs: nothing is unlocked or watched", fix)]
    return [_REDIS.ok("workers", f"{workers} running" if workers else "none is running, and no job is due")]

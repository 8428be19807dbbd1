"""The doctor's try of everything that an unlock writes to Redis: a timeline, records, leases. Nothing of it stays."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from docket import Docket, Worker
from redis.exceptions import RedisClusterException, RedisError

from bot.core.record.facts import NoteAdded, draft_of
from bot.core.record.timeline import verify
from bot.errors import ChainBroken, JournalAway
from bot.ports.clock import Clock
from bot.store.chain import Recorder, head_key, log_key, once_key
from bot.store.connect import Client, answering
from bot.store.redis_journal import RedisJournal
from bot.store.redis_records import RedisRecords
from bot.store.refusals import away
from bot.store.replicas import beside

_KIND = "doctor"
_SOON = timedelta(seconds=30)
_ENTRIES = 3


async def write_and_read(client: Client, token: str, *, clock: Clock, rng: random.Random) -> None:
    """A timeline of a few entries that no index lists, read back and checked; a record and a lease.

    Raises JournalAway (NotReplicated if no replica confirms it), ChainBroken if other entries come back.
    """
    await _timeline(client, f"{_KIND}-{token}", clock, rng)
    await _record(RedisRecords(client, rng=rng), token)


async def _timeline(client: Client, name: str, clock: Clock, rng: random.Random) -> None:
    recorder = Recorder(client, clock=clock, rng=rng, retention=_SOON)
    journal = RedisJournal(client, clock=clock, rng=rng)
    keys = (log_key(name), head_key(name), once_key(name))
    try:
        for number in range(_ENTRIES):
            draft = draft_of(NoteAdded(), clock.now(), _KIND, f"entry {number}", once=f"{number}")
            async with answering():
                await recorder.record(name, draft, creates=True)
        if verify([entry async for entry in journal.entries(name)]) != _ENTRIES:
            raise ChainBroken("?", "what was written did not come back")
        if await journal.secure(name, str(_ENTRIES)) is None:
            raise ChainBroken(str(_ENTRIES), "what was written is not there any more")
    finally:
        async with answering():
            for key in (*keys, *beside(log_key(name))):
                await client.delete(key)


async def _record(records: RedisRecords, token: str) -> None:
    try:
        await records.put(_KIND, token, {"version": "1"}, ttl=_SOON)
        await records.update(_KIND, token, {"seen": True})
        await records.swap(_KIND, token, {"version": "2"}, was="1", ttl=_SOON)
        if await records.get(_KIND, token) != {"version": "2"}:
            raise JournalAway("a record that was written did not come back")
        await records.take(_KIND, token, holder=token, ttl=_SOON)
        await records.renew(_KIND, token, holder=token, ttl=_SOON)
        await records.give_back(_KIND, token, holder=token)
    finally:
        await records.forget(_KIND, token)


async def run_a_job(docket: Docket, *, within: float) -> bool:
    """Whether a job that is put into this queue is run. The queue is the caller's own, and empty again afterwards.

    Raises JournalAway for what Redis does not do.
    """
    done = asyncio.Event()

    async def look() -> None:
        done.set()

    docket.register(look)
    name = "doctor"
    try:
        async with asyncio.timeout(within), docket:
            try:
                async with Worker(docket, name=name, minimum_check_interval=timedelta(milliseconds=20)) as worker:
                    await docket.add("look", key=name)()
                    await worker.run_until_finished()
            finally:
                await _emptied(docket, name)
    except TimeoutError:
        return False
    except BaseExceptionGroup as errors:  # the worker's own loops end together
        raise away(errors.exceptions[0]) from errors
    except (RedisError, RedisClusterException, OSError) as error:
        raise away(error) from error
    return done.is_set()


async def _emptied(docket: Docket, name: str) -> None:
    queue = [docket.stream_key, docket.queue_key, docket.redelivery_sweep_key, docket.key("strikes")]
    worker = [docket.workers_set, docket.worker_tasks_set(name), *map(docket.task_workers_set, docket.tasks)]
    async with docket.redis() as redis:
        for key in (*queue, *worker, docket.runs_key(name), docket.key("perpetual:lock")):
            await redis.delete(key)

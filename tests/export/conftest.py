"""Timelines in a real Redis, to be exported."""

import random
import shutil
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.store.connect import connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal

RECORDED = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


class StoppedClock:
    def now(self) -> datetime:
        return RECORDED


@pytest.fixture
async def journal() -> AsyncIterator[RedisJournal]:
    directory = Path(tempfile.mkdtemp(prefix="tf-"))
    try:
        async with redis_for(None, directory) as url:
            client = connect(url)
            yield RedisJournal(client, clock=StoppedClock(), rng=random.Random(4))
            await client.aclose()
    finally:
        shutil.rmtree(directory)

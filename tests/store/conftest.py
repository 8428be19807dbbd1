"""Real servers for the tests of the store: a private Redis per test, in a directory whose name is short enough."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from bot.store.connect import Client, connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal
from tests.worlds.clocks import WallClock


@pytest.fixture
async def redis_url(directory: Path) -> AsyncIterator[str]:
    async with redis_for(None, directory) as url:
        yield url


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[[str], Client]]:
    async with AsyncExitStack() as closing:

        def make(url: str) -> Client:
            client = connect(url)
            closing.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def client(redis_url: str, make_client: Callable[[str], Client]) -> Client:
    return make_client(redis_url)


@pytest.fixture
def make_journal(make_client: Callable[[str], Client]) -> Callable[[str], RedisJournal]:
    def make(url: str) -> RedisJournal:
        return RedisJournal(make_client(url), clock=WallClock(), rng=random.Random(), retention=timedelta(days=400))

    return make

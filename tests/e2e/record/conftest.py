from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from bot.store.connect import connect
from bot.store.embedded import redis_for
from tests.worlds.key_families import without_bound
from tests.worlds.stage import FullStage


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def bounded(world: FullStage) -> AsyncIterator[None]:
    """Whatever a module's commands have left in Redis runs out or has a bound."""
    yield
    async with redis_for(world.environment.get("REDIS_URL"), world.var) as url:
        client = connect(url)
        growing = await without_bound(client)
        await client.aclose()
    assert not growing, "keys of Redis that neither run out nor have a bound"

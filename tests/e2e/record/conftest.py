from __future__ import annotations

import pytest_asyncio

from tests.worlds.stage import FullStage


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def bounded(world: FullStage) -> None:
    """Whatever a module's commands leave in Redis runs out or has a bound."""
    world.is_bounded = True

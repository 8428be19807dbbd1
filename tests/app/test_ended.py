import asyncio

import pytest

from bot.app import wiring
from bot.app.wiring import ended


@pytest.mark.parametrize("swallowed", [0, 1, 3])
async def test_a_task_is_ended_also_where_what_it_waits_for_swallows_a_cancellation(monkeypatch, swallowed):
    monkeypatch.setattr(wiring, "_HEEDED_WITHIN", 0.01)
    heard = 0

    async def deaf():
        nonlocal heard
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard += 1
                if heard > swallowed:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await ended(task)

    assert task.cancelled()
    assert heard == swallowed + 1


async def test_what_an_ended_task_raises_is_dropped():
    async def broken():
        raise ValueError("it broke")

    await ended(asyncio.create_task(broken()))

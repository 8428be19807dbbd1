"""A lease ends with the work that took it, whatever becomes of the calls that renew it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from bot.usecases.lease import TTL, Busy, lease

MINUTE = timedelta(minutes=1)


@pytest.fixture
def paper(make_paper):
    return make_paper()


def test_it_ends_though_the_call_that_renews_it_swallows_a_cancellation(paper):
    """As `asyncio.wait_for` does before Python 3.12, through which redis-py sends."""
    is_renewed = asyncio.Event()

    async def deaf(name):
        if name == "renew lease":
            is_renewed.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.5)

    async def work():
        async with lease(paper.records, "state/staging", holder="first", patience=MINUTE):
            await is_renewed.wait()
            began = paper.loop.time()
        async with lease(paper.records, "state/staging", holder="second", patience=MINUTE):
            return paper.loop.time() - began

    paper.switchboard.fault = deaf
    assert paper.run(asyncio.wait_for(work(), 3600)) < 1


def test_it_is_renewed_as_long_as_the_work_goes_on(paper):
    async def work():
        async with lease(paper.records, "state/staging", holder="first", patience=MINUTE) as still_ours:
            await asyncio.sleep(10 * TTL.total_seconds())
            await still_ours()
            with pytest.raises(Busy):
                async with lease(paper.records, "state/staging", holder="second", patience=MINUTE):
                    pass

    paper.run(work())

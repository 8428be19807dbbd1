"""The time that tests hold code to: no more than a clock's, and without what a busy machine takes away."""

import asyncio
import time

from tests.worlds.own_time import LONGEST_TURN, own_time


async def test_it_counts_while_code_waits_and_never_more_than_a_clock():
    began = time.monotonic()
    async with own_time() as spent:
        await asyncio.sleep(0.3)

    assert 0 < spent.seconds <= time.monotonic() - began


async def test_a_process_that_is_held_up_loses_hardly_any_of_it():
    async with own_time() as spent:
        await asyncio.sleep(0)
        time.sleep(5 * LONGEST_TURN)  # noqa: ASYNC251  the machine is busy elsewhere
        await asyncio.sleep(0)

    assert spent.seconds <= LONGEST_TURN

"""`wait` over hours, in a world whose time takes no time."""

import asyncio
from datetime import timedelta

import pytest

from bot.cli.wait import PATIENCE, _Wait
from bot.core.run import Conclusion, RunRef
from tests.worlds.memory.world import DEPLOY, STATE, MemoryWorld


@pytest.fixture
def world():
    world = MemoryWorld()
    yield world
    world.close()


async def both(world, longest):
    """Run 1 and, begun after it, run 2 wait for the same state: their exit codes, and how long run 1 waited."""
    state, began = world.ports.states[STATE], world.clock.now()
    first = asyncio.create_task(_Wait(world.ports, state, RunRef(DEPLOY, "1"), longest).until_free())
    second = asyncio.create_task(_Wait(world.ports, state, RunRef(DEPLOY, "2"), longest).until_free())
    code = await first
    waited = world.clock.now() - began
    world.ci.end("1", Conclusion.SUCCESS)
    return code, await second, waited


def test_two_runs_that_wait_for_each_other_both_come_through_the_older_one_first(world):
    world.ci.start("1", DEPLOY, host="a")
    world.pass_time(60)
    world.ci.start("2", DEPLOY, host="b")

    first, second, waited = world.run(both(world, timedelta(minutes=30)))

    assert (first, second) == (0, 0)
    assert PATIENCE <= waited < 2 * PATIENCE


def test_a_newer_run_is_waited_for_where_there_is_no_patience_left_to_lose(world):
    world.ci.start("1", DEPLOY, host="a")
    world.pass_time(60)
    world.ci.start("2", DEPLOY, host="b")
    wait = _Wait(world.ports, world.ports.states[STATE], RunRef(DEPLOY, "1"), timedelta(minutes=1))

    assert world.run(wait.until_free()) == 3


def test_a_run_without_a_name_of_its_own_waits_for_every_other(world):
    world.ci.start("1", DEPLOY, host="a")
    wait = _Wait(world.ports, world.ports.states[STATE], None, timedelta(hours=5))

    assert world.run(wait.until_free()) == 3

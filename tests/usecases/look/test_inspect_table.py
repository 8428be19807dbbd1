"""What a look at a state tells of its lock table, and of who else is on it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.backends.s3.table import LOOK_WITHIN
from bot.core.evidence import Found, Trouble
from bot.core.gate.inspection import StateName
from bot.core.run import Pipeline
from bot.sandbox.stage import REPO
from bot.usecases.decide.inspect import inspect
from bot.usecases.world import World
from tests.worlds.own_time import own_time
from tests.worlds.proxy import Delay, Deny, Throttle

OTHERS = Pipeline("github", (("repo", REPO), ("workflow", "dev.yml")))


def sharing(scene, *, table_of_dev) -> World:
    """The scene's world with a second state `dev` that has a pipeline of its own."""
    scene.github.runs.add_workflow(REPO, "dev.yml")
    staging = replace(scene.ports.states["staging"], lock_table="locks")
    dev = replace(staging, name=StateName("dev", "", protected=False), pipelines=(OTHERS,), lock_table=table_of_dev)
    return replace(scene.ports, states={"staging": staging, "dev": dev})


async def test_a_look_tells_the_capacity_and_the_refusals_of_the_lock_table(scene):
    await scene.dead_lock()
    await scene.aws.switch_billing(units=1)
    await scene.aws.count_refusals(at=scene.clock.now() - timedelta(minutes=1), writes=12)

    seen = await inspect(scene.ports, scene.ports.state("staging"))

    assert seen.is_throttled
    assert seen.table.capacity.value.write_units == 1
    assert seen.table.refused.value.writes == 12
    assert seen.crowd is None


async def test_a_lock_is_found_and_tied_without_any_right_to_look_at_the_table(scene):
    lock, run = await scene.dead_lock()
    for action in ("dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "cloudwatch:GetMetricData"):
        scene.proxy.fault(action, Deny())

    seen = await inspect(scene.ports, scene.ports.state("staging"))

    assert seen.lock.id == lock.id
    assert [candidate.run.ref.id for candidate in seen.attribution.candidates] == [str(run.id)]
    assert not seen.is_throttled
    assert {part.trouble for part in (seen.table.capacity, seen.table.ttl, seen.table.refused)} == {Trouble.DENIED}


@pytest.mark.parametrize("table_within", [LOOK_WITHIN])
async def test_a_slow_look_at_the_table_holds_the_answer_up_for_two_seconds_at_most(scene):
    lock, _ = await scene.dead_lock()
    await inspect(scene.ports, scene.ports.state("staging"))
    scene.forward(90)
    for action in ("dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "cloudwatch:GetMetricData"):
        scene.proxy.fault(action, Delay(20))

    async with own_time() as spent:
        seen = await inspect(scene.ports, scene.ports.state("staging"))

    assert spent.seconds < 5
    assert seen.lock.id == lock.id
    assert seen.table.capacity.trouble is Trouble.TIMED_OUT


async def test_with_a_throttled_table_the_runs_of_all_states_on_it_are_looked_at(scene):
    await scene.dead_lock()
    world = sharing(scene, table_of_dev="locks")
    for minutes in range(10):
        at = scene.clock.now() - timedelta(minutes=minutes)
        scene.github.runs.start_run(REPO, "dev.yml", at=at, actor="dependency-bot", event="schedule")
    scene.proxy.fault("dynamodb:GetItem", Throttle())

    seen = await inspect(world, world.state("staging"))

    assert seen.seen.is_throttled
    assert seen.crowd.states == ("staging", "dev")
    assert len(seen.crowd.active) == 10
    assert [(state, loop.pipeline) for state, loop in seen.crowd.loops] == [("dev", OTHERS)]
    assert seen.contention.loops == ()


async def test_a_state_on_another_table_is_not_in_the_crowd(scene):
    await scene.dead_lock()
    world = sharing(scene, table_of_dev="other locks")
    scene.github.runs.start_run(REPO, "dev.yml", at=scene.clock.now(), actor="quinn", event="push")
    scene.proxy.fault("dynamodb:GetItem", Throttle())

    seen = await inspect(world, world.state("staging"))

    assert seen.crowd.states == ("staging",)
    assert seen.crowd.active == ()


async def test_looks_at_once_at_a_throttled_table_all_say_so(scene):
    await scene.dead_lock()
    scene.proxy.fault("dynamodb:GetItem", Throttle())

    looks = await asyncio.gather(*(inspect(scene.ports, scene.ports.state("staging")) for _ in range(5)))

    assert all(look.seen.is_throttled for look in looks)
    assert all(isinstance(look.table.capacity, Found) for look in looks)

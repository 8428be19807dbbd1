"""Several processes on one Redis: web and workers apart, one dying and another taking over; done once, told once."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from bot.sandbox.machine.process import free_port
from tests.worlds.proxy import Delay

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN = "U0PARKER", "U0QUINN"


@pytest.fixture(scope="module")
def staged():
    return {"processes": ()}


async def test_another_worker_takes_over_from_one_that_was_killed(scene, bots):
    await bots.start("serve --no-worker")
    first = await bots.start("worker", name="first")
    lock, _ = await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    fault = bots.proxy.fault("dynamodb:DeleteItem", Delay(3600))
    await scene.click(checklist, "unlock.confirm")
    await scene.has_recorded("unlock.releasing")
    await bots.start("worker", name="second")
    assert await scene.stands(lock)
    await first.kill()
    fault.lift()

    await scene.is_settled_once(checklist)


async def test_a_click_while_no_worker_is_there_is_carried_out_when_one_comes(scene, bots):
    await bots.start("serve --no-worker")
    lock, _ = await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.has_recorded("unlock.requested")
    assert await scene.stands(lock)

    await bots.start("worker")

    await scene.is_settled_once(checklist)


async def test_a_worker_of_its_own_answers_probes_and_prometheus_where_it_is_told_to(scene, bots):
    port = free_port()
    bots.environment["WORKER_PORT"] = str(port)
    try:
        await bots.start("worker")
    finally:
        del bots.environment["WORKER_PORT"]
    lock, _ = await bots.dead_lock()
    await bots.start("serve --no-worker")
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")

    async def get(path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, await answer.text()

    assert (await get("/livez"))[0] == 200
    status, text = await get("/readyz")
    assert (status, json.loads(text)) == (200, {"redis": True, "slack": True, "jobs": True, "clock": True})
    assert 'tflock_unlocks_total{outcome="released",state="staging"} 1.0' in (await get("/metrics"))[1]
    assert (await get("/slack/events"))[0] == 404
    assert not await scene.stands(lock)


async def test_two_workers_and_two_webs_release_once_and_tell_once(scene, bots):
    await bots.start("serve --no-worker")
    await bots.start("worker", name="first")
    await bots.start("worker", name="second")
    await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    button = dict(scene.slack.find_button(checklist, "unlock.confirm"))

    await asyncio.gather(*(scene.click(checklist, button, user=user) for user in (PARKER, QUINN) * 4))

    await scene.is_settled_once(checklist)
    assert len([e for e in bots.proxy.calls("dynamodb:DeleteItem") if e.status == 200]) >= 1


async def test_a_worker_that_is_stopped_in_the_middle_leaves_it_to_the_next(scene, bots):
    await bots.start("serve --no-worker")
    first = await bots.start("worker", name="first")
    await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    bots.proxy.fault("dynamodb:DeleteItem", Delay(2), times=1)
    await scene.click(checklist, "unlock.confirm")
    await scene.has_recorded("unlock.releasing")
    await first.stop()

    await bots.start("worker", name="second")

    await scene.is_settled_once(checklist)


async def test_a_killed_worker_leaves_an_armed_unlock_armed(scene, bots):
    await bots.start("serve --no-worker")
    first = await bots.start("worker", name="first")
    lock, run = await bots.dead_lock()
    bots.runs.rerun(run.id)
    checklist = await scene.checklist("unlock staging --when-safe", "as soon as it is safe")
    await scene.becomes(checklist, "*dead:*", "is still running")
    await first.kill()
    bots.runs.finish(run.id, "failure")
    assert await scene.stands(lock)

    await bots.start("worker", name="second")

    await scene.is_settled_once(checklist)


async def test_a_kill_of_a_run_survives_the_death_of_the_worker(scene, bots):
    await bots.start("serve --no-worker")
    first = await bots.start("worker", name="first")
    run = bots.runs.start_run("acme/infra", "deploy.yml", stubborn=True)
    await scene.types("kill-job staging")
    report = await scene.shown("[end this run]")
    await scene.click(report, "kill.confirm")
    await scene.becomes(report, "ending")
    await first.kill()
    bots.runs.finish(run.id, "cancelled")

    await bots.start("worker", name="second")

    await scene.becomes(report, "was ended")
    assert (await scene.kinds()).count("kill.confirmed") == 1

"""kill-job: what it finds, what it asks once more, and when it says that something has really ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from bot.sandbox.slack.text import flat

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN = "U0PARKER", "U0QUINN"
REPO, DEPLOY, UPDATE = "acme/infra", "deploy.yml", "dependency-update.yml"


def minutes_ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def found(scene, target: str, *words: str, user: str = PARKER):
    before = len(scene.slack.messages(scene.channel))
    await scene.types(f"kill-job {target}", user=user)
    await scene.until(lambda: len(scene.slack.messages(scene.channel)) > before)
    return await scene.becomes(scene.slack.messages(scene.channel)[before], *words)


async def a_loop(scene, *, going_on: int = 1):
    """Seven starts of one workflow within a quarter of an hour; the newest go on."""
    runs = []
    for minutes in range(13, -1, -2):
        run = scene.stage.runs.start_run(
            REPO, UPDATE, at=minutes_ago(minutes + 0.1), actor="dependency-bot", event="schedule"
        )
        runs.append(run)
    for run in runs[: len(runs) - going_on]:
        scene.stage.runs.finish(run.id, "failure", at=run.created_at + timedelta(seconds=50))
    return runs


async def test_a_contender_is_found_by_its_state_confirmed_and_really_ended(scene):
    lock, _ = await scene.stage.dead_lock()
    run = scene.stage.runs.start_run(REPO, UPDATE, at=minutes_ago(1), actor="dependency-bot")

    report = await found(scene, "staging because it hammers", str(run.id), "does not hold it", "hammers")
    await scene.click(report, "kill.confirm")

    await scene.becomes(report, "ended", "does not release the lock")
    assert scene.stage.runs.run(run.id).conclusion == "cancelled"
    assert await scene.stands(lock)
    kinds = await scene.kinds()
    assert kinds.count("kill.requested") == 1
    assert kinds.count("kill.confirmed") == 1
    assert len(scene.posts()) == 1


async def test_the_holder_of_the_lock_is_found_with_a_warning(scene):
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)
    lock = await scene.stage.take_lock(created=minutes_ago(60))
    scene.stage.runs.start_run(REPO, DEPLOY, at=minutes_ago(61))

    told = flat(await found(scene, "staging", "careful"))

    assert "may hold the lock" in told
    assert "the lock may stay" in told
    assert await scene.stands(lock)


async def test_the_holder_of_the_lock_is_ended_only_when_a_second_member_approves(scene):
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)
    lock = await scene.stage.take_lock(created=minutes_ago(60))
    run = scene.stage.runs.start_run(REPO, DEPLOY, at=minutes_ago(61))
    report = await found(scene, "staging", "careful", "it takes two")

    await scene.click(report, "kill.confirm")
    await scene.becomes(report, "needs a second person", "[approve and end it]")
    await scene.click(report, "kill.approve")
    await scene.told("a second person has to approve")
    assert not scene.stage.runs.run(run.id).has_ended
    await scene.click(report, "kill.approve", user=QUINN)

    await scene.becomes(report, "was ended.", "does not release the lock")
    assert scene.stage.runs.run(run.id).has_ended
    assert await scene.stands(lock)
    assert [kind for kind in await scene.kinds() if kind.startswith("kill.")] == [
        "kill.requested", "kill.approved", "kill.confirmed",
    ]  # fmt: skip


async def test_a_run_is_found_by_its_address_and_by_its_id(scene):
    run = scene.stage.runs.start_run(REPO, DEPLOY)
    url = f"{scene.stage.github.base_url}/{REPO}/actions/runs/{run.id}"

    by_url = await found(scene, f"<{url}>", str(run.id), "[end this run]")
    by_id = await found(scene, str(run.id), str(run.id), "[end this run]")

    assert not scene.stage.runs.run(run.id).has_ended
    await scene.click(by_id, "kill.confirm")
    await scene.becomes(by_id, "was ended.")
    await scene.until(lambda: scene.stage.runs.run(run.id).has_ended)
    await scene.click(by_url, "kill.confirm")
    await scene.told("has ended, or is gone", "nothing was changed")


async def test_the_address_of_a_foreign_host_is_refused_and_nobody_is_asked(scene, aiohttp_free_host):
    address, asked = aiohttp_free_host
    run = scene.stage.runs.start_run(REPO, DEPLOY)
    before = list(scene.stage.github.asked)

    await scene.types(f"kill-job <{address}/{REPO}/actions/runs/{run.id}>")

    told = flat(await scene.told("nothing was changed"))
    assert "127.0.0.1" in told or "address" in told or "state" in told
    assert asked == []
    assert scene.stage.github.asked == before
    assert not scene.stage.runs.run(run.id).has_ended


@pytest.fixture
async def aiohttp_free_host():
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


async def test_a_loop_is_found_its_source_is_switched_off_its_runs_end_and_it_can_be_started_again(scene):
    lock, _ = await scene.stage.dead_lock()
    runs = await a_loop(scene, going_on=2)
    workflow = scene.stage.runs.workflow(REPO, UPDATE)

    report = await found(scene, "staging", "loop", "dependency-bot", "7 starts")
    assert workflow.state == "active"
    await scene.click(report, "kill.confirm")

    await scene.becomes(report, "ended", "is disabled")
    assert workflow.state == "disabled_manually"
    assert all(scene.stage.runs.run(run.id).has_ended for run in runs)
    assert await scene.stands(lock)
    await scene.click(report, "kill.restart", user=QUINN)
    await scene.becomes(report, "is enabled again")
    assert workflow.state == "active"


async def test_only_the_runs_of_a_loop_can_be_ended_and_then_the_loop_is_said_to_go_on(scene):
    await scene.stage.dead_lock()
    runs = await a_loop(scene)

    report = await found(scene, "staging", "loop")
    await scene.click(report, "kill.only")

    await scene.becomes(report, "ended")
    await scene.until(lambda: scene.stage.runs.run(runs[-1].id).has_ended)
    assert scene.stage.runs.workflow(REPO, UPDATE).state == "active"


async def test_of_several_things_one_is_chosen_from_a_list(scene):
    await scene.stage.dead_lock()
    first = scene.stage.runs.start_run(REPO, UPDATE, at=minutes_ago(2))
    second = scene.stage.runs.start_run(REPO, DEPLOY, at=minutes_ago(1))

    report = await found(scene, "staging", "2 things can be ended", str(first.id), str(second.id))
    select = scene.slack.find_button(report, "kill.choose")
    value = next(o["value"] for o in select["options"] if str(second.id) in o["value"])
    await scene.slack.choose(PARKER, report, "kill.choose", value)
    await scene.becomes(report, "[end this run]", str(second.id))
    await scene.click(report, "kill.confirm")

    await scene.becomes(report, "ended")
    await scene.until(lambda: scene.stage.runs.run(second.id).has_ended)
    assert not scene.stage.runs.run(first.id).has_ended


async def test_a_cancel_that_the_token_does_not_allow_is_said_and_nothing_has_ended(scene):
    run = scene.stage.runs.start_run(REPO, DEPLOY)
    scene.stage.github.answer_next(
        r"POST .*/cancel", status=403, body='{"message": "Resource not accessible"}', times=100
    )

    report = await found(scene, "staging", "[end this run]")
    await scene.click(report, "kill.confirm")

    told = flat(await scene.becomes(report, "not ended"))
    assert "denied" in told
    assert not scene.stage.runs.run(run.id).has_ended


async def test_a_run_that_does_not_heed_the_cancel_is_not_said_to_have_ended(scene):
    run = scene.stage.runs.start_run(REPO, DEPLOY, stubborn=True)

    report = await found(scene, "staging", "[end this run]")
    await scene.click(report, "kill.confirm")

    await scene.becomes(report, "ending", "not yet the end")
    asked = len([line for line in scene.stage.github.asked if line.endswith(f"/runs/{run.id}")])
    await scene.until(
        lambda: len([line for line in scene.stage.github.asked if line.endswith(f"/runs/{run.id}")]) >= asked + 2, 30
    )
    assert "was ended." not in flat(report)
    scene.stage.runs.finish(run.id, "cancelled")
    await scene.becomes(report, "was ended.")


async def test_nothing_to_end_says_so(scene):
    await scene.stage.dead_lock()

    told = flat(await found(scene, "staging", "nothing to end"))

    assert "See where the lock is" in told


async def test_nothing_found_while_the_ci_does_not_answer_does_not_say_that_there_is_nothing(scene):
    scene.stage.github.answer_next("/runs", status=500, body="oops", times=100)

    told = flat(await found(scene, "staging", "not seen"))

    assert "hidden" in told


async def test_a_word_that_is_neither_a_state_nor_a_run_gets_the_nearest_state(scene):
    await scene.types("kill-job stagin")

    told = flat(await scene.told("did you mean"))
    assert "/tflock kill-job staging" in told


async def test_a_run_id_that_nobody_knows_is_said(scene):
    await scene.types("kill-job 424242")

    assert "424242" in flat(await scene.told("no run 424242"))


async def test_two_clicks_on_a_kill_end_it_once(scene):
    run = scene.stage.runs.start_run(REPO, DEPLOY)
    report = await found(scene, "staging", "[end this run]")
    button = dict(scene.slack.find_button(report, "kill.confirm"))

    await asyncio.gather(scene.click(report, button), scene.click(report, button, user=QUINN))

    await scene.becomes(report, "was ended.")
    await scene.settles()
    assert scene.stage.runs.run(run.id).has_ended
    assert (await scene.kinds()).count("kill.confirmed") == 1


@pytest.mark.parametrize("user", ["U0GUEST", "U0OUTSIDE", "U0GONE"])
async def test_whoever_may_not_kill_can_neither_ask_nor_click(scene, user):
    run = scene.stage.runs.start_run(REPO, DEPLOY)
    report = await found(scene, "staging", "[end this run]")

    await scene.click(report, "kill.confirm", user=user)
    told = await scene.told("nothing was changed", user=user)
    await scene.types("kill-job staging", user=user)
    await scene.told("nothing was changed", user=user, after=told)

    assert not scene.stage.runs.run(run.id).has_ended
    assert len(scene.posts()) == 1

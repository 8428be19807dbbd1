"""What becomes of a confirmed unlock: every outcome on real servers, with the truth read past the bot's back."""

from __future__ import annotations

import asyncio

import pytest
from docket import Worker

from bot.core.people import OwnerSays
from bot.core.record.timeline import verify
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.stage import DEPLOY, REPO
from bot.store.jobs import DocketJobs, open_docket
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import owner_answers as answers
from bot.usecases.unlock import release, unlock
from bot.worker import register
from tests.worlds.proxy import Cut, Delay, Deny, Throttle

KEY = "environments/staging/terraform.tfstate"


async def confirmed(scene, **how):
    lock, run = await scene.dead_lock(**how)
    report = await scene.ask()
    await scene.confirm(report)
    return lock, run, report.request


async def outcome(scene, lock):
    """The outcomes on the timeline, and the places in which the lock still stands."""
    outcomes = [entry.facts["outcome"] for entry in await scene.entries("unlock.released", "unlock.failed")]
    places = await scene.aws.lock_ids(KEY)
    return outcomes, sorted(place for place, there in places.items() if there == lock.id)


async def test_both_halves_are_released_and_everything_is_on_the_timeline(scene):
    lock, _, request = await confirmed(scene)

    await scene.work()

    assert await outcome(scene, lock) == (["released"], [])
    entries = await scene.entries()
    assert verify(entries) == len(entries)
    kinds = [entry.kind for entry in entries]
    assert kinds.index("unlock.requested") < kinds.index("unlock.releasing") < kinds.index("unlock.released")
    assert (await UNLOCKS.get(scene.ports, request.id)).phase == "done"


@pytest.mark.parametrize("by", ["U0QUINN", "U0PARKER"])
async def test_the_outcome_names_who_asked_and_also_who_else_clicked(scene, by):
    await scene.dead_lock()
    await scene.confirm(await scene.ask(), user=by)

    await scene.work()

    outcome = scene.said()[0]
    assert "staging is unlocked" in outcome
    assert "<@U0QUINN> asked" in outcome
    assert ("<@U0PARKER> clicked" in outcome) is (by == "U0PARKER")


async def test_a_lock_that_is_gone_by_then_is_said_to_be_free(scene):
    lock, _, _ = await confirmed(scene)
    await scene.aws.delete_item(f"{scene.aws.bucket}/{KEY}")
    await scene.aws.delete_object(f"{KEY}.tflock")

    await scene.work()

    assert await outcome(scene, lock) == (["already free"], [])
    assert not [text for text in scene.wrote() if "was released" in text]


async def test_a_lock_that_changed_hands_before_the_click_is_left_alone(scene):
    lock, _, _ = await confirmed(scene)
    await scene.aws.delete_item(f"{scene.aws.bucket}/{KEY}")
    await scene.aws.delete_object(f"{KEY}.tflock")
    newer = await scene.lock(ago=0)

    await scene.work()

    assert await outcome(scene, lock) == (["holder changed"], [])
    assert await outcome(scene, newer) == (["holder changed"], ["file", "item"])
    assert newer.id in scene.said()[0]


async def test_a_lock_of_which_one_half_is_gone_is_released_in_the_other(scene):
    lock, _, _ = await confirmed(scene)
    await scene.aws.delete_object(f"{KEY}.tflock")

    await scene.work()

    assert await outcome(scene, lock) == (["released"], [])


async def test_only_the_half_of_the_dead_lock_is_released_where_another_lock_stands_beside_it(scene):
    lock, _, _ = await confirmed(scene)
    other = WrittenLock("another-lock", scene.clock.now(), f"{scene.aws.bucket}/{KEY}", who="runner@fv-az1-2")
    await scene.aws.put_lockfile(KEY, other.text)

    await scene.work()

    assert await outcome(scene, lock) == (["released"], [])
    assert (await scene.aws.lock_ids(KEY))["file"] == "another-lock"


async def test_a_lock_that_cannot_be_told_from_garbage_is_not_called_free(scene):
    lock, _, _ = await confirmed(scene)
    await scene.aws.delete_item(f"{scene.aws.bucket}/{KEY}")
    await scene.aws.put_lockfile(KEY, "not lock info")

    await scene.work()

    (entry,) = await scene.entries("unlock.released", "unlock.failed")
    assert entry.facts["outcome"] == "refused"
    assert await scene.aws.object(f"{KEY}.tflock") == b"not lock info"
    assert await scene.aws.item(f"{scene.aws.bucket}/{KEY}") is None
    assert lock.id not in scene.said()[0] or "was not unlocked" in scene.said()[0]


async def test_throttling_for_a_while_delays_the_release(scene):
    lock, _, _ = await confirmed(scene)
    for call in ("dynamodb:DeleteItem", "s3:DeleteObject"):
        scene.proxy.fault(call, Throttle(), times=2)

    await scene.work()

    assert await outcome(scene, lock) == (["released"], [])


async def test_a_lost_answer_is_settled_by_reading(scene):
    lock, _, _ = await confirmed(scene)
    scene.proxy.fault("dynamodb:DeleteItem", Cut(after=True), times=1)

    await scene.work()

    assert await outcome(scene, lock) == (["released"], [])


async def test_throttling_beyond_the_deadline_leaves_the_lock_and_the_button(scene):
    lock, _, _ = await confirmed(scene)
    faults = [scene.proxy.fault(call, Throttle()) for call in ("dynamodb:DeleteItem", "s3:DeleteObject")]
    await scene.work()
    first = await outcome(scene, lock)
    for fault in faults:
        fault.lift()

    again = await scene.ask()
    await scene.confirm(again)
    await scene.work()

    assert first == (["still throttled"], ["file", "item"])
    assert await outcome(scene, lock) == (["still throttled", "released"], [])


async def test_one_half_throttled_beyond_the_deadline_is_partly_released(scene):
    lock, _, _ = await confirmed(scene)
    scene.proxy.fault("dynamodb:DeleteItem", Throttle())

    await scene.work()

    assert await outcome(scene, lock) == (["half released"], ["item"])
    assert "half" in scene.said()[0]


async def test_a_lock_of_one_half_is_never_called_partly_released(scene):
    lock, _, _ = await confirmed(scene, file=False)
    scene.proxy.fault("dynamodb:DeleteItem", Throttle())

    await scene.work()

    assert await outcome(scene, lock) == (["still throttled"], ["item"])


async def test_a_release_that_is_denied_fails_and_leaves_the_lock(scene):
    lock, _, _ = await confirmed(scene, file=False)
    scene.proxy.fault("dynamodb:DeleteItem", Deny())

    await scene.work()

    assert await outcome(scene, lock) == (["failed"], ["item"])


async def test_a_denied_half_beside_a_released_one_is_partly_released(scene):
    lock, _, _ = await confirmed(scene)
    scene.proxy.fault("dynamodb:DeleteItem", Deny())

    await scene.work()

    assert await outcome(scene, lock) == (["half released"], ["item"])


async def test_a_run_that_was_started_again_under_its_id_is_refused(scene):
    lock, run, _ = await confirmed(scene)
    scene.github.runs.rerun(run.id)

    await scene.work()

    assert await outcome(scene, lock) == (["refused"], ["file", "item"])


async def test_a_ci_that_cannot_be_reached_by_then_is_refused(scene):
    lock, _, _ = await confirmed(scene)
    scene.github.answer_next("/repos/", status=502, times=1000)

    await scene.work()

    assert await outcome(scene, lock) == (["refused"], ["file", "item"])


async def test_an_owner_who_says_that_it_runs_is_heard_at_once(scene):
    lock, _, _ = await confirmed(scene)
    state = scene.ports.state("staging").name
    now = scene.clock.now()
    await answers.take_answer(
        scene.ports, state=state, lock_id=lock.id, user="U0ELLIOTT", says=OwnerSays.RUNNING, at=now
    )  # fmt: skip

    await scene.work()

    assert await outcome(scene, lock) == (["refused"], ["file", "item"])


async def test_a_refused_request_can_be_confirmed_again_and_its_release_is_recorded(scene):
    lock, run, request = await confirmed(scene)
    scene.github.runs.rerun(run.id)
    await scene.work()
    scene.github.runs.finish(run.id, "failure")
    scene.forward(700)

    await unlock.confirm(scene.ports, request.id, lock_id=lock.id, user="U0PARKER")
    await scene.work()

    assert await outcome(scene, lock) == (["refused", "released"], [])


async def test_an_outcome_that_slack_did_not_take_is_told_by_the_next_try_and_recorded_once(scene):
    lock, _, request = await confirmed(scene)
    scene.slack.refuse("chat.update", "internal_error", times=None)
    await scene.work()
    untold = [text for text in scene.said() if "is unlocked" in text]
    scene.slack.heal()

    await release.release(scene.ports, request.id, worker="w2")

    assert scene.failures
    assert untold == []
    assert "is unlocked" in scene.said()[0]
    await scene.write_letters()
    assert await outcome(scene, lock) == (["released"], [])
    assert len([text for text in scene.wrote() if "was released" in text]) == 1


async def test_a_refusal_that_slack_did_not_take_stays_a_refusal(scene):
    lock, run, request = await confirmed(scene)
    scene.github.runs.rerun(run.id)
    scene.slack.refuse("chat.update", "internal_error", times=None)
    await scene.work()
    scene.slack.heal()
    scene.github.runs.finish(run.id, "failure")
    scene.forward(700)

    await release.release(scene.ports, request.id, worker="w2")

    assert await outcome(scene, lock) == (["refused"], ["file", "item"])
    assert "was not unlocked" in scene.said()[0]


@pytest.mark.parametrize("call", ["s3:DeleteObject", "dynamodb:DeleteItem"])
async def test_a_worker_that_is_stopped_in_the_middle_is_followed_by_one_that_finishes(scene, call):
    lock, _, request = await confirmed(scene)
    scene.proxy.fault(call, Delay(30), times=1)
    first = asyncio.create_task(release.release(scene.ports, request.id, worker="w1"))
    await scene.slack.wait_for(scene.has_intent)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    await release.release(scene.ports, request.id, worker="w2")

    await scene.write_letters()
    assert await outcome(scene, lock) == (["released"], [])
    assert len([text for text in scene.wrote() if "was released" in text]) == 1
    assert len(await scene.entries("unlock.releasing")) == 1


async def test_two_workers_at_once_release_once_and_tell_once(scene):
    lock, _, request = await confirmed(scene)

    await asyncio.gather(*(release.release(scene.ports, request.id, worker=name) for name in ("w1", "w2", "w1")))

    assert await outcome(scene, lock) == (["released"], [])
    await scene.write_letters()
    assert len(await scene.entries("unlock.released")) == 1
    assert len([text for text in scene.wrote() if "was released" in text]) == 1
    assert len(scene.proxy.calls("dynamodb:DeleteItem")) == 1


async def test_the_letter_about_a_release_goes_to_the_owner_of_that_lock_and_not_to_the_next_one(scene):
    _, _, request = await confirmed(scene)
    scene.slack.refuse("chat.update", "internal_error", times=None)
    await scene.work()
    scene.slack.heal()
    newer = await scene.lock(ago=0, who="parker@laptop")
    scene.github.runs.start_run(REPO, DEPLOY, at=newer.created, actor="parker")

    await release.release(scene.ports, request.id, worker="w2")
    await scene.write_letters()

    assert len([text for text in scene.wrote("U0ELLIOTT") if "was released" in text]) == 1
    assert await scene.stands(newer)


async def test_the_durable_queue_carries_a_confirmed_request_out(scene, directory):
    lock, _ = await scene.dead_lock()
    url = f"unix://{next(directory.rglob('*.sock'))}"
    async with open_docket(url) as docket:
        jobs = DocketJobs(docket)
        jobs.connected = True
        register(docket, scene.ports, worker_name="w1")
        report = await scene.ask()
        await scene.confirm(report)
        job = scene.jobs.due()
        await jobs.start(job.name, *job.args, key=job.key)
        await jobs.start(job.name, *job.args, key=job.key)

        async with Worker(docket, name="w1") as worker:
            working = asyncio.create_task(worker.run_forever())  # the periodic jobs never finish
            async with asyncio.timeout(90):
                while await outcome(scene, lock) != (["released"], []):  # noqa: ASYNC110 - Redis has no event for it
                    await asyncio.sleep(0.05)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    assert await outcome(scene, lock) == (["released"], [])

"""What an unlock needs by how well a run is tied to the lock, on real servers: each with its twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.attribution import Tie
from bot.core.gate.case import Rule, Ruling
from bot.core.phrase import plain
from bot.core.policy import ByTime
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.stage import DEPLOY, REPO
from bot.slack.render.verdict import advice
from tests.usecases.conftest import KEY
from tests.worlds.logs import at_work, printed


async def asked(scene):
    report = await scene.ask()
    return report, report.inspection.attribution.tie, report.verdict.ruling


@pytest.mark.parametrize(
    ("is_expired", "tie", "ruling"), [(False, Tie.SHOWN, Ruling.ALLOW), (True, Tie.BY_TIME, Ruling.NEEDS_APPROVAL)]
)
async def test_one_member_is_enough_where_the_jobs_log_shows_that_it_held_the_lock(scene, is_expired, tie, ruling):
    lock, run = await scene.dead_lock()
    run.jobs[-1].is_log_expired = is_expired

    report, *found = await asked(scene)
    await scene.confirm(report)
    await scene.work()

    assert found == [tie, ruling]
    assert await scene.stands(lock) is is_expired


async def test_a_run_that_only_time_ties_is_released_by_two_members_unless_the_policy_refuses(scene):
    lock, run = await scene.dead_lock()
    run.jobs[-1].is_log_expired = True
    usual = scene.ports.policy
    scene.ports = replace(scene.ports, policy=replace(usual, by_time=ByTime.REFUSE))
    report, _, ruling = await asked(scene)

    assert ruling is Ruling.REFUSE
    assert "the policy (policy.by_time: refuse) requires proof" in plain(report.verdict[Rule.TIED].reason)
    assert "then a second person can approve" in plain(advice(report.verdict, "staging", report.inspection))
    assert await scene.stands(lock)

    scene.ports = replace(scene.ports, policy=usual)
    report, _, ruling = await asked(scene)
    await scene.confirm(report)
    await scene.work()
    assert ruling is Ruling.NEEDS_APPROVAL
    assert await scene.stands(lock)
    await scene.approve(report)
    await scene.work()
    assert not await scene.stands(lock)


@pytest.mark.parametrize("is_its_own", [False, True])
async def test_a_run_whose_log_shows_that_it_was_refused_this_lock_is_not_blamed(scene, is_its_own):
    """The likeliest run by its time is the one that failed because it could not get the lock."""
    lock, run = await scene.dead_lock("failure")
    refusal = [(5, "Error: Error acquiring the state lock"), (5, "Lock Info:"), (5, f"  ID:        {lock.id}")]
    lines = [(3, "terraform_data.deployment: Creating...")] if is_its_own else refusal
    printed(run, [(lock.created + timedelta(seconds=after), line) for after, line in lines], path=lock.path)

    report, tie, ruling = await asked(scene)

    assert (tie, ruling) == ((Tie.SHOWN, Ruling.ALLOW) if is_its_own else (None, Ruling.REFUSE))
    ruled_out = [plain(why) for why in report.inspection.attribution.ruled_out]
    assert ["was refused this very lock" in why for why in ruled_out] == ([] if is_its_own else [True])
    assert await scene.stands(lock)


@pytest.mark.parametrize(("is_lost", "ruling"), [(False, Ruling.ALLOW), (True, Ruling.NEEDS_APPROVAL)])
async def test_no_time_makes_an_end_final_that_only_the_server_declared(scene, is_lost, ruling):
    lock, run = await scene.running_lock()
    scene.github.runs.finish(run.id, "failure", at=lock.created + timedelta(minutes=10), lost=is_lost)
    scene.forward(7 * 24 * 3600.0)

    assert (await asked(scene))[2] is ruling
    assert await scene.stands(lock)


@pytest.mark.parametrize(
    ("how", "is_readable", "rulings"),
    [
        ("failure", True, [Ruling.NEEDS_APPROVAL, Ruling.NEEDS_APPROVAL, Ruling.NEEDS_APPROVAL]),
        ("cancelled", True, [Ruling.REFUSE, Ruling.NEEDS_APPROVAL, Ruling.NEEDS_APPROVAL]),
        ("cancelled", False, [Ruling.REFUSE, Ruling.REFUSE, Ruling.NEEDS_APPROVAL]),
    ],
)
async def test_a_process_that_outlived_its_run_may_hold_the_lock_until_it_is_surely_gone(
    scene, how, is_readable, rulings
):
    """The run had ended before the lock was taken. Another one, which failed since, is all that was active then."""
    lock = await scene.lock(ago=200)
    gone, failed = (
        scene.github.runs.start_run(REPO, DEPLOY, at=lock.created - timedelta(minutes=minutes), actor="elliott-ci")
        for minutes in (30, 1)
    )
    scene.github.runs.finish(gone.id, how, at=lock.created - timedelta(seconds=150))
    scene.github.runs.finish(failed.id, "failure", at=lock.created + timedelta(seconds=30))
    gone.jobs[-1].is_log_expired = failed.jobs[-1].is_log_expired = True
    if not is_readable:
        scene.github.answer_next(f"GET .*/runs/{gone.id}/.*jobs.*", status=404, times=1000)

    for seconds, ruling in zip((0, 150, 450), rulings, strict=True):
        scene.forward(seconds)
        report = await scene.ask()

        assert report.verdict.ruling is ruling
        assert [one.run.ref.id for one in report.inspection.attribution.candidates] == [str(failed.id)]
    assert await scene.stands(lock)
    await scene.approve(report)
    await scene.work()
    assert not await scene.stands(lock)


async def test_the_real_holder_is_found_by_the_stores_clock_where_its_own_is_slow(scene):
    """By the lock's `Created` an earlier run had it, and the one that has it only wants it."""
    lock, _ = await scene.dead_lock()
    late = scene.github.runs.start_run(REPO, DEPLOY, at=lock.created + timedelta(hours=1), actor="quinn")
    assert (await asked(scene))[2] is Ruling.ALLOW

    scene.aws.stored("environments/staging/terraform.tfstate.tflock", lock.created + timedelta(hours=1, minutes=1))
    report, _, ruling = await asked(scene)

    assert ruling is Ruling.REFUSE
    assert str(late.id) in plain(report.verdict[Rule.DEAD].reason)
    assert await scene.stands(lock)


@pytest.mark.parametrize(("workflow", "tie"), [(DEPLOY, Tie.BY_TIME), ("other.yml", Tie.SHOWN)])
async def test_a_pipeline_of_a_pattern_works_on_more_states_than_are_found(scene, workflow, tie):
    """Its first apply of a state that no list shows yet; this state's lock is somebody else's, who lives."""
    lock, run = await scene.dead_lock()
    printed(run, at_work(lock), path="")
    pipeline = next(iter(scene.ports.states["staging"].pipelines))
    other = replace(pipeline, fields=(("repo", REPO), ("workflow", workflow)))
    scene.ports = replace(scene.ports, shared_pipelines=(other,))

    report, found, _ = await asked(scene)
    await scene.confirm(report)
    await scene.work()

    assert found is tie
    assert await scene.stands(lock) is (tie is Tie.BY_TIME)


@pytest.mark.parametrize("is_its_own", [False, True])
async def test_a_job_that_was_to_release_its_lock_and_found_anothers_is_not_shown_to_hold_that(scene, is_its_own):
    """Its own lock was broken by hand; below the error Terraform prints the one that stands now, whose holder lives."""
    lock = await scene.lock(who="root@959fcba5e7a7", ago=7200)
    run = scene.github.runs.start_run(REPO, DEPLOY, at=lock.created - timedelta(minutes=9), actor="elliott-ci")
    begins = lock.created + (timedelta(seconds=3) if is_its_own else -timedelta(minutes=8))
    error = [
        "│ Error: Error releasing the state lock",
        '│ Error message: lock ID "8db1d5ac-1b8e-4c6f-9e33-5f0c5b1f2a77" does not match',
        f'│ existing lock ("{lock.id}")',
        "│ Lock Info:",
        f"│   ID:        {lock.id}",
        f"│   Path:      {lock.path}",
    ]
    lines = [(begins, "terraform_data.deployment: Creating...")]
    lines += [(lock.created + timedelta(minutes=5), line) for line in error]
    printed(run, lines if not is_its_own else lines[:1], path=lock.path)
    scene.github.runs.finish(run.id, "failure", at=lock.created + timedelta(minutes=6))

    report, tie, ruling = await asked(scene)
    await scene.confirm(report)
    await scene.work()

    assert (tie is Tie.SHOWN, ruling is Ruling.ALLOW) == (is_its_own, is_its_own)
    assert await scene.stands(lock) is not is_its_own


async def test_of_two_locks_that_fit_a_jobs_log_the_second_is_not_its_own(scene):
    """Its holder lives, and began to wait when a job took the lock before it, as `Created` says. No store says more.

    Somebody broke the lock of that job, which had been killed.
    """
    lock, _ = await scene.dead_lock(file=False)
    assert [(await asked(scene))[1:], (await asked(scene))[1:]] == [(Tie.SHOWN, Ruling.ALLOW)] * 2
    waited = WrittenLock("5eed0002-1b2c", lock.created + timedelta(seconds=1), lock.path, who=lock.who)
    await scene.aws.delete_item(lock.path)
    await scene.aws.hold(KEY, waited.text, item=True, file=False)
    scene.forward(60)

    report, tie, ruling = await asked(scene)
    await scene.confirm(report)
    await scene.work()

    assert (tie, ruling) == (Tie.BY_TIME, Ruling.NEEDS_APPROVAL)
    assert await scene.stands(waited)

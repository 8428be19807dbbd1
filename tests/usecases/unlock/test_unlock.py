"""What `/tflock unlock` and its buttons do, on real servers. Every refusal leaves the lock where it was."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from bot.core.gate.case import Rule, Ruling
from bot.core.gate.stages import UnlockStage
from bot.core.policy import Policy
from bot.errors import NotPermitted, UnknownState
from bot.sandbox.slack.text import flat
from bot.usecases.request import approval
from bot.usecases.unlock import unlock
from tests.worlds.proxy import Deny, Throttle


async def settled(scene, lock):
    """The outcome on the timeline, and whether the lock still stands."""
    outcomes = [entry.facts["outcome"] for entry in await scene.entries("unlock.released", "unlock.failed")]
    return outcomes, await scene.stands(lock)


async def test_a_dead_lock_is_offered_for_release_and_released_on_a_click(scene):
    lock, _ = await scene.dead_lock()
    report = await scene.ask(reason="deploys are blocked")
    stood = await scene.stands(lock)

    await scene.confirm(report)
    await scene.work()

    assert (report.stage, report.verdict.ruling, stood) == (UnlockStage.CHECKED, Ruling.ALLOW, True)
    assert await settled(scene, lock) == (["released"], False)
    assert len(scene.said()) == 1
    assert "staging is unlocked" in scene.said()[0]
    assert len([text for text in scene.wrote() if "was released" in text]) == 1


async def test_a_lock_whose_run_goes_on_is_refused_and_stays(scene):
    lock, _ = await scene.running_lock()

    report = await scene.ask()
    await scene.confirm(report)
    await scene.work()

    assert report.verdict[Rule.DEAD].reason
    assert await settled(scene, lock) == (["refused"], True)


async def test_a_run_that_ended_in_success_needs_approval(scene):
    lock, _ = await scene.dead_lock("success")

    report = await scene.ask()

    assert report.verdict.ruling is Ruling.NEEDS_APPROVAL
    assert await scene.stands(lock)


async def test_a_free_state_is_said_to_be_free(scene):
    await scene.aws.put_state("environments/staging/terraform.tfstate")

    report = await scene.ask()

    assert report.stage is UnlockStage.ALREADY_FREE
    assert scene.jobs.waiting == {}


async def test_an_unknown_state_is_named_with_the_nearest(scene):
    with pytest.raises(UnknownState) as caught:
        await unlock.ask(scene.ports, unlock.UnlockCommand("stagin", "U0QUINN", "C0STAGING", scene.incident))

    assert caught.value.nearest == "staging"


async def test_a_lock_that_may_not_be_read_is_refused_and_is_not_looked_at_again(scene):
    lock, _ = await scene.dead_lock()
    scene.proxy.fault("dynamodb:GetItem", Deny())

    report = await scene.ask()

    assert report.verdict.ruling is Ruling.REFUSE
    assert scene.jobs.waiting == {}
    assert await scene.stands(lock)


async def test_a_dry_run_changes_nothing(scene):
    lock, _ = await scene.dead_lock()

    report = await scene.ask(dry_run=True)

    assert report.stage is UnlockStage.DRY_RUN
    assert scene.said() == []
    assert scene.wrote() == []
    assert scene.jobs.waiting == {}
    with pytest.raises(NotPermitted):
        await scene.confirm(report)
    assert await scene.stands(lock)


class TestPatient:
    @pytest.fixture
    def policy(self):
        return Policy(release_deadline=timedelta(seconds=90), state_quiet=timedelta(0))

    async def test_a_lock_that_cannot_be_read_for_throttling_is_looked_at_until_it_can_be_shown(self, scene):
        lock, _ = await scene.dead_lock()
        faults = [scene.proxy.fault(call, Throttle()) for call in ("dynamodb:GetItem", "s3:GetObject")]
        report = await scene.ask()
        scene.forward(5)
        looked = await scene.work()
        still_hidden = report.request.lock_id == "" and looked == 1
        for fault in faults:
            fault.lift()
        scene.forward(5)

        await scene.work()
        await unlock.confirm(scene.ports, report.request.id, lock_id=lock.id, user="U0QUINN")
        await scene.work()

        assert still_hidden
        assert await settled(scene, lock) == (["released"], False)
        told = [flat({"blocks": past.blocks}) for letter in scene.slack.directs("U0ELLIOTT") for past in letter.history]
        assert any("wants to unlock" in text for text in told)


async def test_asking_to_unlock_when_safe_waits_and_then_releases_by_itself(scene):
    lock, run = await scene.running_lock()
    report = await scene.ask(when_safe=True)
    await scene.work()
    waited = await scene.stands(lock)
    scene.github.runs.finish(run.id, "failure")
    scene.forward(15)
    await scene.work()
    settling = await scene.stands(lock)

    scene.forward(61)
    await scene.work()

    assert report.stage is UnlockStage.ARMED
    assert waited
    assert settling
    assert await settled(scene, lock) == (["released"], False)


async def test_a_click_on_another_lock_is_refused(scene):
    lock, _ = await scene.dead_lock()
    report = await scene.ask()

    with pytest.raises(NotPermitted, match="another lock"):
        await unlock.confirm(scene.ports, report.request.id, lock_id="0000", user="U0QUINN")

    assert await scene.work() == 0
    assert await scene.stands(lock)


async def test_a_click_on_a_request_that_nobody_knows_is_refused(scene):
    lock, _ = await scene.dead_lock()

    for way in (unlock.confirm, partial(approval.approve, covers=""), unlock.arm, unlock.disarm):
        with pytest.raises(NotPermitted, match="too old"):
            await way(scene.ports, "nothing", lock_id=lock.id, user="U0QUINN")

    assert await scene.stands(lock)


async def test_a_click_on_a_finished_request_is_refused(scene):
    lock, _ = await scene.dead_lock()
    report = await scene.ask()
    await scene.confirm(report)
    await scene.work()

    with pytest.raises(NotPermitted, match="finished"):
        await scene.confirm(report)

    assert await settled(scene, lock) == (["released"], False)


async def test_a_second_click_is_told_that_it_is_under_way_and_releases_once(scene):
    lock, _ = await scene.dead_lock()
    report = await scene.ask()
    await scene.confirm(report)

    with pytest.raises(NotPermitted, match="already running"):
        await scene.confirm(report, "U0PARKER")
    await scene.work()

    assert await settled(scene, lock) == (["released"], False)


@pytest.mark.parametrize("user", ["U0GUEST", "U0STRANGER", "U0GONE", "U0OUTSIDE"])
async def test_who_may_not_unlock_can_neither_send_a_request_on_its_way_nor_end_it(scene, user):
    lock, _ = await scene.dead_lock()
    report = await scene.ask()

    for way in (unlock.confirm, partial(approval.approve, covers=""), unlock.arm, unlock.disarm):
        with pytest.raises(NotPermitted):
            await way(scene.ports, report.request.id, lock_id=lock.id, user=user)
    stood = await scene.stands(lock)
    await scene.confirm(report)
    await scene.work()

    assert stood
    assert await settled(scene, lock) == (["released"], False)


@pytest.mark.parametrize("user", ["U0GUEST", "U0STRANGER"])
async def test_a_guest_who_asks_is_shown_that_they_may_not(scene, user):
    lock, _ = await scene.dead_lock()

    report = await scene.ask(user, when_safe=True)

    assert [finding.rule for finding in report.verdict.refusals] == [Rule.REQUESTER]
    assert await scene.work() == 0
    assert await scene.stands(lock)


class TestProtected:
    @pytest.fixture
    def protected(self):
        return True

    async def test_a_protected_state_is_released_when_a_second_member_approves(self, scene):
        lock, _ = await scene.dead_lock()
        report = await scene.ask()

        await scene.approve(report, "U0PARKER")
        await scene.work()

        assert report.verdict.ruling is Ruling.NEEDS_APPROVAL
        assert await settled(scene, lock) == (["released"], False)
        (released,) = await scene.entries("unlock.released")
        assert released.facts["approver"] == "U0PARKER"

    async def test_neither_the_asker_nor_the_one_who_confirmed_can_approve(self, scene):
        lock, _ = await scene.dead_lock()
        report = await scene.ask()
        await scene.confirm(report, "U0PARKER")
        await scene.work()

        for user in ("U0QUINN", "U0PARKER"):
            with pytest.raises(NotPermitted, match="second person"):
                await scene.approve(report, user)

        assert await scene.work() == 0
        assert await scene.stands(lock)

    async def test_a_confirmed_request_that_needs_approval_shows_the_button_and_waits(self, scene):
        lock, _ = await scene.dead_lock()
        report = await scene.ask()
        await scene.confirm(report)
        await scene.work()
        message, _checklist = scene.slack.messages("C0STAGING")
        button, stood = scene.slack.find_button(message, "unlock.approve"), await scene.stands(lock)

        await scene.approve(report, "U0PARKER")
        await scene.work()

        assert button
        assert stood
        assert await settled(scene, lock) == (["released"], False)

    async def test_an_approval_comes_too_late_after_the_time_for_it(self, scene):
        lock, _ = await scene.dead_lock()
        report = await scene.ask()
        scene.forward(15 * 60 + 1)

        with pytest.raises(NotPermitted, match="older than 15 min"):
            await scene.approve(report, "U0PARKER")

        assert await scene.stands(lock)

    async def test_the_time_for_an_approval_runs_from_when_it_was_asked_for(self, scene):
        lock, run = await scene.running_lock()
        report = await scene.ask(when_safe=True)
        await scene.work()
        scene.forward(30 * 60)
        scene.github.runs.finish(run.id, "failure", at=scene.clock.now() - timedelta(minutes=5))
        await scene.work()
        stood = await scene.stands(lock)

        await scene.approve(report, "U0PARKER")
        await scene.work()

        assert stood
        assert await settled(scene, lock) == (["released"], False)


async def test_an_armed_unlock_can_be_called_off(scene):
    lock, run = await scene.running_lock()
    report = await scene.ask(when_safe=True)
    await unlock.disarm(scene.ports, report.request.id, lock_id=lock.id, user="U0PARKER")
    scene.github.runs.finish(run.id, "failure", at=scene.clock.now() - timedelta(minutes=5))

    scene.forward(60)
    await scene.work()

    assert await scene.stands(lock)
    with pytest.raises(NotPermitted):
        await unlock.disarm(scene.ports, report.request.id, lock_id=lock.id, user="U0PARKER")


async def test_an_armed_unlock_can_be_called_off_after_a_throttled_attempt(scene):
    lock, _ = await scene.dead_lock()
    fault = scene.proxy.fault("dynamodb:DeleteItem", Throttle())
    files = scene.proxy.fault("s3:DeleteObject", Throttle())
    report = await scene.ask(when_safe=True)
    await scene.work()

    await unlock.disarm(scene.ports, report.request.id, lock_id=lock.id, user="U0QUINN")
    fault.lift()
    files.lift()
    scene.forward(60)
    await scene.work()

    assert await scene.stands(lock)


async def test_an_armed_unlock_ends_when_the_lock_changes_hands(scene):
    lock, _ = await scene.running_lock()
    await scene.ask(when_safe=True)
    key = "environments/staging/terraform.tfstate"
    await scene.aws.delete_item(f"{scene.aws.bucket}/{key}")
    await scene.aws.delete_object(f"{key}.tflock")
    newer = await scene.lock(ago=0)

    await scene.work()

    assert await settled(scene, lock) == (["holder changed"], False)
    assert await scene.stands(newer)
    scene.forward(60)
    assert await scene.work() == 0


async def test_an_armed_unlock_ends_when_its_time_is_over_even_if_it_is_safe_by_then(scene):
    lock, run = await scene.running_lock()
    await scene.ask(when_safe=True)
    await scene.work()
    scene.github.runs.finish(run.id, "failure")
    scene.forward(3 * 3600)

    await scene.work()

    assert await settled(scene, lock) == (["expired"], True)


async def test_a_store_that_throttles_for_a_while_keeps_an_armed_unlock_armed(scene):
    lock, run = await scene.running_lock()
    await scene.ask(when_safe=True)
    faults = [scene.proxy.fault(call, Throttle()) for call in ("dynamodb:GetItem", "s3:GetObject")]
    await scene.work()
    for fault in faults:
        fault.lift()
    scene.github.runs.finish(run.id, "failure", at=scene.clock.now() - timedelta(minutes=5))
    scene.forward(40)

    await scene.work()

    assert await settled(scene, lock) == (["released"], False)


async def test_slack_being_away_does_not_end_an_armed_unlock(scene):
    lock, run = await scene.running_lock()
    await scene.ask(when_safe=True)
    scene.slack.refuse("chat.update", "internal_error", times=None)
    await scene.work()
    scene.slack.heal()
    scene.github.runs.finish(run.id, "failure", at=scene.clock.now() - timedelta(minutes=5))
    scene.forward(40)

    await scene.work()

    assert await settled(scene, lock) == (["released"], False)

"""A request to unlock that waits for a second member: approved, declined, withdrawn, expired. The lock is watched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.gate.case import Ruling
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.policy import ApprovalPolicy, Approvers
from bot.errors import NotPermitted
from bot.usecases.decide.owner import record_answer
from bot.usecases.request import approval


@pytest.fixture
def protected():
    return True


@pytest.fixture
async def asked(scene):
    """A lock that may go as soon as a second member says so."""
    lock, run = await scene.dead_lock()
    return lock, run, await scene.ask()


async def test_a_decline_ends_the_request_and_says_who_it_was(scene, asked):
    lock, _, report = asked

    await approval.decline(scene.ports, report.request.id, lock_id=lock.id, user="U0PARKER")

    (declined,) = await scene.entries("unlock.declined")
    assert declined.actor == "U0PARKER"
    assert "cancelled" in scene.said()[0]
    with pytest.raises(NotPermitted, match="finished"):
        await scene.approve(report, "U0ELLIOTT")
    assert await scene.stands(lock)


async def test_the_asker_takes_their_own_request_back(scene, asked):
    lock, _, report = asked

    await approval.decline(scene.ports, report.request.id, lock_id=lock.id, user="U0QUINN")

    assert [entry.actor for entry in await scene.entries("unlock.withdrawn")] == ["U0QUINN"]
    assert await scene.entries("unlock.declined") == []
    assert await scene.stands(lock)


@pytest.mark.parametrize("user", ["U0GUEST", "U0STRANGER"])
async def test_who_may_not_act_here_cannot_decline_either(scene, asked, user):
    lock, _, report = asked

    with pytest.raises(NotPermitted):
        await approval.decline(scene.ports, report.request.id, lock_id=lock.id, user=user)

    await scene.approve(report)
    await scene.work()
    assert not await scene.stands(lock)


async def test_a_request_that_nobody_approves_expires_in_its_message(scene, asked):
    lock, _, report = asked

    for _ in range(50):
        scene.forward(20)
        await scene.work()

    assert "nobody approved it within 15 min" in scene.said()[0].lower()
    assert [entry.actor for entry in await scene.entries("unlock.withdrawn")] == ["tflock"]
    with pytest.raises(NotPermitted):
        await scene.approve(report)
    assert await scene.stands(lock)


async def test_a_lock_that_changes_hands_takes_the_request_with_it(scene, asked):
    lock, _, report = asked
    other = replace(lock, id="another-lock")
    key = "environments/staging/terraform.tfstate"
    await scene.aws.delete_object(f"{key}.tflock")
    await scene.aws.delete_item(f"{scene.aws.bucket}/{key}")
    await scene.aws.hold(key, other.text, item=True, file=True)

    scene.forward(21)
    await scene.work()

    (withdrawn,) = await scene.entries("unlock.withdrawn")
    assert "another holder" in withdrawn.text
    with pytest.raises(NotPermitted):
        await scene.approve(report, covers="protected")
    assert await scene.stands(other)


async def test_an_owner_who_says_that_it_runs_takes_the_approval_button_away(scene, asked):
    lock, _, report = asked
    says = OwnerAnswer(lock.id, "U0ELLIOTT", OwnerSays.RUNNING, scene.clock.now())
    await record_answer(scene.ports, "staging", says, incident=scene.incident)

    scene.forward(21)
    await scene.work()
    message, _checklist = scene.slack.messages("C0STAGING")

    with pytest.raises(LookupError):
        scene.slack.find_button(message, "unlock.approve")
    with pytest.raises(NotPermitted, match="has changed"):
        await scene.approve(report, covers="protected")
    assert await scene.stands(lock)


async def test_what_came_up_after_the_button_was_shown_is_not_approved_with_it(scene, asked):
    lock, _, report = asked

    with pytest.raises(NotPermitted, match="has changed"):
        await scene.approve(report, covers="protected+whole")

    assert await scene.stands(lock)


async def test_a_request_goes_on_waiting_while_nothing_changes(scene, asked):
    lock, _, report = asked
    for _ in range(5):
        scene.forward(20)
        assert await scene.work() == 1

    await scene.approve(report)
    await scene.work()

    assert await scene.entries("unlock.withdrawn") == []
    assert not await scene.stands(lock)


async def test_a_worker_that_died_in_a_look_leaves_one_chain_of_looks(scene, asked):
    _, _, report = asked
    scene.forward(21)
    await approval.pending(scene.ports, report.request.id, "", 0)
    await approval.pending(scene.ports, report.request.id, "", 0)

    scene.forward(21)

    assert await scene.work() <= 2
    scene.forward(21)
    assert await scene.work() == 1


async def test_a_group_of_the_state_says_who_may_approve(scene):
    of_state = ApprovalPolicy(by=Approvers.GROUP, groups=("S0NOBODY",))
    states = {name: replace(state, approvers=of_state) for name, state in scene.ports.states.items()}
    scene.ports = replace(scene.ports, states=states)
    lock, _ = await scene.dead_lock()
    report = await scene.ask()

    with pytest.raises(NotPermitted, match="group that may approve"):
        await scene.approve(report)

    await scene.work()
    assert await scene.stands(lock)


async def test_where_nobody_may_approve_the_unlock_is_refused_at_once(scene):
    of_state = ApprovalPolicy(by=Approvers.NOBODY)
    states = {name: replace(state, approvers=of_state) for name, state in scene.ports.states.items()}
    scene.ports = replace(scene.ports, states=states)
    lock, _ = await scene.dead_lock()
    report = await scene.ask()

    with pytest.raises(NotPermitted):
        await scene.approve(report, covers="protected")

    assert report.verdict.ruling is Ruling.REFUSE
    await scene.work()
    assert await scene.stands(lock)


async def test_owner_only_lets_the_owner_approve_and_nobody_else(scene):
    owner_only = ApprovalPolicy(by=Approvers.OWNER)
    states = {name: replace(state, approvers=owner_only) for name, state in scene.ports.states.items()}
    scene.ports = replace(scene.ports, states=states)
    lock, _ = await scene.dead_lock()
    report = await scene.ask()

    await scene.approve(report, "U0PARKER")
    await scene.work()
    stood = await scene.stands(lock)
    await scene.approve(report, "U0ELLIOTT")
    await scene.work()

    assert stood
    assert not await scene.stands(lock)

"""DynamoDB says "too fast" for a while: the release goes on by itself, shows where it is, and says how it ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SHORT_TIMES
from tests.worlds.proxy import Cut, Deny, Throttle

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def staged():
    return {"policy": {**SHORT_TIMES, "release_deadline": "12s"}}


async def test_a_delete_that_is_throttled_for_a_while_is_done_without_another_command(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    fault = scene.stage.proxy.fault("dynamodb:DeleteItem", Throttle())
    await scene.click(checklist, "unlock.confirm")

    progress = flat(await scene.becomes(checklist, "unlocking staging", "throttled", "tries"))
    assert "Throughput" in progress or "throttled" in progress
    assert await scene.stands(lock)
    fault.lift()

    told = flat(await scene.becomes(checklist, "staging is unlocked"))
    assert "`terraform plan` before you apply" in told
    assert not await scene.stage.lock_stands()
    assert len(scene.posts()) == 1
    assert (await scene.kinds()).count("unlock.released") == 1


async def test_a_read_that_is_throttled_at_the_checklist_is_made_again_without_another_command(scene):
    lock, _ = await scene.stage.dead_lock()
    fault = scene.stage.proxy.fault("dynamodb:GetItem", Throttle())
    fault_batch = scene.stage.proxy.fault("dynamodb:BatchGetItem", Throttle())

    checklist = await scene.checklist("unlock staging", "the lock table is throttled")
    assert "[Unlock staging]" not in flat(checklist)
    assert await scene.stands(lock)
    fault.lift()
    fault_batch.lift()

    await scene.becomes(checklist, "safe to unlock", "[unlock staging]")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()


async def test_reads_that_are_throttled_after_the_click_are_made_again(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    fault = scene.stage.proxy.fault(lambda call: call.operation.startswith("dynamodb:"), Throttle())
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "unlocking staging", "tries")
    assert await scene.stands(lock)
    fault.lift()

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()


async def test_throttling_beyond_the_deadline_is_said_and_the_lock_stands(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.stage.proxy.fault("dynamodb:DeleteItem", Throttle())
    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "staging is still locked"))

    assert "DynamoDB is throttling the lock table" in told
    assert "Nothing was changed." in told
    assert "[Find what's flooding it…]" in told
    assert "[Unlock when safe]" in told
    assert await scene.stands(lock)
    assert [e.facts["outcome"] for e in await scene.journal() if e.kind == "unlock.failed"] == ["still throttled"]

    scene.stage.proxy.lift_all()
    again = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(again, "unlock.confirm")
    await scene.becomes(again, "staging is unlocked")
    assert not await scene.stage.lock_stands()


async def test_a_delete_whose_answer_is_lost_is_settled_by_reading(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.stage.proxy.fault("dynamodb:DeleteItem", Cut(after=True), times=1)

    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()
    assert (await scene.kinds()).count("unlock.released") == 1


async def test_a_delete_that_the_rights_do_not_allow_is_said_and_the_lock_stands(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.stage.proxy.fault("dynamodb:DeleteItem", Deny())

    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "could not be unlocked"))
    assert "rights" in told
    assert "Nothing was changed" in told
    assert "tflock doctor" in told
    assert await scene.stands(lock)


async def test_a_throttled_table_is_told_by_status_as_that_and_not_as_a_lock_problem(scene):
    lock, _ = await scene.stage.dead_lock()
    await scene.stage.aws.switch_billing(units=1)
    await scene.stage.aws.count_refusals(at=datetime.now(UTC) - timedelta(minutes=1), writes=12)
    scene.stage.proxy.fault(lambda call: call.operation.startswith("dynamodb:"), Throttle())

    await scene.types("status staging")

    told = flat(await scene.told("throttling the lock table of staging"))
    assert "The lock itself is not the problem" in told
    assert "Not a lock problem" in told
    assert "[Find what's flooding it…]" in told
    assert await scene.stands(lock)


# Slack in trouble


async def test_a_slow_slack_only_delays_the_answers(scene):
    await scene.stage.dead_lock()
    scene.slack.slow("*", seconds=0.7)

    await scene.types("unlock staging")
    assert not scene.posts()
    checklist = await scene.shown("safe to unlock")
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()


async def test_a_slack_that_asks_for_patience_gets_it_and_the_message_comes_once(scene):
    await scene.stage.dead_lock()
    scene.slack.throttle("chat.postMessage", retry_after=1, times=2)
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.slack.throttle("chat.update", retry_after=1, times=2)

    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "staging is unlocked")
    assert len(scene.posts()) == 1


async def test_an_outcome_that_slack_does_not_take_at_first_is_told_later_and_once(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.slack.crash("chat.update", times=None)
    await scene.click(checklist, "unlock.confirm")
    await scene.has_recorded("unlock.released")
    assert not await scene.stage.lock_stands()
    scene.slack.heal()

    await scene.becomes(checklist, "staging is unlocked")
    assert len(scene.posts()) == 1
    assert (await scene.kinds()).count("unlock.released") == 1


async def test_a_checklist_that_slack_does_not_take_is_answered_to_the_asker(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.slack.refuse("chat.postMessage", "restricted_action", times=None)

    await scene.types("unlock staging")

    told = flat(await scene.told("slack"))
    assert "restricted_action" in told
    assert "no lock was touched" in told
    assert await scene.stands(lock)


async def test_an_answer_goes_another_way_if_the_response_url_is_broken(scene):
    scene.slack.crash("response_url", times=None)

    await scene.types("help")

    await scene.told("/tflock unlock")


async def test_slack_away_while_people_cannot_be_looked_up_refuses_the_unlock(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.slack.crash("users.info", times=None)

    told = flat(await scene.checklist("unlock staging", "is locked"))

    assert "requester" in told
    assert "[Unlock staging]" not in told
    assert await scene.stands(lock)


async def test_many_clicks_and_commands_at_once_while_slack_is_slow_lose_nothing(scene):
    await scene.stage.dead_lock()
    scene.slack.slow("*", seconds=0.2)
    soon = await scene.soon()

    deliveries = await asyncio.gather(*(scene.types("status staging") for _ in range(25)))

    await scene.until(lambda: len(scene.slack.ephemerals("U0PARKER", scene.channel)) == 25)
    assert max(delivery.seconds for delivery in deliveries) < soon

"""The unlock itself, click by click: released exactly when it may be, and every other answer in words."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SandboxState
from tests.worlds.proxy import Delay

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN, ELLIOTT = "U0PARKER", "U0QUINN", "U0ELLIOTT"
REPO, DEPLOY = "acme/infra", "deploy.yml"


STATES = (
    SandboxState("staging", "environments/staging/terraform.tfstate"),
    SandboxState("both", "environments/both/terraform.tfstate", file=True),
)


@pytest.fixture(scope="module")
def staged():
    return {"states": STATES}


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


async def test_a_lock_whose_run_timed_out_long_ago_is_shown_confirmed_and_released(scene):
    lock, run = await scene.stage.dead_lock()

    await scene.types("status staging")
    status = flat(await scene.told("staging is locked"))
    assert all(
        word in status for word in ("runner@fv-az881-525", "timed out", "elliott", "You can unlock it now", str(run.id))
    )
    checklist = await scene.checklist("unlock staging because quinn waits", "safe to unlock", "quinn waits")
    assert "shows Terraform working under this lock" in flat(checklist)
    assert "tflock claim" not in flat(checklist)
    assert await scene.stands(lock)
    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "staging is unlocked"))
    assert lock.id[:8] in told
    assert "`terraform plan` before you apply" in told
    assert not await scene.stage.lock_stands()
    entries = await scene.journal()
    kinds = [entry.kind for entry in entries]
    wanted = ["incident.opened", "command.received", "lock.observed", "gate.decided", "unlock.requested",
              "unlock.releasing", "unlock.released"]  # fmt: skip
    assert [kind for kind in dict.fromkeys(kinds) if kind in wanted] == wanted
    released = next(entry for entry in entries if entry.kind == "unlock.released")
    assert released.actor == PARKER
    assert released.facts["lock_id"] == lock.id
    assert len(scene.posts()) == 1


async def test_the_same_lock_needs_a_second_member_where_its_runs_log_is_gone(scene):
    lock, run = await scene.stage.dead_lock()
    run.jobs[-1].is_log_expired = True

    checklist = await scene.checklist("unlock staging", "only the timing fits")

    assert "wrap the job's Terraform with `tflock claim` to be certain" in flat(checklist)
    assert "[Approve and unlock]" in flat(checklist)
    assert "[Unlock staging]" not in flat(checklist)
    assert await scene.stands(lock)
    await scene.click(checklist, "unlock.approve", user=QUINN)
    await scene.becomes(checklist, "staging is unlocked")


async def test_a_lock_whose_run_is_still_going_on_is_refused_and_stands(scene):
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)
    lock = await scene.stage.take_lock(created=hours_ago(1))
    run = scene.stage.runs.start_run(REPO, DEPLOY, at=hours_ago(1.01), actor="elliott-ci")

    checklist = flat(await scene.checklist("unlock staging", "is locked"))

    assert "running" in checklist
    assert str(run.id) in checklist
    assert "Don't unlock it" in checklist
    assert "Next:" in checklist
    assert "[Unlock staging]" not in checklist
    assert await scene.stands(lock)
    assert "unlock.releasing" not in await scene.kinds()


async def test_a_rerun_that_goes_on_under_the_same_run_id_is_refused_though_the_first_attempt_failed(scene):
    lock, run = await scene.stage.dead_lock(conclusion="failure")
    scene.stage.runs.rerun(run.id, at=hours_ago(0.5))

    checklist = flat(await scene.checklist("unlock staging", "is locked"))

    assert "attempt 2" in checklist
    assert "[Unlock staging]" not in checklist
    assert await scene.stands(lock)


async def test_a_rerun_that_starts_between_checklist_and_click_stops_the_release(scene):
    lock, run = await scene.stage.dead_lock(conclusion="failure")
    checklist = await scene.checklist("unlock staging", "safe to unlock")

    scene.stage.runs.rerun(run.id)
    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "was not unlocked"))
    assert "attempt 2" in told
    assert "Nothing was changed." in told
    assert await scene.stands(lock)
    assert "unlock.failed" in await scene.kinds()


async def test_a_lock_that_changed_hands_between_checklist_and_click_is_not_touched(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    key = f"{scene.stage.aws.bucket}/{scene.stage.states['staging'].key}"
    await scene.stage.aws.delete_item(key)
    newer = await scene.stage.take_lock(who="runner@fv-az999-1", created=datetime.now(UTC))

    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "has another lock now"))
    assert "runner@fv-az999-1" in told
    assert newer.id in told
    assert "/tflock status staging" in told
    assert await scene.stands(newer)
    assert "unlock.releasing" not in await scene.kinds()


async def test_a_lock_that_changes_hands_while_the_delete_is_on_its_way_is_not_touched(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.stage.proxy.fault("dynamodb:DeleteItem", Delay(4), times=1)
    await scene.click(checklist, "unlock.confirm")
    await scene.has_recorded("unlock.releasing")
    key = f"{scene.stage.aws.bucket}/{scene.stage.states['staging'].key}"
    await scene.stage.aws.delete_item(key)
    newer = await scene.stage.take_lock(who="runner@fv-az999-1", created=datetime.now(UTC))

    told = flat(await scene.becomes(checklist, "has another lock now"))
    assert "Nothing was changed." in told
    assert await scene.stands(newer)
    assert [e.facts["outcome"] for e in await scene.journal() if e.kind == "unlock.failed"] == ["holder changed"]


async def test_a_lock_that_somebody_else_released_before_the_click_is_said_to_be_free(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.stage.aws.delete_item(f"{scene.stage.aws.bucket}/{scene.stage.states['staging'].key}")

    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "already free"))
    assert "Nothing was changed." in told
    assert "unlock.released" not in await scene.kinds()


async def test_asking_for_a_free_state_says_that_it_is_free_and_offers_no_button(scene):
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)

    told = flat(await scene.checklist("unlock staging", "already free"))

    assert "[" not in told


@pytest.mark.parametrize("left", ["item", "file"])
async def test_the_one_half_that_is_left_of_a_lock_is_released(scene, left):
    lock, _ = await scene.stage.dead_lock("both")
    of, aws = scene.stage.states["both"], scene.stage.aws
    if left == "item":
        await aws.delete_object(f"{of.key}.tflock")
    else:
        await aws.delete_item(f"{aws.bucket}/{of.key}")

    checklist = await scene.checklist("unlock both", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "both is unlocked")
    assert not await scene.stage.lock_stands("both")
    assert lock.id[:8] in flat(checklist)


async def test_both_halves_of_a_lock_are_released_together(scene):
    await scene.stage.dead_lock("both")

    checklist = await scene.checklist("unlock both", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "both is unlocked"))
    assert "lockfile was released" in told
    assert "DynamoDB item was released" in told
    assert not await scene.stage.lock_stands("both")


async def test_of_halves_with_different_locks_only_the_one_that_was_confirmed_is_released(scene):
    lock, _ = await scene.stage.dead_lock("both")
    of, aws = scene.stage.states["both"], scene.stage.aws
    other = "0ddba115-1b2c-4d3e-8f40-2b756fec4d7f"
    await aws.put_lockfile(of.key, lock.text.replace(lock.id, other))
    aws.stored(f"{of.key}.tflock", lock.created)

    checklist = await scene.checklist("unlock both", "two locks", lock.id, other)
    shown = scene.slack.find_button(checklist, "unlock.confirm")["value"].split()[1]
    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "is still locked: its other place"))
    left = {"item": lock.id, "file": None} if shown == other else {"item": None, "file": other}
    assert await scene.stage.lock_ids("both") == left
    assert "both is unlocked" not in told
    assert (lock.id if shown == other else other) in told


async def test_a_lock_that_is_no_lock_info_is_refused_and_stands(scene):
    key = f"{scene.stage.aws.bucket}/{scene.stage.states['staging'].key}"
    await scene.stage.aws.put_item(key, Info="{not json")

    told = flat(await scene.checklist("unlock staging", "is locked"))

    assert "is unreadable" in told
    assert await scene.stage.aws.item(key) == {"LockID": key, "Info": "{not json"}


async def test_a_run_that_ended_in_success_needs_a_second_member(scene):
    lock, _ = await scene.stage.dead_lock(conclusion="success")

    checklist = await scene.checklist("unlock staging", "approv")

    assert "[Approve and unlock]" in flat(checklist)
    assert await scene.stands(lock)
    await scene.click(checklist, "unlock.approve", user=QUINN)
    await scene.becomes(checklist, "staging is unlocked", f"<@{QUINN}>")
    assert not await scene.stage.lock_stands()


async def test_a_lock_without_any_run_in_its_time_is_refused(scene):
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)
    lock = await scene.stage.take_lock()

    told = flat(await scene.checklist("unlock staging", "is locked"))

    assert "none of the configured pipelines was running" in told
    assert await scene.stands(lock)


# clicks


async def test_a_click_with_the_value_of_another_lock_is_refused(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    button = dict(scene.slack.find_button(checklist, "unlock.confirm"))
    button["value"] = button["value"].replace(lock.id, "00000000-1b2c-4d3e-8f40-2b756fec4d7f")

    await scene.click(checklist, button)

    told = flat(await scene.told("another lock"))
    assert "Nothing was changed" in told
    assert "/tflock" in told
    assert await scene.stands(lock)


@pytest.mark.parametrize(
    "value", ["", "nonsense", "a b c d e f", "staging - -", "staging%00 x y", "production {lock} {request}"]
)
async def test_a_click_with_a_value_that_was_tampered_with_changes_nothing_and_is_answered(scene, value):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    button = dict(scene.slack.find_button(checklist, "unlock.confirm"))
    request = button["value"].split()[2]
    button["value"] = value.format(lock=lock.id, request=request)

    await scene.click(checklist, button)

    await scene.told("nothing was changed")
    assert await scene.stands(lock)


async def test_a_click_on_a_message_whose_request_is_finished_releases_nothing_more(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    button = dict(scene.slack.find_button(checklist, "unlock.confirm"))
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    await scene.until(lambda: len(scene.letters()) == 2)
    newer = await scene.stage.take_lock(lock_id=button["value"].split()[1])

    async def is_done() -> bool:
        return (await scene.kinds()).count("unlock.released") == 1

    await scene.until(is_done)
    await scene.click(checklist, button)

    await scene.told("finished", "nothing was changed")
    assert await scene.stands(newer)
    assert "unlocked" in flat(checklist)


async def test_clicks_of_two_people_at_the_same_time_release_once_and_tell_once(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    button = dict(scene.slack.find_button(checklist, "unlock.confirm"))

    await asyncio.gather(
        *(scene.click(checklist, button, user=user) for user in (PARKER, QUINN, PARKER, QUINN, PARKER))
    )

    await scene.becomes(checklist, "staging is unlocked")
    await scene.settles()
    kinds = await scene.kinds()
    assert kinds.count("unlock.releasing") == 1
    assert kinds.count("unlock.released") == 1
    assert "unlock.failed" not in kinds
    assert len(scene.stage.proxy.calls("dynamodb:DeleteItem")) >= 1
    assert len(scene.posts()) == 1
    await scene.until(lambda: any("was released" in flat(letter) for letter in scene.letters()))
    assert sum("was released" in flat(letter) for letter in scene.letters()) == 1
    assert "staging is unlocked" in flat(checklist)


async def test_a_second_click_is_told_that_it_is_being_carried_out(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    button = dict(scene.slack.find_button(checklist, "unlock.confirm"))
    scene.stage.proxy.fault("dynamodb:DeleteItem", Delay(4), times=1)
    await scene.click(checklist, button)
    await scene.has_recorded("unlock.releasing")

    await scene.click(checklist, button, user=QUINN)

    await scene.told("already running", user=QUINN)
    await scene.becomes(checklist, "staging is unlocked")


async def test_a_doubled_command_makes_one_message(scene):
    await scene.stage.dead_lock()
    delivery = await scene.types("unlock staging")
    await asyncio.gather(*(scene.slack.again(delivery) for _ in range(3)))
    await scene.shown("safe to unlock")
    await scene.slack.again(delivery)
    await scene.settles()

    assert len(scene.posts("Unlock staging")) == 1
    assert (await scene.kinds()).count("command.received") == 1


async def test_a_doubled_click_releases_once(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    delivery = await scene.click(checklist, "unlock.confirm")
    await asyncio.gather(*(scene.slack.again(delivery) for _ in range(3)))
    await scene.becomes(checklist, "staging is unlocked")
    await scene.slack.again(delivery)
    await scene.settles()

    kinds = await scene.kinds()
    assert kinds.count("unlock.requested") == 1
    assert kinds.count("unlock.released") == 1
    assert scene.slack.ephemerals(PARKER, scene.channel) == []


async def test_two_requests_for_one_lock_release_it_once_and_the_other_says_that_it_is_free(scene):
    await scene.stage.dead_lock()
    first = await scene.checklist("unlock staging", "safe to unlock")
    second = await scene.checklist("unlock staging", "safe to unlock", user=QUINN)

    await asyncio.gather(scene.click(first, "unlock.confirm"), scene.click(second, "unlock.confirm", user=QUINN))

    await scene.until(lambda: all("[Unlock" not in flat(m) and "Unlocking" not in flat(m) for m in (first, second)))
    told = sorted(["unlocked" in flat(first), "unlocked" in flat(second)])
    assert told == [False, True]
    assert any("already free" in flat(message) for message in (first, second))
    assert (await scene.kinds()).count("unlock.released") == 1

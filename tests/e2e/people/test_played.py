"""Locks and their people, played through as quinn, parker and elliott: what each of them reads, and how often."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SHORT_TIMES, STATES, SandboxState
from tests.worlds.logs import held

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUINN, PARKER, ELLIOTT = "U0QUINN", "U0PARKER", "U0ELLIOTT"
REPO, DEPLOY, UPDATE = "acme/infra", "deploy.yml", "dependency-update.yml"
AN_HOUR = 3600


@pytest.fixture(scope="module")
def staged():
    settle = {"failed": "4s", "cancelled": "1s", "timed_out": "1s", "lost": "1s"}
    return {
        "states": (
            *STATES,
            SandboxState("lone", "lone.tfstate", workflows=(DEPLOY,)),
            SandboxState("owned", "owned.tfstate", protected=True, workflows=(DEPLOY,)),
        ),
        "policy": {**SHORT_TIMES, "settle": settle},
        "settings": {"watch": {"head_start": "3s"}, "states": {"owned": {"approval": {"by": "owner"}}}},
    }


@pytest.fixture(autouse=True)
def elliott(world):
    """Elliott as the module finds them: away, with nothing to be told of."""
    yield
    world.slack.change_user(
        ELLIOTT, is_deleted=False, presence="away", status_text="", status_emoji="", status_until=0, dnd_until=0
    )


async def answers(scene, letter, action, checklist, *words):
    """Elliott's answer, and what is said of it in the thread of the request."""
    before = len(in_thread(scene, checklist))
    await scene.click(letter, action, user=ELLIOTT)
    said = await scene.until(lambda: in_thread(scene, checklist)[before:])
    assert len(said) == 1
    for word in words:
        assert word in said[0]


def in_thread(scene, message):
    replies = scene.slack.messages(scene.channel, thread_ts=message.ts)
    return [flat(one) for one in replies if one.ts != message.ts and not one.text.startswith("Checklist of ")]


async def test_an_owner_who_changes_their_mind_has_one_message_and_each_answer_is_said_once(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging because the release waits", "safe to unlock")
    letter = await scene.letter("wants to unlock", "still running")

    await answers(scene, letter, "owner.running", checklist, "still running", f"<@{ELLIOTT}> says it's still running")
    await scene.becomes(checklist, "is locked", f"<@{ELLIOTT}> says it's still running", "only a new answer")
    await scene.becomes(letter, "until you withdraw that")
    await answers(scene, letter, "owner.undo", checklist, "withdrew their answer")
    await scene.becomes(checklist, "staging is safe to unlock")
    await scene.becomes(letter, "[ask me in 10 min]")
    await answers(scene, letter, "owner.later", checklist, "asks for time")
    await scene.becomes(letter, "ask again in 10 minutes")
    assert await scene.stands(lock)
    await answers(scene, letter, "owner.dead", checklist, "it's dead", "still checks everything else")
    await scene.becomes(checklist, f"<@{ELLIOTT}> says it's dead")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(letter, "was released", "nothing was undone")

    assert len(in_thread(scene, checklist)) == 4
    letters = await scene.until(lambda: len(scene.letters()) == 2 and scene.letters())
    assert all(letter.ts in {one.ts, one.thread_ts} for one in letters)


async def test_an_owner_on_leave_is_left_in_peace_unless_the_state_is_protected(scene):
    leaves = {"status_text": "On PTO", "status_emoji": ":palm_tree:", "status_until": int(time.time()) + 24 * AN_HOUR}
    scene.slack.change_user(ELLIOTT, dnd_until=int(time.time()) + AN_HOUR, **leaves)
    await scene.stage.dead_lock()
    await scene.types("who staging")
    told = flat(await scene.told("On PTO", "until", "Do not disturb", "Who can act instead"))
    assert f"<@{QUINN}>" in told
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    [left, *_] = await scene.has_recorded("owner.notified")
    assert "no message until" in left.text
    [said] = await scene.until(lambda: in_thread(scene, checklist))
    assert f"<@{ELLIOTT}> is on do-not-disturb until" in said
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    assert scene.letters() == []

    lock, _ = await scene.stage.dead_lock("production")
    needs = await scene.checklist("unlock production", "anyone else in this channel can approve until")

    await scene.letter("production is protected, so we tell you at once", "wants to unlock")
    await scene.click(needs, "unlock.decline", user=QUINN)
    over = flat(await scene.becomes(needs, f"<@{QUINN}> declined"))
    assert over.lower().count("nothing") == 1
    assert await scene.stands(lock, "production")


async def test_a_lock_from_the_owners_laptop_waits_for_their_word_and_then_for_a_second_member(scene):
    await scene.stage.aws.put_state("lone.tfstate")
    lock = await scene.stage.take_lock("lone", who="elliott@mbp")
    words = ("is locked", "Ask the owner to press “It's dead” in their DM from tflock")
    checklist = await scene.checklist("unlock lone", *words)
    assert "[Approve and unlock]" not in flat(checklist)
    letter = await scene.letter("wants to unlock")
    assert await scene.stands(lock, "lone")

    await scene.click(letter, "owner.dead", user=ELLIOTT)
    await scene.becomes(checklist, "needs a second person", f"<@{ELLIOTT}> says it's dead", "[approve and unlock]")
    assert await scene.stands(lock, "lone")
    await scene.click(checklist, "unlock.approve", user=QUINN)

    await scene.becomes(checklist, "lone is unlocked", f"<@{PARKER}> asked, <@{QUINN}> approved")
    await scene.becomes(letter, "your lock on lone was released")
    await scene.letter("unlocked it")


async def test_nobody_is_written_to_where_the_owner_is_gone_or_one_of_several(scene):
    scene.slack.change_user(ELLIOTT, is_deleted=True)
    lock, _ = await scene.stage.dead_lock()
    await scene.types("who staging")
    gone = await scene.told("the account is deactivated, so we send nothing there", f"<@{QUINN}>")
    scene.slack.change_user(ELLIOTT, is_deleted=False)
    other = scene.stage.runs.start_run(REPO, UPDATE, at=lock.created, actor="somebody-else", title="Update")
    scene.stage.runs.finish(other.id, "failure", at=lock.created + timedelta(minutes=5))
    await scene.types("who staging")
    await scene.told(
        "one of 2 people", "somebody-else", f"<@{ELLIOTT}>", "we don't know which of them it is", after=gone
    )

    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")

    assert scene.letters() == []


async def test_those_who_wait_hear_in_turn_that_it_is_free_and_its_owner_that_their_run_had_ended(scene):
    created = datetime.now(UTC) - timedelta(hours=1)
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)
    lock = await scene.stage.take_lock(created=created)
    run = scene.stage.runs.start_run(REPO, DEPLOY, at=created - timedelta(minutes=1), actor="elliott-ci")
    held(run, lock)
    await scene.types("watch staging", user=QUINN)
    await scene.told("nobody else is waiting", user=QUINN)
    await scene.types("watch staging", channel="C0RANDOM")
    await scene.told("you are number 2 of 2", "in a direct message")
    armed = await scene.checklist("unlock staging --when-safe", "as soon as it is safe", "*dead:*", "running")
    letter = await scene.letter("wants to unlock", "running")
    assert await scene.stands(lock)

    scene.stage.runs.finish(run.id, "failure", at=datetime.now(UTC))
    await scene.becomes(armed, "staging is unlocked")

    first = await scene.shown("staging is free", f"<@{QUINN}>", "1 more person is waiting")
    second = await scene.letter("staging is free", "it's your turn", user=PARKER)
    assert float(second.ts) - float(first.ts) >= 3
    told = flat(await scene.becomes(letter, "was released", "failed at"))
    assert "running" not in told
    assert len(scene.posts("staging is free")) == 1


async def test_where_only_the_owner_may_approve_the_message_says_so_and_another_member_cannot(scene):
    lock, _ = await scene.stage.dead_lock("owned")
    checklist = await scene.checklist("unlock owned", "only the owner of the lock can approve until")

    await scene.click(checklist, "unlock.approve", user=QUINN)
    await scene.becomes(checklist, f"<@{QUINN}> is not the owner of the lock", "only the owner of the lock can approve")
    assert await scene.stands(lock, "owned")
    await scene.click(checklist, "unlock.approve", user=ELLIOTT)

    await scene.becomes(checklist, "owned is unlocked", f"<@{ELLIOTT}> approved")

"""Who may, where they may, and what the owner of a lock has to say."""

from __future__ import annotations

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import STATES, SandboxState

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN, ELLIOTT = "U0PARKER", "U0QUINN", "U0ELLIOTT"


@pytest.fixture(scope="module")
def staged():
    return {"states": (*STATES, SandboxState("lone", "lone.tfstate", workflows=("deploy.yml",)))}


NOT_ALLOWED = [
    ("U0GUEST", "guest"),
    ("U0STRANGER", "workspace"),
    ("U0GONE", "deactivated"),
    ("U0OUTSIDE", "not a member of this channel|not in this channel|not a member"),
    ("U0ROBOT", "bot"),
]


@pytest.mark.parametrize(("user", "word"), NOT_ALLOWED)
async def test_whoever_may_not_unlock_is_told_why_and_gets_no_button(scene, user, word):
    scene.slack.add_user("U0ROBOT", "robot", is_bot=True)
    lock, _ = await scene.stage.dead_lock()
    if user == "U0ROBOT":
        scene.slack.team.places[scene.channel].members.append(user)

    await scene.types("unlock staging", user=user)
    told = flat(await scene.told("is locked", user=user)).lower()

    assert any(one in told for one in word.split("|")), told
    assert "you can't unlock it from here" in told
    assert "[unlock staging]" not in told
    assert "[unlock when safe]" not in told
    assert await scene.stands(lock)
    assert scene.posts() == []
    assert scene.letters() == []


@pytest.mark.parametrize(("user", "word"), NOT_ALLOWED)
async def test_whoever_may_not_unlock_cannot_do_it_by_another_persons_button(scene, user, word):
    scene.slack.add_user("U0ROBOT", "robot", is_bot=True)
    lock, _ = await scene.stage.dead_lock()
    if user == "U0ROBOT":
        scene.slack.team.places[scene.channel].members.append(user)
    checklist = await scene.checklist("unlock staging", "safe to unlock")

    await scene.click(checklist, "unlock.confirm", user=user)

    told = flat(await scene.told("nothing was changed", user=user)).lower()
    assert any(one in told for one in word.split("|")), told
    assert await scene.stands(lock)
    # and whoever may still can
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")


async def test_a_user_whom_slack_does_not_know_is_refused(scene):
    lock, _ = await scene.stage.dead_lock()

    await scene.types("unlock staging", user="U0NOBODY")
    await scene.told("is locked", user="U0NOBODY")

    assert await scene.stands(lock)
    assert scene.posts() == []


@pytest.mark.parametrize(
    "command", ["unlock staging", "kill-job staging", "unlock staging --when-safe", "open", "note hello"]
)
async def test_in_another_channel_nothing_can_be_changed_and_nothing_is_posted(scene, command):
    lock, _ = await scene.stage.dead_lock()
    before = len(scene.slack.messages("C0RANDOM"))

    await scene.types(command, channel="C0RANDOM")

    told = flat(await scene.told("incident channels"))
    assert "Nothing was changed" in told
    assert len(scene.slack.messages("C0RANDOM")) == before
    assert await scene.stands(lock)


async def test_in_an_incident_channel_without_the_bot_nothing_can_be_changed(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.slack.add_channel("C0WITHOUT", "inc-without", [PARKER, QUINN], with_bot=False, is_private=True)

    await scene.types("unlock staging", channel="C0WITHOUT")

    told = flat(await scene.told("nothing was changed"))
    assert "channel" in told
    assert await scene.stands(lock)


async def test_in_a_public_incident_channel_without_the_bot_the_lock_stands_and_the_asker_is_answered(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.slack.add_channel("C0PUBLIC", "inc-public", [PARKER, QUINN], with_bot=False)

    await scene.types("unlock staging", channel="C0PUBLIC")

    await scene.told("channel")
    assert await scene.stands(lock)


async def test_in_a_direct_message_status_works_and_unlock_is_refused(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.slack.team.places["D0PARKER"] = type(scene.slack.team.places[scene.channel])(
        "D0PARKER", "", [PARKER, "U0TFLOCK"], direct_to=PARKER
    )

    await scene.types("status staging", channel="D0PARKER")
    await scene.told("staging is locked")
    await scene.types("unlock staging", channel="D0PARKER")

    await scene.told("incident channels")
    assert await scene.stands(lock)


async def test_an_archived_incident_channel_is_none(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.slack.add_channel("C0OLD", "inc-old", [PARKER], is_archived=True)

    await scene.types("unlock staging", channel="C0OLD")

    await scene.told("incident channels")
    assert await scene.stands(lock)


async def test_whoever_left_the_channel_after_the_checklist_cannot_confirm(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.slack.team.places[scene.channel].members.remove(PARKER)

    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "blocked by: requester"))
    assert "[Unlock staging]" not in told
    assert await scene.stands(lock)


# protected


async def test_a_protected_state_needs_a_second_member(scene):
    lock, _ = await scene.stage.dead_lock("production")
    checklist = await scene.checklist("unlock production", "approv", "protected")
    assert "[Approve and unlock]" in flat(checklist)

    await scene.click(checklist, "unlock.approve", user=PARKER)
    await scene.told("second person", "nothing was changed")
    await scene.click(checklist, "unlock.approve", user="U0GUEST")
    await scene.told("guest", "nothing was changed", user="U0GUEST")
    await scene.click(checklist, "unlock.approve", user="U0OUTSIDE")
    await scene.told("nothing was changed", user="U0OUTSIDE")
    assert await scene.stands(lock, "production")

    await scene.click(checklist, "unlock.approve", user=QUINN)
    told = flat(await scene.becomes(checklist, "production is unlocked"))
    assert f"<@{QUINN}> approved" in told
    assert f"<@{PARKER}>" in told
    assert not await scene.stage.lock_stands("production")
    approved = await scene.has_recorded("unlock.approved")
    assert [entry.actor for entry in approved] == [QUINN]


async def test_a_confirm_click_made_up_for_a_protected_state_releases_nothing(scene):
    lock, _ = await scene.stage.dead_lock("production")
    checklist = await scene.checklist("unlock production", "approv")
    made_up = {**scene.slack.find_button(checklist, "unlock.approve"), "action_id": "unlock.confirm"}

    await scene.click(checklist, made_up)

    await scene.has_recorded("unlock.requested")
    await scene.until(lambda: checklist.history and "[Approve and unlock]" in flat(checklist))
    assert await scene.stands(lock, "production")
    await scene.click(checklist, "unlock.approve", user=QUINN)
    await scene.becomes(checklist, "production is unlocked")


# the owner


async def test_the_owner_is_asked_when_somebody_wants_their_lock_released_and_told_when_it_was(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")

    letter = await scene.letter("wants to unlock", "still running")
    assert f"<@{PARKER}>" in flat(letter)
    await scene.click(checklist, "unlock.confirm")
    await scene.letter("was released")
    await scene.until(lambda: any(letter.thread_ts for letter in scene.letters()))
    assert len([letter for letter in scene.letters() if not letter.thread_ts]) == 1


async def test_the_owner_who_says_that_it_is_still_running_blocks_the_unlock(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    letter = await scene.letter("wants to unlock")

    await scene.click(letter, "owner.running", user=ELLIOTT)
    await scene.until(lambda: "[It's still running]" not in flat(letter))
    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "was not unlocked"))
    assert "says it's still running" in told
    assert await scene.stands(lock)
    assert "owner.answered" in await scene.kinds()
    again = flat(await scene.checklist("unlock staging", "is locked"))
    assert "says it's still running" in again


async def test_the_owner_who_says_that_it_is_dead_makes_an_unlock_of_their_own_laptops_lock_possible(scene):
    await scene.stage.aws.put_state("lone.tfstate")
    lock = await scene.stage.take_lock("lone", who="elliott@elliotts-laptop")

    asked = await scene.checklist("unlock lone", "is locked")
    assert "doesn't look like CI" in flat(asked)
    assert "[Unlock lone]" not in flat(asked)
    assert await scene.stands(lock, "lone")

    letter = await scene.letter("wants to unlock")
    await scene.click(letter, "owner.dead", user=ELLIOTT)
    await scene.until(lambda: "[It's dead, go ahead]" not in flat(letter))
    await scene.becomes(asked, "[Approve and unlock]", "says it's dead")
    await scene.click(asked, "unlock.approve", user=PARKER)
    await scene.told("second person")
    assert await scene.stands(lock, "lone")
    await scene.click(asked, "unlock.approve", user=QUINN)
    await scene.becomes(asked, "lone is unlocked")
    assert not await scene.stage.lock_stands("lone")


async def test_a_lock_that_an_unknown_person_holds_on_a_laptop_is_refused(scene):
    await scene.stage.aws.put_state("lone.tfstate")
    lock = await scene.stage.take_lock("lone", who="casey@caseys-macbook")

    told = flat(await scene.checklist("unlock lone", "is locked"))

    assert "casey@caseys-macbook" in told
    assert "only the owner can say" in told
    assert await scene.stands(lock, "lone")


async def test_the_answer_later_changes_nothing_and_is_confirmed(scene):
    lock, _ = await scene.stage.dead_lock()
    await scene.checklist("unlock staging", "safe to unlock")
    letter = await scene.letter("wants to unlock")

    await scene.click(letter, "owner.later", user=ELLIOTT)

    await scene.becomes(letter, "ask again in 10 minutes")
    assert await scene.stands(lock)
    assert [e.facts["says"] for e in await scene.has_recorded("owner.answered")] == ["later"]


async def test_an_owners_button_clicked_by_somebody_else_is_refused(scene):
    lock, _ = await scene.stage.dead_lock()
    await scene.checklist("unlock staging", "safe to unlock")
    letter = await scene.letter("wants to unlock")

    await scene.click(letter, "owner.running", user=QUINN)

    await scene.told("asked of someone else", user=QUINN)
    assert "owner.answered" not in await scene.kinds()
    assert await scene.stands(lock)


async def test_the_owner_is_told_once_that_somebody_asks_about_their_lock(scene):
    await scene.stage.dead_lock()
    await scene.types("status staging")
    await scene.letter("asked about")
    await scene.types("status staging")
    await scene.types("who staging")
    await scene.told("elliott")
    await scene.settles()

    assert len(scene.letters()) == 1


async def test_the_owner_gets_no_letter_about_their_own_question(scene):
    await scene.stage.dead_lock()

    checklist = await scene.checklist("unlock staging", "safe to unlock", user=ELLIOTT)
    await scene.click(checklist, "unlock.confirm", user=ELLIOTT)
    await scene.becomes(checklist, "staging is unlocked")
    await scene.settles()

    assert scene.letters() == []


async def test_an_owner_who_cannot_be_written_to_changes_nothing_and_it_is_recorded(scene):
    await scene.stage.dead_lock()
    scene.slack.refuse("conversations.open", "user_disabled", times=None)

    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "staging is unlocked")
    told = await scene.has_recorded("owner.notified")
    assert "could not be notified" in told[0].text


async def test_who_names_the_owner_where_they_are_and_who_can_act_instead(scene):
    await scene.stage.dead_lock()

    await scene.types("who staging")

    told = flat(await scene.told(f"<@{ELLIOTT}>"))
    assert "On PTO until Monday" in told
    assert f"<@{QUINN}>" in told
    for user in ("U0GUEST", "U0STRANGER", "U0GONE"):
        assert f"<@{user}>" not in told


async def test_who_with_a_user_shows_that_user(scene):
    await scene.types(f"who <@{ELLIOTT}|elliott>")

    assert "On PTO until Monday" in flat(await scene.told(f"<@{ELLIOTT}>"))

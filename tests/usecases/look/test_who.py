"""Who is behind a lock and who can act instead, on a real workspace: with thousands of members, and with trouble."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.gate.inspection import Barred
from bot.core.people import Presence
from bot.core.policy import ApprovalPolicy, Approvers, Holders, KnownPerson
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import DEPLOY, REPO
from bot.slack.render import user_message, who_message
from bot.usecases.look.status import Question
from bot.usecases.look.who import about_user, who
from tests.worlds.logs import held

CHANNEL = "C0STAGING"
QUESTION = Question("U0QUINN", CHANNEL, "who staging")


async def ask(scene):
    return await who(scene.ports, "staging", QUESTION)


def words(message):
    return flat({"text": message.text, "blocks": list(message.blocks)})


def know(scene, *people):
    scene.ports = replace(scene.ports, holders=Holders(people=people))


def group(scene, *users, **policy):
    scene.slack.add_usergroup("S0SRE", "sre", users)
    scene.ports = replace(scene.ports, policy=replace(scene.ports.policy, **policy))


def crowd(scene, count=3_000, **facts):
    """Members whom nobody knows, before those who are there already."""
    place = scene.slack.team.places[CHANNEL]
    ids = [f"U1{number:05}" for number in range(count)]
    for number, user in enumerate(ids):
        scene.slack.add_user(user, f"member {number}", **{"presence": "away", **facts})
    place.members[:0] = ids


async def lock_of(scene, *, who="runner@fv-az881-525", finished=True, **run):
    lock = await scene.lock(who=who)
    record = scene.github.runs.start_run(REPO, DEPLOY, at=lock.created - timedelta(minutes=3), **run)
    if who.startswith("runner@"):
        held(record, lock)
    if finished:
        scene.github.runs.finish(record.id, "timed_out", at=lock.created + timedelta(minutes=10))
    return lock


# ── the owner


async def test_a_run_that_a_person_started_is_theirs(scene):
    await scene.dead_lock()

    report = await ask(scene)

    assert (report.inspection.owner.slack_id, report.inspection.owners) == ("U0ELLIOTT", ())


async def test_the_commits_author_is_asked_where_a_bot_started_the_run(scene):
    lock = await lock_of(scene, actor="renovate[bot]", author="Elliott", author_email="elliott@example.com")
    know(scene, KnownPerson("elliott", "U0ELLIOTT", email="elliott@example.com"))

    owner = (await ask(scene)).inspection.owner

    assert (owner.slack_id, owner.is_certain) == ("U0ELLIOTT", False)
    assert await scene.stands(lock)


async def test_an_author_whom_only_slack_knows_is_found_by_their_address(scene):
    scene.slack.change_user("U0ELLIOTT", email="elliott@example.com")
    await lock_of(scene, actor="dependabot[bot]", author="E.", author_email="Elliott@Example.com")
    know(scene)

    assert (await ask(scene)).inspection.owner.slack_id == "U0ELLIOTT"


@pytest.mark.parametrize(
    ("author", "email"),
    [
        ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com"),
        ("Renovate Bot", "bot@renovateapp.com"),
        ("", ""),
    ],
)
async def test_a_bot_is_never_an_owner(scene, author, email):
    await lock_of(scene, actor="renovate[bot]", author=author, author_email=email)

    report = await ask(scene)

    assert (report.inspection.owner, report.inspection.owners) == (None, ())
    assert "renovate[bot]" in words(who_message(report))


async def test_of_two_who_may_hold_the_lock_none_is_picked_and_none_is_written_to(scene):
    lock = await lock_of(scene, actor="elliott-ci")
    scene.github.runs.start_run(REPO, DEPLOY, at=lock.created - timedelta(minutes=1), actor="quinn")

    report = await ask(scene)

    assert report.inspection.owner is None
    assert sorted(owner.name for owner in report.inspection.owners) == ["elliott", "quinn"]
    assert scene.wrote() == []


async def test_beside_a_bots_run_that_may_hold_the_lock_the_other_runs_starter_is_only_shown(scene):
    lock = await lock_of(scene, actor="elliott-ci")
    scene.github.runs.start_run(REPO, DEPLOY, at=lock.created - timedelta(minutes=1), actor="renovate[bot]")

    report = await ask(scene)

    assert (report.inspection.owner, [owner.name for owner in report.inspection.owners]) == (None, ["elliott"])
    assert scene.wrote() == []


async def test_two_logins_of_one_person_are_one_owner(scene):
    lock = await lock_of(scene, actor="elliott-ci")
    scene.github.runs.start_run(REPO, DEPLOY, at=lock.created - timedelta(minutes=1), actor="elliott2")
    know(
        scene,
        KnownPerson("elliott", "U0ELLIOTT", github="elliott-ci"),
        KnownPerson("elliott at home", "U0ELLIOTT", github="elliott2"),
    )

    assert (await ask(scene)).inspection.owner.slack_id == "U0ELLIOTT"


async def test_a_run_that_went_on_beside_a_laptops_lock_does_not_make_its_actor_the_owner(scene):
    await lock_of(scene, who="sam@mbp-14", actor="elliott-ci")

    report = await ask(scene)

    assert report.inspection.owner is None
    assert [(owner.name, owner.is_certain) for owner in report.inspection.owners] == [("elliott", False)]


async def test_a_laptops_user_who_is_called_like_somebody_is_only_a_candidate(scene):
    await scene.lock(who="quinn@mbp-14")
    know(scene, KnownPerson("quinn", "U0QUINN"))

    report = await ask(scene)

    assert (report.inspection.owner, [owner.slack_id for owner in report.inspection.owners]) == (None, ["U0QUINN"])


async def test_a_pattern_on_who_makes_a_laptops_user_the_owner(scene):
    await lock_of(scene, who="elliott@mbp-14", actor="quinn")

    assert (await ask(scene)).inspection.owner.slack_id == "U0ELLIOTT"


@pytest.mark.parametrize(
    ("facts", "barred"),
    [
        ({"is_deleted": True}, Barred.DEACTIVATED),
        ({"is_stranger": True, "team": "T0ELSEWHERE"}, Barred.STRANGER),
        ({"is_bot": True}, Barred.BOT),
    ],
)
async def test_an_owner_who_is_gone_is_shown_as_such_and_not_written_to(scene, facts, barred):
    await scene.dead_lock()
    scene.slack.change_user("U0ELLIOTT", **facts)

    report = await ask(scene)
    await scene.ask()

    owner = report.inspection.owner
    assert (owner.slack_id, owner.account, owner.barred) == (None, "U0ELLIOTT", barred)
    assert "we send nothing there" in words(who_message(report))
    assert scene.wrote() == []


async def test_a_guest_may_be_the_owner(scene):
    await scene.dead_lock()
    scene.slack.change_user("U0ELLIOTT", is_guest=True)

    report = await ask(scene)

    assert report.inspection.owner.slack_id == "U0ELLIOTT"
    assert "a guest" in words(who_message(report))


async def test_a_slow_slack_does_not_hold_up_the_look_at_a_state(scene):
    await scene.dead_lock()
    scene.slack.slow("users.info", seconds=120)
    started = asyncio.get_running_loop().time()

    report = await ask(scene)

    assert asyncio.get_running_loop().time() - started < 100
    assert report.inspection.owner.slack_id == "U0ELLIOTT"
    assert isinstance(report.member, Unseen)
    assert report.stand_ins.missing.trouble is Trouble.TIMED_OUT


# ── their hours


@pytest.mark.parametrize(("now", "there"), [("2026-07-01T12:00:00+00:00", 14), ("2026-12-01T12:00:00+00:00", 13)])
async def test_the_local_time_follows_the_clock_change(scene, now, there):
    await scene.dead_lock()
    scene.slack.change_user("U0ELLIOTT", tz="Europe/Berlin")
    report = await about_user(replace(scene.ports, clock=Fixed(datetime.fromisoformat(now))), "U0ELLIOTT")

    assert report.local_time.hour == there


class Fixed:
    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at


@pytest.mark.parametrize("method", ["users.getPresence", "users.profile.get", "dnd.info"])
async def test_what_slack_does_not_tell_is_named_and_the_rest_is_told(scene, method):
    await scene.dead_lock()
    scene.slack.change_user("U0ELLIOTT", presence="away", status_text="On PTO", status_emoji=":palm_tree:")
    scene.slack.crash(method, times=None)

    report = await ask(scene)

    assert len(report.whereabouts.value.unseen) == 1
    assert "Slack didn't say" in words(who_message(report))
    assert ("On PTO" in words(who_message(report))) == (method != "users.profile.get")


# ── who can act instead


async def test_who_is_active_comes_first_and_a_guest_or_the_owner_not_at_all(scene):
    await scene.dead_lock()
    scene.slack.change_user("U0QUINN", presence="away")

    found = (await ask(scene)).stand_ins

    assert [one.member.name for one in found.people] == ["parker", "quinn"]
    assert (found.others, found.missing) == (0, None)


@pytest.fixture
def patient(monkeypatch):
    """A machine that is busy with other tests answers for 3,000 members later than Slack does."""
    monkeypatch.setattr("bot.usecases.owner.stand_ins._FOR_THE_ROLL", 60.0)
    monkeypatch.setattr("bot.usecases.owner.stand_ins.SECONDS", 90.0)


@pytest.mark.usefixtures("patient")
async def test_in_a_crowd_those_who_took_part_come_first_and_the_rest_is_counted(scene):
    await scene.dead_lock()
    crowd(scene)

    found = (await ask(scene)).stand_ins

    assert found.people[0].member.name in {"quinn", "parker"}
    assert found.others > 2_900
    infos = [call for call in scene.slack.calls if call.method == "users.info"]
    assert len(infos) < 60


@pytest.mark.usefixtures("patient")
async def test_in_a_crowd_the_allowed_group_is_looked_through_and_nobody_else(scene):
    await scene.dead_lock()
    crowd(scene)
    group(scene, "U102999", "U0PARKER", "U0OUTSIDE", unlock_groups=("S0SRE",))

    found = (await ask(scene)).stand_ins

    assert [one.member.id for one in found.people] == ["U0PARKER", "U102999"]
    assert (found.others, found.missing) == (0, None)


@pytest.mark.usefixtures("patient")
async def test_enough_active_members_end_the_search(scene):
    await scene.dead_lock()
    crowd(scene, presence="active")

    found = (await ask(scene)).stand_ins

    assert len(found.people) >= 10
    assert all(one.presence is Presence.ACTIVE for one in found.people[:10])
    assert "Who can act instead:" in words(who_message(await ask(scene)))


async def test_a_throttled_slack_is_left_in_peace_and_the_list_says_so(scene):
    await scene.dead_lock()
    crowd(scene, 200)
    scene.slack.throttle("users.info", retry_after=30, times=None, skip=12)

    report = await ask(scene)

    assert report.stand_ins.missing.trouble is Trouble.THROTTLED
    assert report.stand_ins.people
    assert "There may be more" in words(who_message(report))
    assert len([call for call in scene.slack.calls if call.method == "users.info"]) < 40


@pytest.mark.usefixtures("patient")
async def test_a_list_of_members_that_breaks_off_is_used_as_far_as_it_goes(scene):
    await scene.dead_lock()
    place = scene.slack.team.places[CHANNEL]
    place.members.extend(f"U2{number:05}" for number in range(3_000))
    scene.slack.throttle("conversations.members", retry_after=30, times=None, skip=1)

    report = await ask(scene)

    assert {"quinn", "parker"} <= {one.member.name for one in report.stand_ins.people}
    assert report.stand_ins.missing.trouble is Trouble.THROTTLED


async def test_a_group_that_cannot_be_read_leaves_the_list_empty_and_says_why(scene):
    await scene.dead_lock()
    group(scene, "U0PARKER", unlock_groups=("S0SRE",))
    scene.slack.crash("usergroups.users.list", times=None)

    found = (await ask(scene)).stand_ins

    assert found.people == ()
    assert found.missing.trouble is Trouble.SERVER_ERROR


async def test_a_state_that_a_group_approves_names_those_of_it_who_are_here(scene):
    await scene.dead_lock()
    group(scene, "U0PARKER", "U0OUTSIDE", approval=ApprovalPolicy(Approvers.GROUP, ("S0SRE",)))

    report = await ask(scene)

    assert [one.member.name for one in report.approvers.people] == ["parker"]
    assert "Who can approve" in words(who_message(report))


async def test_outside_an_incident_channel_nobody_is_looked_up(scene):
    await scene.dead_lock()
    scene.slack.add_channel("C0GENERAL", "general", ["U0QUINN"])

    report = await who(scene.ports, "staging", Question("U0QUINN", "C0GENERAL", "who staging"))

    assert report.stand_ins is None
    assert "in an incident channel" in words(who_message(report))


# ── a person


async def test_a_person_is_shown_with_the_locks_of_their_runs_and_not_only_those_that_name_them(scene):
    lock, _ = await scene.dead_lock()

    report = await about_user(scene.ports, "U0ELLIOTT")

    ((held),) = report.locks
    assert (held.lock.id, held.is_sure) == (lock.id, True)
    assert "staging is locked" in words(user_message(report))


async def test_somebody_elses_lock_is_not_theirs(scene):
    await scene.dead_lock()

    report = await about_user(scene.ports, "U0QUINN")

    assert (report.locks, report.unknown, report.unread) == ((), 0, 0)
    assert isinstance(report.member, Found)


async def test_a_lock_that_may_be_anothers_is_shown_as_that(scene):
    lock = await lock_of(scene, actor="elliott-ci")
    scene.github.runs.start_run(REPO, DEPLOY, at=lock.created - timedelta(minutes=1), actor="quinn")

    ((held),) = (await about_user(scene.ports, "U0ELLIOTT")).locks

    assert held.is_sure is False

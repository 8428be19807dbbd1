"""`who`, as it reads on a phone: for each way in which a person can be there, away, unknown or gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.gate.attribution import Attribution, Candidate, Strength
from bot.core.gate.inspection import Barred, Owner, StateName
from bot.core.hours import hours_from, on_clock
from bot.core.people import Presence, Whereabouts
from bot.core.phrase import Quoted
from bot.core.policy import ApprovalPolicy, Approvers
from bot.core.reports.who import HeldLock, StandIn, StandIns, UserReport, WhoReport
from bot.sandbox.slack.text import flat
from bot.slack.render import user_message, who_message

NOON = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)  # a Thursday
SATURDAY = NOON + timedelta(days=2)
STARTED = ("started the run, as ", Quoted("elliott-ci"))
ACTIVE = Whereabouts(Presence.ACTIVE, "", "", None, None)
AWAY = Whereabouts(Presence.AWAY, "", "", None, None)
ZONES = {"paris": ("Europe/Paris", 3600), "sydney": ("Australia/Sydney", 39_600), "lost": ("Mars/Base", -12_600)}


@pytest.fixture
def reads(snapshot):
    def check(message):
        text = f"{message.text}\n---\n{flat({'text': message.text, 'blocks': list(message.blocks)})}"
        assert text == snapshot
        return text

    return check


@pytest.fixture
def who(scene):
    def make(where=ACTIVE, *, at=NOON, zone="paris", owner=None, **changes):
        tz, offset = ZONES[zone]
        member = replace(scene.member("U0ELLIOTT", "elliott"), tz=tz, tz_offset=offset)
        quinn = StandIn(scene.member("U0QUINN", "quinn"), Presence.ACTIVE, on_clock(at, *ZONES["paris"]), at_work=True)
        parker = StandIn(
            scene.member("U0PARKER", "parker"), Presence.AWAY, on_clock(at, *ZONES["sydney"]), at_work=False
        )
        owner = owner or Owner("elliott", "U0ELLIOTT", STARTED, account="U0ELLIOTT")
        values = {
            "inspection": replace(scene.inspection(contended=False), owner=owner),
            "member": Found(member, at),
            "whereabouts": Found(where, at),
            "local_time": on_clock(at, tz, offset),
            "stand_ins": StandIns((quinn, parker)),
            **changes,
        }
        return who_message(WhoReport(**values))

    return make


@pytest.fixture
def nobody(scene):
    """A report on a lock whose owner is not one person."""

    def make(owners=(), tied=None, who="runner@fv-az881-525"):
        inspection = scene.inspection(contended=False)
        lock = replace(inspection.lock, who=who)
        inspection = replace(
            inspection, owner=None, owners=owners, lock=lock, attribution=tied or inspection.attribution
        )
        return who_message(WhoReport(inspection, None, None, None, StandIns()))

    return make


def test_an_owner_at_his_desk(who, reads):
    assert "Ask " in reads(who())


def test_an_owner_on_leave_with_its_end(who, reads):
    monday = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    told = reads(who(Whereabouts(Presence.AWAY, "On PTO", ":palm_tree:", monday, None)))
    assert "Mon 23 Nov 2026" in told or "Monday" in told


def test_an_owner_who_is_not_to_be_disturbed(who, reads):
    reads(who(Whereabouts(Presence.ACTIVE, "", "", None, NOON + timedelta(hours=20))))


def test_an_owner_in_the_middle_of_the_night(who, reads):
    reads(who(AWAY, zone="sydney", at=NOON + timedelta(hours=4)))


def test_an_owner_at_the_weekend(who, reads):
    reads(who(AWAY, at=SATURDAY))


def test_an_owner_with_working_hours_of_his_own(who, reads):
    reads(who(ACTIVE, at=SATURDAY, hours=hours_from("Sat-Sun 08:00-14:00")))


def test_an_owner_whose_zone_nobody_knows_by_its_offset(who, reads):
    assert "(UTC-03:30)" in reads(who(zone="lost"))


def test_an_owner_of_whom_slack_tells_only_a_part(who, reads):
    where = Whereabouts(Presence.UNKNOWN, "", "", None, None, ("presence", "do-not-disturb"))
    reads(who(where, local_time=None))


@pytest.mark.parametrize("barred", Barred)
def test_an_owner_who_is_not_written_to(who, reads, barred):
    owner = Owner("elliott", None, STARTED, account="U0ELLIOTT", barred=barred)
    told = reads(who(AWAY, owner=owner))
    assert "so we send nothing there" in told
    assert "<@U0ELLIOTT>" not in told


def test_an_owner_whom_slack_does_not_know(who, reads):
    reads(who(owner=Owner("elliott", None, STARTED), member=None, whereabouts=None, local_time=None))


def test_an_owner_who_is_a_guest(who, scene, reads):
    reads(who(member=Found(replace(scene.member("U0ELLIOTT", "elliott"), is_guest=True), NOON)))


def test_several_who_may_be_the_owner(nobody, reads):
    owners = (
        Owner("elliott", "U0ELLIOTT", STARTED),
        Owner("quinn", None, ("started the run, as ", Quoted("quinn"))),
        Owner("parker", None, ("started the run, as ", Quoted("parker")), "U0PARKER", Barred.DEACTIVATED),
    )
    assert "Not asked" in reads(nobody(owners))


def test_nobody_is_known(nobody, reads):
    reads(nobody(tied=Attribution(None, (), ("no run was going on",))))


def test_a_bot_started_the_run(nobody, scene, reads):
    run = replace(scene.run(), actor="renovate[bot]", by_bot=True)
    tied = Attribution(Strength.WINDOW, (Candidate(run, Found(run, NOON), ()),), ("it is the only run",))
    assert "renovate[bot]" in reads(nobody(tied=tied))


def test_a_laptop_whose_user_may_be_somebody(nobody, reads):
    said = ("the user in the lock's Who, ", Quoted("elliott@mbp-14"), ", is called so")
    owners = (Owner("elliott", "U0ELLIOTT", said, is_certain=False),)
    assert "Not asked" in reads(nobody(owners, Attribution(None, (), ("no run was going on",)), who="elliott@mbp-14"))


def test_more_stand_ins_than_a_message_has_room_for(who, scene, reads):
    crowd = tuple(StandIn(scene.member(f"U0{number:02}", f"person {number}"), Presence.ACTIVE) for number in range(13))
    reads(who(stand_ins=StandIns(crowd, others=2_960)))


def test_a_slack_that_asks_for_patience(who, reads):
    busy = Unseen("Slack", Trouble.THROTTLED, "Slack asks for patience while looking up a user", NOON, 30.0)
    reads(who(member=busy, whereabouts=busy, local_time=None, stand_ins=StandIns((), 2_999, busy)))


@pytest.mark.parametrize("by", [Approvers.OWNER, Approvers.NOBODY, Approvers.GROUP])
def test_who_may_approve_is_said_where_it_is_not_everybody(who, scene, reads, by):
    group = StandIns((StandIn(scene.member("U0PARKER", "parker"), Presence.ACTIVE),))
    reads(who(approval=ApprovalPolicy(by), approvers=group if by is Approvers.GROUP else None))


def test_a_person_with_locks_that_are_his_and_may_be(scene, reads):
    staging, production = StateName("staging", "", protected=False), StateName("production", "", protected=True)
    locks = (HeldLock(staging, scene.lock, STARTED), HeldLock(production, scene.lock, STARTED, is_sure=False))
    member = Found(scene.member("U0ELLIOTT", "elliott"), NOON)
    reads(user_message(UserReport(member, Found(ACTIVE, NOON), NOON, locks, unread=2, unknown=5)))


def test_a_person_who_has_left(scene, reads):
    member = Found(replace(scene.member("U0ELLIOTT", "elliott"), is_deleted=True, tz=None, tz_offset=0), NOON)
    reads(user_message(UserReport(member, Found(AWAY, NOON), None, (), barred=Barred.DEACTIVATED)))


def test_a_person_whom_nobody_knows(reads):
    missing = NotFound("Slack", "Slack answered user_not_found while looking up a user", NOON)
    reads(user_message(UserReport(missing, missing, None, ())))

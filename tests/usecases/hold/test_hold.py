"""A hold from the asking to its end: who may, what is written down, what Terraform prints, and who ends it."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from bot.core.hold import hold_in, words_of
from bot.core.lock import LockInfo, LockPlace, PlaceKind, PlaceRelease, ReleaseResult, parse_lock_info
from bot.core.record.timeline import verify
from bot.core.reports.hold import HoldEnd, HoldReport, HoldStage
from bot.core.reports.report import Notice
from bot.errors import JournalAway, NotPermitted, Unreachable
from bot.usecases.hold import ask as holds
from bot.usecases.hold import keep
from bot.usecases.hold.record import HOLDS, HoldPhase
from bot.worker import PERIODIC
from tests.worlds.memory.memory import S3_LIKE, WORKER, MemoryLockBackend, Throttle, lock_text
from tests.worlds.memory.world import CHANNEL, STATE

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def paper(make_paper):
    return make_paper()


def command(paper, user="U0QUINN", **more):
    more = {"reason": "the apply died", **more}
    return holds.HoldCommand(STATE, user, CHANNEL, paper.incident.id, **more)


def hold(paper, user="U0QUINN", *, seconds=1, **more):
    record = paper.run(holds.ask(paper.ports, command(paper, user, **more)))
    paper.pass_time(seconds)
    return record.hold.id


def record_of(paper, hold_id):
    return paper.run(HOLDS.get(paper.ports, hold_id))


def standing(paper):
    return {kind: parse_lock_info(text) for kind, (text, _) in paper.store.texts.items()}


def kinds_of(paper):
    entries = paper.journal.logs[paper.incident.id]
    verify(entries)
    return [entry.kind for entry in entries if entry.kind.startswith("hold.")]


def shown(paper):
    return [report for report in paper.messenger.shown.values() if isinstance(report, HoldReport)][-1]


def apply_lock(paper, kinds=None, name="lock-1", who="runner@fv-az1-1"):
    info = LockInfo(name, "OperationTypeApply", "", who, "1.9.8", paper.clock.now(), "p")
    for kind in kinds or paper.kinds:
        paper.store.write(kind, lock_text(info))


def test_a_free_state_is_held_in_every_place_and_says_who_why_and_until_when(paper):
    asked_at = paper.clock.now()
    hold_id = hold(paper)

    there = standing(paper)

    assert set(there) == set(paper.kinds)
    (info,) = set(there.values())
    said = words_of(info)
    assert (info.operation, said.ref, said.reason) == ("tflock hold", hold_id, "the apply died")
    assert info.who == "tflock@inc-c0inc (@quinn)"
    assert said.until == asked_at + HALF_AN_HOUR
    assert said.link.startswith("https://example.slack.com/archives/C0INC/p")
    assert kinds_of(paper) == ["hold.requested", "hold.placed"]
    assert (shown(paper).stage, shown(paper).hold.lock_id) == (HoldStage.HELD, info.id)


def test_a_hold_ends_at_its_time_and_not_before(paper):
    hold(paper)

    paper.pass_time(29 * 60)
    before = standing(paper)
    paper.pass_time(60)

    assert set(before) == set(paper.kinds)
    assert standing(paper) == {}
    assert kinds_of(paper)[-1] == "hold.ended"
    assert (shown(paper).stage, shown(paper).end) == (HoldStage.ENDED, HoldEnd.TIME)


def test_a_hold_ends_within_a_minute_of_a_worker_being_back(paper):
    hold(paper)
    paper.run(asyncio.sleep(3 * 3600))
    assert standing(paper) != {}

    paper.pass_time(60)

    assert standing(paper) == {}


def test_a_hold_whose_jobs_were_all_lost_ends_all_the_same(paper):
    hold(paper)
    paper.jobs.waiting.clear()
    paper.run(asyncio.sleep(1801))

    paper.run(PERIODIC["tend"].work(paper.ports))
    paper.pass_time(1)

    assert standing(paper) == {}


def test_its_asker_is_told_before_it_ends_and_prolongs_it_with_a_click(paper):
    hold_id = hold(paper)
    before = standing(paper)[paper.kinds[0]]

    paper.pass_time(26 * 60)
    (to, notice) = paper.messenger.posted(Notice)[-1]
    paper.run(holds.prolong(paper.ports, hold_id, user="U0QUINN"))
    paper.pass_time(10 * 60)

    assert to == "DU0QUINN"
    assert [offer.action for offer in notice.offers] == ["hold.prolong", "hold.lift"]
    (info,) = set(standing(paper).values())
    assert words_of(info).until == words_of(before).until + HALF_AN_HOUR
    assert info.id == before.id
    assert "hold.prolonged" in kinds_of(paper)
    paper.pass_time(25 * 60)
    assert standing(paper) == {}


def test_nobody_else_prolongs_a_hold(paper):
    hold_id = hold(paper)

    with pytest.raises(NotPermitted, match="Only the person who asked"):
        paper.run(holds.prolong(paper.ports, hold_id, user="U0PARKER"))
    paper.pass_time(1800)

    assert standing(paper) == {}


def test_a_hold_cannot_be_prolonged_past_a_day_from_now(paper):
    hold_id = hold(paper, span=timedelta(hours=24))

    with pytest.raises(NotPermitted, match="24 hours"):
        paper.run(holds.prolong(paper.ports, hold_id, user="U0QUINN"))


@pytest.mark.parametrize("span", [timedelta(minutes=1), timedelta(hours=24)])
def test_a_hold_is_as_short_or_as_long_as_it_may_be(paper, span):
    asked_at = paper.clock.now()
    hold(paper, span=span)

    assert {words_of(info).until for info in standing(paper).values()} == {asked_at + span}


@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=59), timedelta(hours=24, seconds=1), -HALF_AN_HOUR])
def test_a_hold_is_neither_too_short_nor_too_long(paper, span):
    with pytest.raises(NotPermitted, match="from 1 minute to 24 hours"):
        hold(paper, span=span)

    assert standing(paper) == {}


def test_a_state_that_someone_has_is_never_held_over_them(paper):
    apply_lock(paper)

    with pytest.raises(NotPermitted, match="is locked"):
        hold(paper)

    assert {info.id for info in standing(paper).values()} == {"lock-1"}


@pytest.mark.parametrize("number", [0, 1])
def test_someone_who_is_faster_keeps_their_lock_and_nothing_of_the_hold_stays(paper, number):
    """They take it between the look and the write, also when one place is the hold's already."""
    taken = paper.kinds[number]

    async def fault(name):
        if name == f"hold {taken}" and taken not in paper.store.texts:
            apply_lock(paper, [taken])

    paper.switchboard.fault = fault
    hold(paper)

    assert {kind: info.id for kind, info in standing(paper).items()} == {taken: "lock-1"}
    assert shown(paper).stage is HoldStage.NOT_PLACED
    assert "runner@fv-az1-1 was faster" in shown(paper).note[0].text


@pytest.mark.parametrize("user", ["U0GUEST", "U0NOBODY"])
def test_a_guest_and_a_stranger_may_not_hold_lift_or_prolong(paper, user):
    with pytest.raises(NotPermitted):
        hold(paper, user)
    hold_id = hold(paper)

    for act in (holds.lift, holds.prolong):
        with pytest.raises(NotPermitted):
            paper.run(act(paper.ports, hold_id, user=user))
    paper.pass_time(5)

    assert set(standing(paper)) == set(paper.kinds)


@pytest.mark.parametrize("user", ["U0QUINN", "U0PARKER"])
def test_any_member_lifts_the_hold_of_a_state_that_is_not_protected(paper, user):
    hold(paper)

    paper.run(holds.lift_of(paper.ports, paper.ports.states[STATE], user=user, channel=CHANNEL))
    paper.pass_time(1)

    assert standing(paper) == {}
    assert (shown(paper).end, shown(paper).by) == (HoldEnd.LIFTED, user)


def test_somebody_elses_hold_of_a_protected_state_takes_two_to_lift(make_paper):
    paper = make_paper(protected=True)
    hold_id = hold(paper)

    paper.run(holds.lift(paper.ports, hold_id, user="U0PARKER"))
    paper.pass_time(5)
    alone = standing(paper)
    with pytest.raises(NotPermitted, match="a second person must approve"):
        paper.run(holds.approve(paper.ports, hold_id, user="U0PARKER", lifter="U0PARKER"))
    with pytest.raises(NotPermitted):
        paper.run(holds.approve(paper.ports, hold_id, user="U0GUEST", lifter="U0PARKER"))
    with pytest.raises(NotPermitted, match="Nobody waits"):
        paper.run(holds.approve(paper.ports, hold_id, user="U0ELLIOTT", lifter="U0QUINN"))
    paper.run(holds.approve(paper.ports, hold_id, user="U0ELLIOTT", lifter="U0PARKER"))
    paper.pass_time(1)

    assert set(alone) == set(paper.kinds)
    assert standing(paper) == {}
    assert (shown(paper).by, shown(paper).approver) == ("U0PARKER", "U0ELLIOTT")
    assert kinds_of(paper) == ["hold.requested", "hold.placed", "hold.lift_requested", "hold.ended"]


def test_its_own_asker_lifts_the_hold_of_a_protected_state_alone(make_paper):
    paper = make_paper(protected=True)
    hold_id = hold(paper)

    paper.run(holds.lift(paper.ports, hold_id, user="U0QUINN"))
    paper.pass_time(1)

    assert standing(paper) == {}


def test_an_old_wish_to_lift_a_hold_is_not_agreed_to(make_paper):
    paper = make_paper(protected=True)
    hold_id = hold(paper, span=timedelta(hours=5))
    paper.run(holds.lift(paper.ports, hold_id, user="U0PARKER"))
    paper.pass_time(paper.policy.approval_timeout.total_seconds() + 1)

    with pytest.raises(NotPermitted, match="too old"):
        paper.run(holds.approve(paper.ports, hold_id, user="U0ELLIOTT", lifter="U0PARKER"))

    assert set(standing(paper)) == set(paper.kinds)


def test_a_hold_lasts_only_as_long_as_the_rights_of_its_asker(paper):
    hold(paper, span=timedelta(hours=5))
    member = paper.directory.people["U0QUINN"]
    paper.directory.people["U0QUINN"] = replace(member, is_deleted=True)

    paper.pass_time(180)

    assert standing(paper) == {}
    assert shown(paper).end is HoldEnd.RIGHTS


def test_a_slack_that_does_not_answer_ends_no_hold_before_its_time_and_keeps_none_past_it(paper):
    hold(paper)

    async def fault(name):
        if name.startswith(("ask ", "member", "channel", "tell", "notice", "notify", "open room", "look for")):
            raise Unreachable("Slack", "no answer")

    paper.switchboard.fault = fault
    paper.pass_time(25 * 60)
    during = standing(paper)
    paper.pass_time(6 * 60)

    assert set(during) == set(paper.kinds)
    assert standing(paper) == {}


def test_the_look_after_a_hold_that_has_ended_is_started_again_if_it_was_lost_and_else_stays_one(paper):
    hold_id = hold(paper)
    paper.pass_time(31 * 60)
    record, there = record_of(paper, hold_id), set(paper.jobs.waiting)
    assert (record.phase, record.is_settled, len(there)) == (HoldPhase.ENDED, False, 1)

    paper.run(keep.tend(paper.ports))
    kept = set(paper.jobs.waiting)
    paper.jobs.waiting.clear()
    paper.run(keep.tend(paper.ports))

    assert kept == set(paper.jobs.waiting) == there


def test_a_hold_that_force_unlock_has_ended_is_told_and_nothing_else_is_touched(paper):
    hold(paper)
    paper.store.texts.clear()
    apply_lock(paper)

    paper.pass_time(180)

    assert {info.id for info in standing(paper).values()} == {"lock-1"}
    assert shown(paper).end is HoldEnd.OUTSIDE


def test_a_store_that_stays_away_past_the_end_loses_its_hold_when_it_is_back(paper):
    hold(paper)
    is_away = True

    async def fault(name):
        if is_away and WORKER.get() and name.startswith(("delete", "read lockfile", "read dynamodb")):
            raise Throttle

    paper.switchboard.fault = fault
    paper.pass_time(40 * 60)
    late, told = standing(paper), shown(paper)
    is_away = False
    paper.pass_time(60)

    assert set(late) == set(paper.kinds)
    assert told.stage is HoldStage.ENDING
    assert standing(paper) == {}
    assert shown(paper).stage is HoldStage.ENDED


def test_without_redis_before_the_record_nothing_is_taken(paper):
    async def fault(name):
        if name.startswith(("put hold", "get hold")):
            raise JournalAway("away")

    paper.switchboard.fault = fault
    with pytest.raises(JournalAway):
        hold(paper)
    paper.pass_time(60)

    assert standing(paper) == {}


def test_a_hold_whose_record_is_lost_ends_by_what_its_own_lock_says(paper):
    hold_id = hold(paper)
    paper.run(HOLDS.forget(paper.ports, hold_id))
    paper.jobs.waiting.clear()

    paper.run(PERIODIC["watch_states"].work(paper.ports))
    paper.pass_time(25 * 60)
    before = standing(paper)
    paper.run(asyncio.sleep(8 * 60))
    paper.run(PERIODIC["watch_states"].work(paper.ports))
    paper.pass_time(5)

    assert set(before) == set(paper.kinds)
    assert standing(paper) == {}


def test_a_hold_whose_record_is_lost_is_lifted_as_somebody_elses(make_paper):
    paper = make_paper(protected=True)
    hold_id = hold(paper)
    paper.run(HOLDS.forget(paper.ports, hold_id))
    state = paper.ports.states[STATE]

    paper.run(holds.lift_of(paper.ports, state, user="U0QUINN", channel=CHANNEL))
    paper.pass_time(3)
    alone = standing(paper)
    paper.run(holds.approve(paper.ports, hold_id, user="U0ELLIOTT", lifter="U0QUINN"))
    paper.pass_time(3)

    assert set(alone) == set(paper.kinds)
    assert standing(paper) == {}


def test_a_write_that_arrives_after_the_end_was_told_is_ended_again(paper):
    hold_id = hold(paper)
    texts = dict(paper.store.texts)
    paper.run(holds.lift(paper.ports, hold_id, user="U0QUINN"))
    paper.pass_time(3)
    assert standing(paper) == {}

    paper.store.texts.update(texts)
    paper.run(PERIODIC["watch_states"].work(paper.ports))
    paper.pass_time(3)

    assert standing(paper) == {}
    assert record_of(paper, hold_id).phase is HoldPhase.ENDED


@pytest.mark.parametrize("ends", ["its time", "force-unlock", "rights", "lift"])
@pytest.mark.parametrize("is_dead", [True, False])
def test_that_a_hold_was_placed_is_on_the_timeline_once_whatever_becomes_of_its_worker(paper, is_dead, ends):
    async def fault(name):
        if is_dead and WORKER.get() and name.startswith("append") and paper.store.texts:
            paper.switchboard.dead.add(WORKER.get())

    hold_id = paper.run(holds.ask(paper.ports, command(paper))).hold.id
    paper.switchboard.fault = fault
    paper.pass_time(2, workers=("first",))
    paper.switchboard.fault = None
    written = kinds_of(paper)
    if ends == "its time":
        paper.run(asyncio.sleep(31 * 60))
    if ends == "force-unlock":
        paper.store.texts.clear()
    if ends == "rights":
        paper.directory.people["U0QUINN"] = replace(paper.directory.people["U0QUINN"], is_deleted=True)
    if ends == "lift":
        paper.run(holds.lift(paper.ports, hold_id, user="U0PARKER"))
    paper.pass_time(400)

    assert written == (["hold.requested"] if is_dead else ["hold.requested", "hold.placed"])
    assert kinds_of(paper) == ["hold.requested", "hold.placed", "hold.ended"]
    assert standing(paper) == {}


@pytest.mark.parametrize("is_dead", [True, False])
def test_that_a_hold_was_prolonged_is_on_the_timeline_once_also_if_it_ends_before_the_next_worker(paper, is_dead):
    hold_id, began = hold(paper), paper.clock.now()
    until = began + HALF_AN_HOUR * 2

    async def fault(name):
        there = {words_of(info).until for info in standing(paper).values()}
        if is_dead and WORKER.get() and name.startswith("append") and max(there) > began + HALF_AN_HOUR:
            paper.switchboard.dead.add(WORKER.get())

    paper.run(holds.prolong(paper.ports, hold_id, user="U0QUINN"))
    paper.switchboard.fault = fault
    paper.pass_time(2, workers=("first",))
    paper.switchboard.fault = None
    written = kinds_of(paper)
    paper.run(asyncio.sleep((until - paper.clock.now()).total_seconds() + 5))
    paper.pass_time(400)

    assert written == ["hold.requested", "hold.placed", *([] if is_dead else ["hold.prolonged"])]
    assert kinds_of(paper) == ["hold.requested", "hold.placed", "hold.prolonged", "hold.ended"]
    assert standing(paper) == {}


def test_a_hold_that_was_taken_and_never_written_down_as_such_is_in_place_also_after_the_minute_to_take_it(paper):
    hold_id = paper.run(holds.ask(paper.ports, command(paper))).hold.id

    async def fault(name):
        if WORKER.get() and name.startswith("update hold") and len(paper.store.texts) == len(paper.kinds):
            paper.switchboard.dead.add(WORKER.get())

    paper.switchboard.fault = fault
    paper.pass_time(2, workers=("first",))
    paper.switchboard.fault = None
    there = record_of(paper, hold_id).phase
    paper.run(asyncio.sleep(300))
    paper.pass_time(60)

    assert there is HoldPhase.PLACING
    assert set(standing(paper)) == set(paper.kinds)
    assert kinds_of(paper) == ["hold.requested", "hold.placed"]
    assert record_of(paper, hold_id).phase is HoldPhase.HELD


@pytest.mark.parametrize("late_by", [20, 250])
def test_a_write_that_arrives_late_is_ended_by_the_holds_own_looks_and_written_down(paper, late_by):
    hold_id = hold(paper)
    texts = dict(paper.store.texts)
    paper.run(holds.lift(paper.ports, hold_id, user="U0QUINN"))
    paper.pass_time(late_by)

    paper.store.texts.update(texts)
    paper.pass_time(120)

    assert standing(paper) == {}
    assert kinds_of(paper)[-2:] == ["hold.ended", "hold.ended"]
    assert record_of(paper, hold_id).note == "its lock arrived after its end"
    paper.pass_time(400)
    assert record_of(paper, hold_id).is_settled


def test_a_write_that_arrives_when_nobody_looks_for_it_any_more_is_ended_by_the_watch_and_written_down(paper):
    hold_id = hold(paper)
    texts = dict(paper.store.texts)
    paper.run(holds.lift(paper.ports, hold_id, user="U0QUINN"))
    paper.pass_time(600)
    is_settled = record_of(paper, hold_id).is_settled

    paper.store.texts.update(texts)
    paper.run(PERIODIC["watch_states"].work(paper.ports))
    paper.pass_time(10)

    assert is_settled
    assert standing(paper) == {}
    assert kinds_of(paper)[-2:] == ["hold.ended", "hold.ended"]


class Leases(MemoryLockBackend):
    """A store whose locks have an ID, and a text that may be missing, or still that of the lock before."""

    async def end(self, kind, hold, **_):
        _text, lease = self.store.texts.get(kind, ("", ""))
        place = LockPlace(kind, "", lease, hold)
        if lease != hold.id:
            return PlaceRelease(place, ReleaseResult.ALREADY_FREE)
        self.store.delete_if(kind, lease)
        return PlaceRelease(place, ReleaseResult.RELEASED)


@pytest.mark.parametrize("text", ["", "the lock before"])
@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("end", ["no answer", "rights"])
def test_a_lease_that_was_taken_for_a_hold_after_it_was_given_up_is_ended_and_anothers_is_not(
    make_paper, end, is_ours, text
):
    paper = make_paper(kinds=(PlaceKind.LEASE,))
    state = paper.ports.states[STATE]
    leases = Leases(**{each.name: getattr(state.holds, each.name) for each in fields(state.holds)})
    paper.ports.states[STATE] = replace(state, holds=leases)

    async def lost(name):
        if name.startswith("hold "):
            if end == "rights":
                paper.directory.people["U0QUINN"] = replace(paper.directory.people["U0QUINN"], is_deleted=True)
            raise Unreachable("memory", "no answer")

    paper.switchboard.fault = lost
    hold_id = hold(paper, seconds=150)
    paper.switchboard.fault = None
    given_up = record_of(paper, hold_id)
    older = LockInfo("lock-1", "OperationTypeApply", "", "runner@fv-az1-1", "1.9.8", paper.clock.now(), "p")
    lease = given_up.lock_uuid if is_ours else "0f0f0f0f-0000-4000-8000-000000000000"
    paper.store.texts[PlaceKind.LEASE] = (lock_text(older) if text else "", lease)
    paper.pass_time(120)

    assert (given_up.phase, given_up.end) == (
        HoldPhase.ENDED, HoldEnd.RIGHTS if end == "rights" else HoldEnd.NOT_PLACED
    )  # fmt: skip
    assert (PlaceKind.LEASE in paper.store.texts) is not is_ours
    assert ("hold.ended" in kinds_of(paper)[2:]) is is_ours
    paper.pass_time(400)
    assert record_of(paper, hold_id).is_settled


def test_the_hold_of_a_state_that_was_renamed_ends_under_its_new_name(paper):
    """Its worker has left it, since the old name is not configured any more."""
    hold_id = hold(paper)
    paper.run(HOLDS.update(paper.ports, hold_id, state="staging-before"))
    paper.pass_time(600)
    left = record_of(paper, hold_id)

    paper.run(PERIODIC["watch_states"].work(paper.ports))
    paper.pass_time(60)

    assert (left.phase, left.end) == (HoldPhase.ENDED, HoldEnd.NOT_CONFIGURED)
    assert standing(paper) == {}
    assert record_of(paper, hold_id).phase is HoldPhase.ENDED


def test_a_lock_that_names_the_hold_of_another_state_lifts_neither(paper):
    """Whoever can write one lock could have the hold of another state ended by people who mean their own."""
    hold_id = hold(paper)
    states = paper.ports.states
    states["other"] = replace(states[STATE], name=replace(states[STATE].name, name="other"))
    paper.run(HOLDS.update(paper.ports, hold_id, state="other"))
    there = standing(paper)

    with pytest.raises(NotPermitted, match="not one that tflock can read"):
        paper.run(holds.lift_of(paper.ports, states[STATE], user="U0PARKER", channel=CHANNEL))
    assert (record_of(paper, hold_id).phase, standing(paper)) == (HoldPhase.HELD, there)

    paper.run(holds.lift_of(paper.ports, states["other"], user="U0PARKER", channel=CHANNEL))
    paper.pass_time(3)
    assert standing(paper) == {}


@pytest.mark.parametrize("end", ["0001-01-01 00:00:00", "9999-12-31 23:59:59"])
def test_a_hold_whose_lock_names_an_end_that_is_none_keeps_no_sweep_from_its_work(paper, end):
    hold_id = hold(paper)
    paper.run(HOLDS.forget(paper.ports, hold_id))
    paper.jobs.waiting.clear()
    for kind, info in standing(paper).items():
        words = info.info.replace(f"{words_of(info).until:%Y-%m-%d %H:%M:%S}", end)
        paper.store.write(kind, lock_text(replace(info, info=words)))
    there = standing(paper)

    paper.run(PERIODIC["watch_states"].work(paper.ports))
    paper.pass_time(600)
    paper.run(PERIODIC["watch_states"].work(paper.ports))

    assert standing(paper) == there
    with pytest.raises(NotPermitted, match="end it with terraform force-unlock"):
        paper.run(holds.lift_of(paper.ports, paper.ports.states[STATE], user="U0QUINN", channel=CHANNEL))
    assert standing(paper) == there


def test_a_state_that_is_held_is_not_held_again(paper):
    hold(paper)

    with pytest.raises(NotPermitted, match="held by quinn until"):
        hold(paper, "U0PARKER")


def test_two_who_hold_a_state_at_once_get_one_hold(paper):
    first = paper.run(holds.ask(paper.ports, command(paper, "U0QUINN"))).hold.id
    with pytest.raises(NotPermitted, match="on its way"):
        paper.run(holds.ask(paper.ports, command(paper, "U0PARKER")))

    paper.pass_time(5, workers=("w1", "w2"))

    (info,) = set(standing(paper).values())
    assert words_of(info).ref == first


def test_a_click_that_comes_twice_is_one_hold(paper):
    paper.run(holds.ask(paper.ports, command(paper, click="d1")))
    paper.run(holds.ask(paper.ports, command(paper, click="d1", is_again=True)))
    paper.pass_time(5)

    assert kinds_of(paper) == ["hold.requested", "hold.placed"]
    assert len(paper.messenger.posted(HoldReport)) == 1


@pytest.mark.parametrize(
    ("lacks", "why"),
    [
        ("", "has no lock that tflock could take"),
        ("shows_lock", "does not show its locks"),
        ("conditional", "ends a lock without a condition"),
        ("shows_holder", "keeps no text with a lock"),
    ],
)
def test_a_state_without_a_place_for_holds_is_told_why_and_nothing_is_changed(paper, lacks, why):
    state = paper.ports.states[STATE]
    backend = replace(state.backend, can=replace(S3_LIKE, **({lacks: False} if lacks else {})))
    paper.ports = replace(paper.ports, states={STATE: replace(state, backend=backend, holds=None)})

    with pytest.raises(NotPermitted, match=why):
        hold(paper)

    assert standing(paper) == {}


def test_what_is_read_of_a_hold_is_the_hold(paper):
    hold(paper)

    seen = paper.run(paper.ports.states[STATE].backend.read_lock())

    assert hold_in(seen) is not None
    assert {place.kind for place in seen.held} == {PlaceKind.FILE, PlaceKind.ITEM}

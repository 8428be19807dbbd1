"""An armed unlock while it waits: what its message counts down, and what becomes of it when the lock changes hands."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.gate.case import Rule
from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo, PlaceKind, parse_lock_info
from bot.core.policy import Policy
from bot.core.reports.in_flight import Flight, RequestInFlight
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.waiting import QueueNews
from bot.core.run import Conclusion
from bot.errors import NotPermitted, NotReplicated, Throttled, Unreachable
from bot.slack.render import unlock_message
from bot.usecases.queue import waiting_list
from bot.usecases.request.record import UNLOCKS, RequestPhase
from bot.usecases.unlock import unlock
from bot.usecases.unlock.rearm import rearm
from tests.worlds.memory.memory import WORKER, Killed, Throttle, lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

QUINN, PARKER = "U0QUINN", "U0PARKER"


def take(paper, lock_id, run):
    paper.ci.start(run, DEPLOY, host="runner-1", actor="elliott-ci")
    info = LockInfo(lock_id, "OperationTypeApply", "", "runner@fv-az1-1", "1.9.8", paper.clock.now(), "p")
    for kind in paper.kinds:
        paper.store.write(kind, lock_text(info))


def standing(paper):
    return {parse_lock_info(text).id for text, _ in paper.store.texts.values()}


@pytest.fixture
def armed(make_paper):
    """A world with a lock whose run goes on, and an unlock of it that quinn has armed: `paper.request`."""

    def make(**settings):
        paper = make_paper(**settings)
        take(paper, "lock-1", "1001")
        paper.store.last_written = paper.clock.now()
        paper.pass_time(600)
        wish = unlock.UnlockCommand(STATE, QUINN, CHANNEL, paper.incident.id, when_safe=True)
        paper.request = paper.run(unlock.ask(paper.ports, wish)).request.id
        return paper

    return make


def shown(paper):
    return [
        report for report in paper.messenger.all(UnlockReport) if report.stage is UnlockStage.ARMED and report.verdict
    ]


def phase(paper):
    return paper.run(UNLOCKS.get(paper.ports, paper.request)).phase


def test_what_is_missing_is_shown_with_the_gates_own_findings_and_who_armed_it(armed):
    paper = armed()

    paper.pass_time(15)

    report = shown(paper)[-1]
    assert report.verdict[Rule.DEAD].waits
    assert report.by == QUINN
    assert timedelta(0) < report.until - paper.clock.now() < unlock.ARMED_FOR
    assert standing(paper) == {"lock-1"}


def test_it_goes_on_waiting_while_no_replica_confirms_its_intent(armed):
    paper = armed(policy=Policy(release_deadline=timedelta(milliseconds=50)))
    paper.ci.end("1001", Conclusion.FAILED)

    async def fault(name):
        if WORKER.get() and name.startswith("secure"):
            raise NotReplicated("the write did not reach a replica of Redis")

    paper.switchboard.fault = fault
    paper.pass_time(75)
    assert phase(paper) in {RequestPhase.ARMED, RequestPhase.RELEASING}
    assert standing(paper) == {"lock-1"}

    paper.switchboard.fault = None
    paper.pass_time(60)

    assert standing(paper) == set()
    assert phase(paper) is RequestPhase.DONE


def test_a_countdown_is_brought_up_to_date_about_every_ten_seconds_until_it_is_done(armed):
    paper = armed()
    paper.pass_time(15)
    paper.ci.end("1001", Conclusion.FAILED)
    before = len(shown(paper))

    paper.pass_time(50)

    reports = shown(paper)[before:]
    left = [report.verdict.until - report.inspection.at for report in reports if report.verdict.until]
    assert left == sorted(left, reverse=True)
    assert 4 <= len(left) <= 6
    assert standing(paper) == {"lock-1"}
    paper.pass_time(30)
    assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.RELEASED
    assert not standing(paper)


def test_what_stays_the_same_and_counts_down_to_nothing_is_not_said_again_and_again(armed):
    paper = armed()
    paper.pass_time(15)
    before = len(shown(paper))

    paper.pass_time(600)

    assert 8 <= len(shown(paper)) - before <= 12
    assert standing(paper) == {"lock-1"}


def test_while_slack_asks_for_patience_nothing_is_shown_and_the_gate_goes_on_deciding(armed):
    paper = armed()
    tries = []

    async def throttle(name):
        if name == "tell armed":
            tries.append(paper.clock.now())
            raise Throttled("Slack", "ratelimited", retry_after=120)

    paper.switchboard.fault = throttle
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(100)

    assert len(tries) == 1
    assert not standing(paper), "a message that cannot be shown keeps nobody from unlocking"


def test_slack_that_is_away_does_not_stop_the_countdown_for_good(armed):
    paper = armed()
    away = True

    async def fault(name):
        if away and name == "tell armed":
            raise Unreachable("Slack", "no answer")

    paper.switchboard.fault = fault
    paper.pass_time(60)
    assert shown(paper) == []

    away = False
    paper.pass_time(15)
    assert shown(paper)


def test_arming_while_slack_is_away_is_not_called_a_failure_and_is_shown_once_it_is_back(make_paper):
    paper = make_paper()
    take(paper, "lock-1", "1001")
    paper.pass_time(600)
    asked = paper.run(unlock.ask(paper.ports, unlock.UnlockCommand(STATE, QUINN, CHANNEL, paper.incident.id)))
    paper.request = asked.request.id
    away = True

    async def fault(name):
        if away and name == "tell armed":
            raise Unreachable("Slack", "no answer")

    paper.switchboard.fault = fault
    paper.run(unlock.arm(paper.ports, paper.request, user=QUINN))
    assert phase(paper) is RequestPhase.ARMED
    assert not shown(paper)

    away = False
    paper.pass_time(30)
    assert shown(paper)
    assert standing(paper) == {"lock-1"}, "its run goes on"


def test_an_unlock_whose_time_is_over_releases_nothing_and_says_what_was_missing(armed):
    paper = armed()

    paper.pass_time(unlock.ARMED_FOR.total_seconds() + 30)

    report = paper.messenger.all(UnlockReport)[-1]
    assert report.stage is UnlockStage.EXPIRED
    assert report.verdict.waiting_helps
    assert phase(paper) == "done"
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(3600)
    assert standing(paper) == {"lock-1"}


def test_a_worker_that_is_killed_at_any_call_of_a_tick_goes_on_counting_and_releases_once(armed):
    step = 0
    while True:
        step += 1
        paper = armed()
        paper.pass_time(12)
        paper.ci.end("1001", Conclusion.FAILED)
        calls = 0

        async def kill(_name, paper=paper, step=step):
            nonlocal calls
            if WORKER.get():
                calls += 1
                if calls == step:
                    paper.switchboard.dead.add(WORKER.get())
                    raise Killed(WORKER.get())

        paper.switchboard.fault = kill
        deleted = []
        paper.store.on_delete = lambda kind, _text, deleted=deleted: deleted.append(kind)
        paper.pass_time(30)
        assert deleted == [], "before it has settled"
        ended = calls
        paper.pass_time(150)
        assert sorted(deleted) == sorted(paper.kinds), step
        assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.RELEASED, step
        if ended < step:
            return


# ── the lock changes hands


@pytest.fixture
def changed(armed):
    """The armed unlock's lock is gone, and another run has the next one."""
    paper = armed()
    paper.pass_time(12)
    paper.ci.end("1001", Conclusion.FAILED)
    paper.store.texts.clear()
    take(paper, "lock-2", "1002")
    paper.pass_time(30)
    assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.HOLDER_CHANGED
    assert paper.messenger.all(UnlockReport)[-1].now_held_by.id == "lock-2"
    return paper


def again(paper, user=PARKER, new_lock="lock-2", lock_id="lock-1"):
    return paper.run(rearm(paper.ports, paper.request, lock_id=lock_id, new_lock=new_lock, user=user))


def test_the_new_lock_is_not_touched_however_long_one_waits(changed):
    changed.ci.end("1002", Conclusion.FAILED)
    changed.pass_time(7200)

    assert standing(changed) == {"lock-2"}


def test_whoever_asks_again_for_the_new_lock_makes_a_request_of_their_own(changed):
    report = again(changed)

    assert report.stage is UnlockStage.ARMED
    assert (report.request.user, report.request.lock_id) == (PARKER, "lock-2")
    assert report.request.id != changed.request
    changed.pass_time(180)
    assert standing(changed) == {"lock-2"}
    changed.ci.end("1002", Conclusion.FAILED)
    changed.pass_time(90)
    assert not standing(changed)
    assert changed.messenger.all(UnlockReport)[-1].stage is UnlockStage.RELEASED


def test_a_lock_that_the_button_did_not_name_is_shown_and_not_armed(changed):
    changed.ci.end("1002", Conclusion.FAILED)
    changed.store.texts.clear()
    take(changed, "lock-3", "1003")

    report = again(changed)

    assert report.stage is UnlockStage.CHECKED
    assert report.request.lock_id == "lock-3"
    changed.ci.end("1003", Conclusion.FAILED)
    changed.pass_time(3600)
    assert standing(changed) == {"lock-3"}


def test_a_guest_may_not_ask_again(changed):
    with pytest.raises(NotPermitted, match="guest"):
        again(changed, user="U0GUEST")

    changed.ci.end("1002", Conclusion.FAILED)
    changed.pass_time(3600)
    assert standing(changed) == {"lock-2"}


def test_of_two_clicks_on_the_same_button_one_asks_and_the_other_is_led_to_it(changed):
    first = again(changed)
    asked = len(changed.messenger.posted(UnlockReport))

    found = again(changed, user=QUINN)

    assert isinstance(found, RequestInFlight)
    assert (found.id, found.by, found.flight) == (first.request.id, PARKER, Flight.ARMED)
    assert len(changed.messenger.posted(UnlockReport)) == asked


def test_a_click_on_a_button_that_has_just_asked_asks_nothing(changed):
    first = again(changed).request
    changed.run(unlock.disarm(changed.ports, first.id, lock_id=first.lock_id, user=PARKER))

    with pytest.raises(NotPermitted, match="just pressed"):
        again(changed, user=QUINN)


def test_a_button_of_another_request_or_of_one_at_work_asks_nothing(changed, armed):
    with pytest.raises(NotPermitted, match="too old"):
        again(changed, lock_id="lock-9")
    with pytest.raises(NotPermitted, match="too old"):
        again(changed, new_lock="")
    busy = armed()
    with pytest.raises(NotPermitted, match="still running"):
        again(busy, new_lock="lock-1")
    assert standing(busy) == {"lock-1"}


def test_people_who_wait_are_told_of_a_release_at_once(armed):
    paper = armed()
    paper.run(waiting_list.start(paper.ports, waiting_list.WaitCommand(STATE, PARKER, CHANNEL)))
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(75)

    released = next(report for report in paper.messenger.all(UnlockReport) if report.stage is UnlockStage.RELEASED)
    assert released.took is not None
    [(_, news)] = paper.messenger.posted(QueueNews)
    assert news.user == PARKER
    assert paper.clock.now() - released.request.asked_at < timedelta(minutes=2)


def test_who_cancels_after_a_part_was_deleted_reads_which_and_not_that_nothing_changed(armed):
    paper = armed(policy=Policy(release_deadline=timedelta(milliseconds=50)))
    paper.ci.end("1001", Conclusion.FAILED)

    async def throttle(name):
        if name == f"delete {PlaceKind.ITEM}":
            raise Throttle

    paper.switchboard.fault = throttle
    paper.pass_time(75)
    assert phase(paper) is RequestPhase.ARMED
    assert standing(paper) == {"lock-1"}
    paper.run(unlock.disarm(paper.ports, paper.request, lock_id="lock-1", user=QUINN))

    assert set(paper.store.texts) == {PlaceKind.ITEM}
    message = str(unlock_message(paper.messenger.all(UnlockReport)[-1]).blocks)
    assert "The lockfile was deleted." in message
    assert "Nothing was changed" not in message
    assert "a part of the lock was deleted already" in paper.journal.logs[paper.incident.id][-1].text

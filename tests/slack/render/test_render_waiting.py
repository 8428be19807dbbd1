"""What people who wait for a state read, and the countdown of an armed unlock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.inspection import StateName
from bot.core.gate.stages import UnlockStage
from bot.core.phrase import Quoted
from bot.core.reports.report import Overview, StatusReport
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.waiting import Ending, QueueNews, Waiter, WatchReport
from bot.slack.render import overview_message, queue_message, status_message, unlock_message, watch_message

HEAD_START = timedelta(minutes=5)


def actions(message):
    return {
        element["action_id"]: element
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    }


@pytest.fixture
def reads(snapshot, written, sound):
    def check(message):
        sound(message)
        assert written(message) == snapshot

    return check


@pytest.mark.parametrize(
    "changes",
    [
        {"behind": 2},
        {"behind": 1},
        {},
        {"behind": 3, "head_start": timedelta(0)},
        {"behind": 1, "is_last": True},
        {"ending": Ending.EXPIRED, "waited": timedelta(hours=12)},
    ],
    ids=["others behind", "one behind", "alone", "all at once", "the last time", "ended"],
)
def test_whoever_waits_is_named_and_told_what_to_do(reads, changes):
    news = replace(QueueNews("staging", "U0QUINN", HEAD_START), **changes)
    message = queue_message(news)

    reads(message)
    assert "<@U0QUINN>" in str(message.blocks)
    assert ("watch.start" in actions(message)) == (news.ending is not None)


@pytest.fixture
def answers(scene):
    def make(place, **changes):
        since = scene.now
        waiter = Waiter("t1", "U0QUINN", "C0STAGING", since, since + timedelta(hours=12), is_open=True)
        usual = WatchReport("staging", place, 3, was_waiting=False, head_start=HEAD_START)
        return replace(usual, **{"waiter": waiter if place else None, **changes})

    return make


def test_the_answer_says_the_place_and_how_long_the_bot_looks(reads, answers):
    message = watch_message(answers(2))

    reads(message)
    assert set(actions(message)) == {"watch.stop"}


def test_the_first_on_the_queue_waits_for_nobody(reads, answers):
    reads(watch_message(answers(1, total=1)))


def test_whoever_waits_already_is_told_his_place_again(reads, answers):
    reads(watch_message(answers(3, was_waiting=True)))


def test_whoever_comes_while_it_is_free_and_others_have_their_turn_is_told_so(reads, scene, answers):
    reads(watch_message(answers(2, seen=scene.free)))


def test_outside_the_channel_he_is_told_in_his_dm(answers):
    waiter = replace(answers(1).waiter, is_open=False)

    assert "direct message" in str(watch_message(answers(1, waiter=waiter)).blocks)


def test_what_is_free_already_is_said_at_once(reads, scene, answers):
    message = watch_message(answers(None, seen=scene.free, total=0))

    reads(message)
    assert actions(message) == {}


def test_whoever_stops_waiting_is_told_how_to_come_back(reads, answers):
    reads(watch_message(answers(None, was_waiting=True)))


def test_whoever_did_not_wait_is_told_that_nothing_was_changed(reads, answers):
    reads(watch_message(answers(None)))


def test_a_locked_state_says_how_many_wait_and_offers_to_wait(scene):
    inspection = scene.inspection()
    report = StatusReport(inspection, scene.verdict(inspection), waiting=3)

    message = status_message(report)

    assert "3 people will be notified" in str(message.blocks)
    assert "watch.start" in actions(message)
    one = status_message(replace(report, waiting=1))
    assert "1 person will be notified" in str(one.blocks)


def test_a_free_state_offers_nothing_to_wait_for(scene):
    assert "watch.start" not in actions(status_message(StatusReport(scene.inspection(scene.free), None, waiting=2)))


def test_the_overview_offers_the_locked_states_to_wait_for(scene, sound):
    names = [StateName(f"state-{number}", "", protected=False) for number in range(3)]
    seen = [scene.seen(), scene.seen(), scene.free]
    message = overview_message(Overview(tuple(zip(names, seen, strict=True)), scene.now))

    sound(message)
    options = actions(message)["watch.start"]["options"]
    assert [option["value"] for option in options] == ["state-0 - -", "state-1 - -"]
    one = overview_message(Overview(((names[0], scene.seen()), (names[2], scene.free)), scene.now))
    assert actions(one)["watch.start"]["value"] == "state-0 - -"
    none = overview_message(Overview(((names[2], scene.free),), scene.now))
    assert actions(none) == {}


# ── the countdown


def refused(scene, *findings):
    return Verdict(Ruling.REFUSE, findings)


def countdown(scene, *findings, **changes):
    report = UnlockReport(
        scene.unlock_request, UnlockStage.ARMED, scene.inspection(), refused(scene, *findings),
        until=scene.now + timedelta(minutes=112), by="U0PARKER",
    )  # fmt: skip
    return unlock_message(replace(report, **changes))


def test_an_armed_unlock_counts_down_what_is_still_missing(reads, scene):
    settled = Finding(
        Rule.SETTLED, Effect.REFUSES, ("a run that ended as timed out may live on",),
        until=scene.now + timedelta(seconds=130), waits=True,
    )  # fmt: skip
    quiet = Finding(
        Rule.QUIET, Effect.REFUSES, ("the state was written at ", scene.now),
        until=scene.now + timedelta(seconds=40), waits=True,
    )  # fmt: skip

    message = countdown(scene, settled, quiet)

    reads(message)
    assert "*Waiting for:* settled 2 min 10 s · quiet 40 s" in str(message.blocks)
    assert set(actions(message)) == {"unlock.disarm", "watch.start"}


def test_what_has_no_known_end_is_told_without_one(reads, scene):
    dead = Finding(Rule.DEAD, Effect.REFUSES, ("run ", Quoted("123 <!channel>"), " is going on"), waits=True)

    message = countdown(scene, dead)

    reads(message)
    assert "unlock itself as soon as it is safe" in message.text
    assert "*dead:*" in str(message.blocks)
    assert "<!channel>" not in str(message.blocks)


def test_an_instant_that_has_passed_meanwhile_is_not_counted_down(scene):
    over = Finding(Rule.QUIET, Effect.REFUSES, ("the state was written",), until=scene.now, waits=True)

    shown = str(countdown(scene, over).blocks)
    assert "Waiting for" not in shown
    assert "*quiet:* the state was written" in shown


def test_before_the_first_look_it_says_so(scene):
    message = countdown(scene, inspection=None, verdict=None)

    assert "Checking now" in str(message.blocks)


def test_who_armed_it_is_named_also_if_somebody_else_asked(scene):
    assert "Set by <@U0PARKER>" in str(countdown(scene).blocks)
    assert "Set by <@U0QUINN>" in str(countdown(scene, by="").blocks)


def test_an_armed_unlock_whose_time_is_over_says_what_was_missing_and_how_to_go_on(reads, scene):
    dead = Finding(Rule.DEAD, Effect.REFUSES, ("the run is going on",), waits=True)

    message = countdown(scene, dead, stage=UnlockStage.EXPIRED, note=("it did not become safe in time",))

    reads(message)
    request = scene.unlock_request
    assert actions(message)["unlock.rearm"]["value"] == f"staging {request.lock_id} r7k2 {request.lock_id}"


def test_a_lock_that_changed_hands_asks_whether_the_new_one_shall_be_unlocked(reads, scene):
    newer = replace(scene.lock, id="new-lock", who="runner@fv-az999-1")

    message = countdown(scene, stage=UnlockStage.HOLDER_CHANGED, now_held_by=newer)

    reads(message)
    assert actions(message)["unlock.rearm"]["value"] == f"staging {scene.lock.id} r7k2 new-lock"
    assert "watch.start" in actions(message)

"""A release that is disturbed at each of its steps in turn: killed, stalled, without Redis, without Slack."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.lock import PlaceKind, ReleaseResult
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.policy import Policy
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import JournalAway, NotPermitted, NotReplicated, Unreachable
from bot.usecases.decide.owner import record_answer
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import unlock
from tests.worlds.memory.memory import WORKER, Throttle
from tests.worlds.memory.world import CHANNEL, STATE

STEPS = 110
"""More calls than an undisturbed release makes; a test holds it so."""


@pytest.fixture
def left_behind(make_paper):
    """A lock whose run failed long ago, asked for; `.request` is the request, `.lock_id` the lock."""

    def make(**settings):
        paper = make_paper(**settings)
        paper.lock_id = "lock-1"
        paper.take_lock()
        paper.ci.end("1001", Conclusion.FAILED)
        paper.pass_time(300)
        wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
        paper.request = paper.run(unlock.ask(paper.ports, wish)).request.id
        return paper

    return make


def confirm(paper):
    paper.run(unlock.confirm(paper.ports, paper.request, lock_id="lock-1", user="U0QUINN"))


def letters_of_release(paper):
    return [owner for owner, letter in paper.messenger.rung if letter.news is OwnerNews.RELEASED]


def told(paper):
    ends = list(UnlockStage)[list(UnlockStage).index(UnlockStage.RELEASED) :]
    return {report.stage for report in paper.messenger.all(UnlockReport) if report.stage in ends}


def test_the_steps_cover_a_whole_release(left_behind):
    paper = left_behind()
    confirm(paper)
    calls = paper.disturb()

    paper.pass_time(1)

    assert paper.outcomes() == ["released"]
    assert letters_of_release(paper) == ["U0ELLIOTT"]
    assert calls() <= STEPS


@pytest.mark.parametrize("kinds", [(PlaceKind.ITEM,), (PlaceKind.FILE, PlaceKind.ITEM)], ids=["one half", "two halves"])
@pytest.mark.parametrize("step", range(1, STEPS, 1))
def test_a_worker_killed_at_any_step_is_followed_by_one_that_settles_it_within_a_minute(left_behind, step, kinds):
    paper = left_behind(kinds=kinds)
    confirm(paper)

    async def kill(_):
        paper.switchboard.dead.add(WORKER.get())

    paper.disturb(step, kill)

    paper.pass_time(60)

    assert paper.store.texts == {}
    assert paper.outcomes() == ["released"]
    assert told(paper) == {UnlockStage.RELEASED}
    assert len(letters_of_release(paper)) <= 1


@pytest.mark.parametrize("step", range(1, STEPS, 2))
def test_a_worker_that_stands_still_and_goes_on_beside_another_releases_nothing_twice(left_behind, step):
    paper = left_behind()
    confirm(paper)
    deleted = []
    paper.store.on_delete = lambda kind, _: deleted.append(kind)

    async def stall(_):
        await asyncio.sleep(25)

    paper.disturb(step, stall)

    paper.pass_time(90, workers=("w1", "w2"))

    assert sorted(deleted) == sorted(paper.kinds)
    assert paper.outcomes() == ["released"]
    assert told(paper) == {UnlockStage.RELEASED}
    assert letters_of_release(paper) == ["U0ELLIOTT"]


@pytest.mark.parametrize("step", range(1, STEPS, 2))
def test_without_redis_at_any_step_it_is_released_when_redis_is_back(left_behind, step):
    paper = left_behind()
    confirm(paper)

    async def away(name):
        if name.startswith(("append", "get", "put", "update", "once", "take", "start", "give")):
            raise JournalAway("away")

    paper.disturb(step, away, times=4)

    paper.pass_time(60)

    assert paper.store.texts == {}
    assert paper.outcomes() == ["released"]


def test_while_redis_is_away_before_the_intent_nothing_is_deleted(left_behind):
    paper = left_behind()
    confirm(paper)

    async def away(name):
        if name.startswith("append unlock.releasing"):
            raise JournalAway("away")

    paper.disturb(1, away, times=10_000)

    paper.pass_time(600)

    assert set(paper.store.texts) == set(paper.kinds)
    assert paper.outcomes() == []


@pytest.mark.parametrize("step", range(1, STEPS, 2))
def test_without_slack_at_any_step_the_outcome_is_told_when_slack_is_back(left_behind, step):
    paper = left_behind()
    confirm(paper)

    async def away(name):
        if name.startswith(("tell", "letter")):
            raise Unreachable("Slack", "no answer")

    paper.disturb(step, away, times=32)

    paper.pass_time(400)

    assert paper.outcomes() == ["released"]
    assert told(paper) == {UnlockStage.RELEASED}


def test_an_answer_that_comes_between_the_decision_and_the_delete_is_heard(left_behind):
    paper = left_behind()
    confirm(paper)

    async def fault(name):
        if WORKER.get() and name.startswith("append unlock.releasing"):
            token = WORKER.set("")
            answer = OwnerAnswer("lock-1", "U0ELLIOTT", OwnerSays.RUNNING, paper.clock.now())
            await record_answer(paper.ports, STATE, answer, incident="")
            WORKER.reset(token)

    paper.switchboard.fault = fault

    paper.pass_time(60)

    assert paper.outcomes() == ["refused"]
    assert set(paper.store.texts) == set(paper.kinds)


@pytest.mark.parametrize(("objects", "outcome"), [(True, "refused"), (False, "released")])
def test_an_answer_that_comes_while_a_replica_is_slow_is_heard(left_behind, objects, outcome):
    paper = left_behind()
    confirm(paper)

    async def fault(name):
        if WORKER.get() and name == "secure timeline":
            await asyncio.sleep(0.4)
            if objects:
                token = WORKER.set("")
                answer = OwnerAnswer("lock-1", "U0ELLIOTT", OwnerSays.RUNNING, paper.clock.now())
                await record_answer(paper.ports, STATE, answer, incident="")
                WORKER.reset(token)

    paper.switchboard.fault = fault

    paper.pass_time(60)

    assert paper.outcomes() == [outcome]
    assert set(paper.store.texts) == (set(paper.kinds) if objects else set())


@pytest.mark.parametrize("objects", [True, False])
def test_an_answer_that_comes_while_a_store_is_tried_first_is_heard_before_anything_is_sent(left_behind, objects):
    """A store of its own address proves that it honours conditions, and Redis may be slow to say that it has."""
    paper = left_behind()
    confirm(paper)
    tried = []

    async def fault(name):
        if name == f"delete {PlaceKind.FILE}" and not tried:
            tried.append(name)
            if objects:
                answer = OwnerAnswer("lock-1", "U0ELLIOTT", OwnerSays.RUNNING, paper.clock.now())
                await record_answer(paper.ports, STATE, answer, incident="")
            await asyncio.sleep(6)

    paper.switchboard.fault = fault

    paper.pass_time(60)

    assert paper.outcomes() == ["refused" if objects else "released"]
    assert set(paper.store.texts) == (set(paper.kinds) if objects else set())


@pytest.mark.parametrize(("objects", "left"), [(True, {PlaceKind.ITEM}), (False, set())])
def test_an_answer_that_comes_while_the_first_place_is_noted_slowly_is_heard_before_the_second(
    left_behind, objects, left
):
    paper = left_behind()
    confirm(paper)
    deleted = []
    paper.store.on_delete = lambda kind, _: deleted.append(kind)

    async def fault(name):
        if name == "update unlock" and len(deleted) == 1:
            await asyncio.sleep(0.4)
            if objects:
                answer = OwnerAnswer("lock-1", "U0ELLIOTT", OwnerSays.RUNNING, paper.clock.now())
                await record_answer(paper.ports, STATE, answer, incident="")

    paper.switchboard.fault = fault

    paper.pass_time(60)

    assert deleted[:1] == [PlaceKind.FILE]
    assert set(paper.store.texts) == left


@pytest.mark.parametrize("calls_off", [True, False])
def test_what_is_called_off_before_a_replica_is_missed_stays_shown_as_called_off(left_behind, calls_off):
    paper = left_behind()
    paper.run(unlock.arm(paper.ports, paper.request, lock_id="lock-1", user="U0QUINN"))
    missed = []

    async def fault(name):
        if WORKER.get() and name.startswith("append unlock.releasing") and calls_off:
            token = WORKER.set("")
            with suppress(NotPermitted):
                await unlock.disarm(paper.ports, paper.request, lock_id="lock-1", user="U0PARKER")
            WORKER.reset(token)
        if WORKER.get() and name == "secure timeline" and not missed:
            missed.append(name)
            raise NotReplicated("no replica")

    paper.switchboard.fault = fault

    paper.pass_time(120)

    assert missed
    assert set(paper.store.texts) == (set(paper.kinds) if calls_off else set())
    end = UnlockStage.DECLINED if calls_off else UnlockStage.RELEASED
    assert paper.messenger.all(UnlockReport)[-1].stage is end


def test_an_unlock_that_is_called_off_at_the_last_moment_is_not_carried_out(left_behind):
    paper = left_behind()
    paper.run(unlock.arm(paper.ports, paper.request, lock_id="lock-1", user="U0QUINN"))

    async def fault(name):
        if WORKER.get() and name.startswith("append unlock.releasing"):
            token = WORKER.set("")
            with suppress(NotPermitted):
                await unlock.disarm(paper.ports, paper.request, lock_id="lock-1", user="U0PARKER")
            WORKER.reset(token)

    paper.switchboard.fault = fault

    paper.pass_time(120)

    assert set(paper.store.texts) == set(paper.kinds)
    assert told(paper) == {UnlockStage.DECLINED}


def test_a_lock_that_its_owner_frees_after_a_throttled_delete_was_not_released_by_the_bot(left_behind):
    paper = left_behind()
    confirm(paper)

    async def fault(name):
        if name.startswith("delete"):
            paper.store.texts.clear()
            raise Throttle

    paper.switchboard.fault = fault

    paper.pass_time(60)

    assert paper.outcomes() == ["already free"]


def test_a_confirmed_request_that_no_worker_took_up_for_half_an_hour_is_given_up(left_behind):
    paper = left_behind()
    confirm(paper)
    paper.run(asyncio.sleep(1801))

    paper.pass_time(5)

    assert paper.outcomes() == ["expired"]
    assert set(paper.store.texts) == set(paper.kinds)


def test_a_click_that_was_lost_with_its_process_is_taken_up_by_the_next_click(left_behind):
    paper = left_behind()
    now = paper.clock.now()
    paper.run(UNLOCKS.update(paper.ports, paper.request, phase="confirmed", by="U0QUINN", confirmed_at=now))

    with pytest.raises(NotPermitted):
        confirm(paper)
    paper.pass_time(10)

    assert paper.outcomes() == ["released"]


FILE, ITEM = PlaceKind.FILE, PlaceKind.ITEM


@pytest.mark.parametrize(
    ("faults", "stage", "left", "known"),
    [
        # the lockfile's delete was answered, so that it is gone, whatever can be read later
        (
            {f"delete {ITEM}": Throttle, f"read {FILE}": Unreachable},
            UnlockStage.PARTLY_RELEASED,
            (ITEM,),
            {FILE: ReleaseResult.RELEASED},
        ),
        # nobody knows whether the lockfile is gone: only that the item is left
        (
            {f"delete {FILE}": Unreachable, f"delete {ITEM}": Throttle, f"read {FILE}": Unreachable},
            UnlockStage.NOT_KNOWN,
            (ITEM,),
            {FILE: ReleaseResult.NOT_KNOWN},
        ),
        # nobody knows whether anything is left
        (
            {f"deleted {ITEM}": Unreachable, f"read {ITEM}": Unreachable},
            UnlockStage.NOT_KNOWN,
            (),
            {FILE: ReleaseResult.RELEASED, ITEM: ReleaseResult.NOT_KNOWN},
        ),
    ],
)
def test_half_an_unlock_is_said_only_of_a_place_that_is_gone_and_one_that_is_left(
    left_behind, faults, stage, left, known
):
    paper = left_behind(policy=Policy(release_deadline=timedelta(milliseconds=200)))
    confirm(paper)
    is_sent = False

    async def fault(name):
        nonlocal is_sent
        is_sent = is_sent or name.startswith("delete")
        if WORKER.get() and is_sent and name in faults:
            raise Throttle() if faults[name] is Throttle else Unreachable("memory", name)

    paper.switchboard.fault = fault
    paper.pass_time(400)

    told = paper.messenger.all(UnlockReport)[-1]
    assert (told.stage, told.left) == (stage, left)
    results = {part.place.kind: part.result for part in told.places}
    assert {kind: results.get(kind) for kind in known} == known
    assert ITEM in paper.store.texts or stage is UnlockStage.NOT_KNOWN

"""A dead lock is swapped for a hold: it is a release, through the same gate, and disturbed at each of its steps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.hold import words_of
from bot.core.lock import Abilities, LockInfo, PlaceKind, ReleaseResult, parse_lock_info
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.reports.hold import HoldReport, HoldStage
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import JournalAway, NotPermitted, Unreachable
from bot.usecases.decide.owner import record_answer
from bot.usecases.hold import ask as holds
from bot.usecases.hold.record import HOLDS, HoldPhase, open_holds
from bot.usecases.request import approval
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import unlock
from tests.worlds.memory.memory import WORKER, Throttle, lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

STEPS = 170
"""More calls than an undisturbed swap makes; a test holds it so."""
FILE, ITEM = PlaceKind.FILE, PlaceKind.ITEM


@pytest.fixture
def left_behind(make_paper):
    """A lock whose run failed long ago, asked for; `.request` is the request."""

    def make(*, ends=Conclusion.FAILED, waited=300, hold_for=None, **settings):
        paper = make_paper(**settings)
        paper.take_lock()
        if ends is not None:
            paper.ci.end("1001", ends)
        paper.pass_time(waited)
        wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id, hold_for=hold_for, reason="look")
        paper.request = paper.run(unlock.ask(paper.ports, wish)).request.id
        return paper

    return make


def click(paper, **more):
    paper.run(unlock.confirm(paper.ports, paper.request, lock_id="lock-1", user="U0QUINN", hold=True, **more))


def standing(paper):
    return {kind: parse_lock_info(text) for kind, (text, _) in paper.store.texts.items()}


def kinds_of(paper):
    return [entry.kind for entry in paper.journal.logs[paper.incident.id] if entry.kind.startswith("hold.")]


def last(paper):
    return paper.messenger.all(UnlockReport)[-1]


def check_held_and_ended(paper):
    """The hold stands in every place and is known; then it ends at its time."""
    there = standing(paper)
    assert set(there) == set(paper.kinds)
    assert {info.operation for info in there.values()} == {"tflock hold"}
    (record,) = paper.run(open_holds(paper.ports))
    assert (record.phase, record.hold.user) == (HoldPhase.HELD, "U0QUINN")
    assert {words_of(info).ref for info in there.values()} == {record.hold.id}
    assert paper.outcomes() == ["released"]
    paper.switchboard.fault = None
    paper.pass_time(31 * 60)
    assert standing(paper) == {}
    assert kinds_of(paper) == ["hold.placed", "hold.ended"]


def test_a_dead_lock_becomes_a_hold_in_one_write_of_each_place(left_behind):
    paper = left_behind()
    writes, free = [], []
    paper.store.on_hold = lambda kind, _, before: writes.append((kind, parse_lock_info(before).id))
    paper.store.on_delete = lambda kind, _: free.append(kind)
    click(paper)
    calls = paper.disturb()

    paper.pass_time(1)

    assert writes == [(FILE, "lock-1"), (ITEM, "lock-1")]
    assert free == []
    assert last(paper).stage is UnlockStage.RELEASED
    assert last(paper).hold.user == "U0QUINN"
    assert calls() <= STEPS
    assert [report.stage for report in paper.messenger.now(HoldReport).values()] == [HoldStage.HELD]
    check_held_and_ended(paper)


@pytest.mark.parametrize("kinds", [(ITEM,), (FILE, ITEM)], ids=["one place", "two places"])
@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_worker_killed_at_any_step_leaves_a_hold_that_the_next_one_knows_and_ends(left_behind, step, kinds):
    paper = left_behind(kinds=kinds)
    click(paper)

    async def kill(_):
        paper.switchboard.dead.add(WORKER.get())

    paper.disturb(step, kill)
    paper.pass_time(60)

    check_held_and_ended(paper)


@pytest.mark.parametrize("step", range(1, STEPS, 3))
def test_a_worker_that_stands_still_and_goes_on_beside_another_swaps_nothing_twice(left_behind, step):
    paper = left_behind()
    click(paper)
    writes = []
    paper.store.on_hold = lambda kind, *_: writes.append(kind)

    async def stall(_):
        await asyncio.sleep(25)

    paper.disturb(step, stall)
    paper.pass_time(90, workers=("w1", "w2"))

    assert sorted(writes) == sorted(paper.kinds)
    check_held_and_ended(paper)


@pytest.mark.parametrize("step", range(1, STEPS, 3))
def test_without_redis_at_any_step_the_swap_is_finished_when_redis_is_back(left_behind, step):
    paper = left_behind()
    click(paper)

    async def away(name):
        if name.startswith(("append", "get", "put", "update", "once", "take", "start", "give")):
            raise JournalAway("away")

    paper.disturb(step, away, times=4)
    paper.pass_time(90)

    check_held_and_ended(paper)


@pytest.mark.parametrize("step", range(1, STEPS, 3))
def test_without_slack_at_any_step_the_hold_stands_and_is_told_when_slack_is_back(left_behind, step):
    paper = left_behind()
    click(paper)

    async def away(name):
        if name.startswith(("tell", "letter", "notify", "notice", "look for")):
            raise Unreachable("Slack", "no answer")

    paper.disturb(step, away, times=20)
    paper.pass_time(400)

    assert [report.stage for report in paper.messenger.now(HoldReport).values()] == [HoldStage.HELD]
    check_held_and_ended(paper)


@pytest.mark.parametrize("trouble", ["throttled", "cut before", "answer lost"])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("kind", [FILE, ITEM])
def test_a_store_with_a_bad_moment_gets_the_hold_all_the_same(left_behind, kind, times, trouble):
    paper = left_behind()
    click(paper)
    left = times

    async def fault(name):
        nonlocal left
        struck = name == (f"swapped {kind}" if trouble == "answer lost" else f"swap {kind}")
        if struck and left:
            left -= 1
            raise Throttle if trouble == "throttled" else Unreachable("memory", "no answer")

    paper.switchboard.fault = fault
    paper.pass_time(60)

    check_held_and_ended(paper)


def test_the_lock_of_a_run_that_still_works_is_never_swapped(left_behind):
    paper = left_behind(ends=None)
    click(paper)
    paper.pass_time(60)

    assert {info.id for info in standing(paper).values()} == {"lock-1"}
    assert last(paper).stage is UnlockStage.REFUSED
    assert kinds_of(paper) == []


def test_the_lock_of_a_run_that_may_still_write_is_never_swapped(left_behind):
    """Its end was reported just now: it may live on for as long as the settle time."""
    paper = left_behind(ends=Conclusion.CANCELLED, waited=30)
    click(paper)
    paper.pass_time(20)

    assert {info.id for info in standing(paper).values()} == {"lock-1"}


@pytest.mark.parametrize("when", ["append unlock.releasing", "swap lockfile", "swap dynamodb item"])
def test_an_owner_who_says_that_it_runs_keeps_what_is_not_swapped_yet(left_behind, when):
    paper = left_behind()
    click(paper)

    async def fault(name):
        if WORKER.get() and name.startswith(when):
            token = WORKER.set("")
            answer = OwnerAnswer("lock-1", "U0ELLIOTT", OwnerSays.RUNNING, paper.clock.now())
            await record_answer(paper.ports, STATE, answer, incident="")
            WORKER.reset(token)

    paper.switchboard.fault = fault
    paper.pass_time(60)

    dead = {kind for kind, info in standing(paper).items() if info.id == "lock-1"}
    # the answer that comes while a request is on its way is too late for that place, and for no other
    assert dead == {"append unlock.releasing": {FILE, ITEM}, "swap lockfile": {ITEM}, "swap dynamodb item": set()}[when]
    paper.switchboard.fault = None
    paper.pass_time(31 * 60)
    assert {kind for kind, info in standing(paper).items()} == dead


@pytest.mark.parametrize("objects", [True, False])
def test_an_answer_that_comes_while_the_holds_record_is_read_slowly_is_heard(left_behind, objects):
    paper = left_behind()
    click(paper)
    begun = []

    async def fault(name):
        if name.startswith("append unlock.releasing"):
            begun.append(name)
        if begun and WORKER.get() and name == "get hold" and len(begun) == 1:
            begun.append(name)
            await asyncio.sleep(1)
            if objects:
                token = WORKER.set("")
                answer = OwnerAnswer("lock-1", "U0ELLIOTT", OwnerSays.RUNNING, paper.clock.now())
                await record_answer(paper.ports, STATE, answer, incident="")
                WORKER.reset(token)

    paper.switchboard.fault = fault
    paper.pass_time(60)

    assert len(begun) >= 2
    assert {info.id == "lock-1" for info in standing(paper).values()} == {objects}


def test_a_lock_that_changes_hands_at_the_last_moment_is_not_swapped(left_behind):
    paper = left_behind()
    click(paper)
    newer = LockInfo("lock-2", "OperationTypeApply", "", "runner@fv-az1-2", "1.9.8", paper.clock.now(), "p")

    async def fault(name):
        if name == f"swap {FILE}":
            for kind in paper.kinds:
                paper.store.write(kind, lock_text(newer))

    paper.switchboard.fault = fault
    paper.pass_time(60)

    assert {info.id for info in standing(paper).values()} == {"lock-2"}
    assert last(paper).stage is UnlockStage.HOLDER_CHANGED
    assert paper.run(open_holds(paper.ports)) == ()
    assert kinds_of(paper) == []


def test_a_place_that_denies_the_write_leaves_half_a_hold_that_ends_at_its_time(left_behind):
    paper = left_behind()
    click(paper)
    backend = paper.ports.states[STATE].backend

    class Denying:
        async def swap(self, place, hold, *, before):
            if place.kind is ITEM:
                return replace(await backend.release(replace(place, info=None)), place=place)
            return await backend.swap(place, hold, before=before)

        take, end = backend.take, backend.end

    paper.ports.states[STATE] = replace(paper.ports.states[STATE], holds=Denying())
    paper.pass_time(60)

    assert {kind: info.operation for kind, info in standing(paper).items()} == {
        FILE: "tflock hold", ITEM: "OperationTypeApply",
    }  # fmt: skip
    assert last(paper).stage is UnlockStage.PARTLY_RELEASED
    assert {part.place.kind: part.result for part in last(paper).places}[ITEM] is ReleaseResult.DENIED
    paper.pass_time(31 * 60)
    assert {kind: info.id for kind, info in standing(paper).items()} == {ITEM: "lock-1"}


def test_a_backend_that_cannot_swap_says_so_and_changes_nothing(left_behind):
    paper = left_behind()
    backend = paper.ports.states[STATE].backend
    cannot = Abilities(conditional=True, fence=backend.can.fence, shows_holder=True, versions=True, swap=False)
    paper.ports.states[STATE] = replace(paper.ports.states[STATE], backend=replace(backend, can=cannot))

    with pytest.raises(NotPermitted, match="free for a moment"):
        click(paper)
    paper.pass_time(5)

    assert {info.id for info in standing(paper).values()} == {"lock-1"}


def test_a_second_person_approves_the_swap_that_was_asked_for(left_behind):
    paper = left_behind(protected=True, hold_for=timedelta(hours=1))
    found = paper.run(UNLOCKS.get(paper.ports, paper.request))
    covers = "+".join(found.wanted)

    paper.run(approval.approve(paper.ports, paper.request, lock_id="lock-1", user="U0PARKER", covers=covers))
    paper.pass_time(5)

    (info,) = set(standing(paper).values())
    assert words_of(info).user == "quinn"
    (record,) = paper.run(open_holds(paper.ports))
    assert record.hold.span == timedelta(hours=1)


def test_a_protected_state_is_not_swapped_by_one_member(left_behind):
    paper = left_behind(protected=True)
    click(paper)
    paper.pass_time(30)

    assert {info.id for info in standing(paper).values()} == {"lock-1"}


def test_an_armed_swap_waits_for_its_run_to_settle(left_behind):
    paper = left_behind(ends=Conclusion.CANCELLED, waited=10, hold_for=timedelta(minutes=30))
    paper.run(unlock.arm(paper.ports, paper.request, lock_id="lock-1", user="U0QUINN"))

    paper.pass_time(60)
    early = standing(paper)
    paper.pass_time(700)

    assert {info.id for info in early.values()} == {"lock-1"}
    assert {info.operation for info in standing(paper).values()} == {"tflock hold"}


def test_a_hold_that_is_being_placed_by_an_unlock_is_not_lifted_under_it(left_behind):
    paper = left_behind()
    click(paper)
    refused = []

    async def fault(name):
        if WORKER.get() and name == f"swap {ITEM}":
            token = WORKER.set("")
            (record,) = await open_holds(paper.ports)
            try:
                await holds.lift(paper.ports, record.hold.id, user="U0PARKER")
            except NotPermitted as error:
                refused.append(str(error))
            WORKER.reset(token)

    paper.switchboard.fault = fault
    paper.pass_time(5)

    assert len(refused) == 1
    check_held_and_ended(paper)


def test_a_hold_is_never_taken_for_a_dead_runs_lock(left_behind):
    """A run that ended right before it fits in time, and is not its holder. Nobody releases it as one."""
    paper = left_behind()
    click(paper)
    paper.pass_time(5)
    paper.ci.start("1002", DEPLOY, host="runner-1", actor="elliott-ci")
    paper.ci.end("1002", Conclusion.FAILED)
    paper.pass_time(700)

    wish = unlock.UnlockCommand(STATE, "U0PARKER", CHANNEL, paper.incident.id, when_safe=True)
    report = paper.run(unlock.ask(paper.ports, wish))
    with pytest.raises(NotPermitted):
        paper.run(approval.approve(
            paper.ports, report.request.id, lock_id=report.request.lock_id, user="U0ELLIOTT", covers="",
        ))  # fmt: skip
    paper.run(unlock.confirm(
        paper.ports, report.request.id, lock_id=report.request.lock_id, user="U0PARKER"
    ))  # fmt: skip
    paper.pass_time(60)

    assert report.inspection.attribution.possible == ()
    assert report.inspection.owner is None
    assert str(report.verdict.ruling) == "refuse"
    assert {info.operation for info in standing(paper).values()} == {"tflock hold"}
    assert paper.run(HOLDS.get(paper.ports, words_of(report.inspection.lock).ref)).phase is HoldPhase.HELD

"""A hold that is disturbed at each of its steps in turn: while it is taken, prolonged, ended."""

from __future__ import annotations

import asyncio

import pytest

from bot.core.hold import words_of
from bot.core.lock import PlaceKind, parse_lock_info
from bot.core.record.timeline import verify
from bot.core.reports.hold import HoldReport, HoldStage
from bot.errors import JournalAway, Unreachable
from bot.usecases.hold import ask as holds
from bot.usecases.hold.record import HoldPhase, open_holds
from tests.worlds.memory.memory import WORKER, Throttle
from tests.worlds.memory.world import CHANNEL, STATE

STEPS = 60
"""More calls than a worker makes to take, to prolong or to end a hold; a test holds it so."""
FILE, ITEM = PlaceKind.FILE, PlaceKind.ITEM
ACTS = ["take", "prolong", "end"]


def standing(paper):
    return {kind: parse_lock_info(text) for kind, (text, _) in paper.store.texts.items()}


def begin(paper, act):
    """Everything up to the disturbed work, which is handed to the workers."""
    wanted = holds.HoldCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id, reason="look")
    hold_id = paper.run(holds.ask(paper.ports, wanted)).hold.id
    if act != "take":
        paper.pass_time(300)
    if act == "prolong":
        paper.run(holds.prolong(paper.ports, hold_id, user="U0QUINN"))
    if act == "end":
        paper.run(holds.lift(paper.ports, hold_id, user="U0PARKER"))
    return hold_id


def check(paper, act, begun_at):
    entries = paper.journal.logs[paper.incident.id]
    verify(entries)
    kinds = [entry.kind for entry in entries if entry.kind.startswith("hold.")]
    if act == "end":
        assert standing(paper) == {}
        assert paper.run(open_holds(paper.ports)) == ()
        assert kinds == ["hold.requested", "hold.placed", "hold.ended"]
        assert [report.stage for report in paper.messenger.now(HoldReport).values()] == [HoldStage.ENDED]
        return
    (record,) = paper.run(open_holds(paper.ports))
    assert record.phase is HoldPhase.HELD
    there = standing(paper)
    assert set(there) == set(paper.kinds)
    assert {words_of(info).until for info in there.values()} == {record.hold.until}
    minutes = (record.hold.until - begun_at).total_seconds() / 60
    assert minutes == (30 if act == "take" else 60)
    assert kinds == ["hold.requested", "hold.placed", *(["hold.prolonged"] if act == "prolong" else [])]
    assert [report.hold.until for report in paper.messenger.now(HoldReport).values()] == [record.hold.until]
    paper.switchboard.fault = None
    paper.pass_time(3600)
    assert standing(paper) == {}


def disturbed(paper, act, step=1, how=None, *, times=1, seconds=60, workers=("w1",)):
    at = paper.clock.now()
    begin(paper, act)

    calls = paper.disturb(step, how, times=times)
    paper.pass_time(seconds, workers=workers)
    return calls(), at


@pytest.mark.parametrize("act", ACTS)
def test_the_steps_cover_all_of_it(make_paper, act):
    paper = make_paper()

    calls, at = disturbed(paper, act, seconds=1)

    assert calls <= STEPS
    check(paper, act, at)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kinds", [(ITEM,), (FILE, ITEM)], ids=["one place", "two places"])
@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_worker_killed_at_any_step_is_followed_by_one_that_does_the_rest(make_paper, step, kinds, act):
    paper = make_paper(kinds=kinds)

    async def kill(_):
        paper.switchboard.dead.add(WORKER.get())

    _, at = disturbed(paper, act, step, kill)

    check(paper, act, at)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("step", range(1, STEPS, 2))
def test_a_worker_that_stands_still_and_goes_on_beside_another_does_nothing_twice(make_paper, step, act):
    paper = make_paper()

    async def stall(_):
        await asyncio.sleep(25)

    _, at = disturbed(paper, act, step, stall, seconds=120, workers=("w1", "w2"))

    check(paper, act, at)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("step", range(1, STEPS, 2))
def test_without_redis_at_any_step_it_is_done_when_redis_is_back(make_paper, step, act):
    paper = make_paper()

    async def away(name):
        if name.startswith(("append", "get", "put", "update", "once", "take", "start", "give", "secure", "enlist")):
            raise JournalAway("away")

    _, at = disturbed(paper, act, step, away, times=3)

    check(paper, act, at)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("how", ["throttled", "no answer"])
@pytest.mark.parametrize("step", range(1, STEPS, 2))
def test_a_store_with_a_bad_moment_at_any_step_does_it_in_the_end(make_paper, step, how, act):
    paper = make_paper()

    async def bad(name):
        if name.startswith(("read lock", "read dynamo", "hold ", "held ", "swap", "delete")):
            raise Throttle if how == "throttled" else Unreachable("memory", "no answer")

    _, at = disturbed(paper, act, step, bad, times=3, seconds=180)

    check(paper, act, at)


@pytest.mark.parametrize("step", range(1, 30))
def test_a_worker_killed_while_it_ends_what_arrived_late_loses_nothing_of_that(make_paper, step):
    paper = make_paper()
    begin(paper, "end")
    texts = dict(paper.store.texts)
    paper.pass_time(3)
    paper.store.texts.update(texts)

    async def kill(_):
        paper.switchboard.dead.add(WORKER.get())

    calls = paper.disturb(step, kill)
    paper.pass_time(200)

    kinds = [entry.kind for entry in paper.journal.logs[paper.incident.id] if entry.kind.startswith("hold.")]
    assert calls() >= step
    assert standing(paper) == {}
    assert kinds == ["hold.requested", "hold.placed", "hold.ended", "hold.ended"]

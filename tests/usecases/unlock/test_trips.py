"""How often a click waits until its lock is deleted, one time after another: counted on virtual time.

Of Redis (a trip), and of the systems outside (a hop). Two more trips are not the use cases' own: the delivery is
accepted before the ack, and a worker claims the job.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from bot.core.lock import LockInfo, PlaceKind
from bot.core.run import Conclusion
from bot.errors import NotPermitted
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import unlock
from handlers import clicks
from handlers.asker import Asker
from tests.worlds.memory.memory import lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

TRIP, HOP = 0.001, 1.0
OTHERS_TRIPS, MOST_TRIPS = 9, 6
OTHERS_HOPS, MOST_HOPS = 4, 3
ARMED_TRIPS = 2
"""With the two that are not counted 8 trips, as docs/benchmarks.md lists them. `OTHERS_`: of one who did not ask."""

OF_REDIS = ("get ", "put ", "update ", "swap ", "secure ", "once ", "take ", "renew ", "enlist", "append ", "start ",
            "accept", "find", "current", "open", "tail", "incidents")  # fmt: skip
TOGETHER = "secure unlock"
"""Goes to Redis together with the update before it (tests/store)."""

REMEMBERED = "read log"
"""The log of a job that is over is read once."""

OUTSIDE = ("read ", "list ", "look up ", "ask ", "members", "channel", "member", "delete ")


@pytest.fixture
def asked(make_paper):
    """A world where the gate allows an unlock that was asked for, and the click of a user on it."""
    paper = make_paper(kinds=(PlaceKind.ITEM,))
    paper.ci.start("1001", DEPLOY, host="runner-1", actor="elliott-ci")
    created = paper.clock.now()
    info = LockInfo("lock-1", "OperationTypeApply", "", "runner@fv-az1-1", "1", created, "p")
    paper.store.write(PlaceKind.ITEM, lock_text(info))
    paper.store.last_written = created
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)
    wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
    report = paper.run(unlock.ask(paper.ports, wish))
    paper.pass_time(5)  # the owner is told

    def click(user):
        ts = report.request.ts
        asker = Asker(user, CHANNEL, "", "", f"click/{user}", message=ts)
        return clicks.run(paper.ports, "unlock.confirm", f"{STATE} lock-1 {report.request.id}", asker)

    paper.click, paper.request = click, report.request
    return paper


@pytest.mark.parametrize(
    ("user", "trips", "hops"), [("U0QUINN", MOST_TRIPS, MOST_HOPS), ("U0PARKER", OTHERS_TRIPS, OTHERS_HOPS)]
)
def test_a_click_waits_so_often_until_the_lock_is_deleted(asked, user, trips, hops):
    sent = []

    async def fault(name):
        if name.startswith("delete "):
            sent.append(asked.loop.time())
        if name.startswith(OF_REDIS) and name != TOGETHER:
            await asyncio.sleep(TRIP)
        elif name.startswith(OUTSIDE) and name != REMEMBERED:
            await asyncio.sleep(HOP)

    began = asked.loop.time()
    asked.switchboard.fault = fault
    asked.run(asked.click(user))
    asked.pass_time(20)

    assert asked.store.texts == {}
    waited = sent[0] - began
    assert (round(waited % HOP / TRIP), round(waited // HOP) + 1) == (trips, hops)


@pytest.mark.parametrize(("slow", "hops"), [("read state", MOST_HOPS), ("list runs", MOST_HOPS + 1)])
def test_a_large_state_is_read_while_the_runs_are_as_nothing_else_depends_on_it(asked, slow, hops):
    sent = []

    async def fault(name):
        if name.startswith("delete "):
            sent.append(asked.loop.time())
        if name.startswith(OUTSIDE) and name != REMEMBERED:
            await asyncio.sleep(2 * HOP if name.startswith(slow) else HOP)

    began = asked.loop.time()
    asked.switchboard.fault = fault
    asked.run(asked.click("U0QUINN"))
    asked.pass_time(20)

    assert round((sent[0] - began) / HOP) + 1 == hops


def test_an_armed_unlock_waits_so_often_for_redis_until_it_is_decided(asked):
    """It learns its state, then takes the lease together with the request as it is after that."""
    decided = []

    async def fault(name):
        if name.startswith("read ") and not decided:
            decided.append(asked.loop.time())
        elif name.startswith(OF_REDIS) and name != TOGETHER:
            await asyncio.sleep(TRIP)

    asked.run(unlock.arm(asked.ports, asked.request.id, user="U0QUINN", lock_id="lock-1"))
    began = asked.loop.time()
    asked.switchboard.fault = fault
    asked.pass_time(20)

    assert asked.store.texts == {}
    assert round((decided[0] - began) / TRIP) == ARMED_TRIPS


def test_who_asked_and_may_not_any_more_is_refused_by_the_gate_and_another_member_goes_on(asked):
    asked.directory.inside[CHANNEL].remove("U0QUINN")

    asked.run(asked.click("U0QUINN"))
    asked.pass_time(20)

    assert [entry.kind for entry in asked.journal.logs[asked.incident.id]][-1] == "unlock.failed"
    assert asked.store.texts
    asked.run(asked.click("U0PARKER"))
    asked.pass_time(20)
    assert asked.store.texts == {}


@pytest.mark.parametrize("left", [True, False])
def test_who_asked_and_may_not_any_more_takes_no_armed_unlock_from_another_member(asked, left):
    asked.run(unlock.arm(asked.ports, asked.request.id, user="U0PARKER", lock_id="lock-1"))
    if left:
        asked.directory.inside[CHANNEL].remove("U0QUINN")

    with pytest.raises(NotPermitted) if left else nullcontext():
        asked.run(asked.click("U0QUINN"))

    record = asked.run(UNLOCKS.get(asked.ports, asked.request.id))
    assert (record.phase, record.by) == (("armed", "U0PARKER") if left else ("confirmed", "U0QUINN"))
    assert asked.store.texts


def test_who_asked_takes_no_request_that_waits_for_an_approval_in_one_write(asked):
    own = {"state": STATE, "lock_id": "lock-1", "user": "U0QUINN", "message": asked.request.ts}
    asked.run(UNLOCKS.update(asked.ports, asked.request.id, wanted=("protected",)))

    assert not asked.run(unlock.confirm_own(asked.ports, asked.request.id, **own))

    asked.pass_time(20)
    assert asked.store.texts
    asked.run(asked.click("U0QUINN"))
    asked.pass_time(20)
    assert asked.store.texts == {}


@pytest.mark.parametrize(
    "other", [{"state": "production"}, {"lock_id": "lock-2"}, {"user": "U0PARKER"}, {"message": "1.1"}, {}]
)
def test_only_the_own_click_on_the_own_message_takes_the_request_in_one_write(asked, other):
    own = {"state": STATE, "lock_id": "lock-1", "user": "U0QUINN", "message": asked.request.ts}

    taken = asked.run(unlock.confirm_own(asked.ports, asked.request.id, **own | other))

    assert taken is not bool(other)
    asked.pass_time(20)
    assert bool(asked.store.texts) is bool(other)

"""Small cases that the machine of people's actions has brought up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.lock import parse_lock_info
from bot.core.people import OwnerSays
from bot.core.reports.unlock import UnlockReport
from bot.errors import NotPermitted
from bot.usecases.decide.owner import answer_about
from bot.usecases.unlock import owner_answers as answers
from bot.usecases.unlock import unlock
from tests.worlds.clocks import SetClock
from tests.worlds.memory.memory import Throttle
from tests.worlds.memory.world import CHANNEL, STATE

QUINN, ELLIOTT = "U0QUINN", "U0ELLIOTT"


@pytest.fixture
def paper(make_paper):
    """A lock whose run goes on."""
    made = make_paper()
    made.take_lock()
    made.pass_time(300)
    return made


def ask(paper, *, when_safe=False):
    wish = unlock.UnlockCommand(STATE, QUINN, CHANNEL, paper.incident.id, when_safe=when_safe)
    return paper.run(unlock.ask(paper.ports, wish))


def standing(paper):
    return {parse_lock_info(text).id for text, _ in paper.store.texts.values()}


def test_two_workers_that_see_the_lock_at_the_same_time_arm_it_once(paper):
    busy = True

    async def fault(name):
        if busy and name.startswith("read "):
            raise Throttle

    paper.switchboard.fault = fault
    assert ask(paper, when_safe=True).request.lock_id == ""
    busy = False

    paper.pass_time(30, workers=("w1", "w2"))

    assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.ARMED
    armed = [entry for entry in paper.journal.logs[paper.incident.id] if entry.kind == "unlock.requested"]
    assert len(armed) == 1
    assert standing(paper) == {"lock-1"}


def test_asking_for_time_does_not_lift_what_the_owner_has_said_before(paper):
    ask(paper)
    at, state = paper.clock.now(), paper.ports.state(STATE).name
    says = {"state": state, "lock_id": "lock-1", "user": ELLIOTT, "at": at}
    paper.run(answers.take_answer(paper.ports, **says, says=OwnerSays.RUNNING))

    with pytest.raises(NotPermitted, match="still running"):
        paper.run(answers.take_answer(paper.ports, **says, says=OwnerSays.LATER))

    assert paper.run(answer_about(paper.ports, STATE, "lock-1")).says is OwnerSays.RUNNING
    assert standing(paper) == {"lock-1"}


@pytest.mark.parametrize(("days", "counts"), [(31, True), (399, True), (401, False)])
def test_an_objection_counts_as_long_as_a_lock_may_exist(paper, days, counts):
    ask(paper)
    paper.pass_time(5)
    name, now = paper.ports.state(STATE).name, paper.clock.now()
    paper.run(
        answers.take_answer(paper.ports, state=name, lock_id="lock-1", user=ELLIOTT, says=OwnerSays.RUNNING, at=now)
    )

    paper.records.clock = SetClock(now + timedelta(days=days))

    assert (paper.run(answer_about(paper.ports, STATE, "lock-1")) is not None) is counts

"""A delete that got no answer and is carried out by the store later: not known until it is settled by reading."""

from __future__ import annotations

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo, PlaceKind
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import Unreachable
from bot.usecases.decide.owner import record_answer
from bot.usecases.unlock import unlock
from tests.worlds.memory.memory import Throttle, lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

DELETE = f"delete {PlaceKind.ITEM}"


@pytest.fixture
def confirmed(make_paper):
    """A lock in one place whose run failed long ago, and its unlock, which is confirmed."""
    paper = make_paper(kinds=(PlaceKind.ITEM,))
    paper.ci.start("1001", DEPLOY, host="runner-1", actor="elliott-ci")
    created = paper.clock.now()
    paper.store.write(
        PlaceKind.ITEM, lock_text(LockInfo("lock-1", "OperationTypeApply", "", "runner@fv-az1-1", "1", created, "p"))
    )
    paper.store.last_written = created
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)
    wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
    request = paper.run(unlock.ask(paper.ports, wish)).request.id
    paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user="U0QUINN"))
    return paper


def unanswered(paper, *, lands_after=None, also=None):
    """The first delete gets no answer. The store carries it out so many seconds later, if at all."""
    sent = []

    async def fault(name):
        if name != DELETE or sent:
            return
        sent.append(name)
        _, fence = paper.store.texts[PlaceKind.ITEM]
        if lands_after is not None:
            paper.loop.call_later(lands_after, paper.store.delete_if, PlaceKind.ITEM, fence)
        if also is not None:
            await also()
        raise Unreachable("memory", "no answer")

    paper.switchboard.fault = fault


def ends(paper):
    entries = paper.journal.logs[paper.incident.id]
    return [entry.facts["outcome"] for entry in entries if entry.kind in {"unlock.released", "unlock.failed"}]


def last(paper):
    return paper.messenger.all(UnlockReport)[-1]


@pytest.mark.parametrize("lands_after", [0.01, 0.4, 2, None], ids=["at once", "between", "later", "never"])
def test_a_delete_that_landed_after_its_time_out_is_the_bots_own(confirmed, lands_after):
    unanswered(confirmed, lands_after=lands_after)

    confirmed.pass_time(60)

    assert confirmed.store.texts == {}
    assert ends(confirmed) == ["released"]
    assert last(confirmed).stage is UnlockStage.RELEASED


def test_a_check_that_fails_after_an_unanswered_delete_does_not_say_that_nothing_was_deleted(confirmed):
    """The lock was there when it was read last, and the store may still carry out what it got."""

    async def owner_objects():
        now = confirmed.clock.now()
        answer = OwnerAnswer(lock_id="lock-1", owner_id="U0ELLIOTT", says=OwnerSays.RUNNING, at=now)
        await record_answer(confirmed.ports, STATE, answer, incident=confirmed.incident.id)

    unanswered(confirmed, lands_after=30, also=owner_objects)
    confirmed.pass_time(25)

    assert PlaceKind.ITEM in confirmed.store.texts
    assert ends(confirmed) == ["not known"]
    assert last(confirmed).stage is UnlockStage.NOT_KNOWN


def test_the_same_check_after_a_delete_that_was_throttled_says_that_nothing_was_deleted(confirmed):
    async def objects_before_it_is_sent(name):
        if name == DELETE:
            confirmed.switchboard.fault = None
            now = confirmed.clock.now()
            answer = OwnerAnswer(lock_id="lock-1", owner_id="U0ELLIOTT", says=OwnerSays.RUNNING, at=now)
            await record_answer(confirmed.ports, STATE, answer, incident=confirmed.incident.id)
            raise Throttle

    confirmed.switchboard.fault = objects_before_it_is_sent
    confirmed.pass_time(25)

    assert PlaceKind.ITEM in confirmed.store.texts
    assert ends(confirmed) == ["refused"]

"""A fail-over of Redis right after something was written: what it lost is not confirmed to anybody, and nothing is
deleted on it.

The replica that becomes the primary has not heard of the write, and then confirms, with a replica of its own, all that
it has.
"""

from __future__ import annotations

import copy

import pytest

from bot.core.lock import parse_lock_info
from bot.core.people import OwnerSays
from bot.core.run import Conclusion
from bot.errors import NotReplicated
from bot.usecases.decide.owner import answer_about
from bot.usecases.record.lifecycle import note
from bot.usecases.request import approval
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import owner_answers, unlock
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

QUINN, PARKER, ELLIOTT = "U0QUINN", "U0PARKER", "U0ELLIOTT"


class Failing:
    """A Redis that fails over when it is asked to secure its first write since `from_here`."""

    def __init__(self, paper):
        self.paper, self.times = paper, 0
        self.from_here()

    def from_here(self):
        journal, records = self.paper.journal, self.paper.records
        self.kept = copy.deepcopy((records._kept, journal.logs, journal._once, self.paper.jobs.waiting))

    def fail_once(self):
        self.from_here()
        self.paper.switchboard.fault = self._fault
        self.times = 1

    async def _fault(self, name):
        if self.times and name.startswith("secure"):
            self.times -= 1
            records, logs, once, waiting = copy.deepcopy(self.kept)
            leases = {key: one for key, one in self.paper.records._kept.items() if key[0] == "lease"}  # taken before
            self.paper.records._kept, self.paper.journal.logs = records | leases, logs
            self.paper.journal._once, self.paper.jobs.waiting = once, waiting


@pytest.fixture(params=[True, False], ids=["failed over", "the allowed twin"])
def lost(request):
    return request.param


@pytest.fixture
def paper(make_paper):
    """A lock whose run died 20 minutes ago, and whose owner was asked."""

    def make(**how):
        made = make_paper(**how)
        made.take_lock()
        made.pass_time(60)
        made.ci.end("1001", Conclusion.FAILED)
        made.pass_time(1200)
        wish = unlock.UnlockCommand(STATE, QUINN, CHANNEL, made.incident.id)
        made.asked = made.run(unlock.ask(made.ports, wish)).request
        made.pass_time(5)
        made.redis = Failing(made)
        return made

    return make


def locks(paper):
    return {parse_lock_info(text).id for text, _ in paper.store.texts.values()}


def record(paper):
    return paper.run(UNLOCKS.get(paper.ports, paper.asked.id))


def confirmed(paper, lost, work):
    """Whether the person who did this reads that it was done."""
    if lost:
        paper.redis.fail_once()
    try:
        paper.run(work)
    except NotReplicated:
        return False
    return True


def test_an_objection_that_was_lost_is_not_confirmed_to_the_owner(paper, lost):
    world = paper()
    name, now = world.ports.state(STATE).name, world.clock.now()
    says = owner_answers.take_answer(
        world.ports, state=name, lock_id="lock-1", user=ELLIOTT, says=OwnerSays.RUNNING, at=now
    )

    assert confirmed(world, lost, says) is not lost
    assert (world.run(answer_about(world.ports, STATE, "lock-1")) is None) is lost


def test_a_release_whose_intent_was_lost_deletes_nothing_before_it_is_written_again(paper, lost):
    world = paper()
    world.run(unlock.confirm(world.ports, world.asked.id, lock_id="lock-1", user=QUINN))
    if lost:
        world.redis.fail_once()
    said = []
    world.store.on_delete = lambda *_: said.append(
        [entry.kind for entry in world.journal.logs[world.incident.id]].count("unlock.releasing")
    )

    world.pass_time(60)

    assert not world.redis.times
    assert locks(world) == set()
    assert set(said) == {1}
    assert [entry.kind for entry in world.journal.logs[world.incident.id]].count("unlock.releasing") == 1


def test_an_approval_that_was_lost_is_not_confirmed_and_releases_nothing(paper, lost):
    world = paper(protected=True)
    click = approval.approve(world.ports, world.asked.id, lock_id="lock-1", user=PARKER, covers="protected")

    assert confirmed(world, lost, click) is not lost
    world.pass_time(60)
    assert locks(world) == ({"lock-1"} if lost else set())


def test_a_request_that_was_declined_in_vain_is_not_called_declined(paper, lost):
    world = paper(protected=True)
    click = approval.decline(world.ports, world.asked.id, lock_id="lock-1", user=PARKER)

    assert confirmed(world, lost, click) is not lost
    assert (record(world).phase == "done") is not lost


def test_an_unlock_that_was_armed_and_taken_back_in_vain_is_not_called_so(paper, lost):
    world = paper()
    world.ci.start("1002", DEPLOY, host="runner-2", actor="elliott-ci")
    arms = unlock.arm(world.ports, world.asked.id, user=QUINN, lock_id="lock-1")
    assert confirmed(world, lost, arms) is not lost
    assert (record(world).phase == "armed") is not lost
    if lost:
        world.run(unlock.arm(world.ports, world.asked.id, user=QUINN, lock_id="lock-1"))

    back = unlock.disarm(world.ports, world.asked.id, lock_id="lock-1", user=QUINN)
    assert confirmed(world, lost, back) is not lost
    assert (record(world).phase == "armed") is lost


def test_a_note_that_was_lost_is_not_confirmed(paper, lost):
    world = paper()
    noted = note(world.ports, world.incident.id, user=QUINN, text="we look at the table", at=None)

    assert confirmed(world, lost, noted) is not lost
    texts = [entry.text for entry in world.journal.logs[world.incident.id]]
    assert ("we look at the table" in texts) is not lost

"""People who wait for a state: told in turn, once, whatever dies; with two workers, where time takes no time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.lock import LockInfo, PlaceKind
from bot.core.people import Channel
from bot.core.policy import WatchRule
from bot.core.reports.waiting import QueueNews
from bot.core.run import Conclusion
from bot.errors import Denied, JournalAway, Rejected, Unreachable
from bot.usecases.queue import waiting_list
from bot.usecases.queue.record import load_queue
from bot.usecases.queue.waiting_list import WaitCommand
from tests.worlds.memory.memory import WORKER, Killed, Throttle, lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE, MemoryWorld

QUINN, PARKER, ELLIOTT, GALE = "U0QUINN", "U0PARKER", "U0ELLIOTT", "U0GUEST"
WORKERS = ("w1", "w2")
HEAD_START = timedelta(minutes=5)


class Paper:
    """A world in memory with a state that can be locked and freed, and people who wait for it."""

    def __init__(self, **rule):
        self.world = MemoryWorld()
        self.world.ports = replace(self.world.ports, watch=WatchRule(**rule))
        self.count = 0

    @property
    def now(self):
        return self.world.clock.now()

    def lock(self, who="runner@fv-az881-525"):
        self.count += 1
        info = LockInfo(f"lock-{self.count}", "OperationTypeApply", "", who, "1.9.8", self.now, "p")
        for kind in self.world.kinds:
            self.world.store.write(kind, lock_text(info))

    def free(self):
        for kind in self.world.kinds:
            self.world.store.clear(kind)

    def start(self, user, *, channel=CHANNEL, **more):
        wish = WaitCommand(STATE, user, channel, incident=self.world.incident.id, **more)
        return self.world.run(waiting_list.start(self.world.ports, wish))

    def stop(self, user):
        return self.world.run(waiting_list.stop(self.world.ports, STATE, user))

    def pass_time(self, seconds, workers=WORKERS):
        self.world.pass_time(seconds, workers=workers)

    def queue(self):
        return self.world.run(load_queue(self.world.ports, STATE))

    def told(self):
        """Who was told that it is free, in order."""
        return [news.user for _, news in self.world.messenger.posted(QueueNews) if news.ending is None]

    def ended(self):
        return [news.user for _, news in self.world.messenger.posted(QueueNews) if news.ending is not None]

    def entries(self, kind):
        return [entry for entry in self.world.journal.logs[self.world.incident.id] if entry.kind == kind]


@pytest.fixture
def make():
    made = []

    def make(**rule):
        made.append(Paper(**rule))
        return made[-1]

    yield make
    for paper in made:
        paper.world.close()


@pytest.fixture
def paper(make):
    made = make()
    made.lock()
    return made


def test_whoever_waits_is_told_when_it_is_free_in_the_order_of_arrival_with_a_head_start(paper):
    assert [paper.start(user).place for user in (QUINN, PARKER, ELLIOTT)] == [1, 2, 3]
    paper.pass_time(600)
    assert paper.told() == []

    paper.free()
    paper.pass_time(20)
    assert paper.told() == [QUINN]
    paper.pass_time(HEAD_START.total_seconds() - 20)
    assert paper.told() == [QUINN]
    paper.pass_time(20)
    assert paper.told() == [QUINN, PARKER]
    paper.pass_time(HEAD_START.total_seconds())
    assert paper.told() == [QUINN, PARKER, ELLIOTT]

    paper.pass_time(3600)
    assert paper.told() == [QUINN, PARKER, ELLIOTT]
    assert paper.queue().is_idle
    assert not paper.world.jobs.waiting
    assert [entry.facts["outcome"] for entry in paper.entries("watch.ended")] == ["told"] * 3
    assert [entry.actor for entry in paper.entries("watch.started")] == [QUINN, PARKER, ELLIOTT]


def test_without_a_head_start_all_are_told_at_once_in_their_order(make):
    paper = make(head_start=timedelta(0))
    paper.lock()
    for user in (PARKER, QUINN, ELLIOTT):
        paper.start(user)

    paper.free()
    paper.pass_time(20)

    assert paper.told() == [PARKER, QUINN, ELLIOTT]


def test_asking_twice_changes_nothing_and_says_the_place(paper):
    paper.start(PARKER)
    paper.start(QUINN)

    again = paper.start(QUINN)

    assert (again.place, again.total, again.was_waiting) == (2, 2, True)
    assert len(paper.entries("watch.started")) == 2


def test_of_two_processes_that_put_people_on_at_the_same_time_none_is_lost(paper):
    async def together():
        wishes = [WaitCommand(STATE, f"U0{number}", CHANNEL) for number in range(8)]
        return await asyncio.gather(*(waiting_list.start(paper.world.ports, wish) for wish in wishes))

    paper.world.run(together())

    assert {one.user for one in paper.queue().waiters} == {f"U0{number}" for number in range(8)}


def test_what_is_free_already_is_said_at_once_and_nobody_waits(make):
    paper = make()

    report = paper.start(QUINN)

    assert (report.place, report.was_waiting) == (None, False)
    assert report.seen.is_free
    assert paper.queue().is_idle


def test_whoever_comes_while_others_have_their_turn_waits_behind_them(paper):
    paper.start(QUINN)
    paper.free()
    paper.pass_time(20)

    late = paper.start(PARKER)

    assert (late.place, late.total) == (2, 2)
    paper.pass_time(HEAD_START.total_seconds() + 20)
    assert paper.told() == [QUINN, PARKER]


def test_whoever_stops_waiting_is_not_told_and_the_next_one_moves_up(paper):
    for user in (QUINN, PARKER):
        paper.start(user)

    report = paper.stop(QUINN)

    assert (report.place, report.was_waiting) == (None, True)
    paper.free()
    paper.pass_time(20)
    assert paper.told() == [PARKER]
    assert [entry.facts["outcome"] for entry in paper.entries("watch.ended")] == ["stopped"]
    assert paper.stop(GALE).was_waiting is False


def test_whoever_gives_their_turn_back_lets_the_next_one_have_it_at_once(paper):
    for user in (QUINN, PARKER):
        paper.start(user)
    paper.free()
    paper.pass_time(20)

    paper.stop(QUINN)
    paper.pass_time(1)

    assert paper.told() == [QUINN, PARKER]


def test_a_lock_that_is_taken_again_leaves_the_others_waiting_and_the_first_in_their_place(paper):
    for user in (QUINN, PARKER):
        paper.start(user)
    paper.free()
    paper.pass_time(20)
    paper.lock()
    paper.pass_time(3600)
    assert paper.told() == [QUINN]
    assert [one.user for one in paper.queue().waiters] == [QUINN, PARKER]

    paper.free()
    paper.pass_time(20)

    assert paper.told() == [QUINN, QUINN]


def test_the_first_is_off_the_queue_when_the_new_lock_is_their_own(paper):
    for user in (ELLIOTT, PARKER):
        paper.start(user)
    paper.free()
    paper.pass_time(20)
    assert paper.told() == [ELLIOTT]
    paper.world.ci.start("77", DEPLOY, host="runner", actor="elliott-ci")
    paper.pass_time(5)
    paper.lock()

    paper.pass_time(20)

    assert [one.user for one in paper.queue().waiters] == [PARKER]
    paper.world.ci.end("77", Conclusion.SUCCESS)
    paper.free()
    paper.pass_time(20)
    assert paper.told() == [ELLIOTT, PARKER]


def test_the_first_is_off_the_queue_when_the_lock_is_taken_after_their_head_start(paper):
    for user in (QUINN, PARKER, ELLIOTT):
        paper.start(user)
    paper.free()
    paper.pass_time(HEAD_START.total_seconds() + 40)
    paper.lock()
    paper.pass_time(60)

    assert [one.user for one in paper.queue().waiters] == [PARKER, ELLIOTT]


def test_a_lock_that_comes_and_goes_does_not_tell_the_same_person_for_ever(paper):
    paper.start(QUINN)
    for _ in range(6):
        paper.free()
        paper.pass_time(20)
        paper.lock()
        paper.pass_time(20)

    assert paper.told() == [QUINN] * 3
    assert [news.is_last for _, news in paper.world.messenger.posted(QueueNews)] == [False, False, True]
    assert paper.queue().is_idle


def test_a_state_that_cannot_be_read_is_never_free(paper):
    async def fault(name):
        if name.startswith("read"):
            raise Throttle

    paper.start(QUINN)
    paper.free()
    paper.world.switchboard.fault = fault
    paper.pass_time(600)
    assert paper.told() == []

    paper.world.switchboard.fault = None
    paper.pass_time(20)
    assert paper.told() == [QUINN]


def test_half_a_lock_is_a_lock(paper):
    paper.start(QUINN)
    paper.world.store.clear(PlaceKind.FILE)

    paper.pass_time(60)

    assert paper.told() == []


def test_nobody_waits_for_ever_and_everybody_is_told_that_it_is_over(make):
    paper = make(wait_for=timedelta(hours=1))
    paper.lock()
    paper.start(QUINN)
    paper.pass_time(1800)
    paper.start(PARKER)

    paper.pass_time(1820)
    assert paper.ended() == [QUINN]
    paper.pass_time(1820)

    assert paper.ended() == [QUINN, PARKER]
    assert paper.told() == []
    assert paper.queue().is_idle
    assert [entry.facts["outcome"] for entry in paper.entries("watch.ended")] == ["expired"] * 2


def test_whoever_has_read_the_lock_has_it_told_without_waiting_for_the_next_look(paper):
    paper.start(QUINN)
    paper.pass_time(16)
    paper.free()

    async def seen():
        lock = await paper.world.ports.state(STATE).backend.read_lock()
        return await waiting_list.state_seen(paper.world.ports, STATE, lock)

    assert paper.world.run(seen()) == 1
    paper.pass_time(1)

    assert paper.told() == [QUINN]


def test_looks_that_were_lost_are_begun_again(paper):
    paper.start(QUINN)
    paper.world.jobs.waiting.clear()
    paper.free()
    paper.pass_time(60)
    assert paper.told() == []

    paper.world.run(waiting_list.tend(paper.world.ports))
    paper.pass_time(20)

    assert paper.told() == [QUINN]


def test_whoever_asks_in_an_incident_channel_is_told_there_and_everybody_else_in_their_dm(paper):
    paper.world.directory.channels["C0RANDOM"] = Channel("C0RANDOM", "random", is_direct=False, is_archived=False)
    paper.world.directory.channels["D0QUINN"] = Channel("D0QUINN", "", is_direct=True, is_archived=False)
    for user, channel in ((ELLIOTT, CHANNEL), (PARKER, "C0RANDOM"), (QUINN, "D0QUINN")):
        paper.start(user, channel=channel)
    paper.free()
    paper.pass_time(700)

    assert [channel for channel, _ in paper.world.messenger.posted(QueueNews)] == [CHANNEL, "DU0PARKER", "D0QUINN"]


def test_whose_channel_takes_no_message_is_told_in_their_dm(paper):
    closed = {"call"}

    async def fault(name):
        if name in closed:
            closed.clear()
            raise Rejected("Slack", "is_archived")

    paper.start(QUINN)
    paper.world.switchboard.fault = fault
    paper.free()
    paper.pass_time(20)

    assert [channel for channel, _ in paper.world.messenger.posted(QueueNews)] == ["DU0QUINN"]


def test_whoever_cannot_be_told_at_all_does_not_hold_up_the_others(paper):
    for user in (QUINN, PARKER):
        paper.start(user)
    refused = []

    async def only_quinn(name):
        if name == "call" and len(refused) < 2:
            refused.append(name)
            raise Rejected("Slack", "user_disabled")

    paper.world.switchboard.fault = only_quinn
    paper.free()
    paper.pass_time(20)

    assert paper.told() == [PARKER]
    assert [entry.facts["outcome"] for entry in paper.entries("watch.ended")] == ["could not be told"]


def test_while_slack_is_away_nobody_loses_their_turn_and_each_is_told_later_once(paper):
    away = True

    async def fault(name):
        if away and name in {"call", "look for message"}:
            raise Unreachable("Slack", "no answer")

    for user in (QUINN, PARKER):
        paper.start(user)
    paper.world.switchboard.fault = fault
    paper.free()
    paper.pass_time(1200)
    assert paper.told() == []

    away = False
    paper.pass_time(20)
    assert paper.told() == [QUINN]
    paper.pass_time(HEAD_START.total_seconds() + 20)
    assert paper.told() == [QUINN, PARKER]


def test_a_message_whose_answer_was_lost_is_found_and_not_said_again(paper):
    lost = {"called"}

    async def fault(name):
        if name in lost:
            lost.clear()
            raise Unreachable("Slack", "no answer")

    paper.start(QUINN)
    paper.world.switchboard.fault = fault
    paper.free()
    paper.pass_time(60)

    assert paper.told() == [QUINN]


def test_where_the_bot_may_not_look_for_what_it_said_it_says_it_rather_twice_than_never(paper):
    lost = {"called"}

    async def fault(name):
        if name in lost:
            lost.clear()
            raise Unreachable("Slack", "no answer")
        if name == "look for message":
            raise Denied("Slack", "missing_scope")

    paper.start(QUINN)
    paper.world.switchboard.fault = fault
    paper.free()
    paper.pass_time(60)

    assert paper.told() == [QUINN, QUINN]


def test_redis_that_is_away_while_it_becomes_free_loses_nobody(paper):
    away = True

    async def fault(name):
        if away and (name.endswith(" queue") or name == "take lease"):
            raise JournalAway("Redis is away")

    paper.start(QUINN)
    paper.world.switchboard.fault = fault
    paper.free()
    paper.pass_time(120)
    away = False
    paper.pass_time(90)

    assert paper.told() == [QUINN]


def course(paper):
    """Two people wait with little head start, and it becomes free."""
    paper.lock()
    for user in (QUINN, PARKER):
        paper.start(user)
    paper.free()
    paper.pass_time(60)


def run_killed_at(moment):
    """The course with the worker killed that makes this call, and how many calls were made."""
    paper = Paper(head_start=timedelta(seconds=8))
    calls = 0

    async def kill(_name):
        nonlocal calls
        if WORKER.get():
            calls += 1
            if calls == moment:
                paper.world.switchboard.dead.add(WORKER.get())
                raise Killed(WORKER.get())

    paper.world.switchboard.fault = kill
    try:
        course(paper)
        outcomes = [entry.facts["outcome"] for entry in paper.entries("watch.ended")]
        return calls, paper.told(), outcomes, paper.queue().is_idle
    finally:
        paper.world.close()


def test_a_worker_that_is_killed_at_any_call_makes_nobody_wait_in_vain_nor_hear_twice():
    moments, *usual = run_killed_at(0)
    assert usual == [[QUINN, PARKER], ["told", "told"], True]

    for moment in range(1, moments + 1):
        assert list(run_killed_at(moment)[1:]) == usual, moment


def test_whoever_asks_again_hears_how_it_stands_now_and_has_it_looked_at(paper):
    paper.start(QUINN)
    paper.free()
    paper.pass_time(20)
    paper.lock()

    again = paper.start(QUINN)

    assert (again.place, again.was_waiting) == (1, True)
    assert not again.seen.is_free
    paper.pass_time(1)
    assert paper.queue().free_since is None

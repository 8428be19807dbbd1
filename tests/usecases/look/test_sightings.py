"""Which locks a state was seen with before the one that it has now: what sweeps and looks remember of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.lock import LockInfo, LockPlace, LockSeen, PlaceKind
from bot.usecases.decide.sightings import SIGHTINGS, earlier_than, note, remember
from tests.worlds.clocks import SetClock
from tests.worlds.memory.memory import lock_text
from tests.worlds.memory.people import Waiting
from tests.worlds.memory.world import STATE, MemoryWorld

NINE, MINUTE = datetime(2026, 11, 21, 9, tzinfo=UTC), timedelta(minutes=1)


@pytest.fixture
def town():
    world = MemoryWorld()
    yield world
    world.close()


def info(lock_id, minutes=0):
    return LockInfo(lock_id, "OperationTypeApply", "", "runner@fv-az1-1", "1.9.8", NINE + minutes * MINUTE, "p")


def seen(*locks):
    places = (LockPlace(PlaceKind.ITEM, "locks", "fence", each) for each in locks)
    return LockSeen(held=tuple(places), free=(), unseen=(), at=NINE)


def remembered(town, lock_id, *looks):
    """Of how many minutes past nine the earlier locks are, after these looks."""
    for look in looks:
        town.run(remember(town.ports, STATE, look))
    known = town.run(SIGHTINGS.get(town.ports, STATE))
    return [(created - NINE) / MINUTE for created in earlier_than(known, lock_id)]


def test_a_lock_comes_after_all_that_were_seen_before_it(town):
    a, b = seen(info("a", 1)), seen(info("b", 3))

    assert remembered(town, "a") == []
    assert remembered(town, "a", a, a) == []
    assert remembered(town, "b", seen(), b, a, b) == [1]
    assert remembered(town, "a") == []  # however late another look brings it
    assert remembered(town, "new") == [1, 3]


def test_only_the_newest_are_kept(town):
    assert remembered(town, "new", *(seen(info(f"lock-{n}", n)) for n in range(60))) == [
        float(n) for n in range(10, 60)
    ]


def test_each_sweep_remembers_what_it_saw(town):
    town.store.write(PlaceKind.ITEM, lock_text(info("a", 1)))
    town.jobs.waiting["sweep"] = Waiting("watch_states", (), "sweep", town.clock.now())
    town.pass_time(0.01)

    assert remembered(town, "b") == [1]


def test_what_two_looks_bring_at_the_same_time_is_all_remembered(town):
    """One worker has read what is known before another notes the lock that someone then breaks."""
    before = town.run(SIGHTINGS.get(town.ports, STATE))
    town.run(note(town.ports, STATE, before, seen(info("a", 1))))
    town.run(note(town.ports, STATE, before, seen(info("b", 3))))

    assert remembered(town, "b") == [1]
    assert remembered(town, "new", seen(info("b", 3))) == [1, 3]


def test_a_sighting_is_remembered_as_long_as_a_lock_may_exist(town):
    town.run(remember(town.ports, STATE, seen(info("a", 1))))
    now = town.clock.now()
    town.records.clock = SetClock(now + timedelta(days=399))
    assert remembered(town, "b") == [1]
    town.records.clock = SetClock(now + timedelta(days=401))
    assert remembered(town, "b") == []

"""How incidents end by themselves, and how several follow one another."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.core.record.timeline import Draft, Kind, verify
from bot.core.reports.kill import KillRequest
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockRequest
from bot.usecases.record import channel_incidents, lifecycle
from bot.usecases.request.record import KILLS, UNLOCKS, KillRecord, RequestPhase, UnlockRecord, save_kill, save_unlock
from tests.worlds.memory.world import CHANNEL, MemoryWorld

QUIET = timedelta(hours=24).total_seconds()


@pytest.fixture
def paper():
    world = MemoryWorld()
    yield world
    world.close()


def let(paper, seconds):
    paper.run(paper._pass(seconds, ("w1",)))


def tend(paper):
    paper.run(lifecycle.tend(paper.ports))


def is_open(paper, incident=None):
    return paper.run(paper.journal.find((incident or paper.incident).id)).is_open


def kinds(paper, incident=None):
    entries = paper.journal.logs[(incident or paper.incident).id]
    verify(entries)
    return [entry.kind for entry in entries if entry.kind.startswith("incident.")]


def exports(paper):
    return [key for key in paper.jobs.waiting if key.startswith("export:")]


def request(paper, **facts):
    values = {"id": "r1", "state": "staging", "lock_id": "l", "channel": CHANNEL, "user": "U0QUINN"}
    return values | {"asked_at": paper.clock.now(), "incident": paper.incident.id} | facts


def test_an_incident_is_closed_when_nothing_was_written_for_long_enough(paper):
    let(paper, QUIET - 1)
    tend(paper)
    assert is_open(paper)

    let(paper, 1)
    tend(paper)

    assert not is_open(paper)
    last = paper.journal.logs[paper.incident.id][-1]
    assert (last.kind, last.actor) == ("incident.closed", "tflock")
    assert len(exports(paper)) == 1


def test_the_last_entry_of_any_kind_counts_by_when_it_was_recorded(paper):
    let(paper, QUIET - 10)
    long_ago = paper.clock.now() - timedelta(days=3)
    paper.run(paper.journal.append(paper.incident.id, Draft(long_ago, Kind.ALERT_RAISED, "tflock", "x")))
    let(paper, 20)
    tend(paper)
    assert is_open(paper)

    let(paper, QUIET)
    tend(paper)
    assert not is_open(paper)


def test_an_entry_at_the_very_moment_of_closing_keeps_it_open(paper):
    let(paper, QUIET)

    async def write(name):
        if name == "close":
            paper.switchboard.fault = None
            await paper.journal.append(paper.incident.id, Draft(paper.clock.now(), Kind.NOTE_ADDED, "U0QUINN", "wait"))

    paper.switchboard.fault = write
    tend(paper)

    assert is_open(paper)
    assert kinds(paper) == ["incident.opened"]
    assert exports(paper) == []


@pytest.mark.parametrize(
    "phase", [RequestPhase.CONFIRMED, RequestPhase.APPROVAL, RequestPhase.ARMED, RequestPhase.RELEASING]
)
@pytest.mark.parametrize("kind", ["unlock", "kill"])
def test_an_incident_with_an_unlock_or_a_kill_at_work_is_not_quiet(paper, phase, kind):
    if kind == "unlock":
        paper.run(save_unlock(paper.ports, UnlockRecord(request=UnlockRequest(**request(paper)), phase=phase)))
    else:
        asked = KillRequest(**request(paper), asked="staging")
        paper.run(save_kill(paper.ports, KillRecord(request=asked, phase=phase)))
    let(paper, QUIET)
    tend(paper)
    assert is_open(paper)

    shelf = UNLOCKS if kind == "unlock" else KILLS
    paper.run(shelf.update(paper.ports, "r1", phase=RequestPhase.DONE))
    tend(paper)
    assert not is_open(paper)


def test_a_request_that_was_only_shown_keeps_nothing_open(paper):
    paper.run(save_unlock(paper.ports, UnlockRecord(request=UnlockRequest(**request(paper)))))
    let(paper, QUIET)
    tend(paper)

    assert not is_open(paper)


def test_many_workers_close_it_once(paper):
    let(paper, QUIET)

    async def at_once():
        await asyncio.gather(*(lifecycle.tend(paper.ports) for _ in range(4)))

    paper.run(at_once())
    tend(paper)

    assert kinds(paper) == ["incident.opened", "incident.closed"]
    assert len(exports(paper)) == 1


def test_the_channel_is_told_how_to_go_on(paper):
    let(paper, QUIET)
    tend(paper)

    assert [notice.headline for notice in paper.messenger.all(Notice)] == ["Incident closed"]
    assert "/tflock reopen" in str(paper.messenger.all(Notice)[0].lines)


def test_a_closing_whose_export_was_never_started_is_made_good(paper):
    class Died(Exception):
        pass

    async def die(name):
        if name.startswith("start export"):
            raise Died

    paper.switchboard.fault = die
    with pytest.raises(Died):
        paper.run(lifecycle.close(paper.ports, paper.incident, user="U0QUINN"))
    paper.switchboard.fault = None
    assert not is_open(paper)
    assert exports(paper) == []

    tend(paper)
    assert len(exports(paper)) == 1


def test_an_export_that_was_started_is_not_started_again(paper):
    paper.run(lifecycle.close(paper.ports, paper.incident, user="U0QUINN"))
    paper.jobs.waiting.clear()

    tend(paper)

    assert exports(paper) == []


def test_each_closing_is_exported_under_a_key_of_its_own(paper):
    paper.run(lifecycle.close(paper.ports, paper.incident, user="U0QUINN"))
    first = exports(paper)
    paper.jobs.waiting.clear()
    let(paper, 60)
    paper.run(lifecycle.reopen(paper.ports, paper.incident, user="U0QUINN"))
    paper.run(lifecycle.close(paper.ports, paper.incident, user="U0QUINN"))

    assert len(first) == len(exports(paper)) == 1
    assert first != exports(paper)


def test_a_reopened_incident_is_given_its_time_again(paper):
    let(paper, QUIET)
    tend(paper)
    let(paper, QUIET)
    assert paper.run(lifecycle.reopen(paper.ports, paper.incident, user="U0QUINN")) is not None
    tend(paper)
    assert is_open(paper)

    let(paper, QUIET)
    tend(paper)
    assert kinds(paper) == [f"incident.{how}" for how in ("opened", "closed", "reopened", "closed")]


def test_archiving_the_channel_closes_what_was_open_in_it(paper):
    closed = paper.run(lifecycle.close_archived(paper.ports, CHANNEL))
    again = paper.run(lifecycle.close_archived(paper.ports, CHANNEL))

    assert closed.id == paper.incident.id
    assert again is None
    assert not is_open(paper)
    assert len(exports(paper)) == 1


def test_incidents_follow_one_another_in_a_channel_each_with_its_own_timeline(paper):
    async def enter(command):
        return await lifecycle.enter(paper.ports, channel=CHANNEL, user="U0QUINN", title="next", command=command)

    paper.run(lifecycle.close(paper.ports, paper.incident, user="U0QUINN"))
    second = paper.run(enter("status staging"))
    paper.run(enter("status production"))

    assert second.id != paper.incident.id
    assert kinds(paper) == ["incident.opened", "incident.closed"]
    texts = [entry.text for entry in paper.journal.logs[second.id]][1:]
    assert texts == ["/tflock status staging", "/tflock status production"]
    assert paper.run(channel_incidents.latest(paper.ports, CHANNEL)).id == second.id


def test_of_several_closed_incidents_the_one_that_ended_last_is_the_channels_last_one(paper):
    async def close_both():
        now, journal = paper.ports.clock.now, paper.ports.journal
        await journal.close(paper.incident.id, by="U0QUINN", at=now())
        second, _ = await journal.open(channel=CHANNEL, title="next", by="U0QUINN", at=now())
        await journal.close(second.id, by="U0QUINN", at=now())
        await journal.reopen(paper.incident.id, by="U0QUINN", at=now())
        await journal.close(paper.incident.id, by="U0QUINN", at=now() + timedelta(minutes=1))

    paper.run(close_both())

    assert paper.run(channel_incidents.latest(paper.ports, CHANNEL)).id == paper.incident.id


@pytest.mark.parametrize(
    ("minutes", "which"),
    [
        (-61, None),
        (-59, "first"),
        (30, "first"),
        (65, "first"),
        (80, "second"),
        (100, "second"),
        (159, "second"),
        (181, None),
    ],
)
def test_what_is_told_afterwards_belongs_to_the_incident_that_was_going_on_then(paper, minutes, which):
    """The first one goes on from the minute 0 to 60, the second one from 90 to 120."""
    began, journal, minute = paper.incident.opened_at, paper.ports.journal, timedelta(minutes=1)

    async def close_both():
        await journal.close(paper.incident.id, by="U0QUINN", at=began + 60 * minute)
        second, _ = await journal.open(channel=CHANNEL, title="second", by="U0QUINN", at=began + 90 * minute)
        await journal.close(second.id, by="U0QUINN", at=began + 120 * minute)
        return {paper.incident.id: "first", second.id: "second"}

    names = paper.run(close_both())
    found = paper.run(channel_incidents.about(paper.ports, CHANNEL, began + minutes * minute))

    assert (None if found is None else names[found.id]) == which
    assert paper.run(channel_incidents.about(paper.ports, "C0OTHER", began)) is None


def test_while_an_incident_is_open_everything_belongs_to_it(paper):
    long_ago = paper.incident.opened_at - timedelta(days=400)
    assert paper.run(channel_incidents.about(paper.ports, CHANNEL, long_ago)).id == paper.incident.id

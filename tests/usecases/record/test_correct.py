"""Corrections and pages of the timeline, on a journal in memory and on a real Redis."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.record.incident import Incident
from bot.core.record.revision import CORRECTIONS, LONGEST_TEXT, Marking
from bot.core.record.timeline import Draft, Kind, verify
from bot.errors import NotPermitted
from bot.store.chain import log_key
from bot.store.connect import connect
from bot.store.redis_journal import RedisJournal
from bot.usecases.record import correct, pages
from tests.worlds.memory.journal import MemoryJournal
from tests.worlds.memory.people import MemoryJobs
from tests.worlds.memory.world import MemoryWorld
from tests.worlds.redis_server import own_redis

CHANNEL = "C0INC"
QUINN, PARKER = "U0QUINN", "U0PARKER"


class HandClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@dataclass
class Record:
    """An incident's record with ten notes, numbered 2 to 11."""

    world: object
    clock: HandClock
    incident: Incident
    client: object = None

    async def note(self, text: str) -> str:
        draft = Draft(self.clock.now(), Kind.NOTE_ADDED, QUINN, text)
        return (await self.world.journal.append(self.incident.id, draft)).entry.id

    async def edit(self, entry="2", **changes):
        return await correct.edit(self.world, self.incident.id, entry, by=changes.pop("by", PARKER), **changes)

    async def mark(self, how, entry="2", **more):
        return await correct.mark(self.world, self.incident.id, entry, by=PARKER, how=how, **more)

    async def raw(self):
        return [entry async for entry in self.world.journal.entries(self.incident.id)]

    async def corrections(self):
        return [entry for entry in await self.raw() if entry.kind in CORRECTIONS]


@asynccontextmanager
async def in_memory(clock):
    yield MemoryJournal(clock), None


@asynccontextmanager
async def in_redis(clock):
    async with own_redis() as url:
        client = connect(url)
        yield RedisJournal(client, clock=clock, rng=random.Random()), client
        await client.aclose()


@pytest.fixture
def ports():
    paper = MemoryWorld()
    yield paper.ports
    paper.close()


@pytest.fixture(params=[in_memory, in_redis], ids=["memory", "redis"])
async def record(request, ports):
    clock = HandClock()
    async with request.param(clock) as (journal, client):
        world = replace(ports, journal=journal, clock=clock, jobs=MemoryJobs(clock))
        incident, _ = await journal.open(channel=CHANNEL, title="staging", by=QUINN, at=clock.now())
        made = Record(world, clock, incident, client)
        for number in range(10):
            await made.note(f"note {number}")
        yield made


async def test_an_edit_says_what_it_was_and_what_it_is_and_leaves_the_raw_log_alone(record):
    raw = await record.raw()
    at = datetime(2026, 11, 21, 11, 40, tzinfo=UTC)

    told = await record.edit(text="the apply is dead", at=at, why="typo")

    assert (told.before.entry.text, told.after.entry.text) == ("note 0", "the apply is dead")
    assert (told.before.entry.at, told.after.entry.at) == (raw[1].at, at)
    assert told.changed
    now = await record.raw()
    assert now[: len(raw)] == raw
    assert verify(now) == len(raw) + 1
    (change,) = told.after.changes
    assert (change.by, change.why, change.kind) == (PARKER, "typo", "entry.edited")
    assert now[-1].facts == {
        "entry": "2", "text": "the apply is dead", "at": "2026-11-21T11:40:00.000000Z", "why": "typo"
    }  # fmt: skip


async def test_only_what_is_another_than_before_is_written_down(record):
    before = await record.raw()
    told = await record.edit(text="note 0", at=before[1].at)
    assert not told.changed
    assert await record.raw() == before

    await record.edit(text="note 0", at=before[1].at - timedelta(minutes=1))
    assert set((await record.raw())[-1].facts) == {"entry", "at"}


async def test_two_people_edit_the_same_entry_and_both_stay_on_the_record(record):
    first, second = await asyncio.gather(
        record.edit(text="by parker", by=PARKER), record.edit(text="by quinn", by=QUINN)
    )
    assert {first.after.entry.text, second.after.entry.text} <= {"by parker", "by quinn"}
    said = await record.corrections()
    assert {(entry.actor, entry.facts["text"]) for entry in said} == {(PARKER, "by parker"), (QUINN, "by quinn")}
    now = await correct.look(record.world, record.incident.id, "2")
    assert now.after.entry.text == said[-1].facts["text"]
    assert len(now.after.changes) == 2


async def test_a_doubled_wish_adds_one_entry(record):
    told = await asyncio.gather(*(record.edit(text="once", once="view/V1") for _ in range(5)))
    assert [one.changed for one in told].count(True) == 1
    assert len(await record.corrections()) == 1


@pytest.mark.parametrize(
    ("how", "kind", "back"),
    [
        (Marking.HIDE, "entry.hidden", Marking.RESTORE),
        (Marking.KEY, "entry.marked", Marking.NOT_KEY),
    ],
)
async def test_an_entry_is_hidden_or_marked_once_and_back_again(record, how, kind, back):
    first, again = await record.mark(how, why="noise"), await record.mark(how)
    assert (first.changed, again.changed) == (True, False)
    (said,) = await record.corrections()
    assert (said.kind, said.actor, said.facts) == (kind, PARKER, {"entry": "2", "why": "noise"})
    assert (first.is_hidden, first.after.is_key) == (how is Marking.HIDE, how is Marking.KEY)

    undone, twice = await record.mark(back), await record.mark(back)
    assert (undone.changed, twice.changed) == (True, False)
    assert (undone.is_hidden, undone.after.is_key) == (False, False)
    assert [entry.facts["entry"] for entry in await record.world.journal.corrections(record.incident.id)] == ["2", "2"]


@pytest.mark.parametrize("entry", ["999", "0", "x"])
async def test_an_entry_that_is_not_there_is_refused(record, entry):
    with pytest.raises(NotPermitted, match="no entry"):
        await record.edit(entry, text="x")
    with pytest.raises(NotPermitted, match="Nothing was changed"):
        await record.mark(Marking.HIDE, entry)
    assert await record.corrections() == []


async def test_a_correction_is_not_corrected_and_the_one_it_is_about_is_named(record):
    await record.edit(text="new")
    (said,) = await record.corrections()
    for attempt in (record.edit(said.id, text="other"), record.mark(Marking.HIDE, said.id)):
        with pytest.raises(NotPermitted, match="itself a correction, of entry 2"):
            await attempt
    assert len(await record.corrections()) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text": ""}, "cannot be empty"),
        ({"text": "  \n "}, "cannot be empty"),
        ({"text": "x" * (LONGEST_TEXT + 1)}, "10,001 characters"),
        ({"at": datetime(2026, 11, 21, 23, tzinfo=UTC)}, "in the future"),
        ({"at": datetime(1969, 12, 31, tzinfo=UTC)}, "before 1970"),
        ({"text": "x", "why": "y" * 1_001}, "reason has 1,001"),
    ],
)
async def test_a_text_a_time_or_a_reason_that_cannot_be_is_refused_and_nothing_is_written(record, changes, reason):
    with pytest.raises(NotPermitted, match=reason):
        await record.edit(**changes)
    assert await record.corrections() == []


async def test_the_longest_text_fits(record):
    assert (await record.edit(text="x" * LONGEST_TEXT)).changed


async def test_a_secret_in_a_correction_never_lands_on_the_record(record):
    told = await record.edit(text="the key is AKIAIOSFODNN7EXAMPLE", why="password=hunter2hunter2")
    texts = json.dumps([dict(entry.facts) for entry in await record.raw()]) + told.after.entry.text
    assert "AKIAIOSFODNN7EXAMPLE" not in texts
    assert "hunter2hunter2" not in texts


async def test_a_closed_incident_is_corrected_and_exported_anew_and_an_open_one_is_not(record):
    await record.edit(text="while open")
    assert record.world.jobs.waiting == {}
    await record.world.journal.close(record.incident.id, by=QUINN, at=record.clock.now())

    told = await record.edit(text="afterwards")

    assert told.changed
    assert not told.incident.is_open
    (job,) = record.world.jobs.waiting.values()
    assert (job.name, job.args[0]) == ("reissue", record.incident.id)


async def test_the_incident_meant_is_the_open_one_else_the_one_closed_last(record):
    journal = record.world.journal
    assert (await correct.incident_of(record.world, CHANNEL)).id == record.incident.id
    await journal.close(record.incident.id, by=QUINN, at=record.clock.now())
    later, _ = await journal.open(channel=CHANNEL, title="later", by=QUINN, at=record.clock.now())
    assert (await correct.incident_of(record.world, CHANNEL)).id == later.id
    await journal.close(later.id, by=QUINN, at=record.clock.now())
    assert (await correct.incident_of(record.world, CHANNEL)).id == later.id
    with pytest.raises(NotPermitted, match="/tflock open"):
        await correct.incident_of(record.world, "C0OTHER")


async def test_a_timeline_that_was_put_back_from_an_export_keeps_its_corrections(record):
    await record.edit(text="put right")
    closed = await record.world.journal.close(record.incident.id, by=QUINN, at=record.clock.now())
    raw = await record.raw()

    async def exported():
        for entry in raw:
            yield entry

    async with (in_memory if record.client is None else in_redis)(record.clock) as (elsewhere, _):
        assert await elsewhere.restore(closed, exported())
        assert await elsewhere.corrections(closed.id) == (raw[-2],)


# ── pages


def numbers(report):
    return [int(shown.entry.id) for shown in report.shown]


async def walk(record, size):
    """All pages from the newest to the oldest."""
    report = await pages.newest(record.world, record.incident, size)
    yield report
    while report.older:
        report = await pages.older(record.world, record.incident, before=report.older, size=size)
        yield report


@pytest.mark.parametrize("size", [1, 3, 4, 11, 25, 1000])
async def test_the_pages_show_every_entry_once_the_newest_first(record, size):
    seen = [numbers(report) async for report in walk(record, size)]
    assert [number for page in reversed(seen) for number in page] == list(range(1, 12))
    assert len(seen[0]) == min(size, 11)


async def test_newer_leads_back_to_the_newest_page(record):
    first = await pages.newest(record.world, record.incident, 3)
    assert (numbers(first), first.newer) == ([9, 10, 11], None)
    second = await pages.older(record.world, record.incident, before=first.older, size=3)
    third = await pages.older(record.world, record.incident, before=second.older, size=3)
    assert numbers(third) == [3, 4, 5]

    back = await pages.newer(record.world, record.incident, after=third.newer, size=3)
    assert (numbers(back), back.older, back.newer) == ([6, 7, 8], "6", "8")
    newest = await pages.newer(record.world, record.incident, after=back.newer, size=3)
    assert (numbers(newest), newest.newer) == ([9, 10, 11], None)
    assert numbers(await pages.newer(record.world, record.incident, after="10", size=3)) == [9, 10, 11]


async def test_corrections_that_come_much_later_are_applied_on_an_old_page(record):
    await record.edit("2", text="put right")
    await record.mark(Marking.HIDE, "3")
    await record.mark(Marking.KEY, "4")
    await asyncio.gather(*(record.note(f"later {number}") for number in range(200)))

    page = await pages.older(record.world, record.incident, before="6", size=4)

    assert numbers(page) == [1, 2, 4, 5]
    assert [shown.entry.text for shown in page.shown][1] == "put right"
    assert [shown.is_key for shown in page.shown] == [False, False, True, False]
    assert (page.hidden, page.total) == (("3",), 214)


async def test_a_page_reads_past_what_is_hidden(record):
    noise = [await record.note(f"noise {number}") for number in range(60)]
    await asyncio.gather(*(record.mark(Marking.HIDE, entry) for entry in noise))

    assert numbers(await pages.newest(record.world, record.incident, 4)) == [8, 9, 10, 11]
    assert numbers(await pages.newer(record.world, record.incident, after="4", size=3)) == [5, 6, 7]


async def test_a_page_of_a_hundred_thousand_entries_reads_hardly_any_of_them(ports):
    clock = HandClock()
    async with in_redis(clock) as (journal, client):
        world = replace(ports, journal=journal, clock=clock)
        incident, _ = await journal.open(channel=CHANNEL, title="staging", by=QUINN, at=clock.now())
        for _ in range(3):
            await journal.append(incident.id, Draft(clock.now(), Kind.NOTE_ADDED, QUINN, "a note"))
        await correct.edit(world, incident.id, "2", by=PARKER, text="put right")
        (item,) = await client.xrange(log_key(incident.id), "2-0", "2-0")
        await _lengthen(client, incident.id, item[1], range(6, 100_001))
        await client.config_resetstat()

        newest = await pages.newest(world, incident, 12)
        oldest = await pages.older(world, incident, before="6", size=12)

        asked = await client.info("commandstats")
    assert numbers(newest) == list(range(99_989, 100_001))
    assert [shown.entry.text for shown in oldest.shown][1] == "put right"
    calls = {name.removeprefix("cmdstat_"): found["calls"] for name, found in asked.items()}
    assert sum(calls.get(name, 0) for name in ("xrange", "xrevrange")) < 20


FILL = """
for n = ARGV[4], ARGV[5] do
  local body = string.gsub(ARGV[3], '"id":"2"', '"id":"' .. n .. '"')
  redis.call('XADD', KEYS[1], n .. '-0', 'prev', ARGV[1], 'hash', ARGV[2], 'body', body, 'writer', 'w')
end
"""


async def _lengthen(client, incident, fields, ordinals):
    """Fills the stream with entries of the right shape; nobody checks their chain here."""
    for first in ordinals[::2000]:  # a script for all of them outlasts the client's time-out on a busy machine
        ends = (first, min(first + 2000, ordinals.stop) - 1)
        await client.eval(FILL, 1, log_key(incident), fields["prev"], fields["hash"], fields["body"], *ends)

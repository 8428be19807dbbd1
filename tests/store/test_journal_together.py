"""Appends that go into Redis together: given up, cut off, doubled, of several processes, none lost and none twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from bot.core.record.timeline import Draft, Kind, verify
from bot.errors import JournalAway

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

WRITER = """
import asyncio, random, sys
from datetime import UTC, datetime
from bot.core.record.timeline import Draft, Kind
from bot.store.connect import connect
from bot.store.redis_journal import RedisJournal

class WallClock:
    def now(self):
        return datetime.now(UTC)

async def main(url, incident_id, name):
    journal = RedisJournal(connect(url), clock=WallClock(), rng=random.Random())
    async def write(n):
        draft = Draft(datetime.now(UTC), Kind.NOTE_ADDED, name, f"{n}", once=f"event-{n}")
        await journal.append(incident_id, draft)
        print(n, flush=True)
    for first in range(0, 100000, 20):
        await asyncio.gather(*(write(n) for n in range(first, first + 20)))

asyncio.run(main(*sys.argv[1:]))
"""


def note(text="looking", once=None):
    return Draft(NOON, Kind.NOTE_ADDED, "U1", text, once=once)


@pytest.fixture
def journal(make_journal, redis_url):
    return make_journal(redis_url)


@pytest.fixture
async def incident_id(journal):
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    return incident.id


async def texts(journal, incident_id):
    entries = [entry async for entry in journal.entries(incident_id)]
    verify(entries)
    return [entry.text for entry in entries[1:]]


async def test_appends_of_one_process_at_once_keep_their_order(journal, incident_id):
    answers = await asyncio.gather(*(journal.append(incident_id, note(f"n{n}")) for n in range(300)))

    assert await texts(journal, incident_id) == [f"n{n}" for n in range(300)]
    assert [answer.entry.id for answer in answers] == [str(n + 2) for n in range(300)]


async def test_doubled_deliveries_among_others_add_one_entry_each(make_journal, redis_url, incident_id):
    journals = [make_journal(redis_url) for _ in range(3)]
    names = [f"n{n % 40}" for n in range(240)]
    random.Random(7).shuffle(names)

    answers = await asyncio.gather(
        *(journals[n % 3].append(incident_id, note(name, once=name)) for n, name in enumerate(names))
    )

    told = await texts(journals[0], incident_id)
    assert sorted(told) == sorted(set(names))
    assert sum(answer.added for answer in answers) == 40
    assert all(answer.entry.text == name for answer, name in zip(answers, names, strict=True))


async def test_one_that_cannot_be_recorded_takes_no_other_with_it(journal, incident_id):
    drafts = [note(f"n{n}") if n % 3 else Draft(NOON, Kind.NOTE_ADDED, "U1", "x", {"x": object()}) for n in range(30)]

    answers = await asyncio.gather(*(journal.append(incident_id, one) for one in drafts), return_exceptions=True)

    assert [isinstance(answer, TypeError) for answer in answers] == [n % 3 == 0 for n in range(30)]
    assert await texts(journal, incident_id) == [f"n{n}" for n in range(30) if n % 3]


async def test_who_gives_up_waiting_takes_no_other_with_them(journal, incident_id):
    for round_ in range(8):
        tasks = [asyncio.create_task(journal.append(incident_id, note(f"{round_}/{n}"))) for n in range(60)]
        for _ in range(round_ + 1):
            await asyncio.sleep(0)
        for task in tasks[::7]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        kept = [f"{round_}/{n}" for n in range(60) if n % 7]
        assert [a.entry.text for a in answers if not isinstance(a, BaseException)][: len(kept)]
        told = await texts(journal, incident_id)
        assert [text for text in told if text in kept] == kept
        assert len(told) == len(set(told))


async def test_closing_and_renaming_among_appends_stand_in_their_own_place(journal, incident_id):
    work = [journal.append(incident_id, note(f"n{n}")) for n in range(40)]
    work.insert(10, journal.rename(incident_id, "other", by="U1", at=NOON))
    work.insert(20, journal.close(incident_id, by="U1", at=NOON))

    await asyncio.gather(*work)

    told = await texts(journal, incident_id)
    assert sorted(text for text in told if text.startswith("n")) == sorted(f"n{n}" for n in range(40))
    assert told.count("Incident closed") == told.count("Incident renamed: other") == 1


async def test_processes_killed_while_they_append_lose_nothing_and_double_nothing(journal, incident_id, redis_url):
    told = dict[str, list[int]]()
    for life in range(2):
        writers = {
            name: await asyncio.create_subprocess_exec(
                sys.executable, "-c", WRITER, redis_url, incident_id, name, stdout=subprocess.PIPE
            )
            for name in ("a", "b")
        }
        try:
            for name, writer in writers.items():
                heard = told.setdefault(name, [])
                heard += [int(await writer.stdout.readline()) for _ in range(150 + 70 * life)]
        finally:
            for writer in writers.values():
                writer.kill()
                await writer.communicate()

    entries = [entry async for entry in journal.entries(incident_id)]
    verify(entries)
    numbers = [int(entry.text) for entry in entries[1:]]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) >= {n for heard in told.values() for n in heard}


async def test_a_redis_that_hangs_amid_many_appends_loses_none_that_was_acknowledged(journal, incident_id, client):
    pid = (await client.info("server"))["process_id"]
    first = [asyncio.create_task(journal.append(incident_id, note(f"a{n}", once=f"a{n}"))) for n in range(80)]
    await asyncio.sleep(0.005)
    os.kill(pid, signal.SIGSTOP)
    try:
        answers = await asyncio.gather(*first, return_exceptions=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    again = await asyncio.gather(*(journal.append(incident_id, note(f"a{n}", once=f"a{n}")) for n in range(80)))

    assert all(isinstance(answer, JournalAway) or answer.added for answer in answers)
    told = await texts(journal, incident_id)
    assert sorted(told) == sorted(f"a{n}" for n in range(80))
    assert [answer.entry.text for answer in again] == [f"a{n}" for n in range(80)]

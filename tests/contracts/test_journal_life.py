"""What every Journal does over the life of an incident: closing, reopening, renaming, paging and putting back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.record.timeline import Draft, Kind, verify
from bot.errors import ChainBroken, NotPermitted
from bot.store.connect import connect
from bot.store.redis_journal import RedisJournal
from tests.worlds.clocks import WallClock
from tests.worlds.memory.journal import MemoryJournal
from tests.worlds.redis_server import own_redis

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@asynccontextmanager
async def in_redis():
    async with own_redis() as url:
        client = connect(url)
        keep = timedelta(days=400)
        yield lambda: RedisJournal(client, clock=WallClock(), rng=random.Random(), retention=keep)
        await client.aclose()


@asynccontextmanager
async def in_memory():
    kept = MemoryJournal(WallClock())
    yield lambda: kept


@pytest.fixture(params=[in_redis, in_memory], ids=["redis", "memory"])
async def make_journal(request):
    async with request.param() as make:
        yield make


@pytest.fixture
def journal(make_journal):
    return make_journal()


@pytest.fixture
async def incident(journal):
    opened, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    return opened


def note(text="looking", **more):
    return Draft(**{"at": NOON, "kind": Kind.NOTE_ADDED, "actor": "U1", "text": text} | more)


async def all_of(journal, incident_id):
    return [entry async for entry in journal.entries(incident_id)]


async def kinds(journal, incident_id):
    entries = await all_of(journal, incident_id)
    verify(entries)
    return [entry.kind.removeprefix("incident.") for entry in entries]


async def told(entries) -> AsyncIterator:
    for entry in entries:
        yield entry


async def test_a_closed_incident_is_reopened_and_has_its_channel_back(journal, incident):
    await journal.close(incident.id, by="U2", at=NOON + HOUR)

    reopened = await journal.reopen(incident.id, by="U3", at=NOON + 2 * HOUR)

    assert reopened == incident
    assert await journal.current("C1") == incident
    assert await journal.incidents(open_only=True) == (incident,)
    last = (await journal.tail(incident.id, 1))[0]
    assert (last.kind, last.actor, last.at) == ("incident.reopened", "U3", NOON + 2 * HOUR)
    assert await journal.open(channel="C1", title="other", by="U1", at=NOON) == (incident, False)


async def test_each_closing_and_each_reopening_is_an_entry_of_its_own(journal, incident):
    for life in range(3):
        at = NOON + life * HOUR
        closed = await journal.close(incident.id, by="U2", at=at)
        assert closed is not None
        assert closed.closed_at == at
        assert await journal.close(incident.id, by="U2", at=at) is None
        assert await journal.current("C1") is None
        assert await journal.reopen(incident.id, by="U2", at=at) == incident
        assert await journal.reopen(incident.id, by="U2", at=at) is None

    assert await kinds(journal, incident.id) == ["opened", *["closed", "reopened"] * 3]


async def test_an_incident_that_is_open_or_unknown_is_not_reopened(journal, incident):
    assert await journal.reopen(incident.id, by="U1", at=NOON) is None
    assert await journal.reopen("inc-nowhere", by="U1", at=NOON) is None
    assert await kinds(journal, incident.id) == ["opened"]


async def test_an_incident_is_not_reopened_beside_another_in_its_channel(journal, incident):
    await journal.close(incident.id, by="U1", at=NOON)
    following, _ = await journal.open(channel="C1", title="next", by="U1", at=NOON)

    assert await journal.reopen(incident.id, by="U1", at=NOON) is None
    assert await journal.current("C1") == following
    assert await kinds(journal, incident.id) == ["opened", "closed"]

    await journal.close(following.id, by="U1", at=NOON)
    assert await journal.reopen(incident.id, by="U1", at=NOON) == incident


async def test_of_many_reopenings_at_once_one_is_made(make_journal, journal, incident):
    await journal.close(incident.id, by="U1", at=NOON)

    answers = await asyncio.gather(*(make_journal().reopen(incident.id, by="U1", at=NOON) for _ in range(6)))

    assert [answer for answer in answers if answer] == [incident]
    assert await kinds(journal, incident.id) == ["opened", "closed", "reopened"]


async def test_a_reopening_and_an_opening_at_once_leave_one_open_incident(make_journal, journal):
    for round_ in range(12):
        channel = f"C{round_}"
        incident, _ = await journal.open(channel=channel, title="first", by="U1", at=NOON)
        await journal.close(incident.id, by="U1", at=NOON)

        reopened, (opened, is_new) = await asyncio.gather(
            make_journal().reopen(incident.id, by="U2", at=NOON),
            make_journal().open(channel=channel, title="second", by="U3", at=NOON),
        )

        there = [one for one in await journal.incidents(open_only=True) if one.channel == channel]
        assert there == [opened] == [await journal.current(channel)]
        assert (reopened is None) == is_new == (opened.id != incident.id)


async def test_closings_and_reopenings_at_once_end_in_one_of_both_with_a_whole_chain(make_journal, journal, incident):
    def act(n):
        one = make_journal()
        return (one.close if n % 2 else one.reopen)(incident.id, by=f"U{n}", at=NOON)

    for _ in range(6):
        answers = await asyncio.gather(*(act(n) for n in range(6)))
        assert all(answer is None or answer.id == incident.id for answer in answers)

    seen = await kinds(journal, incident.id)
    assert seen == ["opened", *(["closed", "reopened"] * len(seen))[: len(seen) - 1]]
    found = await journal.find(incident.id)
    assert found.is_open == (seen[-1] != "closed")
    assert await journal.current("C1") == (found if found.is_open else None)
    assert await journal.incidents(open_only=True) == ((found,) if found.is_open else ())


async def test_a_title_is_changed_with_what_it_was_before(journal, incident):
    renamed = await journal.rename(incident.id, "eu-west\nis stuck", by="U2", at=NOON)

    assert renamed == replace(incident, title="eu-west is stuck")
    assert await journal.find(incident.id) == renamed == await journal.current("C1")
    last = (await journal.tail(incident.id, 1))[0]
    assert (last.kind, last.actor) == ("incident.renamed", "U2")
    assert last.facts == {"title": "eu-west is stuck", "before": "staging"}


async def test_the_title_that_it_has_already_adds_nothing(journal, incident):
    assert await journal.rename(incident.id, "staging", by="U2", at=NOON) == incident
    assert await journal.rename("inc-nowhere", "x", by="U2", at=NOON) is None
    assert await kinds(journal, incident.id) == ["opened"]


async def test_titles_changed_at_once_each_tell_what_was_before_them(make_journal, journal, incident):
    await asyncio.gather(*(make_journal().rename(incident.id, f"t{n}", by="U1", at=NOON) for n in range(6)))

    entries = (await all_of(journal, incident.id))[1:]

    assert [entry.facts["before"] for entry in entries] == ["staging", *(e.facts["title"] for e in entries[:-1])]
    assert (await journal.find(incident.id)).title == entries[-1].facts["title"]


async def test_a_title_given_when_it_was_closed_stays_with_the_next_life(journal, incident):
    await journal.close(incident.id, by="U1", at=NOON)
    await journal.rename(incident.id, "after all", by="U1", at=NOON)

    assert (await journal.reopen(incident.id, by="U1", at=NOON)).title == "after all"


async def test_a_timeline_is_paged_from_its_end(journal, incident):
    for n in range(9):
        await journal.append(incident.id, note(f"n{n}"))
    entries = tuple(await all_of(journal, incident.id))

    assert await journal.page(incident.id, before=None, count=4) == entries[6:]
    assert await journal.page(incident.id, before="7", count=4) == entries[2:6]
    assert await journal.page(incident.id, before="3", count=4) == entries[:2]
    assert await journal.page(incident.id, before="1", count=4) == ()
    assert await journal.page(incident.id, before="0", count=4) == ()
    assert await journal.page(incident.id, before="7", count=0) == ()
    assert await journal.page("inc-nowhere", before=None, count=4) == ()


@pytest.mark.parametrize("name", ["", "-1", "x", "1-0", "9" * 30, "²"])
async def test_a_page_before_what_is_no_entry_is_empty_and_no_entry_is_found_by_it(journal, incident, name):
    if name != "9" * 30:
        assert await journal.page(incident.id, before=name, count=4) == ()
    assert await journal.entry(incident.id, name) is None


async def test_one_entry_is_found_by_its_id(journal, incident):
    appended = await journal.append(incident.id, note())

    assert await journal.entry(incident.id, "2") == appended.entry
    assert await journal.entry(incident.id, "3") is None
    assert await journal.entry("inc-nowhere", "1") is None


@pytest.fixture
async def exported(journal, incident):
    """A timeline of two lives from another installation, and its incident."""
    for n in range(450):
        await journal.append(incident.id, note(f"täxt {n}", facts={"n": n, "x": -0.5}))
    await journal.close(incident.id, by="U2", at=NOON + HOUR)
    await journal.reopen(incident.id, by="U2", at=NOON + HOUR)
    await journal.rename(incident.id, "other", by="U2", at=NOON)
    closed = await journal.close(incident.id, by="U3", at=NOON + 2 * HOUR)
    return replace(closed, title="other"), await all_of(journal, incident.id)


@pytest.fixture
async def elsewhere(request):
    kind = in_redis if "redis" in request.node.callspec.id else in_memory
    async with kind() as make:
        yield make()


async def test_an_exported_timeline_is_put_back_as_it_was(elsewhere, exported):
    incident, entries = exported

    assert await elsewhere.restore(incident, told(entries))

    assert await elsewhere.find(incident.id) == incident
    assert await all_of(elsewhere, incident.id) == entries
    assert await elsewhere.incidents() == (incident,)
    assert await elsewhere.current("C1") is None


async def test_what_is_put_back_goes_on_with_its_chain_and_its_life(elsewhere, exported):
    incident, entries = exported
    await elsewhere.restore(incident, told(entries))

    assert await elsewhere.close(incident.id, by="U1", at=NOON) is None
    assert (await elsewhere.reopen(incident.id, by="U1", at=NOON)).id == incident.id
    await elsewhere.append(incident.id, note("on"))
    assert await elsewhere.close(incident.id, by="U1", at=NOON) is not None

    assert (await kinds(elsewhere, incident.id))[len(entries) :] == ["reopened", "note.added", "closed"]


async def test_what_is_there_already_is_not_put_back(journal, exported):
    incident, entries = exported

    assert not await journal.restore(incident, told(entries[:3]))
    assert await all_of(journal, incident.id) == entries


@pytest.mark.parametrize(
    "broken",
    [
        lambda incident, entries: (incident, [*entries[:300], replace(entries[300], text="else"), *entries[301:]]),
        lambda incident, entries: (incident, [*entries[:300], *entries[301:]]),
        lambda incident, entries: (incident, entries[1:]),
        lambda incident, entries: (incident, entries[:-1]),
        lambda incident, _: (incident, []),
        lambda incident, entries: (replace(incident, title="else"), entries),
        lambda incident, entries: (replace(incident, channel="C2"), entries),
        lambda incident, entries: (replace(incident, id="inc-other"), entries),
        lambda incident, entries: (replace(incident, id="}:x"), entries),
        lambda incident, entries: (replace(incident, closed_at=None), entries),
    ],
    ids=["changed", "removed", "no head", "cut off", "empty", "title", "channel", "other id", "no id", "open"],
)
async def test_what_does_not_fit_is_not_put_back_and_leaves_room_for_what_does(elsewhere, exported, broken):
    with pytest.raises(ChainBroken):
        await elsewhere.restore(broken(*exported)[0], told(broken(*exported)[1]))

    assert await elsewhere.incidents() == ()
    assert await elsewhere.find(exported[0].id) is None
    assert await elsewhere.restore(exported[0], told(exported[1]))
    assert await all_of(elsewhere, exported[0].id) == exported[1]


async def test_a_file_that_ends_in_the_middle_leaves_nothing_and_is_read_again(elsewhere, exported):
    async def torn():
        for entry in exported[1][:300]:
            yield entry
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        await elsewhere.restore(exported[0], torn())

    assert await elsewhere.find(exported[0].id) is None
    assert await all_of(elsewhere, exported[0].id) == []
    assert await elsewhere.restore(exported[0], told(exported[1]))


async def test_an_incident_that_was_open_is_put_back_open(elsewhere, journal, incident):
    entries = await all_of(journal, incident.id)

    assert await elsewhere.restore(incident, told(entries))

    assert await elsewhere.current("C1") == incident
    assert await elsewhere.incidents(open_only=True) == (incident,)
    assert await elsewhere.open(channel="C1", title="x", by="U1", at=NOON) == (incident, False)
    assert await elsewhere.close(incident.id, by="U1", at=NOON) is not None
    assert await elsewhere.current("C1") is None


async def test_an_open_incident_is_not_put_back_beside_another_in_its_channel(elsewhere, journal):
    await journal.open(channel="C0", title="before", by="U1", at=NOON)
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    there, _ = await elsewhere.open(channel="C1", title="another", by="U1", at=NOON)
    entries = await all_of(journal, incident.id)

    with pytest.raises(NotPermitted, match=there.id):
        await elsewhere.restore(incident, told(entries))

    assert await elsewhere.find(incident.id) is None
    assert await elsewhere.current("C1") == there
    await elsewhere.close(there.id, by="U1", at=NOON)
    assert await elsewhere.restore(incident, told(entries))


async def test_of_two_at_once_that_put_back_the_same_one_does(elsewhere, exported, journal):
    still_open, _ = await journal.open(channel="C9", title="open", by="U1", at=NOON)
    open_entries = await all_of(journal, still_open.id)

    for incident, entries in (exported, (still_open, open_entries)):
        answers = await asyncio.gather(*(elsewhere.restore(incident, told(entries)) for _ in range(3)))
        assert sorted(answers) == [False, False, True]
        assert await all_of(elsewhere, incident.id) == entries

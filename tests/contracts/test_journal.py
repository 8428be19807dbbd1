"""What every Journal must do. Each test runs against a real Redis."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.record.timeline import Draft, Kind, verify
from bot.errors import ChainBroken, JournalAway
from bot.store.connect import Client, connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal
from tests.worlds.clocks import SetClock

NOON = datetime(2026, 11, 21, 12, 0, 0, 250, tzinfo=UTC)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON)


@pytest.fixture
async def make_client(directory: Path) -> AsyncIterator[Callable[[], Client]]:
    async with AsyncExitStack() as closing:
        url = await closing.enter_async_context(redis_for(None, directory))

        def make() -> Client:
            client = connect(url)
            closing.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def make_journal(make_client: Callable[[], Client], clock: SetClock) -> Callable[[], RedisJournal]:
    return lambda: RedisJournal(make_client(), clock=clock, rng=random.Random(), retention=timedelta(days=400))


@pytest.fixture
def journal(make_journal: Callable[[], RedisJournal]) -> RedisJournal:
    return make_journal()


@pytest.fixture
async def incident_id(journal: RedisJournal) -> str:
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    return incident.id


def note(text: str = "looking", **more: Any) -> Draft:
    return Draft(**{"at": NOON, "kind": Kind.NOTE_ADDED, "actor": "U1", "text": text} | more)


async def all_of(journal: RedisJournal, incident_id: str, after: str | None = None) -> list[Any]:
    return [entry async for entry in journal.entries(incident_id, after=after)]


async def test_a_new_incident_begins_with_its_opening(journal):
    incident, is_new = await journal.open(channel="C1", title="Stäging is\nlocked", by="U1", at=NOON)

    assert is_new
    assert incident.is_open
    assert incident.title == "Stäging is locked"
    assert incident.id.startswith("inc-20261121-staging-is-locked-")
    (entry,) = await all_of(journal, incident.id)
    assert (entry.id, entry.kind, entry.actor, entry.at) == ("1", "incident.opened", "U1", NOON)
    assert entry.facts == {"incident": incident.id, "channel": "C1", "title": "Stäging is locked"}


async def test_a_title_of_any_letters_makes_an_id_that_is_safe_in_paths_and_keys(journal):
    incident, _ = await journal.open(channel="C1", title="../../{x}/\x00 事故 * ", by="U1", at=NOON)

    assert incident.id.removeprefix("inc-20261121-").replace("-", "").isalnum()
    assert await journal.find(incident.id) == incident


async def test_opening_again_gives_the_incident_that_is_open(journal):
    first, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    second, is_new = await journal.open(channel="C1", title="other", by="U2", at=NOON)

    assert second == first
    assert not is_new
    assert await journal.current("C1") == first
    assert await journal.current("C2") is None


async def test_many_callers_at_once_get_one_incident_and_one_of_them_made_it(make_journal):
    journals = [make_journal() for _ in range(6)]

    answers = await asyncio.gather(
        *(one.open(channel="C1", title=f"t{n}", by="U1", at=NOON) for n, one in enumerate(journals * 2))
    )

    assert len({incident.id for incident, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert len(await all_of(journals[0], answers[0][0].id)) == 1
    assert len(await journals[0].incidents()) == 1


async def test_an_opening_that_was_cut_off_after_the_reservation_is_finished_by_the_next(journal, make_client):
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    redis = make_client()
    keys = [f"tflock:{{{incident.id}}}:{part}" for part in ("log", "head", "once")]
    await redis.delete(*keys, "tflock:incidents", "tflock:incidents:open")

    healed, is_new = await journal.open(channel="C1", title="other", by="U2", at=NOON)

    assert healed == incident
    assert is_new
    assert await journal.incidents(open_only=True) == (incident,)
    assert verify(await all_of(journal, incident.id)) == 1


async def test_a_reservation_that_nobody_began_for_a_day_is_given_up(journal, make_client):
    incident, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    await make_client().delete(f"tflock:{{{incident.id}}}:head")

    other, is_new = await journal.open(channel="C1", title="other", by="U2", at=NOON + timedelta(days=2))

    assert is_new
    assert other.id != incident.id


async def test_an_incident_that_is_missing_from_the_index_returns_to_it(journal, incident_id, make_client):
    await make_client().delete("tflock:incidents", "tflock:incidents:open")
    assert await journal.incidents() == ()

    await journal.open(channel="C1", title="staging", by="U1", at=NOON)

    assert [incident.id for incident in await journal.incidents()] == [incident_id]
    assert [incident.id for incident in await journal.incidents(open_only=True)] == [incident_id]


async def test_closing_ends_the_incident_once_and_frees_the_channel(journal, incident_id):
    later = NOON + timedelta(hours=1)
    closed = await journal.close(incident_id, by="U2", at=later)

    assert closed is not None
    assert closed.closed_at == later
    assert await journal.close(incident_id, by="U3", at=later) is None
    assert await journal.current("C1") is None
    assert await journal.find(incident_id) == closed
    assert [entry.kind for entry in await all_of(journal, incident_id)] == ["incident.opened", "incident.closed"]
    following, is_new = await journal.open(channel="C1", title="again", by="U1", at=later)
    assert is_new
    assert following.id != incident_id


async def test_two_closings_at_once_are_one(make_journal, incident_id):
    answers = await asyncio.gather(*(make_journal().close(incident_id, by="U1", at=NOON) for _ in range(5)))

    assert [answer is not None for answer in answers].count(True) == 1


async def test_a_channel_whose_closing_was_cut_off_is_freed_by_the_next_opening(journal, incident_id, make_client):
    redis = make_client()
    held = await redis.get("tflock:channel:C1")
    await journal.close(incident_id, by="U1", at=NOON)
    await redis.set("tflock:channel:C1", held)

    assert await journal.current("C1") is None
    following, is_new = await journal.open(channel="C1", title="again", by="U1", at=NOON)

    assert is_new
    assert following.id != incident_id


async def test_an_old_closing_leaves_the_channel_to_the_newer_incident(journal, incident_id):
    await journal.close(incident_id, by="U1", at=NOON)
    following, _ = await journal.open(channel="C1", title="again", by="U1", at=NOON)

    assert await journal.close(incident_id, by="U1", at=NOON) is None
    assert await journal.current("C1") == following


async def test_closing_what_is_not_there_closes_nothing(journal):
    assert await journal.close("inc-20200101-nothing-22222", by="U1", at=NOON) is None


async def test_entries_are_numbered_and_chained_in_order(journal, incident_id):
    for n in range(5):
        appended = await journal.append(incident_id, note(f"n{n}"))
        assert appended.added

    entries = await all_of(journal, incident_id)

    assert [entry.id for entry in entries] == ["1", "2", "3", "4", "5", "6"]
    assert verify(entries) == 6
    assert await journal.tail(incident_id, 2) == tuple(entries[-2:])
    assert await journal.tail(incident_id, 0) == ()
    assert await all_of(journal, incident_id, after="4") == entries[4:]
    assert await all_of(journal, incident_id, after="6") == []


async def test_a_timeline_longer_than_a_page_is_read_whole(journal, incident_id):
    await asyncio.gather(*(journal.append(incident_id, note(f"n{n}")) for n in range(250)))

    assert verify(await all_of(journal, incident_id)) == 251


async def test_what_append_returns_is_what_is_read_back(journal, incident_id):
    draft = note("täxt ", facts={"seconds": 0.1, "big": 2**70, "list": (1, None, True), "deep": {"b": 1, "a": -0.0}})

    appended = await journal.append(incident_id, draft)

    assert (await journal.tail(incident_id, 1))[0] == appended.entry
    assert appended.entry.facts == {"seconds": 0.1, "big": 2**70, "list": [1, None, True], "deep": {"b": 1, "a": -0.0}}


async def test_odd_unicode_is_kept_or_replaced_and_never_breaks_the_chain(journal, incident_id):
    text = "\ud83d\ude00 \ud800 \x00 \u2028 \U0001f512 e\u0301"

    await journal.append(incident_id, note(text, actor="U\udfff", facts={"k\udc00": text}, once="o\ud800"))

    entries = await all_of(journal, incident_id)
    assert verify(entries) == 2
    assert entries[1].text == "😀 \ufffd \x00 \u2028 \U0001f512 e\u0301"
    assert list(entries[1].facts) == ["k\ufffd"]


@pytest.mark.parametrize(
    "facts", [{"x": float("nan")}, {"x": float("inf")}, {"x": NOON}, {1: "x"}, {"x": {2: 3}}, {"x": b""}]
)
async def test_facts_that_json_cannot_hold_are_refused_and_nothing_is_written(journal, incident_id, facts):
    with pytest.raises((ValueError, TypeError)):
        await journal.append(incident_id, note(facts=facts))

    assert len(await all_of(journal, incident_id)) == 1


async def test_an_instant_without_a_zone_is_refused(journal, incident_id):
    with pytest.raises(ValueError, match="zone"):
        await journal.append(incident_id, note(at=datetime(2026, 1, 1)))  # noqa: DTZ001  that is the point


async def test_a_delivery_that_comes_twice_adds_one_entry(journal, incident_id):
    first = await journal.append(incident_id, note("one", once="event-1"))
    await journal.append(incident_id, note("between"))
    second = await journal.append(incident_id, note("two", once="event-1"))

    assert not second.added
    assert second.entry == first.entry
    assert len(await all_of(journal, incident_id)) == 3


async def test_a_delivery_that_comes_many_times_at_once_adds_one_entry(make_journal, incident_id):
    journals = [make_journal() for _ in range(4)]

    answers = await asyncio.gather(*(one.append(incident_id, note(once="event-1")) for one in journals * 5))

    assert [answer.added for answer in answers].count(True) == 1
    assert len({answer.entry.hash for answer in answers}) == 1
    assert verify(await all_of(journals[0], incident_id)) == 2


async def test_equal_notes_without_a_key_are_two_entries_even_in_the_same_instant(make_journal, incident_id):
    journals = [make_journal() for _ in range(2)]

    answers = await asyncio.gather(*(one.append(incident_id, note("same")) for one in journals))

    assert all(answer.added for answer in answers)
    assert verify(await all_of(journals[0], incident_id)) == 3


async def test_many_writers_at_once_make_one_chain(make_journal, incident_id):
    journals = [make_journal() for _ in range(4)]

    await asyncio.gather(*(one.append(incident_id, note(f"n{n}")) for n, one in enumerate(journals * 15)))

    entries = await all_of(journals[0], incident_id)
    assert verify(entries) == 61
    assert {entry.text for entry in entries[1:]} == {f"n{n}" for n in range(60)}


async def test_the_time_of_recording_never_goes_back(journal, make_journal, incident_id, clock):
    clock.at = NOON + timedelta(minutes=5)
    await journal.append(incident_id, note("first"))
    clock.at = NOON - timedelta(hours=2)
    await journal.append(incident_id, note("second"))
    await make_journal().append(incident_id, note("third"))

    recorded = [entry.recorded_at for entry in await all_of(journal, incident_id)]

    assert recorded == [NOON, *[NOON + timedelta(minutes=5)] * 3]


async def test_an_entry_may_tell_of_an_earlier_time(journal, incident_id):
    appended = await journal.append(incident_id, note(at=NOON - timedelta(hours=3)))

    assert appended.entry.at == NOON - timedelta(hours=3)


async def test_appending_to_an_unknown_incident_says_so_and_makes_none(journal):
    with pytest.raises(JournalAway, match="inc-nowhere"):
        await journal.append("inc-nowhere", note())

    assert await journal.find("inc-nowhere") is None
    assert await all_of(journal, "inc-nowhere") == []


async def test_a_closed_incident_still_takes_entries(journal, incident_id):
    await journal.close(incident_id, by="U1", at=NOON)

    assert (await journal.append(incident_id, note(kind=Kind.EXPORT_MADE))).added
    assert verify(await all_of(journal, incident_id)) == 3


async def test_secrets_are_not_recorded(journal, incident_id, make_client):
    token = "ghp_" + "a1B2" * 9
    await journal.append(incident_id, note(f"log {token}", facts={"log": [f"https://u:{token}@host/x"]}))

    (entry,) = await journal.tail(incident_id, 1)

    assert entry.text == "log [GitHub token removed]"
    assert token not in str(await make_client().xrange(f"tflock:{{{incident_id}}}:log"))


async def test_incidents_are_listed_newest_first_and_the_open_ones_alone_on_request(journal):
    made = []
    for n in range(4):
        incident, _ = await journal.open(channel=f"C{n}", title=f"t{n}", by="U1", at=NOON + timedelta(minutes=n))
        made.append(incident)
    closed = await journal.close(made[2].id, by="U1", at=NOON)

    assert await journal.incidents() == (made[3], closed, made[1], made[0])
    assert await journal.incidents(limit=2) == (made[3], closed)
    assert await journal.incidents(open_only=True) == (made[3], made[1], made[0])


async def test_an_incident_that_redis_has_forgotten_leaves_the_index(journal, incident_id, make_client):
    redis = make_client()
    await redis.delete(f"tflock:{{{incident_id}}}:head")

    assert await journal.incidents() == ()
    assert await redis.zcard("tflock:incidents") == 0


async def test_retention_begins_with_the_closing(journal, incident_id, make_client):
    redis = make_client()
    keys = [f"tflock:{{{incident_id}}}:{part}" for part in ("log", "head", "once")]
    assert [await redis.ttl(key) for key in keys] == [-1, -1, -1]

    await journal.close(incident_id, by="U1", at=NOON)
    assert min([await redis.ttl(key) for key in keys]) > timedelta(days=399).total_seconds()

    for key in keys:
        await redis.expire(key, 100)
    await journal.append(incident_id, note("afterthought"))
    assert min([await redis.ttl(key) for key in keys]) > timedelta(days=399).total_seconds()


async def test_a_key_once_used_stays_used_when_its_entry_was_removed(journal, incident_id, make_client):
    await journal.append(incident_id, note(once="event-1"))
    await make_client().xdel(f"tflock:{{{incident_id}}}:log", "2-0")

    with pytest.raises(ChainBroken, match="event-1"):
        await journal.append(incident_id, note(once="event-1"))


@pytest.mark.parametrize("broken", ["{", "[]", '{"id": "2"}', "\xff"])
async def test_what_is_no_entry_is_named_when_it_is_read(journal, incident_id, make_client, broken):
    await make_client().xadd(f"tflock:{{{incident_id}}}:log", {"prev": "0", "hash": "0", "body": broken}, id="2-0")

    with pytest.raises(ChainBroken) as caught:
        await all_of(journal, incident_id)

    assert caught.value.entry_id == "2"


async def test_an_entry_that_was_changed_in_redis_is_found(journal, incident_id, make_client):
    redis, log = make_client(), f"tflock:{{{incident_id}}}:log"
    await journal.append(incident_id, note("the lock was free"))
    ((_, fields),) = await redis.xrange(log, "2-0", "2-0")
    await redis.delete(log)
    await redis.xadd(log, fields | {"body": fields["body"].replace("was free", "was held")}, id="2-0")

    (entry,) = await all_of(journal, incident_id)

    assert entry.text == "the lock was held"
    with pytest.raises(ChainBroken, match="not what was recorded"):
        verify([entry], start=entry.prev)


async def test_a_journal_that_takes_writes_answers_a_ping(journal):
    await journal.ping()

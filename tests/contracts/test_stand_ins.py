"""What the stand-ins in memory promise, put to them and to their real counterparts side by side."""

from __future__ import annotations

import asyncio
import random
import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.aws.clients import Access, AwsClients
from bot.backends.s3.address import S3Address
from bot.backends.s3.backend import S3Backend
from bot.core.evidence import Found, Trouble, Unseen
from bot.core.lock import LockInfo, PlaceKind, ReleaseResult, StateAbsent
from bot.core.record.timeline import Draft, Kind, verify
from bot.errors import JournalAway, Unreachable
from bot.sandbox.machine.aws import CREDENTIALS, REGION, fresh_moto
from bot.sandbox.machine.proxy import fault_proxy
from bot.store.connect import connect
from bot.store.redis_journal import RedisJournal
from bot.store.redis_records import RedisRecords
from tests.worlds.aws import FullAws
from tests.worlds.clocks import WallClock
from tests.worlds.memory.journal import MemoryJournal, MemoryRecords
from tests.worlds.memory.memory import MemoryLockBackend, MemoryStore, Switchboard, Throttle, lock_text
from tests.worlds.proxy import Cut
from tests.worlds.proxy import Throttle as ProxyThrottle
from tests.worlds.redis_server import own_redis
from tests.worlds.stores import Trusted

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "staging/terraform.tfstate"
BOTH = (PlaceKind.FILE, PlaceKind.ITEM)


# ── the timeline and the records


@asynccontextmanager
async def redis_store():
    async with own_redis() as url:
        client = connect(url)
        rng = random.Random()
        yield RedisJournal(client, clock=WallClock(), rng=rng), RedisRecords(client, rng=rng)
        await client.aclose()


@asynccontextmanager
async def memory_store():
    yield MemoryJournal(WallClock()), MemoryRecords(WallClock())


@pytest.fixture(params=[redis_store, memory_store], ids=["redis", "memory"])
async def store(request):
    async with request.param() as made:
        yield made


@pytest.fixture
def journal(store):
    return store[0]


@pytest.fixture
def records(store):
    return store[1]


def note(text="looking", **more):
    return Draft(**{"at": NOON, "kind": Kind.NOTE_ADDED, "actor": "U1", "text": text} | more)


async def opened(journal, channel="C1"):
    return await journal.open(channel=channel, title="staging", by="U1", at=NOON)


async def test_a_channel_has_one_open_incident(journal):
    answers = await asyncio.gather(*(opened(journal) for _ in range(4)))

    assert len({incident.id for incident, _ in answers}) == 1
    assert [new for _, new in answers].count(True) == 1
    assert await journal.current("C1") == answers[0][0]
    assert await journal.find(answers[0][0].id) == answers[0][0]
    assert await journal.current("C2") is None


async def test_entries_make_one_chain_and_are_read_from_any_place(journal):
    incident, _ = await opened(journal)
    await asyncio.gather(*(journal.append(incident.id, note(f"n{n}")) for n in range(5)))

    entries = [entry async for entry in journal.entries(incident.id)]

    assert verify(entries) == 6
    assert entries[0].kind == "incident.opened"
    assert await journal.tail(incident.id, 2) == tuple(entries[-2:])
    assert await journal.tail(incident.id, 0) == ()
    assert [entry async for entry in journal.entries(incident.id, after="4")] == entries[4:]


async def test_when_many_timelines_ended_is_read_together(journal):
    incidents = [(await opened(journal, f"C{number}"))[0] for number in range(120)]
    await journal.append(incidents[7].id, note("later"))

    latest = await journal.latest([*(one.id for one in incidents), "inc-nowhere"])

    assert set(latest) == {one.id for one in incidents}
    [last] = await journal.tail(incidents[7].id, 1)
    assert latest[incidents[7].id] == last.recorded_at


async def test_open_incidents_are_named_in_one_question_and_found_together(journal):
    incidents = [
        (await journal.open(channel=f"C{number}", title="t", by="U1", at=NOON + timedelta(minutes=number)))[0]
        for number in range(120)
    ]
    await journal.close(incidents[7].id, by="U2", at=NOON)

    names = [one.id for one in reversed(incidents) if one is not incidents[7]]
    assert await journal.open_ids() == tuple(names)
    found = await journal.find_all(["inc-nowhere", *(one.id for one in incidents)])
    assert [one.id for one in found] == [one.id for one in incidents]
    assert [one for one in found if one.is_open] == [one for one in incidents if one is not incidents[7]]
    assert await journal.find_all(()) == ()


async def test_a_draft_with_a_known_key_adds_nothing_and_shows_the_earlier_entry(journal):
    incident, _ = await opened(journal)
    first = await journal.append(incident.id, note("one", once="k"))

    second = await journal.append(incident.id, note("two", once="k"))

    assert (first.added, second.added) == (True, False)
    assert second.entry == first.entry


async def test_drafts_that_are_given_together_are_chained_in_their_order_each_once(journal):
    incident, _ = await opened(journal)

    first = await journal.append_all(incident.id, (note("looked", once="look/1"), note("intent", once="intent")))
    again = await journal.append_all(incident.id, (note("looked", once="look/2"), note("intent", once="intent")))
    known = await journal.append_all(incident.id, (note("looked", once="look/2"), note("new", once="new")))

    assert [[one.added for one in added] for added in (first, again, known)] == [
        [True] * 2,
        [True, False],
        [False, True],
    ]
    assert again[1].entry == first[1].entry
    entries = [entry async for entry in journal.entries(incident.id)]
    assert verify(entries) == 5
    assert [entry.text for entry in entries][1:] == ["looked", "intent", "looked", "new"]
    with pytest.raises(JournalAway):
        await journal.append_all("inc-nowhere", (note(), note()))


async def test_an_entry_for_an_unknown_incident_is_refused(journal):
    with pytest.raises(JournalAway):
        await journal.append("inc-nowhere", note())


async def test_an_incident_is_closed_once_and_frees_its_channel(journal):
    incident, _ = await opened(journal)

    closed = await journal.close(incident.id, by="U2", at=NOON)

    assert closed is not None
    assert await journal.close(incident.id, by="U2", at=NOON) is None
    assert await journal.close("inc-nowhere", by="U2", at=NOON) is None
    assert await journal.current("C1") is None
    assert (await opened(journal))[1] is True
    assert [one.is_open for one in await journal.incidents()].count(False) == 1
    assert len(await journal.incidents(open_only=True)) == 1


async def test_a_record_is_kept_changed_and_forgotten(records):
    await records.put("r", "1", {"a": 1, "b": [None]}, ttl=HOUR)

    assert await records.get("r", "1") == {"a": 1, "b": [None]}
    assert await records.update("r", "1", {"a": 2}) == {"a": 2, "b": [None]}
    assert await records.update("r", "2", {"a": 2}) is None
    await records.forget("r", "1")
    assert await records.get("r", "1") is None


async def test_many_records_are_read_together(records):
    for number in range(230):
        await records.put("r", str(number), {"n": number}, ttl=HOUR)

    found = await records.get_all("r", ["nowhere", *map(str, range(230))])

    assert found == {str(number): {"n": number} for number in range(230)}
    assert await records.get_all("r", []) == {}


async def test_many_lists_are_read_together_and_asked_for_one_member(records):
    keys = [str(number) for number in range(230)]
    for number, key in enumerate(keys):
        await records.enlist("l", key, "all", at=NOON + timedelta(minutes=number), ttl=24 * HOUR)
        await records.enlist("l", key, f"m{number % 3}", at=NOON + timedelta(minutes=number), ttl=24 * HOUR)
    await records.enlist("other", "0", "m2", at=NOON, ttl=24 * HOUR)

    def read(since, limit=9):
        return records.enlisted_all("l", ["nowhere", *keys], since=since, until=NOON + 12 * HOUR, limit=limit)

    def asked(member, since):
        return records.lists_with("l", ["nowhere", *keys], member, since=since)

    late = NOON + timedelta(minutes=200)
    assert {key: set(members) for key, members in (await read(NOON)).items()} == {
        key: {"all", f"m{int(key) % 3}"} for key in keys
    }
    assert list(await read(late)) == keys[200:]
    assert {len(members) for members in (await read(NOON, limit=1)).values()} == {1}
    assert await asked("m0", NOON) == tuple(keys[::3])
    assert await asked("all", late) == tuple(keys[200:])
    assert await asked("nothing", NOON) == ()


async def test_of_many_who_swap_a_record_at_once_one_succeeds_and_may_ask_again(records):
    def swap(version, was, **more):
        return records.swap("r", "1", {"version": version, **more}, was=was, ttl=HOUR)

    first = await asyncio.gather(*(swap(f"v{n}", "", n=n) for n in range(8)))
    assert first.count(True) == 1
    won = f"v{first.index(True)}"
    assert await records.get("r", "1") == {"version": won, "n": first.index(True)}

    assert not await swap("w", "")
    assert not await swap("w", "v-unknown")
    assert await swap("w", won)
    assert await swap("w", won), "its answer may have been lost"
    assert await records.get("r", "1") == {"version": "w"}
    assert not await swap("x", won)


async def test_a_guarded_change_happens_only_from_one_of_the_named_values(records):
    await records.put("r", "1", {"phase": "shown"}, ttl=HOUR)

    assert await records.update("r", "1", {"phase": "done"}, only_if=("phase", ["armed"])) is None
    assert await records.update("r", "1", {"phase": "done"}, only_if=("nothing", ["armed"])) is None
    assert await records.get("r", "1") == {"phase": "shown"}
    answers = await asyncio.gather(
        *(records.update("r", "1", {"phase": f"by {n}"}, only_if=("phase", ["armed", "shown"])) for n in range(4))
    )
    assert len([answer for answer in answers if answer is not None]) == 1


async def test_a_guarded_change_wants_each_further_field_to_be_as_named(records):
    await records.put("r", "1", {"phase": "shown", "user": "U1", "n": 0}, ttl=HOUR)

    def change(**also):
        return records.update("r", "1", {"n": 1}, only_if=("phase", ["shown"]), and_is=also)

    for others in ({"user": "U2"}, {"user": "U1", "n": 1}, {"user": "U1", "nothing": None}):
        assert await change(**others) is None
    assert (await records.get("r", "1"))["n"] == 0
    assert await change(user="U1", n=0) == {"phase": "shown", "user": "U1", "n": 1}


async def test_a_change_is_made_durable_or_is_none(records):
    await records.put("r", "1", {"phase": "shown", "n": None}, ttl=HOUR)

    assert await records.update("r", "1", {"n": [1]}, durably=True) == {"phase": "shown", "n": [1]}
    assert await records.update("r", "1", {"n": 2}, only_if=("phase", ["done"]), durably=True) is None
    assert await records.update("r", "2", {"n": 2}, durably=True) is None
    assert await records.get("r", "1") == {"phase": "shown", "n": [1]}


async def test_a_lease_is_taken_together_with_a_record(records):
    await records.put("r", "1", {"n": 1}, ttl=HOUR)

    def take(holder, key="1"):
        return records.take_and_get("l", "1", holder=holder, ttl=HOUR, record=("r", key))

    assert await take("a") == (True, {"n": 1})
    assert await take("a", "2") == (True, None)
    assert await take("b") == (False, {"n": 1})
    assert not await records.take("l", "1", holder="b", ttl=HOUR)


async def test_once_is_for_the_first_caller_only(records):
    answers = await asyncio.gather(*(records.once("o", "1", ttl=HOUR) for _ in range(4)))

    assert answers.count(True) == 1
    assert await records.once("o", "2", ttl=HOUR)


async def test_a_lease_is_one_holders_until_they_give_it_back_or_its_time_is_over(records):
    assert not await records.renew("l", "1", holder="a", ttl=HOUR)
    assert await records.take("l", "1", holder="a", ttl=HOUR)
    assert not await records.take("l", "1", holder="b", ttl=HOUR)
    await records.give_back("l", "1", holder="b")
    assert await records.take("l", "1", holder="a", ttl=HOUR)
    assert await records.renew("l", "1", holder="a", ttl=HOUR)
    assert not await records.renew("l", "1", holder="b", ttl=HOUR)
    await records.give_back("l", "1", holder="a")
    assert await records.take("l", "1", holder="b", ttl=timedelta(milliseconds=30))
    async with asyncio.timeout(60):
        while not await records.take("l", "1", holder="c", ttl=HOUR):  # noqa: ASYNC110 - nobody tells of its end
            await asyncio.sleep(0.01)


# ── deliveries

LEASE, HOUR = timedelta(seconds=15), timedelta(hours=1)


async def test_a_delivery_is_accepted_once_also_after_it_is_settled(records):
    taken = [await records.accept("command/1", {"text": "a"}, lease=LEASE, ttl=HOUR) for _ in range(2)]
    await records.settle("command/1", remember=HOUR)
    again = await records.accept("command/1", {"text": "a"}, lease=LEASE, ttl=HOUR)
    other = await records.accept("command/2", {"text": "a"}, lease=LEASE, ttl=HOUR)

    assert [*taken, again, other] == [True, False, False, True]


async def test_of_many_that_accept_the_same_delivery_at_once_one_does(records):
    taken = await asyncio.gather(
        *(records.accept("command/1", {"n": n}, lease=LEASE, ttl=HOUR) for n in range(20)),
    )

    assert sum(taken) == 1


async def test_what_is_silent_for_its_lease_is_taken_up_by_one_and_what_is_kept_by_none(records):
    short = timedelta(milliseconds=1)
    for name in ("kept", "silent"):
        await records.accept(name, {"text": name}, lease=short, ttl=HOUR)
    await asyncio.sleep(0.01)

    found = await asyncio.gather(*(records.take_up(kept=("kept",), lease=LEASE, limit=9) for _ in range(5)))

    (taken,) = [one for some in found for one in some]
    assert (taken.name, taken.what, taken.takes) == ("silent", {"text": "silent"}, 1)
    assert timedelta() < taken.age < HOUR
    assert await records.take_up(kept=(), lease=LEASE, limit=9) == ()


async def test_no_more_are_taken_up_than_there_is_room_for(records):
    for number in range(5):
        await records.accept(f"command/{number}", {}, lease=timedelta(milliseconds=1), ttl=HOUR)
    await asyncio.sleep(0.01)

    assert len(await records.take_up(kept=(), lease=LEASE, limit=2)) == 2
    assert await records.take_up(kept=(), lease=LEASE, limit=0) == ()


# ── the lock


class MemoryPlace:
    """Hands on a MemoryStore, as a test wants them."""

    def __init__(self):
        self.store = MemoryStore(BOTH)
        self.faults = {}
        self.switchboard = Switchboard(fault=self._fault)
        self.backend = MemoryLockBackend(self.store, WallClock(), self.switchboard)

    async def write(self, kind, text):
        self.store.write(kind, text)

    async def stands(self, kind):
        return self.store.texts.get(kind, (None,))[0]

    def throttle(self, kind, doing):
        self.faults[f"{doing} {kind}"] = Throttle()

    def lose_answer(self, kind):
        self.faults[f"deleted {kind}"] = Unreachable("memory", "cut")

    async def _fault(self, name):
        if name in self.faults:
            raise self.faults[name]


class BucketPlace:
    """The same hands on a bucket and a table behind the fault proxy."""

    def __init__(self, aws, proxy, backend):
        self.aws, self.proxy, self.backend = aws, proxy, backend

    async def write(self, kind, text):
        if kind is PlaceKind.ITEM:
            await self.aws.put_item(f"{self.aws.bucket}/{KEY}", Info=text)
        else:
            await self.aws.put_lockfile(KEY, text)

    async def stands(self, kind):
        if kind is PlaceKind.ITEM:
            item = await self.aws.item(f"{self.aws.bucket}/{KEY}")
            return item["Info"] if item else None
        found = await self.aws.object(f"{KEY}.tflock")
        return found.decode() if found is not None else None

    def throttle(self, kind, doing):
        calls = {"read": ("dynamodb:GetItem", "s3:GetObject"), "delete": ("dynamodb:DeleteItem", "s3:DeleteObject")}
        self.proxy.fault(calls[doing][0 if kind is PlaceKind.ITEM else 1], ProxyThrottle())

    def lose_answer(self, kind):
        call = "dynamodb:DeleteItem" if kind is PlaceKind.ITEM else "s3:DeleteObject"
        self.proxy.fault(call, Cut(after=True), times=1)


@pytest.fixture(scope="module")
def moto():
    with fresh_moto() as endpoint:
        yield endpoint


@pytest.fixture(params=["s3", "memory"])
async def place(request, monkeypatch):
    if request.param == "memory":
        yield MemoryPlace()
        return
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    token, clients = secrets.token_hex(4), AwsClients()
    aws = FullAws(request.getfixturevalue("moto"), f"acme-tfstate-{token}", f"acme-tf-locks-{token}")
    await aws.create()
    async with fault_proxy(aws.endpoint) as proxy:
        address = S3Address(
            Access(region=REGION, endpoint_url=proxy.url),
            bucket=aws.bucket, key=KEY, dynamodb_table=aws.table, use_lockfile=True,
        )  # fmt: skip
        yield BucketPlace(aws, proxy, S3Backend(address, clients, WallClock(), proofs=Trusted()))
        await clients.aclose()
    await aws.aclose()


def text_of(name="first"):
    return lock_text(LockInfo(name, "OperationTypeApply", "", f"{name}@runner", "1.9.8", NOON, "p"))


async def held(place, name="first"):
    for kind in BOTH:
        await place.write(kind, text_of(name))
    return await place.backend.read_lock()


async def test_a_free_place_is_free_in_every_half(place):
    seen = await place.backend.read_lock()

    assert seen.is_free
    assert set(seen.free) == set(BOTH)
    checked = await place.backend.read_state()
    assert isinstance(checked.state, Found)
    assert isinstance(checked.state.value, StateAbsent)


async def test_a_lock_is_read_as_written_and_released_half_by_half(place):
    seen = await held(place)

    results = [(await place.backend.release(held)).result for held in seen.places_of("first")]

    assert [(info.id, info.who, info.created) for info in seen.locks] == [("first", "first@runner", NOON)]
    assert results == [ReleaseResult.RELEASED] * 2
    assert (await place.backend.read_lock()).is_free


async def test_a_second_release_finds_the_half_free_and_another_lock_is_left_standing(place):
    first, second = (await held(place)).places_of("first")
    await place.backend.release(first)
    await place.write(second.kind, text_of("second"))

    results = [(await place.backend.release(held)).result for held in (first, second)]

    assert results == [ReleaseResult.ALREADY_FREE, ReleaseResult.HOLDER_CHANGED]
    assert await place.stands(second.kind) == text_of("second")


async def test_garbage_is_held_and_never_released(place):
    await place.write(PlaceKind.ITEM, "not json")

    seen = await place.backend.read_lock()

    assert [held.kind for held in seen.garbage] == [PlaceKind.ITEM]
    assert (await place.backend.release(seen.garbage[0])).result is ReleaseResult.DENIED
    assert await place.stands(PlaceKind.ITEM) == "not json"


@pytest.mark.parametrize("kind", BOTH)
async def test_a_throttled_read_is_unseen_and_does_not_hide_the_other_half(place, kind):
    await held(place)
    place.throttle(kind, "read")

    seen = await place.backend.read_lock()

    assert [(held, why.trouble) for held, why in seen.unseen if isinstance(why, Unseen)] == [(kind, Trouble.THROTTLED)]
    assert len(seen.held) == 1
    assert not seen.is_free


@pytest.mark.parametrize("kind", BOTH)
async def test_a_throttled_release_leaves_the_half(place, kind):
    seen = await held(place)
    place.throttle(kind, "delete")

    results = {held.kind: (await place.backend.release(held)).result for held in seen.held}

    assert results[kind] is ReleaseResult.THROTTLED
    assert await place.stands(kind) == text_of()


@pytest.mark.parametrize("kind", BOTH)
async def test_a_release_whose_answer_was_lost_is_settled_by_reading(place, kind):
    seen = await held(place)
    place.lose_answer(kind)

    results = [(await place.backend.release(held)).result for held in seen.held]

    assert results == [ReleaseResult.RELEASED] * 2
    assert await place.stands(kind) is None

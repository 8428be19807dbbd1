"""What is the `http` protocol's own: a lock is seen by a try only, and a try neither keeps nor releases a lock."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.backends.http.kind import KIND
from bot.backends.http.section import Backend
from bot.backends.http.store import LOOK, PROVEN_FOR, TRIED
from bot.core.evidence import Found, Trouble, Unseen
from bot.core.lock import PlaceKind, ReleaseResult, StateAbsent
from bot.errors import JournalAway
from tests.backends.http.world import PATH, STATE, Trying
from tests.worlds.clocks import MovableClock, WallClock
from tests.worlds.proxy import Answer, Cut, Delay, Deny, Meanwhile


def asked(http, method):
    return [json.loads(body) if body else None for name, _, body in http.storage.asked if name == method]


async def left_over(http):
    return await http.records.get(TRIED, http.section.address)


@pytest.fixture(autouse=True)
def never_without_an_id(http):
    """A server releases whatever is there for a request without an ID."""
    yield
    assert all(info and info["ID"] for info in asked(http, "UNLOCK"))


@pytest.fixture
async def held(http):
    lock = http.lock()
    await http.take(lock)
    return lock


def sweep(http):
    return KIND.sweep({"legacy": http.section}, http.new_means()).read_locks(("legacy",))


# a look that nobody has asked for


async def test_a_look_that_is_no_try_asks_nothing_and_shows_no_free_state(http):
    backend = KIND.open(http.section, http.new_means()).backend

    seen, swept = await backend.read_lock(), (await sweep(http))["legacy"]

    assert not seen.is_free
    assert not swept.is_free
    assert [why.trouble for _, why in (*seen.unseen, *swept.unseen)] == [Trouble.NOT_SHOWN] * 2
    assert http.storage.asked == []


async def test_the_doctor_takes_no_lock(http):
    await http.put_state()
    backend = KIND.open(http.section, http.new_means()).backend

    await asyncio.gather(
        backend.read_lock(), backend.read_state(), backend.versioning(), backend.probe("0a1b2c3d"), backend.read_table()
    )

    assert [method for method, *_ in http.storage.asked] == ["GET"]


# a try


async def test_a_try_on_a_free_state_says_who_it_is_and_gives_the_lock_back(http):
    seen = await http.backend().read_lock()

    (taken,), (given_back,) = asked(http, "LOCK"), asked(http, "UNLOCK")
    assert seen.is_free
    assert http.storage.locks == {}
    assert taken["ID"] == given_back["ID"]
    assert taken["ID"].startswith(LOOK)
    assert (taken["Operation"], taken["Who"]) == ("tflock look", "tflock@")
    assert "given back at once" in taken["Info"]
    assert await left_over(http) is None


async def test_a_try_on_a_held_state_releases_nothing(http, held):
    seen = await http.backend().read_lock()

    assert (seen.lock.id, seen.lock.who, seen.lock.operation) == (held.id, held.who, held.operation)
    assert asked(http, "UNLOCK") == []
    assert http.storage.locks[PATH] == held.text
    assert await left_over(http) is None


async def test_what_a_server_repeats_of_the_asker_is_not_the_holders(http, held):
    http.storage.echoes = True

    lock = (await http.backend().read_lock()).lock

    assert (lock.id, lock.who, lock.operation, lock.info) == (held.id, held.who, "", "")


async def test_a_server_that_does_not_say_who_holds_it_shows_a_lock_that_is_never_released(http, held):
    http.storage.says_who = False
    backend = http.backend()

    seen = await backend.read_lock()
    outcome = await backend.release(seen.held[0])

    assert not seen.is_free
    assert "not who holds it" in seen.garbage[0].garbage
    assert outcome.result is ReleaseResult.DENIED
    assert http.storage.locks[PATH] == held.text
    http.storage.says_who = True
    assert (await backend.release((await backend.read_lock()).held[0])).result is ReleaseResult.RELEASED


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
async def test_a_server_that_repeats_all_that_the_asker_said_never_has_the_holders_lock_released(http, held, lost):
    """Its refusal names the try's own ID, and looks like a lock that the try has left behind."""
    http.storage.echoes_all = True
    http.proxy.fault(http.reads(PlaceKind.RECORD), Cut(after=True), times=lost)
    backend = http.backend()

    seen = await backend.read_lock()
    await sweep(http)

    assert not seen.is_free
    assert not seen.locks
    assert asked(http, "UNLOCK") == []
    assert http.storage.locks[PATH] == held.text
    if not lost:
        assert "repeats what the asker said" in seen.garbage[0].garbage
        assert await left_over(http) is None
        assert (await backend.release(seen.held[0])).result is ReleaseResult.DENIED
        assert http.storage.locks[PATH] == held.text


async def test_a_free_state_of_a_server_that_repeats_all_is_free_and_stays_free(http):
    http.storage.echoes_all = True

    seen = await http.backend().read_lock()

    assert seen.is_free
    assert http.storage.locks == {}
    assert await left_over(http) is None


async def test_without_redis_nothing_is_tried(http):
    async def away(_):
        raise JournalAway("redis is away")

    http.records.switchboard.fault = away

    seen = await http.backend().read_lock()

    assert not seen.is_free
    assert http.storage.asked == []


@pytest.mark.parametrize("status", [400, 404, 405, 301])
async def test_a_server_without_such_a_verb_is_tried_once(http, status):
    http.proxy.fault(http.reads(PlaceKind.RECORD), Answer(status))

    seen = await http.backend().read_lock()

    assert seen.unseen[0][1].trouble is Trouble.DENIED
    assert await left_over(http) is None
    assert len([entry for entry in http.proxy.log if entry.call.method == "LOCK"]) == 1


# a try whose answer is lost


async def test_a_try_that_took_the_lock_without_an_answer_gives_it_back(http):
    http.proxy.fault(http.reads(PlaceKind.RECORD), Cut(after=True), times=1)

    seen = await http.backend().read_lock()

    assert seen.is_free
    assert http.storage.locks == {}


async def test_a_try_without_an_answer_never_releases_the_lock_of_another(http, held):
    """The server may have refused it: a release on suspicion would end the lock of a live run."""
    http.proxy.fault(http.reads(PlaceKind.RECORD), Cut(after=True), times=2)

    seen = await http.backend().read_lock()

    assert seen.lock.id == held.id
    assert asked(http, "UNLOCK") == []
    assert http.storage.locks[PATH] == held.text


async def test_a_try_without_an_answer_that_took_the_lock_under_its_other_id_gives_it_back(http):
    """The first answer is lost on the way in, the second on the way out."""
    lock = http.reads(PlaceKind.RECORD)
    http.proxy.fault(lock, Cut(), times=1)
    http.proxy.fault(lock, Cut(after=True), times=1)

    seen = await http.backend().read_lock()

    assert seen.is_free
    assert http.storage.locks == {}


async def test_a_try_without_an_answer_is_made_once_more_by_the_sweep_since_it_may_yet_arrive(http, held):
    http.proxy.fault(http.reads(PlaceKind.RECORD), Cut(), times=1)
    await http.backend().read_lock()
    late = await left_over(http)
    http.storage.locks[PATH] = json.dumps({**json.loads(held.text), "ID": late["id"]})

    await sweep(http)

    assert http.storage.locks == {}
    assert await left_over(http) is None


async def test_a_server_that_says_nothing_after_a_lost_answer_keeps_the_lock_and_it_is_said(http, held):
    http.storage.says_who = False
    http.proxy.fault(http.reads(PlaceKind.RECORD), Cut(after=True), times=1)

    ((_, why),) = (await http.backend().read_lock()).unseen

    assert "could not give it back" in why.detail
    assert asked(http, "UNLOCK") == []
    assert http.storage.locks[PATH] == held.text
    assert await left_over(http) is not None


async def test_a_lock_that_cannot_be_given_back_is_said_and_the_sweep_gives_it_back(http):
    http.proxy.fault(http.deletes(PlaceKind.RECORD), Answer(500))

    ((_, why),) = (await http.backend(timeout=30).read_lock()).unseen
    left = json.loads(http.storage.locks[PATH])

    assert left["ID"] in why.detail
    http.proxy.lift_all()
    await sweep(http)
    assert http.storage.locks == {}


async def test_a_lock_that_a_dead_process_left_is_given_back_by_the_sweep(http):
    await http.records.put(TRIED, http.section.address, {"id": f"{LOOK}of-the-dead"}, ttl=timedelta(days=1))
    http.storage.locks[PATH] = json.dumps({"ID": f"{LOOK}of-the-dead", "Created": datetime.now(UTC).isoformat()})

    await sweep(http)

    assert http.storage.locks == {}
    assert await left_over(http) is None


async def test_after_a_dead_process_the_sweep_leaves_the_lock_of_a_new_holder(http, held):
    await http.records.put(TRIED, http.section.address, {"id": f"{LOOK}of-the-dead"}, ttl=timedelta(days=1))

    await sweep(http)

    assert http.storage.locks[PATH] == held.text
    assert await left_over(http) is None


async def test_a_try_that_is_given_up_still_gives_its_lock_back(http):
    http.proxy.fault(http.reads(PlaceKind.RECORD), Delay(1), times=1)
    means = http.new_means()
    backend = Trying(KIND.open(http.section, means).backend._store, WallClock(), timeout=0.5)

    seen = await backend.read_lock()
    for close in means.closing:
        await close()

    assert not seen.is_free
    assert asked(http, "LOCK")
    assert http.storage.locks == {}


async def test_two_processes_never_try_at_the_same_time(http):
    """One's lock would be taken for a holder's, or be released under a new holder."""
    standing = []
    http.storage.before_lock.append(lambda: standing.append(dict(http.storage.locks)))

    await asyncio.gather(*(http.backend().read_lock() for _ in range(4)))

    assert standing == [{}] * 4
    assert http.storage.locks == {}


async def test_a_lock_is_not_given_back_long_after_it_was_seen(http):
    """A process may be stopped in between, and someone break the look's lock and take the next one."""
    clock, live = MovableClock(), http.lock("live")

    async def stopped():
        clock.offset += timedelta(seconds=PROVEN_FOR + 1)
        http.storage.locks[PATH] = live.text

    store = replace(http.store(), clock=clock)
    http.proxy.fault(http.reads(PlaceKind.RECORD), _After(stopped), times=1)

    seen = await Trying(store, clock).read_lock()

    assert seen.lock.id == live.id
    assert http.storage.locks[PATH] == live.text
    assert asked(http, "UNLOCK") == []


class _After(Meanwhile):
    """The deed comes when the server has answered."""

    async def meet(self, passage):
        answer = await passage.go_on()
        await self.happens()
        return answer


# a release


async def test_a_release_is_sent_only_after_a_try_that_this_very_lock_refused(http, held):
    backend = http.backend()
    (place,) = (await backend.read_lock()).held
    second = http.lock("second")
    http.storage.locks[PATH] = second.text

    outcome = await backend.release(place)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert asked(http, "UNLOCK") == []
    assert http.storage.locks[PATH] == second.text


async def test_a_release_of_a_lock_that_is_gone_releases_nothing_and_leaves_nothing(http, held):
    backend = http.backend()
    (place,) = (await backend.read_lock()).held
    http.storage.locks.clear()

    outcome = await backend.release(place)

    assert outcome.result is ReleaseResult.ALREADY_FREE
    assert all(info["ID"].startswith(LOOK) for info in asked(http, "UNLOCK"))
    assert http.storage.locks == {}


async def test_the_id_goes_along_so_that_a_server_that_compares_keeps_another_lock(http, held):
    http.storage.compares = True
    backend, second = http.backend(), http.lock("second")
    (place,) = (await backend.read_lock()).held
    changed = Meanwhile(lambda: http.write(PlaceKind.RECORD, second.text))
    http.proxy.fault(http.deletes(PlaceKind.RECORD), changed, times=1)

    outcome = await backend.release(place)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert http.storage.locks[PATH] == second.text


async def test_a_release_long_after_the_lock_was_seen_is_not_sent(http, held):
    clock = MovableClock()
    store = replace(http.store(), clock=clock)
    backend = Trying(store, clock)
    (place,) = (await backend.read_lock()).held

    async def stopped():
        clock.offset += timedelta(seconds=PROVEN_FOR + 1)

    http.proxy.fault(http.reads(PlaceKind.RECORD), _After(stopped), times=1)
    outcome = await backend.release(place)

    assert outcome.result is ReleaseResult.NOT_SENT
    assert asked(http, "UNLOCK") == []
    assert http.storage.locks[PATH] == held.text
    assert (await backend.release(place)).result is ReleaseResult.RELEASED


async def test_a_request_that_was_held_up_is_never_sent(http, held):
    backend = http.backend()
    (place,) = (await backend.read_lock()).held

    outcome = await backend.release(place, before=WallClock().running() - 1)

    assert outcome.result is ReleaseResult.NOT_SENT
    assert asked(http, "UNLOCK") == []


async def test_nothing_is_released_without_an_id(http, held):
    backend = http.backend()
    (place,) = (await backend.read_lock()).held

    nameless = await backend.release(replace(place, fence=""))

    assert nameless.result is ReleaseResult.DENIED
    assert http.storage.locks[PATH] == held.text


# the state


async def test_a_state_has_the_time_that_the_server_gives(http):
    written = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    http.storage.put(PATH, json.dumps(STATE).encode(), written)

    state = (await http.backend().read_state()).state.value

    assert (state.fault, state.serial, state.is_upper_bound) == (None, STATE["serial"], False)
    assert abs(state.last_written - written) < timedelta(seconds=5)


async def test_without_a_time_of_the_servers_a_state_is_as_old_as_it_is_known_not_to_have_changed(http):
    http.storage.dates = False
    clock = MovableClock()
    backend = Trying(replace(http.store(), clock=clock), clock)
    await http.put_state()
    first = (await backend.read_state()).state.value
    clock.offset = timedelta(minutes=5)

    same = (await backend.read_state()).state.value
    await http.put_state(json.dumps({**STATE, "serial": 4}).encode())
    changed = (await backend.read_state()).state.value

    assert (first.is_upper_bound, same.last_written) == (True, first.last_written)
    assert changed.last_written - first.last_written >= timedelta(minutes=5)


async def test_a_state_that_was_never_written_is_absent(http):
    assert (await http.backend().read_state()).state.value == StateAbsent()


async def test_a_state_that_may_not_be_read_is_unseen(http):
    http.proxy.fault(lambda call: call.method == "GET", Deny())

    state = (await http.backend().read_state()).state

    assert isinstance(state, Unseen)
    assert "the right to read the state" in state.detail


async def test_credentials_that_are_not_accepted_are_said_to_be_that_and_shown_nowhere(http, held):
    backend, secret = http.backend(), http.storage.credentials
    http.storage.credentials = "another:one"

    ((_, why),) = (await backend.read_lock()).unseen

    assert (why.trouble, "refuses the credentials" in why.detail) == (Trouble.DENIED, True)
    assert secret.partition(":")[2] not in repr(why)


async def test_there_are_no_older_versions(http):
    await http.put_state()

    assert not (await http.backend().versioning()).value
    assert isinstance(await http.backend().contents(), Found)


# configuration


def test_the_addresses_default_to_the_one_that_is_given():
    only = Backend(type="http", address="https://state.example.com/legacy")
    each = only.model_copy(update={"lock_address": "https://lock.example.com/l"})

    assert (only.lock_at, only.unlock_at) == (only.address, only.address)
    assert (each.lock_at, each.unlock_at) == (each.lock_address, each.lock_address)
    assert (only.lock_method, only.unlock_method) == ("LOCK", "UNLOCK")

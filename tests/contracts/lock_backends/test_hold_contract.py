"""What every backend with a place for holds keeps to, over real HTTP: take, swap, end."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.evidence import Trouble
from bot.core.hold import HoldWords, hold_info, is_of, prolonged
from bot.core.lock import LockPlace, ReleaseResult, TakeResult, parse_lock_info, says_the_same
from tests.contracts.lock_backends.conftest import HOLDING, WORLDS
from tests.worlds.proxy import Cut, Delay, Deny, Throttle

pytestmark = pytest.mark.parametrize("chosen", [WORLDS[key] for key in HOLDING], ids=HOLDING)
NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def hold(ref="h1", until=NOON + timedelta(minutes=30)):
    said = HoldWords(ref, "quinn", "inc-staging", "the apply died; look first", until, "https://acme.slack.com/p1")
    return hold_info(str(uuid.uuid4()), said, created=NOON, path="acme/environments/staging")


async def there(world, kind):
    text = await world.stands(kind)
    return None if text is None else parse_lock_info(text)


async def hold_everywhere(backend, world, mine):
    for kind in world.kinds:
        assert (await backend.take(kind, mine)).result is TakeResult.TAKEN


async def test_a_free_place_is_taken_and_read_as_the_hold_that_it_is(world):
    backend, mine = world.backend(), hold()

    taken = [await backend.take(kind, mine) for kind in world.kinds]
    seen = await backend.read_lock()

    assert [one.result for one in taken] == [TakeResult.TAKEN] * len(world.kinds)
    assert {place.kind for place in seen.held} == set(world.kinds)
    assert all(says_the_same(place.info, mine) for place in seen.held)
    # what the store calls it is what Terraform's force-unlock takes
    assert [one.place.info.id for one in taken] == [place.info.id for place in seen.held]
    assert [await there(world, kind) for kind in world.kinds] == [mine] * len(world.kinds)


async def test_a_state_that_has_been_written_keeps_its_content_under_a_hold(world):
    await world.put_state()
    backend, mine = world.backend(), hold()
    before = await backend.read_state()

    await hold_everywhere(backend, world, mine)
    held = await backend.read_state()
    ended = [await backend.end(kind, mine) for kind in world.kinds]

    assert held.state.value.serial == before.state.value.serial
    assert [one.result for one in ended] == [ReleaseResult.RELEASED] * len(world.kinds)
    assert (await backend.read_state()).state.value.serial == before.state.value.serial


async def test_a_place_that_is_held_is_never_taken(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()

    taken = [await backend.take(kind, hold()) for kind in world.kinds]

    assert [one.result for one in taken] == [TakeResult.HELD] * len(world.kinds)
    assert all(lock.id in one.detail for one in taken)
    assert [await world.stands(kind) for kind in world.kinds] == [lock.text] * len(world.kinds)


async def test_of_two_that_take_a_place_at_once_one_has_it(world):
    one, two, kind = world.backend(), world.backend(), world.kinds[0]
    first, second = hold("h1"), hold("h2")

    results = await asyncio.gather(one.take(kind, first), two.take(kind, second))

    assert sorted(result.result for result in results) == [TakeResult.HELD, TakeResult.TAKEN]
    winner = first if results[0].result is TakeResult.TAKEN else second
    assert says_the_same((await one.read_lock()).held[0].info, winner)


async def test_a_lock_is_swapped_for_the_hold_in_every_place(world):
    await world.take(world.lock())
    backend, mine = world.backend(), hold()
    seen = await backend.read_lock()

    swapped = [await backend.swap(place, mine) for place in seen.held]

    assert [one.result for one in swapped] == [ReleaseResult.RELEASED] * len(world.kinds)
    assert [await there(world, kind) for kind in world.kinds] == [mine] * len(world.kinds)
    assert all(is_of(info, mine) for info in (await backend.read_lock()).locks)


async def test_a_lock_that_was_swapped_can_neither_be_released_nor_swapped_again(world):
    await world.take(world.lock())
    backend, mine = world.backend(), hold()
    seen = await backend.read_lock()
    for place in seen.held:
        await backend.swap(place, mine)

    late = [await backend.release(place) for place in seen.held]
    again = [await backend.swap(place, hold("h2")) for place in seen.held]

    assert {one.result for one in (*late, *again)} == {ReleaseResult.HOLDER_CHANGED}
    assert [await there(world, kind) for kind in world.kinds] == [mine] * len(world.kinds)


async def test_a_lock_that_was_taken_after_the_look_is_not_swapped(world):
    await world.take(world.lock("first"))
    backend = world.backend()
    seen = await backend.read_lock()
    second = world.lock("second")
    for kind in world.kinds:
        await world.write(kind, second.text)

    swapped = [await backend.swap(place, hold()) for place in seen.held]

    assert {one.result for one in swapped} == {ReleaseResult.HOLDER_CHANGED}
    assert [await world.stands(kind) for kind in world.kinds] == [second.text] * len(world.kinds)


async def test_a_place_that_is_free_by_now_is_not_written_by_a_swap(world):
    await world.take(world.lock())
    backend = world.backend()
    seen = await backend.read_lock()
    for kind in world.kinds:
        await world.clear(kind)

    swapped = [await backend.swap(place, hold()) for place in seen.held]

    assert {one.result for one in swapped} == {ReleaseResult.ALREADY_FREE}
    assert [await world.stands(kind) for kind in world.kinds] == [None] * len(world.kinds)


@pytest.mark.parametrize("act", ["swap", "take"])
async def test_a_write_that_is_too_late_never_leaves(world, act):
    lock = world.lock()
    if act == "swap":
        await world.take(lock)
    backend = world.backend()
    seen, past = await backend.read_lock(), backend._clock.running() - 1

    if act == "swap":
        results = [(await backend.swap(place, hold(), before=past)).result for place in seen.held]
    else:
        results = [(await backend.take(kind, hold(), before=past)).result for kind in world.kinds]

    assert {str(result) for result in results} == {"not sent"}
    expected = lock.text if act == "swap" else None
    assert [await world.stands(kind) for kind in world.kinds] == [expected] * len(world.kinds)


async def test_a_lock_that_cannot_be_read_is_never_swapped(world):
    for kind in world.kinds:
        await world.write(kind, "not json")
    backend = world.backend()

    outcomes = [await backend.swap(place, hold()) for place in (await backend.read_lock()).held]

    assert {one.result for one in outcomes} == {ReleaseResult.DENIED}
    assert [await world.stands(kind) for kind in world.kinds] == ["not json"] * len(world.kinds)


async def test_a_hold_with_a_new_end_is_the_same_hold(world):
    backend, mine = world.backend(), hold()
    await hold_everywhere(backend, world, mine)
    longer = prolonged(mine, NOON + timedelta(hours=2))

    swapped = [await backend.swap(place, longer) for place in (await backend.read_lock()).held]
    seen = await backend.read_lock()
    ended = [await backend.end(kind, mine) for kind in world.kinds]

    assert [one.result for one in swapped] == [ReleaseResult.RELEASED] * len(world.kinds)
    assert all(says_the_same(place.info, longer) and is_of(place.info, mine) for place in seen.held)
    assert [one.result for one in ended] == [ReleaseResult.RELEASED] * len(world.kinds)
    assert (await backend.read_lock()).is_free


async def test_the_end_of_a_hold_touches_no_other_lock(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()

    ended = [await backend.end(kind, hold()) for kind in world.kinds]

    assert [one.result for one in ended] == [ReleaseResult.ALREADY_FREE] * len(world.kinds)
    assert [await world.stands(kind) for kind in world.kinds] == [lock.text] * len(world.kinds)


async def test_the_end_of_a_hold_spares_another_hold(world):
    backend, mine, other = world.backend(), hold("h1"), hold("h2")
    await hold_everywhere(backend, world, other)

    ended = [await backend.end(kind, mine) for kind in world.kinds]

    assert [one.result for one in ended] == [ReleaseResult.ALREADY_FREE] * len(world.kinds)
    assert [await there(world, kind) for kind in world.kinds] == [other] * len(world.kinds)


@pytest.mark.parametrize("act", ["take", "swap"])
async def test_a_write_whose_answer_was_lost_is_settled_by_reading(world, act):
    kind, backend, mine = world.kinds[0], world.backend(), hold()
    await world.put_state()
    if act == "swap":
        await world.take(world.lock())
    seen = await backend.read_lock()
    world.proxy.fault(world.puts(kind), Cut(after=True), times=1)

    outcome = await (backend.take(kind, mine) if act == "take" else backend.swap(_of_kind(seen, kind), mine))

    assert str(outcome.result) == ("taken" if act == "take" else "released")
    assert await there(world, kind) == mine


@pytest.mark.parametrize("act", ["take", "swap"])
async def test_a_write_cut_off_before_it_arrived_is_not_known_and_can_be_tried_again(world, act):
    kind, backend, mine = world.kinds[0], world.backend(), hold()
    lock = world.lock()
    if act == "swap":
        await world.take(lock)
    seen = await backend.read_lock()
    fault = world.proxy.fault(world.puts(kind), Cut())

    def write():
        return backend.take(kind, mine) if act == "take" else backend.swap(_of_kind(seen, kind), mine)

    cut, standing = await write(), await world.stands(kind)
    fault.lift()
    again = await write()

    assert str(cut.result) == "not known"
    assert standing == (lock.text if act == "swap" else None)
    assert str(again.result) == ("taken" if act == "take" else "released")
    assert await there(world, kind) == mine


@pytest.mark.parametrize("fault", [Throttle(retry_after=7), Deny()], ids=["throttled", "denied"])
async def test_a_write_that_the_store_refuses_is_told_and_changes_nothing(world, fault):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    seen = await backend.read_lock()
    for kind in world.kinds:
        world.proxy.fault(world.puts(kind), fault)

    swapped = [await backend.swap(place, hold()) for place in seen.held]

    expected = ReleaseResult.DENIED if isinstance(fault, Deny) else ReleaseResult.THROTTLED
    assert {one.result for one in swapped} == {expected}
    if isinstance(fault, Deny):
        assert all(world.put_right(one.place.kind) in one.detail for one in swapped)
    else:
        assert {one.retry_after for one in swapped} == {7.0}
    assert [await world.stands(kind) for kind in world.kinds] == [lock.text] * len(world.kinds)


async def test_a_write_that_is_never_answered_is_not_known(world):
    lock = world.lock()
    await world.take(lock)
    (place, *_) = (await world.backend().read_lock()).held
    world.proxy.fault(world.puts(place.kind), Delay(30))

    outcome = await world.backend(timeout=3).swap(place, hold())

    assert outcome.result is ReleaseResult.NOT_KNOWN
    assert await world.stands(place.kind) == lock.text


async def test_a_hold_in_a_store_that_cannot_be_read_is_not_touched(world):
    backend, mine = world.backend(), hold()
    await hold_everywhere(backend, world, mine)
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Deny())

    ended = [await backend.end(kind, mine) for kind in world.kinds]

    assert [one.result for one in ended] == [ReleaseResult.NOT_SENT] * len(world.kinds)
    assert [await there(world, kind) for kind in world.kinds] == [mine] * len(world.kinds)


async def test_the_doctor_tries_a_hold_on_throw_away_locks_and_leaves_everything_as_it_was(world):
    await world.take(world.lock())
    await world.put_state()
    before, backend = await world.everything(), world.backend()

    good = await backend.probe_writes("0815")
    after = await world.everything()
    for kind in world.kinds:
        world.proxy.fault(world.puts(kind), Deny())
    denied = await backend.probe_writes("0816")

    assert {probe.kind for probe in good} == set(world.kinds)
    assert [(probe.is_proven, probe.trouble) for probe in good] == [(True, None)] * len(world.kinds)
    assert after == before
    assert [(probe.is_proven, probe.trouble) for probe in denied] == [(False, Trouble.DENIED)] * len(world.kinds)
    assert await world.everything() == before


def _of_kind(seen, kind) -> LockPlace:
    return next(place for place in seen.held if place.kind is kind)

"""What every LockBackend keeps to, in every combination of places, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module

import pytest

from bot.config.section import BackendSection
from bot.core.evidence import NotFound, Trouble, Unseen
from bot.core.lock import ReleaseResult
from tests.worlds.own_time import own_time
from tests.worlds.proxy import Answer, Cut, Delay, Deny, Meanwhile, Throttle

PAGE = b"<!doctype html><html><body>Please log in</body></html>"


def test_every_backend_is_held_to_this_contract(backends, backends_with_a_world):
    assert backends_with_a_world == backends


async def test_a_free_state_is_read_as_free_in_every_half(world):
    seen = await world.backend().read_lock()

    assert seen.is_free
    assert set(seen.free) == set(world.kinds)


async def test_a_lock_is_read_from_every_half_exactly_as_it_was_written(world):
    lock = world.lock()
    await world.take(lock)

    seen = await world.backend().read_lock()

    assert not seen.is_free
    assert {place.kind for place in seen.held} == set(world.kinds)
    assert [(info.id, info.who, info.created) for info in seen.locks] == [(lock.id, lock.who, lock.created)]
    assert seen.free == ()
    assert seen.unseen == ()


async def test_a_fence_is_not_shown_in_a_repr(world):
    lock = world.lock()
    await world.take(lock)

    seen = await world.backend().read_lock()

    # where the fence is the ID of the lock, everyone may see it
    assert all(place.fence == place.info.id or place.fence not in repr(place) for place in seen.held)


async def test_the_lock_of_another_workspace_is_not_this_ones(world):
    await world.take_in_another_workspace(world.lock())

    seen = await world.backend().read_lock()

    assert seen.is_free


async def test_a_state_and_what_is_beside_it_are_never_taken_for_a_lock(world):
    await world.put_state()

    seen = await world.backend().read_lock()

    assert seen.is_free


async def test_a_release_with_the_right_fence_frees_the_half_and_nothing_else(world):
    await world.take(world.lock())
    backend = world.backend()
    seen = await backend.read_lock()
    first, *others = seen.held

    released = await backend.release(first)

    assert released.result is ReleaseResult.RELEASED
    assert await world.stands(first.kind) is None
    assert [place.kind for place in others if await world.stands(place.kind) is not None] == [
        place.kind for place in others
    ]


async def test_all_halves_released_leave_a_free_state(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    seen = await backend.read_lock()

    results = [(await backend.release(place)).result for place in seen.places_of(lock.id)]

    assert results == [ReleaseResult.RELEASED] * len(world.kinds)
    assert (await backend.read_lock()).is_free


async def test_a_second_release_finds_the_half_already_free(world):
    await world.take(world.lock())
    backend = world.backend()
    (place, *_) = (await backend.read_lock()).held
    await backend.release(place)

    again = await backend.release(place)

    assert again.result is ReleaseResult.ALREADY_FREE


async def test_a_lock_taken_between_read_and_release_is_left_standing(world):
    await world.take(world.lock("first"))
    backend = world.backend()
    seen = await backend.read_lock()
    second = world.lock("second")
    for kind in world.kinds:
        await world.write(kind, second.text)

    outcomes = [await backend.release(place) for place in seen.held]

    assert {outcome.result for outcome in outcomes} == {ReleaseResult.HOLDER_CHANGED}
    assert all(second.id in outcome.detail and "second@" in outcome.detail for outcome in outcomes)
    assert [await world.stands(kind) for kind in world.kinds] == [second.text] * len(world.kinds)


async def test_two_clients_that_release_at_once_free_it_once_and_touch_no_later_lock(world):
    await world.take(world.lock("first"))
    one, two = world.backend(), world.backend()
    seen, also_seen = await asyncio.gather(one.read_lock(), two.read_lock())
    pairs = list(zip(seen.held, also_seen.held, strict=True))

    outcomes = [await asyncio.gather(one.release(mine), two.release(theirs)) for mine, theirs in pairs]
    second = world.lock("second")
    await world.take(second)
    late = [await two.release(theirs) for _, theirs in pairs]

    allowed = {ReleaseResult.RELEASED, ReleaseResult.ALREADY_FREE}
    assert all({outcome.result for outcome in pair} <= allowed for pair in outcomes)
    assert {outcome.result for outcome in late} == {ReleaseResult.HOLDER_CHANGED}
    assert [await world.stands(kind) for kind in world.kinds] == [second.text] * len(world.kinds)


async def test_a_half_that_is_gone_is_free_and_the_other_is_still_released(world):
    lock = world.lock()
    await world.take(lock)
    gone, *left = world.kinds
    await world.clear(gone)
    backend = world.backend()

    seen = await backend.read_lock()

    assert seen.free == (gone,)
    assert [place.kind for place in seen.held] == left
    assert seen.is_free is (not left)
    assert [(await backend.release(place)).result for place in seen.held] == [ReleaseResult.RELEASED] * len(left)
    assert (await backend.read_lock()).is_free


async def test_halves_that_hold_different_locks_are_told_apart(world):
    first, second = world.lock("first"), world.lock("second")
    await world.take(first)
    await world.write(world.kinds[-1], second.text)
    backend = world.backend()

    seen = await backend.read_lock()

    expected = {second.id} if len(world.kinds) == 1 else {first.id, second.id}
    assert {info.id for info in seen.locks} == expected
    assert [place.kind for place in seen.places_of(second.id)] == [world.kinds[-1]]


@pytest.mark.parametrize("text", ["not json", "{}", '{"ID":"x","Created":"yesterday"}', "too long"])
async def test_a_lock_that_cannot_be_read_is_held_and_never_released(world, text):
    text = "\N{SNOWMAN}" * world.most_signs if text == "too long" else text
    for kind in world.kinds:
        await world.write(kind, text)
    backend = world.backend()

    seen = await backend.read_lock()
    outcomes = [await backend.release(place) for place in seen.held]

    assert not seen.is_free
    assert len(seen.garbage) == len(world.kinds)
    assert all(place.garbage for place in seen.garbage)
    assert {outcome.result for outcome in outcomes} == {ReleaseResult.DENIED}
    assert [await world.stands(kind) for kind in world.kinds] == [text] * len(world.kinds)


async def test_an_empty_lock_is_held_and_never_free(world):
    for kind in world.kinds:
        await world.write(kind, "")

    seen = await world.backend().read_lock()

    assert not seen.is_free
    assert len(seen.garbage) == len(world.kinds)


async def test_a_read_gets_through_a_moment_of_throttling(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    await backend.read_lock()  # makes the clients, which takes a busy machine longer than retries may take
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Throttle(), times=2)

    seen = await backend.read_lock()

    assert seen.lock is not None
    assert seen.lock.id == lock.id


async def test_a_read_that_stays_throttled_is_unseen_and_never_free(world):
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Throttle())

    seen = await world.backend().read_lock()

    assert not seen.is_free
    assert seen.free == ()
    assert [trouble(unseen) for _, unseen in seen.unseen] == [Trouble.THROTTLED] * len(world.kinds)


async def test_one_half_that_cannot_be_seen_does_not_hide_the_other(world):
    lock = world.lock()
    await world.take(lock)
    hidden, *left = world.kinds
    world.proxy.fault(world.reads(hidden), Deny())

    seen = await world.backend().read_lock()

    assert [place.kind for place in seen.held] == left
    assert [kind for kind, _ in seen.unseen] == [hidden]
    assert not seen.is_free


async def test_a_denied_read_is_unseen_and_names_the_missing_right(world):
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Deny())

    seen = await world.backend().read_lock()

    assert not seen.is_free
    for kind, unseen in seen.unseen:
        assert trouble(unseen) is Trouble.DENIED
        assert world.read_right(kind) in unseen.detail


async def test_a_read_whose_connection_is_always_cut_is_unseen(world):
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Cut())

    seen = await world.backend().read_lock()

    assert not seen.is_free
    assert [trouble(unseen) for _, unseen in seen.unseen] == [Trouble.NO_CONNECTION] * len(world.kinds)


async def test_a_read_gets_over_one_cut_connection(world):
    lock = world.lock()
    await world.take(lock)
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Cut(after=True), times=1)

    seen = await world.backend().read_lock()

    assert seen.unseen == ()
    assert seen.lock is not None


async def test_a_store_that_hangs_is_unseen_when_the_time_is_up(world):
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Delay(3))

    async with own_time() as spent:
        seen = await world.backend(timeout=0.6).read_lock()

    assert spent.seconds < 2.5
    assert not seen.is_free
    assert [trouble(unseen) for _, unseen in seen.unseen] == [Trouble.TIMED_OUT] * len(world.kinds)


async def test_a_server_error_is_unseen(world):
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Answer(500))

    seen = await world.backend().read_lock()

    assert [trouble(unseen) for _, unseen in seen.unseen] == [Trouble.SERVER_ERROR] * len(world.kinds)


async def test_a_throttled_release_is_told_and_leaves_the_lock(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    seen = await backend.read_lock()
    for kind in world.kinds:
        world.proxy.fault(world.deletes(kind), Throttle(retry_after=7))

    outcomes = [await backend.release(place) for place in seen.held]

    assert [(outcome.result, outcome.retry_after) for outcome in outcomes] == [
        (ReleaseResult.THROTTLED, 7.0) for _ in world.kinds
    ]
    assert [await world.stands(kind) for kind in world.kinds] == [lock.text] * len(world.kinds)


async def test_a_release_is_tried_once_and_not_repeated_behind_the_callers_back(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    seen = await backend.read_lock()
    for kind in world.kinds:
        world.proxy.fault(world.deletes(kind), Throttle(), times=1)

    outcomes = [await backend.release(place) for place in seen.held]

    assert {outcome.result for outcome in outcomes} == {ReleaseResult.THROTTLED}
    assert [await world.stands(kind) for kind in world.kinds] == [lock.text] * len(world.kinds)


async def test_a_denied_release_names_the_missing_right_and_leaves_the_lock(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    seen = await backend.read_lock()
    for kind in world.kinds:
        world.proxy.fault(world.deletes(kind), Deny())

    outcomes = [await backend.release(place) for place in seen.held]

    assert {outcome.result for outcome in outcomes} == {ReleaseResult.DENIED}
    assert all(world.delete_right(outcome.place.kind) in outcome.detail for outcome in outcomes)
    assert [await world.stands(kind) for kind in world.kinds] == [lock.text] * len(world.kinds)


async def test_a_release_cut_off_before_it_arrived_leaves_the_lock_and_can_be_tried_again(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    (place, *_) = (await backend.read_lock()).held
    world.proxy.fault(world.deletes(place.kind), Cut(), times=1)

    cut = await backend.release(place)
    still_there = await world.stands(place.kind)
    again = await backend.release(place)

    assert cut.result is ReleaseResult.NOT_KNOWN  # for all that its sender can tell, it may still arrive
    assert "is still there" in cut.detail
    assert still_there == lock.text
    assert again.result is ReleaseResult.RELEASED


async def test_a_release_whose_answer_was_lost_is_settled_by_reading(world):
    await world.take(world.lock())
    backend = world.backend()
    (place, *_) = (await backend.read_lock()).held
    world.proxy.fault(world.deletes(place.kind), Cut(after=True), times=1)

    outcome = await backend.release(place)

    assert outcome.result is ReleaseResult.RELEASED
    assert outcome.detail == "the answer was lost; the lock is gone"
    assert await world.stands(place.kind) is None


async def test_a_release_cut_off_while_another_took_the_lock_leaves_the_new_one(world):
    await world.take(world.lock("first"))
    backend = world.backend()
    (place, *_) = (await backend.read_lock()).held
    second = world.lock("second")
    await world.write(place.kind, second.text)
    world.proxy.fault(world.deletes(place.kind), Cut(after=True), times=1)

    outcome = await backend.release(place)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert await world.stands(place.kind) == second.text


async def test_a_release_is_not_known_if_the_reading_after_it_fails_too(world):
    lock = world.lock()
    await world.take(lock)
    backend = world.backend()
    (place, *_) = (await backend.read_lock()).held
    away = lambda: world.proxy.fault(world.reads(place.kind), Cut())  # noqa: E731 - once it is on its way
    world.proxy.fault(world.deletes(place.kind), Meanwhile(away, Cut()))

    outcome = await backend.release(place)

    assert outcome.result is ReleaseResult.NOT_KNOWN
    assert outcome.detail
    assert await world.stands(place.kind) == lock.text


async def test_a_page_in_place_of_the_answer_to_a_release_is_no_release(world):
    """With the status of a success: a gateway wants someone to log in, and the store has never heard of it."""
    await world.take(world.lock())
    backend = world.backend()
    (place, *_) = (await backend.read_lock()).held
    fault = world.proxy.fault(world.deletes(place.kind), Answer(200, PAGE, {"Content-Type": "text/html"}))

    released = await backend.release(place)

    assert released.result is not ReleaseResult.RELEASED
    assert await world.stands(place.kind) is not None
    fault.lift()
    assert (await backend.release(place)).result is ReleaseResult.RELEASED


async def test_a_release_that_is_never_answered_is_not_known_while_the_lock_is_there(world):
    lock = world.lock()
    await world.take(lock)
    (place, *_) = (await world.backend().read_lock()).held
    world.proxy.fault(world.deletes(place.kind), Delay(30))

    outcome = await world.backend(timeout=5).release(place)

    assert outcome.result is ReleaseResult.NOT_KNOWN
    assert await world.stands(place.kind) == lock.text


async def test_a_store_that_is_away_is_unseen(world):
    world.proxy.fault(lambda _: True, Cut())
    backend = world.backend()

    seen, check = await asyncio.gather(backend.read_lock(), backend.read_state())

    assert not seen.is_free
    assert len(seen.unseen) == len(world.kinds)
    assert isinstance(check.state, Unseen)


async def test_reading_changes_nothing(world):
    lock = world.lock()
    await world.take(lock)
    await world.put_state()
    before = await world.everything()
    backend = world.backend()

    await asyncio.gather(backend.read_lock(), backend.read_state())

    assert await world.everything() == before
    assert [await world.stands(kind) for kind in world.kinds] == [lock.text] * len(world.kinds)


def trouble(observation: Unseen | NotFound) -> Trouble | None:
    return observation.trouble if isinstance(observation, Unseen) else None


async def test_a_release_is_conditional_exactly_if_the_backend_says_that_it_can(world):
    """The lock changes hands while the release is on its way, after the last look that could tell."""
    await world.take(world.lock("first"))
    backend = world.backend()
    seen = await backend.read_lock()
    (place, *_) = seen.held
    second = world.lock("second")
    changes_hands = Meanwhile(lambda: world.write(place.kind, second.text))
    world.proxy.fault(world.deletes(place.kind), changes_hands, times=1)

    await backend.release(place)

    is_left = await world.stands(place.kind) == second.text
    assert is_left is seen.can(place.info.id, backend.can).conditional


async def test_a_throttled_read_is_told_as_a_throttled_table_only_where_the_lock_is_in_one(world):
    for kind in world.kinds:
        world.proxy.fault(world.reads(kind), Throttle())

    backend = world.backend()
    seen, table = await asyncio.gather(backend.read_lock(), backend.read_table())

    assert not seen.is_free
    has_table = any(kind.is_in_table for kind in world.kinds)
    assert seen.is_throttled is has_table
    assert (table is not None) is has_table


async def test_the_doctor_tries_only_throw_away_locks_and_leaves_everything_as_it_was(world):
    await world.take(world.lock())
    await world.put_state()
    before = await world.everything()

    probes = await world.backend().probe("0a1b2c3d")

    assert [probe.kind for probe in probes] == list(world.kinds)
    assert all(probe.missing_rights == () for probe in probes)
    assert await world.everything() == before


async def test_missing_rights_are_found_by_the_doctor_and_named(world):
    for kind in world.kinds:
        world.forbid_deletes(kind)

    backend = world.backend()
    probes = await backend.probe("0a1b2c3d")

    # where a lock is seen only by taking it, nothing is tried
    are_named = all(world.delete_right(probe.kind) in probe.missing_rights for probe in probes)
    assert are_named is backend.can.shows_lock
    assert not any(probe.is_proven for probe in probes)


def state_with(*resources, serial=7):
    objects = [
        {"mode": "managed", "type": "aws_instance", "name": name, "instances": [{"attributes": {"id": f"i-{name}"}}]}
        for name in resources
    ]
    body = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": "l", "resources": objects}
    return json.dumps(body).encode()


async def test_what_a_state_has_recorded_is_read_by_address_and_id(world):
    await world.put_state(state_with("web", "api"))

    found = (await world.backend().contents()).value

    assert [(one.address, one.id) for one in found.instances] == [
        ("aws_instance.web", "i-web"),
        ("aws_instance.api", "i-api"),
    ]
    assert (found.serial, found.fault) == (7, None)


async def test_a_state_that_opentofu_has_encrypted_is_seen_with_its_serial_and_is_not_broken(world):
    body = {"serial": 9, "lineage": "l", "meta": {}, "encrypted_data": "q83v", "encryption_version": "v0"}
    await world.put_state(json.dumps(body).encode())

    state = (await world.backend().read_state()).state.value
    contents = (await world.backend().contents()).value

    assert (state.serial, state.lineage, state.fault, state.is_encrypted) == (9, "l", None, True)
    assert (contents.is_encrypted, contents.fault, contents.instances) == (True, None, ())


async def test_each_version_that_is_kept_is_listed_and_can_be_read_newest_first(world):
    backend = world.backend()
    await world.put_state(state_with("web", serial=1))
    await world.put_state(state_with("web", "api", serial=2))

    versions = (await backend.versions(5)).value
    contents = [(await backend.contents(one.id)).value for one in versions]

    assert [one.serial for one in contents] == ([2, 1] if backend.can.versions else [2])
    assert [one.is_newest for one in versions] == [True, *([False] * (len(versions) - 1))]
    assert versions[0].size > 0


async def test_a_state_that_was_never_written_has_neither_versions_nor_contents(world):
    backend = world.backend()

    assert isinstance(await backend.versions(5), NotFound)
    assert isinstance(await backend.contents(), NotFound)


async def test_contents_and_versions_of_a_store_that_is_away_are_unseen(world):
    await world.put_state()
    world.proxy.fault(lambda _: True, Cut())
    backend = world.backend()

    assert isinstance(await backend.contents(), Unseen)
    assert isinstance(await backend.versions(5), Unseen)


def test_a_backend_that_says_that_it_can_swap_is_held_to_the_contract_of_holds(world, is_holding):
    assert world.backend().can.swap is is_holding


def test_a_kind_whose_states_have_a_place_in_a_listing_lists_them(backends):
    """A pattern asks for both: the configuration refuses one of a backend without a listing."""
    for name in backends:
        section, kind = (import_module(f"bot.backends.{name}.{part}") for part in ("section", "kind"))
        has_a_place = section.Backend.listing is not BackendSection.listing
        assert has_a_place == hasattr(kind.KIND, "states"), name

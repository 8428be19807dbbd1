"""What is GitLab's own: who a lock's ID is asked of, and that asking takes no lock from anyone, lists, rights."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.backends.gitlab.kind import KIND
from bot.backends.gitlab.store import LOOK
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.lock import PlaceKind, ReleaseResult, StateAbsent
from tests.backends.gitlab.world import STATE
from tests.worlds.clocks import WallClock
from tests.worlds.gitlab_states import Account
from tests.worlds.proxy import Answer, Cut, Delay, Deny, Meanwhile

NAME = "production"


def locks_asked(gitlab, method):
    return [line for line in gitlab.storage.asked if line.startswith(f"{method} ") and "/lock" in line]


def trying(call):
    return call.method == "POST" and call.path.endswith("/lock")


@pytest.fixture(autouse=True)
def never_without_an_id(gitlab):
    """GitLab releases whatever lock is there for a request without an ID."""
    yield
    assert all("?ID=" in line and not line.endswith("?ID=") for line in locks_asked(gitlab, "DELETE"))


@pytest.fixture
async def held(gitlab):
    lock = gitlab.lock()
    await gitlab.take(lock)
    return lock


# who holds it


async def test_the_holder_is_the_account_and_the_time_that_gitlab_names(gitlab, held):
    info = (await gitlab.backend().read_lock()).lock

    assert (info.id, info.who, info.host, info.created) == (held.id, "first@", "", held.created)
    # what a refusal says of the operation is the asker's own
    assert (info.operation, info.info, info.version, info.path) == ("", "", "", "")


async def test_a_lock_is_dated_by_the_store(gitlab, held):
    seen = await gitlab.backend().read_lock()

    assert seen.stored_at(held.id) == held.created


async def test_a_free_state_is_never_tried(gitlab):
    await gitlab.put_state()
    backend = gitlab.backend()

    for _ in range(3):
        assert (await backend.read_lock()).is_free
    await backend.read_state()
    await KIND.sweep({"a": gitlab.section}, gitlab.new_means()).read_locks(("a",))

    assert locks_asked(gitlab, "POST") == []


async def test_the_id_of_a_lock_is_asked_for_once(gitlab, held):
    backend = gitlab.backend()

    seen = [await backend.read_lock() for _ in range(3)]

    assert {one.lock.id for one in seen} == {held.id}
    assert len(locks_asked(gitlab, "POST")) == 1


async def test_the_next_lock_is_asked_for_again(gitlab, held):
    backend = gitlab.backend()
    await backend.read_lock()
    second = gitlab.lock("second")
    await gitlab.write(PlaceKind.RECORD, second.text)

    assert (await backend.read_lock()).lock.id == second.id


async def test_a_lock_of_the_same_account_and_second_survives_the_release_of_the_one_before(gitlab, held):
    backend = gitlab.backend()
    (place,) = (await backend.read_lock()).held
    gitlab.storage.lock(NAME, "the-next-one", "first", held.created)

    mistaken = (await backend.read_lock()).lock
    outcome = await backend.release(place)

    assert mistaken.id == held.id
    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert "the-next-one" in outcome.detail
    assert gitlab.storage.state(NAME).lock_id == "the-next-one"


async def test_a_token_that_may_not_ask_for_the_id_shows_a_lock_that_is_never_released(gitlab, held):
    backend = gitlab.backend()
    gitlab.storage.accounts[gitlab.token] = Account("tflock-bot", "developer")

    seen = await backend.read_lock()
    outcome = await backend.release(seen.held[0])

    assert not seen.is_free
    assert "first has had the lock since" in seen.garbage[0].garbage
    assert "role Maintainer" in seen.garbage[0].garbage
    assert outcome.result is ReleaseResult.DENIED
    assert gitlab.storage.state(NAME).lock_id == held.id
    gitlab.storage.accounts[gitlab.token] = Account("tflock-bot")
    assert (await backend.release((await backend.read_lock()).held[0])).result is ReleaseResult.RELEASED


# asking for the ID must neither release a lock nor keep one


async def test_a_lock_that_a_look_takes_by_accident_is_given_back_at_once(gitlab, held):
    gitlab.storage.before_lock.append(lambda: gitlab.storage.unlock(NAME))

    seen = await gitlab.backend().read_lock()

    assert seen.is_free
    assert gitlab.storage.state(NAME).lock_id is None
    (given_back,) = locks_asked(gitlab, "DELETE")
    assert f"?ID={LOOK}" in given_back


async def test_a_holder_that_came_in_between_keeps_its_lock(gitlab, held):
    gitlab.storage.before_lock.append(lambda: gitlab.storage.lock(NAME, "live", "second"))

    seen = await gitlab.backend().read_lock()

    assert seen.lock.id == "live"
    assert gitlab.storage.state(NAME).lock_id == "live"
    assert locks_asked(gitlab, "DELETE") == []


async def test_a_holder_that_broke_the_looks_lock_keeps_its_own(gitlab, held):
    """Someone's `force-unlock` ends the look's lock, and their run has the next one before the look gives it back."""
    gitlab.storage.before_lock.append(lambda: gitlab.storage.unlock(NAME))
    gitlab.proxy.fault(gitlab.deletes(PlaceKind.RECORD), Meanwhile(lambda: gitlab.storage.lock(NAME, "live", "second")))

    await gitlab.backend().read_lock()

    assert len(locks_asked(gitlab, "DELETE")) == 1
    assert gitlab.storage.state(NAME).lock_id == "live"


async def test_a_try_whose_answer_was_lost_leaves_no_lock(gitlab, held):
    gitlab.storage.before_lock.append(lambda: gitlab.storage.unlock(NAME))
    gitlab.proxy.fault(trying, Cut(after=True), times=1)

    seen = await gitlab.backend().read_lock()

    assert seen.is_free
    assert gitlab.storage.state(NAME).lock_id is None


async def test_a_try_whose_answer_was_lost_touches_no_lock_of_anyone(gitlab, held):
    gitlab.proxy.fault(trying, Cut(after=True), times=1)

    seen = await gitlab.backend().read_lock()

    assert seen.lock.id == held.id
    assert gitlab.storage.state(NAME).lock_id == held.id


async def test_a_look_that_is_given_up_still_gives_its_lock_back(gitlab, held):
    gitlab.storage.before_lock.append(lambda: gitlab.storage.unlock(NAME))
    gitlab.proxy.fault(trying, Delay(1), times=1)
    means = gitlab.new_means()
    backend = KIND.open(gitlab.section, means).backend
    backend._timeout = 0.5

    seen = await backend.read_lock()
    for close in means.closing:
        await close()

    assert seen.unseen[0][1].trouble is Trouble.TIMED_OUT
    assert locks_asked(gitlab, "POST")
    assert gitlab.storage.state(NAME).lock_id is None


async def test_a_lock_that_could_not_be_given_back_is_said_and_given_back_by_the_next_look(gitlab, held):
    gitlab.storage.before_lock.append(lambda: gitlab.storage.unlock(NAME))
    gitlab.proxy.fault(gitlab.deletes(PlaceKind.RECORD), Answer(500))

    ((_, why),) = (await gitlab.backend(timeout=30).read_lock()).unseen
    left = gitlab.storage.state(NAME).lock_id

    assert left.startswith(LOOK)
    assert left in why.detail
    gitlab.proxy.lift_all()
    gitlab.storage.before_lock.clear()
    assert (await gitlab.backend().read_lock()).is_free
    assert gitlab.storage.state(NAME).lock_id is None


async def test_a_lock_that_a_dead_process_left_is_given_back_by_the_sweep(gitlab):
    gitlab.storage.lock(NAME, f"{LOOK}of-a-process-that-died", "tflock-bot")

    seen = await KIND.sweep({"a": gitlab.section}, gitlab.new_means()).read_locks(("a",))

    assert seen["a"].is_free
    assert gitlab.storage.state(NAME).lock_id is None


async def test_a_look_never_takes_a_lock_from_under_another_look(gitlab):
    """Two processes look at the same time: neither leaves a lock, and a run can have it afterwards."""
    gitlab.storage.lock(NAME, f"{LOOK}of-another-process", "tflock-bot")
    one, two = gitlab.backend(), gitlab.backend()

    await asyncio.gather(one.read_lock(), two.read_lock())

    assert gitlab.storage.state(NAME).lock_id is None


async def test_nothing_is_released_without_an_id(gitlab, held):
    backend = gitlab.backend()
    (place,) = (await backend.read_lock()).held

    nameless = await backend.release(replace(place, fence="", info=replace(place.info, id="")))

    assert nameless.result is ReleaseResult.DENIED
    assert gitlab.storage.state(NAME).lock_id == held.id
    assert (await backend.release(place)).result is ReleaseResult.RELEASED


async def test_a_redirect_of_the_release_is_not_followed_and_releases_nothing(gitlab, held):
    backend = gitlab.backend()
    (place,) = (await backend.read_lock()).held
    moved = {"Location": f"{gitlab.storage.origin}/api/v4/projects/4712/terraform/state/{NAME}/lock"}
    gitlab.proxy.fault(gitlab.deletes(PlaceKind.RECORD), Answer(307, b"", moved))

    outcome = await backend.release(place)

    assert outcome.result is not ReleaseResult.RELEASED
    assert gitlab.storage.state(NAME).lock_id == held.id


async def test_a_request_that_was_held_up_is_never_sent(gitlab, held):
    backend = gitlab.backend()
    (place,) = (await backend.read_lock()).held

    outcome = await backend.release(place, before=WallClock().running() - 1)

    assert outcome.result is ReleaseResult.NOT_SENT
    assert locks_asked(gitlab, "DELETE") == []
    assert (await backend.release(place)).result is ReleaseResult.RELEASED


# what is not there, and what may not be seen


@pytest.mark.parametrize("role", ["guest", "developer"])
async def test_a_token_without_the_right_is_shown_an_empty_list_which_is_not_a_free_state(gitlab, held, role):
    gitlab.storage.accounts[gitlab.token] = Account("tflock-bot", role)

    seen = await gitlab.backend().read_lock()

    assert not seen.is_free
    assert [why.trouble for _, why in seen.unseen] == ([Trouble.DENIED] if role == "guest" else [])


async def test_a_state_that_was_never_made_is_free_for_a_token_that_may_see_it(gitlab):
    assert (await gitlab.backend().read_lock()).is_free
    assert gitlab.storage.states == {}


async def test_a_project_that_is_not_there_is_not_a_free_state(gitlab):
    gitlab.section = gitlab.section.model_copy(update={"project": "acme/nowhere"})

    seen, check = await asyncio.gather(gitlab.backend().read_lock(), gitlab.backend().read_state())

    assert isinstance(seen.unseen[0][1], NotFound)
    assert not isinstance(check.state, Found)


async def test_a_404_of_something_in_between_is_not_a_free_state(gitlab):
    gitlab.proxy.fault(lambda call: call.method == "GET", Answer(404, b"<html>not found</html>"))

    assert not (await gitlab.backend().read_lock()).is_free


ENTRY = {"name": NAME, "lockedAt": None, "lockedByUser": None, "latestVersion": None}
END = {"hasNextPage": False, "endCursor": None}


def listing(nodes, end=END):
    return {"data": {"project": {"terraformStates": {"nodes": nodes, "pageInfo": end}}}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"data": None},
        {"data": {"project": {"terraformStates": None}}},
        {"errors": [{"message": "Timeout"}], **listing([ENTRY])},
        listing(None),
        listing([None]),
        listing([{key: ENTRY[key] for key in ENTRY if key != "lockedAt"}]),
        listing([{key: ENTRY[key] for key in ENTRY if key != "lockedByUser"}]),
        listing([{**ENTRY, "name": 7}]),
        listing([{**ENTRY, "name": "another"}], {}),
        listing([{**ENTRY, "name": "another"}], {"hasNextPage": True, "endCursor": None}),
    ],
)
async def test_a_list_in_another_shape_shows_no_free_state(gitlab, body):
    gitlab.proxy.fault(gitlab.reads(PlaceKind.RECORD), Answer(200, json.dumps(body).encode()))

    assert not (await gitlab.backend().read_lock()).is_free


@pytest.mark.parametrize("node", [ENTRY, {**ENTRY, "name": "another"}])
async def test_a_list_as_documented_shows_a_free_state(gitlab, node):
    gitlab.proxy.fault(gitlab.reads(PlaceKind.RECORD), Answer(200, json.dumps(listing([node])).encode()))

    assert (await gitlab.backend().read_lock()).is_free


async def test_a_token_that_is_not_accepted_is_said_to_be_that_and_shown_nowhere(gitlab, held):
    secret, backend = gitlab.token, gitlab.backend()
    gitlab.storage.accounts.clear()

    ((_, why),) = (await backend.read_lock()).unseen

    assert (why.trouble, "GITLAB_TOKEN is wrong, expired or revoked" in why.detail) == (Trouble.DENIED, True)
    assert secret not in repr(why)


# the state


async def test_a_state_is_read_with_its_serial_and_time(gitlab):
    await gitlab.put_state()

    state = (await gitlab.backend().read_state()).state.value

    assert (state.fault, state.serial, state.version_id) == (None, STATE["serial"], str(STATE["serial"]))
    assert abs((state.last_written - datetime.now(UTC)).total_seconds()) < 30


async def test_a_state_that_was_only_locked_has_never_been_written(gitlab, held):
    assert (await gitlab.backend().read_state()).state.value == StateAbsent()


async def test_a_broken_state_names_its_last_good_version(gitlab):
    gitlab.storage.put(NAME, json.dumps({**STATE, "serial": 3}).encode(), 3)
    gitlab.storage.put(NAME, b"{", 5)

    state = (await gitlab.backend().read_state()).state.value

    assert (state.fault, state.last_good_version) == ("it is not valid JSON", "3")


async def test_older_versions_have_no_time_and_gaps_are_passed_over(gitlab):
    for serial in (1, 3, 4):
        gitlab.storage.put(NAME, json.dumps({**STATE, "serial": serial}).encode(), serial)

    found = (await gitlab.backend().versions(4)).value

    assert [(one.id, one.at is None, one.is_newest) for one in found] == [
        ("4", False, True),
        ("3", True, False),
        ("1", True, False),
    ]


async def test_a_version_that_may_not_be_read_is_not_left_out(gitlab):
    gitlab.storage.put(NAME, json.dumps(STATE).encode(), 3)
    gitlab.proxy.fault(lambda call: call.path.endswith("/versions/2"), Deny())

    assert isinstance(await gitlab.backend().versions(3), Unseen)


# many states


@pytest.fixture
def sections(gitlab):
    return {name: gitlab.section.model_copy(update={"state": name}) for name in (NAME, "blue", "green")}


async def test_the_locks_of_many_states_are_read_with_one_list_page_by_page(gitlab, sections, held):
    gitlab.storage.page_size = 2
    for count in range(4):
        gitlab.storage.put(f"other-{count}", b"{}", 1)
    sweep = KIND.sweep(sections, gitlab.new_means())

    seen = await sweep.read_locks(tuple(sections))
    again = await sweep.read_locks(tuple(sections))

    assert {name: lock.is_free for name, lock in seen.items()} == {NAME: False, "blue": True, "green": True}
    assert seen[NAME] == replace(await gitlab.backend().read_lock(), at=seen[NAME].at)
    assert again[NAME].lock == seen[NAME].lock
    assert len(locks_asked(gitlab, "POST")) == 2  # once for both sweeps, and once for the other client


async def test_nothing_is_free_that_could_not_be_listed_to_the_end(gitlab, sections):
    gitlab.storage.page_size = 1
    for name in sections:
        gitlab.storage.put(name, b"{}", 1)
    gitlab.proxy.fault(lambda call: b'"after":"2"' in call.body.replace(b" ", b""), Deny())

    seen = await KIND.sweep(sections, gitlab.new_means()).read_locks(tuple(sections))

    assert not any(lock.is_free for lock in seen.values())


async def test_a_sweep_without_the_right_shows_nothing_as_free(gitlab, sections):
    gitlab.storage.accounts[gitlab.token] = Account("tflock-bot", "guest")
    gitlab.storage.lock("blue", "held", "second")

    seen = await KIND.sweep(sections, gitlab.new_means()).read_locks(tuple(sections))

    assert [lock.unseen[0][1].trouble for lock in seen.values()] == [Trouble.DENIED] * 3


@pytest.mark.parametrize("base_url", ["https://gitlab.example.com/api/v4", "https://gitlab.example.com/git/api/v4"])
def test_both_interfaces_are_under_one_address(gitlab, base_url):
    section = gitlab.section.model_copy(update={"base_url": base_url})

    assert section.api == base_url.removesuffix("/v4")


# listing


async def test_the_states_of_a_project_are_listed_page_by_page(gitlab):
    gitlab.storage.page_size = 2
    for name in ("app-a", "app-b", "app-c", "other"):
        gitlab.storage.put(name, b"{}", 1)
    found = await KIND.states(gitlab.section, gitlab.new_means(), "app-")
    assert found.value == ("app-a", "app-b", "app-c")


async def test_an_empty_list_is_one_of_a_project_without_states_or_a_missing_right(gitlab):
    found = await KIND.states(gitlab.section, gitlab.new_means(), "")
    assert found.value == ()

    gitlab.storage.put("app-a", b"{}", 1)
    gitlab.storage.accounts[gitlab.token] = Account("tflock-bot", role="guest")
    found = await KIND.states(gitlab.section, gitlab.new_means(), "")
    assert isinstance(found, Unseen)
    assert found.trouble is Trouble.DENIED

"""What is Cloud Storage's own: generations, versions, what 404 means, credentials, listings, other stores."""

from __future__ import annotations

import asyncio
import builtins
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.backends.gcs.kind import KIND
from bot.backends.gcs.section import Backend
from bot.backends.proof import Proofs
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.lock import PlaceKind, ReleaseResult, StateAbsent
from bot.errors import ConfigInvalid
from tests.backends.gcs.world import STATE
from tests.worlds.clocks import WallClock
from tests.worlds.memory.journal import MemoryRecords
from tests.worlds.memory.memory import Switchboard
from tests.worlds.proxy import Answer, Delay, Deny

BODY_ID = "8ea904d4-4c2a-793b-3d30-48e6a4f2bc50"


@pytest.fixture
def proofs():
    return Proofs(MemoryRecords(WallClock(), Switchboard()), WallClock())


async def held(gcs):
    await gcs.take(gcs.lock())
    (place,) = (await gcs.backend().read_lock()).held
    return place


async def test_the_id_of_a_lock_is_its_generation_and_not_the_one_in_its_text(gcs):
    lock = replace(gcs.lock(), id=BODY_ID)
    stored = gcs.storage.put(gcs.lock_name, lock.text.encode())

    seen = await gcs.backend().read_lock()

    assert seen.lock.id == str(stored.generation)
    assert seen.lock.who == lock.who
    assert abs(seen.stored_at(seen.lock.id) - stored.at) < timedelta(seconds=1)


async def test_a_lock_with_the_same_text_in_another_generation_is_another_lock(gcs):
    place = await held(gcs)
    again = gcs.storage.put(gcs.lock_name, gcs.storage.live[gcs.lock_name].text)

    outcome = await gcs.backend().release(place)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert gcs.storage.live[gcs.lock_name] == again


async def test_a_bucket_that_is_not_there_is_not_a_free_state(gcs):
    gcs.section = gcs.section.model_copy(update={"bucket": "acme-nowhere"})

    seen, check = await asyncio.gather(gcs.backend().read_lock(), gcs.backend().read_state())

    assert not seen.is_free
    assert isinstance(seen.unseen[0][1], NotFound)
    assert not isinstance(check.state, Found)


async def test_a_404_of_something_in_between_is_not_a_free_state(gcs):
    gcs.proxy.fault(gcs.reads(PlaceKind.FILE), Answer(404, b"<html>not found</html>"))

    assert not (await gcs.backend().read_lock()).is_free


async def test_an_answer_without_a_generation_is_unseen(gcs):
    gcs.proxy.fault(gcs.reads(PlaceKind.FILE), Answer(200, gcs.lock().text.encode()))

    ((_, why),) = (await gcs.backend().read_lock()).unseen

    assert why.trouble is Trouble.GARBLED


async def test_a_token_that_is_not_accepted_is_said_to_be_that_and_shown_nowhere(gcs):
    await gcs.take(gcs.lock())
    secret, backend = gcs.storage.token, gcs.backend()
    gcs.storage.token = "another"

    ((_, why),) = (await backend.read_lock()).unseen

    assert (why.trouble, "does not accept the credentials" in why.detail) == (Trouble.DENIED, True)
    assert secret not in repr(why)


async def test_a_request_that_was_held_up_is_never_sent(gcs):
    place = await held(gcs)
    gcs.proxy.log.clear()

    outcome = await gcs.backend().release(place, before=WallClock().running() - 1)

    assert outcome.result is ReleaseResult.NOT_SENT
    assert not [entry for entry in gcs.proxy.log if entry.call.method == "DELETE"]
    assert await gcs.stands(PlaceKind.FILE) is not None
    assert (await gcs.backend().release(place)).result is ReleaseResult.RELEASED


async def test_a_release_whose_credentials_do_not_come_is_not_sent(gcs):
    place = await held(gcs)
    backend = gcs.backend(timeout=0.3)
    asked = asyncio.Event()

    class Slow:
        async def headers(self):
            asked.set()
            await asyncio.Event().wait()

    backend._store = replace(backend._store, bucket=replace(backend._store.bucket, credentials=Slow()))
    outcome = await backend.release(place)

    assert asked.is_set()
    assert outcome.result is ReleaseResult.NOT_SENT
    assert await gcs.stands(PlaceKind.FILE) is not None


# the state


async def test_a_state_is_read_with_its_generation_and_time(gcs):
    await gcs.put_state()

    check = await gcs.backend().read_state()

    state = check.state.value
    assert (state.fault, state.serial, state.lineage) == (None, STATE["serial"], STATE["lineage"])
    assert state.version_id == str(gcs.storage.live[f"{gcs.section.object_base}.tfstate"].generation)
    assert abs(state.last_written - datetime.now(UTC)) < timedelta(seconds=30)


async def test_a_state_that_was_never_written_is_absent_without_traces(gcs):
    assert (await gcs.backend().read_state()).state.value == StateAbsent()


async def test_a_deleted_state_leaves_traces_and_its_last_good_version(gcs):
    name = f"{gcs.section.object_base}.tfstate"
    good = gcs.storage.put(name, json.dumps(STATE).encode())
    gcs.storage.put(name, b"{")
    gcs.storage.drop(name)

    state = (await gcs.backend().read_state()).state.value

    assert state.traces
    assert state.last_good_version == str(good.generation)


async def test_a_broken_state_names_its_last_good_version(gcs):
    name = f"{gcs.section.object_base}.tfstate"
    good = gcs.storage.put(name, json.dumps(STATE).encode())
    gcs.storage.put(name, b'{"version": 4')

    state = (await gcs.backend().read_state()).state.value

    assert state.fault == "it is not valid JSON"
    assert state.last_good_version == str(good.generation)


async def test_a_state_whose_versions_cannot_be_listed_is_not_called_never_written(gcs):
    gcs.proxy.fault(lambda call: call.path.endswith("/o"), Deny())

    state = (await gcs.backend().read_state()).state

    assert isinstance(state, Unseen)
    assert "storage.objects.list" in state.detail


@pytest.mark.parametrize("versioned", [True, False])
async def test_whether_the_bucket_keeps_versions_is_read(gcs, versioned):
    gcs.storage.versioned = versioned

    assert (await gcs.backend().versioning()).value is versioned


async def test_the_versions_of_a_state_are_listed_newest_first_over_all_pages(gcs):
    name = f"{gcs.section.object_base}.tfstate"
    stored = [gcs.storage.put(name, json.dumps(STATE).encode()) for _ in range(1003)]

    found = (await gcs.backend().versions(2)).value

    assert [version.id for version in found] == [str(one.generation) for one in (stored[-1], stored[-2])]
    assert [version.is_newest for version in found] == [True, False]


async def test_a_state_that_never_was_has_no_versions(gcs):
    assert isinstance(await gcs.backend().versions(2), NotFound)


async def test_an_older_version_is_read_for_what_it_has_recorded(gcs):
    name = f"{gcs.section.object_base}.tfstate"
    old = gcs.storage.put(name, json.dumps({**STATE, "serial": 1}).encode())
    gcs.storage.put(name, json.dumps(STATE).encode())

    contents = [(await gcs.backend().contents(version)).value for version in (str(old.generation), None)]

    assert [one.serial for one in contents] == [1, STATE["serial"]]


# stores that resemble it


async def test_a_store_that_ignores_the_condition_loses_no_lock(gcs, proofs):
    place = await held(gcs)
    gcs.storage.ignores_conditions = True

    outcome = await gcs.backend(proofs=proofs, endpoint="own").release(place)

    assert outcome.result is ReleaseResult.DENIED
    assert "although its condition does not hold" in outcome.detail
    assert await gcs.stands(PlaceKind.FILE) is not None


async def test_a_store_that_honours_the_condition_is_tried_once_and_remembered(gcs, proofs):
    first = await gcs.backend(proofs=proofs, endpoint="own").release(await held(gcs))
    gcs.proxy.fault(lambda call: call.method == "POST", Deny())
    second = await gcs.backend(proofs=proofs, endpoint="own").release(await held(gcs))

    assert [first.result, second.result] == [ReleaseResult.RELEASED] * 2
    assert await gcs.stands(PlaceKind.FILE) is None


async def test_nothing_is_released_where_it_cannot_be_tried(gcs, proofs):
    place = await held(gcs)
    gcs.proxy.fault(lambda call: call.method == "POST", Deny())

    outcome = await gcs.backend(proofs=proofs, endpoint="own").release(place)

    assert outcome.result is ReleaseResult.DENIED
    assert "storage.objects.create" in outcome.detail
    assert await gcs.stands(PlaceKind.FILE) is not None


def test_only_an_address_of_ones_own_has_to_prove_itself(gcs):
    google = KIND.open(gcs.section.model_copy(update={"endpoint_url": None}), gcs.new_means()).backend
    own = KIND.open(gcs.section, gcs.new_means()).backend

    assert google._endpoint is None
    assert own._endpoint == f"{gcs.proxy.url} {gcs.section.bucket}"


# many states


@pytest.fixture
def sections(gcs):
    names = ["default", "blue", "green"]
    return {name: gcs.section.model_copy(update={"workspace": name}) for name in names}


async def test_the_locks_of_many_states_are_read_with_one_listing_and_one_read_for_each_lock(gcs, sections):
    await gcs.take(gcs.lock())
    gcs.proxy.log.clear()

    seen = await KIND.sweep(sections, gcs.new_means()).read_locks(tuple(sections))

    assert {name: lock.is_free for name, lock in seen.items()} == {"default": False, "blue": True, "green": True}
    assert seen["default"] == replace(await gcs.backend().read_lock(), at=seen["default"].at)
    assert len([entry for entry in gcs.proxy.log if entry.call.path.endswith("/o")]) == 1


async def test_a_listing_is_read_to_its_last_page(gcs, sections):
    for count in range(1001):
        gcs.storage.put(f"environments/staging/a{count}.tflock", b"{}")
    await gcs.take(gcs.lock())

    seen = await KIND.sweep(sections, gcs.new_means()).read_locks(tuple(sections))

    assert not seen["default"].is_free
    assert seen["blue"].is_free


async def test_nothing_is_free_that_could_not_be_listed(gcs, sections):
    gcs.proxy.fault(lambda call: call.path.endswith("/o"), Deny())

    seen = await KIND.sweep(sections, gcs.new_means()).read_locks(tuple(sections))

    assert not any(lock.is_free for lock in seen.values())
    assert all("storage.objects.list" in lock.unseen[0][1].detail for lock in seen.values())


async def test_a_listing_that_takes_too_long_leaves_all_unseen(gcs, sections):
    gcs.proxy.fault(lambda call: call.path.endswith("/o"), Delay(30))
    sweep = KIND.sweep(sections, gcs.new_means())
    sweep._timeout = 0.3

    seen = await sweep.read_locks(tuple(sections))

    assert [lock.unseen[0][1].trouble for lock in seen.values()] == [Trouble.TIMED_OUT] * 3


# configuration and credentials


@pytest.mark.parametrize(
    ("prefix", "workspace", "path"),
    [
        ("", "default", "gs://acme/default.tflock"),
        ("data", "blue", "gs://acme/data/blue.tflock"),
        ("/data/", "default", "gs://acme/data/default.tflock"),
    ],
)
def test_a_lock_is_where_terraform_puts_it(prefix, workspace, path):
    assert Backend(type="gcs", bucket="acme", prefix=prefix, workspace=workspace).lock_path == path


def test_without_googles_library_the_start_ends_with_the_command_to_install_it(gcs, monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("google"):
            raise ImportError(name)
        return real(name, *rest)

    section = gcs.section.model_copy(update={"access_token_env": None})
    KIND.open(section, gcs.new_means())
    monkeypatch.setattr(builtins, "__import__", missing)

    with pytest.raises(ConfigInvalid) as caught:
        KIND.open(section, gcs.new_means())
    assert 'pip install "tflock[gcp]"' in caught.value.problems[0]
    KIND.open(gcs.section, gcs.new_means())  # a token that is given needs no library


async def test_a_file_of_credentials_that_is_not_there_is_no_missing_right_and_nothing_is_released(
    gcs, monkeypatch, tmp_path
):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    place = await held(gcs)
    gcs.section = gcs.section.model_copy(update={"access_token_env": None})

    ((_, why),) = (await gcs.backend().read_lock()).unseen
    outcome = await gcs.backend().release(place)

    assert why.trouble is Trouble.NO_CREDENTIALS
    assert "a file that is not there" in why.detail
    assert (outcome.result, "a file that is not there" in outcome.detail) == (ReleaseResult.DENIED, True)
    assert await gcs.stands(PlaceKind.FILE) is not None


async def test_the_states_of_the_bucket_are_listed_and_those_that_only_have_a_lock(gcs):
    await gcs.put_state()
    gcs.storage.put("apps/new/default.tflock", b"{}")
    gcs.storage.put("other/default.tfstate", b"{}")
    mine = gcs.section.listing.name

    listed = await KIND.states(gcs.section, gcs.new_means(), "")
    below = await KIND.states(gcs.section, gcs.new_means(), "apps/")
    assert {mine, "apps/new/default.tfstate", "other/default.tfstate"} <= set(listed.value)
    assert "apps/new/default.tfstate" in below.value
    assert "other/default.tfstate" not in below.value
    assert not any(name.endswith(".tflock") for name in listed.value)


async def test_states_that_cannot_be_listed_are_unseen_and_not_none(gcs):
    gcs.proxy.fault(lambda call: call.method == "GET", Answer(403, b"{}"))
    found = await KIND.states(gcs.section, gcs.new_means(), "")
    assert isinstance(found, Unseen)
    assert "storage.objects.list" in found.detail

"""What is the Blob service's own: leases and their metadata, fences, versions, signatures, listings, other stores."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.backends.azurerm.credentials import SharedAccessSignature
from bot.backends.azurerm.kind import KIND
from bot.backends.azurerm.section import Backend
from bot.backends.proof import Proofs
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.hold import throw_away
from bot.core.lock import Fence, PlaceKind, ReleaseResult, StateAbsent
from bot.errors import ConfigInvalid
from tests.backends.azurerm.world import STATE
from tests.worlds.clocks import WallClock
from tests.worlds.memory.journal import MemoryRecords
from tests.worlds.memory.memory import Switchboard
from tests.worlds.proxy import Answer, Deny

LEASE = PlaceKind.LEASE


@pytest.fixture
def proofs():
    return Proofs(MemoryRecords(WallClock(), Switchboard()), WallClock())


async def held(azure):
    await azure.take(azure.lock())
    (place,) = (await azure.backend().read_lock()).held
    return place


async def test_a_lease_without_lock_info_is_held_by_nobody_knows_whom_and_never_released(azure):
    await azure.write(LEASE, "")
    backend = azure.backend()

    seen = await backend.read_lock()
    outcome = await backend.release(seen.held[0])

    assert not seen.is_free
    assert "nothing tells who holds the lease" in seen.garbage[0].garbage
    assert outcome.result is ReleaseResult.DENIED
    assert azure.storage.live[azure.blob].lease


async def test_metadata_that_a_broken_lease_left_behind_are_no_lock(azure):
    await azure.take(azure.lock())
    azure.storage.end_lease(azure.blob)

    assert (await azure.backend().read_lock()).is_free


async def test_a_new_lease_that_still_has_the_metadata_of_the_one_before_is_not_released(azure):
    place = await held(azure)
    blob = azure.storage.live[azure.blob]
    azure.storage.live[azure.blob] = replace(blob, lease="0f0f0f0f-0000-4000-8000-000000000000")

    outcome = await azure.backend().release(place)

    assert outcome.result is ReleaseResult.THROTTLED
    assert azure.storage.live[azure.blob].lease == "0f0f0f0f-0000-4000-8000-000000000000"


@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("says", ["nothing", "the lock before"])
async def test_a_hold_ends_its_own_lease_whatever_the_metadata_say_and_no_other(azure, is_ours, says):
    await azure.take(azure.lock())
    blob, mine = azure.storage.live[azure.blob], throw_away(datetime.now(UTC))
    lease = mine.id if is_ours else "0f0f0f0f-0000-4000-8000-000000000000"
    azure.storage.live[azure.blob] = replace(blob, lease=lease, metadata=blob.metadata if says != "nothing" else {})

    outcome = await azure.backend().end(LEASE, mine)

    assert outcome.result is (ReleaseResult.RELEASED if is_ours else ReleaseResult.ALREADY_FREE)
    assert azure.storage.live[azure.blob].lease == ("" if is_ours else lease)


async def test_no_lease_is_ever_broken(azure):
    await azure.backend().release(await held(azure))
    await azure.backend().probe("0a1b2c3d")

    assert not [line for line in azure.storage.asked if "break" in line]


async def test_a_writer_whose_lease_was_released_can_no_longer_write(azure):
    """What the backend's `fence` says, by the rules of the stand-in that real Terraform is held to as well."""
    place = await held(azure)
    assert azure.backend().can.fence is Fence.ENFORCED

    await azure.backend().release(place)
    path = azure.backend()._store.container.blob_path(azure.blob)
    late = await azure.backend()._store.container.send(
        "PUT", path, "late", needs="", params={"comp": "metadata"}, headers={"x-ms-lease-id": place.fence}
    )

    assert late.status_code == 412


NO_CONTAINER = Answer(404, headers={"x-ms-error-code": "ContainerNotFound"})


@pytest.mark.parametrize("answer", [Answer(404), NO_CONTAINER, Answer(200)])
async def test_only_a_blob_that_is_not_there_or_not_leased_is_free(azure, answer):
    azure.proxy.fault(azure.reads(LEASE), answer)

    assert not (await azure.backend().read_lock()).is_free


async def test_a_signature_that_is_not_accepted_is_a_missing_right_and_shown_nowhere(azure):
    backend, secret = azure.backend(), azure.storage.signature
    azure.storage.signature = "another"

    ((_, why),) = (await backend.read_lock()).unseen

    assert why.trouble is Trouble.DENIED
    assert "AuthenticationFailed" in why.detail
    assert secret not in repr(why)
    assert secret not in repr(SharedAccessSignature(azure.means[-1].secrets["AZURE_SAS"]))


async def test_a_request_that_was_held_up_is_never_sent(azure):
    place = await held(azure)
    azure.storage.asked.clear()

    outcome = await azure.backend().release(place, before=WallClock().running() - 1)

    assert outcome.result is ReleaseResult.NOT_SENT
    assert not [line for line in azure.storage.asked if line.startswith("PUT")]
    assert await azure.stands(LEASE) is not None
    assert (await azure.backend().release(place)).result is ReleaseResult.RELEASED


# the state


async def test_a_state_is_read_with_its_version_and_time_while_it_is_leased(azure):
    await azure.put_state()
    await azure.take(azure.lock())

    state = (await azure.backend().read_state()).state.value

    assert (state.fault, state.serial, state.lineage) == (None, STATE["serial"], STATE["lineage"])
    assert state.version_id == azure.storage.live[azure.blob].version
    assert abs(state.last_written - datetime.now(UTC)) < timedelta(seconds=30)


async def test_a_blob_that_is_there_only_to_be_leased_is_no_state_yet(azure):
    await azure.take(azure.lock())

    assert (await azure.backend().read_state()).state.value == StateAbsent()


async def test_an_emptied_state_leaves_traces_and_its_last_good_version(azure):
    good = azure.storage.put(azure.blob, json.dumps(STATE).encode())
    azure.storage.put(azure.blob, b"")

    state = (await azure.backend().read_state()).state.value

    assert state.traces
    assert state.last_good_version == good.version


async def test_a_broken_state_names_its_last_good_version(azure):
    good = azure.storage.put(azure.blob, json.dumps(STATE).encode())
    azure.storage.put(azure.blob, b'{"version": 4')

    state = (await azure.backend().read_state()).state.value

    assert (state.fault, state.last_good_version) == ("it is not valid JSON", good.version)


async def test_a_container_that_is_not_there_is_no_state_that_was_never_written(azure):
    azure.section = azure.section.model_copy(update={"container": "nowhere"})

    assert isinstance((await azure.backend().read_state()).state, NotFound)


@pytest.mark.parametrize("versioned", [True, False])
async def test_whether_the_account_keeps_versions_is_seen_at_the_state(azure, versioned):
    azure.storage.versioned = versioned
    assert isinstance(await azure.backend().versioning(), NotFound)
    await azure.put_state()

    assert (await azure.backend().versioning()).value is versioned


# stores that resemble it


async def test_a_store_that_ignores_the_lease_id_loses_no_lock(azure, proofs):
    place = await held(azure)
    azure.storage.ignores_leases = True

    outcome = await azure.backend(proofs=proofs, endpoint="own").release(place)

    assert outcome.result is ReleaseResult.DENIED
    assert await azure.stands(LEASE) is not None


async def test_a_store_that_heeds_the_lease_id_is_tried_once_and_remembered(azure, proofs):
    first = await azure.backend(proofs=proofs, endpoint="own").release(await held(azure))
    azure.proxy.fault(lambda call: call.method == "DELETE", Deny())
    second = await azure.backend(proofs=proofs, endpoint="own").release(await held(azure))

    assert [first.result, second.result] == [ReleaseResult.RELEASED] * 2
    assert set(azure.storage.live) == {azure.blob}


async def test_nothing_is_put_where_it_could_not_be_removed_again(azure, proofs):
    place = await held(azure)
    azure.proxy.fault(lambda call: call.method == "DELETE", Deny())

    outcome = await azure.backend(proofs=proofs, endpoint="own").release(place)

    assert outcome.result is ReleaseResult.DENIED
    assert "blobs/delete" in outcome.detail
    assert set(azure.storage.live) == {azure.blob}
    assert await azure.stands(LEASE) is not None


# many states


@pytest.fixture
def sections(azure):
    return {name: azure.section.model_copy(update={"workspace": name}) for name in ("default", "blue", "green")}


async def test_the_locks_of_many_states_are_read_with_one_listing_and_one_read_for_each_lock(azure, sections):
    await azure.take(azure.lock())
    azure.storage.asked.clear()

    seen = await KIND.sweep(sections, azure.new_means()).read_locks(tuple(sections))

    assert {name: lock.is_free for name, lock in seen.items()} == {"default": False, "blue": True, "green": True}
    assert seen["default"] == replace(await azure.backend().read_lock(), at=seen["default"].at)
    assert azure.storage.asked.count("GET list ") == 1


async def test_a_listing_is_read_to_its_last_page(azure, sections):
    for count in range(5001):
        azure.storage.put(f"environments/a{count}", b"")
    await azure.take(azure.lock())

    seen = await KIND.sweep(sections, azure.new_means()).read_locks(tuple(sections))

    assert not seen["default"].is_free
    assert seen["blue"].is_free


@pytest.mark.parametrize("answer", [Deny(), Answer(200, b"<Enumeration")])
async def test_nothing_is_free_that_could_not_be_listed(azure, sections, answer):
    azure.proxy.fault(lambda call: call.method == "GET", answer)

    seen = await KIND.sweep(sections, azure.new_means()).read_locks(tuple(sections))

    assert not any(lock.is_free or lock.held for lock in seen.values())


# configuration and credentials


def test_a_lock_is_where_terraform_puts_it():
    section = Backend(type="azurerm", storage_account="acme", container="tfstate", key="data.tfstate", workspace="blue")

    assert section.lock_path == "tfstate/data.tfstateenv:blue"


def test_without_azures_library_the_start_ends_with_the_command_to_install_it(azure, monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("azure"):
            raise ImportError(name)
        return real(name, *rest)

    section = azure.section.model_copy(update={"sas_token_env": None})
    KIND.open(section, azure.new_means())
    monkeypatch.setattr(builtins, "__import__", missing)

    with pytest.raises(ConfigInvalid) as caught:
        KIND.open(section, azure.new_means())
    assert 'pip install "tflock[azure]"' in caught.value.problems[0]
    KIND.open(azure.section, azure.new_means())  # a signature needs no library


async def test_the_lock_of_a_state_that_is_found_is_the_same_by_any_header_case(azure):
    await azure.take(azure.lock())
    described = await azure.backend()._store._described()

    assert isinstance(await azure.backend().versioning(), Found)
    assert "x-ms-meta-Terraformlockid".lower() in {name.lower() for name in described.headers}


async def test_the_states_of_the_container_are_listed(azure):
    await azure.put_state()
    azure.storage.put("apps/new.tfstate", b"{}", {}, lease="")

    listed = await KIND.states(azure.section, azure.new_means(), "")
    below = await KIND.states(azure.section, azure.new_means(), "apps/")
    assert {azure.section.listing.name, "apps/new.tfstate"} <= set(listed.value)
    assert below.value == ("apps/new.tfstate",)


async def test_states_that_cannot_be_listed_are_unseen_and_not_none(azure):
    azure.proxy.fault(lambda call: call.method == "GET", Answer(403, b""))
    assert isinstance(await KIND.states(azure.section, azure.new_means(), ""), Unseen)

"""Releases at the edges of what S3 and DynamoDB answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.lock import PlaceKind, ReleaseResult
from bot.sandbox.machine.proxy import operation
from tests.worlds.proxy import Answer, Cut

CONFLICT = Answer(409, b"<Error><Code>ConditionalRequestConflict</Code><Message>again</Message></Error>")
PRECONDITION = Answer(412, b"<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>")
NO_SUCH_KEY = Answer(404, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>")
UNSUPPORTED = Answer(501, b"<Error><Code>NotImplemented</Code><Message>no</Message></Error>")
DELETE_FILE = "s3:DeleteObject"


@pytest.fixture
async def held(cloud):
    """A backend, the lock that stands in both places, and its file place as read."""
    lock = cloud.lock()
    await cloud.aws.hold(cloud.address.key, lock.text, item=True, file=True)
    backend = cloud.backend()
    seen = await backend.read_lock()
    return backend, lock, next(place for place in seen.held if place.kind is PlaceKind.FILE)


@pytest.mark.parametrize("answer", [CONFLICT, PRECONDITION, UNSUPPORTED, Answer(500), Answer(400)])
async def test_a_refused_delete_is_told_with_the_lock_still_standing(cloud, held, answer):
    backend, lock, file = held
    cloud.proxy.fault(DELETE_FILE, answer)

    outcome = await backend.release(file)

    may_still_arrive = answer in (UNSUPPORTED, Answer(500))  # the store failed: it did not say no
    assert outcome.result is (ReleaseResult.NOT_KNOWN if may_still_arrive else ReleaseResult.THROTTLED)
    assert outcome.detail.endswith("the lock is still there")
    assert await cloud.aws.lock_ids(cloud.address.key) == {"item": lock.id, "file": lock.id}


@pytest.mark.parametrize("answer", [CONFLICT, PRECONDITION, NO_SUCH_KEY])
async def test_a_plain_no_on_a_lock_that_is_gone_means_that_it_was_free(cloud, held, answer):
    backend, _, file = held
    await cloud.aws.delete_object(cloud.address.lockfile_key)
    cloud.proxy.fault(DELETE_FILE, answer)

    assert (await backend.release(file)).result is ReleaseResult.ALREADY_FREE


@pytest.mark.parametrize("answer", [CONFLICT, Answer(500)])
async def test_a_delete_that_met_another_lock_names_its_holder(cloud, held, answer):
    backend, _, file = held
    second = cloud.lock("second")
    await cloud.aws.put_lockfile(cloud.address.key, second.text)
    cloud.proxy.fault(DELETE_FILE, answer)

    outcome = await backend.release(file)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert "second@runner" in outcome.detail
    assert (await cloud.aws.lock_ids(cloud.address.key))["file"] == second.id


async def test_a_new_lock_that_cannot_be_read_is_a_changed_holder_too(cloud, held):
    backend, _, file = held
    await cloud.aws.put_lockfile(cloud.address.key, "not json")

    outcome = await backend.release(file)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert "cannot be read" in outcome.detail
    assert await cloud.aws.object(cloud.address.lockfile_key) == b"not json"


async def test_an_item_without_lock_info_is_held_and_never_released(cloud):
    await cloud.aws.put_item(cloud.address.lock_key, Note="by hand")
    backend = cloud.backend()

    (item,) = (await backend.read_lock()).held
    outcome = await backend.release(item)

    assert item.garbage == "the item has no lock info"
    assert outcome.result is ReleaseResult.DENIED
    assert await cloud.aws.item(cloud.address.lock_key) is not None


async def test_an_items_new_holder_is_told_without_a_second_look(cloud, held):
    backend, _, _ = held
    item = next(place for place in (await backend.read_lock()).held if place.kind is PlaceKind.ITEM)
    second = cloud.lock("second")
    await cloud.aws.put_item(cloud.address.lock_key, Info=second.text)
    cloud.proxy.fault(operation("dynamodb:GetItem"), Cut())

    outcome = await backend.release(item)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert second.id in outcome.detail
    assert (await cloud.aws.lock_ids(cloud.address.key))["item"] == second.id


async def test_a_half_without_a_fence_is_never_released(cloud, held):
    backend, lock, file = held

    outcome = await backend.release(replace(file, fence=""))

    assert outcome.result is ReleaseResult.DENIED
    assert (await cloud.aws.lock_ids(cloud.address.key))["file"] == lock.id


async def test_a_half_that_the_configuration_does_not_name_is_never_released(cloud, held):
    _, lock, file = held

    outcome = await cloud.backend(use_lockfile=False).release(file)

    assert outcome.result is ReleaseResult.DENIED
    assert (await cloud.aws.lock_ids(cloud.address.key))["file"] == lock.id


async def test_a_table_that_is_gone_leaves_the_outcome_unknown(cloud, held):
    _, lock, _ = held
    item = next(place for place in (await cloud.backend().read_lock()).held if place.kind is PlaceKind.ITEM)

    outcome = await cloud.backend(dynamodb_table="acme-nothing-here").release(item)

    assert outcome.result is ReleaseResult.NOT_KNOWN
    assert "acme-nothing-here" in outcome.detail
    assert (await cloud.aws.lock_ids(cloud.address.key))["item"] == lock.id

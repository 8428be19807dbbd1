"""The sandbox's AWS: what it makes, and that it takes locks as Terraform does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from bot.core.lock import parse_lock_info
from bot.sandbox.machine.aws import WrittenLock, local_aws
from tests.worlds.aws import FullAws


def test_a_lock_written_by_hand_reads_as_terraforms():
    lock = WrittenLock("9a3d6a2e", datetime(2026, 11, 21, 9, 5, 1, 42, tzinfo=UTC), "bucket/key", who="elliott@laptop")

    info = parse_lock_info(lock.text)

    assert (info.id, info.who, info.path) == ("9a3d6a2e", "elliott@laptop", "bucket/key")
    assert abs(info.created - lock.created) < timedelta(milliseconds=1)
    assert lock.text.startswith('{"ID":"9a3d6a2e","Operation":"OperationTypeApply","Info":"","Who":"elliott@laptop"')


@pytest.mark.parametrize(("item", "file"), [(True, False), (False, True), (True, True)])
async def test_a_lock_is_taken_only_where_none_stands(cloud, item, file):
    first, second = cloud.lock("first"), cloud.lock("second")
    await cloud.aws.hold(cloud.address.key, first.text, item=item, file=file)

    with pytest.raises(ClientError):
        await cloud.aws.hold(cloud.address.key, second.text, item=item, file=file)

    assert await cloud.aws.lock_ids(cloud.address.key) == {
        "item": first.id if item else None,
        "file": first.id if file else None,
    }


async def test_hands_beside_each_other_do_not_touch_each_others_places(cloud, shared_aws):
    other = shared_aws.beside(bucket=f"{cloud.aws.bucket}-other", table=f"{cloud.aws.table}-other")
    await other.create()

    await cloud.aws.put_state(cloud.address.key)

    assert await other.objects() == ()
    assert await cloud.aws.objects() == (cloud.address.key,)
    assert await cloud.aws.items() == (cloud.address.digest_key,)


async def test_an_aws_of_its_own_starts_empty_and_takes_a_lock():
    async with local_aws(FullAws) as aws:
        lock = WrittenLock("9a3d6a2e", datetime(2026, 11, 21, 9, 5, tzinfo=UTC), f"{aws.bucket}/key")

        before = (await aws.objects(), await aws.items())
        await aws.hold("key", lock.text, item=True, file=True)

        assert before == ((), ())
        assert await aws.lock_ids("key") == {"item": lock.id, "file": lock.id}

"""What the doctor finds out about a store, with throw-away locks beside the real one."""

from __future__ import annotations

from bot.core.lock import PlaceKind
from tests.worlds.proxy import Answer, Cut, Deny


async def test_a_store_that_honours_conditions_is_told_so_and_left_as_it_was(cloud):
    lock = cloud.lock()
    await cloud.aws.hold(cloud.address.key, lock.text, item=True, file=True)
    before = (await cloud.aws.objects(), await cloud.aws.items())

    probes = await cloud.backend().probe("a1b2")

    assert {(probe.kind, probe.is_conditional, probe.missing_rights) for probe in probes} == {
        (PlaceKind.FILE, True, ()),
        (PlaceKind.ITEM, True, ()),
    }
    assert (await cloud.aws.objects(), await cloud.aws.items()) == before
    assert await cloud.aws.lock_ids(cloud.address.key) == {"item": lock.id, "file": lock.id}


async def test_a_store_that_deletes_in_spite_of_the_condition_is_found_out(cloud):
    cloud.proxy.fault("s3:DeleteObject", Answer(204))
    cloud.proxy.fault("dynamodb:DeleteItem", Answer(200, b"{}"))

    probes = await cloud.backend().probe("a1b2")

    assert [probe.is_conditional for probe in probes] == [False, False]


async def test_missing_rights_are_listed_by_their_iam_names(cloud):
    for name in ("s3:GetObject", "s3:DeleteObject", "dynamodb:DeleteItem"):
        cloud.proxy.fault(name, Deny())

    file, item = await cloud.backend().probe("a1b2")

    assert file.missing_rights == ("s3:GetObject", "s3:DeleteObject")
    assert item.missing_rights == ("dynamodb:DeleteItem",)
    assert file.is_conditional is None
    assert item.is_conditional is None
    assert "denies" in file.detail


async def test_without_the_right_to_put_the_condition_is_tried_on_what_is_not_there(cloud):
    cloud.proxy.fault("s3:PutObject", Deny())
    cloud.proxy.fault("dynamodb:PutItem", Deny())

    file, item = await cloud.backend().probe("a1b2")

    assert item.is_conditional is True
    assert file.is_conditional in {True, None}
    assert (file.missing_rights, item.missing_rights) == ((), ())


async def test_a_store_that_is_away_leaves_the_question_open(cloud):
    cloud.proxy.fault(lambda _: True, Cut())

    probes = await cloud.backend().probe("a1b2")

    assert [probe.is_conditional for probe in probes] == [None, None]
    assert all("connection" in probe.detail for probe in probes)


async def test_a_throw_away_lock_that_could_not_be_removed_is_named(cloud):
    cloud.proxy.fault("s3:DeleteObject", Deny())
    cloud.proxy.fault("s3:DeleteObject", Answer(412), times=2)

    file, _ = await cloud.backend().probe("a1b2")

    assert f"{cloud.address.lockfile_key}-doctor-a1b2 was left behind" in file.detail
    assert await cloud.aws.object(f"{cloud.address.lockfile_key}-doctor-a1b2") is not None


async def test_nothing_is_put_where_deleting_is_denied(cloud):
    cloud.proxy.fault("s3:DeleteObject", Deny())
    cloud.proxy.fault("dynamodb:DeleteItem", Deny())

    await cloud.backend().probe("a1b2")

    assert (await cloud.aws.objects(), await cloud.aws.items()) == ((), ())

"""A prefix in a bucket as a target for exports, on moto behind a proxy that breaks things."""

from __future__ import annotations

import boto3
import pytest

from bot.errors import Denied, Missing, Throttled, Unreachable
from bot.export.bucket import BucketTarget
from bot.sandbox.machine.aws import CREDENTIALS, REGION
from tests.worlds.proxy import Answer, Cut, Deny, Throttle

TEXTS = {"inc-1.md": "text/markdown; charset=utf-8", "inc-1.json": "application/json", "inc-1.png": "image/png"}
TEXTS |= {"inc-1.html": "text/html; charset=utf-8", "inc-1.csv": "text/csv; charset=utf-8"}


@pytest.fixture
def paths(tmp_path):
    for name in TEXTS:
        (tmp_path / name).write_text(f"this is {name}")
    return [tmp_path / name for name in TEXTS]


@pytest.fixture
def bucket(cloud):
    def make(prefix="tflock/exports", *, bucket=None, **settings):
        settings = {"read_timeout": 2.0, **settings}
        return BucketTarget(
            bucket or cloud.aws.bucket, prefix, cloud.address.access, cloud.clients(**settings), file_seconds=20
        )

    return make


@pytest.fixture
def stored(cloud):
    """What stands in the bucket, read past the proxy: each key with its bytes and its type."""

    def read():
        keys = {f"aws_{name.removeprefix('AWS_').lower()}": value for name, value in CREDENTIALS.items()}
        keys = {name: keys[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
        s3 = boto3.client("s3", endpoint_url=cloud.aws.endpoint, region_name=REGION, **keys)
        try:
            listed = s3.list_objects_v2(Bucket=cloud.aws.bucket).get("Contents", [])
            found = {}
            for item in listed:
                answer = s3.get_object(Bucket=cloud.aws.bucket, Key=item["Key"])
                found[item["Key"]] = (answer["Body"].read().decode(), answer["ContentType"])
            return found
        finally:
            s3.close()

    return read


def expected(prefix="tflock/exports/"):
    return {f"{prefix}inc-1/{name}": (f"this is {name}", kind) for name, kind in TEXTS.items()}


async def test_each_file_stands_under_the_prefix_and_the_incident_with_its_type(bucket, paths, stored):
    await bucket().deliver("inc-1", paths)
    assert stored() == expected()


async def test_delivering_again_changes_nothing(bucket, paths, stored):
    for _ in range(2):
        await bucket().deliver("inc-1", paths)
    assert stored() == expected()


@pytest.mark.parametrize(("prefix", "under"), [("", ""), ("/a/", "a/"), ("a/b", "a/b/")])
async def test_a_prefix_is_taken_however_it_is_written(bucket, paths, stored, prefix, under):
    target = bucket(prefix)
    await target.deliver("inc-1", paths)
    assert stored() == expected(under)
    assert target.place("inc-1").endswith(f"/{under}inc-1/")


async def test_a_bucket_that_throttles_for_a_moment_is_tried_again(cloud, bucket, paths, stored):
    cloud.proxy.fault("s3:PutObject", Throttle(), times=2)
    await bucket().deliver("inc-1", paths)
    assert stored() == expected()


async def test_a_connection_that_is_cut_is_tried_again(cloud, bucket, paths, stored):
    cloud.proxy.fault("s3:PutObject", Cut(after=True), times=1)
    await bucket().deliver("inc-1", paths)
    assert stored() == expected()


@pytest.mark.parametrize(
    ("action", "error", "words"),
    [
        (Throttle(), Throttled, "throttles s3:PutObject"),
        (Deny(), Denied, "denies s3:PutObject"),
        (Cut(), Unreachable, "cut"),
        (Answer(500), Unreachable, "500"),
    ],
)
async def test_what_lasts_is_said_in_our_words(cloud, bucket, paths, stored, action, error, words):
    cloud.proxy.fault("s3:PutObject", action)
    with pytest.raises(error, match=words):
        await bucket().deliver("inc-1", paths[:1])
    assert stored() == {}


async def test_a_bucket_that_is_not_there_is_missing(bucket, paths):
    with pytest.raises(Missing):
        await bucket(bucket="acme-nowhere").deliver("inc-1", paths)


async def test_looking_at_the_bucket_changes_nothing(bucket, stored):
    await bucket().look()
    assert stored() == {}
    with pytest.raises(Missing):
        await bucket(bucket="acme-nowhere").look()

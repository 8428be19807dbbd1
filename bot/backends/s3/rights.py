"""What AWS has to allow for states in S3 and their locks.

Source: "Actions, resources, and condition keys for Amazon S3", "… for Amazon DynamoDB" and "… for Amazon CloudWatch" in
the Service Authorization Reference. `ListObjectsV2` needs `s3:ListBucket`; so does `GetObject` where the object is
missing: without it AWS denies what it would not find.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.aws.arn import arn
from bot.aws.clients import Access
from bot.core.rights import Grant, Right, Use

if TYPE_CHECKING:
    from bot.backends.s3.section import Backend

CLOUD = "aws"

_BUCKET = (
    Right("s3:ListBucket", "which locks there are, and whether a state is missing", ("s3:ListObjectsV2",)),
    Right("s3:ListBucketVersions", "older versions of a state", ("s3:ListObjectVersions",)),
    Right("s3:GetBucketVersioning", "doctor: are old versions kept", ("s3:GetBucketVersioning",), Use.DETAIL),
)
_STATE = (
    Right("s3:GetObject", "the state", ("s3:GetObject",)),
    Right("s3:GetObjectVersion", "older versions of a state", ("s3:GetObject",)),
)
_LOCK = (
    Right("s3:GetObject", "the lock object", ("s3:GetObject",)),
    Right("s3:DeleteObject", "the lock object, under a condition", ("s3:DeleteObject",), Use.RELEASE),
    Right("s3:PutObject", "a hold, under a condition", ("s3:PutObject",), Use.HOLD),
)
_TRIAL = (
    Right("s3:GetObject", "doctor: a throw-away lock object", ("s3:GetObject",), Use.TRIAL),
    Right("s3:PutObject", "doctor: a throw-away lock object", ("s3:PutObject",), Use.TRIAL),
    Right("s3:DeleteObject", "doctor: a throw-away lock object", ("s3:DeleteObject",), Use.TRIAL),
)
_TABLE = (
    Right("dynamodb:GetItem", "the lock and the digest", ("dynamodb:GetItem",)),
    Right("dynamodb:BatchGetItem", "the locks of many states at once", ("dynamodb:BatchGetItem",)),
    Right("dynamodb:DeleteItem", "the lock item, under a condition", ("dynamodb:DeleteItem",), Use.RELEASE),
    Right("dynamodb:PutItem", "a hold; doctor's throw-away lock", ("dynamodb:PutItem",), Use.HOLD),
    Right("dynamodb:DescribeTable", "the capacity of the lock table", ("dynamodb:DescribeTable",), Use.DETAIL),
    Right("dynamodb:DescribeTimeToLive", "does the lock table forget", ("dynamodb:DescribeTimeToLive",), Use.DETAIL),
)
_METRICS = Right(
    "cloudwatch:GetMetricData", "how much the lock table throttled", ("cloudwatch:GetMetricData",), Use.DETAIL
)
TRIED = "-doctor-*"
"""What the names of throw-away locks end with."""


def access_of(section: Backend) -> Access:
    return Access(section.region, section.endpoint_url, section.assume_role)


def grants(section: Backend) -> Iterator[Grant]:
    """For one state."""
    access = access_of(section)
    bucket = arn("s3", section.bucket, access, regional=False)
    state = f"{bucket}/{section.object_key}"
    yield from (Grant(right, bucket) for right in _BUCKET)
    yield from (Grant(right, state) for right in _STATE)
    if section.use_lockfile:
        yield from (Grant(right, f"{state}.tflock") for right in _LOCK)
        yield from (Grant(right, f"{state}.tflock{TRIED}") for right in _TRIAL)
    if section.dynamodb_table:
        name = section.dynamodb_table
        table = arn("dynamodb", name if name.startswith("arn:") else f"table/{name}", access)
        yield from (Grant(right, table) for right in _TABLE)
        yield Grant(_METRICS)

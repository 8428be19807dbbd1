"""S3 with a lock table, a lockfile, or both, as a kind of backend."""

from __future__ import annotations

import random
from collections.abc import Mapping

from bot.aws.clients import Access
from bot.backends.frame import Means, Store
from bot.backends.proof import Proofs
from bot.backends.s3.address import S3Address
from bot.backends.s3.backend import S3Backend
from bot.backends.s3.listing import states_listed
from bot.backends.s3.section import Backend
from bot.backends.s3.sweep import S3Sweep
from bot.backends.s3.table import LOOK_WITHIN
from bot.core.evidence import Observation
from bot.core.lock import PlaceKind, Rights

_PATIENT = 10.0


class S3Kind:
    system = "S3 backend"
    rights = Rights(
        grant="the IAM policy of the bot's role",
        state="s3:GetObject and s3:ListBucket",
        versions="s3:GetBucketVersioning",
        trial="s3:PutObject",
        sweep="dynamodb:BatchGetItem",
        swept=PlaceKind.ITEM,
        container="bucket",
        honours="Amazon S3 and DynamoDB do",
        table="dynamodb:DescribeTable, dynamodb:DescribeTimeToLive and cloudwatch:GetMetricData",
    )

    def open(self, section: Backend, means: Means) -> Store:
        address = address_of(section)
        backend = S3Backend(
            address,
            means.aws,
            means.clock,
            proofs=Proofs(means.records, means.clock),
            tables=means.shared,
            table_within=_PATIENT if means.in_no_hurry else LOOK_WITHIN,
        )
        table = address.dynamodb_table
        return Store(
            backend=backend, holds=backend, table=table or "", lock_table=(address.access, table) if table else None
        )

    def sweep(self, sections: Mapping[str, Backend], means: Means) -> S3Sweep:
        addresses = {name: address_of(section) for name, section in sections.items()}
        return S3Sweep(addresses, means.aws, means.clock, rng=random.SystemRandom())

    async def states(self, section: Backend, means: Means, beginning: str) -> Observation[tuple[str, ...]]:
        address = address_of(section)
        return await states_listed(address.access, means.aws, means.clock, bucket=address.bucket, beginning=beginning)

    async def warm(self, sections: Mapping[str, Backend], means: Means) -> None:
        await means.aws.warm(address_of(section).access for section in sections.values())


KIND = S3Kind()


def address_of(section: Backend) -> S3Address:
    """Where a state and its lock are."""
    access = Access(section.region, section.endpoint_url, section.assume_role)
    return S3Address(access, section.bucket, section.object_key, section.dynamodb_table, section.use_lockfile)

"""The demo's AWS with all else that tests look into and change."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import closing
from datetime import UTC, datetime

from botocore.session import Session
from moto.s3.models import s3_backends

from bot.sandbox.machine.aws import LocalAws, threaded


class FullAws(LocalAws):
    """The demo's AWS, and what no demo does to it."""

    async def hold(self, key: str, text: str, *, item: bool, file: bool) -> None:
        """As the demo's. The store's clock agrees with the holder's, also for a lock that is made long ago."""
        await super().hold(key, text, item=item, file=file)
        if file:
            self.stored(f"{key}.tflock", datetime.fromisoformat(json.loads(text)["Created"]))

    def stored(self, key: str, at: datetime) -> None:
        """Says when an object was written, which moto takes from this machine's clock."""
        written = s3_backends["123456789012"]["aws"].head_object(self.bucket, key)
        if written is not None:
            written.last_modified = at.astimezone(UTC).replace(tzinfo=None)

    async def delete_object(self, key: str) -> None:
        await threaded(self.s3.delete_object, Bucket=self.bucket, Key=key)

    async def delete_versions(self, key: str) -> None:
        """Of an object, so that nothing tells that there ever was one."""
        listed = await threaded(self.s3.list_object_versions, Bucket=self.bucket, Prefix=key)
        for each in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
            await threaded(self.s3.delete_object, Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])

    async def switch_billing(self, *, units: int | None) -> None:
        """Makes the table PROVISIONED with as many units to read and to write, or on demand with None."""
        mode = "PAY_PER_REQUEST" if units is None else "PROVISIONED"
        given = {} if units is None else {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
        throughput = {"ProvisionedThroughput": given} if given else {}
        await threaded(self.dynamodb.update_table, TableName=self.table, BillingMode=mode, **throughput)

    async def forget_items_by(self, attribute: str) -> None:
        """Turns on the table's TTL."""
        wanted = {"Enabled": True, "AttributeName": attribute}
        await threaded(self.dynamodb.update_time_to_live, TableName=self.table, TimeToLiveSpecification=wanted)

    async def count_refusals(self, *, at: datetime, reads: int = 0, writes: int = 0) -> None:
        """Writes into CloudWatch what DynamoDB writes there when it has throttled."""
        dimensions = [{"Name": "TableName", "Value": self.table}]
        counted = {"ReadThrottleEvents": reads, "WriteThrottleEvents": writes}
        metrics = [
            {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": count, "Unit": "Count"}
            for name, count in counted.items()
            if count
        ]
        with closing(await asyncio.to_thread(self.client, Session(), "cloudwatch")) as client:
            await threaded(client.put_metric_data, Namespace="AWS/DynamoDB", MetricData=metrics)

    async def put_lockfile(self, key: str, text: str) -> None:
        """Writes `<key>.tflock`, whatever is there."""
        await threaded(self.s3.put_object, Bucket=self.bucket, Key=f"{key}.tflock", Body=text.encode())

    async def items(self) -> tuple[str, ...]:
        """The keys of all items of the lock table, sorted."""
        answer = await threaded(self.dynamodb.scan, TableName=self.table)
        return tuple(sorted(item["LockID"]["S"] for item in answer["Items"]))

    async def objects(self) -> tuple[str, ...]:
        """The keys of all objects of the bucket, sorted."""
        answer = await threaded(self.s3.list_objects_v2, Bucket=self.bucket)
        return tuple(sorted(found["Key"] for found in answer.get("Contents", ())))

    def beside(self, bucket: str, table: str) -> FullAws:
        """The same hands for another bucket and table; they share the connections, which only one may close."""
        other = copy.copy(self)
        other.bucket, other.table = bucket, table
        return other

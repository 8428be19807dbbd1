"""The lock table itself: what it can take, whether it forgets items, and how much it refused recently.

Sources: `DescribeTable` and `DescribeTimeToLive` in the DynamoDB API; "DynamoDB metrics and dimensions"
(`ReadThrottleEvents`, `WriteThrottleEvents`); `GetMetricData` in the CloudWatch API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from bot.aws.clients import Access, AwsClients
from bot.aws.errors import AwsError, timed_out, translated
from bot.core.evidence import Found, Observation
from bot.core.lock import Billing, Refusals, TableCapacity, TableSeen, TimeToLive
from bot.ports.clock import Clock

T = TypeVar("T")

LATELY = timedelta(minutes=5)
LOOK_WITHIN = 2.0
_KEPT_FOR = timedelta(seconds=60)
_METRICS = {"reads": "ReadThrottleEvents", "writes": "WriteThrottleEvents"}


class LockTable:
    """One lock table. What was seen is kept for a minute, failures too, since it seldom changes."""

    def __init__(
        self, name: str, access: Access, clients: AwsClients, clock: Clock, *, within: float = LOOK_WITHIN
    ) -> None:
        self._name = name
        self._within = within
        self._access = access
        self._clients = clients
        self._clock = clock
        self._looking = asyncio.Lock()
        self._kept: tuple[TableSeen, datetime] | None = None

    async def look(self) -> TableSeen:
        """All three parts, asked at the same time, within so many seconds. Callers at once share one look."""
        async with self._looking:
            now = self._clock.now()
            if self._kept is None or now - self._kept[1] >= _KEPT_FOR:
                self._kept = (await self._asked(now), now)
            return self._kept[0]

    def doubt(self) -> None:
        """The table has just refused a request: what was seen of it before counts no more."""
        self._kept = None

    async def _asked(self, now: datetime) -> TableSeen:
        capacity, ttl, refused = await asyncio.gather(
            self._part(_capacity, "dynamodb", "dynamodb:DescribeTable", now),
            self._part(_time_to_live, "dynamodb", "dynamodb:DescribeTimeToLive", now),
            self._part(partial(_refusals, until=now), "cloudwatch", "cloudwatch:GetMetricData", now),
        )
        return TableSeen(self._name, capacity, ttl, refused)

    async def _part(self, question: Callable[[Any, str], T], service: str, action: str, at: datetime) -> Observation[T]:
        try:
            async with asyncio.timeout(self._within):
                return Found(await self._clients.run(partial(self._answer, question, service, action)), at)
        except TimeoutError:
            return timed_out(action, f"table {self._name}").as_observation(at)
        except AwsError as error:
            return error.as_observation(at)

    def _answer(self, question: Callable[[Any, str], T], service: str, action: str) -> T:
        with translated(action, f"table {self._name}"):
            return question(self._clients.client(service, self._access), self._name)


def _capacity(client: Any, table: str) -> TableCapacity:
    """A table that was never switched has no summary, and is provisioned."""
    described = client.describe_table(TableName=table)["Table"]
    billing = Billing(described.get("BillingModeSummary", {}).get("BillingMode", Billing.PROVISIONED))
    units = described["ProvisionedThroughput"] if billing is Billing.PROVISIONED else {}
    return TableCapacity(
        billing=billing,
        read_units=int(units.get("ReadCapacityUnits", 0)),
        write_units=int(units.get("WriteCapacityUnits", 0)),
        status=str(described["TableStatus"]),
    )


def _time_to_live(client: Any, table: str) -> TimeToLive:
    """A TTL that is being turned off still deletes, for up to an hour."""
    described = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return TimeToLive(described["TimeToLiveStatus"] != "DISABLED", str(described.get("AttributeName", "")))


def _refusals(client: Any, table: str, *, until: datetime) -> Refusals:
    """DynamoDB writes a minute's number only if it is not zero, and some minutes late."""
    answer = client.get_metric_data(
        MetricDataQueries=[_sum(name, metric, table) for name, metric in _METRICS.items()],
        StartTime=until - LATELY,
        EndTime=until,
    )
    counted = {result["Id"]: result for result in answer["MetricDataResults"]}
    if any(counted[name]["StatusCode"] != "Complete" for name in _METRICS):
        raise ValueError("an incomplete sum")
    reads, writes = (round(sum(counted[name]["Values"])) for name in _METRICS)
    return Refusals(reads, writes, LATELY)


def _sum(name: str, metric: str, table: str) -> dict[str, Any]:
    dimensions = [{"Name": "TableName", "Value": table}]
    described = {"Namespace": "AWS/DynamoDB", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": described, "Period": 60, "Stat": "Sum"}}

"""The two places where Terraform's S3 backend keeps a lock. Blocking: to be run in threads. Raises AwsError.

Sources: Terraform's `internal/backend/remote-state/s3/client.go`; `DeleteItem` and `PutItem` in the DynamoDB API,
`DeleteObject` and `PutObject` with `If-Match` and `If-None-Match` in the S3 API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

from bot.aws.errors import AwsError, translated
from bot.aws.sending import SendBy
from bot.core.evidence import NotFound
from bot.core.lock import LockInfo, LockPlace, LockSeen, PlaceKind, parse_lock_info
from bot.errors import LockInfoInvalid

T = TypeVar("T")

_LONGEST_LOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """The lock item in DynamoDB: `{LockID, Info}`. The fence is the exact `Info` text."""

    client: Callable[[], Any]
    table: str
    key: str

    reads = "dynamodb:GetItem"
    deletes = "dynamodb:DeleteItem"
    puts = "dynamodb:PutItem"

    @property
    def target(self) -> str:
        return f"table {self.table}"

    def read(self) -> LockPlace | None:
        """The lock that is here now."""
        with translated(self.reads, self.target):
            return self.place_of(_item(self.client(), self.table, self.key))

    def delete(self, fence: str, send_by: SendBy | None = None) -> None:
        """Deletes the item if its `Info` is exactly the fence."""
        with translated(self.deletes, self.target), _in_time(send_by):
            self.client().delete_item(
                TableName=self.table,
                Key={"LockID": {"S": self.key}},
                ConditionExpression="#info = :fence",
                ExpressionAttributeNames={"#info": "Info"},
                ExpressionAttributeValues={":fence": {"S": fence}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )

    def put(self, text: str, fence: str | None, send_by: SendBy | None = None) -> None:
        """Writes the item if its `Info` is exactly the fence, or, without one, if there is no item."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(LockID)"}
        if fence is not None:
            condition = {
                "ConditionExpression": "#info = :fence",
                "ExpressionAttributeNames": {"#info": "Info"},
                "ExpressionAttributeValues": {":fence": {"S": fence}},
            }
        with translated(self.puts, self.target), _in_time(send_by):
            self.client().put_item(
                TableName=self.table,
                Item={"LockID": {"S": self.key}, "Info": {"S": text}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **condition,
            )

    def shown_by(self, error: AwsError) -> LockPlace | None:
        """The lock that made the condition fail, which DynamoDB sends along; None where it did not."""
        return self.place_of(error.answer.get("Item"))

    def place_of(self, item: dict[str, Any] | None) -> LockPlace | None:
        """The lock that an item of this key holds."""
        if not item or self._is_digest(item):
            return None
        text = item.get("Info", {}).get("S", "")
        info, garbage = _parsed(text) if text else (None, "the item has no lock info")
        where = f"{self.table} / {self.key}"
        return LockPlace(PlaceKind.ITEM, where, fence=text, info=info, garbage=garbage, service="DynamoDB")

    def _is_digest(self, item: dict[str, Any]) -> bool:
        """Whether the item is another state's digest, whose key looks like this one's lock key."""
        return self.key.endswith("-md5") and "Digest" in item and "Info" not in item


@dataclass(frozen=True, slots=True)
class FilePlace:
    """The lock object next to the state. The fence is its ETag."""

    client: Callable[[], Any]
    bucket: str
    key: str

    reads = "s3:GetObject"
    deletes = "s3:DeleteObject"
    puts = "s3:PutObject"

    @property
    def target(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def read(self) -> LockPlace | None:
        """The lock that is here now. Without `s3:ListBucket`, S3 denies what is not there."""
        try:
            with translated(self.reads, self.target):
                answer = self.client().get_object(Bucket=self.bucket, Key=self.key)
                with closing(answer["Body"]) as body:
                    text = body.read(_LONGEST_LOCK + 1).decode("utf-8", "replace")
                fence, stored_at = _said(answer, "ETag", str), _said(answer, "LastModified", datetime)
                if text.lstrip().startswith("<"):
                    raise ValueError("a page or an error in place of the object")
        except AwsError as error:
            if error.missing == "object":
                return None
            raise
        info, garbage = _parsed(text)
        return LockPlace(PlaceKind.FILE, self.target, fence, info, garbage, stored_at, service="S3")

    def delete(self, fence: str, send_by: SendBy | None = None) -> None:
        """Deletes the object if its ETag is the fence."""
        with translated(self.deletes, self.target), _in_time(send_by):
            answer = self.client().delete_object(Bucket=self.bucket, Key=self.key, IfMatch=fence)
            if answer["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NO_CONTENT:
                raise ValueError("a page or an error in place of the answer")

    def put(self, text: str, fence: str | None, send_by: SendBy | None = None) -> None:
        """Writes the object if its ETag is the fence, or, without one, if there is no object."""
        condition = {"IfNoneMatch": "*"} if fence is None else {"IfMatch": fence}
        body = {"Body": text.encode(), "ContentType": "application/json"}  # the type that Terraform gives it
        with translated(self.puts, self.target), _in_time(send_by):
            _said(self.client().put_object(Bucket=self.bucket, Key=self.key, **body, **condition), "ETag", str)

    def shown_by(self, error: AwsError) -> LockPlace | None:  # noqa: ARG002 - the same face as the item's
        """None: S3 says nothing of the object that made the condition fail."""
        return None


def lock_seen(read: Mapping[PlaceKind, LockPlace | AwsError | None], at: datetime) -> LockSeen:
    """What was seen of a lock, by what the reading of each configured place brought."""
    return LockSeen(
        held=tuple(place for place in read.values() if isinstance(place, LockPlace)),
        free=tuple(kind for kind, place in read.items() if place is None),
        unseen=tuple((kind, place.as_observation(at)) for kind, place in read.items() if isinstance(place, AwsError)),
        at=at,
    )


def nowhere(at: datetime) -> LockSeen:
    """A state for which no place of a lock is configured: unseen, never free."""
    nothing = NotFound("S3", "a lock table or a lockfile in the configuration of this state", at)
    return LockSeen(held=(), free=(), unseen=((PlaceKind.ITEM, nothing),), at=at)


def read_digest(client: Callable[[], Any], table: str, key: str) -> str | None:
    """The state's MD5 by the digest item; None if there is no item, or nothing in it (as Terraform has it)."""
    with translated("dynamodb:GetItem", f"table {table}"):
        item = _item(client(), table, key)
        return str(item.get("Digest", {}).get("S", "")) or None if item else None


def _said(answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A header that every answer of S3 has. Raises ValueError for a store that leaves it out."""
    found = answer.get(name)
    if not isinstance(found, kind) or not found:
        raise ValueError(f"the answer has no {name}")
    return found


def _in_time(send_by: SendBy | None) -> AbstractContextManager[None]:
    return nullcontext() if send_by is None else send_by.applied()


def _item(client: Any, table: str, key: str) -> dict[str, Any] | None:
    answer = client.get_item(TableName=table, Key={"LockID": {"S": key}}, ConsistentRead=True)
    item: dict[str, Any] | None = answer.get("Item")
    return item


def _parsed(text: str) -> tuple[LockInfo | None, str | None]:
    try:
        return parse_lock_info(text), None
    except LockInfoInvalid as error:
        return None, str(error)

"""Tries on a throw-away lock whether a store honours a conditional delete, and which IAM actions are missing.

Blocking: to be run in threads. Never raises for what the store says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bot.aws.errors import AwsError, translated
from bot.backends.s3.places import FilePlace, ItemPlace
from bot.core.evidence import Trouble
from bot.core.lock import LockPlace, PlaceKind, PlaceProbe

T = TypeVar("T")

_TEXT = "a throw-away lock of tflock's doctor"


def probe_file(place: FilePlace) -> PlaceProbe:
    """Puts a lock object, tries to delete it with another ETag, then deletes it with its own."""

    def put() -> str:
        with translated("s3:PutObject", place.target):
            answer = place.client().put_object(Bucket=place.bucket, Key=place.key, Body=_TEXT.encode())
        return str(answer["ETag"])

    return _probe(place, PlaceKind.FILE, put, other='"00000000000000000000000000000000"')


def probe_item(place: ItemPlace) -> PlaceProbe:
    """Puts a lock item, tries to delete it with another text, then deletes it with its own."""

    def put() -> str:
        with translated("dynamodb:PutItem", place.target):
            place.client().put_item(TableName=place.table, Item={"LockID": {"S": place.key}, "Info": {"S": _TEXT}})
        return _TEXT

    return _probe(place, PlaceKind.ITEM, put, other="another text")


def probe_puts(place: FilePlace | ItemPlace, first: str, second: str, *, other: str) -> PlaceProbe:
    """Writes a lock where none is, then tries to write it again, and over it under another fence, then under its own.

    `first` and `second` are two texts of a throw-away lock, `other` a fence that neither has.
    """
    took = _tried(lambda: place.put(first, None))
    again = _tried(lambda: place.put(second, None))
    wrong = _tried(lambda: place.put(second, other))
    there = _tried(place.read)
    right = _tried(lambda: place.put(second, there.fence)) if isinstance(there, LockPlace) else None
    now = _tried(place.read)
    left = _tried(lambda: place.delete(now.fence)) if isinstance(now, LockPlace) else None

    steps = (took, again, wrong, there, right, now, left)
    refused = (isinstance(step, AwsError) and step.trouble is None for step in (again, wrong))
    is_first, is_second = (isinstance(step, LockPlace) for step in (there, now))
    is_proven = took is None and all(refused) and is_first and right is None and is_second and there != now
    return PlaceProbe(
        kind=PlaceKind.FILE if isinstance(place, FilePlace) else PlaceKind.ITEM,
        place=place.target,
        is_conditional=is_proven,
        missing_rights=(),
        detail="; ".join(dict.fromkeys(step.detail for step in steps if isinstance(step, AwsError) and step.trouble)),
        is_proven=is_proven,
        trouble=next(filter(None, map(_trouble, steps)), None),
    )


def keeps_versions(client: Callable[[], Any], bucket: str) -> bool:
    """Whether versioning of the bucket is on. Raises AwsError."""
    with translated("s3:GetBucketVersioning", f"bucket {bucket}"):
        return bool(client().get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled")


def _probe(place: FilePlace | ItemPlace, kind: PlaceKind, put: Callable[[], str], *, other: str) -> PlaceProbe:
    read = _tried(place.read)
    wrong = cleared = _tried(lambda: place.delete(other))  # nothing is there yet: shows whether deleting is allowed
    # the bot itself needs no right to put: without it this first answer has to do
    placed = None if _trouble(wrong) else _tried(put)
    stood: object = None
    if isinstance(placed, str):
        wrong = _tried(lambda: place.delete(other))
        stood = _tried(place.read)
        cleared = _tried(lambda: place.delete(placed))

    steps = (read, wrong, placed, stood, cleared)
    details = [step.detail for step in (read, wrong, placed, cleared) if isinstance(step, AwsError) and step.trouble]
    if isinstance(placed, str) and _trouble(cleared):
        details.append(f"{place.key} was left behind")
    denied = ((place.reads, read), (place.deletes, wrong))
    is_there = isinstance(stood, LockPlace) and stood.fence == placed
    conditional = _is_conditional(wrong, certain=isinstance(placed, str) or kind is PlaceKind.ITEM)
    if conditional and isinstance(placed, str) and stood is None:
        conditional = False  # it said that the condition did not hold, and deleted all the same
    return PlaceProbe(
        kind=kind,
        place=place.target,
        is_conditional=conditional,
        missing_rights=tuple(action for action, step in denied if _trouble(step) is Trouble.DENIED),
        detail="; ".join(dict.fromkeys(details)),
        is_proven=bool(conditional) and is_there and cleared is None,
        trouble=next(filter(None, map(_trouble, steps)), None),
    )


def _is_conditional(wrong: object, *, certain: bool) -> bool | None:
    """What a delete under a condition that cannot hold says. S3's plain answer for a missing object says nothing."""
    if isinstance(wrong, AwsError):
        return True if wrong.trouble is None and wrong.missing in {None, "object"} else None
    return False if certain else None


def _trouble(step: object) -> Trouble | None:
    return step.trouble if isinstance(step, AwsError) else None


def _tried(step: Callable[[], T]) -> T | AwsError:
    try:
        return step()
    except AwsError as error:
        return error

"""The kinds of values that the configuration file has: how each is read, and the words for one that is wrong."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, PlainValidator, StrictFloat, StrictInt, StringConstraints

from bot.core.hours import hours_from
from bot.core.policy import run_id_pattern

VARIABLE_NAME = re.compile("[A-Z_][A-Z0-9_]*", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=3650)


def _duration(value: object) -> timedelta:
    found = re.fullmatch(r"(\d{1,9})([smhd])", value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a duration: a whole number with its unit, such as 60s, 5m, 24h or 400d")
    span = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if span > _LONGEST:
        raise ValueError("must not be longer than ten years")
    return span


def _not_zero(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than zero")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and "?" not in value and "#" not in value
        secret = bool(parts.username or parts.password)
    except ValueError:
        good = secret = False
    if secret:
        raise ValueError("must not carry a user or a password: secrets come from the environment")
    if not good:
        raise ValueError("must be an http:// or https:// address without a query")
    return value.rstrip("/")


def _matching(expression: str, reason: str) -> AfterValidator:
    pattern = re.compile(expression, re.ASCII)

    def check(value: str) -> str:
        if pattern.fullmatch(value) is None:
            # the value is not repeated: it may be a secret in the wrong place
            raise ValueError(reason)
        return value

    return AfterValidator(check)


def _channel(value: str) -> str:
    if value.startswith("#"):
        raise ValueError("must be a name without the leading #, a pattern of names, or a channel id")
    looks_like_id = re.fullmatch(r"[CG][A-Z0-9]{6,}", value) is not None
    if not looks_like_id and (value != value.lower() or re.search(r"[\s,.#@<>]", value)):
        raise ValueError("must be a channel id (C0123ABCD) or a lower-case name pattern (inc-*)")
    return value


def _from_to(least: int, most: int) -> AfterValidator:
    def check(value: float) -> float:
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return AfterValidator(check)


def _name_or_number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError("must be text or a whole number, and not empty")
    return str(value)


def _run_id_template(value: str) -> str:
    run_id_pattern(value)
    return value


def _zone_name(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone that this machine knows, such as Europe/Berlin") from None


def _protected(value: object) -> bool | dict[str, tuple[str, ...]]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, dict) or not value:
        raise ValueError("must be true or false")
    given = {str(name): tuple(each) if isinstance(each, list) else (each,) for name, each in value.items()}
    if not all(isinstance(text, str) and text for texts in given.values() for text in texts):
        raise ValueError("must be true, false, or the values of variables that are protected, such as {env: prod}")
    return given


Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
WaitTime = Annotated[timedelta, BeforeValidator(_duration)]
Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_not_zero)]
Url = Annotated[str, AfterValidator(_url)]
HttpMethod = Annotated[str, _matching("[A-Z]{3,20}", "must be an HTTP method in capitals, such as LOCK or POST")]
ZoneName = Annotated[str, AfterValidator(_zone_name)]
Variable = Annotated[
    str,
    _matching(
        VARIABLE_NAME.pattern, "must be the name of an environment variable, in capitals, never the secret itself"
    ),
]
Channel = Annotated[str, AfterValidator(_channel)]
ChannelId = Annotated[str, _matching("[CG][A-Z0-9]{6,}", "must be a channel id, such as C0123ABCD")]
UserId = Annotated[str, _matching("[UW][A-Z0-9]{4,}", "must be a Slack user id, such as U0123ABCD")]
GroupId = Annotated[str, _matching("S[A-Z0-9]{4,}", "must be a Slack user group id, such as S0123ABCD")]
Email = Annotated[str, _matching(r"[^@\s]+@[^@\s]+", "must be an email address")]
PipelineValue = Annotated[str, BeforeValidator(_name_or_number)]
StorageAccountName = Annotated[
    str, _matching(r"[a-z0-9]{3,24}", "must be a storage account's name: 3 to 24 lower-case letters and digits")
]
ContainerName = Annotated[
    str,
    _matching(
        r"[a-z0-9$](?:-?[a-z0-9]){2,62}",
        "must be a container's name: 3 to 63 lower-case letters, digits and single hyphens",
    ),
]
GoogleBucketName = Annotated[
    str,
    _matching(
        r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
        "must be a bucket's plain name (lower-case letters, digits, ., _ and -), without gs:// or a path",
    ),
]
BucketName = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]",
        "must be a bucket's plain name (3 to 63 letters, digits, . and -), without s3://, a path or an ARN",
    ),
]
TableName = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9_.-]{3,255}|arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[A-Za-z0-9_.-]{3,255}",
        "must be a DynamoDB table's name (3 to 255 letters, digits, _ . and -) or its ARN",
    ),
]
TagName = Annotated[str, _matching(r"[^\s,{}]{1,255}", "must be a tag's name, without a space, a comma or {variables}")]
Host = Annotated[
    str, _matching(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?", "must be a host's name, without https://")
]
LogGroup = Annotated[
    str, _matching(r"[A-Za-z0-9_./#*-]{1,512}", "must be a log group's name, without an ARN; * stands for any text")
]
StateKey = Annotated[str, _matching(r"[^/](?:.*[^/])?", "must not be empty, nor start or end with /")]
Protected = Annotated[bool | dict[str, tuple[str, ...]], PlainValidator(_protected)]
Hours = Annotated[str, AfterValidator(lambda text: hours_from(text).text)]
RunIdTemplate = Annotated[str, AfterValidator(_run_id_template)]
LoopStarts = Annotated[StrictInt, _from_to(2, 1000)]
OverdueFactor = Annotated[StrictInt | StrictFloat, _from_to(1, 100), AfterValidator(float)]

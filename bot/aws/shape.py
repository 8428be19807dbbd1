"""Answers that are none: of a proxy, a captive portal, a store that only resembles AWS's. Found before they are parsed.

botocore takes an answer with the status of a success for one, whatever it contains: an HTML page or no bytes at all
become an empty answer, which says that a table has no such item and a bucket no such object. So it would look free.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

_ROOTS = {
    "ListObjectsV2": b"ListBucketResult",
    "ListObjectVersions": b"ListVersionsResult",
}
"""The element that a listing of S3 consists of (Amazon S3 API reference, each action's response syntax)."""

_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*>)?\s*<(?:\w+:)?(\w+)[\s/>]")
_PAGE = re.compile(rb"\s*<(?:!doctype\s+)?html[\s>]", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"


def demand(client: Any) -> Any:
    """The client, which from now on raises ResponseParserError for an answer that cannot be AWS's."""
    client.meta.events.register("before-parse.dynamodb.*", _document)
    client.meta.events.register("before-parse.s3.*", _listing)
    return client


def _document(response_dict: dict[str, Any], operation_model: Any, **_: object) -> None:
    if not _is_success(response_dict):
        return
    try:
        found = json.loads(response_dict["body"])
    except ValueError as error:
        raise ResponseParserError("the answer is not JSON") from error
    if not isinstance(found, dict):
        raise ResponseParserError("the answer is not a JSON object")
    if found and not found.keys() & operation_model.output_shape.members.keys():
        raise ResponseParserError("the answer is an error with the status of a success")


def _listing(response_dict: dict[str, Any], operation_model: Any, **_: object) -> None:
    if not _is_success(response_dict):
        return
    if operation_model.has_streaming_output:
        fault = _fault(response_dict["headers"])
        if fault:
            response_dict["body"].close()  # it is not read yet, and nobody else gets hold of it
            raise ResponseParserError(fault)
        return
    body = response_dict["body"].removeprefix(_BOM)
    if _PAGE.match(body):
        raise ResponseParserError("the answer is a web page")
    expected = _ROOTS.get(operation_model.name)
    root = _ROOT.match(body)
    if expected is not None and (root is None or root[1] != expected):
        raise ResponseParserError(f"the answer is no {expected.decode()}")


def _fault(headers: Mapping[str, Any]) -> str:
    """What is wrong with the headers of an object, whose type is that of what is stored in it."""
    if str(headers.get("content-type", "")).lower().startswith("text/html"):
        return "the answer is a web page"
    try:
        parse_timestamp(headers.get("last-modified", 0))
    except (ValueError, RuntimeError):
        return "the answer's Last-Modified is no time"
    return ""


def _is_success(response_dict: dict[str, Any]) -> bool:
    return int(response_dict["status_code"]) < HTTPStatus.MULTIPLE_CHOICES

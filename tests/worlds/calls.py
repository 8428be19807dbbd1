"""What is asked of outside systems while tests run: every HTTP request with credentials, every operation of AWS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from bot.core.rights import Right
from bot.http.transport import Transport

_CREDENTIALS = ("authorization", "private-token", "x-ms-version")
"""What requests to a system itself carry, and none to a place that it redirects to."""


@dataclass(frozen=True, slots=True)
class AwsCall:
    """One operation; `is_missing` where AWS answered that the object is not there."""

    service: str
    operation: str
    parameters: dict[str, Any]
    is_missing: bool = False

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(slots=True)
class Calls:
    """HTTP requests as `METHOD /path`, and operations of AWS, in their order."""

    http: list[str] = field(default_factory=list)
    aws: list[AwsCall] = field(default_factory=list)

    def without_a_right(self, rights: Iterable[Right]) -> list[str]:
        """What no row of the tables speaks of."""
        rows = [row for right in rights for row in right.calls]
        patterns = [pattern_of(row) for row in rows if " /" in row or " {" in row]
        unknown = [call for call in self.http if not any(pattern.search(call) for pattern in patterns)]
        return sorted({*unknown, *(call.name for call in self.aws if call.name not in rows)})


def pattern_of(row: str) -> re.Pattern[str]:
    """`GET /repos/{owner}` as an expression. A base URL may have a path of its own before it."""
    method, _, path = row.partition(" ")
    parts = re.split(r"(\{\w+\})", path)
    text = "".join(".+?" if part.startswith("{") else re.escape(part) for part in parts)
    return re.compile(f"^{method} .*?{text}$")


@contextmanager
def calls_made() -> Iterator[Calls]:
    """Records on the libraries that send, so that no adapter knows of it."""
    made = Calls()
    send = Transport.handle_async_request
    call: Callable[..., Any] = BaseClient._make_api_call  # noqa: SLF001 - the one place that all operations go through

    async def recorded_send(self: Transport, request: httpx.Request) -> httpx.Response:
        is_ours = request.headers.get("user-agent") == "tflock"
        if is_ours and any(name in request.headers for name in _CREDENTIALS):
            made.http.append(f"{request.method} {request.url.path}")
        return await send(self, request)

    def recorded_call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if self.meta.config.retries.get("total_max_attempts") != 1:  # the hands of a test, which try again
            return call(self, operation, parameters)
        service = self.meta.service_model.service_name
        try:
            answer = call(self, operation, parameters)
        except ClientError as error:
            is_missing = error.response.get("Error", {}).get("Code") == "NoSuchKey"
            made.aws.append(AwsCall(service, operation, parameters, is_missing))
            raise
        made.aws.append(AwsCall(service, operation, parameters))
        return answer

    with (
        patch.object(Transport, "handle_async_request", recorded_send),
        patch.object(BaseClient, "_make_api_call", recorded_call),
    ):
        yield made

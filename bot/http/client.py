"""What all CI adapters share about HTTP: one place that turns httpx's errors into troubles, and retries that end.

Inside an adapter a look-up raises `Failed` or `Absent`; `observe` turns them into observations at its outer edge.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import stamina
import structlog

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.ports.clock import Clock

T = TypeVar("T")
U = TypeVar("U")

log = structlog.get_logger()

_LONGEST_WAIT = 2.0
_RETRIED = frozenset({Trouble.SERVER_ERROR, Trouble.NO_CONNECTION})


class Failed(Exception):
    """A look-up brought nothing. `detail` is one plain sentence without secrets; `retry_after` is in seconds."""

    def __init__(self, trouble: Trouble, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble = trouble
        self.detail = detail
        self.retry_after = retry_after


class Absent(Exception):
    """The system answered that there is no such thing; `what` names it in plain words."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def new_client(base_url: str) -> httpx.AsyncClient:
    """A client that follows no redirect. Proxies of the environment are heeded, but never on the way to loopback."""
    is_loopback = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
    return httpx.AsyncClient(follow_redirects=False, trust_env=not is_loopback)


@contextmanager
def translated(system: str) -> Iterator[None]:
    """Turns every error of httpx into `Failed`, most specific first. The sentences name no URL and no header."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise Failed(Trouble.TIMED_OUT, f"{system} took too long to accept a connection") from error
    except httpx.PoolTimeout as error:
        raise Failed(Trouble.TIMED_OUT, f"too many questions to {system} are waiting already") from error
    except httpx.TimeoutException as error:
        raise Failed(Trouble.TIMED_OUT, f"{system} took too long to answer") from error
    except httpx.ConnectError as error:
        raise Failed(Trouble.NO_CONNECTION, f"no connection to {system}: is its base_url right, is it up?") from error
    except httpx.DecodingError as error:
        raise Failed(Trouble.GARBLED, f"{system}'s answer could not be decoded") from error
    except httpx.TransportError as error:
        raise Failed(Trouble.NO_CONNECTION, f"the connection to {system} broke") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise Failed(Trouble.NO_CONNECTION, f"{system} could not be asked") from error


async def ask(
    client: httpx.AsyncClient,
    request: httpx.Request,
    check: Callable[[httpx.Response], None],
    *,
    system: str,
    tries: int,
) -> httpx.Response:
    """Sends a request, up to `tries` times, and returns the first response that `check` lets pass.

    Tried again, with full jitter: server errors, broken connections, and throttling that asks for at most 2 s.
    Everything else is final at once. Raises what `check` raises, and Failed.
    """
    async for attempt in stamina.retry_context(
        on=_worth_another_try, attempts=tries, timeout=None, wait_initial=0, wait_jitter=0.5
    ):
        with attempt, translated(system):
            response = await client.send(request, follow_redirects=False)
            check(response)
    return response


def _worth_another_try(error: Exception) -> bool | float:
    if not isinstance(error, Failed):
        return False
    if error.trouble is Trouble.THROTTLED and error.retry_after is not None and error.retry_after <= _LONGEST_WAIT:
        return error.retry_after
    return error.trouble in _RETRIED


def document(response: httpx.Response, *, system: str) -> Any:
    """The JSON of a response. Raises Failed (garbled) for anything else."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise Failed(Trouble.GARBLED, f"{system}'s answer is not JSON") from error


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by the `Retry-After` header, in either of its forms (RFC 9110, 10.2.3); None without one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


async def together(*looks: Coroutine[Any, Any, T]) -> list[T]:
    """All results in order. The first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look) for look in looks]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Two results of different kinds. The first failure ends the other look and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            left, right = group.create_task(first), group.create_task(second)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return left.result(), right.result()


async def observe(look: Callable[[], Awaitable[T]], *, system: str, clock: Clock, limit: float) -> Observation[T]:
    """What a look-up brought, within `limit` seconds for all of it. Never raises for what the system did."""
    at = clock.now()
    try:
        async with asyncio.timeout(limit):
            return Found(await look(), at)
    except Absent as absent:
        return NotFound(system, absent.what, at)
    except Failed as failed:
        unseen = Unseen(system, failed.trouble, failed.detail, at, failed.retry_after)
    except TimeoutError:
        unseen = Unseen(system, Trouble.TIMED_OUT, f"{system} did not give the whole answer within {limit:g} s", at)
    log.warning("ci.unseen", system=system, trouble=unseen.trouble.value, detail=unseen.detail)
    return unseen

"""What the ticket systems share about HTTP: errors become troubles in one place; only questions are asked again.

Inside an adapter everything that goes wrong is `Failed`; `observed`, `filed` and `readiness` turn it into values.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina
import structlog

from bot.core.account.ticket import FileResult, Filing, Readiness
from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.ports.clock import Clock

log = structlog.get_logger()

_TRIES = 3
_CONNECT, _READ = 3.0, 8.0
LOOK_SECONDS, FILE_SECONDS = 20.0, 12.0
_NOT_TAKEN = frozenset({Trouble.DENIED, Trouble.THROTTLED})
_RETRIED = frozenset({Trouble.SERVER_ERROR, Trouble.NO_CONNECTION})


class Failed(Exception):
    """`detail` and `mend` are plain words without secrets. `was_sent` is False where the request never left."""

    def __init__(
        self,
        trouble: Trouble,
        detail: str,
        *,
        mend: str = "",
        retry_after: float | None = None,
        was_sent: bool = True,
    ) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble = trouble
        self.detail = detail
        self.mend = mend
        self.retry_after = retry_after
        self.was_sent = was_sent

    @property
    def words(self) -> str:
        return f"{self.detail}. To mend it: {self.mend}" if self.mend else self.detail


Complaint = Callable[[httpx.Response], Failed | None]


class Asker:
    """Sends requests to one system. `credentials` makes the headers of each, so that no secret is kept here."""

    def __init__(
        self, system: str, base_url: str, credentials: Callable[[], Mapping[str, str]], complaint: Complaint
    ) -> None:
        self._system = system
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._complaint = complaint
        is_loopback = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=not is_loopback,
            timeout=httpx.Timeout(_READ, connect=_CONNECT),
        )

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        """Asked up to three times where the system broke down. Raises Failed."""
        async for attempt in stamina.retry_context(
            on=_is_passing, attempts=_TRIES, timeout=None, wait_initial=0, wait_jitter=0.5
        ):
            with attempt:
                response = await self._send("GET", path, params=params)
        return response

    async def post(self, path: str, body: Any) -> httpx.Response:
        """Sent once: whether it was taken must be known before it is sent again. Raises Failed."""
        return await self._send("POST", path, body=body)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _send(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None
    ) -> httpx.Response:
        headers = {"User-Agent": "tflock", **self._credentials()}
        with translated(self._system):
            response = await self._client.request(
                method, self._base_url + path, params=params, json=body, headers=headers
            )
        failed = self._complaint(response)
        if failed is not None:
            raise failed
        return response


def _is_passing(error: Exception) -> bool:
    return isinstance(error, Failed) and error.trouble in _RETRIED


@contextmanager
def translated(system: str) -> Iterator[None]:
    """Turns every error of httpx into `Failed`, most specific first. The words name no address and no header."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Failed(Trouble.TIMED_OUT, f"{system} took no connection in time", was_sent=False) from error
    except httpx.ConnectError as error:
        raise Failed(Trouble.NO_CONNECTION, f"{system} cannot be reached", was_sent=False) from error
    except httpx.TimeoutException as error:
        raise Failed(Trouble.TIMED_OUT, f"{system} took too long to answer") from error
    except httpx.DecodingError as error:
        raise Failed(Trouble.GARBLED, f"{system}'s answer could not be decoded") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise Failed(Trouble.NO_CONNECTION, f"the connection to {system} broke") from error
    except (httpx.InvalidURL, ValueError) as error:
        raise Failed(
            Trouble.NO_CONNECTION, f"{system} could not be asked: is base_url right", was_sent=False
        ) from error


def document(response: httpx.Response, system: str) -> Any:
    """The JSON of an answer. Raises Failed for anything else."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise Failed(Trouble.GARBLED, f"{system}'s answer is not JSON") from error


def page_of(value: object, system: str) -> str:
    """The address of a ticket. Raises Failed for what is none."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise Failed(Trouble.GARBLED, f"{system}'s answer does not say where the ticket is")
    return value


def wait_named(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds by `Retry-After`, in either of its forms (RFC 9110, 10.2.3); None without one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


async def observed(
    look: Callable[[], Awaitable[str | None]], *, system: str, clock: Clock, limit: float = LOOK_SECONDS
) -> Observation[str]:
    """A look for a ticket as an observation. Never raises for what the system did."""
    at = clock.now()
    try:
        async with asyncio.timeout(limit):
            url = await look()
    except Failed as failed:
        log.warning("tickets.unseen", system=system, trouble=failed.trouble.value, detail=failed.detail)
        return Unseen(system, failed.trouble, failed.words, at, failed.retry_after)
    except TimeoutError:
        return Unseen(system, Trouble.TIMED_OUT, f"{system} did not give the whole answer within {limit:g} s", at)
    return NotFound(system, "no such ticket", at) if url is None else Found(url, at)


async def filed(send: Callable[[], Awaitable[str]], *, system: str, limit: float = FILE_SECONDS) -> Filing:
    """What became of filing. Never raises for what the system did."""
    try:
        async with asyncio.timeout(limit):
            url = await send()
    except Failed as failed:
        log.warning("tickets.not_filed", system=system, trouble=failed.trouble.value, detail=failed.detail)
        return Filing(_result(failed), detail=failed.words, retry_after=failed.retry_after)
    except TimeoutError:
        return Filing(FileResult.NOT_KNOWN, detail=f"{system} did not answer within {limit:g} s")
    log.info("tickets.filed", system=system, url=url)
    return Filing(FileResult.FILED, url)


def _result(failed: Failed) -> FileResult:
    if failed.trouble is Trouble.DENIED:
        return FileResult.REFUSED
    if failed.trouble in _NOT_TAKEN or not failed.was_sent:
        return FileResult.LATER
    return FileResult.NOT_KNOWN


async def readiness(look: Callable[[], Awaitable[Readiness]], *, system: str, limit: float = LOOK_SECONDS) -> Readiness:
    """What a look at rights and settings brought. Never raises for what the system did."""
    try:
        async with asyncio.timeout(limit):
            return await look()
    except Failed as failed:
        return Readiness(is_ready=False, detail=failed.detail, mend=failed.mend or f"see whether {system} is up")
    except TimeoutError:
        return Readiness(is_ready=False, detail=f"{system} did not answer in time", mend=f"see whether {system} is up")

"""One HTTP client for every server: one request, one table from what it answers to what went wrong, retries that end.

Inside an adapter a request raises `Failed` or `Absent`; its outer edge makes an observation or another value of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies

import httpx
import stamina
import structlog
from httpx import codes

from bot.core.evidence import Found, NotFound, Observation, Offset, Trouble, Unseen
from bot.http.transport import Transport
from bot.http.values import Json
from bot.ports.clock import Clock

T = TypeVar("T")
U = TypeVar("U")

log = structlog.get_logger()

_TRIES = 3
_AT_ONCE = 10
_MOST_BYTES = 32 * 1024 * 1024
_LONGEST_WAIT = 2.0
_MOST_HOPS = 3
_PIECE = 32_768
_RETRIED = frozenset({Trouble.SERVER_ERROR, Trouble.NO_CONNECTION})
_DAY = timedelta(days=1).total_seconds()
_SET = 1.0
"""Seconds. A clock that has moved by less, against one that only counts, was not set."""


class Failed(Exception):
    """A request brought nothing. `detail` and `fix` are plain words without secrets; `retry_after` is in seconds.

    `was_sent` is False where the request never left.
    """

    def __init__(
        self,
        trouble: Trouble,
        detail: str,
        *,
        fix: str = "",
        retry_after: float | None = None,
        was_sent: bool = True,
    ) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble = trouble
        self.detail = detail
        self.fix = fix
        self.retry_after = retry_after
        self.was_sent = was_sent

    @property
    def words(self) -> str:
        return f"{self.detail}. To fix it: {self.fix}" if self.fix else self.detail


def denied(detail: str, fix: str = "") -> Failed:
    return Failed(Trouble.DENIED, detail, fix=fix)


def garbled(detail: str) -> Failed:
    return Failed(Trouble.GARBLED, detail)


class Absent(Exception):
    """The system answered that there is no such thing; `what` names it in plain words."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect, between two pieces of an answer, for a whole look-up with its pages and retries, and how
    many more a list may take than that.
    """

    connect: float = 3.0
    read: float = 8.0
    overall: float = 10.0
    listing: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than a success. `about` names what was asked for, `deed` what was done to it; `needs` is the
    right that this takes, where the request named one.
    """

    system: str
    response: httpx.Response
    about: str
    deed: str
    needs: str
    now: datetime

    @property
    def status(self) -> int:
        return self.response.status_code

    def throttled(self, said: str = "", *, patience: float = 60.0) -> Failed:
        """Until the time that the answer names, else for `patience` seconds: most limits are counted by the minute."""
        wait = wait_named(self.response.headers, self.now)
        wait = patience if wait is None else wait
        until = (self.now + timedelta(seconds=wait)).astimezone(UTC).strftime("%H:%M:%S UTC")
        said = said or f"{of(self.system)} rate limit is used up"
        return Failed(Trouble.THROTTLED, f"{said} until {until}", retry_after=wait)


class Sink(Protocol):
    """Takes a long text piece by piece. `gap` tells it that something was left out before what comes next."""

    def feed(self, chunk: bytes) -> None: ...

    def gap(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Portion:
    """How much of a long text is read: so many bytes from its beginning, and so many from its end."""

    head: int
    tail: int


Errors: TypeAlias = Mapping[int, Failed | Absent]
"""What went wrong, by status; 3, 4 and 5 are for all statuses that begin so and are not named themselves."""


def _everywhere(no: Refusal) -> Errors:
    """The one table from a status to what it means. A system's own table goes before it."""
    gone = Absent(f"{no.about}, or the token may not see it")
    wait = wait_named(no.response.headers, no.now)
    return {
        codes.UNAUTHORIZED: denied(f"{no.system} refuses the credentials (401)"),
        codes.FORBIDDEN: denied(f"{no.system} denies {no.deed} (403)"),
        codes.NOT_FOUND: gone,
        codes.GONE: gone,
        codes.TOO_MANY_REQUESTS: no.throttled(),
        3: garbled(f"{no.system} has moved {no.deed} ({no.status}): is base_url right?"),
        4: garbled(f"{no.system} gave an answer on {no.deed} that it does not document ({no.status})"),
        5: Failed(Trouble.SERVER_ERROR, f"{no.system} returned an error ({no.status})", retry_after=wait),
    }


def _never(_response: httpx.Response) -> bool:
    return False


class Client:
    """Sends requests to one server. `headers` makes the credentials of each request, so that no secret is kept here.

    `errors` is the system's own table: how it says no. `is_stranger` tells an answer as to someone who is not known,
    which then counts as a 401 whatever its status. An `http` that is passed in is closed with this.
    Every method raises Failed or Absent, and nothing else.
    """

    def __init__(  # noqa: PLR0913 - all that two servers may differ in, by name
        self,
        system: str,
        base_url: str,
        *,
        headers: Callable[[], Mapping[str, str]],
        errors: Callable[[Refusal], Errors],
        clock: Clock,
        is_stranger: Callable[[httpx.Response], bool] = _never,
        limits: Limits | None = None,
        at_once: int = _AT_ONCE,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.system = system
        self.base_url = base_url.rstrip("/")
        self._headers = headers
        self._errors = errors
        self.clock = clock
        self._is_stranger = is_stranger
        limits = limits or Limits()
        self._seconds = httpx.Timeout(limits.read, connect=limits.connect, pool=limits.overall).as_dict()
        self._http = http or _new(base_url)
        self._cookies = httpx.Cookies()
        self._slots = asyncio.Semaphore(at_once)
        self._server = ServerClock(clock)

    @property
    def offset(self) -> Offset | None:
        """How far the server's clock is from ours, by the `Date` of its newest answer that has one."""
        return self._server.offset

    async def get_object(self, path: str, about: str, params: Mapping[str, str] | None = None) -> Json:
        return self.as_object(await self.send("GET", path, about, params=params), about)

    async def send(  # noqa: PLR0913 - the parts of a request, by name
        self,
        method: str,
        path: str,
        about: str,
        *,
        doing: str = "",
        needs: str = "",
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        passing: Callable[[httpx.Response], bool] = _never,
        tries: int = _TRIES,
        leaving: Callable[[], None] | None = None,
    ) -> httpx.Response:
        """One request, sent up to `tries` times; `path` starts behind the base URL.

        `about` names in plain words what is asked for, `doing` what is done to it. Answers that are `passing` are
        returned like successes. Tried again, with full jitter: server errors, broken connections, and throttling that
        asks for at most 2 s. Everything else is final at once. `leaving` is called right before the bytes go out, with
        the connection already there; what it raises keeps them back, and is raised here.
        """
        async with self._slots:
            async for attempt in stamina.retry_context(
                on=_worth_another_try, attempts=tries, timeout=None, wait_initial=0, wait_jitter=0.5
            ):
                with attempt:
                    request = self._request(method, path, params=params, json=json, headers=headers)
                    if leaving is not None:
                        request.extensions["trace"] = partial(_asked, leaving)
                    response = await self._answer(request, _MOST_BYTES)
                    if not passing(response):
                        self._check(response, about, doing, needs)
                    if len(response.content) >= _MOST_BYTES:
                        raise Failed(Trouble.TOO_MUCH, f"{of(self.system)} answer on {about} is too long to read")
        return response

    async def beginning(self, path: str, about: str, *, most: int) -> bytes:
        """The first `most` bytes of a long text, whatever the server sends; one try."""
        async with self._slots:
            request = self._request("GET", path, headers={"Range": f"bytes=0-{most - 1}"})
            response = await self._answer(request, most)
        self._check(response, about, "", "")
        return response.content

    async def stream(
        self,
        path: str,
        about: str,
        into: Sink,
        portion: Portion,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        needs: str = "",
        follows: bool = False,
    ) -> bool:
        """Sends a long text through `into` and keeps nothing of it; one try. True if it was read to its last byte.

        With `follows` a redirect is followed, and no credentials go along: not even to the same server. Nor do they to
        a `path` that is a whole address.
        """
        whole = {"Accept-Encoding": "identity"}
        is_path = path.startswith("/")
        async with self._slots:
            if is_path:
                request = self._request("GET", path, params=params, headers={**whole, **(headers or {})})
            else:
                request = self._elsewhere(path, urlsplit(self.base_url).scheme, whole)
            response = await self._opened(request, is_ours=is_path)
            for _ in range(_MOST_HOPS):
                if not (follows and response.has_redirect_location) or self._is_stranger(response):
                    break
                await response.aclose()
                request = self._away(request, response, whole)
                response = await self._opened(request, is_ours=False)
            try:
                if not response.is_success or self._is_stranger(response):
                    await self._refused(response, about, needs, is_ours=request.url.host == self._host)
                done = await self._pour(response, into, portion.head)
            finally:
                await response.aclose()
            size = _size(response)
            if done:
                return True
            into.gap()
            if size is not None and portion.tail:
                await self._tail(request, into, max(portion.head, size - portion.tail), portion.tail)
            return False

    def document(self, response: httpx.Response) -> Any:
        """The JSON of an answer. Raises Failed (garbled) for anything else."""
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise garbled(f"{self.system}'s answer is not JSON") from error

    def as_object(self, response: httpx.Response, about: str) -> Json:
        body = self.document(response)
        if not isinstance(body, dict):
            raise garbled(f"{of(self.system)} answer on {about} has a different form than documented")
        return body

    def objects(self, value: object, about: str) -> list[Json]:
        """A list of objects, whole. Raises Failed (garbled) for anything else."""
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise garbled(f"{of(self.system)} list of {about} has a different form than documented")
        return value

    async def aclose(self) -> None:
        await self._http.aclose()

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        sent = {**_ALWAYS, **self._headers(), **(headers or {})}
        query = f"?{urlencode(params)}" if params else ""
        with translated(self.system):
            return httpx.Request(
                method,
                f"{self.base_url}{path}{query}",
                headers=sent,
                cookies=self._cookies or None,
                json=json,
                extensions={"timeout": self._seconds},
            )

    async def _answer(self, request: httpx.Request, most: int) -> httpx.Response:
        """What the server answers, with the first `most` bytes of its text.

        Redirects are not followed: no secret travels to another place.
        """
        response = await self._opened(request)
        with translated(self.system):
            content = bytearray()
            try:
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) >= most:
                        break
            finally:
                await response.aclose()
        # the text is decoded by now, so the headers about its coding are true no longer
        kept = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_CODING]
        return httpx.Response(response.status_code, headers=kept, content=bytes(content[:most]), request=request)

    async def _opened(self, request: httpx.Request, *, is_ours: bool = True) -> httpx.Response:
        """The answer's status and headers, which tell the server's clock; its text is still to be read."""
        sent = self.clock.now()
        with translated(self.system):
            if isinstance(self._http, Transport):  # without all that a client of httpx does around it
                response = await self._http.handle_async_request(request)
                response.request = request
            else:
                response = await self._http.send(request, stream=True, follow_redirects=False)
        if is_ours:
            self._server.hear(response.headers, sent)
            if "set-cookie" in response.headers:
                self._cookies.extract_cookies(response)
        return response

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    def _away(self, request: httpx.Request, response: httpx.Response, headers: Mapping[str, str]) -> httpx.Request:
        """The request that a redirect asks for, without credentials, and never from https to anything less."""
        with translated(self.system):
            return self._elsewhere(request.url.join(response.headers["location"]), request.url.scheme, headers)

    def _elsewhere(self, url: str | httpx.URL, scheme: str, headers: Mapping[str, str]) -> httpx.Request:
        """A request without credentials, for an address that this system gave by `scheme`."""
        with translated(self.system):
            target = httpx.URL(url)
            is_less = target.scheme != "https" and scheme == "https"
            if target.scheme not in {"http", "https"} or is_less or target.userinfo:
                raise garbled(f"{self.system} sends on to a place that is not safe to ask")
            return httpx.Request(
                "GET",
                target,
                headers={"User-Agent": "tflock", **headers},
                extensions={"timeout": self._seconds},
            )

    async def _refused(self, response: httpx.Response, about: str, needs: str, *, is_ours: bool) -> None:
        """Raises for an answer other than a success. What another place says is not in this system's own words."""
        content = bytearray()
        with translated(self.system):
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) >= _PIECE:
                    break
        if is_ours:
            self._check(
                httpx.Response(
                    response.status_code,
                    headers=[(k, v) for k, v in response.headers.multi_items() if k not in _OF_CODING],
                    content=bytes(content[:_PIECE]),
                    request=response.request,
                ),
                about,
                "",
                needs,
            )
        if response.status_code in {codes.NOT_FOUND, codes.GONE}:
            raise Absent(f"{about}: it has expired, or was never kept")
        detail = f"the place that {self.system} keeps {about} at does not give it ({response.status_code})"
        raise Failed(Trouble.SERVER_ERROR, detail)

    async def _pour(self, response: httpx.Response, into: Sink, most: int) -> bool:
        """Whether the text came to its end within `most` bytes. Lets others run between two pieces."""
        left = most
        with translated(self.system):
            async for chunk in response.aiter_bytes():
                for first in range(0, min(len(chunk), left), _PIECE):
                    into.feed(chunk[first : min(first + _PIECE, left)])
                    await asyncio.sleep(0)
                left -= len(chunk)
                if left < 0:
                    return False
        return True

    async def _tail(self, request: httpx.Request, into: Sink, first: int, most: int) -> None:
        """The end of a text from byte `first` on, from a server that can; else nothing more of it."""
        asked = httpx.Request(
            "GET",
            request.url,
            headers={**request.headers, "Range": f"bytes={first}-"},
            extensions=request.extensions,
        )
        response = await self._opened(asked, is_ours=False)
        try:
            if response.status_code == codes.PARTIAL_CONTENT:
                await self._pour(response, into, most)
        finally:
            await response.aclose()

    def _check(self, response: httpx.Response, about: str, doing: str, needs: str) -> None:
        """Raises for every answer but a success, by the system's own table and then by everyone's."""
        is_stranger = self._is_stranger(response)
        deed = f"{doing} {about}" if doing else about
        if response.is_success and not is_stranger:
            if _is_page(response):  # of a gateway, which may not even have asked the system
                raise Failed(Trouble.GARBLED, f"a page came in place of {self.system}'s answer ({deed})")
            return
        no = Refusal(self.system, response, about, deed, needs, self.clock.now())
        status = codes.UNAUTHORIZED if is_stranger else response.status_code
        tables = (self._errors(no), _everywhere(no))
        raise next(error for table in tables if (error := table.get(status) or table.get(status // 100)))


_ALWAYS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive", "User-Agent": "tflock"}
_OF_CODING = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def _is_page(response: httpx.Response) -> bool:
    is_html = response.headers.get("content-type", "").lower().startswith("text/html")
    return is_html and response.content.lstrip()[:1] == b"<"


def _size(response: httpx.Response) -> int | None:
    """How long the text is, where the answer says so and it comes as it is."""
    text = response.headers.get("content-length", "")
    is_plain = response.headers.get("content-encoding", "identity") == "identity"
    return int(text) if is_plain and text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004 - no text is longer


def offset_of(headers: Mapping[str, str], sent: datetime, received: datetime) -> Offset | None:
    """A server's clock against ours, by the `Date` of an answer that no cache in between has kept.

    `Date` is cut down to the second (RFC 9110, 6.6.1), and was written at some time between the two instants.
    """
    try:
        at = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError, TypeError):
        return None
    if at.tzinfo is None or headers.get("age", "0").strip() != "0":
        return None
    half = (received - sent) / 2
    return Offset(at - (sent + half), abs(half) + timedelta(seconds=1))


class ServerClock:
    """A server's clock against ours, by the newest answer that told it. Stays true when ours is set afterwards: the
    next answer may come out of a cache and tell nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: tuple[Offset, float] | None = None

    def hear(self, headers: Mapping[str, str], sent: datetime) -> None:
        """Takes an answer that has just come, to a request of that time."""
        offset = offset_of(headers, sent, self._clock.now())
        if offset is not None:
            self._told = offset, self._ours()

    @property
    def offset(self) -> Offset | None:
        if self._told is None:
            return None
        offset, then = self._told
        moved = self._ours() - then
        is_set = abs(moved) >= _SET
        return replace(offset, ahead=offset.ahead - timedelta(seconds=moved)) if is_set else offset

    def _ours(self) -> float:
        return self._clock.now().timestamp() - self._clock.running()


def of(system: str) -> str:
    """A system's name as an owner: `GitHub's`, `Azure DevOps'`."""
    return f"{system}'" if system.lower().endswith("s") else f"{system}'s"


def is_rate_limited(response: httpx.Response) -> bool:
    """Whether a 403 is GitHub's way to throttle: only headers and the message tell its limits from a missing right."""
    headers = response.headers
    is_used_up = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return is_used_up or b"rate limit" in response.content.lower()


def wait_named(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, a day at most: by `Retry-After` in either of its forms (RFC 9110, 10.2.3), else by the second in
    which a limit that is used up starts afresh; None without either.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _DAY)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        reset = _reset(headers)
        return None if reset is None else min(max(0.0, reset - now.timestamp()), _DAY)
    return min(max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()), _DAY)


def _reset(headers: Mapping[str, str]) -> int | None:
    """GitHub's and Azure DevOps's header counts only once nothing remains; GitLab sends its own with a 429."""
    is_used_up = headers.get("x-ratelimit-remaining") == "0"
    text = (headers.get("x-ratelimit-reset", "") if is_used_up else "") or headers.get("ratelimit-reset", "")
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None  # noqa: PLR2004 - no second has more digits


def _new(base_url: str) -> httpx.AsyncClient | Transport:
    """Proxies of the environment are heeded, but never on the way to loopback."""
    is_loopback = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
    if not is_loopback and getproxies().keys() & {"http", "https", "all"}:
        return httpx.AsyncClient(follow_redirects=False)
    return Transport(httpx.create_ssl_context(trust_env=not is_loopback))


@contextmanager
def translated(system: str) -> Iterator[None]:
    """Turns every error of httpx into `Failed`, most specific first. The sentences name no URL and no header."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        detail = f"{system} took too long to accept a connection"
        raise Failed(Trouble.TIMED_OUT, detail, was_sent=False) from error
    except httpx.PoolTimeout as error:
        detail = f"too many questions to {system} are waiting already"
        raise Failed(Trouble.TIMED_OUT, detail, was_sent=False) from error
    except httpx.TimeoutException as error:
        raise Failed(Trouble.TIMED_OUT, f"{system} took too long to answer") from error
    except httpx.ConnectError as error:
        detail = f"no connection to {system}: is its address right, is it up?"
        raise Failed(Trouble.NO_CONNECTION, detail, was_sent=False) from error
    except httpx.DecodingError as error:
        raise garbled(f"{system}'s answer could not be decoded") from error
    except httpx.TransportError as error:
        raise Failed(Trouble.NO_CONNECTION, f"the connection to {system} broke") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise Failed(Trouble.NO_CONNECTION, f"{system} could not be reached") from error
    except (httpx.InvalidURL, ValueError) as error:  # no request can be made of this address, or of these credentials
        raise Failed(Trouble.NO_CONNECTION, f"{system} could not be reached", was_sent=False) from error


async def _asked(leaving: Callable[[], None], event: str, _: Mapping[str, Any]) -> None:
    """A transport's trace of a request: this event comes after DNS, connection and TLS, and before the first byte."""
    if event.endswith(".send_request_headers.started"):
        leaving()


def _worth_another_try(error: Exception) -> bool | float:
    if not isinstance(error, Failed):
        return False
    if error.trouble is Trouble.THROTTLED and error.retry_after is not None and error.retry_after <= _LONGEST_WAIT:
        return error.retry_after
    return error.trouble in _RETRIED


async def together(*looks: Coroutine[Any, Any, T]) -> list[T]:
    """All results in order. The first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look) for look in looks]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Two results of different kinds, as `together`."""
    found: list[Any] = await together(first, second)
    return found[0], found[1]


async def observe(
    look: Callable[[], Awaitable[T]], *, system: str, clock: Clock, limit: float, event: str
) -> Observation[T]:
    """What a look-up brought, within `limit` seconds for all of it. Never raises for what the system did.

    One that brought nothing is logged as `event`.
    """
    at = clock.now()
    try:
        async with asyncio.timeout(limit):
            return Found(await look(), at)
    except Absent as absent:
        return NotFound(system, absent.what, at)
    except Failed as failed:
        unseen = Unseen(system, failed.trouble, failed.words, at, failed.retry_after)
    except TimeoutError:
        unseen = Unseen(system, Trouble.TIMED_OUT, slow(system, limit), at)
    log.warning(event, system=system, trouble=unseen.trouble.value, detail=unseen.detail)
    return unseen


def slow(system: str, limit: float) -> str:
    return f"{system} did not give the whole answer within {limit:g} s"

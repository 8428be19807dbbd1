"""What a request to a store carries to be let in, made for each request again, so that no secret is kept here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from pydantic import SecretStr

from bot.core.evidence import Trouble
from bot.errors import ConfigInvalid
from bot.http.client import Failed

_WITHIN = 10.0
_OAUTH = re.compile(
    r"\b(?:invalid_(?:client|grant|request|scope|target)|unauthorized_client|unsupported_grant_type|access_denied)\b"
)


class Credentials(Protocol):
    async def headers(self) -> Mapping[str, str]:
        """Raises Failed where no credentials can be had."""
        ...

    def params(self) -> Mapping[str, str]:
        """What goes into the query."""
        ...


class _InHeader:
    def params(self) -> Mapping[str, str]:
        return {}


class GivenToken(_InHeader):
    """A bearer token that the environment has."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token.get_secret_value()}"}


class FetchedToken(_InHeader):
    """A bearer token that a cloud's own library finds, fetches and renews.

    `fetch` blocks, and runs in a thread; it raises Failed. Anyone who asks while it runs waits for its answer, too: a
    source that hangs keeps one thread, and not one for each look. `within` in seconds is how long a look waits.
    """

    def __init__(self, service: str, fetch: Callable[[], str], *, within: float = _WITHIN) -> None:
        self._service = service
        self._fetch = fetch
        self._within = within
        self._fetching: asyncio.Future[SecretStr] | None = None

    async def headers(self) -> Mapping[str, str]:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.ensure_future(asyncio.to_thread(self._fetched))
            self._fetching.add_done_callback(_seen)
        try:
            async with asyncio.timeout(self._within):
                token = await asyncio.shield(self._fetching)
        except TimeoutError as error:
            detail = f"the credentials for {self._service} could not be fetched in time"
            raise Failed(Trouble.TIMED_OUT, detail, was_sent=False) from error
        return {"Authorization": f"Bearer {token.get_secret_value()}"}

    def _fetched(self) -> SecretStr:
        """Not as text: a future shows its result."""
        return SecretStr(self._fetch())


class LibraryMissing(ConfigInvalid):
    """A state needs a cloud's own library for its credentials, which is an extra. `why` is a clause on the state."""

    def __init__(self, why: str, library: str, extra: str) -> None:
        super().__init__((f'{why}, which need {library}: pip install "tflock[{extra}]"',))
        self.why, self.library, self.extra = why, library, extra


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it came of, a dozen at most."""
    for _ in range(12):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def code_in(text: str, own: re.Pattern[str]) -> str:
    """The code of a refusal: the cloud's own, else OAuth's (RFC 6749, 5.2; RFC 8693, 2.2.2); empty without one."""
    found = own.search(text) or _OAUTH.search(text)
    return found[0] if found else ""


def refused(service: str, by: str, code: str, fix: str) -> Failed:
    """The answer no to who asked for a token. `code` is the only part of it that is repeated."""
    detail = f"{by} refuses the bot's credentials for {service}{f' ({code})' if code else ''}"
    return Failed(Trouble.DENIED, detail, fix=fix, was_sent=False)


def none_found(service: str, looked_for: str, fix: str) -> Failed:
    detail = f"no credentials for {service} were found. tflock looked for {looked_for}"
    return Failed(Trouble.NO_CREDENTIALS, detail, fix=fix, was_sent=False)


def no_file(service: str, which: str) -> Failed:
    detail = f"the credentials for {service} are in a file that is not there or cannot be read: {which}"
    return Failed(Trouble.NO_CREDENTIALS, detail, fix="mount it, or correct its path", was_sent=False)


def unanswered(service: str, by: str, *, is_up: bool) -> Failed:
    """`is_up`: it answered, and says that something is wrong with itself."""
    if is_up:
        detail = f"{by} has a fault of its own and gave no token for {service}"
        return Failed(Trouble.SERVER_ERROR, detail, was_sent=False)
    return Failed(Trouble.NO_CONNECTION, f"{by} did not answer, and gave no token for {service}", was_sent=False)


def _seen(fetching: asyncio.Future[SecretStr]) -> None:
    if not fetching.cancelled():
        fetching.exception()  # who asked may be gone

"""What a request to a store carries to be let in, made for each request again, so that no secret is kept here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic import SecretStr

from bot.core.evidence import Trouble
from bot.http.client import Failed

_WITHIN = 10.0


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
    """A bearer token that a cloud's own library finds, fetches and renews. `fetch` blocks, and runs in a thread.

    `failures` are the library's errors, of which only the type's name is repeated: their texts may hold secrets.
    """

    def __init__(self, service: str, fetch: Callable[[], str], failures: tuple[type[Exception], ...]) -> None:
        self._service = service
        self._fetch = fetch
        self._failures = failures
        self._asking = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(_WITHIN), self._asking:
                token = await asyncio.to_thread(self._fetch)
        except TimeoutError as error:
            detail = f"the credentials for {self._service} could not be fetched in time"
            raise Failed(Trouble.TIMED_OUT, detail, was_sent=False) from error
        except self._failures as error:
            detail = f"no usable credentials for {self._service} were found ({type(error).__name__})"
            raise Failed(Trouble.DENIED, detail, was_sent=False) from error
        return {"Authorization": f"Bearer {token}"}

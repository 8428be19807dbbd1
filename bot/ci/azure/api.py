"""Azure DevOps' REST API as far as the bot asks it: one request, lists that are complete or fail, and heads of logs.

Source: https://learn.microsoft.com/en-us/rest/api/azure/devops/build/ (7.1) and
https://learn.microsoft.com/en-us/azure/devops/integrate/concepts/rate-limits.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.core.evidence import Trouble
from bot.http.asking import Asker, Check, Limits
from bot.http.client import Absent, Failed, document, retry_after
from bot.http.values import Json
from bot.ports.clock import Clock

SYSTEM = "Azure DevOps"
_VERSION = "7.1"
_PER_PAGE = 200
_MOST_PAGES = 40
_TRIES = 3
_HEAD_LINES = 200
_LONGEST_HEAD = 65536
_READ, _EXECUTE = "Build (read)", "Build (read & execute)"
_PATIENCE = 30.0  # "delayed" requests wait up to 30 s; a 429 without a time is given as much
_OLDER = re.compile(r"REST API version this server supports is ([0-9]\.[0-9])\b")


class AzureApi:
    """Sends requests and reads answers. Every method raises Failed or Absent, and nothing else."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        token_name: str,
        clock: Clock,
        limits: Limits,
        client: httpx.AsyncClient | None,
    ) -> None:
        self._asker = Asker(SYSTEM, base_url, lambda: _headers(token), limits, client)
        self._token_name = token_name
        self._clock = clock
        self._version = _VERSION

    async def get_object(self, path: str, about: str) -> Json:
        return as_object(await self.send("GET", path, about), about)

    async def timeline(self, path: str, about: str) -> Json | None:
        """A timeline; None where Azure DevOps answers that the build has none (204, or `null`)."""
        answer = await self.send("GET", path, about)
        if answer.status_code == codes.NO_CONTENT or answer.content.strip() == b"null":
            return None
        return as_object(answer, about)

    async def builds(self, path: str, about: str, params: Mapping[str, str]) -> list[Json]:
        """Every entry of a list, page by page. A list that has no end within reason is too much, never a part."""
        found: list[Json] = []
        token, used = "", set[str]()
        for _ in range(_MOST_PAGES):
            asked = {**params, "$top": str(_PER_PAGE), **({"continuationToken": token} if token else {})}
            answer = await self.send("GET", path, about, params=asked)
            found += _entries(answer, about)
            token = answer.headers.get("x-ms-continuationtoken", "")
            if not token:
                return found
            if token in used:
                raise Failed(Trouble.GARBLED, f"Azure DevOps' list of {about} goes in a circle")
            used.add(token)
        raise Failed(Trouble.TOO_MUCH, f"Azure DevOps lists more than {len(found)} entries of {about}")

    async def log_head(self, path: str, about: str) -> str:
        """The first lines of a log, and no more than 64 KiB of them."""
        lines = f"startLine=0&endLine={_HEAD_LINES}&api-version={self._version}"
        check = partial(self._check, about=about, scope=_READ)
        return (await self._asker.beginning(f"{path}?{lines}", check, most=_LONGEST_HEAD)).decode("utf-8", "replace")

    async def send(
        self,
        method: str,
        path: str,
        about: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        passing: Collection[int] = (),
        tries: int = _TRIES,
    ) -> httpx.Response:
        """One request. `about` says in plain words what it is about; `path` starts behind the base URL.

        Answers whose status is in `passing` are returned like successes. An older server that names the newest
        version which it knows is asked in that version.
        """
        asked = self._version
        answer = await self._asker.send(
            method,
            path,
            self._checked(method, about, asked, passing),
            params={**(params or {}), "api-version": asked},
            json=body,
            tries=tries,
        )
        known = _newest_known(answer) if answer.status_code == codes.BAD_REQUEST else None
        if known is None or known == asked:
            return answer
        self._version = known
        return await self.send(method, path, about, params=params, body=body, passing=passing, tries=tries)

    async def aclose(self) -> None:
        await self._asker.aclose()

    def _checked(self, method: str, about: str, asked: str, passing: Collection[int]) -> Check:
        scope = _READ if method == "GET" else _EXECUTE

        def check(response: httpx.Response) -> None:
            is_older = response.status_code == codes.BAD_REQUEST and _newest_known(response) not in {None, asked}
            if response.status_code not in passing and not is_older:
                self._check(response, about, scope)

        return check

    def _check(self, response: httpx.Response, about: str, scope: str) -> None:
        """Raises for every answer but a success, telling apart what wants different mends."""
        status = response.status_code
        if status == codes.UNAUTHORIZED or _is_sign_in(response):
            wrong = f"{self._token_name} is wrong, expired or of another organisation"
            raise Failed(Trouble.DENIED, f"Azure DevOps refuses the token ({status}): {wrong}")
        if response.is_success:
            return
        if status == codes.TOO_MANY_REQUESTS:
            raise self._throttled(response)
        if status == codes.FORBIDDEN:
            raise Failed(
                Trouble.DENIED, f"Azure DevOps denies {about} (403): {self._token_name} needs the scope {scope}"
            )
        if status in {codes.NOT_FOUND, codes.GONE}:
            raise Absent(f"{about}, or the token may not see it")
        if response.is_server_error:
            wait = self._wait(response)
            raise Failed(Trouble.SERVER_ERROR, f"Azure DevOps has trouble of its own ({status})", retry_after=wait)
        if response.is_redirect:
            detail = f"Azure DevOps has moved {about} ({status}): is the base_url right?"
            raise Failed(Trouble.GARBLED, detail)
        raise Failed(Trouble.GARBLED, f"Azure DevOps gave an answer on {about} that it does not document ({status})")

    def _throttled(self, response: httpx.Response) -> Failed:
        now, wait = self._clock.now(), self._wait(response)
        wait = _PATIENCE if wait is None else min(wait, timedelta(days=1).total_seconds())
        until = (now + timedelta(seconds=wait)).astimezone(UTC).strftime("%H:%M:%S UTC")
        return Failed(Trouble.THROTTLED, f"Azure DevOps throttles the bot until {until}", retry_after=wait)

    def _wait(self, response: httpx.Response) -> float | None:
        return retry_after(response.headers, self._clock.now())


def _headers(token: SecretStr) -> Mapping[str, str]:
    basic = base64.b64encode(f":{token.get_secret_value()}".encode()).decode()
    return {
        "Authorization": f"Basic {basic}",
        "Accept": "application/json, text/plain;q=0.5",
        "X-TFS-FedAuthRedirect": "Suppress",
    }


def as_object(response: httpx.Response, about: str) -> Json:
    """The document of an answer. Raises Failed (garbled) for anything but an object."""
    body = document(response, system=SYSTEM)
    if not isinstance(body, dict):
        raise Failed(Trouble.GARBLED, f"Azure DevOps' answer on {about} has another shape than documented")
    return body


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _entries(response: httpx.Response, about: str) -> list[Json]:
    body = as_object(response, about)
    entries = body.get("value")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Failed(Trouble.GARBLED, f"Azure DevOps' list of {about} has another shape than documented")
    if body.get("count", len(entries)) != len(entries):
        raise Failed(Trouble.GARBLED, f"Azure DevOps' list of {about} shows another number of entries than it counts")
    return entries


def _is_sign_in(response: httpx.Response) -> bool:
    """A bad token does not always bring a 401: a page to sign in comes with 203, or a redirect to it with 302."""
    if response.status_code == codes.NON_AUTHORITATIVE_INFORMATION:
        return True
    target = response.headers.get("location", "").lower()
    return response.is_redirect and ("_signin" in target or "login" in target)


def _newest_known(response: httpx.Response) -> str | None:
    """The newest version of the API that an older server names when it refuses a newer one."""
    found = _OLDER.search(response.text[:2000])
    return found[1] if found else None

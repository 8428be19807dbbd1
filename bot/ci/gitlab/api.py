"""GitLab's REST API as far as the bot asks it: one request, lists that are complete or fail, and a trace's beginning.

Source: https://docs.gitlab.com/api/rest/ (paging, status codes), https://docs.gitlab.com/security/rate_limits/ and
https://docs.gitlab.com/user/profile/personal_access_tokens/ (scopes).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.core.evidence import Trouble
from bot.http.asking import Asker, Limits
from bot.http.client import Absent, Failed, document, retry_after
from bot.http.values import Json, is_count, text
from bot.ports.clock import Clock

SYSTEM = "GitLab"
_PER_PAGE = 100
_MOST_PAGES = 40
_LISTINGS = 3
_WAIT = 60.0  # GitLab's limits are counted by the minute, and a 429 does not always say until when
_TRACE_BYTES = 65536
_HOST = re.compile(
    r"^(?:\d{4}-\d\d-\d\dT[\d:.]+Z \d\d[OE][ +]?)?Running on (?P<host>[A-Za-z0-9][A-Za-z0-9._-]*?)(?: via .*|\.\.\.)?$",
    re.MULTILINE,
)
_DECORATION = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|section_(?:start|end):\d+:[\w.,=\[\]-]+\r?|\r")


class GitLabApi:
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
        self._token_name = token_name
        self._clock = clock
        self._asker = Asker(SYSTEM, base_url, lambda: {"PRIVATE-TOKEN": token.get_secret_value()}, limits, client)

    async def get_object(self, path: str, about: str) -> Json:
        body = document(await self.send("GET", path, about), system=SYSTEM)
        if not isinstance(body, dict):
            raise Failed(Trouble.GARBLED, f"GitLab's answer on {about} has another shape than documented")
        return body

    async def send(
        self,
        method: str,
        path: str,
        about: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        passing: Collection[int] = (),
    ) -> httpx.Response:
        """One request. `about` says in plain words what it is about; what is asked for twice does no harm."""

        def check(response: httpx.Response) -> None:
            if response.status_code not in passing:
                self._check(response, about, "read_api" if method == "GET" else "api")

        return await self._asker.send(method, path, check, params=params, json=json)

    async def listing(
        self, path: str, about: str, params: Mapping[str, str], *, passing: Collection[int] = ()
    ) -> list[Json]:
        """Every entry of a list. `passing` are answers that mean an empty one, if they come first.

        While pages are read, an entry that leaves the list pulls another over the edge of a page and out of sight: a
        list that falls short of GitLab's own count is read again.
        """
        for _ in range(_LISTINGS):
            found, total = await self._pages(path, about, params, passing)
            if len(found) >= total:
                return list(found.values())
        raise Failed(Trouble.GARBLED, f"GitLab counts {total} entries of {about} and shows only {len(found)}")

    async def host(self, path: str, about: str) -> str | None:
        """The machine that a job's trace names at its beginning, before anything that the job itself writes."""
        beginning = await self._asker.beginning(
            path, lambda response: self._check(response, about, "read_api"), most=_TRACE_BYTES
        )
        found = _HOST.search(_DECORATION.sub("", beginning.decode(errors="replace")))
        return found["host"] if found else None

    async def aclose(self) -> None:
        await self._asker.aclose()

    async def _pages(
        self, path: str, about: str, params: Mapping[str, str], passing: Collection[int]
    ) -> tuple[dict[int, Json], int]:
        found: dict[int, Json] = {}
        asked, total = {**params, "per_page": str(_PER_PAGE), "page": "1"}, 0
        for number in range(1, _MOST_PAGES + 1):
            response = await self.send("GET", path, about, params=asked, passing=() if found else passing)
            if response.status_code in passing:
                return found, 0
            entries = _entries(response, about)
            found.update((entry["id"], entry) for entry in entries)
            total = max(total, _header_number(response, "x-total"))
            if not _has_next(response, len(entries)):
                return found, total
            asked = _next_page(response, asked, number)
        raise Failed(
            Trouble.TOO_MUCH, f"GitLab has more than {len(found)} entries of {about}: too many to read in time"
        )

    def _check(self, response: httpx.Response, about: str, scope: str) -> None:
        """Raises for every answer but a success, telling apart what wants different mends."""
        status = response.status_code
        if response.is_success:
            return
        if status == codes.UNAUTHORIZED:
            detail = f"GitLab refuses the token (401): {self._token_name} is wrong, expired or revoked"
            raise Failed(Trouble.DENIED, detail)
        if status == codes.TOO_MANY_REQUESTS:
            raise self._throttled(response)
        if status == codes.FORBIDDEN:
            raise Failed(Trouble.DENIED, self._forbidden(response, about, scope))
        if status in {codes.NOT_FOUND, codes.GONE}:
            raise Absent(f"{about}, or the token may not see it")
        if response.is_server_error:
            raise Failed(Trouble.SERVER_ERROR, f"GitLab has trouble of its own ({status})")
        if response.is_redirect:
            detail = f"GitLab has moved {about} ({status}): was it renamed? Does base_url end in /api/v4?"
            raise Failed(Trouble.GARBLED, detail)
        raise Failed(Trouble.GARBLED, f"GitLab gave an answer on {about} that it does not document ({status})")

    def _forbidden(self, response: httpx.Response, about: str, scope: str) -> str:
        if _error(response) == "insufficient_scope":
            return f"GitLab refuses the token: it lacks `{scope}` (403, {self._token_name})"
        role = "Reporter" if scope == "read_api" else "Maintainer"
        return f"GitLab denies {about} (403): the user of {self._token_name} needs the role {role} in the project"

    def _throttled(self, response: httpx.Response) -> Failed:
        now = self._clock.now()
        wait, reset = retry_after(response.headers, now), _header_number(response, "ratelimit-reset")
        if wait is None and reset:
            wait = max(0.0, reset - now.timestamp())
        wait = min(_WAIT if wait is None else wait, timedelta(days=1).total_seconds())
        until = (now + timedelta(seconds=wait)).astimezone(UTC).strftime("%H:%M:%S UTC")
        return Failed(Trouble.THROTTLED, f"GitLab's rate limit is used up until {until}", retry_after=wait)


def project_path(project: str) -> str:
    return f"/projects/{quote(project, safe='')}"


def _entries(response: httpx.Response, about: str) -> list[Json]:
    body = document(response, system=SYSTEM)
    if not isinstance(body, list) or not all(isinstance(entry, dict) for entry in body):
        raise Failed(Trouble.GARBLED, f"GitLab's list of {about} has another shape than documented")
    if not all(is_count(entry.get("id")) for entry in body):
        raise Failed(Trouble.GARBLED, f"GitLab's list of {about} has an entry without an id")
    return body


def _has_next(response: httpx.Response, shown: int) -> bool:
    """Long lists have no count and may lack every header but these; a full page without them may have a next one."""
    headers = response.headers
    if "next" in response.links or headers.get("x-next-page", "").strip():
        return True
    return shown >= _PER_PAGE and "x-next-page" not in headers


def _next_page(response: httpx.Response, asked: Mapping[str, str], number: int) -> dict[str, str]:
    """The parameters of the next page: of a link only its query is taken, so that the token goes nowhere else."""
    link = response.links.get("next", {}).get("url", "")
    following = response.headers.get("x-next-page", "").strip()
    if following:
        return {**asked, "page": following}
    try:
        query = dict(parse_qsl(urlsplit(link).query))
    except ValueError:
        query = {}
    return {**asked, **query} if query else {**asked, "page": str(number + 1)}


def _header_number(response: httpx.Response, name: str) -> int:
    value = response.headers.get(name, "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,11}", value) else 0


def _error(response: httpx.Response) -> str:
    try:
        body = document(response, system=SYSTEM)
    except Failed:
        return ""
    return text(body.get("error")) if isinstance(body, dict) else ""

"""GitHub's REST API as far as the bot asks it: one request, and lists that are complete or fail.

Source: https://docs.github.com/en/rest/actions and https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.core.evidence import Trouble
from bot.http.client import Absent, Failed, ask, both, document, new_client, retry_after, together
from bot.ports.clock import Clock

SYSTEM = "GitHub"
_VERSION = "2022-11-28"
_FILTERED_PAGES = 10  # "returns up to 1,000 results for each search when using" a filter
_MOST_PAGES = 40
_JOB_PAGES = 20
_AT_ONCE = 40  # the runs of a busy hour are read in one go; GitHub takes no more than 100 requests at a time
_TRIES = 3
_LISTINGS = 3
_OPEN = ("queued", "in_progress", "waiting", "pending", "requested")
_SECONDARY_WAIT = 60.0  # what GitHub asks for where it throttles without saying until when

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect, between two pieces of an answer, and for a whole look-up with its pages and retries.

    `per_page` is how many entries a page has; GitHub shows ten pages of a filtered list.
    """

    connect: float = 3.0
    read: float = 8.0
    overall: float = 10.0
    per_page: int = 100


@dataclass(frozen=True, slots=True)
class _Page:
    entries: tuple[Json, ...]
    total: int
    has_next: bool


class GitHubApi:
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
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._token_name = token_name
        self._clock = clock
        self._limits = limits
        self._client = client or new_client(self._base_url)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def get_object(self, path: str, about: str) -> Json:
        body = document(await self.send("GET", path, about), system=SYSTEM)
        if not isinstance(body, dict):
            raise Failed(Trouble.GARBLED, f"GitHub's answer on {about} has another shape than documented")
        return body

    async def send(
        self,
        method: str,
        path: str,
        about: str,
        *,
        params: Mapping[str, str] | None = None,
        passing: Collection[int] = (),
        tries: int = _TRIES,
    ) -> httpx.Response:
        """One request. `about` says in plain words what it is about; `path` starts behind the base URL.

        Answers whose status is in `passing` are returned like successes.
        """

        def check(response: httpx.Response) -> None:
            if response.status_code not in passing:
                self._check(response, about, "actions: read" if method == "GET" else "actions: write")

        request = self._client.build_request(method, self._base_url + path, params=params, headers=self._headers())
        request.extensions["timeout"] = httpx.Timeout(
            self._limits.read, connect=self._limits.connect, pool=self._limits.overall
        ).as_dict()
        async with self._slots:
            return await ask(self._client, request, check, system=SYSTEM, tries=tries)

    async def few_runs(
        self, path: str, about: str, params: Mapping[str, str], *, since: datetime, guess: int
    ) -> list[Json] | None:
        """Every run of a workflow created at or after `since`; None if there are more than GitHub shows of one list.

        `guess` pages are asked for at once.
        """
        created = {**params, "created": f">={_stamp(since)}"}
        try:
            return list((await self._shown(path, about, created, guess=guess)).values())
        except Failed as failed:
            if failed.trouble is not Trouble.TOO_MUCH:
                raise
            return None

    async def open_and_young_runs(
        self, path: str, about: str, params: Mapping[str, str], *, far: datetime, young: datetime, guess: int
    ) -> list[Json]:
        """The runs of a workflow that are not completed, and every run created at or after `young`, each once.

        Runs that wait for an approval though GitHub calls them completed are read from `far` on, all others that are
        not completed however old they are.
        """

        async def still_open() -> dict[int, Json]:
            asked: list[tuple[str, datetime | None]] = [(status, None) for status in _OPEN]
            asked.append(("action_required", far))
            parts = await together(
                *(self._read_on(path, about, {**params, "status": word}, since=since, guess=1) for word, since in asked)
            )
            return {run_id: entry for part in parts for run_id, entry in part.items()}

        # A run that goes from one status to another may slip through between two lists, so they are read twice. The
        # second time is beside the list by time, which comes after the first: the newer word counts, and of two that
        # are as new the one that says that the run goes on.
        first = await still_open()
        newer, again = await both(self._read_on(path, about, params, since=young, guess=guess), still_open())
        return list({**first, **newer, **again}.values())

    async def _shown(self, path: str, about: str, params: Mapping[str, str], *, guess: int) -> dict[int, Json]:
        """A filtered list that GitHub shows whole. Raises Failed (too much) for a longer one."""
        cap = _FILTERED_PAGES * self._limits.per_page - 1
        found, total = await self._listing(
            path, about, params, key="workflow_runs", guess=guess, most=_FILTERED_PAGES, cap=cap
        )
        if total > cap:
            raise _too_many_runs(about, total)
        if len(found) < total:
            raise _incomplete(about, len(found), total)
        return found

    async def _read_on(
        self, path: str, about: str, params: Mapping[str, str], *, since: datetime | None, guess: int
    ) -> dict[int, Json]:
        """Every run created at or after `since`, if that is given. Raises Failed (too much) beyond 40 pages of them.

        GitHub shows at most 1,000 of a filtered list, newest first, so the range is read on from the oldest run
        that was shown.
        """
        per_page = self._limits.per_page
        cap = _MOST_PAGES * per_page
        found: dict[int, Json] = {}
        total, until = 0, ""
        while True:
            part, part_total = await self._listing(
                path,
                about,
                {**params, **_created(since, until)},
                key="workflow_runs",
                guess=guess,
                most=_FILTERED_PAGES,
                cap=cap,
            )
            found.update(part)
            total = max(total, part_total)
            if total > cap:
                raise _too_many_runs(about, total)
            if part_total < _FILTERED_PAGES * per_page:
                break
            until, before = min(_text(entry, "created_at") for entry in part.values()), until
            if until == before or len(found) > cap:
                raise _too_many_runs(about, max(total, len(found)))
        if len(found) < total:
            raise _incomplete(about, len(found), total)
        return found

    async def jobs(self, path: str, about: str) -> list[Json]:
        """The jobs of all attempts of a run."""
        params = {"filter": "all"}
        cap = _MOST_PAGES * self._limits.per_page
        found, total = await self._listing(path, about, params, key="jobs", guess=1, most=_JOB_PAGES, cap=cap)
        if total > len(found):
            raise _too_much(about, total)
        return list(found.values())

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _listing(
        self, path: str, about: str, params: Mapping[str, str], *, key: str, guess: int, most: int, cap: int
    ) -> tuple[dict[int, Json], int]:
        """The entries by id, and how many GitHub says there are.

        While pages are read, a new run may push another from one page to the next and out of sight: a list that
        falls short of its own count is read again.
        """
        for _ in range(_LISTINGS):
            pages = await self._pages(path, about, params, key=key, guess=guess, most=most, cap=cap)
            total = max(page.total for page in pages)
            found = {_id(entry, about): entry for page in pages for entry in page.entries}
            if len(found) >= min(total, most * self._limits.per_page):
                return found, total
        raise _incomplete(about, len(found), total)

    async def _pages(
        self, path: str, about: str, params: Mapping[str, str], *, key: str, guess: int, most: int, cap: int
    ) -> list[_Page]:
        per_page = self._limits.per_page

        async def page(number: int) -> _Page:
            asked = {**params, "per_page": str(per_page), "page": str(number)}
            return _page(await self.send("GET", path, about, params=asked), key, about)

        pages = await together(*(page(number) for number in range(1, guess + 1)))
        if pages[0].total > cap:
            raise (_too_many_runs if key == "workflow_runs" else _too_much)(about, pages[0].total)
        needed = min(most, -(-pages[0].total // per_page))
        pages += await together(*(page(number) for number in range(guess + 1, needed + 1)))
        while pages[-1].has_next and len(pages) < most:
            pages.append(await page(len(pages) + 1))
        return pages

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": _VERSION,
            "User-Agent": "tflock",
        }

    def _check(self, response: httpx.Response, about: str, permission: str) -> None:
        """Raises for every answer but a success, telling apart what wants different mends."""
        status = response.status_code
        if response.is_success:
            return
        if status == codes.UNAUTHORIZED:
            raise Failed(Trouble.DENIED, f"GitHub refuses the token (401): {self._token_name} is wrong or expired")
        if status == codes.TOO_MANY_REQUESTS or (status == codes.FORBIDDEN and _is_throttling(response)):
            raise self._throttled(response)
        if status == codes.FORBIDDEN:
            sso = ", authorised for the organisation's SSO" if "x-github-sso" in response.headers else ""
            detail = f"GitHub denies {about} (403): {self._token_name} needs the permission {permission}{sso}"
            raise Failed(Trouble.DENIED, detail)
        if status in {codes.NOT_FOUND, codes.GONE}:
            raise Absent(f"{about}, or the token may not see it")
        if response.is_server_error:
            raise Failed(Trouble.SERVER_ERROR, f"GitHub has trouble of its own ({status})")
        if response.is_redirect:
            detail = f"GitHub has moved {about} ({status}): was it renamed? Its new name belongs in the configuration"
            raise Failed(Trouble.GARBLED, detail)
        raise Failed(Trouble.GARBLED, f"GitHub gave an answer on {about} that it does not document ({status})")

    def _throttled(self, response: httpx.Response) -> Failed:
        now = self._clock.now()
        wait = retry_after(response.headers, now)
        reset = response.headers.get("x-ratelimit-reset", "")
        if wait is None and response.headers.get("x-ratelimit-remaining") == "0" and _is_second(reset):
            wait = max(0.0, float(reset) - now.timestamp())
        if wait is None:
            wait = _SECONDARY_WAIT
        wait = min(wait, timedelta(days=1).total_seconds())
        until = (now + timedelta(seconds=wait)).astimezone(UTC).strftime("%H:%M:%S UTC")
        return Failed(Trouble.THROTTLED, f"GitHub's rate limit is used up until {until}", retry_after=wait)


def _page(response: httpx.Response, key: str, about: str) -> _Page:
    body = document(response, system=SYSTEM)
    total = body.get("total_count") if isinstance(body, dict) else None
    entries = body.get(key) if isinstance(body, dict) else None
    if not isinstance(total, int) or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise Failed(Trouble.GARBLED, f"GitHub's list of {about} has another shape than documented")
    return _Page(tuple(entries), total, 'rel="next"' in response.headers.get("link", ""))


def _is_throttling(response: httpx.Response) -> bool:
    """Primary and secondary limits both answer 403 too; only headers and the message tell them from a missing right."""
    headers = response.headers
    return (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or b"rate limit" in response.content.lower()
    )


def _is_second(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,11}", text) is not None


def _id(entry: Json, about: str) -> int:
    value = entry.get("id")
    if not isinstance(value, int):
        raise Failed(Trouble.GARBLED, f"GitHub's list of {about} has an entry without an id")
    return value


def _text(entry: Json, key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _created(since: datetime | None, until: str) -> dict[str, str]:
    """The filter for runs from one time on, up to another; each may be open, and without both there is no filter."""
    if since is None:
        return {"created": f"<={until}"} if until else {}
    return {"created": f"{_stamp(since)}..{until}" if until else f">={_stamp(since)}"}


def _incomplete(about: str, shown: int, total: int) -> Failed:
    return Failed(Trouble.GARBLED, f"GitHub counts {total} entries of {about} and shows only {shown}")


def _too_much(about: str, total: int) -> Failed:
    return Failed(Trouble.TOO_MUCH, f"GitHub counts {total} entries of {about}, more than can be read in time")


def _too_many_runs(about: str, total: int) -> Failed:
    mend = "map it with branch:, let jobs claim their locks, or put the run id in the host name"
    return Failed(Trouble.TOO_MUCH, f"{_too_much(about, total).detail}: {mend}")

"""GitHub's REST API as far as the bot asks it: one request, and lists that are complete or fail.

Source: https://docs.github.com/en/rest/actions and
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.frame import Configured
from bot.core.evidence import Trouble
from bot.http.client import Client, Errors, Failed, Refusal, both, denied, garbled, is_rate_limited, together
from bot.http.pages import MOST_PAGES
from bot.http.values import Json, text

SYSTEM = "GitHub"
PER_PAGE = 100
_VERSION = "2022-11-28"
_FILTERED_PAGES = 10  # "returns up to 1,000 results for each search when using" a filter
_JOB_PAGES = 20
_AT_ONCE = 40  # the runs of a busy hour are read in one go; GitHub takes no more than 100 requests at a time
_LISTINGS = 3
_OPEN = ("queued", "in_progress", "waiting", "pending", "requested")


@dataclass(frozen=True, slots=True)
class _Page:
    entries: tuple[Json, ...]
    total: int
    has_next: bool


class GitHubApi:
    """What is read of GitHub in lists, each complete or failed, by `client`, which sends every other request.

    `per_page` is how many entries a page has; GitHub shows ten pages of a filtered list.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        token_name: str,
        configured: Configured,
        per_page: int,
        http: httpx.AsyncClient | None,
    ) -> None:
        self._per_page = per_page

        def headers() -> Mapping[str, str]:
            return {
                "Authorization": f"Bearer {token.get_secret_value()}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": _VERSION,
            }

        def errors(no: Refusal) -> Errors:
            needs = "actions: read" if no.response.request.method == "GET" else "actions: write"
            sso = ", authorised for the organisation's SSO" if "x-github-sso" in no.response.headers else ""
            refused = f"GitHub denies {no.deed} (403): {token_name} needs the permission {needs}{sso}"
            moved = (
                f"GitHub has moved {no.deed} ({no.status}): was it renamed? Its new name belongs in the configuration"
            )
            return {
                codes.UNAUTHORIZED: denied(f"GitHub refuses the token (401): {token_name} is wrong or expired"),
                codes.FORBIDDEN: no.throttled() if is_rate_limited(no.response) else denied(refused),
                3: garbled(moved),
            }

        self.client = Client(
            SYSTEM,
            base_url,
            headers=headers,
            errors=errors,
            clock=configured.clock,
            limits=configured.limits,
            at_once=_AT_ONCE,
            http=http,
        )

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

        # A run that moves from one status to another may slip through between two lists, so they are read twice. The
        # second time is together with the list by time, which comes after the first: the newer word counts, and of two
        # that are as new the one that says that the run is active.
        first = await still_open()
        newer, again = await both(self._read_on(path, about, params, since=young, guess=guess), still_open())
        return list({**first, **newer, **again}.values())

    async def completed_runs(
        self, path: str, about: str, params: Mapping[str, str], *, since: datetime, until: datetime
    ) -> list[Json]:
        """The completed runs of a workflow created in this time. Raises Failed (too much) beyond 40 pages of them."""
        asked = {**params, "status": "completed"}
        found = await self._read_on(path, about, asked, since=since, until=_stamp(until), guess=_FILTERED_PAGES)
        return list(found.values())

    async def _shown(self, path: str, about: str, params: Mapping[str, str], *, guess: int) -> dict[int, Json]:
        """A filtered list that GitHub shows whole. Raises Failed (too much) for a longer one."""
        cap = _FILTERED_PAGES * self._per_page - 1
        found, total = await self._listing(
            path, about, params, key="workflow_runs", guess=guess, most=_FILTERED_PAGES, cap=cap
        )
        if total > cap:
            raise _too_many_runs(about, total)
        if len(found) < total:
            raise _incomplete(about, len(found), total)
        return found

    async def _read_on(
        self, path: str, about: str, params: Mapping[str, str], *, since: datetime | None, guess: int, until: str = ""
    ) -> dict[int, Json]:
        """Every run created at or after `since` and up to `until`, if those are given. Raises Failed (too much) beyond
        40 pages of them.

        GitHub shows at most 1,000 of a filtered list, newest first, so the range is read on from the oldest run
        that was shown.
        """
        per_page = self._per_page
        cap = MOST_PAGES * per_page
        found: dict[int, Json] = {}
        total = 0
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
            until, before = min(text(entry.get("created_at")) for entry in part.values()), until
            if until == before or len(found) > cap:
                raise _too_many_runs(about, max(total, len(found)))
        if len(found) < total:
            raise _incomplete(about, len(found), total)
        return found

    async def jobs(self, path: str, about: str) -> list[Json]:
        params = {"filter": "all"}
        cap = MOST_PAGES * self._per_page
        found, total = await self._listing(path, about, params, key="jobs", guess=1, most=_JOB_PAGES, cap=cap)
        if total > len(found):
            raise _too_much(about, total)
        return list(found.values())

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
            if len(found) >= min(total, most * self._per_page):
                return found, total
        raise _incomplete(about, len(found), total)

    async def _pages(
        self, path: str, about: str, params: Mapping[str, str], *, key: str, guess: int, most: int, cap: int
    ) -> list[_Page]:
        per_page = self._per_page

        async def page(number: int) -> _Page:
            asked = {**params, "per_page": str(per_page), "page": str(number)}
            response = await self.client.send("GET", path, about, params=asked)
            found = self.client.document(response)
            body = found if isinstance(found, dict) else {}
            total: Any = body.get("total_count")
            entries = self.client.objects(body.get(key) if isinstance(total, int) else None, about)
            return _Page(tuple(entries), total, "next" in response.links)

        pages = await together(*(page(number) for number in range(1, guess + 1)))
        if pages[0].total > cap:
            raise (_too_many_runs if key == "workflow_runs" else _too_much)(about, pages[0].total)
        needed = min(most, -(-pages[0].total // per_page))
        pages += await together(*(page(number) for number in range(guess + 1, needed + 1)))
        while pages[-1].has_next and len(pages) < most:
            pages.append(await page(len(pages) + 1))
        return pages


def _id(entry: Json, about: str) -> int:
    value = entry.get("id")
    if not isinstance(value, int):
        raise garbled(f"GitHub's list of {about} has an entry without an id")
    return value


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _created(since: datetime | None, until: str) -> dict[str, str]:
    """The filter for runs from one time on, up to another; each may be open, and without both there is no filter."""
    if since is None:
        return {"created": f"<={until}"} if until else {}
    return {"created": f"{_stamp(since)}..{until}" if until else f">={_stamp(since)}"}


def _incomplete(about: str, shown: int, total: int) -> Failed:
    return garbled(f"GitHub counts {total} entries of {about} and shows only {shown}")


def _too_much(about: str, total: int) -> Failed:
    return Failed(Trouble.TOO_MUCH, f"GitHub counts {total} entries of {about}, more than can be read in time")


def _too_many_runs(about: str, total: int) -> Failed:
    fix = "map it with branch:, let jobs claim their locks, or put the run id in the host name"
    return Failed(Trouble.TOO_MUCH, f"{_too_much(about, total).detail}: {fix}")

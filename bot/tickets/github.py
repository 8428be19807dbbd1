"""Follow-ups as issues of a GitHub repository. Implements `bot.ports.Tickets`.

Sources: docs.github.com/en/rest/issues/issues, docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
The marker is a comment in the issue's text: labels are "silently dropped" for those who may not push, and the search
is behind the truth, while the list of issues is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.core.account.ticket import Filing, Readiness, Ticket
from bot.core.evidence import Observation, Trouble
from bot.ports.clock import Clock
from bot.tickets._http import Asker, Failed, document, filed, observed, page_of, readiness, wait_named

SYSTEM = "GitHub"
LABEL = "tflock"
_VERSION = "2022-11-28"
_PER_PAGE, _MOST_PAGES = 100, 10
_SECONDARY_WAIT = 60.0  # what GitHub asks for where it throttles without saying until when


class GitHubTickets:
    """`write` makes the Markdown of a ticket, the marker's comment in it. `token_name` is for messages."""

    def __init__(
        self,
        *,
        repo: str,
        base_url: str,
        token: SecretStr,
        token_name: str,
        clock: Clock,
        write: Callable[[Ticket], str],
    ) -> None:
        self._repo = repo
        self._path = f"/repos/{quote(repo, safe='/')}"
        self._token = token
        self._token_name = token_name
        self._clock = clock
        self._write = write
        self._asker = Asker(SYSTEM, base_url, self._credentials, self._complaint)

    @property
    def system(self) -> str:
        return SYSTEM

    @property
    def place(self) -> str:
        return self._repo

    async def find(self, marker: str, *, since: datetime) -> Observation[str]:
        return await observed(lambda: self._look(marker, since), system=SYSTEM, clock=self._clock)

    async def file(self, ticket: Ticket) -> Filing:
        return await filed(lambda: self._send(ticket), system=SYSTEM)

    async def ready(self) -> Readiness:
        return await readiness(self._rights, system=SYSTEM)

    async def aclose(self) -> None:
        await self._asker.aclose()

    async def _send(self, ticket: Ticket) -> str:
        body = {"title": ticket.title, "body": self._write(ticket), "labels": [LABEL]}
        made = document(await self._asker.post(f"{self._path}/issues", body), SYSTEM)
        return page_of(made.get("html_url") if isinstance(made, dict) else None, SYSTEM)

    async def _look(self, marker: str, since: datetime) -> str | None:
        """Every issue that was changed since; pull requests are in the same list."""
        params = {
            "state": "all",
            "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sort": "created",
            "direction": "desc",
            "per_page": str(_PER_PAGE),
        }
        for page in range(1, _MOST_PAGES + 1):
            response = await self._asker.get(f"{self._path}/issues", {**params, "page": str(page)})
            for issue in _list(response):
                if f"<!-- {marker} -->" in str(issue.get("body") or "") and "pull_request" not in issue:
                    return page_of(issue.get("html_url"), SYSTEM)
            if "next" not in response.links:
                return None
        raise Failed(Trouble.TOO_MUCH, f"more than {_PER_PAGE * _MOST_PAGES} issues of {self._repo} changed since then")

    async def _rights(self) -> Readiness:
        response = await self._asker.get(self._path)
        repo = document(response, SYSTEM)
        if not isinstance(repo, dict):
            raise Failed(Trouble.GARBLED, f"{SYSTEM}'s answer is no repository")
        if repo.get("archived"):
            return Readiness(is_ready=False, detail=f"{self._repo} is archived", mend="name another tickets.repo")
        if repo.get("has_issues") is False:
            detail = f"issues are switched off in {self._repo}"
            return Readiness(is_ready=False, detail=detail, mend="switch them on, or name another tickets.repo")
        scopes = response.headers.get("x-oauth-scopes")  # classic tokens alone have it
        wanted = {"repo"} if repo.get("private") else {"repo", "public_repo"}
        if scopes and not wanted & {scope.strip() for scope in scopes.split(",")}:
            detail = f"the token in {self._token_name} may not write to {self._repo}"
            return Readiness(is_ready=False, detail=detail, mend="give it the scope repo, or Issues: write")
        return Readiness(is_ready=True, detail=f"{self._repo} takes issues")

    def _credentials(self) -> Mapping[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "X-GitHub-Api-Version": _VERSION,
        }

    def _complaint(self, response: httpx.Response) -> Failed | None:
        code = response.status_code
        if response.is_success:
            return None
        if code == codes.TOO_MANY_REQUESTS or (code == codes.FORBIDDEN and _is_throttling(response)):
            wait = _wait(response, self._clock.now())
            return Failed(Trouble.THROTTLED, f"{SYSTEM} asks for patience", retry_after=wait)
        if code >= codes.INTERNAL_SERVER_ERROR:
            return Failed(Trouble.SERVER_ERROR, f"{SYSTEM} answered with an error of its own (HTTP {code})")
        detail, mend = self._refusal(code)
        return Failed(Trouble.DENIED, detail, mend=mend)

    def _refusal(self, code: int) -> tuple[str, str]:
        token, repo = self._token_name, self._repo
        if codes.is_redirect(code):
            return f"{repo} has moved (HTTP {code})", "put its new name into tickets.repo"
        refusals: Mapping[int, tuple[str, str]] = {
            codes.UNAUTHORIZED: (f"{SYSTEM} does not take the token in {token} (HTTP 401)", f"renew {token}"),
            codes.FORBIDDEN: (
                f"the token in {token} may not file issues in {repo} (HTTP 403)",
                "give it Issues: write, or the scope repo",
            ),
            codes.NOT_FOUND: (
                f"there is no {repo} for the token in {token} (HTTP 404)",
                "correct tickets.repo, or let the token see it",
            ),
            codes.GONE: (
                f"issues are switched off in {repo} (HTTP 410)",
                "switch them on, or name another tickets.repo",
            ),
            codes.UNPROCESSABLE_ENTITY: (
                f"{SYSTEM} did not take the issue (HTTP 422)",
                f"see whether {repo} restricts who may open issues",
            ),
        }
        return refusals.get(code, (f"{SYSTEM} refused (HTTP {code})", "correct tickets in the configuration"))


def _list(response: httpx.Response) -> list[Mapping[str, Any]]:
    issues = document(response, SYSTEM)
    if not isinstance(issues, list) or not all(isinstance(issue, dict) for issue in issues):
        raise Failed(Trouble.GARBLED, f"{SYSTEM}'s answer is no list of issues")
    return issues


def _is_throttling(response: httpx.Response) -> bool:
    headers = response.headers
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers or "rate limit" in response.text


def _wait(response: httpx.Response, now: datetime) -> float:
    named, reset = wait_named(response.headers, now), response.headers.get("x-ratelimit-reset", "")
    if named is not None:
        return named
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdigit():
        return max(0.0, int(reset) - now.timestamp())
    return _SECONDARY_WAIT

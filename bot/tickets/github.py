"""Follow-ups as issues of a GitHub repository. Implements `bot.ports.tickets.Tickets`.

Sources: docs.github.com/en/rest/issues/issues, docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
The marker is a comment in the issue's text: labels are "silently dropped" for those who may not push, and the search
is behind the truth, while the list of issues is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from httpx import codes
from pydantic import SecretStr

from bot.core.account.ticket import Filing, Ticket, TicketReadiness
from bot.core.evidence import Observation, Trouble
from bot.http.client import Absent, Client, Errors, Failed, Refusal, denied, garbled, is_rate_limited
from bot.ports.clock import Clock
from bot.tickets.outcome import LIMITS, errors, filed, found, page_of, ready

SYSTEM = "GitHub"
LABEL = "tflock"
_VERSION = "2022-11-28"
_PER_PAGE, _MOST_PAGES = 100, 10


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
        self._client = Client(
            SYSTEM, base_url, headers=self._credentials, errors=self._errors, clock=clock, limits=LIMITS
        )

    @property
    def system(self) -> str:
        return SYSTEM

    @property
    def place(self) -> str:
        return self._repo

    async def find(self, marker: str, *, since: datetime) -> Observation[str]:
        return await found(lambda: self._look(marker, since), self._client, self._clock)

    async def file(self, ticket: Ticket) -> Filing:
        return await filed(lambda: self._send(ticket), self._client)

    async def ready(self) -> TicketReadiness:
        return await ready(self._rights, self._client)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _send(self, ticket: Ticket) -> str:
        body = {"title": ticket.title, "body": self._write(ticket), "labels": [LABEL]}
        made = self._client.document(
            await self._client.send("POST", f"{self._path}/issues", "the ticket", json=body, tries=1)
        )
        return page_of(made.get("html_url") if isinstance(made, dict) else None, SYSTEM)

    async def _look(self, marker: str, since: datetime) -> str:
        """Every issue that was changed since; pull requests are in the same list."""
        params = {
            "state": "all",
            "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sort": "created",
            "direction": "desc",
            "per_page": str(_PER_PAGE),
        }
        for page in range(1, _MOST_PAGES + 1):
            response = await self._client.send(
                "GET", f"{self._path}/issues", self.place, params={**params, "page": str(page)}
            )
            for issue in self._client.objects(self._client.document(response), f"the issues of {self._repo}"):
                if f"<!-- {marker} -->" in str(issue.get("body") or "") and "pull_request" not in issue:
                    return page_of(issue.get("html_url"), SYSTEM)
            if "next" not in response.links:
                raise Absent("no such ticket")
        raise Failed(Trouble.TOO_MUCH, f"more than {_PER_PAGE * _MOST_PAGES} issues of {self._repo} changed since then")

    async def _rights(self) -> TicketReadiness:
        response = await self._client.send("GET", self._path, self.place)
        repo = self._client.document(response)
        if not isinstance(repo, dict):
            raise garbled(f"{SYSTEM}'s answer is no repository")
        if repo.get("archived"):
            return TicketReadiness(is_ready=False, detail=f"{self._repo} is archived", fix="name another tickets.repo")
        if repo.get("has_issues") is False:
            detail = f"issues are switched off in {self._repo}"
            return TicketReadiness(is_ready=False, detail=detail, fix="switch them on, or name another tickets.repo")
        scopes = response.headers.get("x-oauth-scopes")  # classic tokens alone have it
        wanted = {"repo"} if repo.get("private") else {"repo", "public_repo"}
        if scopes and not wanted & {scope.strip() for scope in scopes.split(",")}:
            detail = f"the token in {self._token_name} may not write to {self._repo}"
            return TicketReadiness(is_ready=False, detail=detail, fix="give it the scope repo, or Issues: write")
        return TicketReadiness(is_ready=True, detail=f"{self._repo} takes issues")

    def _credentials(self) -> Mapping[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "X-GitHub-Api-Version": _VERSION,
        }

    def _errors(self, no: Refusal) -> Errors:
        token, repo = self._token_name, self._repo
        wait = no.throttled().retry_after
        asks_for_patience = Failed(Trouble.THROTTLED, f"{SYSTEM} asks for patience", retry_after=wait)
        refused = denied(
            f"the token in {token} may not file issues in {repo} (HTTP 403)", "give it Issues: write, or the scope repo"
        )
        return {
            **errors(no),
            codes.UNAUTHORIZED: denied(f"{SYSTEM} does not take the token in {token} (HTTP 401)", f"renew {token}"),
            codes.FORBIDDEN: asks_for_patience if is_rate_limited(no.response) else refused,
            codes.TOO_MANY_REQUESTS: asks_for_patience,
            codes.NOT_FOUND: denied(
                f"there is no {repo} for the token in {token} (HTTP 404)",
                "correct tickets.repo, or let the token see it",
            ),
            codes.GONE: denied(
                f"issues are switched off in {repo} (HTTP 410)", "switch them on, or name another tickets.repo"
            ),
            codes.UNPROCESSABLE_ENTITY: denied(
                f"{SYSTEM} did not take the issue (HTTP 422)", f"see whether {repo} restricts who may open issues"
            ),
            3: denied(f"{repo} has moved (HTTP {no.status})", "put its new name into tickets.repo"),
        }

"""Follow-ups as issues of a GitHub repository. For `bot.tickets.frame.Tracker`.

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

from bot.core.account.ticket import Ticket, TicketReadiness
from bot.core.evidence import Trouble
from bot.http.client import Client, Errors, Failed, Refusal, denied, garbled, is_rate_limited
from bot.ports.clock import Clock
from bot.tickets.frame import LABEL, LIMITS, errors, issue_marked, page_of

SYSTEM = "GitHub"
_VERSION = "2022-11-28"


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
        self.place = repo
        self._path = f"/repos/{quote(repo, safe='/')}"
        self._token = token
        self._token_name = token_name
        self._write = write
        self.client = Client(
            SYSTEM, base_url, headers=self._credentials, errors=self._errors, clock=clock, limits=LIMITS
        )

    async def send(self, ticket: Ticket) -> str:
        body = {"title": ticket.title, "body": self._write(ticket), "labels": [LABEL]}
        answer = await self.client.send("POST", f"{self._path}/issues", "the ticket", json=body, tries=1)
        return page_of(self.client.document(answer), "html_url", SYSTEM)

    async def look(self, marker: str, since: datetime) -> str:
        """Every issue that was changed since; pull requests are in the same list."""
        params = {
            "state": "all",
            "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sort": "created",
            "direction": "desc",
        }
        found = await issue_marked(
            self.client,
            f"{self._path}/issues",
            self.place,
            params,
            is_marked=lambda issue: f"<!-- {marker} -->" in str(issue.get("body")) and "pull_request" not in issue,
            has_next=lambda answer: "next" in answer.links,
            too_much=lambda count: f"more than {count} issues of {self.place} changed since then",
        )
        return page_of(found, "html_url", SYSTEM)

    async def rights(self) -> TicketReadiness:
        response = await self.client.send("GET", self._path, self.place)
        repo = self.client.document(response)
        if not isinstance(repo, dict):
            raise garbled(f"{SYSTEM}'s answer is not a repository")
        if repo.get("archived"):
            return TicketReadiness(is_ready=False, detail=f"{self.place} is archived", fix="name another tickets.repo")
        if repo.get("has_issues") is False:
            detail = f"issues are switched off in {self.place}"
            return TicketReadiness(is_ready=False, detail=detail, fix="switch them on, or name another tickets.repo")
        scopes = response.headers.get("x-oauth-scopes")  # only classic tokens have it
        wanted = {"repo"} if repo.get("private") else {"repo", "public_repo"}
        if scopes and not wanted & {scope.strip() for scope in scopes.split(",")}:
            detail = f"the token in {self._token_name} may not write to {self.place}"
            return TicketReadiness(is_ready=False, detail=detail, fix="give it the scope repo, or Issues: write")
        return TicketReadiness(is_ready=True, detail=f"{self.place} takes issues")

    def _credentials(self) -> Mapping[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "X-GitHub-Api-Version": _VERSION,
        }

    def _errors(self, no: Refusal) -> Errors:
        token, repo = self._token_name, self.place
        wait = no.throttled().retry_after
        asks_for_patience = Failed(Trouble.THROTTLED, f"{SYSTEM} asks for patience", retry_after=wait)
        refused = denied(
            f"the token in {token} may not file issues in {repo} (HTTP 403)", "give it Issues: write, or the scope repo"
        )
        return {
            **errors(no),
            codes.UNAUTHORIZED: denied(f"{SYSTEM} does not accept the token in {token} (HTTP 401)", f"renew {token}"),
            codes.FORBIDDEN: asks_for_patience if is_rate_limited(no.response) else refused,
            codes.TOO_MANY_REQUESTS: asks_for_patience,
            codes.NOT_FOUND: denied(
                f"the token in {token} cannot see {repo} (HTTP 404)",
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

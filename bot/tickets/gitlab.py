"""Follow-ups as issues of a GitLab project. For `bot.tickets.frame.Tracker`.

Sources: docs.gitlab.com/api/issues, docs.gitlab.com/api/projects, docs.gitlab.com/api/personal_access_tokens.
The marker is a comment in the issue's description; the list of a project's issues is read for it, as the search index
is filled afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from httpx import codes
from pydantic import SecretStr

from bot.core.account.ticket import Ticket, TicketReadiness
from bot.core.evidence import Trouble
from bot.http.client import Client, Errors, Failed, Refusal, denied, garbled
from bot.ports.clock import Clock
from bot.tickets.frame import LABEL, LIMITS, errors, issue_marked, page_of

SYSTEM = "GitLab"
REPORTER = 20


class GitLabTickets:
    """`write` makes the Markdown of a ticket, the marker's comment in it. `token_name` is for messages."""

    def __init__(
        self,
        *,
        project: str,
        base_url: str,
        token: SecretStr,
        token_name: str,
        clock: Clock,
        write: Callable[[Ticket], str],
    ) -> None:
        self.place = project
        self._path = f"/projects/{quote(project, safe='')}"
        self._token = token
        self._token_name = token_name
        self._write = write
        self.client = Client(
            SYSTEM, base_url, headers=self._credentials, errors=self._errors, clock=clock, limits=LIMITS
        )

    async def send(self, ticket: Ticket) -> str:
        body = {"title": ticket.title, "description": self._write(ticket), "labels": LABEL}
        answer = await self.client.send("POST", f"{self._path}/issues", "the ticket", json=body, tries=1)
        return page_of(self.client.document(answer), "web_url", SYSTEM)

    async def look(self, marker: str, since: datetime) -> str:
        params = {
            "scope": "all",
            "state": "all",
            "created_after": since.astimezone(UTC).isoformat(timespec="seconds"),
            "order_by": "created_at",
            "sort": "desc",
        }
        found = await issue_marked(
            self.client,
            f"{self._path}/issues",
            self.place,
            params,
            is_marked=lambda issue: f"<!-- {marker} -->" in str(issue.get("description")),
            has_next=lambda answer: bool(answer.headers.get("x-next-page", "").strip()),
            too_much=lambda count: f"{self.place} has more than {count} issues since then",
        )
        return page_of(found, "web_url", SYSTEM)

    async def rights(self) -> TicketReadiness:
        scopes = await self._scopes()
        if scopes is not None and "api" not in scopes:
            detail = f"the token in {self._token_name} may only read"
            return TicketReadiness(is_ready=False, detail=detail, fix="give it the scope api")
        project = self.client.document(await self.client.send("GET", self._path, self.place))
        if not isinstance(project, dict):
            raise garbled(f"{SYSTEM}'s answer is not a project")
        if project.get("archived"):
            return TicketReadiness(
                is_ready=False, detail=f"{self.place} is archived", fix="name another tickets.project"
            )
        if project.get("issues_enabled") is False or project.get("issues_access_level") == "disabled":
            detail = f"issues are switched off in {self.place}"
            return TicketReadiness(is_ready=False, detail=detail, fix="switch them on, or name another tickets.project")
        if _level(project) < REPORTER:
            detail = f"the token in {self._token_name} is less than a Reporter in {self.place}"
            return TicketReadiness(is_ready=False, detail=detail, fix="give it the role Reporter")
        return TicketReadiness(is_ready=True, detail=f"{self.place} takes issues")

    async def _scopes(self) -> list[str] | None:
        """None for a kind of token that GitLab does not describe."""
        try:
            token = self.client.document(await self.client.send("GET", "/personal_access_tokens/self", self.place))
        except Failed as failed:
            if failed.trouble is Trouble.DENIED:
                return None
            raise
        scopes = token.get("scopes") if isinstance(token, dict) else None
        return scopes if isinstance(scopes, list) else None

    def _credentials(self) -> Mapping[str, str]:
        return {"PRIVATE-TOKEN": self._token.get_secret_value()}

    def _errors(self, no: Refusal) -> Errors:
        token, project = self._token_name, self.place
        return {
            **errors(no),
            codes.UNAUTHORIZED: denied(f"{SYSTEM} does not accept the token in {token} (HTTP 401)", f"renew {token}"),
            codes.FORBIDDEN: denied(
                f"the token in {token} may not file issues in {project} (HTTP 403)",
                "give it the scope api and the role Reporter, and see that issues are switched on",
            ),
            codes.NOT_FOUND: denied(
                f"there is no {project} for the token in {token} (HTTP 404)",
                "correct tickets.project, or make the token's user a member",
            ),
            codes.GONE: denied(
                f"issues are switched off in {project} (HTTP 410)", "switch them on, or name another tickets.project"
            ),
            codes.UNPROCESSABLE_ENTITY: denied(
                f"{SYSTEM} did not take the issue (HTTP 422)",
                "see whether the project restricts who may open issues",
            ),
            3: denied(f"{project} has moved (HTTP {no.status})", "correct tickets.project or tickets.base_url"),
        }


def _level(project: Mapping[str, Any]) -> int:
    """The highest of the levels that project and group give."""
    given = project.get("permissions")
    accesses = given.values() if isinstance(given, dict) else ()
    levels = [access.get("access_level") for access in accesses if isinstance(access, dict)]
    return max((level for level in levels if isinstance(level, int)), default=0)

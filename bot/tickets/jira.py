"""Follow-ups as issues of a Jira Cloud project. For `bot.tickets.frame.Tracker`.

Source: developer.atlassian.com/cloud/jira/platform/rest/v3. The marker is a label, which JQL finds by its whole name.
The search is behind the truth by some seconds: who looks for what may just have been filed must wait that long.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.core.account.ticket import Ticket, TicketReadiness
from bot.http.client import Absent, Client, Errors, Failed, Refusal, denied, garbled
from bot.ports.clock import Clock
from bot.tickets.adf import adf_of
from bot.tickets.frame import LABEL, LIMITS, errors

SYSTEM = "Jira"
_API = "/rest/api/3"
_RIGHTS = {"BROWSE_PROJECTS": "Browse projects", "CREATE_ISSUES": "Create issues"}


class JiraTickets:
    """`user` is the e-mail address of the token's account. `user_name` and `token_name` are for messages."""

    def __init__(
        self,
        *,
        project: str,
        issue_type: str,
        base_url: str,
        user: SecretStr,
        user_name: str,
        token: SecretStr,
        token_name: str,
        clock: Clock,
    ) -> None:
        self.place = project
        self._issue_type = issue_type
        self._base_url = base_url.rstrip("/")
        self._user = user
        self._token = token
        self._names = f"{user_name} and {token_name}"
        self.client = Client(
            SYSTEM,
            base_url,
            headers=self._credentials,
            errors=self._errors,
            is_stranger=_is_stranger,
            clock=clock,
            limits=LIMITS,
        )

    async def send(self, ticket: Ticket) -> str:
        fields = {
            "project": {"key": self.place},
            "issuetype": {"name": self._issue_type},
            "summary": ticket.title,
            "description": adf_of(ticket),
            "labels": [LABEL, ticket.marker],
        }
        sent = {"fields": fields}
        answer = await self.client.send("POST", f"{_API}/issue", "the ticket", json=sent, tries=1)
        return self._page(self.client.document(answer))

    async def look(self, marker: str, since: datetime) -> str:  # noqa: ARG002 - the label says it all
        jql = f'project = "{_quoted(self.place)}" AND labels = "{_quoted(marker)}"'
        params = {"jql": jql, "fields": "labels", "maxResults": "10"}
        answer = self.client.document(await self.client.send("GET", f"{_API}/search/jql", self.place, params=params))
        issues = answer.get("issues") if isinstance(answer, dict) else None
        if not isinstance(issues, list):
            raise garbled(f"{SYSTEM}'s answer is not a list of issues")
        if not issues:
            raise Absent("no such ticket")
        return self._page(issues[0])

    async def rights(self) -> TicketReadiness:
        params = {"projectKey": self.place, "permissions": ",".join(_RIGHTS)}
        answer = self.client.document(await self.client.send("GET", f"{_API}/mypermissions", self.place, params=params))
        given = answer.get("permissions") if isinstance(answer, dict) else None
        if not isinstance(given, dict):
            raise garbled(f"{SYSTEM}'s answer names no permissions")
        missing = [words for name, words in _RIGHTS.items() if not _has(given, name)]
        if missing:
            detail = f"the account of {self._names} lacks {' and '.join(missing)} in {self.place}"
            return TicketReadiness(is_ready=False, detail=detail, fix="grant it in the project's permission scheme")
        return TicketReadiness(is_ready=True, detail=f"{self.place} takes issues")

    def _page(self, issue: object) -> str:
        key = issue.get("key") if isinstance(issue, dict) else None
        if not isinstance(key, str) or not key:
            raise garbled(f"{SYSTEM}'s answer does not say where the ticket is")
        return f"{self._base_url}/browse/{quote(key, safe='')}"

    def _credentials(self) -> Mapping[str, str]:
        both = f"{self._user.get_secret_value()}:{self._token.get_secret_value()}"
        basic = base64.b64encode(both.encode()).decode()
        return {"Accept": "application/json", "Authorization": f"Basic {basic}"}

    def _errors(self, no: Refusal) -> Errors:
        return {
            **errors(no),
            codes.UNAUTHORIZED: denied(
                f"{SYSTEM} does not take {self._names} (HTTP {no.status})", "make a new API token for that account"
            ),
            codes.BAD_REQUEST: denied(*self._lacking(self._fields_in(no.response))),
            codes.FORBIDDEN: denied(
                f"the account of {self._names} may not file issues in {self.place} (HTTP 403)",
                "grant it Create issues there",
            ),
            codes.NOT_FOUND: denied(
                f"there is no project {self.place} for {self._names} (HTTP 404)",
                "correct tickets.project, or grant the account Browse projects",
            ),
        }

    def _lacking(self, fields: list[str]) -> tuple[str, str]:
        """What Jira says of fields is shown by the fields' names only: the rest is in the account's language."""
        named = f": {', '.join(fields)}" if fields else ""
        detail = f"{SYSTEM} did not take the issue (HTTP 400){named}"
        fixes = {
            "project": "correct tickets.project, or grant the account Create issues there",
            "issuetype": "name a type that the project has in tickets.issue_type",
            "labels": "put Labels on the project's create screen",
        }
        return detail, next((fixes[field] for field in fields if field in fixes), "make its other fields optional")

    def _fields_in(self, response: httpx.Response) -> list[str]:
        try:
            answer = self.client.document(response)
        except Failed:
            return []
        errors = answer.get("errors") if isinstance(answer, dict) else None
        names = [name for name in errors if isinstance(name, str)] if isinstance(errors, dict) else []
        return [name[:40] for name in names[:5] if name.replace("_", "").isalnum()]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _has(given: Mapping[str, Any], name: str) -> bool:
    right = given.get(name)
    return isinstance(right, dict) and right.get("havePermission") is True


def _is_stranger(response: httpx.Response) -> bool:
    """With credentials that are wrong Jira may answer as to a stranger; then its header says so."""
    return "AUTHENTICATED_FAILED" in response.headers.get("x-seraph-loginreason", "").upper()

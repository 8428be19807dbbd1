"""The ticket systems on loopback: as much of GitHub's, GitLab's and Jira's APIs as filing a ticket takes.

async with GitHubIssues() as github:
    tracker_of(github)

They check credentials, shapes and limits as the systems document them, and drop labels where those do. After `cut(n)`
the next n tickets are taken and the connection is cut before the answer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from pydantic import SecretStr

from bot.app.adapters import SystemClock
from bot.export.markdown.ticket import ticket_markdown
from bot.sandbox.stand_in import Refused, Serve, paged
from bot.tickets.frame import Tracker
from bot.tickets.github import GitHubTickets
from bot.tickets.gitlab import GitLabTickets
from bot.tickets.jira import JiraTickets
from tests.worlds.stand_in import FaultyStandIn

_QUICK_ACTION = re.compile(r"^/[a-z_]+", re.MULTILINE)
_ADF_BLOCKS = frozenset({"paragraph", "heading", "orderedList", "bulletList", "listItem"})


@dataclass(slots=True)
class Issue:
    """An issue as it was taken. `text` is its Markdown, or its document as JSON."""

    number: int
    title: str
    text: str
    labels: tuple[str, ...]
    at: datetime
    is_open: bool = True
    is_pull_request: bool = False


@dataclass(kw_only=True)
class Desk(FaultyStandIn):
    """What the three have in common: issues in order, and connections to be cut.

    `holds` are the seconds between taking a ticket and the answer.
    """

    token: str
    place: str
    issues: list[Issue] = field(default_factory=list, init=False)
    cuts: int = field(default=0, init=False)
    holds: float = field(default=0, init=False)

    def cut(self, times: int = 1) -> None:
        self.cuts = times

    def take(self, title: str, text: str, labels: Sequence[str] = (), *, is_pull_request: bool = False) -> Issue:
        issue = Issue(len(self.issues) + 1, title, text, tuple(labels), self.now(), is_pull_request=is_pull_request)
        self.issues.append(issue)
        return issue

    async def taken(self, request: web.Request, body: Mapping[str, Any]) -> web.Response:
        """The answer to a ticket that was taken; or none."""
        await asyncio.sleep(self.holds)
        if self.cuts > 0:
            self.cuts -= 1
            if request.transport is not None:
                request.transport.abort()
        return self.answer(body, 201)


@dataclass(kw_only=True)
class GitHubIssues(Desk):
    """GitHub's REST API. `token` may push, `reading_token` may read; a token that may not push loses its labels."""

    token: str = "sandbox-github-ticket-token"
    reading_token: str = "sandbox-github-reading-token"
    place: str = "acme/infra"
    has_issues: bool = True
    is_archived: bool = False
    can_push: bool = True
    scopes: str | None = None

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        root = "/repos/{owner}/{name}"
        return {f"GET {root}": self._repository, f"GET {root}/issues": self._list, f"POST {root}/issues": self._create}

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        if not request.headers.get("User-Agent"):
            raise _message(403, "Request forbidden by administrative rules.")
        if request.headers.get("X-GitHub-Api-Version", "2022-11-28") != "2022-11-28":
            raise _message(400, "this is not a supported API version")
        token = request.headers.get("Authorization", "")
        if token not in {f"Bearer {self.token}", f"Bearer {self.reading_token}"}:
            raise _message(401, "Bad credentials")
        if f"{request.match_info.get('owner')}/{request.match_info.get('name')}" != self.place:
            raise _message(404, "Not Found")
        response = await serve(request)
        if self.scopes is not None:
            response.headers["X-OAuth-Scopes"] = self.scopes
        return response

    def _repository(self, _: web.Request) -> Any:
        rights = {"admin": False, "push": self.can_push, "pull": True}
        facts = {"full_name": self.place, "private": True, "archived": self.is_archived, "permissions": rights}
        return {**facts, "has_issues": self.has_issues}

    def _list(self, request: web.Request) -> Any:
        if not self.has_issues:
            raise _message(410, "Issues has been disabled in this repository.")
        query = request.query
        found = list(self.issues)
        if query.get("state", "open") != "all":
            found = [issue for issue in found if issue.is_open == (query.get("state", "open") == "open")]
        if since := query.get("since"):
            found = [issue for issue in found if issue.at >= datetime.fromisoformat(since).astimezone(UTC)]
        if labels := query.get("labels"):
            found = [issue for issue in found if set(labels.split(",")) <= set(issue.labels)]
        found.sort(key=lambda issue: issue.number, reverse=query.get("direction", "desc") == "desc")
        page = paged(request, found, usual=30)
        return self.answer([self._shape(issue) for issue in page.shown], headers=page.link)

    async def _create(self, request: web.Request) -> web.Response:
        if not self.has_issues:
            raise _message(410, "Issues has been disabled in this repository.")
        if self.is_archived:
            raise _message(403, "Repository was archived so is read-only.")
        if request.headers["Authorization"] == f"Bearer {self.reading_token}":
            raise _message(403, "Resource not accessible by personal access token")
        given = await _json(request)
        title, body, labels = given.get("title"), given.get("body"), given.get("labels") or []
        if not isinstance(title, str) or not 1 <= len(title) <= 256:
            raise _message(422, "Validation Failed")
        if not isinstance(body, str) or len(body) > 65_536:
            raise _message(422, "Validation Failed")
        issue = self.take(title, body, labels if self.can_push else ())
        return await self.taken(request, self._shape(issue))

    def _shape(self, issue: Issue) -> dict[str, Any]:
        more = {"pull_request": {"url": "…"}} if issue.is_pull_request else {}
        return {
            "number": issue.number,
            "html_url": f"https://github.com/{self.place}/issues/{issue.number}",
            "title": issue.title,
            "body": issue.text,
            "state": "open" if issue.is_open else "closed",
            "labels": [{"name": label} for label in issue.labels],
            **more,
        }


@dataclass(kw_only=True)
class GitLabIssues(Desk):
    """GitLab's API. `token` has the scope api, `reading_token` read_api; `level` is what both may do in the project.

    `orders` are the quick actions that were found in descriptions: GitLab would have carried them out.
    """

    prefix: str = "/api/v4"
    token: str = "sandbox-gitlab-ticket-token"
    reading_token: str = "sandbox-gitlab-ticket-reading-token"
    place: str = "acme/platform/infra"
    has_issues: bool = True
    is_archived: bool = False
    level: int = 20
    orders: list[str] = field(default_factory=list)

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        project = f"{self.prefix}/projects/{{project}}"
        return {
            f"GET {self.prefix}/personal_access_tokens/self": self._token,
            f"GET {project}": self._project,
            f"GET {project}/issues": self._list,
            f"POST {project}/issues": self._create,
        }

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        token = request.headers.get("PRIVATE-TOKEN")
        if token not in {self.token, self.reading_token}:
            raise _message(401, "401 Unauthorized")
        if token == self.reading_token and request.method != "GET":
            raise Refused(403, {"error": "insufficient_scope", "scope": "api"})
        project = request.match_info.get("project")
        if project is not None and unquote(project) != self.place:
            raise _message(404, "404 Project Not Found")
        return await serve(request)

    def _token(self, request: web.Request) -> Any:
        scope = "api" if request.headers["PRIVATE-TOKEN"] == self.token else "read_api"
        return {"id": 1, "name": "tflock", "active": True, "scopes": [scope]}

    def _project(self, _: web.Request) -> Any:
        access = {"project_access": {"access_level": self.level}, "group_access": None}
        facts = {"path_with_namespace": self.place, "archived": self.is_archived, "permissions": access}
        level = "enabled" if self.has_issues else "disabled"
        return {**facts, "issues_enabled": self.has_issues, "issues_access_level": level}

    def _list(self, request: web.Request) -> Any:
        if not self.has_issues:
            raise _message(403, "403 Forbidden")
        query = request.query
        found = list(self.issues)
        if query.get("state", "all") != "all":
            found = [issue for issue in found if issue.is_open == (query["state"] == "opened")]
        if after := query.get("created_after"):
            found = [issue for issue in found if issue.at >= datetime.fromisoformat(after)]
        found.sort(key=lambda issue: issue.number, reverse=query.get("sort", "desc") == "desc")
        page = paged(request, found, usual=20)
        return self.answer([self._shape(issue) for issue in page.shown], headers={"x-next-page": page.following})

    async def _create(self, request: web.Request) -> web.Response:
        if not self.has_issues or self.is_archived or self.level < 10:
            raise _message(403, "403 Forbidden")
        given = await _json(request)
        title, text = given.get("title"), given.get("description", "")
        if not isinstance(title, str) or not title:
            raise Refused(400, {"error": "title is missing"})
        if len(title) > 255 or not isinstance(text, str) or len(text) > 1_048_576:
            raise Refused(400, {"message": {"title": ["is too long"]}})
        self.orders += _QUICK_ACTION.findall(text)
        labels = str(given.get("labels") or "").split(",") if self.level >= 20 else ()
        issue = self.take(title, text, labels)
        return await self.taken(request, self._shape(issue))

    def _shape(self, issue: Issue) -> dict[str, Any]:
        return {
            "id": 1_000 + issue.number,
            "iid": issue.number,
            "web_url": f"https://gitlab.com/{self.place}/-/issues/{issue.number}",
            "title": issue.title,
            "description": issue.text,
            "state": "opened" if issue.is_open else "closed",
            "labels": list(issue.labels),
        }


@dataclass(kw_only=True)
class JiraIssues(Desk):
    """Jira Cloud's REST API v3. What was filed can be searched for `lag` later."""

    user: str = "bot@example.com"
    token: str = "sandbox-jira-token"
    place: str = "OPS"
    rights: dict[str, bool] = field(default_factory=lambda: {"BROWSE_PROJECTS": True, "CREATE_ISSUES": True})
    types: tuple[str, ...] = ("Task", "Bug")
    has_labels: bool = True
    lag: timedelta = timedelta(0)

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        return {
            "GET /rest/api/3/search/jql": self._search,
            "GET /rest/api/3/mypermissions": self._permissions,
            "POST /rest/api/3/issue": self._create,
        }

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        wanted = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            why = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
            raise Refused(401, "Client must be authenticated to access this resource.", why)
        return await serve(request)

    def _search(self, request: web.Request) -> Any:
        asked = re.fullmatch(r'project = "([^"]+)" AND labels = "([^"]+)"', request.query.get("jql", ""))
        if asked is None:
            raise _jira_errors({}, "The JQL could not be read.")
        if asked[1] != self.place or not self.rights["BROWSE_PROJECTS"]:
            raise _jira_errors({}, f"The value '{asked[1]}' does not exist for the field 'project'.")
        until = self.now() - self.lag
        found = [issue for issue in self.issues if asked[2] in issue.labels and issue.at <= until]
        with_key = "fields" in request.query
        shown = found[: int(request.query.get("maxResults", "50"))]
        shapes = [self._shape(issue) if with_key else {"id": str(issue.number)} for issue in shown]
        return {"issues": shapes, "isLast": len(shown) == len(found)}

    def _permissions(self, request: web.Request) -> Any:
        names = [name for name in request.query.get("permissions", "").split(",") if name]
        if not names or not set(names) <= self.rights.keys():
            raise _jira_errors({}, "Unrecognized permission")
        if request.query.get("projectKey") != self.place:
            raise _jira_errors({}, "No project could be found with that key.", status=404)
        shapes = {name: {"key": name, "havePermission": self.rights[name]} for name in names}
        return {"permissions": shapes}

    async def _create(self, request: web.Request) -> web.Response:
        fields = (await _json(request)).get("fields") or {}
        wrong = self._wrong(fields)
        if wrong:
            raise _jira_errors(wrong)
        issue = self.take(fields["summary"], json.dumps(fields["description"]), fields.get("labels") or ())
        return await self.taken(request, self._shape(issue))

    def _wrong(self, fields: Mapping[str, Any]) -> dict[str, str]:
        wrong = {}
        if (fields.get("project") or {}).get("key") != self.place or not self.rights["CREATE_ISSUES"]:
            wrong["project"] = "valid project is required"
        if (fields.get("issuetype") or {}).get("name") not in self.types:
            wrong["issuetype"] = "Specify a valid issue type"
        summary = fields.get("summary")
        if not isinstance(summary, str) or not 1 <= len(summary) <= 255 or "\n" in summary:
            wrong["summary"] = "The summary is invalid."
        if not is_adf(fields.get("description")):
            wrong["description"] = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
        labels = fields.get("labels")
        if labels and not self.has_labels:
            wrong["labels"] = "Field 'labels' cannot be set. It is not on the appropriate screen, or unknown."
        if any(" " in label or len(label) > 255 for label in labels or ()):
            wrong["labels"] = "The label contains spaces which is invalid."
        return wrong

    def _shape(self, issue: Issue) -> dict[str, Any]:
        key = f"{self.place}-{issue.number}"
        return {"id": str(10_000 + issue.number), "key": key, "self": f"{self.base_url}/rest/api/3/issue/{key}"}


def is_adf(document: object) -> bool:
    """Whether this is a document of paragraphs, headings and lists whose text nodes all say something."""
    if not isinstance(document, dict) or (document.get("type"), document.get("version")) != ("doc", 1):
        return False
    return all(_is_block(node) for node in document.get("content") or [None])


def _is_block(node: object) -> bool:
    if not isinstance(node, dict) or node.get("type") not in _ADF_BLOCKS:
        return False
    inner = _is_text if node["type"] in {"paragraph", "heading"} else _is_block
    return all(inner(child) for child in node.get("content") or ())


def _is_text(node: object) -> bool:
    return isinstance(node, dict) and node.get("type") == "text" and bool(node.get("text"))


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _message(status: int, text: str) -> Refused:
    return Refused(status, {"message": text})


def _jira_errors(errors: Mapping[str, str], *messages: str, status: int = 400) -> Refused:
    return Refused(status, {"errorMessages": list(messages), "errors": dict(errors)})


def tracker_of(desk: Desk, *, place: str = "", token: str = "", base_url: str = "") -> Tracker:
    """The tracker that files at this desk, made as the bot makes it; at another place, or with another token."""
    place = place or desk.place
    how: dict[str, Any] = {
        "base_url": base_url or desk.base_url,
        "token": SecretStr(token or desk.token),
        "token_name": "TICKET_TOKEN",
        "clock": SystemClock(),
    }
    match desk:
        case GitHubIssues():
            return Tracker(GitHubTickets(repo=place, write=ticket_markdown, **how))
        case GitLabIssues():
            return Tracker(GitLabTickets(project=place, write=ticket_markdown, **how))
        case JiraIssues():
            how |= {"user": SecretStr(desk.user), "user_name": "TICKET_USER"}
            return Tracker(JiraTickets(project=place, issue_type="Task", **how))
    raise TypeError(desk)

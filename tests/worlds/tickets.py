"""The ticket systems on loopback: as much of GitHub's, GitLab's and Jira's APIs as filing a ticket takes.

async with GitHubIssues() as github:
    GitHubTickets(base_url=github.base_url, repo=github.place, …)

They check credentials, shapes and limits as the systems document them, and drop labels where those do. After `cut(n)`
the next n tickets are taken and the connection is cut before the answer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from aiohttp import web

from bot.sandbox.stand_in import StandIn, wall_clock

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


@dataclass(slots=True)
class Desk:
    """What the three have in common: issues in order, a clock, and connections to be cut.

    `holds` are the seconds between taking a ticket and the answer.
    """

    issues: list[Issue] = field(default_factory=list)
    offset: timedelta = timedelta(0)
    cuts: int = 0
    holds: float = 0

    def now(self) -> datetime:
        return wall_clock(self.offset)

    def take(self, title: str, text: str, labels: Sequence[str] = (), *, is_pull_request: bool = False) -> Issue:
        issue = Issue(len(self.issues) + 1, title, text, tuple(labels), self.now(), is_pull_request=is_pull_request)
        self.issues.append(issue)
        return issue

    async def answered(self, request: web.Request, body: Mapping[str, Any]) -> web.Response:
        """The answer to a ticket that was taken; or none."""
        await asyncio.sleep(self.holds)
        if self.cuts > 0:
            self.cuts -= 1
            if request.transport is not None:
                request.transport.abort()
        return web.json_response(body, status=201)


class GitHubIssues:
    """GitHub's REST API. `token` may push, `reading_token` may read; a token that may not push loses its labels."""

    token = "sandbox-github-ticket-token"
    reading_token = "sandbox-github-reading-token"
    place = "acme/infra"

    def __init__(self) -> None:
        self.desk = Desk()
        self.has_issues, self.is_archived, self.can_push = True, False, True
        self.scopes: str | None = None
        app = web.Application(middlewares=[self._admitted])
        app.router.add_get("/repos/{owner}/{name}", self._repository)
        app.router.add_get("/repos/{owner}/{name}/issues", self._list)
        app.router.add_post("/repos/{owner}/{name}/issues", self._create)
        self.server = StandIn(app, self.desk.now)
        self.answer_next = self.server.answer_next

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def cut(self, times: int = 1) -> None:
        self.desk.cuts = times

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)

    @web.middleware
    async def _admitted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.headers.get("User-Agent"):
            return _message(403, "Request forbidden by administrative rules.")
        if request.headers.get("X-GitHub-Api-Version", "2022-11-28") != "2022-11-28":
            return _message(400, "this is not a supported API version")
        given = request.headers.get("Authorization", "")
        if given not in {f"Bearer {self.token}", f"Bearer {self.reading_token}"}:
            return _message(401, "Bad credentials")
        if f"{request.match_info.get('owner')}/{request.match_info.get('name')}" != self.place:
            return _message(404, "Not Found")
        response: web.StreamResponse = await handler(request)
        if self.scopes is not None:
            response.headers["X-OAuth-Scopes"] = self.scopes
        return response

    async def _repository(self, _: web.Request) -> web.Response:
        rights = {"admin": False, "push": self.can_push, "pull": True}
        facts = {"full_name": self.place, "private": True, "archived": self.is_archived, "permissions": rights}
        return web.json_response({**facts, "has_issues": self.has_issues})

    async def _list(self, request: web.Request) -> web.Response:
        if not self.has_issues:
            return _message(410, "Issues has been disabled in this repository.")
        query = request.query
        found = list(self.desk.issues)
        if query.get("state", "open") != "all":
            found = [issue for issue in found if issue.is_open == (query.get("state", "open") == "open")]
        if since := query.get("since"):
            found = [issue for issue in found if issue.at >= datetime.fromisoformat(since).astimezone(UTC)]
        if labels := query.get("labels"):
            found = [issue for issue in found if set(labels.split(",")) <= set(issue.labels)]
        found.sort(key=lambda issue: issue.number, reverse=query.get("direction", "desc") == "desc")
        page, per_page = int(query.get("page", "1")), min(100, int(query.get("per_page", "30")))
        shown = found[(page - 1) * per_page : page * per_page]
        more = (
            {"Link": f'<{request.url.update_query(page=page + 1)}>; rel="next"'} if len(found) > page * per_page else {}
        )
        return web.json_response([self._shape(issue) for issue in shown], headers=more)

    async def _create(self, request: web.Request) -> web.Response:
        if not self.has_issues:
            return _message(410, "Issues has been disabled in this repository.")
        if self.is_archived:
            return _message(403, "Repository was archived so is read-only.")
        if request.headers["Authorization"] == f"Bearer {self.reading_token}":
            return _message(403, "Resource not accessible by personal access token")
        given = await _json(request)
        title, body, labels = given.get("title"), given.get("body"), given.get("labels") or []
        if not isinstance(title, str) or not 1 <= len(title) <= 256:
            return _message(422, "Validation Failed")
        if not isinstance(body, str) or len(body) > 65_536:
            return _message(422, "Validation Failed")
        issue = self.desk.take(title, body, labels if self.can_push else ())
        return await self.desk.answered(request, self._shape(issue))

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


class GitLabIssues:
    """GitLab's API. `token` has the scope api, `reading_token` read_api; `level` is what both may do in the project.

    `orders` are the quick actions that were found in descriptions: GitLab would have carried them out.
    """

    token = "sandbox-gitlab-ticket-token"
    reading_token = "sandbox-gitlab-ticket-reading-token"
    place = "acme/platform/infra"

    def __init__(self) -> None:
        self.desk = Desk()
        self.has_issues, self.is_archived, self.level = True, False, 20
        self.orders: list[str] = []
        app = web.Application(middlewares=[self._admitted])
        app.router.add_get("/api/v4/personal_access_tokens/self", self._token)
        app.router.add_get("/api/v4/projects/{project}", self._project)
        app.router.add_get("/api/v4/projects/{project}/issues", self._list)
        app.router.add_post("/api/v4/projects/{project}/issues", self._create)
        self.server = StandIn(app, self.desk.now)
        self.answer_next = self.server.answer_next

    @property
    def base_url(self) -> str:
        return f"{self.server.base_url}/api/v4"

    def cut(self, times: int = 1) -> None:
        self.desk.cuts = times

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)

    @web.middleware
    async def _admitted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("PRIVATE-TOKEN")
        if given not in {self.token, self.reading_token}:
            return _message(401, "401 Unauthorized")
        if given == self.reading_token and request.method != "GET":
            return web.json_response({"error": "insufficient_scope", "scope": "api"}, status=403)
        project = request.match_info.get("project")
        if project is not None and unquote(project) != self.place:
            return _message(404, "404 Project Not Found")
        response: web.StreamResponse = await handler(request)
        return response

    async def _token(self, request: web.Request) -> web.Response:
        scope = "api" if request.headers["PRIVATE-TOKEN"] == self.token else "read_api"
        return web.json_response({"id": 1, "name": "tflock", "active": True, "scopes": [scope]})

    async def _project(self, _: web.Request) -> web.Response:
        access = {"project_access": {"access_level": self.level}, "group_access": None}
        facts = {"path_with_namespace": self.place, "archived": self.is_archived, "permissions": access}
        level = "enabled" if self.has_issues else "disabled"
        return web.json_response({**facts, "issues_enabled": self.has_issues, "issues_access_level": level})

    async def _list(self, request: web.Request) -> web.Response:
        if not self.has_issues:
            return _message(403, "403 Forbidden")
        query = request.query
        found = list(self.desk.issues)
        if query.get("state", "all") != "all":
            found = [issue for issue in found if issue.is_open == (query["state"] == "opened")]
        if after := query.get("created_after"):
            found = [issue for issue in found if issue.at >= datetime.fromisoformat(after)]
        found.sort(key=lambda issue: issue.number, reverse=query.get("sort", "desc") == "desc")
        page, per_page = int(query.get("page", "1")), min(100, int(query.get("per_page", "20")))
        shown = found[(page - 1) * per_page : page * per_page]
        following = str(page + 1) if len(found) > page * per_page else ""
        return web.json_response([self._shape(issue) for issue in shown], headers={"x-next-page": following})

    async def _create(self, request: web.Request) -> web.Response:
        if not self.has_issues or self.is_archived or self.level < 10:
            return _message(403, "403 Forbidden")
        given = await _json(request)
        title, text = given.get("title"), given.get("description", "")
        if not isinstance(title, str) or not title:
            return web.json_response({"error": "title is missing"}, status=400)
        if len(title) > 255 or not isinstance(text, str) or len(text) > 1_048_576:
            return web.json_response({"message": {"title": ["is too long"]}}, status=400)
        self.orders += _QUICK_ACTION.findall(text)
        labels = str(given.get("labels") or "").split(",") if self.level >= 20 else ()
        issue = self.desk.take(title, text, labels)
        return await self.desk.answered(request, self._shape(issue))

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


class JiraIssues:
    """Jira Cloud's REST API v3. What was filed can be searched for `lag` later."""

    user = "bot@example.com"
    token = "sandbox-jira-token"
    place = "OPS"

    def __init__(self) -> None:
        self.desk = Desk()
        self.rights = {"BROWSE_PROJECTS": True, "CREATE_ISSUES": True}
        self.types = ("Task", "Bug")
        self.has_labels = True
        self.lag = timedelta(0)
        app = web.Application(middlewares=[self._admitted])
        app.router.add_get("/rest/api/3/search/jql", self._search)
        app.router.add_get("/rest/api/3/mypermissions", self._permissions)
        app.router.add_post("/rest/api/3/issue", self._create)
        self.server = StandIn(app, self.desk.now)
        self.answer_next = self.server.answer_next

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def cut(self, times: int = 1) -> None:
        self.desk.cuts = times

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)

    @web.middleware
    async def _admitted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        wanted = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            why = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
            return web.Response(status=401, text="Client must be authenticated to access this resource.", headers=why)
        response: web.StreamResponse = await handler(request)
        return response

    async def _search(self, request: web.Request) -> web.Response:
        asked = re.fullmatch(r'project = "([^"]+)" AND labels = "([^"]+)"', request.query.get("jql", ""))
        if asked is None:
            return _jira_errors({}, "The JQL could not be read.")
        if asked[1] != self.place or not self.rights["BROWSE_PROJECTS"]:
            return _jira_errors({}, f"The value '{asked[1]}' does not exist for the field 'project'.")
        until = self.desk.now() - self.lag
        found = [issue for issue in self.desk.issues if asked[2] in issue.labels and issue.at <= until]
        with_key = "fields" in request.query
        shown = found[: int(request.query.get("maxResults", "50"))]
        shapes = [self._shape(issue) if with_key else {"id": str(issue.number)} for issue in shown]
        return web.json_response({"issues": shapes, "isLast": len(shown) == len(found)})

    async def _permissions(self, request: web.Request) -> web.Response:
        names = [name for name in request.query.get("permissions", "").split(",") if name]
        if not names or not set(names) <= self.rights.keys():
            return _jira_errors({}, "Unrecognized permission")
        if request.query.get("projectKey") != self.place:
            return _jira_errors({}, "No project could be found with that key.", status=404)
        shapes = {name: {"key": name, "havePermission": self.rights[name]} for name in names}
        return web.json_response({"permissions": shapes})

    async def _create(self, request: web.Request) -> web.Response:
        fields = (await _json(request)).get("fields") or {}
        wrong = self._wrong(fields)
        if wrong:
            return _jira_errors(wrong)
        issue = self.desk.take(fields["summary"], json.dumps(fields["description"]), fields.get("labels") or ())
        return await self.desk.answered(request, self._shape(issue))

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


def _message(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)


def _jira_errors(errors: Mapping[str, str], *messages: str, status: int = 400) -> web.Response:
    return web.json_response({"errorMessages": list(messages), "errors": dict(errors)}, status=status)

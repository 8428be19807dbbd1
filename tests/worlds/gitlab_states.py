"""GitLab's managed Terraform states on loopback, as far as Terraform and the bot ask for them.

Who may do what, when a lock is refused, and what the answers say follows GitLab's `lib/api/terraform/state.rb`,
`state_version.rb`, `app/services/terraform/remote_state_handler.rb` and `app/graphql/resolvers/terraform/`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from bot.sandbox.stand_in import Refused, serving

READS = {"guest": False, "developer": True, "maintainer": True}


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    role: str = "maintainer"


@dataclass(frozen=True, slots=True)
class Kept:
    """A state. `versions` by serial: the text, and when it was stored. `pipeline` is the page of the one that
    stored the newest. `refusal` is an odd body of the 409.
    """

    lock_id: str | None = None
    by: str | None = None
    at: datetime | None = None
    versions: Mapping[int, tuple[bytes, datetime]] = field(default_factory=dict)
    refusal: str | None = None
    pipeline: str = ""


@dataclass
class GitLabStates:
    """One project. `before_lock` is called when a `POST …/lock` has come, before it is looked at."""

    path: str
    number: int
    accounts: dict[str, Account]
    origin: str = ""
    states: dict[str, Kept] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    before_lock: list[Callable[[], Any]] = field(default_factory=list)
    page_size: int = 100

    def state(self, name: str) -> Kept:
        return self.states.get(name, Kept())

    def lock(self, name: str, lock_id: str, by: str, at: datetime | None = None, refusal: str | None = None) -> None:
        """Locks a state, whoever has it."""
        at = at or datetime.now(UTC)
        self.states[name] = replace(self.state(name), lock_id=lock_id, by=by, at=at, refusal=refusal)

    def unlock(self, name: str) -> None:
        self.states[name] = replace(self.state(name), lock_id=None, by=None, at=None, refusal=None)

    def put(self, name: str, text: bytes, serial: int, pipeline: str = "") -> None:
        kept = self.state(name)
        versions = {**kept.versions, serial: (text, datetime.now(UTC))}
        self.states[name] = replace(kept, versions=versions, pipeline=pipeline)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.rel_url.raw_path_qs}")
        try:
            return await self._answered(request)
        except Refused as refused:
            return _said(refused.status, refused.body)

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        account, path = self._account(request), request.rel_url.raw_path
        if path == "/api/graphql":
            return self._graphql(await request.json(), account)
        parts = [unquote(part) for part in path.removeprefix("/api/v4/projects/").split("/")]
        if not path.startswith("/api/v4/projects/") or parts[0] not in {self.path, str(self.number)}:
            raise Refused(404, "404 Project Not Found")
        if len(parts) == 1:
            return web.json_response({"id": self.number, "path_with_namespace": self.path})
        may = READS[account.role] if request.method == "GET" else account.role == "maintainer"
        if parts[1:3] != ["terraform", "state"] or not may:
            raise Refused(403, "403 Forbidden")
        return await self._rest(request, account, parts[3], parts[4:])

    def _account(self, request: web.Request) -> Account:
        token = request.headers.get("PRIVATE-TOKEN", "")
        given = request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            token = b64decode(given.removeprefix("Basic ")).decode().partition(":")[2]
        if token not in self.accounts:
            raise Refused(401, "401 Unauthorized")
        return self.accounts[token]

    async def _rest(self, request: web.Request, account: Account, name: str, rest: list[str]) -> web.StreamResponse:
        match request.method, rest:
            case "GET", []:
                answer = self._file(name, max(self.state(name).versions, default=None))
            case "GET", ["versions", serial]:
                answer = self._file(name, int(serial))
            case "POST", []:
                answer = await self._stored(request, name)
            case "DELETE", []:
                self.states.pop(name, None)
                answer = web.Response(status=200)
            case "POST", ["lock"]:
                answer = await self._locked(request, account, name)
            case "DELETE", ["lock"]:
                answer = self._unlocked(request, name)
            case _:
                raise Refused(405, "405 Method Not Allowed")
        return answer

    def _file(self, name: str, serial: int | None) -> web.Response:
        if name not in self.states:
            return _said(404, "404 Not found")
        if serial is None:
            return web.Response(status=204)
        found = self.states[name].versions.get(serial)
        return _said(404, "404 Not found") if found is None else web.Response(body=found[0])

    async def _stored(self, request: web.Request, name: str) -> web.Response:
        """A write has to name the lock that is there, and none where there is none."""
        text = await request.read()
        if not text:
            return web.Response(status=204)
        self.states.setdefault(name, Kept())
        if (self.state(name).lock_id or "") != request.query.get("ID", ""):
            return _said(409, "409 Conflict")
        self.put(name, text, json.loads(text)["serial"])
        return web.Response(status=200)

    async def _locked(self, request: web.Request, account: Account, name: str) -> web.Response:
        said = await request.json()
        missing = [key for key in ("ID", "Operation", "Info", "Who", "Version", "Created", "Path") if key not in said]
        if missing or not said["ID"]:
            return _said(400, f"{missing} is missing")
        for change in self.before_lock:
            done = change()
            if asyncio.iscoroutine(done):
                await done
        held = self.states.setdefault(name, Kept())
        if not held.lock_id and held.refusal is None:
            self.lock(name, said["ID"], account.name)
        now = self.state(name)
        status = 200 if now.lock_id == said["ID"] and not held.lock_id else 409
        if now.refusal is not None:
            return web.Response(status=status, text=now.refusal)
        info = {key: said[key] for key in ("Operation", "Info", "Version", "Path")}
        body = {**info, "ID": now.lock_id, "Who": now.by, "Created": now.at and _stamp(now.at)}
        return web.Response(status=status, text=json.dumps(body), content_type="application/octet-stream")

    def _unlocked(self, request: web.Request, name: str) -> web.Response:
        """`terraform force-unlock` does not pass an ID, and GitLab ignores it if it is missing."""
        given, there = request.query.get("ID"), self.states.setdefault(name, Kept()).lock_id
        if given is not None and (there or "") != given:
            return web.Response(status=409)
        self.unlock(name)
        return web.Response(status=200)

    def _graphql(self, asked: Mapping[str, Any], account: Account) -> web.Response:
        if "mutation" in asked["query"]:
            raise AssertionError("a mutation of GraphQL is unconditional")
        variables = asked.get("variables", {})
        if variables.get("project") != self.path:
            return web.json_response({"data": {"project": None}})
        if "state" in variables:
            may_see = READS[account.role] and variables["state"] in self.states
            node = _written(self.states[variables["state"]]) if may_see else None
            return web.json_response({"data": {"project": {"terraformState": node}}})
        names = sorted(self.states) if READS[account.role] else []
        first = int(variables.get("after") or 0)
        shown = names[first : first + self.page_size]
        more = first + self.page_size < len(names)
        page = {"hasNextPage": more, "endCursor": str(first + self.page_size) if shown else None}
        states = {"nodes": [_node(name, self.states[name]) for name in shown], "pageInfo": page}
        return web.json_response({"data": {"project": {"terraformStates": states}}})


def _node(name: str, kept: Kept) -> Mapping[str, Any]:
    newest = max(kept.versions, default=None)
    return {
        "name": name,
        "lockedAt": None if kept.at is None else kept.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "lockedByUser": None if kept.by is None else {"username": kept.by},
        "latestVersion": None
        if newest is None
        else {"serial": newest, "createdAt": kept.versions[newest][1].isoformat(timespec="seconds")},
    }


def _written(kept: Kept) -> Mapping[str, Any]:
    newest = max(kept.versions, default=None)
    if newest is None:
        return {"latestVersion": None}
    job = {"pipeline": {"path": kept.pipeline}} if kept.pipeline else None
    return {"latestVersion": {"createdAt": kept.versions[newest][1].isoformat(timespec="seconds"), "job": job}}


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _said(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=json.dumps({"message": words}, separators=(",", ":")))


@asynccontextmanager
async def gitlab_states(path: str, **settings: Any) -> AsyncIterator[GitLabStates]:
    """A project of its own on a free loopback port. The token `bot` is a maintainer's."""
    states = GitLabStates(path, 4712, accounts={secrets.token_hex(8): Account("tflock-bot")}, **settings)
    app = web.Application(client_max_size=256 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", states.handle)
    async with serving(app) as states.origin:
        yield states

"""A stand-in for HCP Terraform's API on loopback: documented shapes, paging, limits and refusals, real life cycles.

Its store of logs and states (archivist) is on the same host, as in Terraform Enterprise, and takes no credentials.
Source: https://developer.hashicorp.com/terraform/cloud-docs/api-docs.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from bot.sandbox.stand_in import Refused, Serve, cut, given
from tests.worlds.ci.hcp.runs import PAUSED, HcpRuns, RunRecord, StateRecord, Step, Workspace
from tests.worlds.stand_in import FaultyCi

JSON_API = "application/vnd.api+json"
_MISSING = Refused(404, {"errors": [{"status": "404", "title": "not found"}]})


@dataclass(kw_only=True)
class HcpStandIn(FaultyCi):
    """`async with HcpStandIn() as hcp:` serves at `hcp.base_url` until the block ends.

    `token` is an admin's, `reading_token` may only read. `tokens` are those of other users, by token. `remaining` is
    what is left of the second's requests. `states_need_token`: states are behind the API, which sends on to archivist.
    `shows` is what documents of workspaces have in addition (`locked-at`). With `spares_tokens` archivist takes no
    notice of credentials, which HashiCorp's own client sends there as well.
    Without `filters` the installation is an old one.
    """

    token: str = "sandbox-hcp-token"
    reading_token: str = "sandbox-hcp-reading-token"
    cancel_delay: timedelta = timedelta(seconds=1)
    cool_off: timedelta = timedelta(seconds=60)
    remaining: int = 10**6
    states_need_token: bool = False
    permissions: dict[str, bool] = field(default_factory=dict)
    shows: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    spares_tokens: bool = False
    filters: bool = True
    runs: HcpRuns = field(init=False)

    def __post_init__(self) -> None:
        self.json_type = JSON_API
        self.runs = HcpRuns(self.now, self.cancel_delay, self.cool_off)

    def fail(self, run: RunRecord) -> None:
        self.runs.finish(run, "errored")

    def url(self, run: RunRecord) -> str:
        return f"{self.origin}/app/{run.workspace.organization}/workspaces/{run.workspace.name}/runs/{run.id}"

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        return {
            "GET /api/v2/organizations/{organization}/workspaces": self._workspaces,
            "GET /api/v2/organizations/{organization}/workspaces/{name}": self._workspace,
            "GET /api/v2/organizations/{organization}/projects": self._projects,
            "GET /api/v2/workspaces/{id}/runs": self._runs,
            "POST /api/v2/workspaces/{id}/actions/{action}": self._act_on_workspace,
            "GET /api/v2/runs/{id}": self._run,
            "POST /api/v2/runs/{id}/actions/{action}": self._act_on_run,
            "GET /api/v2/plans/{id}": self._step,
            "GET /api/v2/applies/{id}": self._step,
            "GET /api/v2/state-versions": self._states,
            "GET /api/v2/state-versions/{id}": lambda request: {"data": self._state_json(self._state(request))},
            "GET /api/state-versions/{id}/hosted_state": self._sends_on,
            "GET /_archivist/v1/object/{id}": self._object,
            # what else Terraform asks with local execution
            "GET /api/v2/ping": self._ping,
            "GET /api/v2/organizations/{organization}/entitlement-set": self._entitlements,
            "GET /api/v2/workspaces/{id}/current-state-version": self._current_state,
            "POST /api/v2/workspaces/{id}/state-versions": self._make_state,
            "PUT /_archivist/v1/object/{id}": self._upload,
        }

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        self.runs.settle()
        given_token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path.startswith("/_archivist"):
            if given_token and not self.spares_tokens:
                raise Refused(400, "a signed address takes no credentials")
            return await serve(request)
        if request.path == "/api/v2/ping":
            return await serve(request)
        if given_token not in {self.token, self.reading_token, *self.tokens}:
            raise Refused(401, {"errors": [{"status": "401", "title": "unauthorized"}]})
        if self.remaining <= 0:
            limit = {"x-ratelimit-limit": "30", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "0.4"}
            raise Refused(429, {"errors": [{"status": 429, "title": "Too many requests"}]}, limit)
        self.remaining -= 1
        if request.method == "POST" and given_token not in {self.token, *self.tokens}:
            raise _MISSING
        return await serve(request)

    def _workspaces(self, request: web.Request) -> Any:
        mine = [
            each for each in self.runs.workspaces.values() if each.organization == request.match_info["organization"]
        ]
        if not mine:
            raise _MISSING
        if self.filters:
            mine = [each for each in mine if _is_meant(each, request.query)]
        return self._paged(request, sorted(mine, key=lambda each: each.name), self._workspace_json)

    def _projects(self, request: web.Request) -> Any:
        every = self.runs.workspaces.values()
        names = {each.project for each in every if each.organization == request.match_info["organization"]}
        wanted = request.query.get("filter[names]", "").split(",")
        shown = sorted(name for name in names if wanted == [""] or name in wanted)
        return self._paged(
            request, shown, lambda name: {"id": _project(name), "type": "projects", "attributes": {"name": name}}
        )

    def _workspace(self, request: web.Request) -> Any:
        match = request.match_info
        found = given(
            next(
                (
                    each
                    for each in self.runs.workspaces.values()
                    if (each.organization, each.name) == (match["organization"], match["name"])
                ),
                None,
            ),
            _MISSING,
        )
        return self._shown(found, request)

    def _shown(self, workspace: Workspace, request: web.Request) -> Any:
        document: dict[str, Any] = {"data": self._workspace_json(workspace)}
        if "locked_by" in request.query.get("include", "") and workspace.locked_by is not None:
            kind, holder = workspace.locked_by
            if kind == "runs":
                document["included"] = [self._run_json(self.runs.all[holder])]
            else:
                name = "username" if kind == "users" else "name"
                document["included"] = [{"id": holder, "type": kind, "attributes": {name: self.runs.accounts[holder]}}]
        return document

    def _runs(self, request: web.Request) -> Any:
        workspace = given(self.runs.workspaces.get(request.match_info["id"]), _MISSING)
        mine = [run for run in self.runs.all.values() if run.workspace is workspace]
        wanted = request.query.get("filter[status]")
        if wanted:
            mine = [run for run in mine if run.status in wanted.split(",")]
        mine.sort(key=lambda run: run.created_at, reverse=True)
        return self._paged(request, mine, self._run_json)

    def _run(self, request: web.Request) -> Any:
        run = given(self.runs.all.get(request.match_info["id"]), _MISSING)
        include = request.query.get("include", "").split(",")
        parts: dict[str, Callable[[], object]] = {
            "plan": lambda: self._step_json(run, run.plan, "plans"),
            "apply": lambda: self._step_json(run, run.apply, "applies"),
            "created_by": lambda: {
                "id": self.runs.account(run.user),
                "type": "users",
                "attributes": {"username": run.user},
            },
        }
        return {"data": self._run_json(run), "included": [make() for name, make in parts.items() if name in include]}

    def _step(self, request: web.Request) -> Any:
        wanted = request.match_info["id"]
        steps = [(run, "plans", run.plan) for run in self.runs.all.values()]
        steps += [(run, "applies", run.apply) for run in self.runs.all.values()]
        run, kind, step = given(next((one for one in steps if one[2].id == wanted), None), _MISSING)
        return {"data": self._step_json(run, step, kind)}

    def _act_on_run(self, request: web.Request) -> Any:
        run = given(self.runs.all.get(request.match_info["id"]), _MISSING)
        act = {"discard": self.runs.discard, "cancel": self.runs.cancel, "force-cancel": self.runs.force}
        if not act[request.match_info["action"]](run):
            raise Refused(409, {"errors": [{"status": "409", "title": "transition not allowed"}]})
        return web.Response(status=202)

    async def _act_on_workspace(self, request: web.Request) -> Any:
        workspace = given(self.runs.workspaces.get(request.match_info["id"]), _MISSING)
        asker = self.runs.account(self._user(request))
        match request.match_info["action"]:
            case "lock":
                body = await request.json()
                reason = body.get("data", {}).get("attributes", body).get("reason", "")
                return self._locked(workspace, asker, reason, request)
            case "unlock" if workspace.locked_by not in {None, ("users", asker)}:
                raise Refused(409, {"errors": [{"status": "409", "title": "locked by another user"}]})
            case "force-unlock" if request.headers["Authorization"] != f"Bearer {self.token}":
                raise _MISSING  # admins only
        if not workspace.is_locked:
            raise Refused(409, {"errors": [{"status": "409", "title": "already unlocked"}]})
        self.runs.unlock(workspace)
        return self._shown(workspace, request)

    def _locked(self, workspace: Workspace, holder: str, reason: str, request: web.Request) -> Any:
        if workspace.is_locked:
            raise Refused(409, {"errors": [{"status": "409", "title": "already locked"}]})
        self.runs.lock(workspace, holder, reason=reason)
        return self._shown(workspace, request)

    def _user(self, request: web.Request) -> str:
        return self.tokens.get(request.headers["Authorization"].removeprefix("Bearer "), "tflock")

    def _states(self, request: web.Request) -> Any:
        wanted = (request.query["filter[organization][name]"], request.query["filter[workspace][name]"])
        found = given(
            next((one for one in self.runs.workspaces.values() if (one.organization, one.name) == wanted), None),
            _MISSING,
        )
        may_read = self.permissions.get("can-read-state-versions", True)
        return self._paged(request, found.states[::-1] if may_read else [], self._state_json)

    def _state(self, request: web.Request) -> StateRecord:
        every = (state for each in self.runs.workspaces.values() for state in each.states)
        return given(next((state for state in every if state.id == request.match_info["id"]), None), _MISSING)

    def _sends_on(self, request: web.Request) -> Any:
        return web.Response(status=302, headers={"Location": f"/_archivist/v1/object/{request.match_info['id']}"})

    async def _object(self, request: web.Request) -> Any:
        wanted = request.match_info["id"]
        await asyncio.sleep(0)
        states = (state for each in self.runs.workspaces.values() for state in each.states)
        for state in states:
            if state.id == wanted:
                return web.Response(body=state.text)
        steps = (step for run in self.runs.all.values() for step in (run.plan, run.apply))
        found = given(next((step for step in steps if step.id == wanted and step.log), None), Refused(404, "gone"))
        return web.Response(body=f"\x02{found.log}\x03".encode())

    def _ping(self, _: web.Request) -> Any:
        return web.Response(status=204, headers={"TFP-API-Version": "2.6", "TFP-AppName": "HCP Terraform"})

    def _entitlements(self, request: web.Request) -> Any:
        attributes = {"operations": True, "state-storage": True}
        return {
            "data": {"id": request.match_info["organization"], "type": "entitlement-sets", "attributes": attributes}
        }

    def _current_state(self, request: web.Request) -> Any:
        workspace = given(self.runs.workspaces.get(request.match_info["id"]), _MISSING)
        whole = [state for state in workspace.states if state.status == "finalized"]
        return {"data": self._state_json(given(whole[-1] if whole else None, _MISSING))}

    async def _make_state(self, request: web.Request) -> Any:
        """Only for the account that holds the lock."""
        workspace = given(self.runs.workspaces.get(request.match_info["id"]), _MISSING)
        if workspace.locked_by != ("users", self.runs.account(self._user(request))):
            raise Refused(409, {"errors": [{"status": "409", "title": "not locked by you"}]})
        made = self.runs.put_state(workspace, b"", status="pending")
        document = self._state_json(made)
        document["attributes"]["hosted-state-upload-url"] = f"{self.origin}/_archivist/v1/object/{made.id}"
        document["attributes"]["hosted-json-state-upload-url"] = f"{self.origin}/_archivist/v1/object/json-{made.id}"
        return web.json_response({"data": document}, status=201, content_type=JSON_API)

    async def _upload(self, request: web.Request) -> Any:
        text, wanted = await request.read(), request.match_info["id"]
        for state in (state for each in self.runs.workspaces.values() for state in each.states):
            if state.id == wanted:
                state.text, state.status = text, "finalized"
        return web.Response(status=200)

    def _paged(self, request: web.Request, entries: Sequence[Any], shape: Callable[[Any], Any]) -> Any:
        size = min(100, int(request.query.get("page[size]", 20)))
        number = int(request.query.get("page[number]", 1))
        shown, after = cut(entries, (number - 1) * size, size)
        following = number + 1 if after else None
        pages = -(-len(entries) // size)
        pagination = {
            "current-page": number, "next-page": following, "total-pages": pages, "total-count": len(entries),
        }  # fmt: skip
        return {"data": [shape(entry) for entry in shown], "meta": {"pagination": pagination}}

    def _workspace_json(self, each: Workspace) -> dict[str, Any]:
        may = {"can-read-state-versions": True, "can-queue-apply": True, "can-force-unlock": True, **self.permissions}
        holder = None if each.locked_by is None else {"type": each.locked_by[0], "id": each.locked_by[1]}
        relations: dict[str, Any] = {"organization": {"data": {"type": "organizations", "id": each.organization}}}
        relations["locked-by"] = {"data": holder}
        relations["project"] = {"data": {"type": "projects", "id": _project(each.project)}}
        return {
            "id": each.id,
            "type": "workspaces",
            "attributes": {
                "name": each.name, "locked": each.is_locked, "locked-reason": each.reason or None, "permissions": may,
                "updated-at": _stamp(each.updated_at), "execution-mode": "remote",
                "tag-names": [*each.tags], **self.shows,
            },
            "relationships": {**relations, **(each.odd or {})},
        }  # fmt: skip

    def _run_json(self, run: RunRecord) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "status": run.status,
            "created-at": _stamp(run.created_at),
            "canceled-at": None if run.canceled_at is None else _stamp(run.canceled_at),
            "message": run.message,
            "source": run.source,
            "trigger-reason": "manual",
            "plan-only": run.plan_only,
            "terraform-version": "1.11.4",
            "status-timestamps": {key: _stamp(at) for key, at in run.times.items()},
            "actions": {
                "is-cancelable": not run.has_ended and run.status not in PAUSED and run.canceled_at is None,
                "is-confirmable": run.status in PAUSED,
                "is-discardable": run.status in PAUSED,
                "is-force-cancelable": self.runs.may_force(run),
            },
        }
        if run.canceled_at is not None:
            attributes["force-cancel-available-at"] = _stamp(run.canceled_at + self.runs.cool_off)
        relations = {
            "workspace": ("workspaces", run.workspace.id),
            "plan": ("plans", run.plan.id),
            "apply": ("applies", run.apply.id),
            "created-by": ("users", self.runs.account(run.user)),
        }
        return {
            "id": run.id,
            "type": "runs",
            "attributes": attributes,
            "relationships": {key: {"data": {"type": kind, "id": id_}} for key, (kind, id_) in relations.items()},
        }

    def _step_json(self, run: RunRecord, step: Step, kind: str) -> dict[str, Any]:
        details = {"mode": "agent", "agent-name": run.agent} if run.agent else {"mode": "remote"}
        attributes = {
            "status": step.status,
            "status-timestamps": {key: _stamp(at) for key, at in step.times.items()},
            "execution-details": details,
            "log-read-url": f"{self.origin}/_archivist/v1/object/{step.id}",
        }
        return {"id": step.id, "type": kind, "attributes": attributes}

    def _state_json(self, state: StateRecord) -> dict[str, Any]:
        path = "/api/state-versions/{}/hosted_state" if self.states_need_token else "/_archivist/v1/object/{}"
        is_there = state.status == "finalized" and self.permissions.get("can-read-state-versions", True)
        attributes = {
            "created-at": _stamp(state.at),
            "size": len(state.text),
            "status": state.status,
            "hosted-state-download-url": self.origin + path.format(state.id) if is_there else None,
        }
        run = {"id": state.run, "type": "runs"} if state.run else None
        made_by = {"run": {"data": run}}
        return {"id": state.id, "type": "state-versions", "attributes": attributes, "relationships": made_by}


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _project(name: str) -> str:
    return f"prj-{zlib.crc32(name.encode()):08x}"


def _is_meant(each: Workspace, asked: Mapping[str, str]) -> bool:
    """Source: `WorkspaceListOptions` of HashiCorp's go-tfe."""
    tags = set(filter(None, asked.get("search[tags]", "").split(",")))
    name, project = asked.get("search[wildcard-name]", "*"), asked.get("filter[project][id]")
    return fnmatchcase(each.name, name) and project in {None, _project(each.project)} and tags <= {*each.tags}

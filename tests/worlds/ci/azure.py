"""A stand-in for Azure DevOps' Build API on loopback: documented shapes, limits and refusals, real life cycles.

The world behind it (`AzureStandIn.world`) is driven by plain calls; `loop` starts builds by itself.
Source: https://learn.microsoft.com/en-us/rest/api/azure/devops/build/.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.worlds.ci.azure_shapes import (
    build_json,
    changes_json,
    definition_json,
    job_log,
    project_json,
    refusal_json,
    timeline_json,
)
from tests.worlds.ci.azure_world import AzureWorld, BuildRecord, Definition

_STATUSES = frozenset({"inProgress", "completed", "cancelling", "postponed", "notStarted"})
_TIMES = {"finish": "finished_at", "start": "started_at", "queue": "queued_at"}
_SIGN_IN = "<html><head><title>Azure DevOps Services | Sign In</title></head><body></body></html>"
_MOST = 5000

Contend = Callable[[BuildRecord], Awaitable[None]]


@dataclass(slots=True)
class _Answer:
    """What to say instead, to the next `times` requests that `matching` is found in."""

    matching: str
    status: int
    body: str | None
    headers: Mapping[str, str]
    delay: float
    times: int


@dataclass(slots=True)
class AzureStandIn:
    """`async with AzureStandIn() as azure:` serves the collection at `azure.base_url` until the block ends.

    `token` may read and execute; `reading_token` may only read. With a bad token it shows its page to sign in, as
    the service does. `collection` is the path in front of the projects. `newest_version` is the newest version of the
    API that it knows. `offset` shifts its clock against the real one.
    """

    token: str = "sandbox-azure-token"
    reading_token: str = "sandbox-azure-reading-token"
    collection: str = "acme"
    newest_version: str = "7.1"
    offset: timedelta = timedelta(0)
    cancel_delay: timedelta = timedelta(seconds=1)
    page_size: int = _MOST
    base_url: str = ""
    asked: list[str] = field(default_factory=list)
    world: AzureWorld = field(init=False)
    _answers: list[_Answer] = field(default_factory=list)
    _loops: dict[tuple[str, int], asyncio.Task[None]] = field(default_factory=dict)
    _contending: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.world = AzureWorld(self.now, cancel_delay=self.cancel_delay)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def answer_next(
        self,
        matching: str,
        *,
        status: int = 200,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0,
        times: int = 1,
    ) -> None:
        """The next requests in whose `METHOD /path?query` the pattern is found get this answer, `delay` seconds late.

        Without a body a 200 is passed on to the real answer after the delay.
        """
        self._answers.append(_Answer(matching, status, body, headers or {}, delay, times))

    def heal(self) -> None:
        """Answers as usual again, whatever `answer_next` said."""
        self._answers.clear()

    def loop(
        self,
        project: str,
        definition: int,
        *,
        every: float,
        lasts: float = 30.0,
        contend: Contend | None = None,
        requested_for: str = "dependency-bot",
        title: str = "Update dependencies",
    ) -> None:
        """Starts a build every so many seconds, while the definition is enabled, until `stop_loop`.

        A build lasts as long as `contend(build)` does, or `lasts` seconds, and then fails. A cancelled build's
        `contend` is cancelled.
        """
        source = self.world.add_definition(project, definition)

        async def keep_starting() -> None:
            while True:
                if source.queue_status == "enabled":
                    build = self.world.start_run(
                        project, definition, requested_for=requested_for, title=title, reason="schedule"
                    )
                    self._contending[build.id] = asyncio.create_task(self._live(build, lasts, contend))
                await asyncio.sleep(every)

        self.stop_loop(project, definition)
        self._loops[project.casefold(), definition] = asyncio.create_task(keep_starting())

    def stop_loop(self, project: str, definition: int) -> None:
        """Nothing is started any more; what runs goes on."""
        task = self._loops.pop((project.casefold(), definition), None)
        if task is not None:
            task.cancel()

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/{self.collection}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._loops.values(), *self._contending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _live(self, build: BuildRecord, lasts: float, contend: Contend | None) -> None:
        act = asyncio.ensure_future(contend(build) if contend else asyncio.sleep(lasts))
        try:
            while not act.done():
                await asyncio.wait([act], timeout=0.05)
                if (seen := self.world.run(build.id)) is not None and seen.has_ended:
                    return
            self.world.finish(build.id, "failed")
        finally:
            act.cancel()
            await asyncio.gather(act, return_exceptions=True)
            self._contending.pop(build.id, None)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._instead, self._guarded])
        root = f"/{self.collection}/{{project}}"
        build = f"{root}/_apis/build/{{builds:builds|Builds}}/{{build:\\d+}}"
        timeline = f"{build}/{{timeline:timeline|Timeline}}"
        definition = f"{root}/_apis/build/definitions/{{definition:\\d+}}"
        app.add_routes(
            [
                web.get(f"/{self.collection}/_apis/projects/{{project}}", self._project),
                web.get(f"{root}/_apis/build/builds", self._list_builds),
                web.get(build, self._get_build),
                web.patch(build, self._update_build),
                web.get(f"{build}/changes", self._get_changes),
                web.get(timeline, self._get_timeline),
                web.get(f"{timeline}/{{id}}", self._get_timeline),
                web.get(f"{build}/logs/{{log:\\d+}}", self._get_log),
                web.get(definition, self._get_definition),
                web.put(definition, self._update_definition),
                web.get(f"{root}/_build/results", self._page),
            ]
        )
        return app

    @web.middleware
    async def _instead(self, request: web.Request, handler: Any) -> web.StreamResponse:
        line = f"{request.method} {request.path_qs}"
        self.asked.append(line)
        answer = next((one for one in self._answers if one.times > 0 and re.search(one.matching, line)), None)
        if answer is not None:
            answer.times -= 1
            await asyncio.sleep(answer.delay)
            if answer.body is not None or answer.status != 200:
                return web.Response(status=answer.status, text=answer.body or "", headers=dict(answer.headers))
        response: web.StreamResponse = await handler(request)
        return response

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        refusal = self._refused(request) if "/_apis/" in request.path else None
        if refusal is not None:
            return refusal
        response: web.StreamResponse = await handler(request)
        return response

    def _refused(self, request: web.Request) -> web.Response | None:
        token, version = request.headers.get("Authorization"), request.query.get("api-version", "")
        if token not in {_basic(self.token), _basic(self.reading_token)}:
            return web.Response(status=203, text=_SIGN_IN, content_type="text/html")
        if not re.fullmatch(r"[0-9]\.[0-9](-preview(\.[0-9])?)?", version) or version[:3] > self.newest_version:
            return _refusal(
                400,
                "VssVersionOutOfRangeException",
                f"The requested REST API version of {version} is out of range for this server. The latest REST API "
                f"version this server supports is {self.newest_version}.",
            )
        if request.method != "GET" and token == _basic(self.reading_token):
            need = "Access denied. Quinn needs Stop builds permissions to perform the action."
            return _refusal(403, "AccessDeniedException", need)
        return None

    async def _project(self, request: web.Request) -> web.Response:
        project = self.world.project(request.match_info["project"])
        return web.json_response(project_json(project, self.base_url)) if project else _no_project(request)

    async def _list_builds(self, request: web.Request) -> web.Response:
        project, query = self.world.project(request.match_info["project"]), request.query
        if project is None:
            return _no_project(request)
        builds = self.world.runs(project)
        if "definitions" in query:
            wanted = query["definitions"].split(",")
            builds = [build for build in builds if str(build.definition.id) in wanted]
        statuses = set(query.get("statusFilter", "all").split(","))
        if "all" not in statuses and statuses - _STATUSES:
            return _refusal(400, "ArgumentException", "The value of statusFilter is not valid.")
        builds = [build for build in builds if "all" in statuses or build.status in statuses]
        return self._paged(request, _in_time(builds, query))

    async def _get_build(self, request: web.Request) -> web.Response:
        build = self._build(request)
        return web.json_response(build_json(build, self.base_url)) if build else _no_build(request)

    async def _update_build(self, request: web.Request) -> web.Response:
        build = self._build(request)
        if build is None:
            return _no_build(request)
        if (await request.json()).get("status") != "cancelling":
            return _refusal(400, "BuildStatusInvalidChangeException", "The status of the build cannot be so changed.")
        if not self.world.cancel(build.id):
            return _refusal(400, "BuildStatusInvalidChangeException", f"Build {build.id} is already completed.")
        return web.json_response(build_json(build, self.base_url))

    async def _get_timeline(self, request: web.Request) -> web.Response:
        build = self._build(request)
        if build is None:
            return _no_build(request)
        if not build.jobs:
            return web.Response(status=204)
        known = {build.timeline_id(attempt): attempt for attempt in range(1, build.attempt + 1)}
        attempt = known.get(request.match_info.get("id", build.timeline_id(build.attempt)).lower())
        if attempt is None:
            return _refusal(404, "TimelineNotFoundException", "The requested timeline was not found.")
        return web.json_response(timeline_json(build, attempt, self.base_url))

    async def _get_changes(self, request: web.Request) -> web.Response:
        build = self._build(request)
        return web.json_response(changes_json(build)) if build else _no_build(request)

    async def _get_log(self, request: web.Request) -> web.Response:
        build = self._build(request)
        job = None if build is None else self.world.machine_of_log(build, int(request.match_info["log"]))
        if job is None:
            return _refusal(404, "BuildLogNotFoundException", "The requested log was not found.")
        first, last = int(request.query.get("startLine", "0")), int(request.query.get("endLine", "1000000"))
        return web.Response(text="\r\n".join(job_log(job)[first : last + 1]))

    async def _get_definition(self, request: web.Request) -> web.Response:
        definition = self._definition(request)
        return web.json_response(definition_json(definition, self.base_url)) if definition else _no_definition(request)

    async def _update_definition(self, request: web.Request) -> web.Response:
        definition, body = self._definition(request), await request.json()
        if definition is None:
            return _no_definition(request)
        if not {"name", "process", "queueStatus", "revision"} <= body.keys():
            return _refusal(400, "InvalidDefinitionException", "Value cannot be null. Parameter name: definition")
        if body["revision"] != definition.revision:
            return _refusal(409, "DefinitionRevisionConflictException", "The definition was changed by someone else.")
        definition.queue_status, definition.revision = body["queueStatus"], definition.revision + 1
        return web.json_response(definition_json(definition, self.base_url))

    async def _page(self, request: web.Request) -> web.Response:
        build_id = request.query.get("buildId", "")
        build = self.world.run(int(build_id)) if build_id.isdigit() else None
        if build is None:
            return web.Response(status=404, text="not found")
        lines = [f"{build.title} (build {build.id}, attempt {build.attempt})", f"{build.status} {build.result or ''}"]
        return web.Response(text="\n".join(lines + [f"- {job.name}: {job.state}" for job in build.jobs]))

    def _build(self, request: web.Request) -> BuildRecord | None:
        project = self.world.project(request.match_info["project"])
        build = self.world.run(int(request.match_info["build"]))
        return build if build is not None and build.definition.project == project else None

    def _definition(self, request: web.Request) -> Definition | None:
        project = self.world.project(request.match_info["project"])
        return (project and self.world.definition(project, int(request.match_info["definition"]))) or None

    def _paged(self, request: web.Request, builds: list[BuildRecord]) -> web.Response:
        size = max(1, min(self.page_size, int(request.query.get("$top", "1000"))))
        first = int(request.query.get("continuationToken", "0"))
        part = [build_json(build, self.base_url) for build in builds[first : first + size]]
        headers = {"x-ms-continuationtoken": str(first + size)} if first + size < len(builds) else {}
        return web.json_response({"count": len(part), "value": part}, headers=headers)


def _in_time(builds: list[BuildRecord], query: Mapping[str, str]) -> list[BuildRecord]:
    """`minTime` and `maxTime` are compared with the time that `queryOrder` names, which is the finish time without one.

    A build that has no such time yet is not in a list that asks for one.
    """
    order = query.get("queryOrder", "finishTimeDescending")
    name = next((own for word, own in _TIMES.items() if order.startswith(word)), "finished_at")
    low, high = (datetime.fromisoformat(query[key]) if key in query else None for key in ("minTime", "maxTime"))

    def passes(build: BuildRecord) -> bool:
        at: datetime | None = getattr(build, name)
        if at is None:
            return low is None and high is None
        return (low is None or at >= low) and (high is None or at <= high)

    last = datetime.max.replace(tzinfo=UTC)
    shown = [build for build in builds if passes(build)]
    return sorted(shown, key=lambda build: getattr(build, name) or last, reverse=not order.endswith("Ascending"))


def _basic(token: str) -> str:
    return "Basic " + base64.b64encode(f":{token}".encode()).decode()


def _refusal(status: int, key: str, message: str) -> web.Response:
    return web.json_response(refusal_json(key, message), status=status)


def _no_project(request: web.Request) -> web.Response:
    name = request.match_info["project"]
    message = f"TF200016: The following project does not exist: {name}. Verify that the name of the project is correct."
    return _refusal(404, "ProjectDoesNotExistWithNameException", message)


def _no_build(request: web.Request) -> web.Response:
    return _refusal(404, "BuildNotFoundException", f"The requested build {request.match_info['build']} was not found.")


def _no_definition(request: web.Request) -> web.Response:
    number = request.match_info["definition"]
    return _refusal(404, "DefinitionNotFoundException", f"The requested definition {number} was not found.")

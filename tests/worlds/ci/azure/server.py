"""A stand-in for Azure DevOps's Build API on loopback: documented shapes, limits and refusals, real life cycles.

Source: https://learn.microsoft.com/en-us/rest/api/azure/devops/build/.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from bot.sandbox.stand_in import Contend, Refused, Serve, cut, given
from tests.worlds.ci.azure.runs import AzureRuns, BuildRecord, Definition
from tests.worlds.ci.azure.shapes import (
    build_json,
    changes_json,
    definition_json,
    job_log,
    project_json,
    refusal_json,
    timeline_json,
)
from tests.worlds.stand_in import FaultyCi

_STATUSES = frozenset({"inProgress", "completed", "cancelling", "postponed", "notStarted"})
_TIMES = {"finish": "finished_at", "start": "started_at", "queue": "queued_at"}
_SIGN_IN = "<html><head><title>Azure DevOps Services | Sign In</title></head><body></body></html>"
_MOST = 5000


@dataclass(kw_only=True)
class AzureStandIn(FaultyCi):
    """`async with AzureStandIn() as azure:` serves the collection at `azure.base_url` until the block ends.

    `token` may read and execute; `reading_token` may only read. With a bad token it shows its page to sign in, as
    the service does. `prefix` is the collection, in front of the projects. `newest_version` is the newest version of
    the API that it knows.
    """

    prefix: str = "/acme"
    token: str = "sandbox-azure-token"
    reading_token: str = "sandbox-azure-reading-token"
    newest_version: str = "7.1"
    cancel_delay: timedelta = timedelta(seconds=1)
    page_size: int = _MOST
    runs: AzureRuns = field(init=False)

    def __post_init__(self) -> None:
        self.runs = AzureRuns(self.now, cancel_delay=self.cancel_delay)

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
        """Starts a build every so many seconds, while the definition is enabled, until `stop_loop`."""
        source = self.runs.add_definition(project, definition)

        def start() -> BuildRecord | None:
            if source.queue_status != "enabled":
                return None
            return self.runs.start_run(project, definition, requested_for=requested_for, title=title, reason="schedule")

        self.keep_starting(project, definition, start=start, every=every, lasts=lasts, contend=contend)

    def fail(self, run: BuildRecord) -> None:
        self.runs.finish(run.id, "failed")

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        root = f"{self.prefix}/{{project}}"
        build = f"{root}/_apis/build/{{builds:builds|Builds}}/{{build:\\d+}}"
        timeline = f"{build}/{{timeline:timeline|Timeline}}"
        definition = f"{root}/_apis/build/definitions/{{definition:\\d+}}"
        return {
            f"GET {self.prefix}/_apis/projects/{{project}}": lambda asked: project_json(
                self._project(asked), self.base_url
            ),
            f"GET {root}/_apis/build/builds": self._list_builds,
            f"GET {build}": lambda asked: build_json(self._build(asked), self.base_url),
            f"PATCH {build}": self._update_build,
            f"GET {build}/changes": lambda asked: changes_json(self._build(asked)),
            f"GET {timeline}": self._get_timeline,
            f"GET {timeline}/{{id}}": self._get_timeline,
            f"GET {build}/logs/{{log:\\d+}}": self._get_log,
            f"GET {definition}": lambda asked: definition_json(self._definition(asked), self.base_url),
            f"PUT {definition}": self._update_definition,
            f"GET {root}/_build/results": self._page,
        }

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        if "/_apis/" in request.path:
            self._admit(request)
        return await serve(request)

    def _admit(self, request: web.Request) -> None:
        token, version = request.headers.get("Authorization"), request.query.get("api-version", "")
        if token not in {_basic(self.token), _basic(self.reading_token)}:
            raise Refused(203, _SIGN_IN)
        if not re.fullmatch(r"[0-9]\.[0-9](-preview(\.[0-9])?)?", version) or version[:3] > self.newest_version:
            raise _refusal(
                400,
                "VssVersionOutOfRangeException",
                f"The requested REST API version of {version} is out of range for this server. The latest REST API "
                f"version this server supports is {self.newest_version}.",
            )
        if request.method != "GET" and token == _basic(self.reading_token):
            need = "Access denied. Quinn needs Stop builds permissions to perform the action."
            raise _refusal(403, "AccessDeniedException", need)

    def _list_builds(self, request: web.Request) -> web.Response:
        builds, query = self.runs.runs(self._project(request)), request.query
        if "definitions" in query:
            wanted = query["definitions"].split(",")
            builds = [build for build in builds if str(build.definition.id) in wanted]
        statuses = set(query.get("statusFilter", "all").split(","))
        if "all" not in statuses and statuses - _STATUSES:
            raise _refusal(400, "ArgumentException", "The value of statusFilter is not valid.")
        builds = [build for build in builds if "all" in statuses or build.status in statuses]
        return self._paged(request, _in_time(builds, query))

    async def _update_build(self, request: web.Request) -> Any:
        build = self._build(request)
        if (await request.json()).get("status") != "cancelling":
            raise _refusal(400, "BuildStatusInvalidChangeException", "The status of the build cannot be so changed.")
        if not self.runs.cancel(build.id):
            raise _refusal(400, "BuildStatusInvalidChangeException", f"Build {build.id} is already completed.")
        return build_json(build, self.base_url)

    def _get_timeline(self, request: web.Request) -> Any:
        build = self._build(request)
        if not build.jobs:
            return None
        known = {build.timeline_id(attempt): attempt for attempt in range(1, build.attempt + 1)}
        attempt = known.get(request.match_info.get("id", build.timeline_id(build.attempt)).lower())
        missing = _refusal(404, "TimelineNotFoundException", "The requested timeline was not found.")
        return timeline_json(build, given(attempt, missing), self.base_url)

    def _get_log(self, request: web.Request) -> str:
        missing = _refusal(404, "BuildLogNotFoundException", "The requested log was not found.")
        text = self.runs.text_of_log(self._build(request), int(request.match_info["log"]))
        if text is not None:
            return text
        job = given(self.runs.machine_of_log(self._build(request), int(request.match_info["log"])), missing)
        first, last = int(request.query.get("startLine", "0")), int(request.query.get("endLine", "1000000"))
        return "\r\n".join(job_log(job)[first : last + 1])

    async def _update_definition(self, request: web.Request) -> Any:
        definition, body = self._definition(request), await request.json()
        if not {"name", "process", "queueStatus", "revision"} <= body.keys():
            raise _refusal(400, "InvalidDefinitionException", "Value cannot be null. Parameter name: definition")
        if body["revision"] != definition.revision:
            raise _refusal(409, "DefinitionRevisionConflictException", "The definition was changed by someone else.")
        definition.queue_status, definition.revision = body["queueStatus"], definition.revision + 1
        return definition_json(definition, self.base_url)

    def _page(self, request: web.Request) -> str:
        """What people see, without a token."""
        build_id = request.query.get("buildId", "")
        build = given(self.runs.run(int(build_id)) if build_id.isdigit() else None, Refused(404, "not found"))
        lines = [f"{build.title} (build {build.id}, attempt {build.attempt})", f"{build.status} {build.result or ''}"]
        return "\n".join(lines + [f"- {job.name}: {job.state}" for job in build.jobs])

    def _project(self, request: web.Request) -> str:
        name = request.match_info["project"]
        message = (
            f"TF200016: The following project does not exist: {name}. Verify that the name of the project is correct."
        )
        return given(self.runs.project(name), _refusal(404, "ProjectDoesNotExistWithNameException", message))

    def _build(self, request: web.Request) -> BuildRecord:
        number = request.match_info["build"]
        build = self.runs.run(int(number))
        if build is None or build.definition.project != self.runs.project(request.match_info["project"]):
            raise _refusal(404, "BuildNotFoundException", f"The requested build {number} was not found.")
        return build

    def _definition(self, request: web.Request) -> Definition:
        project, number = self.runs.project(request.match_info["project"]), request.match_info["definition"]
        missing = _refusal(404, "DefinitionNotFoundException", f"The requested definition {number} was not found.")
        return given(self.runs.definition(project, int(number)) if project else None, missing)

    def _paged(self, request: web.Request, builds: list[BuildRecord]) -> web.Response:
        size = max(1, min(self.page_size, int(request.query.get("$top", "1000"))))
        part, token = cut(builds, int(request.query.get("continuationToken", "0")), size)
        body = {"count": len(part), "value": [build_json(build, self.base_url) for build in part]}
        return self.answer(body, headers={"x-ms-continuationtoken": token} if token else None)


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


def _refusal(status: int, key: str, message: str) -> Refused:
    return Refused(status, refusal_json(key, message))

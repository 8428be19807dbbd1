"""A stand-in for GitLab's REST API on loopback: documented shapes, paging, limits and refusals, real life cycles.

The world behind it (`GitLabStandIn.world`) is driven by plain calls; `loop` starts pipelines by itself.
Source: https://docs.gitlab.com/api/rest/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bot.sandbox.stand_in import Contend, StandIn, wall_clock
from tests.worlds.ci.gitlab_shapes import bridge_json, job_json, listed_json, pipeline_json, schedule_json
from tests.worlds.ci.gitlab_world import GitLabWorld, JobRecord, PipelineRecord, Project, ScheduleRecord

_API = "/api/v4"
_PER_MINUTE = 2000
_WINDOW = 60.0
_STATUSES = frozenset(
    (
        "created",
        "waiting_for_resource",
        "preparing",
        "waiting_for_callback",
        "pending",
        "running",
        "success",
        "failed",
        "canceling",
        "canceled",
        "skipped",
        "manual",
        "scheduled",
    )
)


@dataclass(slots=True)
class GitLabStandIn:
    """`async with GitLabStandIn() as gitlab:` serves at `gitlab.base_url` until the block ends.

    `token` has the scope `api` and belongs to `user`, a maintainer; `reading_token` has `read_api`, `narrow_token`
    neither. `offset` shifts the stand-in's clock against the real one. `remaining` is what is left of the minute's
    requests. `unknown_statuses` are those that an older GitLab does not know.
    """

    token: str = "sandbox-gitlab-token"
    reading_token: str = "sandbox-gitlab-reading-token"
    narrow_token: str = "sandbox-gitlab-narrow-token"
    user: str = "tflock-bot"
    is_maintainer: bool = True
    offset: timedelta = timedelta(0)
    cancel_delay: timedelta = timedelta(seconds=1)
    remaining: int = _PER_MINUTE
    unknown_statuses: frozenset[str] = frozenset()
    world: GitLabWorld = field(init=False)
    server: StandIn = field(init=False)

    def __post_init__(self) -> None:
        self.world = GitLabWorld(self.now, cancel_delay=self.cancel_delay)
        self.server = StandIn(self._app(), self.now)
        self.answer_next = self.server.answer_next

    answer_next: Callable[..., None] = field(init=False)

    def now(self) -> datetime:
        return wall_clock(self.offset)

    @property
    def base_url(self) -> str:
        """The API's address, as the configuration takes it."""
        return self.server.base_url + _API

    @property
    def asked(self) -> list[str]:
        return self.server.asked

    def loop(
        self,
        project: str,
        ref: str,
        *,
        every: float,
        lasts: float = 30.0,
        contend: Contend | None = None,
        actor: str = "dependency-bot",
        title: str = "Update dependencies",
    ) -> None:
        """Starts a pipeline every so many seconds while the ref's schedule (made if it is not there) is active.

        See `StandIn.loop`.
        """
        schedules = self.world.add_project(project).schedules
        mine = [schedule for schedule in schedules if schedule.ref == ref]
        schedule = mine[0] if mine else self.world.add_schedule(project, ref, title)

        def start() -> PipelineRecord | None:
            if not schedule.active:
                return None
            return self.world.start_pipeline(project, ref, title=title, user=actor, source="schedule")

        self.server.loop(
            (project, ref),
            start,
            lambda pipeline: self.world.finish(pipeline.id, "failed"),
            every=every,
            lasts=lasts,
            contend=contend,
        )

    def stop_loop(self, project: str, ref: str) -> None:
        """Nothing is started any more; what runs goes on."""
        self.server.stop_loop((project, ref))

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)

    @property
    def _web(self) -> str:
        return self.server.base_url

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded])
        project = f"{_API}/projects/{{project}}"
        pipeline = f"{project}/pipelines/{{pipeline:\\d+}}"
        app.add_routes(
            [
                web.get(f"{project}/pipelines", self._list_pipelines),
                web.get(pipeline, self._get_pipeline),
                web.get(f"{pipeline}/jobs", self._list_jobs),
                web.get(f"{pipeline}/bridges", self._list_bridges),
                web.post(f"{pipeline}/cancel", self._cancel_pipeline),
                web.get(f"{project}/jobs/{{job:\\d+}}", self._get_job),
                web.get(f"{project}/jobs/{{job:\\d+}}/trace", self._get_trace),
                web.post(f"{project}/jobs/{{job:\\d+}}/cancel", self._cancel_job),
                web.get(f"{project}/pipeline_schedules", self._list_schedules),
                web.get("/{project:.+}/-/pipelines/{pipeline:\\d+}", self._page),
                web.put(f"{project}/pipeline_schedules/{{schedule:\\d+}}", self._change_schedule),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith(_API):
            page: web.StreamResponse = await handler(request)
            return page
        token = request.headers.get("PRIVATE-TOKEN", "")
        if token not in {self.token, self.reading_token, self.narrow_token} or not token:
            return _message(401, "401 Unauthorized")
        if self.remaining <= 0:
            response: web.StreamResponse = web.Response(status=429, text="Retry later\n")
        elif token == self.narrow_token or (request.method != "GET" and token == self.reading_token):
            response = _narrow("api read_api" if request.method == "GET" else "api")
        elif request.match_info.get("project") and self._project(request) is None:
            response = _message(404, "404 Project Not Found")
        else:
            self.remaining -= 1
            response = await handler(request)
        response.headers.update(self._rate_headers())
        return response

    def _rate_headers(self) -> dict[str, str]:
        reset = int((self.now().timestamp() // _WINDOW + 1) * _WINDOW)
        return {
            "RateLimit-Limit": str(_PER_MINUTE),
            "RateLimit-Remaining": str(max(0, self.remaining)),
            "RateLimit-Observed": str(_PER_MINUTE - max(0, self.remaining)),
            "RateLimit-Reset": str(reset),
        }

    async def _list_pipelines(self, request: web.Request) -> web.Response:
        query, project = request.query, self._known_project(request)
        if "status" in query and query["status"] not in _STATUSES - self.unknown_statuses:
            return web.json_response({"error": "status does not have a valid value"}, status=400)
        found = [pipeline for pipeline in project.pipelines if self._passes(pipeline, query)]
        newest = sorted(found, key=lambda pipeline: -pipeline.id)
        return self._paged(request, [listed_json(pipeline, self._web) for pipeline in newest])

    def _passes(self, pipeline: PipelineRecord, query: Any) -> bool:
        pipeline = self.world.pipeline(pipeline.id) or pipeline
        if (query.get("source") or pipeline.source) != pipeline.source:
            return False
        if pipeline.source == "parent_pipeline" and query.get("source") != "parent_pipeline":
            return False
        if any(query.get(key, own) != own for key, own in (("ref", pipeline.ref), ("status", pipeline.status))):
            return False
        return "updated_after" not in query or pipeline.updated_at > datetime.fromisoformat(query["updated_after"])

    async def _get_pipeline(self, request: web.Request) -> web.Response:
        pipeline = self._pipeline(request)
        return web.json_response(pipeline_json(pipeline, self._web)) if pipeline else _message(404, "404 Not found")

    async def _list_jobs(self, request: web.Request) -> web.Response:
        pipeline = self._pipeline(request)
        if pipeline is None:
            return _message(404, "404 Not found")
        wanted = pipeline.jobs if request.query.get("include_retried") == "true" else pipeline.current
        jobs = [job_json(job, pipeline, self._web) for job in _newest(wanted) if not job.is_bridge]
        return self._paged(request, jobs)

    async def _list_bridges(self, request: web.Request) -> web.Response:
        pipeline = self._pipeline(request)
        if pipeline is None:
            return _message(404, "404 Not found")
        bridges = [bridge_json(job, pipeline, self._web) for job in _newest(pipeline.current) if job.is_bridge]
        return self._paged(request, bridges)

    async def _cancel_pipeline(self, request: web.Request) -> web.Response:
        """GitLab answers 200 whatever the pipeline's state."""
        pipeline = self._pipeline(request)
        if pipeline is None:
            return _message(404, "404 Not found")
        self.world.cancel(pipeline.id)
        return web.json_response(pipeline_json(pipeline, self._web))

    async def _get_job(self, request: web.Request) -> web.Response:
        pipeline, job = self._job(request)
        if pipeline is None or job is None:
            return _message(404, "404 Not found")
        return web.json_response(job_json(job, pipeline, self._web))

    async def _get_trace(self, request: web.Request) -> web.Response:
        _, job = self._job(request)
        return web.Response(text=job.trace) if job and job.trace else _message(404, "404 Not found")

    async def _cancel_job(self, request: web.Request) -> web.Response:
        pipeline, job = self._job(request)
        if pipeline is None or job is None:
            return _message(404, "404 Not found")
        if request.query.get("force") == "true":
            if not self.is_maintainer:
                return _message(403, "403 Forbidden")
            self.world.force(job.id)
        return web.json_response(job_json(job, pipeline, self._web), status=201)

    async def _list_schedules(self, request: web.Request) -> web.Response:
        schedules = self._known_project(request).schedules
        return self._paged(request, [schedule_json(schedule, self._web) for schedule in schedules])

    async def _change_schedule(self, request: web.Request) -> web.Response:
        wanted = int(request.match_info["schedule"])
        schedule = next((each for each in self._known_project(request).schedules if each.id == wanted), None)
        if schedule is None:
            return _message(404, "404 Pipeline Schedule Not Found")
        if not self.is_maintainer and schedule.owner != self.user:
            return _message(403, "403 Forbidden")
        _update(schedule, await request.json())
        return web.json_response(schedule_json(schedule, self._web))

    async def _page(self, request: web.Request) -> web.Response:
        """What people see, without a token."""
        pipeline = self._pipeline(request)
        if pipeline is None:
            return web.Response(status=404, text="not found")
        lines = [f"{pipeline.title or pipeline.source} (pipeline {pipeline.id} of {pipeline.ref})", pipeline.status]
        return web.Response(text="\n".join(lines + [f"- {job.name}: {job.status}" for job in pipeline.jobs]))

    def _project(self, request: web.Request) -> Project | None:
        project = self.world.project(request.match_info["project"])
        return project if project and project.is_visible else None

    def _known_project(self, request: web.Request) -> Project:
        project = self._project(request)
        if project is None:
            raise web.HTTPNotFound
        return project

    def _pipeline(self, request: web.Request) -> PipelineRecord | None:
        pipeline = self.world.pipeline(int(request.match_info["pipeline"]))
        return pipeline if pipeline and pipeline.project is self._project(request) else None

    def _job(self, request: web.Request) -> tuple[PipelineRecord | None, JobRecord | None]:
        wanted = int(request.match_info["job"])
        for pipeline in self._known_project(request).pipelines:
            for job in pipeline.jobs:
                if job.id == wanted and not job.is_bridge:
                    return pipeline, job
        return None, None

    def _paged(self, request: web.Request, entries: Sequence[dict[str, Any]]) -> web.Response:
        size = max(1, min(100, int(request.query.get("per_page", "20"))))
        number = max(1, int(request.query.get("page", "1")))
        following = str(number + 1) if number * size < len(entries) else ""
        headers = {
            "X-Page": str(number),
            "X-Per-Page": str(size),
            "X-Next-Page": following,
            "X-Total": str(len(entries)),
            "X-Total-Pages": str(max(1, -(-len(entries) // size))),
        }
        if following:
            headers["Link"] = f'<{request.url.update_query(page=following)}>; rel="next"'
        return web.json_response(entries[(number - 1) * size : number * size], headers=headers)


def _newest(jobs: Iterable[JobRecord]) -> list[JobRecord]:
    return sorted(jobs, key=lambda job: -job.id)


def _update(schedule: ScheduleRecord, changes: dict[str, Any]) -> None:
    schedule.active = bool(changes.get("active", schedule.active))
    schedule.description = str(changes.get("description", schedule.description))


def _message(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)


def _narrow(scope: str) -> web.Response:
    body = {
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": scope,
    }
    return web.json_response(body, status=403)

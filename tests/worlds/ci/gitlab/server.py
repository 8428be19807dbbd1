"""A stand-in for GitLab's REST API on loopback: documented shapes, paging, limits and refusals, real life cycles.

Source: https://docs.gitlab.com/api/rest/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from bot.sandbox.stand_in import Contend, Refused, Serve, given, paged
from tests.worlds.ci.gitlab.runs import GitLabRuns, JobRecord, PipelineRecord, Project, ScheduleRecord
from tests.worlds.ci.gitlab.shapes import bridge_json, job_json, listed_json, pipeline_json, schedule_json
from tests.worlds.stand_in import FaultyCi

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


@dataclass(kw_only=True)
class GitLabStandIn(FaultyCi):
    """`async with GitLabStandIn() as gitlab:` serves at `gitlab.base_url` until the block ends.

    `token` has the scope `api` and belongs to `user`, a maintainer; `reading_token` has `read_api`, `narrow_token`
    neither. `remaining` is what is left of the minute's requests. `unknown_statuses` are those that an older GitLab
    does not know.
    """

    prefix: str = "/api/v4"
    token: str = "sandbox-gitlab-token"
    reading_token: str = "sandbox-gitlab-reading-token"
    narrow_token: str = "sandbox-gitlab-narrow-token"
    user: str = "tflock-bot"
    is_maintainer: bool = True
    cancel_delay: timedelta = timedelta(seconds=1)
    remaining: int = _PER_MINUTE
    unknown_statuses: frozenset[str] = frozenset()
    runs: GitLabRuns = field(init=False)

    def __post_init__(self) -> None:
        self.runs = GitLabRuns(self.now, cancel_delay=self.cancel_delay)

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
        """Starts a pipeline every so many seconds while the ref's schedule (made if it is not there) is active."""
        schedules = self.runs.add_project(project).schedules
        mine = [schedule for schedule in schedules if schedule.ref == ref]
        schedule = mine[0] if mine else self.runs.add_schedule(project, ref, title)

        def start() -> PipelineRecord | None:
            if not schedule.active:
                return None
            return self.runs.start_pipeline(project, ref, title=title, user=actor, source="schedule")

        self.keep_starting(project, ref, start=start, every=every, lasts=lasts, contend=contend)

    def fail(self, run: PipelineRecord) -> None:
        self.runs.finish(run.id, "failed")

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        project = f"{self.prefix}/projects/{{project}}"
        pipeline, job = f"{project}/pipelines/{{pipeline:\\d+}}", f"{project}/jobs/{{job:\\d+}}"
        return {
            f"GET {project}/pipelines": self._list_pipelines,
            f"GET {pipeline}": lambda request: pipeline_json(self._pipeline(request), self.origin),
            f"GET {pipeline}/jobs": self._list_jobs,
            f"GET {pipeline}/bridges": self._list_bridges,
            f"POST {pipeline}/cancel": self._cancel_pipeline,
            f"GET {job}": self._get_job,
            f"GET {job}/trace": self._get_trace,
            f"POST {job}/cancel": self._cancel_job,
            f"GET {project}/pipeline_schedules": self._list_schedules,
            "GET /{project:.+}/-/pipelines/{pipeline:\\d+}": self._page,
            f"PUT {project}/pipeline_schedules/{{schedule:\\d+}}": self._change_schedule,
        }

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        if not request.path.startswith(self.prefix):
            return await serve(request)
        token = request.headers.get("PRIVATE-TOKEN", "")
        if token not in {self.token, self.reading_token, self.narrow_token} or not token:
            raise _message(401, "401 Unauthorized")
        try:
            self._admit(request, token)
            response = await serve(request)
        except Refused as refused:
            response = self.answer(refused.body, refused.status)
        response.headers.update(self._rate_headers())
        return response

    def _admit(self, request: web.Request, token: str) -> None:
        if self.remaining <= 0:
            raise Refused(429, "Retry later\n")
        if token == self.narrow_token or (request.method != "GET" and token == self.reading_token):
            raise _narrow("api read_api" if request.method == "GET" else "api")
        if request.match_info.get("project"):
            self._project(request)
        self.remaining -= 1

    def _rate_headers(self) -> dict[str, str]:
        reset = int((self.now().timestamp() // _WINDOW + 1) * _WINDOW)
        return {
            "RateLimit-Limit": str(_PER_MINUTE),
            "RateLimit-Remaining": str(max(0, self.remaining)),
            "RateLimit-Observed": str(_PER_MINUTE - max(0, self.remaining)),
            "RateLimit-Reset": str(reset),
        }

    def _list_pipelines(self, request: web.Request) -> web.Response:
        query, project = request.query, self._project(request)
        if "status" in query and query["status"] not in _STATUSES - self.unknown_statuses:
            raise Refused(400, {"error": "status does not have a valid value"})
        found = [pipeline for pipeline in project.pipelines if self._passes(pipeline, query)]
        newest = sorted(found, key=lambda pipeline: -pipeline.id)
        return self._paged(request, [listed_json(pipeline, self.origin) for pipeline in newest])

    def _passes(self, pipeline: PipelineRecord, query: Mapping[str, str]) -> bool:
        self.runs.settle()
        if (query.get("source") or pipeline.source) != pipeline.source:
            return False
        if pipeline.source == "parent_pipeline" and query.get("source") != "parent_pipeline":
            return False
        if any(query.get(key, own) != own for key, own in (("ref", pipeline.ref), ("status", pipeline.status))):
            return False
        return "updated_after" not in query or pipeline.updated_at > datetime.fromisoformat(query["updated_after"])

    def _list_jobs(self, request: web.Request) -> web.Response:
        pipeline = self._pipeline(request)
        jobs = [job_json(job, pipeline, self.origin) for job in _wanted(pipeline, request) if not job.is_bridge]
        return self._paged(request, jobs)

    def _list_bridges(self, request: web.Request) -> web.Response:
        pipeline = self._pipeline(request)
        bridges = [bridge_json(job, pipeline, self.origin) for job in _wanted(pipeline, request) if job.is_bridge]
        return self._paged(request, bridges)

    def _cancel_pipeline(self, request: web.Request) -> Any:
        """GitLab answers 200 whatever the pipeline's state."""
        pipeline = self._pipeline(request)
        self.runs.cancel(pipeline.id)
        return pipeline_json(pipeline, self.origin)

    def _get_job(self, request: web.Request) -> Any:
        pipeline, job = self._job(request)
        return job_json(job, pipeline, self.origin)

    def _get_trace(self, request: web.Request) -> str:
        return given(self._job(request)[1].trace or None, _message(404, "404 Not found"))

    def _cancel_job(self, request: web.Request) -> web.Response:
        pipeline, job = self._job(request)
        if request.query.get("force") == "true":
            if not self.is_maintainer:
                raise _message(403, "403 Forbidden")
            self.runs.force(job.id)
        return self.answer(job_json(job, pipeline, self.origin), 201)

    def _list_schedules(self, request: web.Request) -> web.Response:
        schedules = self._project(request).schedules
        return self._paged(request, [schedule_json(schedule, self.origin) for schedule in schedules])

    async def _change_schedule(self, request: web.Request) -> Any:
        wanted = int(request.match_info["schedule"])
        found = next((each for each in self._project(request).schedules if each.id == wanted), None)
        schedule = given(found, _message(404, "404 Pipeline Schedule Not Found"))
        if not self.is_maintainer and schedule.owner != self.user:
            raise _message(403, "403 Forbidden")
        _update(schedule, await request.json())
        return schedule_json(schedule, self.origin)

    def _page(self, request: web.Request) -> str:
        """What people see, without a token."""
        pipeline = self._pipeline(request)
        lines = [f"{pipeline.title or pipeline.source} (pipeline {pipeline.id} of {pipeline.ref})", pipeline.status]
        return "\n".join(lines + [f"- {job.name}: {job.status}" for job in pipeline.jobs])

    def _project(self, request: web.Request) -> Project:
        project = self.runs.project(request.match_info["project"])
        if project is None or not project.is_visible:
            raise _message(404, "404 Project Not Found")
        return project

    def _pipeline(self, request: web.Request) -> PipelineRecord:
        pipeline = self.runs.pipeline(int(request.match_info["pipeline"]))
        if pipeline is None or pipeline.project is not self._project(request):
            raise _message(404, "404 Not found")
        return pipeline

    def _job(self, request: web.Request) -> tuple[PipelineRecord, JobRecord]:
        wanted = int(request.match_info["job"])
        for pipeline in self._project(request).pipelines:
            for job in pipeline.jobs:
                if job.id == wanted and not job.is_bridge:
                    return pipeline, job
        raise _message(404, "404 Not found")

    def _paged(self, request: web.Request, entries: list[dict[str, Any]]) -> web.Response:
        page = paged(request, entries, usual=20)
        headers = {
            "X-Page": str(page.number),
            "X-Per-Page": str(page.size),
            "X-Next-Page": page.following,
            "X-Total": str(len(entries)),
            "X-Total-Pages": str(max(1, -(-len(entries) // page.size))),
        }
        return self.answer(page.shown, headers=headers | page.link)


def _wanted(pipeline: PipelineRecord, request: web.Request) -> list[JobRecord]:
    """`Ci::JobsFinder` takes `include_retried` for jobs and for trigger jobs."""
    return _newest(pipeline.jobs if request.query.get("include_retried") == "true" else pipeline.current)


def _newest(jobs: Iterable[JobRecord]) -> list[JobRecord]:
    return sorted(jobs, key=lambda job: -job.id)


def _update(schedule: ScheduleRecord, changes: dict[str, Any]) -> None:
    schedule.active = bool(changes.get("active", schedule.active))
    schedule.description = str(changes.get("description", schedule.description))


def _message(status: int, text: str) -> Refused:
    return Refused(status, {"message": text})


def _narrow(scope: str) -> Refused:
    body = {
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": scope,
    }
    return Refused(403, body)

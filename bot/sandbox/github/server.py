"""A stand-in for GitHub's Actions REST API on loopback: documented shapes, limits and refusals, real life cycles.

Source: https://docs.github.com/en/rest/actions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import quote

from aiohttp import web

from bot.sandbox.github.runs import GitHubRuns, JobRecord, RunRecord, Workflow
from bot.sandbox.github.shapes import job_json, run_json, workflow_json
from bot.sandbox.stand_in import CiStandIn, Contend, Refused, Serve, given, paged, serving

_FILTERS = ("actor", "branch", "check_suite_id", "created", "event", "head_sha", "status")
_MOST_FILTERED = 1000
_HOURLY = 5000
_WINDOW = 3600.0


@dataclass(kw_only=True)
class GitHubStandIn(CiStandIn):
    """`async with GitHubStandIn() as github:` serves at `github.base_url` until the block ends.

    `token` may read and write; `reading_token` may only read. Logs are kept at another origin, to which jobs' logs
    redirect; `carried` are the credentials that were sent there all the same. `remaining` is what is left of the hour's
    requests; `most_shown` is how many entries a filtered list shows.
    """

    token: str = "sandbox-github-token"
    reading_token: str = "sandbox-github-reading-token"
    cancel_delay: timedelta = timedelta(seconds=1)
    remaining: int = _HOURLY
    most_shown: int = _MOST_FILTERED
    carried: list[str] = field(default_factory=list, init=False)
    runs: GitHubRuns = field(init=False)
    _storage: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.runs = GitHubRuns(self.now, cancel_delay=self.cancel_delay)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        storage = web.Application()
        storage.router.add_get(r"/logs/{job:\d+}.txt", self._stored_log)
        self._storage = await self._running.enter_async_context(serving(storage))
        return self

    def loop(
        self,
        repo: str,
        workflow: str,
        *,
        every: float,
        lasts: float = 30.0,
        contend: Contend | None = None,
        actor: str = "dependency-bot",
        title: str = "Update dependencies",
    ) -> None:
        """Starts a run of the workflow every so many seconds, while the workflow is enabled, until `stop_loop`."""
        source = self.runs.add_workflow(repo, workflow)

        def start() -> RunRecord | None:
            if source.state != "active":
                return None
            return self.runs.start_run(repo, workflow, actor=actor, title=title, event="schedule")

        self.keep_starting(repo, workflow, start=start, every=every, lasts=lasts, contend=contend)

    def fail(self, run: RunRecord) -> None:
        self.runs.finish(run.id, "failure")

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        root, api = "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/actions"
        run = f"{api}/runs/{{run:\\d+}}"
        return {
            "GET /rate_limit": self._rate_limit,
            f"GET {root}": self._repository,
            f"GET {api}/workflows": self._list_workflows,
            f"GET {api}/workflows/{{workflow}}": lambda request: workflow_json(self._workflow(request), self.base_url),
            f"PUT {api}/workflows/{{workflow}}/{{verb:enable|disable}}": self._switch_workflow,
            f"GET {api}/workflows/{{workflow}}/runs": self._list_runs,
            f"GET {api}/runs": self._list_runs,
            f"GET {run}": lambda request: run_json(self._run(request), self.base_url),
            f"GET {run}/jobs": self._list_jobs,
            f"GET {api}/jobs/{{job:\\d+}}/logs": self._get_log,
            f"GET {run}/attempts/{{attempt:\\d+}}/jobs": self._list_jobs,
            f"POST {run}/{{verb:cancel|force-cancel}}": self._cancel_run,
            "GET /{owner}/{repo}/actions/runs/{run:\\d+}": self._page,
        }

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        if not request.path.startswith("/repos/"):
            return await serve(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("token ")
        if token not in {self.token, self.reading_token}:
            raise _refusal(401, "Bad credentials")
        if self.remaining <= 0:
            raise _refusal(403, "API rate limit exceeded for user ID 1.", self._rate_headers())
        if request.method != "GET" and token == self.reading_token:
            raise _refusal(403, "Resource not accessible by personal access token", self._rate_headers())
        self.remaining -= 1
        response = await serve(request)
        response.headers.update(self._rate_headers())
        return response

    def _rate_headers(self) -> dict[str, str]:
        reset = int((self.now().timestamp() // _WINDOW + 1) * _WINDOW)
        return {
            "X-RateLimit-Limit": str(_HOURLY),
            "X-RateLimit-Remaining": str(max(0, self.remaining)),
            "X-RateLimit-Used": str(_HOURLY - max(0, self.remaining)),
            "X-RateLimit-Reset": str(reset),
            "X-RateLimit-Resource": "core",
        }

    def _rate_limit(self, _: web.Request) -> Any:
        core = {"limit": _HOURLY, "remaining": self.remaining, "used": _HOURLY - self.remaining}
        return {"resources": {"core": core}, "rate": core}

    def _repository(self, request: web.Request) -> Any:
        return {"full_name": self._workflows(request)[0].repo, "private": True}

    def _list_workflows(self, request: web.Request) -> Any:
        workflows = [workflow_json(workflow, self.base_url) for workflow in self._workflows(request)]
        return self._paged(request, "workflows", workflows)

    def _switch_workflow(self, request: web.Request) -> None:
        workflow, enable = self._workflow(request), request.match_info["verb"] == "enable"
        if (workflow.state == "active") is enable:
            verb, wanted = ("enable", "disabled") if enable else ("disable", "active")
            raise _refusal(422, f"Unable to {verb} a workflow that is not {wanted}.")
        workflow.state = "active" if enable else "disabled_manually"

    def _list_runs(self, request: web.Request) -> Any:
        runs = self.runs.runs(_repo(request))
        if "workflow" in request.match_info:
            workflow = self._workflow(request)
            runs = [run for run in runs if run.workflow is workflow]
        try:
            runs = [run for run in runs if _passes(run, request.query)]
        except ValueError:
            raise _refusal(422, "Invalid created filter") from None
        most = self.most_shown if any(name in request.query for name in _FILTERS) else len(runs)
        return self._paged(request, "workflow_runs", [run_json(run, self.base_url) for run in runs], most=most)

    def _list_jobs(self, request: web.Request) -> Any:
        run = self._run(request)
        jobs: Iterable[JobRecord] = run.jobs
        if "attempt" in request.match_info:
            jobs = [job for job in jobs if job.attempt == int(request.match_info["attempt"])]
        elif request.query.get("filter", "latest") == "latest":
            jobs = run.current_jobs
        return self._paged(request, "jobs", [job_json(job, run, self.base_url) for job in jobs])

    def _get_log(self, request: web.Request) -> web.Response:
        """A redirect that is good for a minute; while the job runs there is no log, and after 90 days none any more."""
        job = given(self.runs.job(int(request.match_info["job"])), _missing())
        if job.is_log_expired:
            raise _refusal(410, "Server Error")
        if job.log is None or job.status != "completed":
            raise _missing()
        until = (self.now() + timedelta(minutes=1)).isoformat()
        return web.Response(
            status=302, headers={"Location": f"{self._storage}/logs/{job.id}.txt?se={quote(until)}&sig=x"}
        )

    async def _stored_log(self, request: web.Request) -> web.StreamResponse:
        """As the storage gives it: with the mark of the byte order, and in part where a range is asked for."""
        if said := request.headers.get("Authorization"):
            self.carried.append(said)
        job = self.runs.job(int(request.match_info["job"]))
        text = "\ufeff" + (job.log or "" if job else "")
        if datetime.fromisoformat(request.query["se"]) < self.now():
            return web.Response(status=403, text="<Error><Code>AuthenticationFailed</Code></Error>")
        body, asked = text.encode(), re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        part = body[int(asked[1]) :] if asked else body
        return web.Response(status=206 if asked else 200, body=part, content_type="text/plain")

    def _cancel_run(self, request: web.Request) -> Any:
        if not self.runs.cancel(self._run(request).id, force=request.match_info["verb"] == "force-cancel"):
            raise _refusal(409, "Cannot cancel a workflow run that is completed.")
        return self.answer({}, 202)

    def _page(self, request: web.Request) -> str:
        """What people see, without a token."""
        run = self._run(request)
        lines = [f"{run.title} (run {run.id}, attempt {run.attempt})", f"{run.status} {run.conclusion or ''}"]
        return "\n".join(lines + [f"- {job.name}: {job.status}" for job in run.jobs])

    def _workflows(self, request: web.Request) -> list[Workflow]:
        repo = _repo(request).casefold()
        return given([w for w in self.runs.workflows if w.repo.casefold() == repo] or None, _missing())

    def _workflow(self, request: web.Request) -> Workflow:
        return given(self.runs.workflow(_repo(request), request.match_info["workflow"]), _missing())

    def _run(self, request: web.Request) -> RunRecord:
        run = self.runs.run(int(request.match_info["run"]))
        if run is None or run.workflow.repo.casefold() != _repo(request).casefold():
            raise _missing()
        return run

    def _paged(self, request: web.Request, key: str, entries: list[Any], *, most: int | None = None) -> web.Response:
        page = paged(request, entries[:most], usual=30)
        return self.answer({"total_count": len(entries), key: page.shown}, headers=page.link)


def _passes(run: RunRecord, query: Mapping[str, str]) -> bool:
    own = {"branch": run.branch, "event": run.event, "actor": run.actor}
    if any(name in query and query[name] != value for name, value in own.items()):
        return False
    if "status" in query and query["status"] not in {run.status, run.conclusion}:
        return False
    return "created" not in query or _in_range(run.created_at.replace(microsecond=0), query["created"])


def _in_range(at: datetime, text: str) -> bool:
    """GitHub's search syntax for dates: `>=A`, `>A`, `<=B`, `<B`, `A..B`, with `*` for an open end."""
    low, dots, high = text.partition("..")
    if dots:
        return (low == "*" or at >= _date(low)) and (high == "*" or at <= _date(high))
    for sign, holds in ((">=", at.__ge__), ("<=", at.__le__), (">", at.__gt__), ("<", at.__lt__)):
        if text.startswith(sign):
            return holds(_date(text.removeprefix(sign)))
    return at.date() == _date(text).date()


def _date(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _repo(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['repo']}"


def _missing() -> Refused:
    return _refusal(404, "Not Found")


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return Refused(status, body, headers)

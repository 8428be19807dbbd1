"""A stand-in for GitHub's Actions REST API on loopback: documented shapes, limits and refusals, real life cycles.

The world behind it (`GitHubStandIn.world`) is driven by plain calls; `loop` starts runs by itself.
Source: https://docs.github.com/en/rest/actions.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bot.sandbox.github.shapes import job_json, run_json, workflow_json
from bot.sandbox.github.world import GitHubWorld, JobRecord, RunRecord, Workflow

_FILTERS = ("actor", "branch", "check_suite_id", "created", "event", "head_sha", "status")
_MOST_FILTERED = 1000
_HOURLY = 5000
_WINDOW = 3600.0

Contend = Callable[[RunRecord], Awaitable[None]]


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
class GitHubStandIn:
    """`async with GitHubStandIn() as github:` serves at `github.base_url` until the block ends.

    `token` may read and write; `reading_token` may only read. `offset` shifts the stand-in's clock against the real
    one. `remaining` is what is left of the hour's requests; `most_shown` is how many entries a filtered list shows.
    """

    token: str = "sandbox-github-token"
    reading_token: str = "sandbox-github-reading-token"
    offset: timedelta = timedelta(0)
    cancel_delay: timedelta = timedelta(seconds=1)
    remaining: int = _HOURLY
    most_shown: int = _MOST_FILTERED
    base_url: str = ""
    asked: list[str] = field(default_factory=list)
    world: GitHubWorld = field(init=False)
    _answers: list[_Answer] = field(default_factory=list)
    _loops: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _contending: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.world = GitHubWorld(self.now, cancel_delay=self.cancel_delay)

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
        repo: str,
        workflow: str,
        *,
        every: float,
        lasts: float = 30.0,
        contend: Contend | None = None,
        actor: str = "dependency-bot",
        title: str = "Update dependencies",
    ) -> None:
        """Starts a run of the workflow every so many seconds, while the workflow is enabled, until `stop_loop`.

        A run lasts as long as `contend(run)` does, or `lasts` seconds, and then fails. A cancelled run's `contend`
        is cancelled.
        """
        source = self.world.add_workflow(repo, workflow)

        async def keep_starting() -> None:
            while True:
                if source.state == "active":
                    run = self.world.start_run(repo, workflow, actor=actor, title=title, event="schedule")
                    self.live(run, lasts=lasts, contend=contend)
                await asyncio.sleep(every)

        self.stop_loop(repo, workflow)
        self._loops[source.id] = asyncio.create_task(keep_starting())

    def live(self, run: RunRecord, *, lasts: float = 30.0, contend: Contend | None = None) -> None:
        """Lets one run that goes on live as those of `loop` do."""
        self._contending[run.id] = asyncio.create_task(self._live(run, lasts, contend))

    def stop_loop(self, repo: str, workflow: str) -> None:
        """Nothing is started any more; what runs goes on."""
        task = self._loops.pop(self.world.add_workflow(repo, workflow).id, None)
        if task is not None:
            task.cancel()

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._loops.values(), *self._contending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _live(self, run: RunRecord, lasts: float, contend: Contend | None) -> None:
        act = asyncio.ensure_future(contend(run) if contend else asyncio.sleep(lasts))
        try:
            while not act.done():
                await asyncio.wait([act], timeout=0.05)
                if (seen := self.world.run(run.id)) is not None and seen.has_ended:
                    return
            self.world.finish(run.id, "failure")
        finally:
            act.cancel()
            await asyncio.gather(act, return_exceptions=True)
            self._contending.pop(run.id, None)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._instead, self._guarded])
        app.on_response_prepare.append(self._dated)
        root, api = "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/actions"
        app.add_routes(
            [
                web.get("/rate_limit", self._rate_limit),
                web.get(root, self._repository),
                web.get(f"{api}/workflows", self._list_workflows),
                web.get(f"{api}/workflows/{{workflow}}", self._get_workflow),
                web.put(f"{api}/workflows/{{workflow}}/{{verb:enable|disable}}", self._switch_workflow),
                web.get(f"{api}/workflows/{{workflow}}/runs", self._list_runs),
                web.get(f"{api}/runs", self._list_runs),
                web.get(f"{api}/runs/{{run:\\d+}}", self._get_run),
                web.get(f"{api}/runs/{{run:\\d+}}/jobs", self._list_jobs),
                web.get(f"{api}/runs/{{run:\\d+}}/attempts/{{attempt:\\d+}}/jobs", self._list_jobs),
                web.post(f"{api}/runs/{{run:\\d+}}/{{verb:cancel|force-cancel}}", self._cancel_run),
                web.get("/{owner}/{repo}/actions/runs/{run:\\d+}", self._page),
            ]
        )
        return app

    async def _dated(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(self.now(), usegmt=True)

    @web.middleware
    async def _instead(self, request: web.Request, handler: Any) -> web.StreamResponse:
        line = f"{request.method} {request.path_qs}"
        self.asked.append(line)
        answer = next(
            (answer for answer in self._answers if answer.times > 0 and re.search(answer.matching, line)), None
        )
        if answer is not None:
            answer.times -= 1
            await asyncio.sleep(answer.delay)
            if answer.body is not None or answer.status != 200:
                return web.Response(status=answer.status, text=answer.body or "", headers=dict(answer.headers))
        response: web.StreamResponse = await handler(request)
        return response

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith("/repos/"):
            response: web.StreamResponse = await handler(request)
            return response
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("token ")
        if token not in {self.token, self.reading_token}:
            return _refusal(401, "Bad credentials")
        if self.remaining <= 0:
            response = _refusal(403, "API rate limit exceeded for user ID 1.")
        elif request.method != "GET" and token == self.reading_token:
            response = _refusal(403, "Resource not accessible by personal access token")
        else:
            self.remaining -= 1
            response = await handler(request)
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

    async def _rate_limit(self, _: web.Request) -> web.Response:
        core = {"limit": _HOURLY, "remaining": self.remaining, "used": _HOURLY - self.remaining}
        return web.json_response({"resources": {"core": core}, "rate": core})

    async def _repository(self, request: web.Request) -> web.Response:
        repo = _repo(request)
        known = [workflow for workflow in self.world.workflows if workflow.repo.casefold() == repo.casefold()]
        return web.json_response({"full_name": known[0].repo, "private": True}) if known else _missing()

    async def _list_workflows(self, request: web.Request) -> web.Response:
        repo = _repo(request).casefold()
        mine = [workflow_json(w, self.base_url) for w in self.world.workflows if w.repo.casefold() == repo]
        return self._paged(request, "workflows", mine) if mine else _missing()

    async def _get_workflow(self, request: web.Request) -> web.Response:
        workflow = self._workflow(request)
        return web.json_response(workflow_json(workflow, self.base_url)) if workflow else _missing()

    async def _switch_workflow(self, request: web.Request) -> web.Response:
        workflow, enable = self._workflow(request), request.match_info["verb"] == "enable"
        if workflow is None:
            return _missing()
        if (workflow.state == "active") is enable:
            verb, wanted = ("enable", "disabled") if enable else ("disable", "active")
            return _refusal(422, f"Unable to {verb} a workflow that is not {wanted}.")
        workflow.state = "active" if enable else "disabled_manually"
        return web.Response(status=204)

    async def _list_runs(self, request: web.Request) -> web.Response:
        runs = self.world.runs(_repo(request))
        if "workflow" in request.match_info:
            workflow = self._workflow(request)
            if workflow is None:
                return _missing()
            runs = [run for run in runs if run.workflow is workflow]
        try:
            runs = [run for run in runs if _passes(run, request.query)]
        except ValueError:
            return _refusal(422, "Invalid created filter")
        most = self.most_shown if any(name in request.query for name in _FILTERS) else len(runs)
        return self._paged(request, "workflow_runs", [run_json(run, self.base_url) for run in runs], most=most)

    async def _get_run(self, request: web.Request) -> web.Response:
        run = self._run(request)
        return web.json_response(run_json(run, self.base_url)) if run else _missing()

    async def _list_jobs(self, request: web.Request) -> web.Response:
        run = self._run(request)
        if run is None:
            return _missing()
        jobs: Iterable[JobRecord] = run.jobs
        if "attempt" in request.match_info:
            jobs = [job for job in jobs if job.attempt == int(request.match_info["attempt"])]
        elif request.query.get("filter", "latest") == "latest":
            jobs = run.current_jobs
        return self._paged(request, "jobs", [job_json(job, run, self.base_url) for job in jobs])

    async def _cancel_run(self, request: web.Request) -> web.Response:
        run = self._run(request)
        if run is None:
            return _missing()
        if not self.world.cancel(run.id, force=request.match_info["verb"] == "force-cancel"):
            return _refusal(409, "Cannot cancel a workflow run that is completed.")
        return web.json_response({}, status=202)

    async def _page(self, request: web.Request) -> web.Response:
        run = self._run(request)
        if run is None:
            return web.Response(status=404, text="not found")
        lines = [f"{run.title} (run {run.id}, attempt {run.attempt})", f"{run.status} {run.conclusion or ''}"]
        return web.Response(text="\n".join(lines + [f"- {job.name}: {job.status}" for job in run.jobs]))

    def _workflow(self, request: web.Request) -> Workflow | None:
        return self.world.workflow(_repo(request), request.match_info["workflow"])

    def _run(self, request: web.Request) -> RunRecord | None:
        run = self.world.run(int(request.match_info["run"]))
        return run if run and run.workflow.repo.casefold() == _repo(request).casefold() else None

    def _paged(
        self, request: web.Request, key: str, entries: list[dict[str, Any]], *, most: int | None = None
    ) -> web.Response:
        size = max(1, min(100, int(request.query.get("per_page", "30"))))
        number = max(1, int(request.query.get("page", "1")))
        shown = entries[:most]
        part = shown[(number - 1) * size : number * size]
        headers = {}
        if number * size < len(shown):
            following = request.url.update_query(page=number + 1)
            headers["Link"] = f'<{following}>; rel="next"'
        return web.json_response({"total_count": len(entries), key: part}, headers=headers)


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


def _missing() -> web.Response:
    return _refusal(404, "Not Found")


def _refusal(status: int, message: str) -> web.Response:
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return web.json_response(body, status=status)

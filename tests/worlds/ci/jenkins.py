"""A stand-in for Jenkins' remote access API on loopback: exported shapes, `tree`, crumbs, rights, real life cycles.

The world behind it (`JenkinsStandIn.world`) is driven by plain calls; `loop` starts builds by itself.
Source: https://www.jenkins.io/doc/book/using/remote-access-api/.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from aiohttp import web

from bot.sandbox.stand_in import Contend, StandIn, wall_clock
from tests.worlds.ci.jenkins_shapes import build_json, item_json, job_json, pruned
from tests.worlds.ci.jenkins_world import Build, JenkinsJob, JenkinsWorld

_JOB = re.compile(r"(?P<job>(?:/job/[^/]+)+)(?:/(?P<number>\d+))?/(?P<what>api/json|[A-Za-z]+)")
_ITEM = re.compile(r"/queue/item/(?P<item>\d+)/api/json")
_CRUMB = "8a1b2c3d4e5f"
_TIMER = "hudson.triggers.TimerTrigger$TimerTriggerCause"


@dataclass(slots=True)
class JenkinsStandIn:
    """`async with JenkinsStandIn() as jenkins:` serves at `jenkins.base_url` until the block ends.

    `user` with `token` may do everything; `reader` with the same token may only read. With `wants_crumb` a POST needs
    a crumb, as it does with a password. `offset` shifts the stand-in's clock against the real one. `prefix` is the
    path that Jenkins is served at.
    """

    user: str = "tflock"
    reader: str = "tflock-reader"
    token: str = "sandbox-jenkins-token"
    prefix: str = ""
    wants_crumb: bool = False
    offset: timedelta = timedelta(0)
    cancel_delay: timedelta = timedelta(seconds=1)
    world: JenkinsWorld = field(init=False)
    server: StandIn = field(init=False)
    answer_next: Callable[..., None] = field(init=False)

    def __post_init__(self) -> None:
        self.world = JenkinsWorld(self.now, cancel_delay=self.cancel_delay)
        app = web.Application(middlewares=[self._guarded])
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = StandIn(app, self.now)
        self.answer_next = self.server.answer_next

    def now(self) -> datetime:
        return wall_clock(self.offset)

    @property
    def base_url(self) -> str:
        return self.server.base_url + self.prefix

    @property
    def asked(self) -> list[str]:
        return self.server.asked

    def loop(
        self,
        path: str,
        *,
        every: float,
        lasts: float = 30.0,
        contend: Contend | None = None,
        actor: str = "",
    ) -> None:
        """Starts a build every so many seconds while the job is not disabled. See `StandIn.loop`."""
        job = self.world.add_job(path)

        def start() -> Build | None:
            return None if job.is_disabled else self.world.start_build(path, actor=actor, trigger=_TIMER)

        self.server.loop(
            path,
            start,
            lambda build: self.world.finish(build, "FAILURE"),
            every=every,
            lasts=lasts,
            contend=contend,
        )

    def stop_loop(self, path: str) -> None:
        """Nothing is started any more; what runs goes on."""
        self.server.stop_loop(path)

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/"):
            return self._page(request.rel_url.raw_path.removeprefix(self.prefix).rstrip("/"))
        said = request.headers.get("Authorization", "")
        if said not in {self._basic(self.user), self._basic(self.reader)}:
            return web.Response(status=401, text="Invalid password/token for user", content_type="text/html")
        if request.method == "POST":
            if self.wants_crumb and request.headers.get("Jenkins-Crumb") != _CRUMB:
                return web.Response(status=403, text="No valid crumb was included in the request")
            if said == self._basic(self.reader):
                right = "Job/Configure" if re.search("able$", request.path) else "Job/Cancel"
                return web.Response(status=403, text=f"{self.reader} is missing the {right} permission")
        response: web.StreamResponse = await handler(request)
        response.headers["X-Jenkins"] = "2.479.1"
        return response

    def _basic(self, user: str) -> str:
        return f"Basic {b64encode(f'{user}:{self.token}'.encode()).decode()}" if user else "nobody"

    async def _answer(self, request: web.Request) -> web.Response:
        self.world.settle()
        raw = request.rel_url.raw_path
        if not raw.startswith(self.prefix):
            return web.Response(status=404)
        path = raw.removeprefix(self.prefix)
        if request.method == "POST":
            return self._do(path, request)
        body = self._look(path)
        if isinstance(body, str):
            return web.Response(text=body)
        if body is None:
            return web.Response(status=404, text="<html>Not Found</html>", content_type="text/html")
        tree = request.query.get("tree")
        return web.json_response(pruned(body, tree) if tree else body)

    def _look(self, path: str) -> dict[str, Any] | str | None:
        if path == "/crumbIssuer/api/json":
            return {"crumb": _CRUMB, "crumbRequestField": "Jenkins-Crumb"}
        if path == "/queue/api/json":
            return {"items": [item_json(item, self.base_url) for item in self.world.items if item.is_waiting]}
        if (asked := _ITEM.fullmatch(path)) is not None:
            items = (item for item in self.world.items if item.id == int(asked["item"]))
            return next((item_json(item, self.base_url) for item in items), None)
        job, number, what = self._target(path)
        return self._folder(path) if job is None else self._shown(job, number, what)

    def _shown(self, job: JenkinsJob, number: int | None, what: str) -> dict[str, Any] | str | None:
        if number is None:
            return job_json(job, self.base_url) if what == "api/json" else None
        build = _build(job, number)
        if build is None or what not in {"api/json", "consoleText"}:
            return None
        return build_json(build, self.base_url) if what == "api/json" else "\n".join(build.console) + "\n"

    def _page(self, path: str) -> web.Response:
        """What people see of a build, without a login."""
        job, number, _ = self._target(f"{path}/page")
        build = _build(job, number) if job and number else None
        if build is None:
            return web.Response(status=404, text="not found")
        lines = [f"{build.job.path} #{build.number}", build.result or "building", *build.console]
        return web.Response(text="\n".join(lines))

    def _folder(self, path: str) -> dict[str, Any] | None:
        found = _JOB.fullmatch(path)
        if found is None or not self.world.is_folder(_name(found["job"])):
            return None
        return {"_class": "com.cloudbees.hudson.plugins.folder.Folder", "jobs": []}

    def _do(self, path: str, request: web.Request) -> web.Response:
        if path == "/queue/cancelItem":
            done = self.world.cancel_item(int(request.query["id"]))
            return web.Response(status=204 if done else 404)
        job, number, what = self._target(path)
        if job is None:
            return web.Response(status=404)
        if number is None:
            return self._switch(job, what)
        build = _build(job, number)
        acts = {"stop": self.world.stop}
        if not job.is_freestyle:
            acts |= {"term": self.world.term, "kill": self.world.kill}
        if build is None or what not in acts:
            return web.Response(status=404)
        acts[what](build)
        return web.Response(status=302, headers={"Location": f"{self.base_url}/"})

    def _switch(self, job: JenkinsJob, what: str) -> web.Response:
        if what not in {"enable", "disable"}:
            return web.Response(status=404)
        if not job.is_branch:
            job.is_disabled = what == "disable"
        return web.Response(status=302, headers={"Location": f"{self.base_url}/"})

    def _target(self, path: str) -> tuple[JenkinsJob | None, int | None, str]:
        found = _JOB.fullmatch(path)
        if found is None:
            return None, None, ""
        return self.world.job(_name(found["job"])), int(found["number"]) if found["number"] else None, found["what"]


def _name(path: str) -> str:
    return "/".join(unquote(part) for part in path.removeprefix("/job/").split("/job/"))


def _build(job: JenkinsJob, number: int) -> Build | None:
    return next((build for build in job.builds if build.number == number), None)

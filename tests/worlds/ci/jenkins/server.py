"""A stand-in for Jenkins' remote access API on loopback: exported shapes, `tree`, crumbs, rights, real life cycles.

Source: https://www.jenkins.io/doc/book/using/remote-access-api/.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from bot.sandbox.stand_in import Contend, Refused, Serve, given
from tests.worlds.ci.jenkins.runs import Build, JenkinsJob, JenkinsRuns
from tests.worlds.ci.jenkins.shapes import build_json, item_json, job_json, pruned
from tests.worlds.stand_in import FaultyCi

_JOB = re.compile(r"(?P<job>(?:/job/[^/]+)+)(?:/(?P<number>\d+))?/(?P<what>api/json|[A-Za-z]+)")
_TIMES = re.compile(r"(?P<build>(?:/job/[^/]+)+/\d+)/timestamps/")
_ITEM = re.compile(r"/queue/item/(?P<item>\d+)/api/json")
_CRUMB = "8a1b2c3d4e5f"
_TIMER = "hudson.triggers.TimerTrigger$TimerTriggerCause"


@dataclass(kw_only=True)
class JenkinsStandIn(FaultyCi):
    """`async with JenkinsStandIn() as jenkins:` serves at `jenkins.base_url` until the block ends.

    `user` with `token` may do everything; `reader` with the same token may only read. With `wants_crumb` a POST needs
    a crumb, as it does with a password. `prefix` is the path that Jenkins is served at. `has_timestamper` tells whether
    that plugin is installed.
    """

    user: str = "tflock"
    reader: str = "tflock-reader"
    token: str = "sandbox-jenkins-token"
    wants_crumb: bool = False
    has_timestamper: bool = True
    cancel_delay: timedelta = timedelta(seconds=1)
    runs: JenkinsRuns = field(init=False)

    def __post_init__(self) -> None:
        self.runs = JenkinsRuns(self.now, cancel_delay=self.cancel_delay)

    def loop(
        self, path: str, *, every: float, lasts: float = 30.0, contend: Contend | None = None, actor: str = ""
    ) -> None:
        """Starts a build every so many seconds while the job is not disabled, until `stop_loop`."""
        job = self.runs.add_job(path)

        def start() -> Build | None:
            return None if job.is_disabled else self.runs.start_build(path, actor=actor, trigger=_TIMER)

        self.keep_starting(path, start=start, every=every, lasts=lasts, contend=contend)

    def fail(self, run: Build) -> None:
        self.runs.finish(run, "FAILURE")

    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        return {"GET /{path:.*}": self._show, "POST /{path:.*}": self._do}

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/") and "/timestamps/" not in request.path:
            return self.answer(self._page(request.rel_url.raw_path.removeprefix(self.prefix).rstrip("/")))
        said = request.headers.get("Authorization", "")
        if said not in {self._basic(self.user), self._basic(self.reader)}:
            raise Refused(401, "Invalid password/token for user")
        if request.method == "POST":
            if self.wants_crumb and request.headers.get("Jenkins-Crumb") != _CRUMB:
                raise Refused(403, "No valid crumb was included in the request")
            if said == self._basic(self.reader):
                right = "Job/Configure" if re.search("able$", request.path) else "Job/Cancel"
                raise Refused(403, f"{self.reader} is missing the {right} permission")
        response = await serve(request)
        response.headers["X-Jenkins"] = "2.479.1"
        return response

    def _basic(self, user: str) -> str:
        return f"Basic {b64encode(f'{user}:{self.token}'.encode()).decode()}" if user else "nobody"

    def _show(self, request: web.Request) -> Any:
        body = given(self._look(self._path(request)), Refused(404, "<html>Not Found</html>"))
        tree = request.query.get("tree")
        return pruned(body, tree) if tree and not isinstance(body, str) else body

    def _path(self, request: web.Request) -> str:
        self.runs.settle()
        raw = request.rel_url.raw_path
        if not raw.startswith(self.prefix):
            raise Refused(404, "")
        return raw.removeprefix(self.prefix)

    def _look(self, path: str) -> dict[str, Any] | str | None:
        if path == "/crumbIssuer/api/json":
            return {"crumb": _CRUMB, "crumbRequestField": "Jenkins-Crumb"}
        if path == "/queue/api/json":
            return {"items": [item_json(item, self.base_url) for item in self.runs.items if item.is_waiting]}
        if (asked := _ITEM.fullmatch(path)) is not None:
            items = (item for item in self.runs.items if item.id == int(asked["item"]))
            return next((item_json(item, self.base_url) for item in items), None)
        if (times := _TIMES.fullmatch(path)) is not None:
            return self._times(f"{times['build']}/consoleText")
        job, number, what = self._target(path)
        return self._folder(path) if job is None else self._shown(job, number, what)

    def _shown(self, job: JenkinsJob, number: int | None, what: str) -> dict[str, Any] | str | None:
        if number is None:
            return job_json(job, self.base_url) if what == "api/json" else None
        build = _build(job, number)
        if build is None or what not in {"api/json", "consoleText"}:
            return None
        return build_json(build, self.base_url) if what == "api/json" else "\n".join(build.console) + "\n"

    def _times(self, path: str) -> str | None:
        job, number, _ = self._target(path)
        build = _build(job, number) if job and number and self.has_timestamper else None
        if build is None:
            return None
        at = (build.written.get(place, build.started_at) for place in range(len(build.console)))
        return "".join(f"{when:%Y-%m-%dT%H:%M:%S}.000Z  {line}\n" for when, line in zip(at, build.console, strict=True))

    def _page(self, path: str) -> str:
        """What people see of a build, without a login."""
        job, number, _ = self._target(f"{path}/page")
        build = given(_build(job, number) if job and number else None, Refused(404, "not found"))
        return "\n".join([f"{build.job.path} #{build.number}", build.result or "building", *build.console])

    def _folder(self, path: str) -> dict[str, Any] | None:
        found = _JOB.fullmatch(path)
        if found is None or not self.runs.is_folder(_name(found["job"])):
            return None
        return {"_class": "com.cloudbees.hudson.plugins.folder.Folder", "jobs": []}

    def _do(self, request: web.Request) -> web.Response | None:
        path = self._path(request)
        if path == "/queue/cancelItem":
            if not self.runs.cancel_item(int(request.query["id"])):
                raise Refused(404, "")
            return None
        job, number, what = self._target(path)
        act = None if job is None else self._act(job, number, what)
        given(act, Refused(404, ""))()
        return web.Response(status=302, headers={"Location": f"{self.base_url}/"})

    def _act(self, job: JenkinsJob, number: int | None, what: str) -> Callable[[], None] | None:
        """What a POST does to a job or a build; None if there is no such act."""
        if number is None:
            return partial(_switch, job, disable=what == "disable") if what in {"enable", "disable"} else None
        build = _build(job, number)
        acts = {"stop": self.runs.stop}
        if not job.is_freestyle:
            acts |= {"term": self.runs.term, "kill": self.runs.kill}
        return partial(acts[what], build) if build and what in acts else None

    def _target(self, path: str) -> tuple[JenkinsJob | None, int | None, str]:
        found = _JOB.fullmatch(path)
        if found is None:
            return None, None, ""
        return self.runs.job(_name(found["job"])), int(found["number"]) if found["number"] else None, found["what"]


def _name(path: str) -> str:
    return "/".join(unquote(part) for part in path.removeprefix("/job/").split("/job/"))


def _build(job: JenkinsJob, number: int) -> Build | None:
    return next((build for build in job.builds if build.number == number), None)


def _switch(job: JenkinsJob, *, disable: bool) -> None:
    """A branch is switched with its multibranch project alone."""
    if not job.is_branch:
        job.is_disabled = disable

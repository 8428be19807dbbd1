"""Where Jenkins' jobs are, and which build a URL means. Pure; makes no request.

A job's name is its path through folders, as Jenkins' own full names: `infra/deploy`. A branch of a multibranch job is
named as Jenkins stores it: the branch `feature/x` is the job `feature%2Fx`, whose URL escapes that once more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from bot.ci.urls import LONGEST, place, split

_SEGMENT = r"/job/[^/]+"
_BUILD = re.compile(
    rf"(?:/view/[^/]+)*(?P<job>(?:{_SEGMENT}(?:/view/[^/]+)*){{1,20}})/(?P<id>[1-9][0-9]{{0,9}})"
    r"(?:/(?:console|consoleFull|consoleText|changes|parameters|timings|pipeline-overview|pipeline-graph"
    r"|flowGraphTable|pipeline-console|display/redirect|api/json|artifact|testReport))?/?"
)
_OCEAN = re.compile(
    r"/blue/organizations/jenkins/(?P<job>[^/]+)/detail/(?P<leaf>[^/]+)/(?P<id>[1-9][0-9]{0,9})"
    r"(?:/(?:pipeline|changes|tests|artifacts)(?:/[0-9]+)?)?/?"
)


@dataclass(frozen=True, slots=True)
class JenkinsUrl:
    """The names that the job may have (Blue Ocean's pages leave open whether it is a branch), and the number."""

    jobs: tuple[str, ...]
    number: str


def job_path(job: str) -> str:
    return "".join(f"/job/{quote(part, safe='')}" for part in job.strip("/").split("/"))


def job_of(url: str) -> str | None:
    """The job that the URL of a queue item's task means. Jenkins writes its own root address before it."""
    try:
        path = urlsplit(url).path if len(url) < LONGEST else ""
    except ValueError:
        return None
    start = path.find("/job/")
    return _name(path[start:].rstrip("/")) if start >= 0 else None


def build_in(url: str, base_url: str) -> JenkinsUrl | None:
    """The build that a page's URL of the Jenkins at `base_url` means; None for every other text.

    Scheme, host and port must be exactly those of that Jenkins, with no user.
    """
    parts, base = split(url), urlsplit(base_url.rstrip("/"))
    if parts is None or place(parts) != place(base) or not parts.path.startswith(base.path):
        return None
    path = parts.path.removeprefix(base.path)
    return _classic(path) or _ocean(path)


def _classic(path: str) -> JenkinsUrl | None:
    found = _BUILD.fullmatch(path)
    name = _name(re.sub(r"/view/[^/]+", "", found["job"])) if found else None
    return JenkinsUrl((name,), found["id"]) if found and name else None


def _ocean(path: str) -> JenkinsUrl | None:
    found = _OCEAN.fullmatch(path)
    if found is None:
        return None
    job, leaf = unquote(found["job"]), unquote(found["leaf"])
    return JenkinsUrl((job, f"{job}/{quote(leaf, safe='')}", f"{job}/{leaf}"), found["id"])


def _name(path: str) -> str | None:
    """`/job/infra/job/deploy` as `infra/deploy`."""
    if not re.fullmatch(rf"(?:{_SEGMENT})+", path):
        return None
    parts = [unquote(part) for part in path.removeprefix("/job/").split("/job/")]
    return None if any("/" in part or part in {"", ".", ".."} for part in parts) else "/".join(parts)

"""Where Jenkins' jobs stand, and which build a URL means. Pure; makes no request.

A job's name is its path through folders, as Jenkins' own full names: `infra/deploy`. A branch of a multibranch job is
named as Jenkins stores it: the branch `feature/x` is the job `feature%2Fx`, whose URL escapes that once more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, quote, unquote, urlsplit

Place: TypeAlias = tuple[str, str | None, int | None]

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
_DEFAULT_PORTS = {"https": 443, "http": 80}
_LONGEST = 2048


@dataclass(frozen=True, slots=True)
class BuildUrl:
    """The names that the job may have (Blue Ocean's pages leave open whether it is a branch), and the number."""

    jobs: tuple[str, ...]
    number: str


def job_path(job: str) -> str:
    return "".join(f"/job/{quote(part, safe='')}" for part in job.strip("/").split("/"))


def job_of(url: str) -> str | None:
    """The job that the URL of a queue item's task means. Jenkins writes its own root address before it."""
    try:
        path = urlsplit(url).path if len(url) < _LONGEST else ""
    except ValueError:
        return None
    start = path.find("/job/")
    return _name(path[start:].rstrip("/")) if start >= 0 else None


def build_in(url: str, base_url: str) -> BuildUrl | None:
    """The build that a page's URL of the Jenkins at `base_url` means; None for every other text.

    Scheme, host and port must be exactly those of that Jenkins, with no user.
    """
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts, base = urlsplit(url), urlsplit(base_url.rstrip("/"))
        if _place(parts) != _place(base) or "@" in parts.netloc or not parts.path.startswith(base.path):
            return None
    except ValueError:
        return None
    path = parts.path.removeprefix(base.path)
    return _classic(path) or _ocean(path)


def _classic(path: str) -> BuildUrl | None:
    found = _BUILD.fullmatch(path)
    name = _name(re.sub(r"/view/[^/]+", "", found["job"])) if found else None
    return BuildUrl((name,), found["id"]) if found and name else None


def _ocean(path: str) -> BuildUrl | None:
    found = _OCEAN.fullmatch(path)
    if found is None:
        return None
    job, leaf = unquote(found["job"]), unquote(found["leaf"])
    return BuildUrl((job, f"{job}/{quote(leaf, safe='')}", f"{job}/{leaf}"), found["id"])


def _name(path: str) -> str | None:
    """`/job/infra/job/deploy` as `infra/deploy`."""
    if not re.fullmatch(rf"(?:{_SEGMENT})+", path):
        return None
    parts = [unquote(part) for part in path.removeprefix("/job/").split("/job/")]
    return None if any("/" in part or part in {"", ".", ".."} for part in parts) else "/".join(parts)


def _place(parts: SplitResult) -> Place:
    return parts.scheme, parts.hostname, _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port

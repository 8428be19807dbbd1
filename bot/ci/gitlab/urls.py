"""Where GitLab's pages and API are, and which pipeline or job a URL means. Pure; makes no request."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from bot.ci.urls import LONGEST, RunUrl, place, split

JOB = "job:"
"""Before a job's id: which pipeline a job belongs to is known only after it has been read."""

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_PAGE = re.compile(
    rf"/(?P<project>{_NAME}(?:/{_NAME}){{1,20}}?)(?:/-)?/(?P<kind>pipelines|jobs|builds)/(?P<id>[1-9][0-9]{{0,18}})"
    r"(?:/(?:builds|jobs|failures|raw|trace|test_report|security|codequality_report|licenses|dag))?/?"
)
_API = re.compile(
    rf"/projects/(?P<project>{_NAME}(?:%2[Ff]{_NAME}){{1,20}})/(?P<kind>pipelines|jobs)/(?P<id>[1-9][0-9]{{0,18}})"
    r"(?:/(?:jobs|bridges|trace))?/?"
)
_API_PATH = "/api/v4"


def run_in(url: str, base_url: str) -> RunUrl | None:
    """The pipeline or job that a page's or an API's URL of the GitLab at `base_url` means; None for every other text.

    The run's id is `47`, or `job:812` for a job. Scheme, host and port must be exactly those of that GitLab, with no
    user.
    """
    parts, base = split(url), urlsplit(base_url.rstrip("/"))
    if parts is None or place(parts) != place(base):
        return None
    return _in_path(parts.path, _API, base.path) or _in_path(parts.path, _PAGE, base.path.removesuffix(_API_PATH))


def project_in(url: str, base_url: str) -> str | None:
    """The project whose pipeline a page's URL shows, as GitLab itself writes it: the host may be another one."""
    try:
        path = urlsplit(url).path if len(url) <= LONGEST else ""
    except ValueError:
        return None
    found = _in_path(path, _PAGE, urlsplit(base_url.rstrip("/")).path.removesuffix(_API_PATH))
    return found.scope if found else None


def _in_path(path: str, shape: re.Pattern[str], prefix: str) -> RunUrl | None:
    found = shape.fullmatch(path.removeprefix(prefix)) if path.startswith(prefix) else None
    if found is None or any(part in {"", "-", ".", ".."} for part in unquote(found["project"]).split("/")):
        return None
    return RunUrl(unquote(found["project"]), found["id"] if found["kind"] == "pipelines" else JOB + found["id"])

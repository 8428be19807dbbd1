"""Where Azure DevOps's pages and API are, and which build a URL means. Pure; makes no request."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from bot.ci.urls import Place, RunUrl, place, split
from bot.core.run import Pipeline, RunRef
from bot.http.client import Absent
from bot.http.values import is_number

_PAGE = re.compile(r"/(?P<project>[^/]{1,192})/_build(?:/(?:results|index))?/?")
_API = re.compile(r"/(?P<project>[^/]{1,192})/_apis/build/builds/(?P<id>[1-9][0-9]{0,9})/?", re.IGNORECASE)
_ID = re.compile(r"[1-9][0-9]{0,9}")
_CLOUD = "dev.azure.com"


def build_in(url: str, base_url: str) -> RunUrl | None:
    """The build that a page's or an API's URL of the collection at `base_url` means; None for every other text.

    A project is named by name or by its id. Scheme, host, port and collection must be exactly those of the base URL,
    with no user. An organisation on dev.azure.com is also known by its older address, `ORG.visualstudio.com`.
    """
    parts = split(url)
    try:
        root = None if parts is None else _root(parts, urlsplit(base_url))
        return None if parts is None or root is None else _build(parts.path[len(root) :], parts.query)
    except ValueError:
        return None


def page_of(base_url: str, project: str, build_id: str) -> str:
    """The page of a build, for people."""
    return f"{base_url.rstrip('/')}/{quote(project, safe='')}/_build/results?buildId={build_id}"


def project_of(pipeline: Pipeline) -> str:
    return pipeline.get("project") or ""


def project_path(pipeline: Pipeline) -> str:
    """Raises Absent for a name that would lead to another place."""
    if not project_of(pipeline).strip(". "):
        raise Absent(f"project {project_of(pipeline)!r}")
    return "/" + quote(project_of(pipeline), safe="")


def definition_number(pipeline: Pipeline) -> str:
    """Raises Absent for what cannot be a definition's number."""
    number = (pipeline.get("definition") or "").strip()
    if not is_number(number):
        raise Absent(f"{definition_words(pipeline)}: a definition is named by its number")
    return number


def definition_path(pipeline: Pipeline) -> str:
    return f"{project_path(pipeline)}/_apis/build/definitions/{definition_number(pipeline)}"


def definition_words(pipeline: Pipeline) -> str:
    return f"definition {pipeline.get('definition') or '?'} in {project_of(pipeline)}"


def run_path(ref: RunRef) -> str:
    """Raises Absent for an id that cannot be a build's: people type ids."""
    if not is_number(ref.id):
        raise Absent(run_words(ref))
    return f"{project_path(ref.pipeline)}/_apis/build/builds/{ref.id}"


def run_words(ref: RunRef) -> str:
    return f"build {ref.id} in {project_of(ref.pipeline)}"


def _build(path: str, query: str) -> RunUrl | None:
    if found := _API.fullmatch(path):
        return _named(found["project"], found["id"])
    found = _PAGE.fullmatch(path)
    ids = [value for key, values in parse_qs(query).items() if key.lower() == "buildid" for value in values]
    if found is None or len(ids) != 1 or not _ID.fullmatch(ids[0]):
        return None
    return _named(found["project"], ids[0])


def _named(project: str, build_id: str) -> RunUrl | None:
    """Names of projects may have spaces, but never a slash, a control character or a name made of dots."""
    name = unquote(project, errors="strict")
    odd = not name.isprintable() or "/" in name or "\\" in name or not name.strip(". ")
    return None if odd else RunUrl(name, build_id)


def _root(parts: SplitResult, base: SplitResult) -> str | None:
    """The part of the path before `/project`, if the URL belongs to this collection."""
    for where, root in _roots(base):
        if place(parts) == where and parts.path.casefold().startswith(f"{root}/".casefold()):
            return root
    return None


def _roots(base: SplitResult) -> list[tuple[Place, str]]:
    root = base.path.rstrip("/")
    roots = [(place(base), root)]
    organisation = root.strip("/")
    if base.hostname == _CLOUD and organisation and "/" not in organisation:
        older = (base.scheme, f"{organisation.lower()}.visualstudio.com", place(base)[2])
        roots += [(older, "/DefaultCollection"), (older, "")]
    return roots

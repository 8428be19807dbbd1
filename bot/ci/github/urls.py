"""Where GitHub's pages and API are, and which run a URL means. Pure; makes no request."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bot.ci.urls import Place, RunUrl, place, split

_CLOUD_API = "api.github.com"
_CLOUD = "github.com"
_RUN = re.compile(
    r"/(?P<repo>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)/actions/runs/(?P<id>[1-9][0-9]{0,19})"
    r"(?:/attempts/[1-9][0-9]{0,4})?(?:/job/[1-9][0-9]{0,19})?/?"
)


def run_in(url: str, base_url: str) -> RunUrl | None:
    """The run that a page's or an API's URL of the GitHub at `base_url` means; None for every other text.

    Scheme, host and port must be exactly those of that GitHub, with no user and no escape. What GitHub's own pages
    add behind `?` and `#` is passed over.
    """
    parts = split(url)
    if parts is None:
        return None
    for prefix in _prefixes(base_url).get(place(parts), ()):
        found = _RUN.fullmatch(parts.path.removeprefix(prefix)) if parts.path.startswith(prefix) else None
        if found is not None:
            return RunUrl(found["repo"], found["id"])
    return None


def _prefixes(base_url: str) -> dict[Place, tuple[str, ...]]:
    """Places (scheme, host, port) of that GitHub with what may come before `/owner/repo` in a path there."""
    base = urlsplit(base_url)
    api = place(base)
    root = base.path.rstrip("/")
    if base.hostname == _CLOUD_API:
        return {api: (f"{root}/repos",), (base.scheme, _CLOUD, api[2]): ("",)}
    return {api: (f"{root}/repos", "")}

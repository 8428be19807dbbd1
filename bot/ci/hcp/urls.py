"""Which run a URL of HCP Terraform's pages or API means. Pure; makes no request."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bot.ci.urls import RunUrl, place, split

_PAGE = re.compile(
    r"/app/(?P<organization>[A-Za-z0-9_-]+)/(?:workspaces/)?(?P<workspace>[A-Za-z0-9_-]+)/runs/"
    r"(?P<run>run-[A-Za-z0-9]{4,32})(?:/[a-z-]*)?/?"
)


def run_in(url: str, address: str) -> RunUrl | None:
    """The run that a page's URL of the installation at `address` means; None for every other text.

    The scope is `acme/network`. Scheme, host and port must be exactly those of that installation, with no user.
    """
    parts = split(url)
    if parts is None or place(parts) != place(urlsplit(address)):
        return None
    found = _PAGE.fullmatch(parts.path)
    return None if found is None else RunUrl(f"{found['organization']}/{found['workspace']}", found["run"])


def run_page(address: str, organization: str, workspace: str, run_id: str) -> str:
    return f"{address.rstrip('/')}/app/{organization}/workspaces/{workspace}/runs/{run_id}"

"""Which task a page of the AWS console, or an ARN, means. Pure; makes no request."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote

from bot.ci.urls import RunUrl, split

_NAME = r"[A-Za-z0-9_-]{1,255}"
_ID = r"[A-Za-z0-9-]{1,64}"
_ARN = re.compile(
    rf"arn:aws[a-z-]{{0,16}}:ecs:(?P<region>[a-z0-9-]{{1,32}}):[0-9]{{12}}:task/(?P<cluster>{_NAME})/(?P<id>{_ID})"
)
_PAGE = re.compile(rf"/ecs/v2/clusters/(?P<cluster>{_NAME})/tasks/(?P<id>{_ID})(?:/[a-z-]{{0,32}})?/?")
_OLD_PAGE = re.compile(rf"!?/clusters/(?P<cluster>{_NAME})/tasks/(?P<id>{_ID})(?:/[a-z-]{{0,32}})?")
_CONSOLES = ("console.aws.amazon.com", "console.amazonaws-us-gov.com", "console.amazonaws.cn")


def task_in(url: str, region: str) -> RunUrl | None:
    """The task that a console page or an ARN of this region means; None for every other text."""
    if found := _ARN.fullmatch(url):
        return RunUrl(found["cluster"], found["id"]) if found["region"] == region else None
    parts = split(url)
    if parts is None or parts.scheme != "https" or parts.port is not None:
        return None
    named = parse_qs(parts.query).get("region", [])
    if not _is_console(parts.netloc.lower(), named, region):
        return None
    found = _PAGE.fullmatch(parts.path) or (_OLD_PAGE.fullmatch(parts.fragment) if parts.path == "/ecs/home" else None)
    return RunUrl(found["cluster"], found["id"]) if found else None


def page_of(region: str, cluster: str, task_id: str) -> str:
    """The task's page in the console, for people."""
    host = f"{region}.console.aws.amazon.com"
    if region.startswith("cn-"):
        host = f"{region}.console.amazonaws.cn"
    elif region.startswith("us-gov-"):
        host = f"{region}.console.amazonaws-us-gov.com"
    path = f"/ecs/v2/clusters/{quote(cluster, safe='')}/tasks/{quote(task_id, safe='')}/configuration"
    return f"https://{host}{path}?region={region}"


def _is_console(host: str, named: list[str], region: str) -> bool:
    """A page names its region in its host, in its query or in both, and then alike."""
    for console in _CONSOLES:
        if host == f"{region}.{console}":
            return named in ([], [region])
        if host == console:
            return named == [region]
    return False

"""GitLab's REST API as far as the bot asks it: one request, lists that are complete or fail, and a trace's beginning.

Source: https://docs.gitlab.com/api/rest/ (paging, status codes), https://docs.gitlab.com/security/rate_limits/ and
https://docs.gitlab.com/user/profile/personal_access_tokens/ (scopes).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.frame import Configured
from bot.http.client import Client, Errors, Refusal, denied, garbled
from bot.http.pages import every_page
from bot.http.values import Json, is_count

SYSTEM = "GitLab"
_PER_PAGE = 100
_LISTINGS = 3
_TRACE_BYTES = 65536
_HOST = re.compile(
    r"^(?:\d{4}-\d\d-\d\dT[\d:.]+Z \d\d[OE][ +]?)?Running on (?P<host>[A-Za-z0-9][A-Za-z0-9._-]*?)(?: via .*|\.\.\.)?$",
    re.MULTILINE,
)
_DECORATION = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|section_(?:start|end):\d+:[\w.,=\[\]-]+\r?|\r")


def client_of(
    base_url: str, token: SecretStr, token_name: str, configured: Configured, http: httpx.AsyncClient | None
) -> Client:
    """Asks one GitLab, which says no in these words."""

    def errors(no: Refusal) -> Errors:
        scope, role = ("read_api", "Reporter") if no.response.request.method == "GET" else ("api", "Maintainer")
        refused = f"GitLab denies {no.deed} (403): the user of {token_name} needs the role {role} in the project"
        if b"insufficient_scope" in no.response.content:
            refused = f"GitLab refuses the token: it lacks `{scope}` (403, {token_name})"
        moved = f"GitLab has moved {no.deed} ({no.status}): was it renamed? Does base_url end in /api/v4?"
        return {
            codes.UNAUTHORIZED: denied(f"GitLab refuses the token (401): {token_name} is wrong, expired or revoked"),
            codes.FORBIDDEN: denied(refused),
            3: garbled(moved),
        }

    def headers() -> Mapping[str, str]:
        return {"PRIVATE-TOKEN": token.get_secret_value()}

    clock, limits = configured.clock, configured.limits
    return Client(SYSTEM, base_url, headers=headers, errors=errors, clock=clock, limits=limits, http=http)


def _never(_response: httpx.Response) -> bool:
    return False


async def listing(
    client: Client,
    path: str,
    about: str,
    params: Mapping[str, str],
    *,
    is_empty: Callable[[httpx.Response], bool] = _never,
) -> list[Json]:
    """Every entry of a list. `is_empty` tells answers that mean an empty one, if they come first.

    While pages are read, an entry that leaves the list pulls another over the edge of a page and out of sight: a
    list that falls short of GitLab's own count is read again.
    """
    for _ in range(_LISTINGS):
        found, total = await _pages(client, path, about, params, is_empty)
        if len(found) >= total:
            return list(found.values())
    raise garbled(f"GitLab counts {total} entries of {about} and shows only {len(found)}")


async def traced_host(client: Client, path: str, about: str) -> str | None:
    """The machine that a job's trace names at its beginning, before anything that the job itself writes."""
    beginning = await client.beginning(path, about, most=_TRACE_BYTES)
    found = _HOST.search(_DECORATION.sub("", beginning.decode(errors="replace")))
    return found["host"] if found else None


async def _pages(
    client: Client, path: str, about: str, params: Mapping[str, str], is_empty: Callable[[httpx.Response], bool]
) -> tuple[dict[int, Json], int]:
    total = 0

    async def page(asked: Mapping[str, str]) -> tuple[list[Json], Mapping[str, str] | None]:
        nonlocal total
        response = await client.send("GET", path, about, params=asked, passing=is_empty if asked is first else _never)
        if asked is first and is_empty(response):
            return [], None
        entries = client.objects(client.document(response), about)
        if not all(is_count(entry.get("id")) for entry in entries):
            raise garbled(f"GitLab's list of {about} has an entry without an id")
        total = max(total, _header_number(response, "x-total"))
        return entries, _next_page(response, asked) if _has_next(response, len(entries)) else None

    first: Mapping[str, str] = {**params, "per_page": str(_PER_PAGE), "page": "1"}
    found = await every_page(
        page,
        first,
        too_much=lambda count: f"GitLab has more than {count} entries of {about}: too many to read in time",
    )
    return {entry["id"]: entry for entry in found}, total


def project_path(project: str) -> str:
    return f"/projects/{quote(project, safe='')}"


def _has_next(response: httpx.Response, shown: int) -> bool:
    """Long lists have no count and may lack every header but these; a full page without them may have a next one."""
    headers = response.headers
    if "next" in response.links or headers.get("x-next-page", "").strip():
        return True
    return shown >= _PER_PAGE and "x-next-page" not in headers


def _next_page(response: httpx.Response, asked: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the next page: of a link only its query is taken, so that the token goes nowhere else."""
    link = response.links.get("next", {}).get("url", "")
    following = response.headers.get("x-next-page", "").strip()
    if following:
        return {**asked, "page": following}
    try:
        query = dict(parse_qsl(urlsplit(link).query))
    except ValueError:
        query = {}
    return {**asked, **query} if query else {**asked, "page": str(int(asked["page"]) + 1)}


def _header_number(response: httpx.Response, name: str) -> int:
    value = response.headers.get(name, "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,11}", value) else 0

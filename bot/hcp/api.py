"""The API of HCP Terraform and Terraform Enterprise, version 2, as far as the bot asks it: one resource, lists that are
complete or fail, and how it says no.

Sources: "API documentation" (rate limiting, pagination, inclusion of related resources) of HCP Terraform, and
`rateLimitBackoff` of HashiCorp's go-tfe, for what `x-ratelimit-reset` counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.core.evidence import Trouble
from bot.core.systems import HCP
from bot.http.client import Client, Errors, Failed, Limits, Refusal, denied, garbled
from bot.http.pages import MOST_PAGES, MOST_PAGES_OF_STATES, every_page
from bot.http.values import Json, inner, is_count, objects, text
from bot.ports.clock import Clock

SYSTEM = HCP.name
HCPS = "https://app.terraform.io"
API = "/api/v2"

READ = "read access to the runs and the state versions of the workspace"
APPLY = "permission to apply runs in the workspace"
ADMIN = "admin access to the workspace"

_PER_PAGE = 100
_LISTINGS = 3
_LONGEST_RESET = 60.0


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a JSON:API document, with those that came in addition to it."""

    kind: str
    id: str
    entry: Json = field(repr=False)
    included: Mapping[tuple[str, str], Json] = field(default_factory=dict, repr=False)

    @property
    def attributes(self) -> Json:
        return inner(self.entry, "attributes")

    def points_at(self, relation: str) -> tuple[str, str] | None:
        """Type and id of the one resource that this one names so; None where it names none."""
        found = inner(inner(inner(self.entry, "relationships"), relation), "data")
        return (text(found.get("type")), text(found.get("id"))) if found else None

    def along(self, relation: str) -> Resource | None:
        """The resource that this one names so, where it came along."""
        key = self.points_at(relation)
        entry = None if key is None else self.included.get(key)
        return None if key is None or entry is None else Resource(*key, entry, self.included)


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a list may be: pages at most, and how many are read together once their number is known."""

    most: int
    at_once: int


FEW = Extent(MOST_PAGES, 1)
MANY = Extent(MOST_PAGES_OF_STATES, 6)
"""For all workspaces: ten thousand are a hundred pages, and the limit is 30 requests a second."""


def client_of(
    address: str,
    token: SecretStr,
    token_name: str,
    *,
    clock: Clock,
    limits: Limits | None = None,
    http: httpx.AsyncClient | None = None,
) -> Client:
    """Asks one installation, which says no in these words. `token_name` is what people know the token by."""

    def errors(no: Refusal) -> Errors:
        needs = f"the team or user of {token_name} needs {no.needs or READ}"
        return {
            codes.UNAUTHORIZED: denied(f"{SYSTEM} refuses the token (401): {token_name} is wrong, expired or revoked"),
            codes.FORBIDDEN: denied(f"{SYSTEM} denies {no.deed} (403): {needs}"),
            codes.TOO_MANY_REQUESTS: no.throttled(patience=_patience(no.response.headers)),
        }

    def headers() -> Mapping[str, str]:
        return {
            "Authorization": f"Bearer {token.get_secret_value()}",
            "Content-Type": "application/vnd.api+json",
        }

    return Client(SYSTEM, address, headers=headers, errors=errors, clock=clock, limits=limits, http=http)


def workspaces_path(organization: str) -> str:
    return f"{API}/organizations/{quote(organization, safe='')}/workspaces"


def projects_path(organization: str) -> str:
    return f"{API}/organizations/{quote(organization, safe='')}/projects"


def workspace_path(organization: str, workspace: str) -> str:
    return f"{workspaces_path(organization)}/{quote(workspace, safe='')}"


async def one(
    client: Client, path: str, about: str, kind: str, *, include: str = "", tries: int = 1, needs: str = READ
) -> Resource:
    """One resource. Raises Absent also where the token has no right to see it: the API tells no difference."""
    params = {"include": include} if include else None
    answer = await client.send("GET", path, about, params=params, tries=tries, needs=needs)
    return resource(client, answer, about, kind)


def resource(client: Client, answer: httpx.Response, about: str, kind: str) -> Resource:
    """Raises Failed (garbled) for anything but one resource of this type."""
    body = client.as_object(answer, about)
    return _resource(inner(body, "data"), _included(body), about, kind)


async def listing(
    client: Client,
    path: str,
    about: str,
    kind: str,
    params: Mapping[str, str],
    *,
    until: Callable[[Resource], bool] = lambda _: False,
    tries: int = 1,
    extent: Extent = FEW,
) -> list[Resource]:
    """Every entry of a list, each once, up to the page with the first one that `until` looks for.

    An entry that leaves the list while its pages are read pulls another out of sight: a list that falls short of its
    own count is read again.
    """
    for _ in range(_LISTINGS):
        found, total, is_cut = await _pages(client, path, about, kind, params, until, tries, extent)
        if is_cut or len(found) >= total:
            return list(found.values())
    raise garbled(f"{SYSTEM} counts {total} entries of {about} and shows only {len(found)}")


async def _pages(
    client: Client,
    path: str,
    about: str,
    kind: str,
    params: Mapping[str, str],
    until: Callable[[Resource], bool],
    tries: int,
    extent: Extent,
) -> tuple[dict[str, Resource], int, bool]:
    total, last, is_cut = 0, 0, False

    async def one_page(number: int) -> tuple[Sequence[Resource], int | None]:
        nonlocal total, last
        asked = {**params, "page[size]": str(_PER_PAGE), "page[number]": str(number)}
        answer = await client.send("GET", path, about, params=asked, tries=tries, needs=READ)
        body = client.as_object(answer, about)
        included, pagination = _included(body), inner(inner(body, "meta"), "pagination")
        entries = [_resource(entry, included, about, kind) for entry in client.objects(body.get("data"), about)]
        following = pagination.get("next-page")
        if "next-page" not in pagination:  # an old installation that counts nothing: a full page may have a next one
            following = number + 1 if len(entries) >= _PER_PAGE else None
        elif following is not None and (not is_count(following) or following <= number):
            raise garbled(f"{SYSTEM}'s list of {about} names page {following!r} after page {number}")
        count, pages = pagination.get("total-count"), pagination.get("total-pages")
        total = max(total, count if is_count(count) else 0)
        last = pages if is_count(pages) else last
        return entries, following

    async def page(first: int) -> tuple[Sequence[Resource], int | None]:
        """One page, or several at once where it is known how many there are."""
        nonlocal is_cut
        numbers = range(first, max(first, min(last, first + extent.at_once - 1)) + 1)
        if numbers[-1] > extent.most:
            raise Failed(Trouble.TOO_MUCH, too_much(extent.most * _PER_PAGE))
        read = await asyncio.gather(*map(one_page, numbers))
        entries = [entry for found, _ in read for entry in found]
        is_cut = any(map(until, entries))
        follows = all(following is not None for _, following in read)
        return entries, read[-1][1] if follows and not is_cut else None

    def too_much(count: int) -> str:
        return f"{SYSTEM} has more than {count} entries of {about}: too many to read in time"

    found = await every_page(page, 1, too_much=too_much, most=extent.most)
    return {entry.id: entry for entry in found}, total, is_cut


def way_to(client: Client, url: str) -> str:
    """Where a file is that the API gives the address of, for `Client.stream`.

    The token goes to the API itself and nowhere else: not to the store of logs and states (archivist), whose addresses
    are signed, and which in Terraform Enterprise is on the same host.
    """
    try:
        there, here = urlsplit(url), urlsplit(client.base_url)
        is_apis = (there.scheme, there.netloc) == (here.scheme, here.netloc) and there.path.startswith("/api/")
    except ValueError as error:
        raise garbled(f"{SYSTEM} gave an invalid address") from error
    if is_apis:
        return url.removeprefix(client.base_url)
    if there.scheme not in {"http", "https"} or not there.netloc:
        raise garbled(f"{SYSTEM} gave an invalid address")
    return url


def _resource(entry: Json, included: Mapping[tuple[str, str], Json], about: str, kind: str) -> Resource:
    if entry.get("type") != kind or not text(entry.get("id")):
        raise garbled(f"{SYSTEM}'s answer on {about} has a different form than documented")
    return Resource(kind, text(entry.get("id")), entry, included)


def _included(body: Json) -> Mapping[tuple[str, str], Json]:
    return {(text(entry.get("type")), text(entry.get("id"))): entry for entry in objects(body.get("included"))}


def _patience(headers: Mapping[str, Any]) -> float:
    """Seconds until the limit, which is a second's, starts afresh: `x-ratelimit-reset` counts them, with a fraction."""
    try:
        seconds = float(headers.get("x-ratelimit-reset", ""))
    except ValueError:
        return 1.0
    return seconds if 0 < seconds <= _LONGEST_RESET else 1.0

"""Azure DevOps's REST API as far as the bot asks it: one request, lists that are complete or fail, and heads of logs.

Source: https://learn.microsoft.com/en-us/rest/api/azure/devops/build/ (7.1) and
https://learn.microsoft.com/en-us/azure/devops/integrate/concepts/rate-limits.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.frame import Configured
from bot.core.systems import AZURE
from bot.http.client import Client, Errors, Portion, Refusal, Sink, denied, garbled
from bot.http.pages import every_page
from bot.http.values import Json

SYSTEM = AZURE.name
_VERSION = "7.1"
_PER_PAGE = 200
_TRIES = 3
_HEAD_LINES = 200
_LONGEST_HEAD = 65536
_PATIENCE = 30.0  # "delayed" requests wait up to 30 s; a 429 without a time is given as much
_OLDER = re.compile(r"REST API version this server supports is ([0-9]\.[0-9])\b")


class AzureApi:
    """Sends requests and reads answers. Every method raises Failed or Absent, and nothing else."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        token_name: str,
        configured: Configured,
        http: httpx.AsyncClient | None,
    ) -> None:
        def headers() -> Mapping[str, str]:
            basic = base64.b64encode(f":{token.get_secret_value()}".encode()).decode()
            return {
                "Authorization": f"Basic {basic}",
                "Accept": "application/json, text/plain;q=0.5",
                "X-TFS-FedAuthRedirect": "Suppress",
            }

        def errors(no: Refusal) -> Errors:
            scope = "Build (read)" if no.response.request.method == "GET" else "Build (read & execute)"
            wrong = f"{token_name} is wrong, expired or of another organisation"
            return {
                codes.UNAUTHORIZED: denied(f"Azure DevOps refuses the token ({no.status}): {wrong}"),
                codes.FORBIDDEN: denied(f"Azure DevOps denies {no.deed} (403): {token_name} needs the scope {scope}"),
                codes.TOO_MANY_REQUESTS: no.throttled("Azure DevOps throttles the bot", patience=_PATIENCE),
                3: garbled(f"Azure DevOps has moved {no.deed} ({no.status}): is the base_url right?"),
            }

        self.client = Client(
            SYSTEM,
            base_url,
            headers=headers,
            errors=errors,
            is_stranger=_is_sign_in,
            clock=configured.clock,
            limits=configured.limits,
            http=http,
        )
        self._version = _VERSION

    async def get_object(self, path: str, about: str) -> Json:
        return self.client.as_object(await self.send("GET", path, about), about)

    async def timeline(self, path: str, about: str) -> Json | None:
        """A timeline; None where Azure DevOps answers that the build has none (204, or `null`)."""
        answer = await self.send("GET", path, about)
        if answer.status_code == codes.NO_CONTENT or answer.content.strip() == b"null":
            return None
        return self.client.as_object(answer, about)

    async def builds(self, path: str, about: str, params: Mapping[str, str]) -> list[Json]:
        """Every entry of a list, page by page. A list that has no end within reason is too much, never a part."""
        used: set[str] = set()

        async def page(token: str) -> tuple[list[Json], str | None]:
            if token in used:
                raise garbled(f"Azure DevOps's list of {about} goes in a circle")
            used.add(token)
            asked = {**params, "$top": str(_PER_PAGE), **({"continuationToken": token} if token else {})}
            answer = await self.send("GET", path, about, params=asked)
            return self._entries(answer, about), answer.headers.get("x-ms-continuationtoken") or None

        return await every_page(
            page,
            "",
            too_much=lambda count: f"Azure DevOps lists more than {count} entries of {about}",
        )

    async def log_head(self, path: str, about: str) -> str:
        """The first lines of a log, and no more than 64 KiB of them."""
        lines = f"startLine=0&endLine={_HEAD_LINES}&api-version={self._version}"
        head = await self.client.beginning(f"{path}?{lines}", about, most=_LONGEST_HEAD)
        return head.decode("utf-8", "replace")

    async def log(self, path: str, about: str, into: Sink, portion: Portion) -> bool:
        """A log as it streams by; True if it was read to its last byte."""
        params = {"api-version": self._version}
        return await self.client.stream(path, about, into, portion, params=params, needs="Build (read)")

    async def send(
        self,
        method: str,
        path: str,
        about: str,
        *,
        doing: str = "",
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        passing: Callable[[httpx.Response], bool] = lambda _: False,
        tries: int = _TRIES,
    ) -> httpx.Response:
        """As `Client.send`. An older server that names the newest version which it knows is asked in that version."""
        asked = self._version

        def is_older(answer: httpx.Response) -> bool:
            return answer.status_code == codes.BAD_REQUEST and _newest_known(answer) not in {None, asked}

        answer = await self.client.send(
            method,
            path,
            about,
            doing=doing,
            params={**(params or {}), "api-version": asked},
            json=body,
            passing=lambda answer: passing(answer) or is_older(answer),
            tries=tries,
        )
        if not is_older(answer):
            return answer
        self._version = _newest_known(answer) or asked
        return await self.send(method, path, about, doing=doing, params=params, body=body, passing=passing, tries=tries)

    def _entries(self, response: httpx.Response, about: str) -> list[Json]:
        body = self.client.as_object(response, about)
        entries = self.client.objects(body.get("value"), about)
        if body.get("count", len(entries)) != len(entries):
            detail = f"Azure DevOps's list of {about} shows another number of entries than it counts"
            raise garbled(detail)
        return entries


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _is_sign_in(response: httpx.Response) -> bool:
    """A bad token does not always bring a 401: a page to sign in comes with 203, or a redirect to it with 302."""
    if response.status_code == codes.NON_AUTHORITATIVE_INFORMATION:
        return True
    target = response.headers.get("location", "").lower()
    return response.is_redirect and ("_signin" in target or "login" in target)


def _newest_known(response: httpx.Response) -> str | None:
    """The newest version of the API that an older server names when it refuses a newer one."""
    found = _OLDER.search(response.text[:2000])
    return found[1] if found else None

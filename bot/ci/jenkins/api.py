"""Jenkins' remote access API as far as the bot asks it: one request, all builds of a job, and a console's beginning.

Source: https://www.jenkins.io/doc/book/using/remote-access-api/ and
https://www.jenkins.io/doc/book/security/csrf-protection/.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.jenkins.runs import BUILD, ITEM, OLDER_BUILD, Console, console_from
from bot.core.evidence import Trouble
from bot.http.asking import Asker, Limits
from bot.http.client import Absent, Failed, document, retry_after
from bot.http.values import Json, is_count, text
from bot.ports.clock import Clock

SYSTEM = "Jenkins"
_PER_PAGE = 100
_PER_OLDER_PAGE = 1000
_MOST_BUILDS = 10_000
_LISTINGS = 3
_WAIT = 60.0
_CONSOLE_BYTES = 262_144
_MISSING_RIGHT = re.compile(rb"is missing the ([A-Za-z/ ]{3,60}) permission")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and his API token, with the names that people know them by."""

    user: SecretStr
    token: SecretStr
    user_name: str = "JENKINS_USER"
    token_name: str = "JENKINS_TOKEN"  # noqa: S105 - the name of a variable, not a secret

    def headers(self) -> dict[str, str]:
        pair = f"{self.user.get_secret_value()}:{self.token.get_secret_value()}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


class JenkinsApi:
    """Sends requests and reads answers. Every method raises Failed or Absent, and nothing else."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        clock: Clock,
        limits: Limits,
        client: httpx.AsyncClient | None,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._asker = Asker(SYSTEM, base_url, credentials.headers, limits, client)
        self.base_url = self._asker.base_url

    async def get_object(self, path: str, about: str, tree: str) -> Json:
        def check(response: httpx.Response) -> None:
            self._check(response, about, "Job/Read")

        response = await self._asker.send("GET", f"{path}/api/json", check, params={"tree": tree})
        body = document(response, system=SYSTEM)
        if not isinstance(body, dict):
            raise Failed(Trouble.GARBLED, f"Jenkins' answer on {about} has another shape than documented")
        return body

    async def post(self, path: str, about: str, permission: str, *, params: Mapping[str, str] | None = None) -> None:
        """One try. Jenkins answers what it did with a redirect to a page, which is not followed.

        With an API token no crumb is needed; a server that wants one all the same is asked for it.
        """

        def check(response: httpx.Response) -> None:
            if not (_wants_crumb(response) or _is_done(response)):
                self._check(response, about, permission)

        response = await self._asker.send("POST", path, check, params=params, tries=1)
        if not _wants_crumb(response):
            return
        crumb = await self._crumb()

        def check_again(response: httpx.Response) -> None:
            if not _is_done(response):
                self._check(response, about, permission)

        await self._asker.send("POST", path, check_again, params=params, headers=crumb, tries=1)

    async def builds(self, path: str, about: str, *, since: datetime) -> list[Json]:
        """Every build that was started at or after `since`, newest first.

        Those behind the newest hundred come without who started them and why. Pages overlap by one build: where a
        build was deleted meanwhile, the next page lacks the last one of the page before, and all is read again.
        """
        for _ in range(_LISTINGS):
            found = await self._pages(path, about, since)
            if found is not None:
                return found
        raise Failed(Trouble.GARBLED, f"Jenkins' list of the builds of {about} changes faster than it can be read")

    async def queue(self) -> list[Json]:
        body = await self.get_object("/queue", "the queue", f"items[{ITEM}]")
        return _objects(body, "items", "the queue")

    async def console(self, path: str, about: str) -> Console:
        """What the beginning of a console says; nothing where it cannot be read."""

        def check(response: httpx.Response) -> None:
            self._check(response, about, "Job/Read")

        try:
            beginning = await self._asker.beginning(f"{path}/consoleText", check, most=_CONSOLE_BYTES)
        except (Absent, Failed):
            return Console()
        return console_from(beginning, is_whole=len(beginning) < _CONSOLE_BYTES)

    async def aclose(self) -> None:
        await self._asker.aclose()

    async def _pages(self, path: str, about: str, since: datetime) -> list[Json] | None:
        found: dict[int, Json] = {}
        first, size, key, tree = 0, _PER_PAGE, "builds", BUILD
        last: int | None = None
        while first < _MOST_BUILDS:
            body = await self.get_object(path, about, f"{key}[{tree}]{{{first},{first + size}}}")
            page = _objects(body, key, about)
            if last is not None and last not in [build.get("number") for build in page]:
                return None
            for build in page:
                found.setdefault(_number(build, about), build)
            if len(page) < size or _is_older(page[-1], since):
                return list(found.values())
            last, first = _number(page[-1], about), first + size - 1
            size, key, tree = _PER_OLDER_PAGE, "allBuilds", OLDER_BUILD
        raise Failed(Trouble.TOO_MUCH, f"Jenkins has more than {len(found)} builds of {about}: too many to read")

    async def _crumb(self) -> dict[str, str]:
        body = await self.get_object("/crumbIssuer", "the crumb issuer", "crumb,crumbRequestField")
        field, crumb = text(body.get("crumbRequestField")), text(body.get("crumb"))
        if not re.fullmatch(r"[A-Za-z.-]{1,50}", field) or not re.fullmatch(r"[\x21-\x7e]{1,500}", crumb):
            raise Failed(Trouble.GARBLED, "Jenkins wants a crumb and gives none")
        return {field: crumb}

    def _check(self, response: httpx.Response, about: str, permission: str) -> None:
        """Raises for every answer but a success, telling apart what wants different mends."""
        status = response.status_code
        if response.is_success:
            return
        user, token = self._credentials.user_name, self._credentials.token_name
        if status == codes.UNAUTHORIZED:
            raise Failed(Trouble.DENIED, f"Jenkins refuses user and token (401): {user} or {token} is wrong or expired")
        if status == codes.TOO_MANY_REQUESTS:
            raise self._throttled(response)
        if status == codes.FORBIDDEN:
            right = _missing_right(response) or permission
            raise Failed(
                Trouble.DENIED, f"Jenkins denies {about} (403): the user of {user} needs the permission {right}"
            )
        if status in {codes.NOT_FOUND, codes.GONE}:
            raise Absent(f"{about}, or the user may not see it")
        if response.is_server_error:
            raise Failed(Trouble.SERVER_ERROR, f"Jenkins has trouble of its own ({status})")
        if response.is_redirect and _is_login(response):
            raise Failed(
                Trouble.DENIED, f"Jenkins asks for a login ({status}): is base_url right, and {user}, {token}?"
            )
        if response.is_redirect:
            detail = f"Jenkins sends on for {about} ({status}): is base_url its full address, with its path?"
            raise Failed(Trouble.GARBLED, detail)
        raise Failed(Trouble.GARBLED, f"Jenkins gave an answer on {about} that it does not document ({status})")

    def _throttled(self, response: httpx.Response) -> Failed:
        now = self._clock.now()
        wait = retry_after(response.headers, now)
        wait = min(_WAIT if wait is None else wait, timedelta(days=1).total_seconds())
        until = (now + timedelta(seconds=wait)).astimezone(UTC).strftime("%H:%M:%S UTC")
        return Failed(Trouble.THROTTLED, f"Jenkins' rate limit is used up until {until}", retry_after=wait)


def _objects(body: Json, key: str, about: str) -> list[Json]:
    found = body.get(key)
    if key not in body and key != "items":
        raise Failed(Trouble.GARBLED, f"Jenkins shows no builds of {about}: is it a folder or a multibranch project?")
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Failed(Trouble.GARBLED, f"Jenkins' list of {about} has another shape than documented")
    return found


def _number(build: Json, about: str) -> int:
    value = build.get("number")
    if not is_count(value):
        raise Failed(Trouble.GARBLED, f"Jenkins' list of the builds of {about} has one without a number")
    return value


def _is_older(build: Json, since: datetime) -> bool:
    value = build.get("timestamp")
    return is_count(value) and value < since.timestamp() * 1000


def _is_done(response: httpx.Response) -> bool:
    return response.is_success or (response.is_redirect and not _is_login(response))


def _is_login(response: httpx.Response) -> bool:
    try:
        path = urlsplit(response.headers.get("location", "")).path
    except ValueError:
        return True
    return "login" in path.rpartition("/")[2].casefold() or "/securityRealm/" in path


def _wants_crumb(response: httpx.Response) -> bool:
    return response.status_code == codes.FORBIDDEN and b"No valid crumb" in response.content


def _missing_right(response: httpx.Response) -> str:
    found = _MISSING_RIGHT.search(response.content)
    return found[1].decode() if found else ""

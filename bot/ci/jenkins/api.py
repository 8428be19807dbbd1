"""Jenkins' remote access API as far as the bot asks it: one request, all builds of a job, and consoles.

Source: https://www.jenkins.io/doc/book/using/remote-access-api/ and
https://www.jenkins.io/doc/book/security/csrf-protection/.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from httpx import codes
from pydantic import SecretStr

from bot.ci.frame import LOG, Configured, Reading
from bot.ci.jenkins.runs import BUILD, ITEM, OLDER_BUILD, Console, ConsoleReader
from bot.core.evidence import Trouble
from bot.core.joblog.reader import LogReader
from bot.core.systems import JENKINS
from bot.http.client import Absent, Client, Errors, Failed, Portion, Refusal, denied, garbled
from bot.http.values import Json, is_count, text

SYSTEM = JENKINS.name
_PER_PAGE = 100
_PER_OLDER_PAGE = 1000
_MOST_BUILDS = 10_000  # fewer pages than other lists may have: Jenkins reads each of these builds from its disk
_LISTINGS = 3
_BEGINNING = Portion(head=262_144, tail=0)
_TIMES = {"time": "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "timeZone": "UTC", "appendLog": ""}
_MISSING_RIGHT = re.compile(rb"is missing the ([A-Za-z/ ]{3,60}) permission")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with their API token, and the names that people know them by."""

    user: SecretStr
    token: SecretStr
    user_name: str = "JENKINS_USER"
    token_name: str = "JENKINS_TOKEN"  # noqa: S105 - the name of a variable, not a secret

    def headers(self) -> Mapping[str, str]:
        pair = f"{self.user.get_secret_value()}:{self.token.get_secret_value()}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def errors(self, no: Refusal) -> Errors:
        right = _missing_right(no.response) or no.needs
        refused = f"Jenkins refuses user and token (401): {self.user_name} or {self.token_name} is wrong or expired"
        if no.response.is_redirect:
            refused = (
                f"Jenkins asks for a login ({no.status}): is base_url right, and {self.user_name}, {self.token_name}?"
            )
        lacking = f"Jenkins denies {no.deed} (403): the user of {self.user_name} needs the permission {right}"
        moved = f"Jenkins sends on for {no.deed} ({no.status}): is base_url its full address, with its path?"
        gone = Absent(f"{no.about}, or the user may not see it")
        return {
            codes.UNAUTHORIZED: denied(refused),
            codes.FORBIDDEN: denied(lacking),
            codes.NOT_FOUND: gone,
            codes.GONE: gone,
            3: garbled(moved),
        }


class JenkinsApi:
    """Sends requests and reads answers. Every method raises Failed or Absent, and nothing else."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        configured: Configured,
        http: httpx.AsyncClient | None,
    ) -> None:
        self.client = Client(
            SYSTEM,
            base_url,
            headers=credentials.headers,
            errors=credentials.errors,
            is_stranger=_is_login,
            clock=configured.clock,
            limits=configured.limits,
            http=http,
        )

    async def get_object(self, path: str, about: str, tree: str) -> Json:
        answer = await self.client.send("GET", f"{path}/api/json", about, needs="Job/Read", params={"tree": tree})
        return self.client.as_object(answer, about)

    async def post(
        self, path: str, about: str, permission: str, *, doing: str, params: Mapping[str, str] | None = None
    ) -> None:
        """One try. Jenkins answers what it did with a redirect to a page, which is not followed.

        With an API token no crumb is needed; a server that wants one all the same is asked for it.
        """
        how: dict[str, Any] = {"doing": doing, "needs": permission, "params": params, "tries": 1}
        response = await self.client.send(
            "POST", path, about, passing=lambda answer: _wants_crumb(answer) or _is_done(answer), **how
        )
        if _wants_crumb(response):
            await self.client.send("POST", path, about, headers=await self._crumb(), passing=_is_done, **how)

    async def builds(self, path: str, about: str, *, since: datetime) -> list[Json]:
        """Every build that was started at or after `since`, newest first.

        Those behind the newest hundred come without who started them and why. Pages overlap by one build: where a
        build was deleted meanwhile, the next page lacks the last one of the page before, and all is read again.
        """
        for _ in range(_LISTINGS):
            found = await self._pages(path, about, since)
            if found is not None:
                return found
        raise garbled(f"Jenkins' list of the builds of {about} changes faster than it can be read")

    async def queue(self) -> list[Json]:
        body = await self.get_object("/queue", "the queue", f"items[{ITEM}]")
        return self.client.objects(body.get("items"), "the queue")

    async def console(self, path: str, about: str, *, is_over: bool) -> Console:
        """What a console says, while the build runs only its beginning; nothing where it cannot be read."""
        reader = ConsoleReader()
        try:
            is_whole = await self.client.stream(
                f"{path}/consoleText", about, reader, LOG if is_over else _BEGINNING, needs="Job/Read"
            )
        except (Absent, Failed):
            return Console()
        return reader.close(is_whole=is_whole)

    async def log(self, path: str, about: str, started_at: datetime | None, reading: Reading) -> tuple[LogReader, bool]:
        """The console as a job's log; with times where the Timestamper plugin has them and they are of use."""
        reader = reading.new()
        is_read = await self.client.stream(f"{path}/consoleText", about, reader, reading.portion, needs="Job/Read")
        if not reader.lacks_times:
            return reader, is_read
        timed, times = reading.new(since=started_at), f"the times of {about}"
        try:
            is_timed = await self.client.stream(f"{path}/timestamps/", times, timed, reading.portion, params=_TIMES)
        except (Absent, Failed):  # the plugin is not there: without times a log can rule out, not show
            return reader, is_read
        return (reader, is_read) if timed.lacks_times else (timed, is_read and is_timed)

    async def _pages(self, path: str, about: str, since: datetime) -> list[Json] | None:
        found: dict[int, Json] = {}
        first, size, key, tree = 0, _PER_PAGE, "builds", BUILD
        last: int | None = None
        while first < _MOST_BUILDS:
            body = await self.get_object(path, about, f"{key}[{tree}]{{{first},{first + size}}}")
            if key not in body:
                detail = f"Jenkins shows no builds of {about}: is it a folder or a multibranch project?"
                raise garbled(detail)
            page = self.client.objects(body[key], about)
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
            raise garbled("Jenkins requires a crumb and gives none")
        return {field: crumb}


def _number(build: Json, about: str) -> int:
    value = build.get("number")
    if not is_count(value):
        raise garbled(f"Jenkins' list of the builds of {about} has one without a number")
    return value


def _is_older(build: Json, since: datetime) -> bool:
    value = build.get("timestamp")
    return is_count(value) and value < since.timestamp() * 1000


def _is_done(response: httpx.Response) -> bool:
    return not _is_login(response) and (response.is_success or response.is_redirect)


def _is_login(response: httpx.Response) -> bool:
    if not response.is_redirect:
        return False
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

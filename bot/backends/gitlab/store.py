"""One state that GitLab manages, and its lock.

GitLab shows whether a state is locked, since when and by which account (GraphQL), and the lock's ID only to who tries
to lock it as well: the answer is 409. So a state that is seen locked is asked for its ID by such a try. Should it have
become free in between, the try takes the lock: it is given back by its ID at once, and an ID that says what it is lets
any later look do that. A free state is never tried. A release names the lock's ID: GitLab compares it under a row lock.
Sources: GitLab's `lib/api/terraform/state.rb`, `app/services/terraform/remote_state_handler.rb`,
`lib/api/terraform/state_version.rb` and `app/graphql/types/terraform/`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

import httpx
import structlog
from httpx import codes

from bot.backends.remote import Leaving, Unmet, newest_whole, parsed
from bot.backends.state_text import StateReader
from bot.core.evidence import Trouble
from bot.core.lock import LockPlace, PlaceKind, StateAbsent, StateSeen
from bot.core.recovery.contents import Version
from bot.http.client import Absent, Client, Failed, Portion, Sink, denied, garbled
from bot.http.pages import MOST_PAGES_OF_STATES, every_page
from bot.http.values import Json, inner, instant, text

log = structlog.get_logger()

SERVICE = "GitLab"
READ = "read_terraform_state (the role Developer, the scope read_api)"
ADMIN = "admin_terraform_state (the role Maintainer, the scope api)"
LOOK = "tflock-look-"
"""Begins the ID of a lock that nobody meant to take. No process of Terraform's has such a one."""

_WHOLE = Portion(head=1024 * 1024 * 1024, tail=0)
_GIVING_BACK = 6
_REFUSED = frozenset({Trouble.DENIED, Trouble.THROTTLED})
"""After these GitLab has surely not taken the lock."""

_STATES = """\
query($project: ID!, $after: String) {
  project(fullPath: $project) {
    terraformStates(first: 100, after: $after) {
      nodes { name lockedAt lockedByUser { username } latestVersion { serial createdAt } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""


class Project:
    """The way to the states of one project. `name` is its path, or its number."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.known: dict[str, tuple[tuple[str, str], LockPlace]] = {}
        """By the state's name: since when and by whom it was locked, and the lock whose ID was asked for then."""
        self._path = "" if name.isdecimal() else name
        self._tries = set[asyncio.Task[LockPlace | None]]()

    def path_of(self, state: str) -> str:
        return f"/v4/projects/{quote(self.name, safe='')}/terraform/state/{quote(state, safe='')}"

    async def entry(self, state: str) -> Json | None:
        """What the list says of one state; None if there is no such state, and the token would show it."""
        listed = await self.listed(state)
        mine = next((entry for entry in listed if entry["name"] == state), None)
        if mine is None and not listed:
            await self.may_read(state)
        return mine

    async def listed(self, wanted: str | None = None) -> list[Json]:
        """The states, up to the `wanted` one. Empty also for a token that may not see them: see `may_read`."""
        about = f"the Terraform states of {self.name}"
        path = await self.full_path()

        async def page(after: str) -> tuple[list[Json], str | None]:
            asked = {"query": _STATES, "variables": {"project": path, "after": after or None}}
            answer = await self.client.send("POST", "/graphql", about, needs=READ, json=asked, tries=1)
            body = self.client.as_object(answer, about)
            data = body.get("data")
            if body.get("errors") or not isinstance(data, Mapping):
                raise garbled(f"GitLab's GraphQL gave an error on {about}")
            if data.get("project") is None:
                raise Absent(f"project {self.name}, or the token may not see it")
            states = inner(inner(data, "project"), "terraformStates")
            found = [_checked(entry, about) for entry in self.client.objects(states.get("nodes"), about)]
            return found, _following(inner(states, "pageInfo"), about)

        return await every_page(
            page, "", until=lambda entry: entry["name"] == wanted,
            too_much=lambda count: f"{self.name} has more than {count} Terraform states", most=MOST_PAGES_OF_STATES,
        )  # fmt: skip

    async def names(self, beginning: str) -> tuple[str, ...]:
        """The names of the states that begin so. A project whose list is empty is asked for one that it cannot have."""
        listed = await self.listed()
        if not listed:
            await self.may_read(f"{beginning}{LOOK}")
        return tuple(entry["name"] for entry in listed if entry["name"].startswith(beginning))

    async def may_read(self, state: str) -> None:
        """Raises Failed or Absent unless GitLab says that there is no such state. To a user without the right its
        GraphQL shows an empty list.
        """
        about = f"the state {state} of {self.name}"
        answer = await self.client.send(
            "GET", self.path_of(state), about, needs=READ, headers={"Range": "bytes=0-0"}, passing=_is_no_state, tries=1
        )
        if answer.is_success and answer.status_code != codes.NO_CONTENT:
            raise garbled(f"GitLab has {about}, and does not list it")

    def keep(self, work: asyncio.Task[LockPlace | None]) -> asyncio.Task[LockPlace | None]:
        """Lets a try come to its end, whatever becomes of who asked for it."""
        self._tries.add(work)
        work.add_done_callback(self._over)
        return work

    async def aclose(self) -> None:
        await asyncio.gather(*self._tries, return_exceptions=True)
        await self.client.aclose()

    def _over(self, work: asyncio.Task[LockPlace | None]) -> None:
        self._tries.discard(work)
        if not work.cancelled():
            work.exception()  # who asked may be gone, and the log has it already

    async def full_path(self) -> str:
        """As GraphQL wants it, also of a project that is named by its number. Raises Failed or Absent."""
        if not self._path:
            about = f"project {self.name}"
            found = await self.client.send("GET", f"/v4/projects/{self.name}", about, needs=READ, tries=1)
            self._path = text(self.client.as_object(found, about).get("path_with_namespace"))
            if not self._path:
                raise garbled(f"GitLab did not name the path of {about}")
        return self._path


@dataclass(frozen=True, slots=True)
class GitLabStore:
    """`entry` is what a list has just said of the state, if one did. Implements `bot.backends.remote.RemoteStore`."""

    project: Project
    name: str
    entry: Json | None = None

    kind = PlaceKind.RECORD
    service = SERVICE
    reads = READ
    deletes = ADMIN
    no_fence = "ffffffff-ffff-4fff-8fff-ffffffffffff"

    @property
    def target(self) -> str:
        return f"{self.project.name} / {self.name}"

    @property
    def _path(self) -> str:
        return self.project.path_of(self.name)

    async def read(self) -> LockPlace | None:
        """A lock whose ID was asked for before is known again by its time and its account; GitLab then compares the ID.

        Two locks of one account within the same second look the same, and a release of the first does nothing then.
        """
        entry = self.entry or await self.project.entry(self.name)
        if entry is None or not is_locked(entry):
            return None
        since = text(entry.get("lockedAt")), text(inner(entry, "lockedByUser").get("username"))
        known = self.project.known.get(self.name)
        if known is not None and known[0] == since:
            return known[1]
        trying = asyncio.create_task(self._tried(f"{LOOK}{uuid.uuid4()}", since))
        return await asyncio.shield(self.project.keep(trying))

    async def delete(self, fence: str, leaving: Leaving) -> None:
        """Without an ID GitLab would release whatever lock is there."""
        if not fence:
            raise denied("a lock without an ID is never released")
        answer = await self._lock("DELETE", params={"ID": fence}, leaving=leaving)
        self.project.known.pop(self.name, None)
        if not answer.is_success:
            raise Unmet

    async def state(self) -> StateSeen | StateAbsent:
        newest = await self._newest()
        if newest is None:
            return StateAbsent()
        reader, (serial, at) = StateReader(), newest
        await self.pour(str(serial), reader)
        offset = self.project.client.offset
        seen = reader.finish().seen(at if offset is None else at - offset.ahead, str(serial))
        if seen.fault is None:
            return seen
        older = map(str, range(serial - 1, -1, -1))
        return replace(seen, last_good_version=await newest_whole(older, self.pour))

    async def listed(self, most: int) -> tuple[Version, ...]:
        """GitLab tells when it stored the newest version only; older ones are asked for by their serials."""
        newest = await self._newest()
        if newest is None:
            return ()
        found = []
        for serial in range(newest[0], max(-1, newest[0] - most), -1):
            size, is_newest = _Size(), serial == newest[0]
            with suppress(Absent):
                await self.pour(str(serial), size)
                found.append(Version(str(serial), newest[1] if is_newest else None, size.bytes, is_newest))
        return tuple(found)

    async def pour(self, version: str | None, into: Sink) -> None:
        if version is None:
            newest = await self._newest()
            if newest is None:
                raise Absent(f"state {self.target}")
            version = str(newest[0])
        about = f"version {version} of {self.target}"
        if not await self.project.client.stream(f"{self._path}/versions/{version}", about, into, _WHOLE, needs=READ):
            raise Failed(Trouble.TOO_MUCH, f"{about} is too long to read")

    async def keeps_versions(self) -> bool:
        """GitLab keeps all of them."""
        return True

    def beside(self, token: str) -> Self:
        return replace(self, name=f"{self.name}-doctor-{token}", entry=None)

    async def put(self, text: str) -> str:
        lock_id = str(uuid.uuid4())
        answer = await self._lock("POST", json=_lock_info(lock_id, text))
        if not answer.is_success:
            raise garbled(f"GitLab did not lock {self.target} ({answer.status_code})")
        return lock_id

    async def clear_away(self) -> None:
        """GitLab makes a state for whom locks it."""
        await self.project.client.send("DELETE", self._path, self.target, doing="deleting", needs=ADMIN, tries=1)

    async def _tried(self, mine: str, since: tuple[str, str]) -> LockPlace | None:
        """The lock that keeps another one out; None if there is none any more. Leaves no lock of its own."""
        try:
            answer = await self._lock("POST", json=_lock_info(mine, "tflock looks who holds the lock"))
        except Failed as failed:
            if failed.trouble is Trouble.DENIED:
                return self._unreadable(since, f"does not tell the lock's ID: {failed.words}")
            if failed.was_sent and failed.trouble not in _REFUSED:
                await self._give_back(mine)
            raise
        if answer.is_success:
            await self._give_back(mine)
            return None
        info, _ = parsed(answer.text)
        if info is None:
            return self._unreadable(since, "gave an answer without the lock's ID")
        if info.id.startswith(LOOK):
            await self._give_back(info.id)
            return None
        # what else is in the answer is who asks, not who holds the lock
        info = replace(info, operation="", info="", version="", path="", who=f"{info.who}@")
        place = LockPlace(self.kind, self.target, info.id, info, stored_at=info.created, service=SERVICE)
        self.project.known[self.name] = since, place
        return place

    async def _give_back(self, lock_id: str) -> None:
        """Releases a lock that a look has taken, or nothing."""
        log.warning("gitlab.look_took_the_lock", state=self.target, lock_id=lock_id)
        try:
            await self._lock("DELETE", params={"ID": lock_id}, tries=_GIVING_BACK)
        except Failed as failed:
            said = f"a look may have taken the lock of {self.target} and could not give it back; the next look will"
            raise Failed(failed.trouble, f"{said} (lock {lock_id}): {failed.words}") from failed

    def _unreadable(self, since: tuple[str, str], why: str) -> LockPlace:
        at, account = since
        said = f"GitLab shows that {account or 'someone'} has had the lock since {at or 'an unknown time'}, and {why}"
        return LockPlace(self.kind, self.target, "", None, said, service=SERVICE)

    async def _lock(self, method: str, *, tries: int = 1, **parts: Any) -> httpx.Response:
        return await self.project.client.send(
            method, f"{self._path}/lock", self.target, needs=ADMIN, passing=_is_locked, tries=tries, **parts
        )

    async def _newest(self) -> tuple[int, datetime] | None:
        """Its serial, and when GitLab stored it."""
        entry = await self.project.entry(self.name)
        if entry is None or entry.get("latestVersion") is None:
            return None
        version = inner(entry, "latestVersion")
        serial, at = version.get("serial"), instant(version.get("createdAt"))
        if not isinstance(serial, int) or isinstance(serial, bool) or at is None:
            raise garbled(f"GitLab did not say which version of {self.target} is the newest")
        return serial, at


class _Size:
    """Counts the bytes of a text."""

    def __init__(self) -> None:
        self.bytes = 0

    def feed(self, chunk: bytes) -> None:
        self.bytes += len(chunk)

    def gap(self) -> None:
        """What is longer is not read at all."""


def is_locked(entry: Json) -> bool:
    return entry["lockedAt"] is not None or entry["lockedByUser"] is not None


def _lock_info(lock_id: str, operation: str) -> Json:
    created = datetime.now(UTC).isoformat()
    said = {"Operation": operation, "Info": "", "Who": "tflock", "Version": "", "Created": created, "Path": ""}
    return {"ID": lock_id, **said}


def _checked(entry: Json, about: str) -> Json:
    """An entry that says whether its state is locked. What does not is not free."""
    if not text(entry.get("name")) or not {"lockedAt", "lockedByUser"} <= entry.keys():
        raise garbled(f"GitLab's list of {about} has a different form than documented")
    return entry


def _following(info: Json, about: str) -> str | None:
    """Where the next page is. A list without its end is none."""
    more, cursor = info.get("hasNextPage"), text(info.get("endCursor"))
    if more is False:
        return None
    if more is not True or not cursor:
        raise garbled(f"GitLab's list of {about} does not say where it ends")
    return cursor


def _is_locked(response: httpx.Response) -> bool:
    return response.status_code in {codes.CONFLICT, codes.LOCKED}


def _is_no_state(response: httpx.Response) -> bool:
    """Whether this very state is not there. A missing project, and a gateway's page, say 404 in other words."""
    said = response.content
    return response.status_code == codes.NOT_FOUND and said.startswith(b'{"message":"404') and b"Project" not in said

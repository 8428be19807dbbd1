"""One state and its lock in Google Cloud Storage, by the JSON API.

The lock is the object `<prefix>/<workspace>.tflock`. Its ID is the object's generation, not the `ID` in its text, which
Terraform writes before it knows the generation; a delete under `ifGenerationMatch` deletes that lock or nothing.
Sources: Terraform's `internal/backend/remote-state/gcs/client.go`; "Objects: get", "delete", "list" and "Buckets: get"
of the JSON API; "Consistency" of Cloud Storage (reads and listings are strongly consistent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import quote

import httpx
from httpx import codes

from bot.backends.credentials import Credentials
from bot.backends.remote import Leaving, Unmet, parsed, there
from bot.backends.state_text import StateReader
from bot.core.evidence import Trouble
from bot.core.hold import is_of
from bot.core.lock import LockInfo, LockPlace, PlaceKind, StateAbsent, StateSeen, lock_document
from bot.core.recovery.contents import Version
from bot.http.client import Absent, Client, Errors, Failed, Portion, Refusal, Sink, denied
from bot.http.pages import every_page
from bot.http.values import Json, inner, instant, objects, text

SERVICE = "Google Cloud Storage"
GOOGLES = "https://storage.googleapis.com"

_LONGEST_LOCK = 64 * 1024
_WHOLE = Portion(head=1024 * 1024 * 1024, tail=0)
_VERSIONS_TRIED = 5


def errors(no: Refusal) -> Errors:
    """How the JSON API says no ("HTTP status and error codes for JSON")."""
    unknown = denied("Google Cloud Storage does not accept the credentials (401)")
    lacking = denied(f"Google Cloud Storage denies {no.deed} (403): the bot's account needs {no.needs}")
    # without storage.objects.list it denies what is not there
    return {
        codes.UNAUTHORIZED: unknown,
        codes.FORBIDDEN: lacking,
        codes.NOT_FOUND: Absent(f"bucket of {no.about}, or the account may not see it"),
        codes.TOO_MANY_REQUESTS: no.throttled("Google Cloud Storage throttles the bot", patience=1),
    }


@dataclass(frozen=True, slots=True)
class Bucket:
    """The way to one bucket."""

    client: Client
    credentials: Credentials
    name: str

    @property
    def path(self) -> str:
        return f"/storage/v1/b/{quote(self.name, safe='')}"

    def object_path(self, name: str) -> str:
        return f"{self.path}/o/{quote(name, safe='')}"

    async def send(
        self,
        method: str,
        path: str,
        about: str,
        *,
        needs: str,
        params: Mapping[str, str] | None = None,
        json: Json | None = None,
        leaving: Leaving | None = None,
    ) -> httpx.Response:
        """One try. An object that is not there and a condition that does not hold are answers."""
        headers = await self.credentials.headers()
        return await self.client.send(
            method, path, about, needs=needs, params=params, json=json, headers=headers, passing=_says, tries=1,
            leaving=leaving,
        )  # fmt: skip

    async def listed(self, about: str, **params: str) -> list[Json]:
        """What a listing describes, page by page."""

        async def page(token: str) -> tuple[Sequence[Json], str | None]:
            asked = {**params, "pageToken": token} if token else params
            answer = await self.send("GET", f"{self.path}/o", about, needs="storage.objects.list", params=asked)
            body = self.client.as_object(there(answer, about), about)
            return objects(body.get("items")), text(body.get("nextPageToken")) or None

        return await every_page(page, "", too_much=lambda count: f"{about} has more than {count} objects")


@dataclass(frozen=True, slots=True)
class GcsStore:
    """`base` is the name of both objects without their suffix. Implements `bot.backends.remote.RemoteStore`."""

    bucket: Bucket
    base: str
    suffix: str = ""

    kind = PlaceKind.FILE
    service = SERVICE
    reads = "storage.objects.get"
    deletes = "storage.objects.delete"
    puts = "storage.objects.create"
    no_fence = "1"

    @property
    def lock_name(self) -> str:
        return f"{self.base}.tflock{self.suffix}"

    @property
    def state_name(self) -> str:
        return f"{self.base}.tfstate"

    @property
    def state_target(self) -> str:
        return f"gs://{self.bucket.name}/{self.state_name}"

    @property
    def target(self) -> str:
        return f"gs://{self.bucket.name}/{self.lock_name}"

    async def read(self) -> LockPlace | None:
        """The text and the generation come in one answer: no other lock can get between them."""
        path = self.bucket.object_path(self.lock_name)
        answer = await self.bucket.send("GET", path, self.target, needs=self.reads, params={"alt": "media"})
        if _is_missing_object(answer):
            return None
        generation = there(answer, self.target).headers.get("x-goog-generation", "")
        if not (generation.isascii() and generation.isdigit()):
            raise Failed(Trouble.GARBLED, f"{SERVICE} did not name the generation of {self.target}")
        info, garbage = parsed(answer.content[: _LONGEST_LOCK + 1].decode("utf-8", "replace"))
        info = None if info is None else replace(info, id=generation)
        stored_at = _http_date(answer.headers.get("last-modified", ""))
        return LockPlace(self.kind, self.target, generation, info, garbage, stored_at, service=SERVICE)

    async def delete(self, fence: str, leaving: Leaving) -> None:
        path, needs = self.bucket.object_path(self.lock_name), self.deletes
        params = {"ifGenerationMatch": fence}
        answer = await self.bucket.send("DELETE", path, self.target, needs=needs, params=params, leaving=leaving)
        if not answer.is_success:
            raise Unmet

    async def take(self, hold: LockInfo, leaving: Leaving) -> None:
        await self._insert(hold, "0", leaving)

    async def swap(self, fence: str, hold: LockInfo, leaving: Leaving) -> None:
        """The new generation, which is the ID that Terraform shows, is the store's to choose."""
        await self._insert(hold, fence, leaving)

    async def end(self, hold: LockInfo, there: LockPlace, leaving: Leaving) -> None:
        if not is_of(there.info, hold) or not there.fence:
            raise Unmet
        await self.delete(there.fence, leaving)

    async def _insert(self, hold: LockInfo, fence: str, leaving: Leaving) -> None:
        """To overwrite an object takes `storage.objects.delete`, too."""
        params = {"uploadType": "media", "name": self.lock_name, "ifGenerationMatch": fence}
        answer = await self.bucket.send(
            "POST", f"/upload{self.bucket.path}/o", self.target, needs=f"{self.puts} and {self.deletes}", params=params,
            json=lock_document(hold), leaving=leaving,
        )  # fmt: skip
        if not answer.is_success:
            raise Unmet

    async def state(self) -> StateSeen | StateAbsent:
        answer = await self.bucket.send(
            "GET", self.bucket.object_path(self.state_name), self.state_target, needs=self.reads
        )
        if _is_missing_object(answer):
            older = [version for version in await self._versions() if text(version.get("timeDeleted"))]
            traces = ("older versions of it are still in the bucket",) if older else ()
            return StateAbsent(traces, await self._newest_whole(older))
        found = self.bucket.client.as_object(there(answer, self.state_target), self.state_target)
        seen = await self._pulled(found)
        if seen.fault is None:
            return seen
        try:
            older = [version for version in await self._versions() if _generation(version) != _generation(found)]
        except (Failed, Absent):  # that it is broken is known without them
            return seen
        return replace(seen, last_good_version=await self._newest_whole(older))

    async def listed(self, most: int) -> tuple[Version, ...]:
        return tuple(map(self._version, (await self._versions())[:most]))

    async def pour(self, version: str | None, into: Sink) -> None:
        headers, params = await self.bucket.credentials.headers(), {"alt": "media"}
        params |= {} if version is None else {"generation": version}
        path, about = self.bucket.object_path(self.state_name), self.state_target
        client = self.bucket.client
        if not await client.stream(path, about, into, _WHOLE, params=params, headers=headers, needs=self.reads):
            raise Failed(Trouble.TOO_MUCH, f"{about} is too long to read")

    async def keeps_versions(self) -> bool:
        about = f"bucket {self.bucket.name}"
        params = {"fields": "versioning"}
        answer = await self.bucket.send("GET", self.bucket.path, about, needs="storage.buckets.get", params=params)
        body = self.bucket.client.as_object(there(answer, about), about)
        return inner(body, "versioning").get("enabled") is True

    def beside(self, token: str) -> Self:
        return replace(self, suffix=f"-doctor-{token}")

    async def put(self, text: str) -> str:
        about, headers = self.target, await self.bucket.credentials.headers()
        answer = await self.bucket.client.send(
            "POST",
            f"/upload{self.bucket.path}/o",
            about,
            doing="putting",
            needs="storage.objects.create",
            params={"uploadType": "media", "name": self.lock_name, "ifGenerationMatch": "0"},
            json=text,
            headers=headers,
            tries=1,
        )
        return _generation(self.bucket.client.as_object(answer, about))

    async def clear_away(self) -> None:
        """Nothing: the lock's object was all."""

    async def _pulled(self, found: Json) -> StateSeen:
        """Streams exactly the generation that was described."""
        reader, updated, client = StateReader(), _updated(found, self.state_target), self.bucket.client
        await self.pour(_generation(found), reader)
        written_on_ours = updated if client.offset is None else updated - client.offset.ahead
        return reader.finish().seen(written_on_ours, _generation(found))

    async def _versions(self) -> list[Json]:
        """The state's versions, newest first."""
        about = f"the versions of {self.state_target}"
        found = await self.bucket.listed(about, prefix=self.state_name, versions="true")
        mine = [item for item in found if item.get("name") == self.state_name]
        return sorted(mine, key=lambda item: int(_generation(item)), reverse=True)

    def _version(self, item: Json) -> Version:
        size = text(item.get("size"))
        is_newest = not text(item.get("timeDeleted"))
        written = _updated(item, self.state_target)
        return Version(_generation(item), written, int(size) if size.isdecimal() else 0, is_newest)

    async def _newest_whole(self, versions: Sequence[Json]) -> str | None:
        for version in versions[:_VERSIONS_TRIED]:
            with suppress(Failed, Absent):  # a version that cannot be read is not known to be good
                if (await self._pulled(version)).fault is None:
                    return _generation(version)
        return None


def _says(response: httpx.Response) -> bool:
    return response.status_code == codes.PRECONDITION_FAILED or _is_missing_object(response)


def _is_missing_object(response: httpx.Response) -> bool:
    """Whether this very object is not there. A missing bucket, and a gateway's page, say 404 in other words."""
    return response.status_code == codes.NOT_FOUND and b"No such object" in response.content


def _generation(item: Json) -> str:
    """Raises Failed (garbled) for an object without one."""
    found = text(item.get("generation"))
    if not (found.isascii() and found.isdigit()):
        raise Failed(Trouble.GARBLED, f"{SERVICE} described an object without its generation")
    return found


def _updated(item: Json, about: str) -> datetime:
    """Raises Failed (garbled) for an object without the time that it was written."""
    found = instant(item.get("updated"))
    if found is None:
        raise Failed(Trouble.GARBLED, f"{SERVICE} did not say when {about} was written")
    return found


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except (TypeError, ValueError):
        return None

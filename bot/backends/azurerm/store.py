"""One state and its lock in Azure Blob Storage.

The lock is an infinite lease on the state's blob; the lease's ID is the lock's. Who holds it is in the blob's metadata
`terraformlockid`, as base64 of Terraform's JSON. A release names the lease: the store ends that lease or nothing. A
`break` needs no lease ID, and is therefore never sent.
Sources: Terraform's `internal/backend/remote-state/azure/client.go`; "Lease Blob", "Get Blob Properties", "List Blobs"
and "Blob service error codes" of the Blob service REST API.
"""

from __future__ import annotations

import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
from httpx import codes

from bot.backends.credentials import Credentials
from bot.backends.remote import Leaving, Unmet, newest_whole, parsed, there
from bot.backends.state_text import StateReader
from bot.core.evidence import Trouble
from bot.core.lock import LockInfo, LockPlace, PlaceKind, StateAbsent, StateSeen, lock_text
from bot.core.recovery.contents import Version
from bot.http.client import Absent, Client, Errors, Failed, Portion, Refusal, Sink, denied
from bot.http.pages import every_page

SERVICE = "Azure Blob Storage"
_VERSION = {"x-ms-version": "2023-11-03"}
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
READ, WRITE, DELETE = f"{_BLOBS}/read", f"{_BLOBS}/write", f"{_BLOBS}/delete"
_META = "x-ms-meta-"
_METADATA = f"{_META}terraformlockid"
_WHOLE = Portion(head=1024 * 1024 * 1024, tail=0)
_NO_INFO = "the blob is leased, but has no lock info, so nothing tells who holds the lease"


def errors(no: Refusal) -> Errors:
    """How the Blob service says no."""
    code = no.response.headers.get("x-ms-error-code", "")
    lacking = f"Azure Blob Storage denies {no.deed} ({code or 403}): the bot's identity needs {no.needs}"
    return {
        codes.UNAUTHORIZED: denied("Azure Blob Storage does not accept the credentials (401)"),
        codes.FORBIDDEN: denied(lacking),
        codes.NOT_FOUND: Absent(f"container of {no.about}, or the identity may not see it"),
        codes.PRECONDITION_FAILED: Failed(Trouble.SERVER_ERROR, f"{no.about} changed while it was read"),
        codes.TOO_MANY_REQUESTS: no.throttled("Azure Blob Storage throttles the bot", patience=1),
        codes.SERVICE_UNAVAILABLE: no.throttled("Azure Blob Storage throttles the bot", patience=1),
    }


@dataclass(frozen=True, slots=True)
class Container:
    """The way to one container."""

    client: Client
    credentials: Credentials
    name: str

    def blob_path(self, blob: str) -> str:
        return f"/{self.name}/{quote(blob, safe='/')}"

    async def signed(self, headers: Mapping[str, str] | None = None) -> Mapping[str, str]:
        return {**_VERSION, **await self.credentials.headers(), **(headers or {})}

    async def send(
        self,
        method: str,
        path: str,
        about: str,
        *,
        needs: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        leaving: Leaving | None = None,
    ) -> httpx.Response:
        """One try. A blob that is not there and a lease that is another one are answers."""
        return await self.client.send(
            method,
            path,
            about,
            needs=needs,
            params={**(params or {}), **self.credentials.params()},
            headers=await self.signed(headers),
            passing=_says,
            tries=1,
            leaving=leaving,
        )

    async def listed(self, about: str, prefix: str, include: str) -> list[ET.Element]:
        """The blobs with this beginning, page by page."""

        async def page(marker: str) -> tuple[Sequence[ET.Element], str | None]:
            params = {"restype": "container", "comp": "list", "prefix": prefix, "include": include}
            params |= {"marker": marker} if marker else {}
            answer = await self.send("GET", f"/{self.name}", about, needs=READ, params=params)
            try:
                found = ET.fromstring(there(answer, about).content)  # noqa: S314 - expat bounds what entities grow to
            except ET.ParseError as error:
                raise Failed(Trouble.GARBLED, f"{SERVICE}'s list of {about} is not XML") from error
            return found.findall("Blobs/Blob"), found.findtext("NextMarker") or None

        return await every_page(page, "", too_much=lambda count: f"{about} has more than {count} blobs")


@dataclass(frozen=True, slots=True)
class AzureStore:
    """Implements `bot.backends.remote.RemoteStore`."""

    container: Container
    blob: str

    kind = PlaceKind.LEASE
    service = SERVICE
    reads = READ
    deletes = WRITE
    puts = WRITE
    no_fence = "ffffffff-ffff-4fff-8fff-ffffffffffff"

    @property
    def target(self) -> str:
        return f"{self.container.name}/{self.blob}"

    async def read(self) -> LockPlace | None:
        """The lease and the metadata come in one answer.

        A lease that is new may still have the metadata of one before, which was broken: the ID that is read then is no
        lease's, and a release that names it does nothing.
        """
        answer = await self._described()
        if answer is None or answer.headers.get("x-ms-lease-status") == "unlocked":
            return None
        if answer.headers.get("x-ms-lease-status") != "locked":
            raise Failed(Trouble.GARBLED, f"{SERVICE} did not say whether {self.target} is leased")
        try:
            text = b64decode(answer.headers.get(_METADATA, ""), validate=True).decode("utf-8", "replace")
        except ValueError:
            text = "not base64"
        info, garbage = parsed(text) if text else (None, _NO_INFO)
        fence = "" if info is None else info.id
        return LockPlace(self.kind, self.target, fence, info, garbage, service=SERVICE)

    async def delete(self, fence: str, leaving: Leaving) -> None:
        headers = {"x-ms-lease-action": "release", "x-ms-lease-id": fence}
        path = self.container.blob_path(self.blob)
        answer = await self.container.send(
            "PUT", path, self.target, needs=WRITE, params={"comp": "lease"}, headers=headers, leaving=leaving
        )
        if not answer.is_success:
            raise Unmet

    async def take(self, hold: LockInfo, leaving: Leaving) -> None:
        """As Terraform does: an empty blob where there is none, then the lease, then who holds it.

        A lease is taken at most once: the service takes its own ID again, and no other.
        """
        leaving()
        before = await self._described()
        if before is None:
            await self._made_empty()
        acquired = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1", "x-ms-proposed-lease-id": hold.id}
        if not await self._is_leased_to(hold, acquired, leaving):
            raise Unmet
        try:
            await self._describe(hold)
        except Failed as failed:
            with suppress(Failed, Absent, Unmet):  # who made the hold knows of it, and ends it otherwise
                await self.delete(hold.id, leaving)
            words = f"the lease was taken, but what it is for could not be written: {failed.words}"
            raise Failed(Trouble.SERVER_ERROR, words) from failed

    async def swap(self, fence: str, hold: LockInfo, leaving: Leaving) -> None:
        """The lease changes its ID in one request; what the metadata says of it follows.

        In between a look still shows the lock of before, which no release can reach: its ID is no lease's any more.
        """
        changed = {"x-ms-lease-action": "change", "x-ms-lease-id": fence, "x-ms-proposed-lease-id": hold.id}
        if fence.lower() != hold.id.lower() and not await self._is_leased_to(hold, changed, leaving):
            raise Unmet
        leaving()
        try:
            await self._describe(hold)
        except Failed as failed:
            words = f"the lease was changed, but what it is for could not be written: {failed.words}"
            raise Failed(Trouble.SERVER_ERROR, words) from failed

    async def end(self, hold: LockInfo, there: LockPlace, leaving: Leaving) -> None:  # noqa: ARG002 - one face for all
        """By the lease, whose ID is the hold's: whatever the metadata says."""
        await self.delete(hold.id, leaving)

    async def _is_leased_to(self, hold: LockInfo, asked: Mapping[str, str], leaving: Leaving) -> bool:
        """Asks for the lease. Whether the hold has it afterwards, perhaps by an earlier try whose answer was lost."""
        renewal = {"x-ms-lease-action": "renew", "x-ms-lease-id": hold.id}
        try:
            if (await self._lease(asked, leaving)).is_success:
                return True
        except Failed:
            if (await self._lease(renewal, leaving)).is_success:
                return True
            raise
        return (await self._lease(renewal, leaving)).is_success

    async def _lease(self, headers: Mapping[str, str], leaving: Leaving) -> httpx.Response:
        path, params = self.container.blob_path(self.blob), {"comp": "lease"}
        return await self.container.send(
            "PUT", path, self.target, needs=WRITE, params=params, headers=headers, leaving=leaving
        )

    async def _made_empty(self) -> None:
        """A blob without a byte, unless someone has made one since."""
        headers = {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"}
        path = self.container.blob_path(self.blob)
        await self.container.send("PUT", path, self.target, needs=WRITE, headers=headers)

    async def _describe(self, hold: LockInfo) -> None:
        """Writes who holds the lease, under that lease, and leaves all other metadata as it is. Raises Unmet if the
        lease is gone.
        """
        found = await self._described()
        if found is None:
            raise Unmet
        others = {name: value for name, value in found.headers.items() if name.lower().startswith(_META)}
        info = b64encode(lock_text(hold).encode()).decode()
        headers = {**others, _METADATA: info, "x-ms-lease-id": hold.id}
        path = self.container.blob_path(self.blob)
        answer = await self.container.send(
            "PUT", path, self.target, needs=WRITE, params={"comp": "metadata"}, headers=headers
        )
        if not answer.is_success:
            raise Unmet

    async def state(self) -> StateSeen | StateAbsent:
        """A blob without a byte is one that Terraform made to have something to lease: there is no state yet."""
        answer = await self._described()
        seen = None if answer is None else await self._pulled(answer)
        if seen is None or seen.size == 0:
            older = [version for version in await self._versions() if version.size and not version.is_newest]
            traces = ("older versions of it are still in the container",) if older else ()
            return StateAbsent(traces, await newest_whole((version.id for version in older), self.pour))
        if seen.fault is None:
            return seen
        try:
            older = [version for version in await self._versions() if not version.is_newest]
        except (Failed, Absent):  # that it is broken is known without them
            return seen
        return replace(seen, last_good_version=await newest_whole((version.id for version in older), self.pour))

    async def listed(self, most: int) -> tuple[Version, ...]:
        return tuple(await self._versions())[:most]

    async def pour(self, version: str | None, into: Sink, *, etag: str = "") -> None:
        params = {**({"versionid": version} if version else {}), **self.container.credentials.params()}
        headers = await self.container.signed({"If-Match": etag} if etag else None)
        path, client = self.container.blob_path(self.blob), self.container.client
        if not await client.stream(path, self.target, into, _WHOLE, params=params, headers=headers, needs=READ):
            raise Failed(Trouble.TOO_MUCH, f"{self.target} is too long to read")

    async def keeps_versions(self) -> bool:
        """The Blob service names the version of a blob exactly if the account keeps versions."""
        answer = await self._described()
        if answer is None:
            raise Absent(f"blob {self.target} yet")
        return "x-ms-version-id" in answer.headers

    def beside(self, token: str) -> Self:
        return replace(self, blob=f"{self.blob}-doctor-{token}")

    async def put(self, text: str) -> str:
        """A blob with lock info, and a lease on it. Nothing is made where it could not be removed again."""
        await self.clear_away()
        lease, path = str(uuid.uuid4()), self.container.blob_path(self.blob)
        info = {"ID": lease, "Operation": text, "Who": "tflock", "Created": datetime.now(UTC).isoformat()}
        described = {"x-ms-blob-type": "BlockBlob", _METADATA: b64encode(json.dumps(info).encode()).decode()}
        leased = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1", "x-ms-proposed-lease-id": lease}
        for params, headers in (({}, described), ({"comp": "lease"}, leased)):
            answer = await self.container.send("PUT", path, self.target, needs=WRITE, params=params, headers=headers)
            if not answer.is_success:
                raise Failed(Trouble.GARBLED, f"{SERVICE} did not make {self.target} ({answer.status_code})")
        return lease

    async def clear_away(self) -> None:
        answer = await self.container.send("DELETE", self.container.blob_path(self.blob), self.target, needs=DELETE)
        if not (answer.is_success or _is_missing_blob(answer)):
            raise Failed(Trouble.GARBLED, f"{SERVICE} did not remove {self.target} ({answer.status_code})")

    async def _described(self) -> httpx.Response | None:
        """The blob's properties; None if it is not there."""
        answer = await self.container.send("HEAD", self.container.blob_path(self.blob), self.target, needs=READ)
        return None if _is_missing_blob(answer) else there(answer, self.target)

    async def _pulled(self, found: httpx.Response) -> StateSeen:
        """Streams exactly the state that was described."""
        reader, client = StateReader(), self.container.client
        written = _http_date(found.headers.get("last-modified", ""), self.target)
        await self.pour(None, reader, etag=found.headers.get("etag", ""))
        written_on_ours = written if client.offset is None else written - client.offset.ahead
        return reader.finish().seen(written_on_ours, found.headers.get("x-ms-version-id"))

    async def _versions(self) -> list[Version]:
        """Newest first; without versions in the account, only the blob, under no id."""
        about = f"the versions of {self.target}"
        mine = [each for each in await self.container.listed(about, self.blob, "versions") if _name(each) == self.blob]
        found = [
            Version(
                each.findtext("VersionId", ""),
                _http_date(each.findtext("Properties/Last-Modified", ""), self.target),
                int(size) if (size := each.findtext("Properties/Content-Length", "")).isdecimal() else 0,
                each.findtext("IsCurrentVersion", "") == "true" or not each.findtext("VersionId", ""),
            )
            for each in mine
        ]
        return sorted(found, key=lambda version: (version.id, version.at), reverse=True)


def is_leased(entry: ET.Element) -> bool:
    """Whether a listing says that a blob is leased; what it does not say has to be looked at."""
    return entry.findtext("Properties/LeaseStatus", "") != "unlocked"


def _name(entry: ET.Element) -> str:
    return entry.findtext("Name", "")


def _says(response: httpx.Response) -> bool:
    is_refused = response.status_code in {codes.CONFLICT, codes.PRECONDITION_FAILED}
    is_lease = response.headers.get("x-ms-error-code", "").startswith(("Lease", "BlobAlreadyExists"))
    return _is_missing_blob(response) or (is_refused and is_lease)


def _is_missing_blob(response: httpx.Response) -> bool:
    """Whether this very blob is not there. A missing container, and a gateway's page, say 404 in other words."""
    return response.status_code == codes.NOT_FOUND and response.headers.get("x-ms-error-code") == "BlobNotFound"


def _http_date(value: str, about: str) -> datetime:
    """Raises Failed (garbled) for a blob without the time that it was written."""
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except (TypeError, ValueError) as error:
        raise Failed(Trouble.GARBLED, f"{SERVICE} did not say when {about} was written") from error

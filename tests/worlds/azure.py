"""Azure Blob Storage on loopback, as far as Terraform and the bot ask it: blobs, metadata, versions and leases.

Who may write to a leased blob follows "Lease Blob" ("Remarks", and the tables of outcomes by lease state) and "Blob
service error codes". Access is by a shared access signature that the server knows.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from bot.sandbox.stand_in import serving

_META = "x-ms-meta-"


@dataclass(frozen=True, slots=True)
class Blob:
    """`lease` is the lease's ID, empty where there is none."""

    name: str
    text: bytes
    metadata: Mapping[str, str]
    version: str
    at: datetime
    lease: str = ""


@dataclass
class AzureStorage:
    """One container. With `versioned`, what is overwritten or deleted is kept."""

    container: str
    signature: str
    versioned: bool = True
    ignores_leases: bool = False
    origin: str = ""
    live: dict[str, Blob] = field(default_factory=dict)
    older: list[Blob] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    versions: int = 0

    @property
    def sas_token(self) -> str:
        return f"sv=2023-11-03&sp=rwdl&sig={self.signature}"

    def put(self, name: str, text: bytes, metadata: Mapping[str, str] | None = None, *, lease: str = "") -> Blob:
        """Writes a blob, whatever is there."""
        self.drop(name)
        self.versions += 1
        made = Blob(name, text, metadata or {}, f"2026-11-21T09:05:00.{self.versions:07d}Z", datetime.now(UTC), lease)
        self.live[name] = made
        return made

    def drop(self, name: str) -> None:
        gone = self.live.pop(name, None)
        if gone is not None and self.versioned:
            self.older.append(gone)

    def end_lease(self, name: str) -> None:
        self.live[name] = replace(self.live[name], lease="")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        comp = request.query.get("comp", "")
        self.asked.append(f"{request.method} {comp} {request.headers.get('x-ms-lease-action', '')}")
        if request.query.get("sig") != self.signature:
            return _refused(403, "AuthenticationFailed")
        container, _, name = request.path.lstrip("/").partition("/")
        if container != self.container:
            return _refused(404, "ContainerNotFound")
        if not name:
            return self._listed(request) if comp == "list" else web.Response(headers={"ETag": '"0x0"'})
        return await self._answered(name, request.method, comp, request)

    async def _answered(self, name: str, method: str, comp: str, request: web.Request) -> web.StreamResponse:
        blob = self.live.get(name)
        if (method, comp) == ("PUT", ""):
            return await self._written(name, blob, request)
        if blob is None:
            return _refused(404, "BlobNotFound")
        match method, comp:
            case "PUT", "lease":
                return self._leased(blob, request)
            case "PUT" | "DELETE", _:
                return self._kept_out(blob, request) or self._changed(blob, request)
            case _:
                return self._read(blob, request)

    def _changed(self, blob: Blob, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            self.drop(blob.name)
            return web.Response(status=202)
        self.live[blob.name] = replace(blob, metadata=_metadata(request), at=datetime.now(UTC))
        return web.Response(headers=self._headers(self.live[blob.name]))

    async def _written(self, name: str, blob: Blob | None, request: web.Request) -> web.Response:
        if blob is not None and (refused := self._kept_out(blob, request)):
            return refused
        made = self.put(name, await request.read(), _metadata(request), lease=blob.lease if blob else "")
        return web.Response(status=201, headers=self._headers(made))

    def _kept_out(self, blob: Blob, request: web.Request) -> web.Response | None:
        """Why a write is refused: the blob is leased, and the request names no lease, or another one."""
        named = request.headers.get("x-ms-lease-id", "").lower()
        if self.ignores_leases or named == blob.lease:
            return None
        if not named:
            return _refused(412, "LeaseIdMissing")
        return _refused(412, "LeaseIdMismatchWithBlobOperation" if blob.lease else "LeaseNotPresentWithBlobOperation")

    def _leased(self, blob: Blob, request: web.Request) -> web.Response:
        named = request.headers.get("x-ms-lease-id", "").lower()
        proposed = request.headers.get("x-ms-proposed-lease-id", "").lower() or str(uuid.uuid4())
        action = request.headers["x-ms-lease-action"]
        refused = ""
        if action == "acquire" and blob.lease not in {"", proposed}:
            refused = "LeaseAlreadyPresent"
        elif action in {"release", "change", "renew"} and blob.lease != named and not self.ignores_leases:
            refused = "LeaseIdMismatchWithLeaseOperation" if blob.lease else "LeaseNotPresentWithLeaseOperation"
        if refused:
            return _refused(409, refused)
        after = {"acquire": proposed, "change": proposed, "renew": blob.lease}.get(action, "")
        self.live[blob.name] = replace(blob, lease=after)
        return web.Response(
            status=201 if action == "acquire" else 200, headers={"x-ms-lease-id": after} if after else {}
        )

    def _read(self, blob: Blob, request: web.Request) -> web.Response:
        wanted = request.query.get("versionid")
        every = (*self.older, blob)
        found = blob if wanted is None else next((each for each in every if each.version == wanted), None)
        if found is None:
            return _refused(404, "BlobNotFound")
        if request.headers.get("If-Match", _etag(found)) != _etag(found):
            return _refused(412, "ConditionNotMet")
        return web.Response(body=found.text, headers=self._headers(found))

    def _headers(self, blob: Blob) -> dict[str, str]:
        lease = {"x-ms-lease-status": "locked", "x-ms-lease-state": "leased", "x-ms-lease-duration": "infinite"}
        free = {"x-ms-lease-status": "unlocked", "x-ms-lease-state": "available"}
        return {
            **(lease if blob.lease else free),
            # the service keeps the case in which a name was written first
            **{f"{_META}{name.title()}": value for name, value in blob.metadata.items()},
            **({"x-ms-version-id": blob.version} if self.versioned else {}),
            "Last-Modified": format_datetime(blob.at, usegmt=True),
            "ETag": _etag(blob),
            "x-ms-blob-type": "BlockBlob",
        }

    def _listed(self, request: web.Request) -> web.Response:
        prefix, include = request.query.get("prefix", ""), request.query.get("include", "")
        kept = [replace(each, lease="") for each in self.older] if "versions" in include else []
        found = [each for each in (*kept, *self.live.values()) if each.name.startswith(prefix)]
        found.sort(key=lambda each: (each.name, each.version))
        first, size = int(request.query.get("marker") or 0), int(request.query.get("maxresults") or 5000)
        marker = str(first + size) if first + size < len(found) else ""
        shown = "".join(self._entry(each, include) for each in found[first : first + size])
        body = f"<EnumerationResults><Blobs>{shown}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
        return web.Response(text=f'<?xml version="1.0" encoding="utf-8"?>{body}', content_type="application/xml")

    def _entry(self, blob: Blob, include: str) -> str:
        is_current = self.live.get(blob.name) is not None and self.live[blob.name].version == blob.version
        version = f"<VersionId>{blob.version}</VersionId>" if "versions" in include and self.versioned else ""
        current = "<IsCurrentVersion>true</IsCurrentVersion>" if version and is_current else ""
        lease = "<LeaseStatus>locked</LeaseStatus>" if blob.lease else "<LeaseStatus>unlocked</LeaseStatus>"
        written = f"<Last-Modified>{format_datetime(blob.at, usegmt=True)}</Last-Modified>"
        properties = f"{written}<Content-Length>{len(blob.text)}</Content-Length>{lease}"
        return f"<Blob><Name>{escape(blob.name)}</Name>{version}{current}<Properties>{properties}</Properties></Blob>"


def _etag(blob: Blob) -> str:
    return f'"{blob.version}-{blob.at.timestamp()}"'


def _metadata(request: web.Request) -> dict[str, str]:
    named = {name.lower(): value for name, value in request.headers.items()}
    return {name.removeprefix(_META): value for name, value in named.items() if name.startswith(_META)}


def _refused(status: int, code: str) -> web.Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return web.Response(status=status, text=body, headers={"x-ms-error-code": code}, content_type="application/xml")


@asynccontextmanager
async def azure_storage(container: str, **settings: Any) -> AsyncIterator[AzureStorage]:
    """A container of its own on a free loopback port, which knows one signature."""
    storage = AzureStorage(container, signature=secrets.token_hex(8), **settings)
    app = web.Application(client_max_size=256 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", storage.handle)
    async with serving(app) as storage.origin:
        yield storage

"""Google Cloud Storage on loopback, as far as Terraform and the bot ask it: objects with generations and conditions.

The JSON API for everything but Terraform's reads, which its client makes by the XML API. Sources: "Objects" of the JSON
API, "Request preconditions", "HTTP status and error codes for JSON", "Object versioning".
"""

from __future__ import annotations

import base64
import email.parser
import email.policy
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from bot.sandbox.stand_in import serving


@dataclass(frozen=True, slots=True)
class Stored:
    """One generation of an object. `deleted` is when it ceased to be the live one."""

    name: str
    text: bytes
    generation: int
    at: datetime
    deleted: datetime | None = None


@dataclass
class GoogleStorage:
    """One bucket. With `versioned`, what is overwritten or deleted is kept."""

    bucket: str
    token: str
    versioned: bool = True
    ignores_conditions: bool = False
    origin: str = ""
    live: dict[str, Stored] = field(default_factory=dict)
    older: list[Stored] = field(default_factory=list)
    newest: int = 1_700_000_000_000_000

    def next_generation(self) -> int:
        self.newest += 1 + secrets.randbelow(1000)
        return self.newest

    def put(self, name: str, text: bytes, *, generation: int | None = None) -> Stored:
        """Writes an object, whatever is there."""
        self.drop(name)
        made = Stored(name, text, generation or self.next_generation(), datetime.now(UTC))
        self.live[name] = made
        return made

    def drop(self, name: str) -> None:
        gone = self.live.pop(name, None)
        if gone is not None and self.versioned:
            self.older.append(Stored(gone.name, gone.text, gone.generation, gone.at, datetime.now(UTC)))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refused(401, "Invalid Credentials")
        path = request.rel_url.raw_path
        for start, answer in (("/upload/storage/v1/b/", self._insert), ("/storage/v1/b/", self._json)):
            if path.startswith(start):
                bucket, _, rest = path.removeprefix(start).partition("/")
                if bucket != self.bucket:
                    return _refused(404, "The specified bucket does not exist.")
                return await answer(request, rest)
        bucket, _, name = request.path.lstrip("/").partition("/")
        return self._media(name, request) if bucket == self.bucket else _refused(404, "NoSuchBucket")

    async def _json(self, request: web.Request, rest: str) -> web.StreamResponse:
        if not rest:
            return web.json_response({"name": self.bucket, "versioning": {"enabled": self.versioned}})
        if rest == "o":
            return self._listed(request)
        name = request.path.partition("/o/")[2]
        if request.method == "DELETE":
            return self._deleted(name, request)
        if request.query.get("alt") == "media":
            return self._media(name, request)
        found = self._found(name, request)
        return web.json_response(self._described(found)) if found else self._no_object(name)

    async def _insert(self, request: web.Request, _: str) -> web.StreamResponse:
        body, described = await request.read(), dict[str, Any]()
        if request.query.get("uploadType") == "multipart":
            head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
            parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body).get_payload()
            described = json.loads(parts[0].get_payload(decode=True))  # type: ignore[union-attr,index,arg-type]  # two parts
            body = parts[1].get_payload(decode=True)  # type: ignore[union-attr,index,assignment]  # as above
        name = str(request.query.get("name") or described["name"])
        if not self._holds(request, name):
            return _refused(412, "At least one of the pre-conditions you specified did not hold.")
        return web.json_response(self._described(self.put(name, body)))

    def _listed(self, request: web.Request) -> web.Response:
        prefix, suffix = request.query.get("prefix", ""), request.query.get("matchGlob", "").removeprefix("**")
        kept = self.older if request.query.get("versions") == "true" else []
        items = [
            one for one in (*kept, *self.live.values()) if one.name.startswith(prefix) and one.name.endswith(suffix)
        ]
        if request.query.get("delimiter"):
            items = [one for one in items if request.query["delimiter"] not in one.name.removeprefix(prefix)]
        items.sort(key=lambda one: (one.name, one.generation))
        first, size = int(request.query.get("pageToken") or 0), int(request.query.get("maxResults") or 1000)
        body: dict[str, Any] = {"items": [self._described(one) for one in items[first : first + size]]}
        if first + size < len(items):
            body["nextPageToken"] = str(first + size)
        return web.json_response(body)

    def _deleted(self, name: str, request: web.Request) -> web.Response:
        if name not in self.live:
            return self._no_object(name)
        if not self._holds(request, name):
            return _refused(412, "At least one of the pre-conditions you specified did not hold.")
        self.drop(name)
        return web.Response(status=204)

    def _media(self, name: str, request: web.Request) -> web.Response:
        found = self._found(name, request)
        if found is None:
            return self._no_object(name)
        crc = {"X-Goog-Generation": str(found.generation), "Last-Modified": format_datetime(found.at, usegmt=True)}
        return web.Response(body=found.text, headers={**crc, "X-Goog-Metageneration": "1"})

    def _found(self, name: str, request: web.Request) -> Stored | None:
        wanted = request.query.get("generation")
        if wanted is None:
            return self.live.get(name)
        every = (*self.older, *self.live.values())
        return next((one for one in every if one.name == name and str(one.generation) == wanted), None)

    def _holds(self, request: web.Request, name: str) -> bool:
        wanted = request.query.get("ifGenerationMatch")
        there = self.live[name].generation if name in self.live else 0
        return wanted is None or self.ignores_conditions or int(wanted) == there

    def _described(self, one: Stored) -> Mapping[str, Any]:
        md5 = base64.b64encode(hashlib.md5(one.text, usedforsecurity=False).digest()).decode()
        described = {
            "kind": "storage#object", "name": one.name, "bucket": self.bucket, "generation": str(one.generation),
            "metageneration": "1", "size": str(len(one.text)), "md5Hash": md5, "updated": one.at.isoformat(),
            "timeCreated": one.at.isoformat(),
        }  # fmt: skip
        return described if one.deleted is None else {**described, "timeDeleted": one.deleted.isoformat()}

    def _no_object(self, name: str) -> web.Response:
        return _refused(404, f"No such object: {self.bucket}/{name}")


def _refused(status: int, words: str) -> web.Response:
    error = {"code": status, "message": words, "errors": [{"message": words, "domain": "global"}]}
    return web.json_response({"error": error}, status=status)


@asynccontextmanager
async def google_storage(bucket: str, **settings: Any) -> AsyncIterator[GoogleStorage]:
    """A bucket of its own on a free loopback port, which knows one token."""
    storage = GoogleStorage(bucket, token=secrets.token_hex(8), **settings)
    app = web.Application(client_max_size=256 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", storage.handle)
    async with serving(app) as storage.origin:
        yield storage

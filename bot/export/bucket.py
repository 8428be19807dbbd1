"""A prefix in an S3 bucket as a target for exports: the same files under the same keys, whole, as often as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import stamina

from bot.aws.clients import Access, AwsClients
from bot.aws.errors import may_be_asked_again, timed_out, translated
from bot.errors import Missing

CONTENT_TYPES = {
    ".md": "text/markdown; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_FILE_SECONDS = 120.0
_ACTION = "s3:PutObject"

_retry = stamina.AsyncRetryingCaller(attempts=4, timeout=30.0, wait_initial=0.2, wait_max=5.0, wait_jitter=0.5).on(
    may_be_asked_again
)


class BucketTarget:
    """Implements `bot.ports.files.Target`. Encryption is the bucket's own; a PUT of the same bytes changes nothing.

    `file_seconds` is the longest time that one file may take, its retries included.
    """

    name = "s3"

    def __init__(
        self, bucket: str, prefix: str, access: Access, clients: AwsClients, *, file_seconds: float = _FILE_SECONDS
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._access = access
        self._clients = clients
        self._file_seconds = file_seconds

    def place(self, incident_id: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{incident_id}/"

    async def deliver(self, incident_id: str, paths: Sequence[Path]) -> None:
        """Puts each file under `<prefix>/<incident>/`. Raises UpstreamError or OSError."""
        for path in paths:
            try:
                await self._put(path, f"{self._prefix}{incident_id}/{path.name}")
            except Missing as error:
                raise _not_found(error) from error

    async def look(self) -> None:
        """Asks whether the bucket is there, and changes nothing. Raises as `deliver`."""
        try:
            await _retry(self._clients.run, self._head)
        except Missing as error:
            raise _not_found(error) from error

    async def _put(self, path: Path, key: str) -> None:
        try:
            async with asyncio.timeout(self._file_seconds):
                await _retry(self._clients.run, partial(self._put_now, path, key))
        except TimeoutError as error:
            raise timed_out(_ACTION, self._bucket) from error

    def _put_now(self, path: Path, key: str) -> None:
        kind = CONTENT_TYPES.get(path.suffix, "application/octet-stream")
        with path.open("rb") as body, translated(_ACTION, f"bucket {self._bucket}"):
            self._s3().put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=kind)

    def _head(self) -> None:
        with translated("s3:ListBucket", f"bucket {self._bucket}"):
            self._s3().head_bucket(Bucket=self._bucket)

    def _s3(self) -> Any:
        return self._clients.client("s3", self._access)


def _not_found(error: Missing) -> Missing:
    return Missing(error.system, f"not found: {error.detail}")

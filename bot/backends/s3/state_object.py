"""The state object in S3 and its older versions. Blocking: to be run in threads. Raises AwsError."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

from bot.aws.errors import AwsError, timed_out, translated
from bot.backends.contents import read_contents
from bot.backends.state_text import CHUNK, read_state_text
from bot.core.lock import StateAbsent, StateSeen
from bot.core.recovery.contents import Contents, Version
from bot.ports.clock import Clock

_VERSIONS_LISTED = 50
_VERSIONS_TRIED = 5
_ERROR = re.compile(rb"\s*(<\?xml[^>]*>)?\s*<Error[\s>]")


@dataclass(frozen=True, slots=True)
class StateObject:
    """One state's object. Every method stops with a time-out once `give_up` is set."""

    client: Callable[[], Any]
    bucket: str
    key: str

    reads = "s3:GetObject"
    lists = "s3:ListBucketVersions"

    @property
    def target(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def pull(self, give_up: Event, clock: Clock, **version: str) -> StateSeen:
        """Streams the object, or its version `VersionId`, through the hash and the parser."""
        with translated(self.reads, self.target):
            answer = self.client().get_object(Bucket=self.bucket, Key=self.key, **version)
            now = clock.now()
            with closing(answer["Body"]) as body:
                written = _on_our_clock(answer, now)
                text = read_state_text(self._until(give_up, body.iter_chunks(CHUNK)))
        return text.seen(written, answer.get("VersionId"))

    def with_last_good(self, give_up: Event, clock: Clock, seen: StateSeen) -> StateSeen:
        """The same, with the newest older version that is valid."""
        try:
            listed, _ = self._versions()
        except AwsError:  # that it is broken is known without them
            return seen
        older = [version for version in listed if version != seen.version_id]
        return replace(seen, last_good_version=self._newest_whole(give_up, clock, older))

    def absent(self, give_up: Event, clock: Clock, error: AwsError) -> StateAbsent:
        """What is left of a state that S3 says is not there.

        Raises if its versions cannot be listed: whether it was never written is not known then.
        """
        headers = error.answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        versions, has_marker = self._versions()
        traces = []
        if has_marker or headers.get("x-amz-delete-marker") == "true":
            traces.append("it was deleted (a delete marker is there)")
        if versions:
            traces.append("older versions of it are still in the bucket")
        return StateAbsent(tuple(traces), self._newest_whole(give_up, clock, versions))

    def contents(self, give_up: Event, **version: str) -> Contents:
        """Streams the object, or its version `VersionId`, through the reader of what a state has recorded."""
        with translated(self.reads, self.target):
            answer = self.client().get_object(Bucket=self.bucket, Key=self.key, **version)
            with closing(answer["Body"]) as body:
                return read_contents(self._until(give_up, body.iter_chunks(CHUNK)))

    def listed(self, most: int) -> tuple[Version, ...]:
        """The newest versions, newest first. A bucket that never kept any lists the object as version `null`."""
        page = self._page()
        with translated(self.lists, f"the versions of {self.target}"):
            return tuple(
                Version(each["VersionId"], each["LastModified"].astimezone(UTC), each["Size"], each["IsLatest"])
                for each in page.get("Versions", ())
                if each["Key"] == self.key
            )[:most]

    def _newest_whole(self, give_up: Event, clock: Clock, versions: list[str]) -> str | None:
        for version in versions[:_VERSIONS_TRIED]:
            with suppress(AwsError):  # a version that cannot be read is not known to be good
                if self.pull(give_up, clock, VersionId=version).fault is None:
                    return version
        return None

    def _versions(self) -> tuple[list[str], bool]:
        """The ids of the object's versions, newest first, and whether there is a delete marker."""
        page = self._page()
        with translated(self.lists, f"the versions of {self.target}"):
            versions = [version["VersionId"] for version in page.get("Versions", ()) if version["Key"] == self.key]
            return versions, any(marker["Key"] == self.key for marker in page.get("DeleteMarkers", ()))

    def _page(self) -> dict[str, Any]:
        with translated(self.lists, f"the versions of {self.target}"):
            page: dict[str, Any] = self.client().list_object_versions(
                Bucket=self.bucket, Prefix=self.key, MaxKeys=_VERSIONS_LISTED
            )
        return page

    def _until(self, give_up: Event, chunks: Iterator[bytes]) -> Iterator[bytes]:
        is_first = True
        for chunk in chunks:
            if give_up.is_set():
                raise timed_out(self.reads, self.target)
            if is_first and _ERROR.match(chunk):
                raise ValueError("an error in place of the object")
            is_first = False
            yield chunk


def _on_our_clock(answer: dict[str, Any], now: datetime) -> datetime:
    """When the object was last written, with the difference between S3's clock and ours taken out."""
    written: datetime = answer["LastModified"].astimezone(UTC)
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    try:
        return now - (parsedate_to_datetime(date).astimezone(UTC) - written)
    except (TypeError, ValueError):  # a store that names no time, or no readable one
        return written

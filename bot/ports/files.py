"""The files of an export, and where they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bot.core.account.values import Account
from bot.core.record.incident import Incident


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one export. `account` is what all of them tell; `paths` are the files that were written.

    `failed` says by format (`markdown`, `html`, `json`, `csv`, `chart`) why that one was not.
    """

    account: Account
    paths: tuple[Path, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


class Exporter(Protocol):
    """Writes the record of an incident as files."""

    async def write(
        self,
        incident: Incident,
        names: Mapping[str, str],
        zone: str,
        *,
        until: str | None = None,
        directory: Path | None = None,
    ) -> Written:
        """Writes all configured formats and the chart, replacing earlier ones; one that fails does not stop the others.

        `names` are those of people and channel, by id; `zone` is the IANA name of the time zone next to UTC. The record
        ends with the entry `until`, or with the one that is the last now; the same entries make the same files. They go
        to the export directory unless another `directory` is named.
        Raises JournalAway or ChainBroken, and OSError if there is no room for any file.
        """
        ...


class ExportTarget(Protocol):
    """A place other than the export directory and the channel where exports go. `name` is its word on the timeline."""

    @property
    def name(self) -> str: ...

    def place(self, incident_id: str) -> str:
        """Where the files of the incident go, for a person."""
        ...

    async def deliver(self, incident_id: str, paths: Sequence[Path]) -> None:
        """Puts the files there, whole, in the place of earlier ones. Raises UpstreamError or OSError."""
        ...


class Files(Protocol):
    """Puts files into a channel, step by step, so that each step can be checked after a crash before it is done again.
    Reads those that people put there.

    Raises UpstreamError like Messenger.
    """

    async def stage(self, path: Path) -> str:
        """Uploads a file that nobody sees yet; its id."""
        ...

    async def share(self, channel: str, file_ids: Mapping[str, str], *, thread: str) -> None:
        """Shows staged files, ids with their titles, in one message. Raises Missing if one is not there any more."""
        ...

    async def is_shared(self, channel: str, file_id: str) -> bool | None:
        """Whether the file can be seen in the channel; None for a file that Slack does not know."""
        ...

    async def read(self, file_id: str, *, most: int) -> bytes | None:
        """What is in a file; None if that is more than `most` bytes. Raises Missing if there is no such file."""
        ...

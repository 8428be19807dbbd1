"""The timelines of the incidents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.core.record.incident import Incident
from bot.core.record.timeline import Draft, Entry


@dataclass(frozen=True, slots=True)
class Appended:
    """`added` is False where the draft's `once` key was there already; `entry` is then the earlier entry."""

    entry: Entry
    added: bool


class Journal(Protocol):
    """The timelines of the incidents. Every method raises JournalAway if the store cannot be reached in time."""

    async def open(self, *, channel: str, title: str, by: str, at: datetime) -> tuple[Incident, bool]:
        """The channel's open incident, or a new one; True if it is new. Two callers at once get the same one.

        A new one's first entry, `incident.opened`, is appended with it.
        """
        ...

    async def current(self, channel: str) -> Incident | None:
        """The channel's open incident."""
        ...

    async def find(self, incident_id: str) -> Incident | None: ...

    async def find_all(self, incident_ids: Sequence[str]) -> tuple[Incident, ...]:
        """Those of them that are there, in their order, in few questions."""
        ...

    async def open_ids(self) -> tuple[str, ...]:
        """The ids of all open incidents, the newest first, in one question; perhaps also of some that just closed."""
        ...

    async def incidents(self, *, open_only: bool = False, limit: int = 100) -> tuple[Incident, ...]:
        """Newest first."""
        ...

    async def latest(self, incident_ids: Sequence[str]) -> Mapping[str, datetime]:
        """When the last entry of each of these timelines was recorded, in few questions.

        Without those that are unknown, or whose own fields do not say it.
        """
        ...

    async def tidy(self) -> None:
        """Forgets the names of the oldest incidents, where their timelines are no longer kept."""
        ...

    async def append(self, incident_id: str, draft: Draft) -> Appended:
        """Adds an entry to the chain, once. Raises JournalAway, also if the incident is unknown."""
        ...

    async def append_all(self, incident_id: str, drafts: Sequence[Draft]) -> tuple[Appended, ...]:
        """As `append` for each in turn, in one question to the store where none but the last can be known already."""
        ...

    async def secure(self, incident_id: str, entry_id: str) -> Entry | None:
        """Returns the entry when it is as durable as the store can make it, as it is there then.

        None, or another entry, if a fail-over of the store lost it before. Raises NotReplicated if the store has
        replicas and none confirms it in time.
        """
        ...

    def entries(self, incident_id: str, *, after: str | None = None) -> AsyncIterator[Entry]:
        """All entries in order, from behind the entry `after`, in bounded memory."""
        ...

    async def tail(self, incident_id: str, count: int) -> tuple[Entry, ...]:
        """The last `count` entries in order."""
        ...

    async def page(self, incident_id: str, *, before: str | None, count: int) -> tuple[Entry, ...]:
        """The `count` entries in order that end right before the entry `before`; the newest for None."""
        ...

    async def entry(self, incident_id: str, entry_id: str) -> Entry | None: ...

    async def corrections(self, incident_id: str) -> tuple[Entry, ...]:
        """The entries that correct others, in order. What it reads grows with them, not with the timeline."""
        ...

    async def end(self, incident_id: str) -> tuple[str, str] | None:
        """Id and hash of the last entry as the incident's own fields say it, which are kept next to the timeline."""
        ...

    async def close(self, incident_id: str, *, by: str, at: datetime, if_last: str | None = None) -> Incident | None:
        """Closes the incident with its `incident.closed` entry; None if it was closed already.

        With `if_last`, only while that entry is the last one; else None, and no change.
        """
        ...

    async def reopen(self, incident_id: str, *, by: str, at: datetime) -> Incident | None:
        """Opens it again with an `incident.reopened` entry, and gives it its channel back.

        None if it is open already or unknown, or if another incident is open in its channel: there are never two.
        """
        ...

    async def rename(self, incident_id: str, title: str, *, by: str, at: datetime) -> Incident | None:
        """Gives the incident another title, with an `incident.renamed` entry (facts `title`, `before`).

        None if it is unknown. A title that it has already adds nothing.
        """
        ...

    async def restore(self, incident: Incident, entries: AsyncIterator[Entry]) -> bool:
        """Puts back an exported timeline, entry by entry with its exact hashes, in bounded memory.

        False, and no change, if the incident is there already. Until all of it is in, nothing of it can be seen, and
        it can be tried again. Raises ChainBroken if the entries do not fit one another or the incident, NotPermitted
        if it is open and another incident is open in its channel.
        """
        ...

    async def ping(self) -> None:
        """Raises JournalAway if the store does not answer or does not take writes."""
        ...

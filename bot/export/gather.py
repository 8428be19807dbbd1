"""Gathers an incident once, for all formats: one pass over its timeline, live or from an export.

The chain is checked on the way. Entries go to a spool on disk; what stays in memory grows with what happened to locks
and runs, with corrections, and by a few bytes an entry.
"""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.core.account.story import Story
from bot.core.account.values import Account
from bot.core.record.incident import Course, Incident
from bot.core.record.redact import is_telling, redact
from bot.core.record.revision import Revisions, ShownEntry
from bot.core.record.timeline import Entry, Kind, clean_text, recordable
from bot.errors import ChainBroken, JournalAway
from bot.export.json.read import read_export
from bot.export.json.row import read_row, row_of, spelled
from bot.export.material import Record
from bot.export.spool import Spool
from bot.ports.journal import Journal

_BATCH = 200
"""Entries that one call takes, in a thread: checking and redacting must not hold up the event loop."""

_MOST_KNOWN, _LONGEST_KNOWN = 20_000, 200
"""How many texts without a secret are remembered, and of how many characters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@asynccontextmanager
async def gathered(
    journal: Journal,
    incident: Incident,
    *,
    names: Mapping[str, str],
    zone: str,
    until: str | None = None,
) -> AsyncIterator[Gathered]:
    """The incident up to the entry `until`, or to its last one now. `names` are by id; `zone` is an IANA name.

    Raises JournalAway, ChainBroken, or OSError if there is no room for the spool.
    """
    last = await _last(journal, incident.id, until)
    with Spool() as spool:
        gathering = _Gathering(incident, spool)
        async for batch in _batches(journal.entries(incident.id), last):
            await asyncio.to_thread(gathering.take_all, batch)
        gathering.ends_with(last.id, last.hash)
        yield await asyncio.to_thread(gathering.done, names, zone)


@contextmanager
def gathered_file(path: Path) -> Iterator[Gathered]:
    """The same from a JSON export, with the names and the time zone that the export has.

    Raises ExportInvalid, ChainBroken, or OSError.
    """
    export = read_export(path)
    with Spool() as spool:
        gathering = _Gathering(export.incident, spool)
        for entry, redacted in export.rows():
            gathering.take(entry, redacted=redacted)
        gathering.ends_with(*export.last)
        yield gathering.done(export.names, export.zone)


class Gathered:
    """Implements `bot.export.material.Material`."""

    def __init__(self, account: Account, spool: Spool, revisions: Revisions, order: Sequence[int]) -> None:
        self.account = account
        self._spool = spool
        self._revisions = revisions
        self._order = order

    def lines(self) -> Iterator[ShownEntry]:
        for place in self._order:
            entry, _ = _read(self._spool[place])
            shown = self._revisions.shown(entry)
            if shown is not None:
                yield shown

    def records(self) -> Iterator[Record]:
        for place in range(len(self._spool)):
            entry, redacted = _read(self._spool[place])
            yield Record(entry, self._revisions.seen(entry), self._revisions.is_hidden(entry.id), redacted)

    def rows(self) -> Iterator[str]:
        for place in range(len(self._spool)):
            yield self._spool[place].decode()


class _Gathering:
    """What one pass over the entries leaves behind."""

    def __init__(self, incident: Incident, spool: Spool) -> None:
        self._incident = replace(
            incident,
            channel=clean_text(incident.channel),
            title=clean_text(incident.title),
            opened_by=clean_text(incident.opened_by),
        )
        self._spool = spool
        self._course, self._revisions, self._story = Course(), Revisions(), Story(self._incident)
        self._instants = array("q")
        self._clean = set[str]()
        self._last: Entry | None = None

    def take_all(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.take(entry)

    def take(self, entry: Entry, *, redacted: bool = False) -> None:
        """Checks the entry against those before it, then takes its secrets out. Raises ChainBroken."""
        self._course.learn(entry, redacted=redacted)
        clean = self._cleaned(entry)
        self._spool.add(spelled(row_of(clean, redacted=redacted or clean != entry)).encode())
        self._instants.append((clean.at - _EPOCH) // _MICROSECOND)
        self._revisions.learn(clean)
        self._story.learn(clean)
        self._last = clean

    def _cleaned(self, entry: Entry) -> Entry:
        """The entry as it would be recorded today. Nearly all have nothing to take out, as one pass shows.

        A secret that is found in a separate text is also found with other texts on the lines around it. Texts that
        come again and again are looked at once.
        """
        names, words = list[str](), [entry.actor, entry.text]
        _collect(entry.facts, names, words)
        new = [word for word in words if word not in self._clean]
        texts = "\n".join(new)
        if redact(texts) != texts or any(map(is_telling, names)):
            return recordable(entry)
        if len(self._clean) > _MOST_KNOWN:
            self._clean.clear()
        self._clean.update(word for word in new if len(word) <= _LONGEST_KNOWN)
        return entry

    def ends_with(self, last: str, digest: str) -> None:
        """Raises ChainBroken if the entries end elsewhere."""
        if self._last is None or (self._last.id, self._last.hash) != (last, digest):
            raise ChainBroken(last, "was there as the last entry, and is not behind the others")

    def done(self, names: Mapping[str, str], zone: str) -> Gathered:
        """The account is as of the last entry, so that the same entries always make the same files."""
        self._spool.seal()
        if self._last is None:
            raise JournalAway(f"the timeline of {self._incident.id} is not there")
        order = self._ordered()
        account = self._told().account(
            now=self._last.recorded_at,
            names={clean_text(id_): clean_text(name) for id_, name in names.items()},
            zone=zone,
        )
        return Gathered(account, self._spool, self._revisions, order)

    def _told(self) -> Story:
        """The story of the incident as its entries have it: it may have ended since it was looked up."""
        incident = self._head()
        if incident == self._incident:
            return self._story
        story = Story(incident)
        for entry in self._entries():
            story.learn(entry)
        for entry in self._entries() if story.missing else ():
            story.recall(entry)
        return story

    def _head(self) -> Incident:
        opening, closing = self._course.opening, self._course.closing
        if opening is None or opening.kind != Kind.INCIDENT_OPENED:
            return self._incident
        title = clean_text(self._course.title)
        return replace(self._incident, title=title, closed_at=closing.at if closing else None)

    def _ordered(self) -> Sequence[int]:
        """Places by the time that is shown; equal times in the order of recording."""
        for place, entry in enumerate(self._entries() if self._revisions.corrections else ()):
            self._story.recall(entry)
            if self._revisions.is_corrected(entry.id):
                self._instants[place] = (self._revisions.seen(entry).entry.at - _EPOCH) // _MICROSECOND
        return array("Q", sorted(range(len(self._spool)), key=self._instants.__getitem__))

    def _entries(self) -> Iterator[Entry]:
        for place in range(len(self._spool)):
            yield _read(self._spool[place])[0]


async def _last(journal: Journal, incident: str, until: str | None) -> Entry:
    last = await journal.entry(incident, until) if until else None
    tail = (last,) if last is not None else await journal.tail(incident, 1)
    if not tail:
        raise JournalAway(f"the timeline of {incident} is not there")
    return tail[0]


async def _batches(entries: AsyncIterator[Entry], last: Entry) -> AsyncIterator[list[Entry]]:
    batch = list[Entry]()
    async for entry in entries:
        batch.append(entry)
        if entry.id == last.id:
            break
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _read(line: bytes) -> tuple[Entry, bool]:
    return read_row(json.loads(line.decode()))


def _collect(value: object, names: list[str], words: list[str]) -> None:
    """Adds all texts, however deep, to `words`, and names of fields to `names`: under a telling one all is secret."""
    match value:
        case str():
            words.append(value)
        case Mapping():
            for name, part in value.items():
                names.append(name)
                words.append(name)
                _collect(part, names, words)
        case list():
            for part in value:
                _collect(part, names, words)

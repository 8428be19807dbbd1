"""All configured formats of an incident's record, in one directory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from bot.core.account import Account, Cause, Summary
from bot.core.incident import Incident
from bot.core.timeline import Entry
from bot.errors import JournalAway
from bot.export.json_export import write_json
from bot.export.markdown import write_markdown
from bot.ports import Journal, Written

Writer: TypeAlias = Callable[[Journal, Incident, Path, Mapping[str, str]], Awaitable[Path]]


async def _json(journal: Journal, incident: Incident, directory: Path, names: Mapping[str, str]) -> Path:  # noqa: ARG001 - all writers are called alike
    """JSON holds what was recorded: ids, not names."""
    return await write_json(journal, incident, directory)


class _Until(Journal):
    """A journal that ends with an entry, for those who read it to its end."""

    def __init__(self, journal: Journal, until: str) -> None:
        self._journal = journal
        self._until = until

    async def tail(self, incident_id: str, count: int) -> tuple[Entry, ...]:
        return tuple([entry async for entry in self.entries(incident_id)][-count:])

    async def entries(self, incident_id: str, *, after: str | None = None) -> AsyncIterator[Entry]:
        async for entry in self._journal.entries(incident_id, after=after):
            yield entry
            if entry.id == self._until:
                return


WRITERS: Mapping[str, Writer] = {"markdown": write_markdown, "json": _json}
"""The formats of this version by their names in the configuration."""


class FileExporter:
    """Implements `bot.ports.Exporter`. Formats that this version does not write are passed over.

    JSON is always written: it is the one that can be verified.
    """

    def __init__(self, journal: Journal, directory: Path, formats: Iterable[str]) -> None:
        self._journal = journal
        self._directory = directory
        self._writers = {name: writer for name, writer in WRITERS.items() if name == "json" or name in set(formats)}

    async def write(
        self,
        incident: Incident,
        names: Mapping[str, str],
        zone: str,
        *,
        until: str | None = None,
        directory: Path | None = None,
    ) -> Written:
        journal = self._journal if until is None else _Until(self._journal, until)
        tail = await journal.tail(incident.id, 1)
        if not tail:
            raise JournalAway(f"the timeline of {incident.id} is not there")
        summary = Summary((), None, None, (Cause.UNKNOWN,), (), 0, ())
        account = Account(incident, tail[0].recorded_at, tail[0], 0, 0, 0, summary, names=names, zone=zone)
        paths, failed = list[Path](), dict[str, str]()
        for name, writer in self._writers.items():
            try:
                paths.append(await writer(journal, incident, directory or self._directory, names))
            except OSError as error:
                failed[name] = error.strerror or str(error)
        return Written(account, tuple(paths), failed)

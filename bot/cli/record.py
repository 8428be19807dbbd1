"""`timeline`, `export`, `verify` and `import`: the record of an incident, without Slack and without a running bot.

Each returns the exit code of its command. What was asked for goes to standard output, everything else to standard
error; with `as_json` standard output is exactly one JSON document (docs/commands-json.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

from bot.app.remembered import VAR
from bot.app.wiring import with_redis
from bot.cli.frame import FAILED, OK, WRONG, complain, output
from bot.config.settings import Config
from bot.core.instants import stamp
from bot.core.nearest import did_you_mean
from bot.core.phrase import instant, one_line
from bot.core.record.incident import Incident
from bot.core.record.revision import Revisions, ShownEntry
from bot.core.record.timeline import Entry
from bot.errors import ChainBroken, JournalAway
from bot.export.exporter import ALWAYS, WRITERS, write_all
from bot.export.gather import gathered, gathered_file
from bot.export.json.read import ExportFile, read_export
from bot.ports.files import Written
from bot.usecases.record.verify import verify
from bot.usecases.world import World

_LISTED = 20
_TOGETHER = 200


async def show_timeline(config: Config, incident: str, *, as_json: bool) -> int:
    """The entries with edits applied, in the order in which they happened. Raises JournalAway."""
    async with _with_timelines(config) as world:
        found = await world.journal.find(incident)
        if found is None:
            return await _unknown(world, incident)
        shown = await _entries(world, incident)
    output(_timeline_json(found, shown) if as_json else _timeline_lines(config, found, shown))
    return OK


async def write_export(config: Config, incident: str, *, form: str | None, directory: Path | None) -> int:
    """Writes the record in one format or in the configured ones, and prints the paths. The timeline stays as it is.

    Raises JournalAway or ChainBroken.
    """
    if form is not None and form not in WRITERS:
        return _wrong_format(form)
    forms = (form,) if form else (*ALWAYS, *config.export.formats)
    target = directory or Path(config.export.directory)
    names, zone = _config_names(config), config.export.timezone or "UTC"
    async with _with_timelines(config) as world:
        found = await world.journal.find(incident)
        if found is None:
            return await _unknown(world, incident)
        async with gathered(world.journal, found, names=names, zone=zone) as material:
            return _written(await asyncio.to_thread(write_all, material, target, forms))


def write_again(file: Path, *, form: str | None, directory: Path | None) -> int:
    """Writes the record that a JSON export holds in one format, or in all others, beside it if no directory is named.

    The file is verified first. Raises ExportInvalid or ChainBroken.
    """
    if form is not None and form not in WRITERS:
        return _wrong_format(form)
    forms = (form,) if form else tuple(name for name in WRITERS if name != "json")
    with gathered_file(file) as material:
        return _written(write_all(material, directory or file.parent, forms))


async def show_verified(config: Config, incident: str) -> int:
    """Whether the live timeline is what was recorded; the first broken entry if not. Raises JournalAway."""
    async with _with_timelines(config) as world:
        found = await world.journal.find(incident)
        if found is None:
            return await _unknown(world, incident)
        checked = await verify(world.journal, found)
    broken = checked.broken
    if broken is not None:
        when = f" ({instant(broken.at)})" if broken.at else ""
        return complain(f"{incident}: the chain is broken at entry {broken.entry_id}{when}: {one_line(broken.detail)}")
    output([f"{incident}: whole. {checked.entries} entries; last hash {checked.last}"])
    return OK


async def put_back(config: Config, file: Path) -> int:
    """The exit code: 1 if the incident is there already. Needs no Slack, and starts an embedded Redis if none runs.

    Raises ExportInvalid, ChainBroken, JournalAway, or NotPermitted if the incident is open and its channel is not free.
    """
    export = await asyncio.to_thread(read_export, file)
    name = export.incident.id
    async with with_redis(config) as wiring:
        is_new = await wiring.world.journal.restore(export.incident, _recorded(export))
    if not is_new:
        return complain(f"{name} is there already. Nothing was changed.")
    output([f"{name}: put back, {export.last[0]} entries; last hash {export.last[1]}"])
    return OK


@asynccontextmanager
async def _with_timelines(config: Config) -> AsyncIterator[World]:
    """A world whose Redis must be there; an embedded one that has timelines is started for as long as they are read.

    Raises JournalAway if there is none.
    """
    if config.redis_url is None and not await asyncio.to_thread((VAR / "redis").is_dir):
        raise JournalAway(f"there are no timelines: REDIS_URL is not set, and no bot has run here ({VAR.absolute()})")
    async with with_redis(config) as wiring:
        yield wiring.world


def _written(written: Written) -> int:
    output([str(path) for path in written.paths])
    for form, why in written.failed.items():
        complain(f"The format {form} was not written: {why}")
    return FAILED if written.failed else OK


async def _entries(world: World, incident: str) -> list[ShownEntry]:
    revisions = Revisions()
    raw = [entry async for entry in world.journal.entries(incident)]
    for entry in raw:
        revisions.learn(entry)
    shown = [found for entry in raw if (found := revisions.shown(entry)) is not None]
    return sorted(shown, key=lambda found: found.entry.at)


async def _recorded(export: ExportFile) -> AsyncIterator[Entry]:
    """Read in a thread, a part of the file at a time."""
    rows = export.rows()
    while part := await asyncio.to_thread(lambda: list(islice(rows, _TOGETHER))):
        for entry, was_redacted in part:
            if was_redacted:
                detail = "lost a secret in the export, so that it cannot be put back as it was recorded"
                raise ChainBroken(entry.id, detail)
            yield entry


def _config_names(config: Config) -> dict[str, str]:
    """What people are called, as far as the configuration says: Slack is not asked."""
    return {person.slack: person.name for person in config.holders.people if person.slack}


def _timeline_lines(config: Config, incident: Incident, shown: Sequence[ShownEntry]) -> Iterable[str]:
    names = _config_names(config)
    ended = f"closed {instant(incident.closed_at)}" if incident.closed_at else "still open"
    yield f"{incident.id}: {one_line(incident.title)}. Opened {instant(incident.opened_at)}, {ended}."
    yield ""
    for found in shown:
        entry = found.entry
        edited = " (edited)" if found.edited else ""
        actor = names.get(entry.actor, entry.actor)
        yield f"{instant(entry.at)}  {one_line(actor)}  {entry.kind}: {one_line(entry.text)}{edited}"


def _timeline_json(incident: Incident, shown: Sequence[ShownEntry]) -> dict[str, object]:
    return {
        "incident": incident.id,
        "title": incident.title,
        "channel": incident.channel,
        "opened_at": stamp(incident.opened_at),
        "opened_by": incident.opened_by,
        "closed_at": stamp(incident.closed_at) if incident.closed_at else None,
        "entries": [_entry_json(found) for found in shown],
    }


def _entry_json(found: ShownEntry) -> dict[str, object]:
    entry = found.entry
    return {
        "id": entry.id,
        "at": stamp(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "text": entry.text,
        "facts": dict(entry.facts),
        "edited": found.edited,
    }


async def _unknown(world: World, incident: str) -> int:
    known = [found.id for found in await world.journal.incidents(limit=_LISTED)]
    near = did_you_mean(incident, known)
    meant = f" Did you mean {near}?" if near else ""
    listed = "\n".join(["The newest incidents:", *(f"  {name}" for name in known)]) if known else "There are none yet."
    return complain(f"There is no incident called {one_line(incident)}.{meant}\n{listed}")


def _wrong_format(form: str) -> int:
    known = ", ".join(WRITERS)
    near = did_you_mean(form, WRITERS)
    meant = f" Did you mean {near}?" if near else ""
    return complain(f"There is no format called {one_line(form)}.{meant} There are: {known}", WRONG)

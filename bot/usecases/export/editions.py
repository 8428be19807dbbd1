"""What has become of each edition: one record, so that any worker takes up where another one died."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from bot.core.account.edition import CHANNEL, DIRECTORY, Edition, ExportReport, Outline
from bot.core.codec import Inline
from bot.core.record.kinds import meaning_of
from bot.core.record.timeline import Entry
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

KEPT = timedelta(days=400)
OK, PENDING, LATER = "ok", "", "left to a later version"

_FEW = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """An edition, and how far it has come.

    `outline` is None until its files have been written once; `files` are their paths in the export directory with
    their SHA-256. `targets` say by name what became of each: `ok`, a reason, or nothing yet. `round` counts how often
    the edition was delivered: again only to what had failed.
    """

    edition: Edition
    round: int
    targets: Annotated[Mapping[str, str], Inline("to ")]
    outline: Outline | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    not_written: Mapping[str, str] = field(default_factory=dict)

    @property
    def pending(self) -> tuple[str, ...]:
        return tuple(name for name, state in self.targets.items() if state == PENDING)

    @property
    def failed(self) -> dict[str, str]:
        return {name: state for name, state in self.targets.items() if state not in {PENDING, OK, LATER}}

    @property
    def is_whole(self) -> bool:
        return self.outline is not None and not self.pending and not self.failed


@dataclass(frozen=True, slots=True)
class Newest:
    version: str


PROGRESS = Shelf("export", Progress, KEPT)
NEWEST = Shelf("export-newest", Newest, KEPT)


def target_names(world: World) -> tuple[str, ...]:
    """Everything that an export of this configuration goes to."""
    return (DIRECTORY, *((CHANNEL,) if world.upload_exports else ()), *world.targets)


def missing_targets(world: World, progress: Progress) -> tuple[str, ...]:
    """Targets that the configuration has got since the edition was begun."""
    return tuple(name for name in target_names(world) if name not in progress.targets)


async def last_entry(world: World, incident_id: str) -> Entry | None:
    """The last entry that makes a version: not one that comes of an export."""
    for entry in reversed(await world.journal.tail(incident_id, _FEW)):
        if not meaning_of(entry.kind).is_of_exports:
            return entry
    found = None
    async for entry in world.journal.entries(incident_id):
        found = found if meaning_of(entry.kind).is_of_exports else entry
    return found


async def find(world: World, incident_id: str, version: str) -> Progress | None:
    """How far this version is; None if nobody has begun it. Raises JournalAway."""
    return await PROGRESS.get(world, f"{incident_id}/{version}")


async def newest(world: World, incident_id: str) -> Progress | None:
    """The edition that was begun last."""
    found = await NEWEST.get(world, incident_id)
    return None if found is None else await find(world, incident_id, found.version)


async def begin(world: World, edition: Edition) -> Progress:
    """Writes a new edition down as the newest of its incident."""
    progress = Progress(edition, 1, dict.fromkeys(target_names(world), PENDING))
    await _make_newest(world, edition)  # first: an edition that is not the newest would never be delivered
    await PROGRESS.put(world, _key(edition), progress)
    return progress


async def again(world: World, progress: Progress) -> Progress:
    """Another round for what failed, and for targets that the configuration has got since."""
    pending = {name: PENDING for name in target_names(world) if progress.targets.get(name) != OK}
    await _make_newest(world, progress.edition)
    return await _changed(world, progress, round=progress.round + 1, targets=pending)


async def written(
    world: World, progress: Progress, *, outline: Outline, files: Mapping[str, str], not_written: Mapping[str, str]
) -> Progress:
    """Notes that the files are made, and why some are not. Raises JournalAway."""
    return await _changed(world, progress, outline=outline, files=files, not_written=not_written)


async def settle(world: World, progress: Progress, target: str, state: str) -> Progress:
    """Writes down what became of a target."""
    return await _changed(world, progress, targets={target: state})


async def is_newest(world: World, edition: Edition) -> bool:
    """False once a later version of the same incident's export has been begun: what is older must not replace it."""
    newest = await NEWEST.get(world, edition.incident.id)
    return newest is None or newest.version == edition.version


def report_of(world: World, progress: Progress) -> ExportReport | None:
    """The summary of an edition whose files have been written."""
    if progress.outline is None:
        return None
    directory = (f"{world.export_directory}/",) if progress.targets.get(DIRECTORY) == OK else ()
    elsewhere = tuple(target.place(progress.edition.incident.id) for target in world.targets.values())
    return ExportReport(progress.edition, progress.outline, directory + elsewhere, not_written=progress.not_written)


async def _make_newest(world: World, edition: Edition) -> None:
    await NEWEST.put(world, edition.incident.id, Newest(edition.version))


async def _changed(world: World, progress: Progress, **changes: object) -> Progress:
    """Of the targets only those that are named: each has a job of its own."""
    await PROGRESS.update(world, _key(progress.edition), changes)
    return await PROGRESS.get(world, _key(progress.edition)) or progress


def _key(edition: Edition) -> str:
    return f"{edition.incident.id}/{edition.version}"

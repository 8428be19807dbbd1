"""What has become of each edition: one record, so that any worker takes up where another one died."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import TypeAdapter

from bot.core.account.edition import CHANNEL, DIRECTORY, OF_EXPORTS, Edition, ExportReport, Outline
from bot.core.record.timeline import Entry
from bot.usecases.world import World

KEPT = timedelta(days=400)
OK, PENDING, LATER = "ok", "", "left to a later version"

_EDITION, _OUTLINE = TypeAdapter(Edition), TypeAdapter(Outline)
_RECORD, _NEWEST = "export", "export-newest"
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
    targets: Mapping[str, str]
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


def target_names(world: World) -> tuple[str, ...]:
    """Everything that an export of this configuration goes to."""
    return (DIRECTORY, *((CHANNEL,) if world.upload_exports else ()), *world.targets)


def missing_targets(world: World, progress: Progress) -> tuple[str, ...]:
    """Targets that the configuration has got since the edition was begun."""
    return tuple(name for name in target_names(world) if name not in progress.targets)


async def last_entry(world: World, incident_id: str) -> Entry | None:
    """The last entry that makes a version: not one that comes of an export."""
    for entry in reversed(await world.journal.tail(incident_id, _FEW)):
        if entry.kind not in OF_EXPORTS:
            return entry
    found = None
    async for entry in world.journal.entries(incident_id):
        found = found if entry.kind in OF_EXPORTS else entry
    return found


async def find(world: World, incident_id: str, version: str) -> Progress | None:
    """How far this version is; None if nobody has begun it. Raises JournalAway."""
    record = await world.records.get(_RECORD, f"{incident_id}/{version}")
    return None if record is None else _read(record)


async def newest(world: World, incident_id: str) -> Progress | None:
    """The edition that was begun last."""
    record = await world.records.get(_NEWEST, incident_id)
    return None if record is None else await find(world, incident_id, record["version"])


async def begin(world: World, edition: Edition) -> Progress:
    """Writes a new edition down as the newest of its incident."""
    progress = Progress(edition, 1, dict.fromkeys(target_names(world), PENDING))
    record = {
        "edition": _EDITION.dump_python(edition, mode="json"),
        "round": 1,
        "outline": None,
        "files": {},
        "not_written": {},
        **{_field(name): state for name, state in progress.targets.items()},
    }
    await _make_newest(world, edition)  # first: an edition that is not the newest would never be delivered
    await world.records.put(_RECORD, _key(edition), record, ttl=KEPT)
    return progress


async def again(world: World, progress: Progress) -> Progress:
    """Another round for what failed, and for targets that the configuration has got since."""
    changes = {_field(name): PENDING for name in target_names(world) if progress.targets.get(name) != OK}
    await _make_newest(world, progress.edition)
    await world.records.update(_RECORD, _key(progress.edition), {"round": progress.round + 1, **changes})
    return await _reread(world, progress)


async def written(
    world: World, progress: Progress, *, outline: Outline, files: Mapping[str, str], not_written: Mapping[str, str]
) -> Progress:
    """Notes that the files are made, and why some are not. Raises JournalAway."""
    changes = {"outline": _OUTLINE.dump_python(outline, mode="json"), "files": files, "not_written": not_written}
    await world.records.update(_RECORD, _key(progress.edition), changes)
    return await _reread(world, progress)


async def settle(world: World, progress: Progress, target: str, state: str) -> Progress:
    """Writes down what became of a target."""
    await world.records.update(_RECORD, _key(progress.edition), {_field(target): state})
    return await _reread(world, progress)


async def is_newest(world: World, edition: Edition) -> bool:
    """False once a later version of the same incident's export has been begun: what is older must not replace it."""
    newest = await world.records.get(_NEWEST, edition.incident.id)
    return newest is None or newest["version"] == edition.version


def report_of(world: World, progress: Progress) -> ExportReport | None:
    """The summary of an edition whose files have been written."""
    if progress.outline is None:
        return None
    directory = (f"{world.export_directory}/",) if progress.targets.get(DIRECTORY) == OK else ()
    elsewhere = tuple(target.place(progress.edition.incident.id) for target in world.targets.values())
    return ExportReport(progress.edition, progress.outline, directory + elsewhere, not_written=progress.not_written)


async def _make_newest(world: World, edition: Edition) -> None:
    await world.records.put(_NEWEST, edition.incident.id, {"version": edition.version}, ttl=KEPT)


async def _reread(world: World, progress: Progress) -> Progress:
    return await find(world, progress.edition.incident.id, progress.edition.version) or progress


def _read(record: Mapping[str, object]) -> Progress:
    outline = record.get("outline")
    return Progress(
        edition=_EDITION.validate_python(record["edition"]),
        round=int(str(record["round"])),
        targets={name.removeprefix("to "): str(state) for name, state in record.items() if name.startswith("to ")},
        outline=None if outline is None else _OUTLINE.validate_python(outline),
        files=_texts(record.get("files")),
        not_written=_texts(record.get("not_written")),
    )


def _texts(value: object) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, Mapping) else {}


def _key(edition: Edition) -> str:
    return f"{edition.incident.id}/{edition.version}"


def _field(target: str) -> str:
    return f"to {target}"

"""The files of an edition: in the export directory, or made again where they are needed."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bot.core.account.edition import Edition
from bot.ports.files import Written
from bot.usecases.export.editions import Progress
from bot.usecases.world import World


@asynccontextmanager
async def files_of(world: World, progress: Progress) -> AsyncIterator[tuple[Path, ...]]:
    """The files, for as long as one is inside: those of the directory if they still are of this edition.

    Another machine has none, and a later edition replaces them; then they are written again, and gone afterwards.
    """
    files = progress.files
    are_kept: bool = bool(files) and await asyncio.to_thread(_are_kept, files)
    if are_kept:
        yield tuple(Path(path) for path in files)
        return
    with tempfile.TemporaryDirectory(prefix="tflock-export-") as spare:
        done = await write(world, progress.edition, directory=Path(spare))
        yield done.paths


async def write_anywhere(world: World, edition: Edition) -> tuple[Written, str]:
    """The files in the export directory; or what is wrong with that, and what can be written elsewhere.

    A format that can be written nowhere is not the directory's fault.
    """
    done: Written | None = None
    try:
        done = await write(world, edition)
    except OSError as error:
        trouble = str(error.strerror or error)
    else:
        if not done.failed:
            return done, ""
        trouble = "; ".join(f"{name}: {why}" for name, why in done.failed.items())
    with tempfile.TemporaryDirectory(prefix="tflock-export-") as spare:
        elsewhere = await write(world, edition, directory=Path(spare))
    if done is not None and done.failed.keys() == elsewhere.failed.keys():
        return done, ""
    return elsewhere, trouble


async def write(world: World, edition: Edition, *, directory: Path | None = None) -> Written:
    """Writes the edition's files: the same ones each time, wherever that is done."""
    return await world.exporter.write(
        edition.incident, edition.names, edition.zone, until=edition.last, directory=directory
    )


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """The SHA-256 of each file. Blocking."""
    return {str(path): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _are_kept(files: Mapping[str, str]) -> bool:
    try:
        return all(_digest(Path(path)) == digest for path, digest in files.items())
    except OSError:
        return False

"""The newest versions of a state beside one another: what changed from one to the next, and what is odd. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.recovery.contents import Contents, Version


@dataclass(frozen=True, slots=True)
class VersionSeen:
    """A version, with what it holds; `unread` says in plain words why that is not known.

    `added`, `removed` and `changed` are addresses, against the next older version that could be read. `warnings` are
    sentences about it. `run` is the page of the run that wrote it, where that is known.
    """

    version: Version
    contents: Contents | None
    unread: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    run: str = ""


def beside(
    seen: Sequence[tuple[Version, Contents | None, str]], *, by_run: tuple[datetime, datetime, str] | None = None
) -> tuple[VersionSeen, ...]:
    """The versions, newest first as they came. `by_run`: whose work is known, from when to when, and its page."""
    found = []
    for place, (version, contents, unread) in enumerate(seen):
        older = next((one for _, one, _ in seen[place + 1 :] if one is not None), None)
        added, removed, changed = _difference(contents, older)
        is_its = by_run is not None and version.at is not None and by_run[0] <= version.at <= by_run[1]
        found.append(
            VersionSeen(
                version, contents, unread, added, removed, changed, tuple(_odd(contents, older)),
                by_run[2] if is_its and by_run is not None else "",
            )
        )  # fmt: skip
    return tuple(found)


def _difference(
    contents: Contents | None, older: Contents | None
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    if contents is None or older is None or not (contents.is_readable and older.is_readable):
        return (), (), ()
    now, before = _prints(contents), _prints(older)
    return (
        tuple(place for place in now if place not in before),
        tuple(place for place in before if place not in now),
        tuple(place for place in now if place in before and now[place] != before[place]),
    )


def _prints(contents: Contents) -> dict[str, bytes]:
    return {one.shown: one.print for one in contents.instances}


def _odd(contents: Contents | None, older: Contents | None) -> list[str]:
    if contents is None:
        return []
    warnings = []
    if contents.is_encrypted:
        warnings.append("OpenTofu has encrypted it, so what it holds cannot be read here")
    elif contents.fault is not None:
        warnings.append(f"it is not a valid Terraform state: {contents.fault}")
    if older is None or not contents.is_readable:
        return warnings
    if contents.serial is not None and older.serial is not None and contents.serial < older.serial:
        warnings.append(f"its serial {contents.serial} is lower than the {older.serial} of the version before")
    if contents.lineage and older.lineage and contents.lineage != older.lineage:
        warnings.append("its lineage differs from that of the version before: it is another state's")
    if not contents.instances and older.is_readable and older.instances:
        warnings.append(f"it has no resources, and the version before had {len(older.instances)}")
    return warnings

"""An edition: one version of an incident's export, fixed so that every worker on any machine makes the same files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.account.values import Account, Participant, StateSummary
from bot.core.record.incident import Incident
from bot.core.record.kinds import meaning_of
from bot.core.record.timeline import Entry

DIRECTORY, CHANNEL = "directory", "channel"
"""The two targets that are always known by these words, on the timeline as well."""

_MARK = 16


@dataclass(frozen=True, slots=True)
class Edition:
    """`version` is the hash of the last entry that it holds, and `last` that entry's id.

    `incident` is as it was then. `names` and `zone` are the names of people and the time zone in the files. `by` asked
    for it, empty for the closing and for corrections.
    """

    incident: Incident
    version: str
    last: str
    made_at: datetime
    names: Mapping[str, str]
    zone: str
    by: str = ""

    @property
    def mark(self) -> str:
        """Short, and enough to tell the versions of all incidents apart."""
        return f"{self.incident.id}/{self.version[:_MARK]}"


@dataclass(frozen=True, slots=True)
class Outline:
    """What the summary of an export says of its account. `followups` are the proposed ones, titles by key."""

    states: tuple[StateSummary, ...]
    time_to_unlock: timedelta | None
    causes: tuple[str, ...]
    parts: tuple[Participant, ...]
    followups: Mapping[str, str]
    entries: int


@dataclass(frozen=True, slots=True)
class Changed:
    """How many entries of one kind have come since the last version, and by whom, in the order of the first."""

    kind: str
    count: int
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The summary that is posted with an export.

    `places` are where its files are beside the thread of the message; `not_written` says by format why it is missing.
    `changes` are those since the version that this one replaces, if it does. `newer` is the address of the message
    that replaces this one.
    """

    edition: Edition
    outline: Outline
    places: tuple[str, ...]
    uploaded: bool = True
    not_written: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Changed, ...] = ()
    newer: str = ""


def outline_of(account: Account) -> Outline:
    summary = account.summary
    return Outline(
        states=summary.states,
        time_to_unlock=summary.time_to_unlock,
        causes=tuple(str(cause) for cause in summary.causes),
        parts=summary.parts,
        followups={one.key: one.title for one in account.followups},
        entries=account.recorded,
    )


def changes_in(entries: Iterable[Entry]) -> tuple[Changed, ...]:
    """What these entries change in the record, by kind, in the order of the first of each."""
    by_kind: dict[str, list[str]] = {}
    for entry in entries:
        if not meaning_of(entry.kind).is_of_exports:
            by_kind.setdefault(entry.kind, []).append(entry.actor)
    return tuple(Changed(kind, len(by), tuple(dict.fromkeys(by))) for kind, by in by_kind.items())

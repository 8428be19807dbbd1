"""What a home tab tells: what waits for its reader, which states are locked, which incidents are open. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.evidence import Unseen
from bot.core.gate.case import Effect, Ruling, Verdict
from bot.core.gate.ending import short_name
from bot.core.gate.inspection import Inspection
from bot.core.hold import OPERATION, HoldWords, is_hold, said_in
from bot.core.lock import LockSeen


class Held(StrEnum):
    """What was seen of a state that is not known to be free."""

    LOCKED = "locked"
    GARBLED = "locked by something that is not lock info"
    THROTTLED = "its lock table is throttled"
    UNREAD = "could not be read"
    UNSHOWN = "not shown to those who only look"


@dataclass(frozen=True, slots=True)
class StateRow:
    """A state that is not known to be free. `why` says why it could not be read; `created` is None without a lock.

    `owner` is the Slack user who was taken for the lock's owner when it was last spoken of: by `asker`, in the channel
    `asked_in`, for a request. `info` is what a hold says of itself, and empty for any other lock.
    """

    state: str
    held: Held
    lock_id: str = ""
    who: str = ""
    operation: str = ""
    created: datetime | None = None
    why: str = ""
    owner: str = ""
    asked_in: str = ""
    asker: str = ""
    request: str = ""
    info: str = ""

    @property
    def hold(self) -> HoldWords | None:
        return said_in(self.who, self.info) if self.operation == OPERATION else None


@dataclass(frozen=True, slots=True)
class Glance:
    """All states as they were read at `at`: those that are not free, in the order of the configuration."""

    rows: tuple[StateRow, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the gate's checks said of a lock recently, leaving aside who would ask.

    `rule` is the first check that blocks, empty if none does. `owner` is a Slack user id; `run` names the
    run that may hold the lock, `end` what became of it, in our words.
    """

    ruling: Ruling
    rule: str
    at: datetime
    until: datetime | None = None
    owner: str = ""
    run: str = ""
    url: str | None = None
    end: str = ""


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row as it is shown to one person."""

    row: StateRow
    is_own: bool = False
    is_watched: bool = False
    prospect: Prospect | None = None


@dataclass(frozen=True, slots=True)
class OpenIncident:
    id: str
    title: str
    channel: str
    opened_at: datetime
    states: tuple[str, ...]


class Wait(StrEnum):
    ANSWER = "their answer as the owner"
    SAID = "what they said as the owner, which they may take back"
    APPROVAL = "their approval"
    ARMED = "their armed unlock"
    WATCH = "a state that they watch"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for this person, or that they wait for. `asker` is who asked; `link` is its message."""

    wait: Wait
    state: str
    lock_id: str = ""
    request: str = ""
    channel: str = ""
    asker: str = ""
    since: datetime | None = None
    until: datetime | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """One person's home. `shown` is one page of the rows; `locked`, `unread` and `unshown` count all of them.

    `looking`: the locks are being read again; `is_stale`: they could not be read again in time. `unchecked` counts
    incidents of which Slack did not say whether they are a member there. `glance_at` is None if nothing was ever read.
    """

    shown: tuple[ShownRow, ...]
    locked: int
    unread: int
    total: int
    free: tuple[str, ...]
    waiting: tuple[Waiting, ...]
    incidents: tuple[OpenIncident, ...]
    glance_at: datetime | None
    now: datetime
    page: int = 0
    pages: int = 1
    more_incidents: int = 0
    unchecked: int = 0
    looking: bool = False
    is_stale: bool = False
    journal_trouble: str = ""
    unshown: int = 0


def row_of(state: str, seen: LockSeen) -> StateRow | None:
    """The row of a state; None for one that is free."""
    if seen.is_free:
        return None
    lock = seen.lock
    if lock is not None:
        info = lock.info if is_hold(lock) else ""
        created = lock.created if lock.is_since_known else None
        return StateRow(state, Held.LOCKED, lock.id, lock.who, lock.operation, created, info=info)
    if seen.held:
        return StateRow(state, Held.GARBLED)
    if seen.is_throttled:
        return StateRow(state, Held.THROTTLED)
    if seen.is_unshown:
        return StateRow(state, Held.UNSHOWN)
    why = seen.unseen[0][1]
    return StateRow(state, Held.UNREAD, why=why.detail if isinstance(why, Unseen) else f"there is no {why.what}")


def prospect_of(verdict: Verdict, inspection: Inspection, at: datetime) -> Prospect:
    """What is shown of a verdict: the first check in the way, and the run and the owner behind the lock."""
    wanted = {Ruling.REFUSE: Effect.REFUSES, Ruling.NEEDS_APPROVAL: Effect.WANTS_APPROVAL}.get(verdict.ruling)
    found = [finding for finding in verdict.findings if finding.effect is wanted]
    standing = min(found, key=lambda finding: finding.waits, default=None)
    tied = inspection.attribution
    run = tied.candidates[0].run if tied is not None and tied.candidates else None
    name = None if run is None else short_name(run)
    return Prospect(
        ruling=verdict.ruling,
        rule="" if standing is None else str(standing.rule),
        at=at,
        until=verdict.until,
        owner=(inspection.owner.slack_id or "") if inspection.owner is not None else "",
        run="" if name is None else name.text,
        url=None if name is None else name.url,
        end="" if run is None else str(run.conclusion or run.phase),
    )


def ordered(rows: Sequence[ShownRow]) -> list[ShownRow]:
    """Their own locks first, then what they watch, the locked ones, the longest held first, then what was not read."""
    ranks = {Held.LOCKED: 0, Held.GARBLED: 0, Held.THROTTLED: 1, Held.UNREAD: 1, Held.UNSHOWN: 2}

    def place(shown: ShownRow) -> tuple[bool, bool, int, float]:
        created = shown.row.created
        since = created.timestamp() if created is not None else 0.0
        return (not shown.is_own, not shown.is_watched, ranks[shown.row.held], since)

    return sorted(rows, key=place)

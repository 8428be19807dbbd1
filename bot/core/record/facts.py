"""The facts of an entry: one type for each kind of the timeline, written and read here and nowhere else.

The names of the fields are the keys of the JSON. They are public, as the kinds are: add, never rename. A field with a
default was added later, or is left out where there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, TypeVar, dataclass_transform

from bot.core.codec import LongText, Omitted, WholeText, read, written
from bot.core.record.evidence import (
    Evidence,
    FindingFacts,
    LockFacts,
    LoopFacts,
    PlaceFacts,
    RunFacts,
    SeenFacts,
    VerdictFacts,
)
from bot.core.record.message import SharedFile
from bot.core.record.timeline import Draft, Entry, Kind

_Sentence = Annotated[str, 1_000]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an entry says to programs."""

    KIND: ClassVar[Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfState(Facts):
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfLock(OfState):
    lock_id: str


TYPES: dict[str, type[Facts]] = {}
"""By kind."""

F = TypeVar("F", bound=Facts)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _of_kind(kind: Kind) -> Callable[[type[F]], type[F]]:
    """Makes a class the dataclass of a kind's facts."""

    def made(bare: type[F]) -> type[F]:
        of = dataclass(frozen=True, slots=True, kw_only=True)(bare)
        TYPES[kind], of.KIND = of, kind
        return of

    return made


def draft_of(facts: Facts, at: datetime, actor: str, text: str, *, once: str | None = None) -> Draft:
    """An entry with these facts, for the journal. See `Draft`."""
    return Draft(at, facts.KIND, actor, text, written(facts), once)


def facts_of(entry: Entry) -> Facts | None:
    """What the entry says, as far as it can be read; None for a kind that is newer than this version. Never raises."""
    of = TYPES.get(entry.kind)
    return None if of is None else read(of, entry.facts)


def findings_of(entry: Entry) -> tuple[FindingFacts, ...]:
    """What the rules of the gate made of the case, if the entry tells a verdict."""
    verdict = read(_Decision, entry.facts).verdict if entry.kind == Kind.GATE_DECIDED else None
    return verdict.findings if verdict is not None else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """What is read of `GateDecided` for its findings: the evidence beside them is long."""

    verdict: VerdictFacts | None


@_of_kind(Kind.INCIDENT_OPENED)
class IncidentOpened(Facts):
    incident: WholeText
    channel: WholeText
    title: WholeText


@_of_kind(Kind.INCIDENT_CLOSED)
class IncidentClosed(Facts):
    incident: WholeText


@_of_kind(Kind.INCIDENT_REOPENED)
class IncidentReopened(Facts):
    incident: WholeText


@_of_kind(Kind.INCIDENT_RENAMED)
class IncidentRenamed(Facts):
    title: WholeText
    before: WholeText


@_of_kind(Kind.COMMAND_RECEIVED)
class CommandReceived(Facts):
    channel: str


@_of_kind(Kind.LOCK_OBSERVED)
class LockObserved(OfState):
    """`before` names what was there at the last look: `free`, or the ids of the locks with commas in between."""

    seen: SeenFacts
    before: str | None


@_of_kind(Kind.LOCK_CHANGED)
class LockChanged(LockObserved): ...


@_of_kind(Kind.GATE_DECIDED)
class GateDecided(OfLock):
    """`asked` is the command. `verdict` is None where a look found no lock; `request` is an unlock's."""

    asked: str
    verdict: VerdictFacts | None
    evidence: Evidence | None
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfUnlock(OfLock):
    request: str


@_of_kind(Kind.UNLOCK_REQUESTED)
class UnlockRequested(OfUnlock):
    reason: str


@_of_kind(Kind.UNLOCK_APPROVED)
class UnlockApproved(OfUnlock):
    """`covers` are the rules that wanted the approval."""

    covers: tuple[str, ...]


@_of_kind(Kind.UNLOCK_DECLINED)
class UnlockDeclined(OfUnlock):
    """`outcome` is a word of `bot.core.gate.stages.UnlockStage`, here and below."""

    outcome: str


@_of_kind(Kind.UNLOCK_WITHDRAWN)
class UnlockWithdrawn(OfUnlock):
    outcome: str


@_of_kind(Kind.UNLOCK_RELEASING)
class UnlockReleasing(OfUnlock):
    """`hold` names the hold that the lock is swapped for, if it is."""

    lock: LockFacts
    hold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnlockOutcome(OfUnlock):
    """`lock` is the lock as it was before the first delete, None if nothing was deleted.

    Of an armed unlock that someone withdrew, only the lock is given.
    """

    outcome: str = ""
    halves: tuple[PlaceFacts, ...] | None = None
    note: str | None = None
    approver: str | None = None
    tries: int | None = None
    throttled: int | None = None
    took: timedelta | None = None
    lock: LockFacts | Omitted | None = Omitted.ABSENT


@_of_kind(Kind.UNLOCK_RELEASED)
class UnlockReleased(_UnlockOutcome): ...


@_of_kind(Kind.UNLOCK_FAILED)
class UnlockFailed(_UnlockOutcome): ...


@_of_kind(Kind.KILL_REQUESTED)
class KillRequested(OfLock):
    """`tie` says what the runs are to the lock; `count` how many there are."""

    request: str
    pipeline: str
    system: str
    count: int
    runs: tuple[RunFacts, ...]
    loop: LoopFacts | None
    tie: str
    stop_source: bool


@_of_kind(Kind.KILL_APPROVED)
class KillApproved(Facts):
    request: str


@_of_kind(Kind.KILL_CONFIRMED)
class KillConfirmed(OfState):
    """The runs have ended, or not (`ended`); or the source of a loop was `restarted`, which tells nothing of runs.

    `switched` is a word of `bot.core.run.SwitchResult`, None if nothing was to be switched. The first version did not
    say, nor how many runs there were (`count`), nor of which pipeline.
    """

    request: str
    pipeline: str
    switched: str | Omitted | None = Omitted.ABSENT
    restarted: bool = False
    ended: bool | None = None
    system: str | None = None
    count: int | None = None
    runs: tuple[RunFacts, ...] | None = None
    approver: str | None = None


@_of_kind(Kind.OWNER_NOTIFIED)
class OwnerNotified(OfLock):
    owner: str


@_of_kind(Kind.OWNER_ANSWERED)
class OwnerAnswered(OfLock):
    """`says` is a word of `bot.core.people.OwnerSays`, or that an answer is taken back."""

    says: str


@_of_kind(Kind.NOTE_ADDED)
class NoteAdded(Facts):
    """`about` says what a note is for: `impact` or `review`, as the closing dialog asks; empty for any other note."""

    back_dated: bool = False
    about: str = ""


@_of_kind(Kind.MESSAGE_CAPTURED)
class MessageCaptured(Facts):
    """`by` wanted it. `bot` is the name of a bot or a workflow that posted it."""

    channel: str
    ts: str
    thread_ts: str
    permalink: LongText
    author: str
    by: str
    files: tuple[SharedFile, ...]
    how: str
    bot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction(Facts):
    """How an earlier `entry` is to be shown. See `bot.core.record.revision`."""

    entry: WholeText
    why: WholeText = ""


@_of_kind(Kind.ENTRY_EDITED)
class EntryEdited(Correction):
    text: WholeText | None = None
    at: datetime | None = None


@_of_kind(Kind.ENTRY_HIDDEN)
class EntryHidden(Correction): ...


@_of_kind(Kind.ENTRY_RESTORED)
class EntryRestored(Correction): ...


@_of_kind(Kind.ENTRY_MARKED)
class EntryMarked(Correction):
    """`milestone` is what the entry was for the incident: `detected`, `diagnosed` or `fixed`; empty where not said."""

    milestone: str = ""


@_of_kind(Kind.ENTRY_UNMARKED)
class EntryUnmarked(Correction): ...


@_of_kind(Kind.ALERT_RAISED)
class AlertRaised(OfLock):
    kind: str
    states: tuple[str, ...]
    subject: str
    since: datetime | None
    url: LongText


@_of_kind(Kind.ALERT_RESOLVED)
class AlertResolved(AlertRaised):
    outcome: str


@_of_kind(Kind.WATCH_STARTED)
class WatchStarted(OfState):
    ticket: str


@_of_kind(Kind.WATCH_ENDED)
class WatchEnded(OfState):
    ticket: str
    outcome: str = ""


@_of_kind(Kind.RECOVERY_LOOKED)
class RecoveryLooked(OfLock):
    """What a dead run left behind. `run` is its page, None where it is not known; addresses are the first of each.

    Not `compared`: the log and the state could not be held against each other, and the counts say nothing.
    """

    run: LongText | None
    compared: bool
    recorded: int
    made: tuple[str, ...]
    unsure: tuple[str, ...]
    destroyed: tuple[str, ...]
    left_state: bool
    import_blocks: WholeText = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfHold(OfLock):
    """`hold` is the hold's own name; `lock_id` what Terraform calls its lock, empty before it is there."""

    hold: str


@_of_kind(Kind.HOLD_REQUESTED)
class HoldRequested(OfHold):
    reason: str
    until: datetime | None


@_of_kind(Kind.HOLD_PLACED)
class HoldPlaced(OfHold):
    """`swapped` is the dead lock that the hold replaced in one write, empty where the state was free.

    `request` is the unlock that this was a part of.
    """

    until: datetime | None
    places: tuple[str, ...]
    swapped: str = ""
    request: str = ""


@_of_kind(Kind.HOLD_PROLONGED)
class HoldProlonged(OfHold):
    until: datetime | None
    before: datetime | None


@_of_kind(Kind.HOLD_LIFT_REQUESTED)
class HoldLiftRequested(OfHold): ...


@_of_kind(Kind.HOLD_ENDED)
class HoldEnded(OfHold):
    """`outcome` is a word of `bot.core.reports.hold.HoldEnd`; `approver` agreed that someone else's hold is lifted."""

    outcome: str
    places: tuple[PlaceFacts, ...]
    approver: str = ""
    note: str = ""


@_of_kind(Kind.EXPORT_MADE)
class ExportMade(Facts):
    """`targets` are by name, with what became of each; `failed` and `not_written` say why."""

    version: str
    files: tuple[str, ...]
    targets: Mapping[str, str]
    failed: Mapping[str, str]
    not_written: Mapping[str, str]


@_of_kind(Kind.FOLLOWUP_PROPOSED)
class FollowUpProposed(Facts):
    key: str
    title: str
    reason: _Sentence
    todo: tuple[_Sentence, ...]


@_of_kind(Kind.FOLLOWUP_FILED)
class FollowUpFiled(Facts):
    key: str
    url: LongText
    system: str
    by: str


_WITH_PAGE = frozenset({Kind.MESSAGE_CAPTURED, Kind.FOLLOWUP_FILED, Kind.ALERT_RAISED, Kind.ALERT_RESOLVED})


def page_of(entry: Entry) -> str:
    """The address of the message, the ticket or the run that an entry is about; empty where it names none."""
    return page_in(facts_of(entry)) if entry.kind in _WITH_PAGE else ""


def page_in(facts: Facts | None) -> str:
    """The same of an entry's facts that were read already."""
    match facts:
        case MessageCaptured(permalink=page) | FollowUpFiled(url=page) | AlertRaised(url=page):
            return page
    return ""

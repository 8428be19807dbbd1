"""The account of an incident: everything that exports, charts, summaries and follow-ups tell, as values.

It is made by one fold over the entries (`bot.core.account.story`), so that all formats say the same. It grows with what
happened to locks and runs, not with the number of entries; the entries themselves are read separately, one by one.
Times are UTC. Texts are as recorded: the code that renders them escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.phrase import Person, Phrase
from bot.core.record.facts import RecoveryLooked
from bot.core.record.incident import Incident
from bot.core.record.kinds import MarkKind
from bot.core.record.timeline import Entry


class LockEnd(StrEnum):
    """How a lock on the timeline ended."""

    RELEASED = "released by tflock"
    GONE = "was gone when looked at again"
    REPLACED = "another lock was there at the next look"
    HELD = "still held when last looked at"


@dataclass(frozen=True, slots=True)
class LockSpan:
    """One lock of one state. `until` is when it was seen to be gone, or was last seen (`HELD`).

    `owner` is the name of the person behind it and `owner_id` their Slack id; both are empty where nobody is known.
    `human_held` is set if the gate found nothing that shows a CI to hold it.
    """

    state: str
    lock_id: str
    who: str
    operation: str
    since: datetime
    until: datetime
    end: LockEnd
    owner: str = ""
    owner_id: str = ""
    human_held: bool = False

    @property
    def held_for(self) -> timedelta:
        return max(timedelta(0), self.until - self.since)

    def person(self, names: Mapping[str, str]) -> Person:
        """The owner, as they are called now. `names` are by Slack id."""
        return Person(self.owner_id or None, names.get(self.owner_id, "") or self.owner)


class Role(StrEnum):
    """What a run is to the lock of the state."""

    HOLDER = "holder"
    CONTENDER = "contender"


@dataclass(frozen=True, slots=True)
class RunSpan:
    """A run, as last read. `until` is None while it runs; `conclusion` is a word of `bot.core.run.Conclusion`.

    A contender that was gone at the next look has ended by then; its `conclusion` is None.
    `system` is the CI's proper name (`GitHub Actions`), empty where it is not known. `lock_id` is the lock that it may
    have held; empty for a contender.
    """

    state: str
    pipeline: str
    run_id: str
    url: str
    attempt: int
    actor: str
    role: Role
    since: datetime
    until: datetime | None
    conclusion: str | None
    strength: str | None = None
    """How a holder was tied to its lock, in the words of `bot.core.gate.attribution.Strength`."""
    system: str = ""
    lock_id: str = ""


@dataclass(frozen=True, slots=True)
class LoopSpan:
    """A pipeline that was started again and again. `stopped_at` is when tflock had ended it; None if it never did."""

    state: str
    pipeline: str
    source: str
    actor: str
    since: datetime
    last_seen: datetime
    starts: int
    every: timedelta
    stopped_at: datetime | None = None
    system: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """The situation of a state at one look: runs that wanted its lock, and whether its table refused requests."""

    at: datetime
    state: str
    contenders: int
    throttled: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A lock table. Words are DynamoDB's own; empty or None where it is not known.

    Capacity and TTL are as last read. `throttled` is whether it refused requests at any look of the incident, and
    `refused` the most refusals that one look reported.
    """

    name: str
    states: tuple[str, ...]
    billing: str
    throttled: bool
    refused: int | None
    read_units: int | None = None
    write_units: int | None = None
    ttl_attribute: str = ""


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest item that did not match its state's file when last read. Both are MD5 sums; `key` is the item's own."""

    state: str
    key: str
    item: str
    actual: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """A lock that tflock released. `took` is from the click (or the arming) to the release; `throttled` counts tries.

    `actor` wanted it and `approver` agreed; `approver` is empty where nobody had to.
    """

    state: str
    lock_id: str
    at: datetime
    actor: str
    approver: str = ""
    tries: int = 0
    throttled: int = 0
    took: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """Runs that someone had tflock end. `ended` is whether all were seen to; `stopped` whether the source was."""

    at: datetime
    actor: str
    pipeline: str
    runs: int
    ended: bool
    stopped: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What the owner of a lock answered: `dead`, `running` or `later`."""

    at: datetime
    state: str
    actor: str
    says: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one instant. `entry` is the id of its entry, `page` the address of what it is about.

    `milestone` is what a key moment was for the incident, empty where nobody said.
    """

    at: datetime
    kind: MarkKind
    label: str
    actor: str
    entry: str
    page: str = ""
    milestone: str = ""


class Cause(StrEnum):
    """The class of what brought an incident about, the most telling first."""

    TIMED_OUT = "a run that timed out with the lock held"
    CANCELLED = "a run that was cancelled with the lock held"
    LOST = "a run whose runner was lost with the lock held"
    FAILED = "a run that failed with the lock held"
    LAPTOP = "a lock taken on someone's own machine"
    LOOP = "a pipeline that was started again and again"
    THROTTLING = "a lock table that refused requests"
    RUNNING = "a run that was still running"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Participant:
    """What someone did: `did` are short words in the order of the first time (`asked`, `approved`, `killed`)."""

    actor: str
    entries: int
    did: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StateSummary:
    """One affected state. `locked_for` is over all its locks of the incident; None if no lock of it was seen."""

    state: str
    locked_for: timedelta | None
    is_free: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The incident in figures. `causes` are all that the facts bear out, the most telling first; never empty."""

    states: tuple[StateSummary, ...]
    first_command_at: datetime | None
    unlocked_at: datetime | None
    causes: tuple[Cause, ...]
    parts: tuple[Participant, ...]
    most_contenders: int
    told: tuple[Phrase, ...]
    """The story in a few sentences, in the order in which it happened. Each ends with its own full stop."""

    @property
    def time_to_unlock(self) -> timedelta | None:
        """From the first command to the release; None without either."""
        if self.first_command_at is None or self.unlocked_at is None:
            return None
        return max(timedelta(0), self.unlocked_at - self.first_command_at)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Something to do afterwards, proposed from the facts. `key` is stable: it names the same work in later exports.

    `reason` says which facts call for it, `todo` what to do. `ticket` is the page of the filed ticket, if there is one.
    """

    key: str
    title: str
    reason: Phrase
    todo: tuple[Phrase, ...]
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """All of it. `names` are what people and the channel are called, by id, as far as is known.

    `zone` is the IANA name of the time zone in which local times are shown next to UTC.
    `recorded`, `edited` and `hidden` count entries; `key_moments` are ids. `now` is when the account was made.
    """

    incident: Incident
    now: datetime
    last: Entry
    recorded: int
    edited: int
    hidden: int
    summary: Summary
    followups: tuple[FollowUp, ...] = ()
    locks: tuple[LockSpan, ...] = ()
    runs: tuple[RunSpan, ...] = ()
    loops: tuple[LoopSpan, ...] = ()
    samples: tuple[Sample, ...] = ()
    tables: tuple[Table, ...] = ()
    digests: tuple[Digest, ...] = ()
    releases: tuple[Release, ...] = ()
    kills: tuple[Kill, ...] = ()
    replies: tuple[Reply, ...] = ()
    turned_away: Mapping[str, int] = field(default_factory=dict)
    """By state: tries to release a lock that its table refused, also those of requests that came to nothing."""
    recoveries: tuple[RecoveryLooked, ...] = ()
    """The last look at what was left behind, of each state."""
    on_hold: frozenset[str] = frozenset()
    """The states that tflock holds for someone."""
    marks: tuple[Mark, ...] = ()
    key_moments: frozenset[str] = frozenset()
    impact: str = ""
    """What people say that the incident did to others, the last word on it; `review`: what they note for the review."""
    review: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"

    @property
    def until(self) -> datetime:
        """Where the time axis ends: the closing, or now."""
        return self.incident.closed_at or self.now

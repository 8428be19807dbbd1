"""What is told to people, as values. The use cases make them, `slack.render` and the command line put them in words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.attribution import Attribution, Look
from bot.core.case import Verdict
from bot.core.contention import Contention, Loop
from bot.core.evidence import NotFound, Observation, Unseen
from bot.core.hours import Hours
from bot.core.incident import Incident
from bot.core.lock import HalfKind, HalfRelease, LockInfo, LockSeen, StateCheck, TableSeen
from bot.core.people import Member, OwnerAnswer, Presence, Whereabouts
from bot.core.phrase import Phrase
from bot.core.policy import ApprovalPolicy
from bot.core.revision import Shown
from bot.core.run import Conclusion, Phase, Run, Switched


@dataclass(frozen=True, slots=True)
class StateName:
    """A state as the configuration names it."""

    name: str
    description: str
    protected: bool


class Barred(StrEnum):
    """Why an account in Slack is not written to."""

    DEACTIVATED = "the account is deactivated"
    STRANGER = "the account belongs to another workspace"
    BOT = "the account is a bot's"


@dataclass(frozen=True, slots=True)
class Owner:
    """The person behind a lock. `slack_id` is None if Slack does not know him; `source` says how he was found.

    Whom Slack knows only as somebody who is not written to has no `slack_id`: then `account` is his id there and
    `barred` says why. `is_certain` is False where the evidence is good enough to ask him, but not to act on his word.
    """

    name: str
    slack_id: str | None
    source: Phrase
    account: str | None = None
    barred: Barred | None = None
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who asks a lock table that throttles, over all `states` that share it: the one looked at first.

    `active` are all runs going on, newest first; `loops` are with the state whose pipeline loops, most starts first.
    `unseen` are lists of runs that could not be read.
    """

    states: tuple[str, ...]
    active: tuple[Run, ...]
    loops: tuple[tuple[str, Loop], ...]
    unseen: tuple[NotFound | Unseen, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that one look at a state brought.

    `lock` is the lock in question (the oldest if two stand there), None if the state is free or cannot be read;
    `attribution` is None exactly if there is no such lock. `table` is None for a state without a lock table; `crowd`
    is looked for only when the table throttled the reading of the lock.

    `owner` is the one person whose lock it is; where that is not known, `owners` are those who it may be.
    """

    state: StateName
    seen: LockSeen
    check: StateCheck
    looks: tuple[Look, ...]
    lock: LockInfo | None
    attribution: Attribution | None
    contention: Contention
    owner: Owner | None
    at: datetime
    table: TableSeen | None = None
    crowd: Crowd | None = None
    owners: tuple[Owner, ...] = ()

    @property
    def is_throttled(self) -> bool:
        """Whether the lock table refuses requests, the bot's own or, lately, anybody's."""
        return self.seen.is_throttled or (self.table is not None and self.table.has_refused)


@dataclass(frozen=True, slots=True)
class StatusReport:
    """`verdict` is what an unlock by the asker would meet; None if there is no lock to speak of.

    `journal_away` is set when the timeline cannot be reached: then reading works and unlocking does not. `waiting`
    counts the people who want to be told when it is free.
    """

    inspection: Inspection
    verdict: Verdict | None
    answer: OwnerAnswer | None = None
    journal_away: bool = False
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """All states at a glance, in the order of the configuration."""

    states: tuple[tuple[StateName, LockSeen], ...]
    at: datetime
    journal_away: bool = False


@dataclass(frozen=True, slots=True)
class StandIn:
    """Somebody who may act instead. `local_time` is None, and `at_work` too, where it is not known."""

    member: Member
    presence: Presence
    local_time: datetime | None = None
    at_work: bool | None = None


@dataclass(frozen=True, slots=True)
class StandIns:
    """Who may act instead, whoever can do so soonest first. `others` are members of the channel (of the groups, where
    only they may act) that were not looked at; `missing` says why the list ends there, if it was not for their number.
    """

    people: tuple[StandIn, ...] = ()
    others: int = 0
    missing: NotFound | Unseen | None = None

    def without(self, user_id: str | None) -> StandIns:
        return replace(self, people=tuple(one for one in self.people if one.member.id != user_id))


@dataclass(frozen=True, slots=True)
class WhoReport:
    """The person behind a lock, whether he can be reached, and who can act instead.

    `stand_ins` is None where no incident channel was asked. `local_time` is at the owner's; `hours` are his working
    hours, None where the configuration does not tell them. `approval` is who may approve an unlock of the state,
    `approvers` those of them in the channel where a group may.
    """

    inspection: Inspection
    member: Observation[Member] | None
    whereabouts: Observation[Whereabouts] | None
    local_time: datetime | None
    stand_ins: StandIns | None = None
    hours: Hours | None = None
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    approvers: StandIns | None = None


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that is somebody's, or with `is_sure` False may be. `source` says how that was found."""

    state: StateName
    lock: LockInfo
    source: Phrase
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class UserReport:
    """A Slack user whom somebody asked for, and the locks that are his.

    `unread` counts states whose lock could not be read, `unknown` locks of which it was not found out whose they are.
    """

    member: Observation[Member]
    whereabouts: Observation[Whereabouts]
    local_time: datetime | None
    locks: tuple[HeldLock, ...]
    hours: Hours | None = None
    unread: int = 0
    unknown: int = 0
    barred: Barred | None = None


class UnlockStage(StrEnum):
    """Where a request to unlock stands. All from `RELEASED` on are its end."""

    DRY_RUN = "dry run"
    CHECKED = "checked"
    ARMED = "armed"
    RELEASING = "releasing"
    RELEASED = "released"
    ALREADY_FREE = "already free"
    HOLDER_CHANGED = "holder changed"
    HALF_RELEASED = "half released"
    STILL_THROTTLED = "still throttled"
    NOT_KNOWN = "not known"
    REFUSED = "refused"
    EXPIRED = "expired"
    DECLINED = "declined"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UnlockRequest:
    """Somebody's wish to have one lock released. Ids are Slack's; `ts` is the message that shows the request."""

    id: str
    state: str
    lock_id: str
    channel: str
    user: str
    asked_at: datetime
    reason: str = ""
    ts: str = ""
    thread: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True)
class UnlockReport:
    """The request's message. `verdict` is the newest decision; `halves` what became of each half.

    `note` is one sentence about the present step, or about the outcome. `until` is when an armed request ends, or
    when trying again ends. `tries` counts attempts to delete, `throttled` those that the store turned away because it
    was asked too often. `took` is from the request to the outcome. `by` armed it, empty if that is whoever asked.
    `approval` says who may be the second member.
    """

    request: UnlockRequest
    stage: UnlockStage
    inspection: Inspection | None
    verdict: Verdict | None
    note: Phrase = ()
    halves: tuple[HalfRelease, ...] = ()
    left: tuple[HalfKind, ...] = ()
    now_held_by: LockInfo | None = None
    approver: str = ""
    until: datetime | None = None
    tries: int = 0
    throttled: int = 0
    took: timedelta | None = None
    by: str = ""
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)


class KillStage(StrEnum):
    """Where a request to end runs stands. All from `ENDED` on are its end."""

    NOTHING = "nothing to end"
    CHOOSE = "choose"
    FOUND = "found"
    APPROVAL = "waits for a second member"
    CANCELLING = "cancelling"
    ESCALATED = "escalated"
    ENDED = "ended"
    REFUSED = "refused"
    FAILED = "failed"
    RESTARTED = "restarted"
    STILL_OFF = "still off"


class Tie(StrEnum):
    """What a run is to the lock of the state. `UNREAD`: the lock table throttles, so that nobody can tell."""

    HOLDS = "may hold the lock"
    UNREAD = "may hold the lock, whose table is throttled"
    CONTENDS = "contends for the lock"
    NO_LOCK = "no lock is held"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that kill-job can end: one run, or a loop with all its runs that are going on.

    `key` names it in a button, and nothing of another pipeline. `runs` are those going on now, newest first; a loop
    between two starts may have none.
    """

    key: str
    runs: tuple[Run, ...]
    tie: Tie
    loop: Loop | None = None

    @property
    def needs_second(self) -> bool:
        """Whether ending it wants a second member: it may be in the middle of an apply.

        A loop is what makes a table throttle, and stopping it at once is the cure, so that it is not held up by a lock
        that only the throttling hides.
        """
        return self.tie is Tie.HOLDS or (self.tie is Tie.UNREAD and self.loop is None)


@dataclass(frozen=True, slots=True)
class KillRequest:
    """Somebody's wish to have runs ended. `asked` is what he typed."""

    id: str
    state: str
    lock_id: str
    asked: str
    channel: str
    user: str
    asked_at: datetime
    reason: str = ""
    ts: str = ""
    thread: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True)
class KillReport:
    """The request's message. `targets` are what was found; `chosen` the one that is being ended.

    `progress` has each run as last read; `switched` what became of stopping the loop's source, None if not tried.
    `source` is the title of the pipeline that is being worked on. `by` wants it ended and waits, until `until`, for a
    second member.
    """

    request: KillRequest
    stage: KillStage
    targets: tuple[Target, ...] = ()
    chosen: Target | None = None
    progress: tuple[Run, ...] = ()
    switched: Switched | None = None
    note: Phrase = ()
    unseen: Phrase = ()
    source: str = ""
    by: str = ""
    until: datetime | None = None


class OwnerNews(StrEnum):
    """What an owner is told about his lock, in the order of its weight: the weightiest is the headline."""

    ASKED = "somebody asks about your lock"
    BLOCKS = "others wait for your lock"
    RUN_DIED = "your run has ended and still holds the lock"
    UNLOCK_WANTED = "somebody wants to unlock"
    RELEASED = "your lock was released"

    @property
    def weight(self) -> int:
        return list(OwnerNews).index(self)


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that the owner was told. `by` asked or acted, in `channel`; empty where the bot saw it by itself."""

    news: OwnerNews
    at: datetime
    by: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class LetterRun:
    """The run that holds the lock, as it was when the owner was told last."""

    title: str
    url: str
    phase: Phase
    conclusion: Conclusion | None = None
    ended_at: datetime | None = None


class LetterStanding(StrEnum):
    """Whether an answer is still wanted. `GONE`: the lock went away without the bot; `MOVED`: it is another's lock."""

    OPEN = "open"
    GONE = "gone"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class OwnerLetter:
    """The message to the owner of a lock, which is all that he was told about it: `history`, oldest first.

    `news` is the headline, with whoever asked and where; `link` is the address of the request's message. With `answer`
    set, what he said stands in the message, with a button to take it back or change it. `waiting` counts the runs that
    wait for the lock. `disturbs` says that he is told although he is on do-not-disturb.
    """

    news: OwnerNews
    state: StateName
    lock: LockInfo
    asker: str
    channel: str
    request: str
    run: LetterRun | None = None
    answer: OwnerAnswer | None = None
    history: tuple[Told, ...] = ()
    waiting: int = 0
    link: str = ""
    standing: LetterStanding = LetterStanding.OPEN
    disturbs: bool = False


@dataclass(frozen=True, slots=True)
class TimelineReport:
    """One page of an incident's timeline: what is to be shown of it, in the order in which it was recorded.

    `total` counts all entries that were recorded, `corrections` those that correct others and are not shown themselves;
    `hidden` are the ids of all that are hidden. `older` is the entry before which the next older page ends, `newer` the
    one behind which the next newer page begins; None where there is none. `size` is how many entries a page has.
    """

    incident: Incident
    shown: tuple[Shown, ...]
    total: int
    hidden: tuple[str, ...]
    size: int
    older: str | None = None
    newer: str | None = None
    corrections: int = 0


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction made of an entry. With `changed` False it was so already, and nothing was written down."""

    incident: Incident
    before: Shown
    after: Shown
    is_hidden: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A short answer in words: what happened, whether anything was changed, what to do next."""

    headline: str
    lines: tuple[Phrase, ...] = field(default_factory=tuple)
    reference: str = ""

"""Who holds a lock, and who can act instead, as values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core.evidence import NotFound, Observation, Unseen
from bot.core.gate.inspection import Barred, Inspection, StateName
from bot.core.hours import Hours
from bot.core.lock import LockInfo
from bot.core.people import Member, Presence, Whereabouts
from bot.core.phrase import Phrase
from bot.core.policy import ApprovalPolicy


@dataclass(frozen=True, slots=True)
class StandIn:
    """Someone who may act instead. `local_time` is None, and `at_work` too, where it is not known."""

    member: Member
    presence: Presence
    local_time: datetime | None = None
    at_work: bool | None = None


@dataclass(frozen=True, slots=True)
class StandIns:
    """Who may act instead, in the order of how soon they can. `others` are members of the channel (of the groups, where
    only they may act) that were not looked at; `missing` says why the list ends there, if it was not for their number.
    """

    people: tuple[StandIn, ...] = ()
    others: int = 0
    missing: NotFound | Unseen | None = None

    def without(self, user_id: str | None) -> StandIns:
        return replace(self, people=tuple(one for one in self.people if one.member.id != user_id))


@dataclass(frozen=True, slots=True)
class WhoReport:
    """The person behind a lock, whether they can be reached, and who can act instead.

    `stand_ins` is None where no incident channel was asked. `local_time` is at the owner's; `hours` are their working
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
    """A lock that is someone's, or with `is_sure` False may be. `source` says how that was found."""

    state: StateName
    lock: LockInfo
    source: Phrase
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class UserReport:
    """A Slack user that someone asked for, and their locks.

    `unread` counts states whose lock could not be read, `unshown` those whose backend shows it to nobody who only
    looks, `unknown` locks whose owner is not known.
    """

    member: Observation[Member]
    whereabouts: Observation[Whereabouts]
    local_time: datetime | None
    locks: tuple[HeldLock, ...]
    hours: Hours | None = None
    unread: int = 0
    unknown: int = 0
    barred: Barred | None = None
    unshown: int = 0

"""The case that the gate decides, and what it says of it: findings and a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from bot.core.gate.attribution import Attribution, PipelineSeen
from bot.core.gate.ownership import NOBODY_STARTED, Starters
from bot.core.lock import NO_ABILITIES, Abilities, LockInfo, LockSeen, StateCheck
from bot.core.people import Approval, Automatic, OwnerAnswer, OwnerSays, Standing
from bot.core.phrase import Phrase
from bot.core.policy import ApprovalPolicy, Holders, Policy


class Rule(StrEnum):
    """The checks by name, as the checklist, the timeline and `tflock_gate_refusals_total` show them: never renamed."""

    SAME_LOCK = "same lock"
    REQUESTER = "requester"
    TIED = "attributed"
    DEAD = "dead"
    SETTLED = "settled"
    QUIET = "quiet"
    WHOLE = "whole"
    DIGEST = "digest"
    OWNER = "owner"
    HUMAN_HELD = "human-held"
    PROTECTED = "protected"
    FRESH = "fresh"
    APPROVER = "approver"


class Effect(IntEnum):
    """What a finding does to the verdict; the greatest one wins."""

    HOLDS = 0
    WARNS = 1
    WANTS_APPROVAL = 2
    REFUSES = 3


class Ruling(StrEnum):
    ALLOW = "allow"
    NEEDS_APPROVAL = "needs approval"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule made of the case.

    `until` is when a refusal ends if nothing changes; `waits` says that a refusal may end without help, so that waiting
    can help, whether or not the end is known.
    """

    rule: Rule
    effect: Effect
    reason: Phrase
    until: datetime | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    ruling: Ruling
    findings: tuple[Finding, ...]

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.effect is Effect.REFUSES)

    @property
    def wants_approval(self) -> tuple[str, ...]:
        """The rules that want a second person, by name: an approval is for these and no others."""
        return tuple(str(finding.rule) for finding in self.findings if finding.effect is Effect.WANTS_APPROVAL)

    @property
    def waiting_helps(self) -> bool:
        """Whether every refusal may end without help."""
        return self.ruling is Ruling.REFUSE and bool(self.refusals) and all(f.waits for f in self.refusals)

    @property
    def until(self) -> datetime | None:
        """When all refusals end if nothing changes; None if one of them has no known end, or there are none."""
        ends = [finding.until for finding in self.refusals]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    def __getitem__(self, rule: Rule) -> Finding:
        return next(finding for finding in self.findings if finding.rule is rule)


@dataclass(frozen=True, slots=True)
class Case:
    """All evidence for one decision about one lock. `lock_id` is the lock that the user saw and confirmed.

    Where nobody asked, `requester` is `Automatic`, and only what holds on its own is allowed.
    `owner_id` is the lock's owner in Slack, where one person is known to be it beyond doubt; `starters` are those who
    started the runs that may hold the lock. `can` is what the lock's backend can do: nothing, if it is not known.
    """

    lock_id: str
    lock: LockSeen
    state: StateCheck
    looks: tuple[PipelineSeen, ...]
    attribution: Attribution
    requester: Standing | Automatic
    owner: OwnerAnswer | None
    protected: bool
    policy: Policy
    holders: Holders
    approval: Approval | None = None
    approvers: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    owner_id: str | None = None
    starters: Starters = NOBODY_STARTED
    can: Abilities = NO_ABILITIES

    @property
    def target(self) -> LockInfo | None:
        """The lock in question, if it is still there."""
        return next((info for info in self.lock.locks if info.id == self.lock_id), None)

    @property
    def evidence_times(self) -> tuple[datetime, ...]:
        """When each of the questions was asked whose answers this case rests on."""
        looked = [seen.at for look in self.looks for seen in look.observations]
        asked = [seen.at for seen in self.requester.observations]
        runs = [candidate.seen.at for candidate in self.attribution.possible]
        return (self.lock.at, self.state.state.at, *looked, *asked, *runs)

    @property
    def owner_says_dead(self) -> bool:
        """Whether the owner of this lock says so; not the person who was taken for them, and nobody where it is not
        certain.
        """
        answer = self.owner
        if answer is None or answer.lock_id != self.lock_id or answer.says is not OwnerSays.DEAD:
            return False
        return self.owner_id == answer.owner_id

    @property
    def is_tied_exactly(self) -> bool:
        """Whether it is known which run has the lock, by more than the time."""
        return self.attribution.is_exact

    @property
    def from_ci(self) -> bool:
        """Whether a job holds it: a tie shows that, or its `Who` is one that no person's machine has."""
        target = self.target
        if self.is_tied_exactly:
            return True
        who = "" if target is None else target.who
        return self.holders.looks_like_ci(who) or self.holders.run_id_in(who) is not None

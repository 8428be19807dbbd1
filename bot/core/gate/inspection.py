"""Everything that one look at a state brought, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.evidence import NotFound, Unseen
from bot.core.gate.attribution import Attribution, PipelineSeen
from bot.core.gate.contention import Contention, Loop
from bot.core.lock import NO_ABILITIES, Abilities, LockInfo, LockSeen, StateCheck, TableSeen
from bot.core.phrase import Phrase
from bot.core.run import Run


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
    """The person behind a lock. `slack_id` is None if Slack does not know them; `source` says how they were found.

    Someone whom Slack knows, but who gets no messages, has no `slack_id`: `account` is their id there and
    `barred` says why. `is_certain` is False where the evidence is good enough to ask them, but not to act on their
    word.
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

    `active` are all active runs, newest first; `loops` are with the state whose pipeline loops, most starts first.
    `unseen` are lists of runs that could not be read.
    """

    states: tuple[str, ...]
    active: tuple[Run, ...]
    loops: tuple[tuple[str, Loop], ...]
    unseen: tuple[NotFound | Unseen, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that one look at a state brought.

    `lock` is the lock in question (the oldest of two), None if the state is free or cannot be read;
    `attribution` is None exactly if there is no such lock. `table` is None for a state without a lock table; `crowd`
    is looked for only when the table throttled the reading of the lock.

    `owner` is the one person whose lock it is; where that is not known, `owners` are those who it may be. `can` is what
    the state's backend can do.
    """

    state: StateName
    seen: LockSeen
    check: StateCheck
    looks: tuple[PipelineSeen, ...]
    lock: LockInfo | None
    attribution: Attribution | None
    contention: Contention
    owner: Owner | None
    at: datetime
    table: TableSeen | None = None
    crowd: Crowd | None = None
    owners: tuple[Owner, ...] = ()
    can: Abilities = NO_ABILITIES

    @property
    def is_throttled(self) -> bool:
        """Whether the lock table refuses requests, the bot's own or, recently, anyone's."""
        return self.seen.is_throttled or (self.table is not None and self.table.has_refused)

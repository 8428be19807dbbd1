"""A request to end runs, and its message, as values."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.gate.contention import Loop
from bot.core.gate.ownership import NOBODY_STARTED, Starters
from bot.core.gate.stages import KillStage
from bot.core.phrase import Phrase
from bot.core.run import Pipeline, Run, Switched


class Stake(StrEnum):
    """What a run is to the lock of the state. `UNREAD`: the lock table throttles, so that nobody can tell."""

    HOLDS = "may hold the lock"
    UNREAD = "may hold the lock, whose table is throttled"
    CONTENDS = "contends for the lock"
    NO_LOCK = "no lock is held"


_WEIGHT = (Stake.NO_LOCK, Stake.CONTENDS, Stake.UNREAD, Stake.HOLDS)


@dataclass(frozen=True, slots=True)
class StateStake:
    """What runs are to the lock of one state that their pipeline is mapped to. `lock_ids` are those that were read.

    `owner_id` and `starters` are for the policy of that state's approvals.
    """

    state: str
    tie: Stake
    protected: bool = False
    lock_ids: tuple[str, ...] = ()
    owner_id: str | None = None
    starters: Starters = NOBODY_STARTED

    def demands(self, *, is_loop: bool) -> frozenset[str]:
        """Why ending the runs wants a second person, as words to be compared; empty if it does not.

        A loop is what makes a table throttle, and stopping it at once is the cure, so that it is not held up by a lock
        that only the throttling hides.
        """
        if self.tie is Stake.HOLDS or (self.tie is Stake.UNREAD and not is_loop):
            return frozenset(f"holds {self.state} {lock_id}" for lock_id in self.lock_ids or ("",))
        return frozenset()


def strongest(ties: Iterable[StateStake]) -> Stake:
    """What the runs are to the locks of all these states together."""
    return max((tie.tie for tie in ties), key=_WEIGHT.index, default=Stake.NO_LOCK)


def not_covered(ties: Iterable[StateStake], covers: Collection[str], *, is_loop: bool) -> tuple[StateStake, ...]:
    """The states for which the runs want a consent that was not given. `covers` is what was consented to.

    A consent for a lock that could not be read is one for any lock that is there; and where one was given, a lock
    that cannot be read now is taken for that one.
    """
    return tuple(tie for tie in ties if any(not _is_covered(asked, tie.state, covers)
                                            for asked in tie.demands(is_loop=is_loop)))  # fmt: skip


def _is_covered(asked: str, state: str, covers: Collection[str]) -> bool:
    unread = f"holds {state} "
    return asked in covers or (asked.startswith(unread) and unread in covers) or (
        asked == unread and any(given.startswith(unread) for given in covers)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class KillTarget:
    """Something that kill-job can end: one run, or a loop with all its active runs.

    `key` names it in a button, and nothing of another pipeline. `runs` are those active now, newest first; a loop
    between two starts may have none. `ties` has every state that the pipeline is mapped to; `tie` the strongest.
    """

    key: str
    runs: tuple[Run, ...]
    tie: Stake
    loop: Loop | None = None
    ties: tuple[StateStake, ...] = ()

    @property
    def pipeline(self) -> Pipeline:
        return self.loop.pipeline if self.loop is not None else self.runs[0].ref.pipeline

    @property
    def demands(self) -> frozenset[str]:
        """Why ending it wants a second person, over all states: the strictest counts."""
        ties = self.ties or (StateStake("", self.tie),)
        return frozenset().union(*(tie.demands(is_loop=self.loop is not None) for tie in ties))

    @property
    def needs_second(self) -> bool:
        """Whether ending it wants a second person: it may be in the middle of an apply."""
        return bool(self.demands)

    @property
    def demanding(self) -> tuple[StateStake, ...]:
        """The states whose policy says who may be the second person, where one is wanted: the protected ones, too."""
        is_loop = self.loop is not None
        return tuple(tie for tie in self.ties if self.needs_second and (tie.protected or tie.demands(is_loop=is_loop)))


@dataclass(frozen=True, slots=True)
class KillRequest:
    """Someone asks to have runs ended. `asked` is what they typed."""

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
    second person.
    """

    request: KillRequest
    stage: KillStage
    targets: tuple[KillTarget, ...] = ()
    chosen: KillTarget | None = None
    progress: tuple[Run, ...] = ()
    switched: Switched | None = None
    note: Phrase = ()
    unseen: Phrase = ()
    source: str = ""
    by: str = ""
    until: datetime | None = None

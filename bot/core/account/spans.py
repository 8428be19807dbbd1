"""What lasted: locks, runs and loops, put together from the single looks in the entries.

Looks come in the order of the chain. What could not be read of one is empty (`bot.core.codec`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from bot.core.account.values import LockEnd, LockSpan, LoopSpan, Role, RunSpan
from bot.core.record.evidence import Evidence, HolderFacts, LockFacts, LoopFacts, OwnerFacts, RunFacts, SeenFacts
from bot.core.run import Phase

_MOST_LOCKS = 5_000
_MOST_RUNS = 5_000
_MOST_LOOPS = 1_000
"""More than any incident has: they keep a hostile export from filling the memory."""


@dataclass(slots=True)
class _Lock:
    state: str
    id: str
    who: str
    operation: str
    since: datetime
    last_seen: datetime
    gone_at: datetime | None = None
    end: LockEnd = LockEnd.HELD
    owner: str = ""
    owner_id: str = ""
    human_held: bool = False

    def ends(self, at: datetime, end: LockEnd) -> None:
        """The first look that did not find it says when; a release says how, even if someone looked before that."""
        if self.gone_at is None:
            self.gone_at = max(at, self.last_seen) if end is not LockEnd.RELEASED else at
        if self.end is not LockEnd.RELEASED:
            self.end = end

    def stands(self, at: datetime) -> None:
        self.last_seen = max(self.last_seen, at)
        if self.gone_at is not None and at > self.gone_at and self.end is not LockEnd.RELEASED:
            self.gone_at, self.end = None, LockEnd.HELD


@dataclass(slots=True)
class Locks:
    """The locks of an incident, by state and lock id."""

    _all: dict[tuple[str, str], _Lock] = field(default_factory=dict)
    _standing: dict[str, set[str]] = field(default_factory=dict)

    def sees(self, state: str, seen: SeenFacts, at: datetime) -> None:
        """One look at where a state's lock is."""
        for lock in seen.locks:
            self.stands(state, lock, at)
        there = {lock.id for lock in seen.locks}
        unread = seen.unseen or any(not held.lock_id for held in seen.held)
        if unread or not (there or seen.free):
            return
        for lock_id in self._standing.get(state, set()) - there:
            if self._all[state, lock_id].last_seen <= at:
                self.ends(state, lock_id, at, LockEnd.REPLACED if there else LockEnd.GONE)

    def belongs(self, state: str, lock_id: str, owner: OwnerFacts | None, *, human_held: bool) -> None:
        """Who holds a lock, by the newest look that knew anyone."""
        lock = self._all.get((state, lock_id))
        if lock is None:
            return
        lock.human_held = human_held
        if owner is not None and owner.name:
            lock.owner, lock.owner_id = owner.name, owner.slack_id or ""

    def stands(self, state: str, lock: LockFacts, at: datetime) -> None:
        """One lock, as a look found it or as something that was about to happen to it names it."""
        known = self._all.get((state, lock.id))
        if known is not None:
            known.stands(at)
        elif lock.id and len(self._all) < _MOST_LOCKS:
            known = _Lock(state, lock.id, lock.who, lock.operation, since=lock.created or at, last_seen=at)
            self._all[state, lock.id] = known
        if known is not None and known.gone_at is None:
            self._standing.setdefault(state, set()).add(lock.id)

    def ends(self, state: str, lock_id: str, at: datetime, end: LockEnd) -> None:
        lock = self._all.get((state, lock_id))
        if lock is not None:
            lock.ends(at, end)
            self._standing.get(state, set()).discard(lock_id)

    def spans(self) -> tuple[LockSpan, ...]:
        """Oldest first."""
        spans = (
            LockSpan(
                state=lock.state, lock_id=lock.id, who=lock.who, operation=lock.operation, since=lock.since,
                until=max(lock.since, lock.gone_at or lock.last_seen), end=lock.end, owner=lock.owner,
                owner_id=lock.owner_id, human_held=lock.human_held,
            )
            for lock in self._all.values()
        )  # fmt: skip
        return tuple(sorted(spans, key=lambda span: (span.since, span.state, span.lock_id)))


_Key: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run as last read."""

    span: RunSpan
    read_at: datetime


@dataclass(slots=True)
class Runs:
    """The runs of an incident, by state, pipeline and id. What may hold a lock stays a holder."""

    _all: dict[_Key, _Seen] = field(default_factory=dict)
    _going: dict[str, set[_Key]] = field(default_factory=dict)

    def hold(self, state: str, lock_id: str, holder: HolderFacts | None, at: datetime) -> None:
        """The runs that are tied to a lock, and how."""
        if holder is not None:
            for run in holder.runs:
                self._read(state, run, at, Role.HOLDER, strength=holder.strength or None, lock_id=lock_id)

    def contend(self, state: str, evidence: Evidence, at: datetime) -> None:
        """The runs that want the lock at one look; who was among them before and is not now has ended meanwhile."""
        self.are_read(state, evidence.contending, at)
        if evidence.contenders == len(evidence.contending):
            self._others_ended(state, at)

    def are_read(self, state: str, runs: Iterable[RunFacts], at: datetime) -> None:
        """Runs that were read again, whatever they are to a lock."""
        for run in runs:
            self._read(state, run, at, Role.CONTENDER)

    def spans(self) -> tuple[RunSpan, ...]:
        """Oldest first."""
        spans = (seen.span for seen in self._all.values())
        return tuple(sorted(spans, key=lambda span: (span.since, span.pipeline, span.run_id)))

    def _read(
        self, state: str, run: RunFacts, at: datetime, role: Role, *, strength: str | None = None, lock_id: str = ""
    ) -> None:
        key = state, run.pipeline, run.id
        known = self._all.get(key)
        if not run.id or (known is None and len(self._all) >= _MOST_RUNS):
            return
        if known is not None and known.span.role is Role.HOLDER and role is Role.CONTENDER:
            role, strength, lock_id = Role.HOLDER, known.span.strength, known.span.lock_id
        ended = run.phase == Phase.ENDED
        since, until = run.started_at or at, run.ended_at or at
        span = RunSpan(
            state=state, pipeline=run.pipeline, run_id=run.id, url=run.url, attempt=run.attempt or 1, actor=run.actor,
            role=role, since=since, until=max(since, until) if ended else None,
            conclusion=run.conclusion or None if ended else None, strength=strength, system=run.system, lock_id=lock_id,
        )  # fmt: skip
        self._all[key] = _Seen(span, at)
        going = self._going.setdefault(state, set())
        (going.discard if ended or role is Role.HOLDER else going.add)(key)

    def _others_ended(self, state: str, at: datetime) -> None:
        going = self._going.get(state, set())
        for key in [key for key in going if self._all[key].read_at < at]:
            span = self._all[key].span
            self._all[key] = _Seen(replace(span, until=max(span.since, at)), at)
            going.discard(key)


@dataclass(slots=True)
class Loops:
    """The pipelines that were started again and again. One that comes back after it was stopped is another loop."""

    _all: dict[str, list[LoopSpan]] = field(default_factory=dict)
    _count: int = 0

    def sees(self, state: str, loop: LoopFacts, at: datetime) -> None:
        if not loop.pipeline:
            return
        known = self._all.get(loop.pipeline, [])
        last, since, starts = loop.last or at, loop.since or at, max(loop.total, loop.starts)
        stopped_at = known[-1].stopped_at if known else None
        if known and (stopped_at is None or since <= stopped_at):
            known[-1] = _longer(known[-1], loop, last, starts)
        elif self._count < _MOST_LOOPS:
            self._count += 1
            self._all.setdefault(loop.pipeline, known).append(
                LoopSpan(
                    state=state, pipeline=loop.pipeline, source=loop.source, actor=loop.actor, since=min(since, last),
                    last_seen=last, starts=starts, every=loop.every, system=loop.system,
                )
            )  # fmt: skip

    def stops(self, pipeline: str, at: datetime) -> None:
        """All its runs were seen to end, and its source was stopped."""
        known = self._all.get(pipeline)
        if known and known[-1].stopped_at is None:
            known[-1] = replace(known[-1], stopped_at=at)

    def spans(self) -> tuple[LoopSpan, ...]:
        """Oldest first."""
        return tuple(sorted((s for spans in self._all.values() for s in spans), key=lambda s: (s.since, s.pipeline)))


def _longer(span: LoopSpan, loop: LoopFacts, last: datetime, starts: int) -> LoopSpan:
    """The loop with what a later look knows: only ever longer, so that looks in any order say the same."""
    return replace(
        span, since=min(span.since, loop.since or span.since, last), last_seen=max(span.last_seen, last),
        starts=max(span.starts, starts), every=loop.every or span.every, source=loop.source or span.source,
        actor=loop.actor or span.actor, system=loop.system or span.system,
    )  # fmt: skip

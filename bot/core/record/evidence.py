"""What an entry records of locks, runs and verdicts: the JSON inside facts, as values, with keys that stay.

An entry is kept below about 16 kB: of long lists the first are written, and how many there were. `of` makes a value
from what was seen; `bot.core.codec` writes and reads it, so that whatever is read may be missing or empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from bot.core.evidence import Found, NotFound, Observation
from bot.core.gate.attribution import Attribution
from bot.core.gate.case import Effect, Finding, Ruling, Verdict
from bot.core.gate.contention import Loop, source_of
from bot.core.gate.inspection import Crowd, Inspection, Owner
from bot.core.lock import (
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceRelease,
    ReleaseResult,
    StateCheck,
    StateSeen,
)
from bot.core.phrase import plain
from bot.core.run import Run

_MOST_HOLDERS = 10
_MOST_CONTENDERS = 20
_MOST_LOOPS = 5
_MOST_SHARING = 20
_LONGEST = 200
"""Characters of a text that a CI or a store wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFacts:
    id: str
    operation: str
    who: str
    created: datetime | None
    version: str
    path: str

    @classmethod
    def of(cls, lock: LockInfo) -> Self:
        return cls(
            id=lock.id, operation=lock.operation, who=lock.who, created=lock.created, version=lock.version,
            path=lock.path,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFacts:
    """A place with something in it. `lock_id` is None where that is not lock info."""

    half: str
    lock_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadFacts:
    half: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFacts:
    """One look at the places of a state's lock."""

    held: tuple[HeldFacts, ...]
    free: tuple[str, ...]
    unseen: tuple[UnreadFacts, ...]
    locks: tuple[LockFacts, ...]

    @classmethod
    def of(cls, seen: LockSeen) -> Self:
        return cls(
            held=tuple(
                HeldFacts(half=place.kind, lock_id=place.info.id if place.info else None) for place in seen.held
            ),
            free=seen.free,
            unseen=tuple(UnreadFacts(half=kind, why=trouble_words(why)) for kind, why in seen.unseen),
            locks=tuple(map(LockFacts.of, seen.locks)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """`conclusion` is a word of `bot.core.run.Conclusion`; None while the run is active."""

    ci: str
    system: str
    pipeline: str
    id: str
    url: str
    attempt: int
    actor: str
    trigger: str
    phase: str
    conclusion: str | None
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, run: Run) -> Self:
        return cls(
            ci=run.ref.pipeline.ci,
            system=run.ref.pipeline.system,
            pipeline=run.ref.pipeline.title[:_LONGEST],
            id=run.ref.id,
            url=run.ref.url[:_LONGEST],
            attempt=run.attempt,
            actor=run.actor[:_LONGEST],
            trigger=run.trigger[:_LONGEST],
            phase=run.phase,
            conclusion=run.conclusion or None,
            started_at=run.started_at or run.created_at,
            ended_at=run.ended_at,
        )

    @classmethod
    def of_all(cls, runs: Sequence[Run]) -> tuple[Self, ...]:
        """The first of the runs, as many as an entry takes."""
        return tuple(map(cls.of, runs[:_MOST_CONTENDERS]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFacts:
    """`state` is only given for a loop around a table that states share."""

    ci: str
    system: str
    pipeline: str
    starts: int
    total: int
    since: datetime | None
    last: datetime | None
    every: timedelta
    source: str
    actor: str
    trigger: str
    state: str = ""

    @classmethod
    def of(cls, loop: Loop) -> Self:
        return cls(
            ci=loop.pipeline.ci,
            system=loop.pipeline.system,
            pipeline=loop.pipeline.title[:_LONGEST],
            starts=loop.starts,
            total=loop.total,
            since=loop.since,
            last=loop.last,
            every=loop.every,
            source=source_of(loop),
            actor=loop.actor[:_LONGEST],
            trigger=loop.trigger[:_LONGEST],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFacts:
    rule: str
    effect: str
    reason: Annotated[str, 10_000]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictFacts:
    ruling: str
    until: datetime | None
    findings: tuple[FindingFacts, ...]

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        found = (
            FindingFacts(rule=one.rule, effect=one.effect.name.lower(), reason=plain(one.reason))
            for one in verdict.findings
        )
        return cls(ruling=verdict.ruling, until=verdict.until, findings=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class StateUnread:
    unseen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAway:
    absent: bool
    traces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """`digest` is a word of `bot.core.lock.DigestMatch`."""

    serial: int | None
    lineage: str | None
    size: int
    last_written: datetime | None
    fault: str | None
    digest: str
    digest_key: str | None
    digest_item: str | None
    digest_actual: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderFacts:
    """The runs that may hold the lock. `strength` and `tie` are words of `bot.core.gate.attribution`.

    Entries from before ties were recorded have none.
    """

    strength: str | None
    reason: str
    candidates: int
    runs: tuple[RunFacts, ...]
    unseen: tuple[str, ...]
    tie: str | None = None
    ruled_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, tied: Attribution) -> Self:
        return cls(
            strength=tied.strength or None,
            reason=plain(tied.reason),
            candidates=len(tied.candidates),
            runs=tuple(RunFacts.of(candidate.run) for candidate in tied.candidates[:_MOST_HOLDERS]),
            unseen=tuple(trouble_words(seen)[:_LONGEST] for seen in tied.unseen[:_MOST_LOOPS]),
            tie=tied.tie or None,
            ruled_out=tuple(plain(why)[:_LONGEST] for why in tied.ruled_out[:_MOST_LOOPS]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerFacts:
    name: str
    slack_id: str | None
    source: str

    @classmethod
    def of(cls, owner: Owner) -> Self:
        return cls(name=owner.name, slack_id=owner.slack_id, source=plain(owner.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryFacts:
    enabled: bool
    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What DynamoDB could not be asked for is None."""

    name: str
    throttled: bool
    billing: str | None
    read_units: int | None
    write_units: int | None
    ttl: ExpiryFacts | None
    refused: int | None

    @classmethod
    def of(cls, inspection: Inspection) -> Self | None:
        table = inspection.table
        if table is None:
            return None
        capacity = table.capacity.value if isinstance(table.capacity, Found) else None
        ttl = table.ttl.value if isinstance(table.ttl, Found) else None
        return cls(
            name=table.name,
            throttled=inspection.is_throttled,
            billing=capacity.billing if capacity else None,
            read_units=capacity.read_units if capacity else None,
            write_units=capacity.write_units if capacity else None,
            ttl=ExpiryFacts(enabled=ttl.enabled, attribute=ttl.attribute) if ttl else None,
            refused=table.refused.value.total if isinstance(table.refused, Found) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdFacts:
    """Who asks a table that throttles, over all states that share it."""

    states: tuple[str, ...]
    active: int
    loops: tuple[LoopFacts, ...]

    @classmethod
    def of(cls, crowd: Crowd) -> Self:
        return cls(
            states=crowd.states[:_MOST_SHARING],
            active=len(crowd.active),
            loops=tuple(replace(LoopFacts.of(loop), state=state) for state, loop in crowd.loops[:_MOST_LOOPS]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on. `contending` are the first of the `contenders`."""

    state: str
    seen_at: datetime | None
    lock_id: str | None
    lock: SeenFacts
    state_object: StateUnread | StateAway | StateFacts
    holder: HolderFacts | None
    owner: OwnerFacts | None
    contenders: int | None
    contending: tuple[RunFacts, ...]
    loops: tuple[LoopFacts, ...]
    table: TableFacts | None
    crowd: CrowdFacts | None

    @classmethod
    def of(cls, inspection: Inspection) -> Self:
        tied, owner, crowd = inspection.attribution, inspection.owner, inspection.crowd
        return cls(
            state=inspection.state.name,
            seen_at=inspection.at,
            lock_id=None if inspection.lock is None else inspection.lock.id,
            lock=SeenFacts.of(inspection.seen),
            state_object=_state_object(inspection.check),
            holder=None if tied is None else HolderFacts.of(tied),
            owner=None if owner is None else OwnerFacts.of(owner),
            contenders=len(inspection.contention.active),
            contending=RunFacts.of_all(inspection.contention.active),
            loops=tuple(map(LoopFacts.of, inspection.contention.loops[:_MOST_LOOPS])),
            table=TableFacts.of(inspection),
            crowd=None if crowd is None else CrowdFacts.of(crowd),
        )


def _state_object(check: StateCheck) -> StateUnread | StateAway | StateFacts:
    seen = check.state
    if not isinstance(seen, Found):
        return StateUnread(unseen=trouble_words(seen))
    if not isinstance(seen.value, StateSeen):
        return StateAway(absent=True, traces=seen.value.traces)
    return StateFacts(
        serial=seen.value.serial,
        lineage=seen.value.lineage,
        size=seen.value.size,
        last_written=seen.value.last_written,
        fault=seen.value.fault,
        digest=check.digest.match,
        digest_key=check.digest.key,
        digest_item=check.digest.item,
        digest_actual=check.digest.actual,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFacts:
    """What became of one place in a release."""

    half: str
    place: str
    result: str
    detail: str

    @classmethod
    def of(cls, part: PlaceRelease) -> Self:
        return cls(half=part.place.kind, place=part.place.where, result=part.result, detail=part.detail)

    @property
    def release(self) -> PlaceRelease:
        """What it was made of, without the lock that was there."""
        place = LockPlace(PlaceKind(self.half), self.place, fence="", info=None)
        return PlaceRelease(place, ReleaseResult(self.result), self.detail)


def verdict_words(state: str, verdict: Verdict) -> str:
    """The verdict as a sentence of the timeline."""
    if verdict.ruling is Ruling.ALLOW:
        count, warned = len(verdict.findings), [f for f in verdict.findings if f.effect is not Effect.HOLDS]
        if not warned:
            return f"{state} may be unlocked: all {count} checks hold"
        holding = f"{count - len(warned)} of {count} checks hold, and none forbids it ({_reasons(warned)})"
        return f"{state} may be unlocked: {holding}"
    if verdict.ruling is Ruling.NEEDS_APPROVAL:
        asked = (finding for finding in verdict.findings if finding.effect is Effect.WANTS_APPROVAL)
        return f"{state} may be unlocked if a second person approves: {_reasons(asked)}"
    yet = " yet" if verdict.waiting_helps else ""
    return f"{state} may not be unlocked{yet}: {_reasons(verdict.refusals)}"


def _reasons(findings: Iterable[Finding]) -> str:
    return "; ".join(plain(finding.reason) for finding in findings)


def trouble_words(seen: Observation[Any]) -> str:
    """What a look-up without an answer said."""
    if isinstance(seen, Found):
        return ""
    return f"not found: {seen.what}" if isinstance(seen, NotFound) else f"{seen.trouble}: {seen.detail}"

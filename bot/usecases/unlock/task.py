"""One unlock being carried out, as its record in Redis says."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from bot.core.lock import PlaceKind, PlaceRelease, ReleaseResult
from bot.core.people import BOT
from bot.core.reports.unlock import UnlockRequest
from bot.usecases.decide.weigh import Consent, Decision, weigh
from bot.usecases.request.record import UNLOCKS, RequestPhase, UnlockRecord
from bot.usecases.request.steps import UNDER_WAY
from bot.usecases.world import State, World

_CARRIED_OUT = UNDER_WAY | {RequestPhase.SETTLED}


@dataclass(frozen=True, slots=True)
class Task:
    """One request being carried out. `by` is who confirmed or armed it: the requester for the gate.

    `round` distinguishes one confirmation of a request from the next. `sent` is set if a delete may have reached the
    store, `intended` are the places that held it before the first was sent, `deleted` those that the store deleted for
    us. `until` is set if it was armed.
    """

    request: UnlockRequest
    state: State
    phase: RequestPhase
    by: str
    consent: Consent | None
    began: datetime
    round: str
    sent: bool
    intended: tuple[PlaceKind, ...]
    until: datetime | None
    record: UnlockRecord
    deleted: frozenset[PlaceKind] = frozenset()

    @property
    def is_automatic(self) -> bool:
        """Whether nobody asked: a click of someone on its message makes it theirs."""
        return self.by == BOT

    @property
    def is_armed(self) -> bool:
        return self.until is not None and self.phase in {
            RequestPhase.ARMED,
            RequestPhase.RELEASING,
            RequestPhase.SETTLED,
        }

    def is_partly_gone(self, left: Collection[PlaceKind], unknown: Collection[PlaceKind] = ()) -> bool:
        """Whether some of the places that we set out to delete are known to be gone, and some to be left."""
        gone = [kind for kind in self.intended if kind not in left and (kind not in unknown or kind in self.deleted)]
        return bool(left and gone)


async def load(world: World, request_id: str) -> Task | None:
    """The request as it is now; None if there is nothing (more) to be carried out for it. Raises JournalAway."""
    return task_of(world, await UNLOCKS.get(world, request_id))


def task_of(world: World, record: UnlockRecord | None) -> Task | None:
    """As `load`, of a record that was read."""
    if record is None or record.phase not in _CARRIED_OUT:
        return None
    request = record.request
    began = max(at for at in (record.armed_at, record.confirmed_at, request.asked_at) if at is not None)
    return Task(
        request=request,
        state=world.state_at(request.state, record.place),
        phase=record.phase,
        by=record.asker,
        consent=_consent(record),
        began=began,
        round=began.isoformat(),
        sent=record.sent,
        intended=record.intended,
        until=record.until,
        record=record,
        deleted=deleted_in(half.release for half in record.halves),
    )


def deleted_in(places: Iterable[PlaceRelease]) -> frozenset[PlaceKind]:
    return frozenset(part.place.kind for part in places if part.result is ReleaseResult.RELEASED)


def _consent(record: UnlockRecord) -> Consent | None:
    if not record.approver or record.approved_at is None:
        return None
    return Consent(record.approver, record.request.lock_id, record.approved_at, frozenset(record.covers))


async def decide_on(world: World, task: Task) -> Decision:
    """Everything looked at afresh, and a decision on the task's lock. Raises JournalAway."""
    request = task.request
    return await weigh(
        world, task.state, lock_id=request.lock_id, user=task.by, channel=request.channel, consent=task.consent
    )


def fingerprint(decision: Decision) -> str:
    """Short for what was decided, so that the same verdict is written down once however often it is reached."""
    blocking = [str(finding.rule) for finding in decision.verdict.refusals]
    return "+".join([str(decision.verdict.ruling), *blocking])

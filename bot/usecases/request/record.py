"""Requests of people that outlive a process: written to Redis before anything is done about them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import structlog

from bot.core.codec import Inline
from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.lock import PlaceKind
from bot.core.people import BOT
from bot.core.record.evidence import LockFacts, PlaceFacts
from bot.core.reports.in_flight import Flight
from bot.core.reports.kill import KillReport, KillRequest
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.core.run import Pipeline, SwitchResult
from bot.errors import Final
from bot.ports.messenger import Messenger, Posted
from bot.usecases.outbox import Outgoing, post_once
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

REQUEST_TTL = timedelta(days=7)


class RequestPhase(StrEnum):
    """How far a request has come.

    `RELEASING` is written before the first delete. From `SETTLED` on the outcome is fixed, and still has to be shown.
    """

    SHOWN = "shown"
    CONFIRMED = "confirmed"
    APPROVAL = "approval"
    ARMED = "armed"
    RELEASING = "releasing"
    SETTLED = "settled"
    DONE = "done"


_UNLOCK_FLIGHTS = {
    RequestPhase.CONFIRMED: Flight.CONFIRMED,
    RequestPhase.APPROVAL: Flight.APPROVAL,
    RequestPhase.ARMED: Flight.ARMED,
    RequestPhase.RELEASING: Flight.RELEASING,
    RequestPhase.SETTLED: Flight.FINISHING,
}
_KILL_FLIGHTS = {
    **dict.fromkeys(_UNLOCK_FLIGHTS, Flight.CANCELLING),
    RequestPhase.APPROVAL: Flight.APPROVAL,
    RequestPhase.SETTLED: Flight.FINISHING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockRecord:
    """A request to unlock, and how far it has come. `by` confirmed or armed it, empty before that.

    An automatic one is armed by the bot and carried out `not_before` people had time to stop it.
    `click` is the delivery that brought it to its phase, empty where none did. An armed one was checked `ticks` times.
    `place` is where the state was when it was asked for, empty in records of before.
    `wanted` are the findings that a second person was asked to approve, `covers` those that were approved. `sent` is
    set if a delete may have reached the store, `intended` are the places that held it before the first was sent. `hold`
    names the hold that this confirmation swaps the lock for. `untold` is what a look has found and its message may not
    show yet: `withdrawn`, or `changed`.
    """

    request: Annotated[UnlockRequest, Inline()]
    phase: RequestPhase = RequestPhase.SHOWN
    place: str = ""
    when_safe: bool = False
    wanted: tuple[str, ...] = ()
    shown_again: bool = False
    by: str = ""
    click: str = ""
    ticks: int = 0
    confirmed_at: datetime | None = None
    armed_at: datetime | None = None
    not_before: datetime | None = None
    until: datetime | None = None
    countdown: str = ""
    countdown_at: datetime | None = None
    hush_until: datetime | None = None
    approval_at: datetime | None = None
    approver: str = ""
    approved_at: datetime | None = None
    covers: tuple[str, ...] = ()
    sent: bool = False
    owner: str = ""
    intended: tuple[PlaceKind, ...] = ()
    lock: LockFacts | None = None
    outcome: UnlockStage | None = None
    note: str = ""
    left: tuple[PlaceKind, ...] = ()
    halves: tuple[PlaceFacts, ...] = ()
    outcome_approver: str = ""
    tries: int | None = None
    throttled: int | None = None
    took: timedelta | None = None
    hold: str = ""
    untold: str = ""

    @property
    def asker(self) -> str:
        """The requester for the gate."""
        return self.by or self.request.user

    @property
    def flight(self) -> Flight | None:
        """How far it has come, if it is being carried out or waits for someone; else None."""
        is_asked = self.phase is RequestPhase.SHOWN and bool(self.wanted)
        return Flight.APPROVAL if is_asked else _UNLOCK_FLIGHTS.get(self.phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillRecord:
    """A request to end runs, and how far it has come. `by` clicked, and `key` names what on.

    `click` is the delivery of that click. `ci`, `system` and `fields` are the pipeline, `runs` the ids of its runs that
    are ended, `cancelled` and `forced` those that were asked to end. `listed` once the runs that the loop had started
    by then were added.
    """

    request: Annotated[KillRequest, Inline()]
    phase: RequestPhase = RequestPhase.SHOWN
    by: str = ""
    click: str = ""
    key: str = ""
    stop: bool = False
    approval_at: datetime | None = None
    approver: str = ""
    confirmed_at: datetime | None = None
    ci: str = ""
    system: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    runs: tuple[str, ...] = ()
    switched: SwitchResult | None = None
    switched_detail: str = ""
    listed: bool = False
    cancelled: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    restarted: bool = False
    covers: tuple[str, ...] | None = None

    @property
    def agreed(self) -> frozenset[str]:
        """Whose locks the runs may hold, as two members agreed; a record of before has the one that was asked for."""
        if self.covers is None and (self.approver or self.phase is RequestPhase.APPROVAL):
            return frozenset({f"holds {self.request.state} {self.request.lock_id}"})
        return frozenset(self.covers or ())

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.ci, self.fields, self.system)

    @property
    def asker(self) -> str:
        """Who clicked, or else who asked."""
        return self.by or self.request.user

    @property
    def flight(self) -> Flight | None:
        """As of an unlock."""
        return _KILL_FLIGHTS.get(self.phase)

    @property
    def waits_since(self) -> datetime | None:
        """When someone clicked on what needs a second person; None if nobody waits for one."""
        return self.approval_at if self.phase is RequestPhase.APPROVAL else None


def _earlier_kill(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Earlier versions wrote lists as one text."""
    lists = {name: found[name].split() for name in ("runs", "cancelled", "forced") if isinstance(found.get(name), str)}
    if isinstance(text := found.get("fields"), str):
        lists["fields"] = [line.split("\t", 1) for line in text.split("\n") if line]
    return {**found, **lists}


UNLOCKS = Shelf("unlock", UnlockRecord, REQUEST_TTL)
KILLS = Shelf("kill", KillRecord, REQUEST_TTL, earlier=_earlier_kill)

_MOST_REQUESTS = 1000
_OF_A_STATE = "state-requests"
_SKEW = timedelta(hours=1)
"""How far the clock of the process that took the request may be ahead."""


def id_of(world: World, delivery: str) -> str:
    """The id of a new request: the same for the same delivery, so that a process that takes it up finds the request."""
    return hashlib.sha256(delivery.encode()).hexdigest()[:10] if delivery else world.new_id()


def is_done(record: UnlockRecord | None) -> bool:
    """Whether it is kept of the request that it is over."""
    return record is not None and record.phase is RequestPhase.DONE


async def unlocks_of(world: World, incident: str, *, state: str, lock_id: str) -> tuple[UnlockRequest, ...]:
    """The requests of this incident to unlock exactly this lock that are not done with. Raises JournalAway."""
    named = [name.partition("/") for name in await _listed(world, incident)] if incident else []
    found = await UNLOCKS.get_all(world, [request for kind, _, request in named if kind == "unlock"])
    return tuple(
        record.request
        for record in found.values()
        if (record.request.state, record.request.lock_id) == (state, lock_id) and record.phase is not RequestPhase.DONE
    )


async def _listed(world: World, of: str, kind: str = "requests", *, within: timedelta = REQUEST_TTL) -> tuple[str, ...]:
    now = world.clock.now()
    return await world.records.enlisted(kind, of, since=now - within, until=now + _SKEW, limit=_MOST_REQUESTS)


Flying: TypeAlias = tuple[UnlockRecord | KillRecord, Flight]
"""A request that is being carried out or waits for someone, and how far it is."""


async def at_work(world: World, incident: str, *, within: timedelta = REQUEST_TTL) -> tuple[Flying, ...]:
    """The unlocks and kills of this incident that are confirmed, wait for approval, are armed or run.

    Those that were asked for `within` that time, the newest first. Raises JournalAway.
    """
    return await _flying(world, await _listed(world, incident, within=within))


async def at_work_on(world: World, state: str) -> tuple[Flying, ...]:
    """As `at_work`, of a state, whatever channel they were asked for in. Raises JournalAway."""
    return await _flying(world, await _listed(world, state, _OF_A_STATE))


async def _flying(world: World, names: tuple[str, ...]) -> tuple[Flying, ...]:
    known = [(record, record.flight) for record in await _records(world, names)]
    return tuple((record, flight) for record, flight in known if flight is not None)


async def _records(world: World, names: tuple[str, ...]) -> tuple[UnlockRecord | KillRecord, ...]:
    named = [name.partition("/") for name in names]
    # in one question each: a state may have had a thousand, and the connections to Redis are bounded
    unlocks, kills = await asyncio.gather(
        UNLOCKS.get_all(world, [request for kind, _, request in named if kind == "unlock"]),
        KILLS.get_all(world, [request for kind, _, request in named if kind != "unlock"]),
    )
    found = [unlocks.get(request) if kind == "unlock" else kills.get(request) for kind, _, request in named]
    return tuple(record for record in found if record is not None)


async def states_asked_about(world: World, incident: str) -> frozenset[str]:
    """The states that this incident's unlocks and kills are about. Raises JournalAway."""
    found = await _records(world, await _listed(world, incident))
    return frozenset(record.request.state for record in found if record.request.state)


async def save_unlock(world: World, record: UnlockRecord) -> None:
    """Writes a new request down, so that any worker finds it. Raises JournalAway."""
    await _enlist(world, record.request, "unlock")
    await UNLOCKS.put(world, record.request.id, record)


async def save_kill(world: World, record: KillRecord) -> None:
    """As `save_unlock`."""
    await _enlist(world, record.request, "kill")
    await KILLS.put(world, record.request.id, record)


async def _enlist(world: World, request: UnlockRequest | KillRequest, kind: str) -> None:
    """An incident knows its requests, so that it is not closed while one is carried out; so does a state."""
    for of, lists in ((request.incident, "requests"), (request.state, _OF_A_STATE)):
        if of:
            await world.records.enlist(lists, of, f"{kind}/{request.id}", at=request.asked_at, ttl=REQUEST_TTL)


_PASSING = frozenset({UnlockStage.ARMED, UnlockStage.RELEASING, KillStage.CANCELLING, KillStage.ESCALATED})
"""Stages that are shown in the request's own message or not at all: there are many such updates."""


async def show_first(world: World, report: UnlockReport | KillReport, kind: str, *, is_again: bool) -> Posted:
    """As `show`, for a request that was made just now. `is_again`: another process may have posted it."""
    request = report.request
    if request.ts:
        return await show(world.messenger, report)
    message = Outgoing(request.channel, report, f"{kind}/{request.id}", request.thread)
    return await post_once(world, message, begun=request.asked_at if is_again else None)


async def show(messenger: Messenger, report: UnlockReport | KillReport) -> Posted:
    """Posts the request's message, or updates it if there is one. Raises UpstreamError.

    An outcome is posted again where that message was deleted or cannot be changed any more, and written to the asker
    where the channel takes no message any more: it was archived, or the bot removed from it.
    """
    request = report.request
    if request.ts:
        posted = Posted(request.channel, request.ts)
        try:
            await messenger.update(posted, report)
        except Final as error:
            if report.stage in _PASSING:
                raise
            log.warning("message.posted_again", request=request.id, detail=error.detail)
        else:
            return posted
    try:
        return await messenger.post(request.channel, report, thread=request.thread)
    except Final as error:
        if request.user == BOT or report.stage in _PASSING:
            raise
        log.warning("message.posted_to_asker", request=request.id, detail=error.detail)
        return await messenger.post(request.user, report)

"""Requests of people that outlive a process: written to Redis before anything is done about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog

from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.reports.kill import KillReport, KillRequest
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.errors import Final
from bot.ports.messenger import Messenger, Posted
from bot.usecases.world import World

log = structlog.get_logger()

REQUEST_TTL = timedelta(days=7)


class Phase(StrEnum):
    """How far a request has come.

    `RELEASING` is written before the first delete. From `SETTLED` on the outcome stands, and is still to be told.
    """

    SHOWN = "shown"
    CONFIRMED = "confirmed"
    APPROVAL = "approval"
    ARMED = "armed"
    RELEASING = "releasing"
    SETTLED = "settled"
    DONE = "done"


_AT_WORK = frozenset(Phase) - {Phase.SHOWN, Phase.DONE}
_MOST_REQUESTS = 1000
_SKEW = timedelta(hours=1)
"""How far the clock of the process that took the request may be ahead."""


async def unlocks_of(world: World, incident: str, *, state: str, lock_id: str) -> tuple[UnlockRequest, ...]:
    """The wishes of this incident to unlock exactly this lock that are not done with. Raises JournalAway."""
    named = [name.partition("/") for name in await _listed(world, incident)] if incident else []
    found = [await find_unlock(world, request) for kind, _, request in named if kind == "unlock"]
    return tuple(
        request
        for request, record in filter(None, found)
        if (request.state, request.lock_id) == (state, lock_id) and record["phase"] != Phase.DONE
    )


async def _listed(world: World, incident: str) -> tuple[str, ...]:
    now = world.clock.now()
    return await world.records.enlisted(
        "requests", incident, since=now - REQUEST_TTL, until=now + _SKEW, limit=_MOST_REQUESTS
    )


async def is_at_work(world: World, incident: str) -> bool:
    """Whether an unlock or a kill of this incident is confirmed, waits for approval, is armed or runs.

    Raises JournalAway.
    """
    for name in await _listed(world, incident):
        kind, _, request = name.partition("/")
        record = await world.records.get(kind, request)
        if record is not None and record["phase"] in _AT_WORK:
            return True
    return False


async def save_unlock(world: World, request: UnlockRequest, phase: Phase = Phase.SHOWN, **more: object) -> None:
    """Writes a new request down, so that any worker finds it. Raises JournalAway."""
    await _enlist(world, request, "unlock")
    await world.records.put("unlock", request.id, {**_plain(asdict(request)), "phase": phase, **more}, ttl=REQUEST_TTL)


async def find_unlock(world: World, request_id: str) -> tuple[UnlockRequest, dict[str, Any]] | None:
    """The request and its whole record; None if it is not known (any more)."""
    record = await world.records.get("unlock", request_id)
    return None if record is None else (_unlock(record), record)


async def change_unlock(
    world: World, request_id: str, *, only_in: Collection[Phase] | None = None, **changes: object
) -> dict[str, Any] | None:
    """Changes the record and returns it; None, and no change, unless it is there and in one of the phases `only_in`."""
    return await world.records.update("unlock", request_id, changes, only_if=_phases(only_in))


async def save_kill(world: World, request: KillRequest, **more: str) -> None:
    """As `save_unlock`."""
    await _enlist(world, request, "kill")
    await world.records.put(
        "kill", request.id, {**_plain(asdict(request)), "phase": Phase.SHOWN, **more}, ttl=REQUEST_TTL
    )


async def find_kill(world: World, request_id: str) -> tuple[KillRequest, dict[str, Any]] | None:
    """As `find_unlock`."""
    record = await world.records.get("kill", request_id)
    return None if record is None else (_kill(record), record)


async def change_kill(
    world: World, request_id: str, *, only_in: Collection[Phase] | None = None, **changes: str
) -> dict[str, Any] | None:
    """As `change_unlock`."""
    return await world.records.update("kill", request_id, changes, only_if=_phases(only_in))


async def _enlist(world: World, request: UnlockRequest | KillRequest, kind: str) -> None:
    """An incident knows its requests, so that it is not closed while one is carried out."""
    if request.incident:
        await world.records.enlist(
            "requests", request.incident, f"{kind}/{request.id}", at=request.asked_at, ttl=REQUEST_TTL
        )


_PASSING = frozenset({UnlockStage.ARMED, UnlockStage.RELEASING, KillStage.CANCELLING, KillStage.ESCALATED})
"""Stages that are shown in the request's own message or not at all: there are many such updates."""


async def show(messenger: Messenger, report: UnlockReport | KillReport) -> Posted:
    """Posts the request's message, or updates it if there is one. Raises UpstreamError.

    An outcome is posted again where that message was deleted or cannot be changed any more.
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
    return await messenger.post(request.channel, report, thread=request.thread)


def placed(request: UnlockRequest, ts: str) -> UnlockRequest:
    """The request with the message that shows it."""
    return replace(request, ts=ts)


def instant_in(record: Mapping[str, Any], key: str) -> datetime | None:
    """An instant that was written as text; None if there is none."""
    text = record.get(key)
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _phases(only_in: Collection[Phase] | None) -> tuple[str, Sequence[str]] | None:
    return None if only_in is None else ("phase", tuple(str(phase) for phase in only_in))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


def _unlock(record: Mapping[str, Any]) -> UnlockRequest:
    values = {field.name: record[field.name] for field in fields(UnlockRequest) if field.name in record}
    return UnlockRequest(**{**values, "asked_at": datetime.fromisoformat(record["asked_at"])})


def _kill(record: Mapping[str, Any]) -> KillRequest:
    values = {field.name: record[field.name] for field in fields(KillRequest) if field.name in record}
    return KillRequest(**{**values, "asked_at": datetime.fromisoformat(record["asked_at"])})

"""A person's home tab: what waits for them, the locks of all states, the open incidents that they may see.

Reads only. Fifty people who open it at once cost one look at the locks: what was read is kept for everyone, and only
one process at a time reads. Without Redis each look reads separately, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.core.evidence import NotFound
from bot.core.gate.case import Rule
from bot.core.gate.decide import RULES
from bot.core.people import Standing
from bot.core.reports.home import (
    Glance,
    Held,
    Home,
    OpenIncident,
    Prospect,
    ShownRow,
    StateRow,
    Wait,
    ordered,
    prospect_of,
    row_of,
)
from bot.core.reports.report import StatusReport
from bot.errors import JournalAway, NotPermitted
from bot.usecases.decide.inspect import all_locks, inspect
from bot.usecases.decide.owner import answer_about
from bot.usecases.decide.weigh import conclude
from bot.usecases.look.home_entries import Room, room_of, waiting_for, with_owners
from bot.usecases.record.rights import may_write
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

FRESH = timedelta(seconds=15)
"""For this long, what was read is shown to everyone without reading again."""

PAGE = 12
"""Rows on a page: with their buttons they leave room for the rest of Slack's 100 blocks."""

_READS_AT_MOST = timedelta(seconds=45)
_POLL, _POLLS = 0.25, 32
_PROSPECTS = 6
_PROSPECT_FRESH = timedelta(seconds=45)
_PROSPECTS_TAKE = 6.0
_MOST_FREE = 60
_WITHOUT_ASKER = tuple(entry for entry in RULES if entry[0] is not Rule.REQUESTER)


GLANCE = Shelf("home", Glance, timedelta(hours=1))
PROSPECTS = Shelf("home-prospect", Prospect, timedelta(minutes=2))


async def check_may_see(world: World, user: str) -> None:
    """Raises NotPermitted for guests and strangers, Unreachable where Slack does not say who the user is."""
    if not await may_write(world, user):
        raise NotPermitted("Only full members of this workspace see the Terraform states and their locks here.")


async def kept_home(world: World, user: str, *, page: int = 0) -> Home | None:
    """What was read last, at once; None if nothing is kept. Raises as `check_may_see`."""
    await check_may_see(world, user)
    try:
        glance = await GLANCE.get(world, "locks")
    except JournalAway:
        return None
    if glance is None:
        return None
    return _drawn(world, user, glance, Room(), {}, page=page, looking=True)


async def home(world: World, user: str, *, page: int = 0) -> Home:
    """Everything, read afresh or a quarter of a minute ago. Raises as `check_may_see`."""
    await check_may_see(world, user)
    try:
        glance, room = await asyncio.gather(_glance(world), room_of(world, user))
        waiting = await waiting_for(world, user, room, glance)
    except JournalAway as error:
        glance = await _read(world)
        return replace(_drawn(world, user, glance, Room(), {}, page=page), journal_trouble=error.in_short)
    room = replace(room, waiting=waiting)
    drawn = _drawn(world, user, glance, room, {}, page=page)
    prospects = await _prospects(world, [shown.row for shown in drawn.shown])
    drawn = _drawn(world, user, glance, room, prospects, page=page)
    return replace(drawn, is_stale=not _is_young(world, glance, FRESH + _READS_AT_MOST))


def _drawn(
    world: World,
    user: str,
    glance: Glance,
    room: Room,
    prospects: Mapping[str, Prospect],
    *,
    page: int,
    looking: bool = False,
) -> Home:
    rows = [row for row in glance.rows if row.state in world.states]
    shown = ordered([_shown(world, user, row, room, prospects.get(row.state)) for row in rows])
    pages = max(1, -(-len(shown) // PAGE))
    page = min(max(page, 0), pages - 1)
    busy = {row.state for row in rows}
    return Home(
        shown=tuple(shown[page * PAGE : (page + 1) * PAGE]),
        locked=sum(row.held in {Held.LOCKED, Held.GARBLED} for row in rows),
        unread=sum(row.held in {Held.THROTTLED, Held.UNREAD} for row in rows),
        unshown=sum(row.held is Held.UNSHOWN for row in rows),
        total=len(world.states),
        free=tuple(name for name in world.states if name not in busy)[:_MOST_FREE],
        waiting=room.waiting,
        incidents=room.incidents,
        more_incidents=room.more,
        unchecked=room.unchecked,
        glance_at=glance.at,
        now=world.clock.now(),
        page=page,
        pages=pages,
        looking=looking,
    )


def _shown(world: World, user: str, row: StateRow, room: Room, prospect: Prospect | None) -> ShownRow:
    person = world.holders.person_for_who(row.who) if row.who else None
    is_asked = bool(row.owner) and row.owner == user
    is_own = (
        is_asked or (person is not None and person.slack == user) or (prospect is not None and prospect.owner == user)
    )
    watched = any(one.wait is Wait.WATCH and one.state == row.state for one in room.waiting)
    return ShownRow(row, is_own=is_own, is_watched=watched, prospect=prospect)


async def _glance(world: World) -> Glance:
    """Young enough, or read now by one process for all. Raises JournalAway."""
    known = await GLANCE.get(world, "locks")
    if known is not None and _is_young(world, known):
        return known
    holder = world.new_id()
    if not await world.records.take("home", "locks", holder=holder, ttl=_READS_AT_MOST):
        return await _of_another(world) or known or await _read(world)
    try:
        glance = await with_owners(world, await _read(world))
        await GLANCE.put(world, "locks", glance)
        return glance
    finally:
        with suppress(JournalAway):  # the lease ends on its own
            await world.records.give_back("home", "locks", holder=holder)


async def _of_another(world: World) -> Glance | None:
    """What the process that reads now will have read; None if that takes too long."""
    for _ in range(_POLLS):
        await asyncio.sleep(_POLL)
        glance = await GLANCE.get(world, "locks")
        if glance is not None and _is_young(world, glance):
            return glance
    return None


def _is_young(world: World, glance: Glance, limit: timedelta = FRESH) -> bool:
    return world.clock.now() - glance.at < limit


async def _read(world: World) -> Glance:
    at = world.clock.now()
    seen = await all_locks(world)
    rows = (row_of(name, seen[name]) for name in world.states if name in seen)
    return Glance(tuple(row for row in rows if row is not None), at)


async def _prospects(world: World, rows: Sequence[StateRow]) -> dict[str, Prospect]:
    """Whether the first few locks could be released, by state. What is not known in time is left out."""
    locked = [row for row in rows if row.held is Held.LOCKED and row.hold is None][:_PROSPECTS]
    asked = {asyncio.ensure_future(_prospect(world, row)): row.state for row in locked}
    if not asked:
        return {}
    done, late = await asyncio.wait(asked, timeout=_PROSPECTS_TAKE)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in done:
        if (error := task.exception()) is not None:
            log.warning("home.not_weighed", state=asked[task], error=type(error).__name__)
    found = {asked[task]: task.result() for task in done if task.exception() is None}
    return {state: prospect for state, prospect in found.items() if prospect is not None}


async def _prospect(world: World, row: StateRow) -> Prospect | None:
    key = f"{row.state}/{row.lock_id}"
    known = await PROSPECTS.get(world, key)
    if known is not None and world.clock.now() - known.at < _PROSPECT_FRESH:
        return known
    if not await world.records.once("home-prospect", key, ttl=FRESH):
        return known
    report, now = await weigh_without_asker(world, row.state, row.lock_id), world.clock.now()
    if report.verdict is None:
        return known
    prospect = prospect_of(report.verdict, report.inspection, now)
    await PROSPECTS.put(world, key, prospect)
    return prospect


async def open_incidents(world: World, user: str) -> tuple[OpenIncident, ...]:
    """The open incidents that they may see; none without Redis. Raises as `check_may_see`."""
    await check_may_see(world, user)
    try:
        return (await room_of(world, user)).incidents
    except JournalAway:
        return ()


async def locked_now(world: World) -> dict[str, str]:
    """The locked states by the ID of their lock, as they were read a quarter of a minute ago at most."""
    try:
        glance = await _glance(world)
    except JournalAway:
        glance = await _read(world)
    return {row.lock_id: row.state for row in glance.rows if row.lock_id and row.state in world.states}


async def check(world: World, user: str, name: str) -> StatusReport:
    """A state as `status` tells it, by all checks but that of who asks. Raises as `check_may_see`, and UnknownState."""
    await check_may_see(world, user)
    world.state(name)
    try:
        return await weigh_without_asker(world, name)
    except JournalAway as error:
        inspection = await inspect(world, world.state(name), without_claims=True)
        return StatusReport(inspection, None, journal_trouble=error.in_short)


async def weigh_without_asker(world: World, name: str, lock_id: str | None = None) -> StatusReport:
    """A state with the verdict of all checks but that of who asks. Raises JournalAway."""
    await world.journal.ping()
    inspection = await inspect(world, world.state(name), lock_id=lock_id, without_claims=True)
    lock = inspection.lock
    if lock is None:
        return StatusReport(inspection, None)
    answer = await answer_about(world, name, lock.id)
    decided = conclude(world, inspection, nobody(world), lock.id, answer, table=_WITHOUT_ASKER)
    return StatusReport(inspection, decided.verdict, answer)


def nobody(world: World) -> Standing:
    """No asker: the check of who asks is left aside, and nothing is ever released on what is shown so."""
    none = NotFound("Slack", "an asker", world.clock.now())
    return Standing("", world.directory.home_team, none, none, None, none, is_incident_channel=False)

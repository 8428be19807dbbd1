"""The worker's own look at all configured states, about once a minute, by one worker at a time.

All locks are read at once, in as few calls as their stores allow. A closer look, which asks CI systems, is taken only
at states whose lock is held for a while, seldom, and at few of them in one sweep: what people ask for comes first.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from bot.core.evidence import Trouble, Unseen
from bot.core.gate.inspection import Inspection
from bot.core.hold import is_hold
from bot.core.lock import LockSeen, age
from bot.core.people import BOT
from bot.core.record.incident import Incident
from bot.core.reports.alert import AlertKind, Concern
from bot.core.reports.concern import SweepResult, Watched, concerns, unread
from bot.core.reports.owner_message import OwnerNews
from bot.errors import ChainBroken
from bot.usecases.decide.inspect import all_locks, inspect
from bot.usecases.decide.sightings import remember_all
from bot.usecases.hold.keep import end_overdue
from bot.usecases.lease import lease
from bot.usecases.owner.tell import write_to_owner
from bot.usecases.queue.waiting_list import states_seen
from bot.usecases.record.lifecycle import dealt_with, observe
from bot.usecases.shelf import Shelf
from bot.usecases.watch import alerts, auto_release
from bot.usecases.watch.alerts import Book
from bot.usecases.watch.shared_lists import sharing_listings
from bot.usecases.world import World

log = structlog.get_logger()

LOOKS_A_MINUTE = 6
"""Closer looks, over all states: some 360 an hour. One costs GitHub about three requests for a pipeline whose runs
nobody has listed in the same sweep, of the 5,000 an hour that a token has."""

_LIVELY_FOR = timedelta(hours=2)
_PAGES = (5, 20, 75)
"""Entries that are read in turn, the last ones first."""

_NAMED = 5
_AT_ONCE = 4
_LOOK_WITHIN = 20.0
_REMEMBERED = timedelta(days=1)
_MOST_REMEMBERED = 20_000
_PAUSE = timedelta(minutes=5)
_SPREAD = (0.9, 1.0, 1.1)
"""A state is looked at again after this many times `look_every`, so that those of one hour do not stay together."""


@dataclass(frozen=True, slots=True)
class Pause:
    """That no closer looks are taken for a while, because this system asked for patience."""

    system: str


PAUSES = Shelf("look-pause", Pause, _PAUSE)


@dataclass(frozen=True, slots=True)
class Unread:
    """Since when states cannot be read, by the reason."""

    since: Mapping[str, datetime] = field(default_factory=dict)


UNREAD = Shelf("unread", Unread, timedelta(hours=1))


async def sweep(world: World) -> None:
    """Looks, reports problems, and withdraws those that are over. May be cut off anywhere.

    Raises JournalAway, and Busy if another worker is at it.
    """
    if world.sweep is None:
        return
    async with lease(world.records, "sweep", holder=world.new_id(), patience=timedelta(0)) as still_mine:
        seen = await all_locks(world)
        now = world.clock.now()
        since = await _unread_since(world, seen, now)
        await remember_all(world, seen)
        incidents = await dealt_with(world)
        await _note_changes(world, incidents, seen)
        await end_overdue(world, seen, incidents)
        await states_seen(world, seen)

        book = await alerts.load(world)
        inspections = await _look_closer(world, seen, book, now)
        watched = {
            name: Watched(state.lock_table, state.table, state.pipelines) for name, state in world.states.items()
        }
        evidence = SweepResult(watched, seen, inspections, now, unread_since=since)

        found = concerns(evidence, world.policy, world.watch)
        await alerts.settle(world, book, found, evidence, incidents)
        await alerts.tell(world, book, still_mine)
        may_look = await PAUSES.get(world, "all") is None
        await auto_release.tend(world, seen, incidents, still_mine, may_look=may_look)
        await _tell_owners(world, found.values(), inspections, incidents)


async def _unread_since(world: World, seen: Mapping[str, LockSeen], now: datetime) -> Mapping[str, datetime]:
    """Since when states could not be read for a reason, sweep after sweep, by the reason."""
    reasons = unread(seen)
    world.meter.unread(sum(map(len, reasons.values())))
    for reason, names in reasons.items():
        log.warning("sweep.unread", reason=reason, states=len(names), some=names[:_NAMED])
    before = await UNREAD.get(world, "all") or Unread()
    since = {reason: before.since.get(reason, now) for reason in reasons}
    if since != before.since:
        await UNREAD.put(world, "all", Unread(since))
    return since


async def _note_changes(world: World, incidents: Mapping[str, Incident], seen: Mapping[str, LockSeen]) -> None:
    """Puts what has changed on the timelines of incidents in which people still do something.

    A state whose pipelines take and leave its lock all day would else keep its incident from ever being quiet.
    """
    dealing = {one.id: one for one in incidents.values()}
    latest, since = await world.journal.latest(tuple(dealing)), world.clock.now() - _LIVELY_FOR
    active = [one for one in dealing.values() if latest.get(one.id, since) >= since]
    lively = {one.id: await _is_lively(world, one) for one in active}
    for state, incident in incidents.items():
        if state in seen and lively.get(incident.id):
            try:
                await observe(world, incident.id, state, seen[state])
            except ChainBroken as broken:  # its own trouble must not keep the others unwatched
                log.warning("sweep.not_noted", incident=incident.id, error=str(broken))


async def _is_lively(world: World, incident: Incident) -> bool:
    """Whether people did something recently. Reads a few of the last entries, and more if they are the bot's own."""
    since, before = world.clock.now() - _LIVELY_FOR, None
    for count in _PAGES:
        page = await world.journal.page(incident.id, before=before, count=count)
        for entry in reversed(page):
            if entry.recorded_at < since:
                return False
            if entry.actor != BOT:
                return True
        if len(page) < count:
            return False
        before = page[0].id
    return False


async def _tell_owners(
    world: World,
    found: Iterable[Concern],
    inspections: Mapping[str, Inspection],
    incidents: Mapping[str, Incident],
) -> None:
    """Tells the owner of a lock that their run died with it, and that others wait for an old lock."""
    for concern in found:
        inspection = inspections.get(concern.state)
        news = None if inspection is None else _news_of(concern, inspection)
        if inspection is not None and news is not None:
            incident = incidents.get(concern.state)
            channel, incident_id = ("", "") if incident is None else (incident.channel, incident.id)
            await write_to_owner(world, news, inspection, asker="", channel=channel, incident=incident_id)


def _news_of(concern: Concern, inspection: Inspection) -> OwnerNews | None:
    if inspection.lock is None or inspection.lock.id != concern.lock_id:
        return None
    if concern.kind is AlertKind.DEAD_RUN:
        return OwnerNews.RUN_DIED
    blocks = inspection.attribution is not None and bool(inspection.attribution.contenders)
    return OwnerNews.BLOCKS if concern.kind is AlertKind.AGED and blocks else None


async def _look_closer(world: World, seen: Mapping[str, LockSeen], book: Book, now: datetime) -> dict[str, Inspection]:
    """The inspections of the few states whose turn it is, by name."""
    if await PAUSES.get(world, "all") is not None:
        return {}
    budget = max(1, int(LOOKS_A_MINUTE * (world.watch.every / timedelta(minutes=1))))
    subjects = _worth_a_look(world, seen, book, now)
    due = (await _due(world, tuple(subjects), now))[:budget]
    for subject in due:
        await world.records.enlist("looked", "all", subject, at=now, ttl=_REMEMBERED)

    shared, turns = sharing_listings(world), asyncio.Semaphore(_AT_ONCE)
    looked = await asyncio.gather(*(_look(shared, subjects[subject], turns) for subject in due))

    inspections = {found.state.name: found for found in looked if found is not None}
    await _pause_if_throttled(world, inspections.values())
    return inspections


def _worth_a_look(world: World, seen: Mapping[str, LockSeen], book: Book, now: datetime) -> dict[str, str]:
    """What may be worth asking CI systems about, with its state: the oldest locks first.

    A lock that was taken since the last sweep is left alone: most are gone before the next one.
    """
    held = [(name, found.lock) for name, found in seen.items() if found.lock is not None and not is_hold(found.lock)]
    old = [(name, lock) for name, lock in held if age(lock, now) >= world.watch.every]
    subjects = {f"{name}/{lock.id}": name for name, lock in sorted(old, key=lambda pair: pair[1].created)}
    for concern in book.concerns.values():
        if concern.kind is AlertKind.LOOP and concern.state in world.states:
            subjects.setdefault(f"{concern.state}/loop", concern.state)
    tables = set[object]()
    for name, found in seen.items():
        table = world.states[name].lock_table
        if found.is_throttled and table not in tables:
            tables.add(table)
            subjects.setdefault(f"{name}/throttled", name)
    by_state = {name: subject for subject, name in reversed(subjects.items())}
    return {subject: name for subject, name in subjects.items() if by_state[name] == subject}


async def _due(world: World, subjects: Sequence[str], now: datetime) -> list[str]:
    """Those that were not looked at recently: first what was never looked at, then the longest ago."""
    if not subjects:
        return []
    remembered = await _looked(world, now - _REMEMBERED, now)
    recent = [frozenset(await _looked(world, now - world.watch.look_every * part, now)) for part in _SPREAD]
    rank = {subject: place for place, subject in enumerate(reversed(remembered), 1)}
    due = [subject for subject in subjects if subject not in recent[zlib.crc32(subject.encode()) % len(recent)]]
    return sorted(due, key=lambda subject: rank.get(subject, 0))


async def _looked(world: World, since: datetime, until: datetime) -> tuple[str, ...]:
    return await world.records.enlisted("looked", "all", since=since, until=until, limit=_MOST_REMEMBERED)


async def _look(world: World, name: str, turns: asyncio.Semaphore) -> Inspection | None:
    async with turns:
        try:
            async with asyncio.timeout(_LOOK_WITHIN):
                return await inspect(world, world.state(name), without_claims=True)
        except TimeoutError:
            log.warning("sweep.look_too_slow", state=name)
            return None


async def _pause_if_throttled(world: World, inspections: Iterable[Inspection]) -> None:
    """A CI system that asks for patience is left to the people for a while."""
    listings = (look.listing for inspection in inspections for look in inspection.looks)
    refused = [listing for listing in listings if isinstance(listing, Unseen) and listing.trouble is Trouble.THROTTLED]
    if refused:
        seconds = max((listing.retry_after or 0.0 for listing in refused), default=0.0)
        pause = max(_PAUSE, timedelta(seconds=min(seconds, 3600.0)))
        log.warning("sweep.looks_paused", seconds=pause.total_seconds(), system=refused[0].system)
        await PAUSES.put(world, "all", Pause(refused[0].system), ttl=pause)

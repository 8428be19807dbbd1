"""The life of an incident: opened by the first command, noted in, closed, reopened.

It is closed by a person, by quiet, or with its channel. Every closing is exported once, by a job whose key names that
closing; `tend` makes good what a process that died between the two has left undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.core.instants import stamp
from bot.core.lock import LockInfo, LockSeen, operation_word
from bot.core.people import BOT
from bot.core.phrase import Quoted, instant
from bot.core.record.evidence import SeenFacts
from bot.core.record.facts import CommandReceived, LockChanged, LockObserved, NoteAdded, draft_of
from bot.core.record.incident import Incident
from bot.core.record.redact import redact
from bot.core.record.timeline import Entry
from bot.core.reports.report import Notice, review_offer
from bot.errors import ChainBroken, NotPermitted, UpstreamError
from bot.usecases.export.incident_export import reissue_if_late
from bot.usecases.record.correct import wrong_text
from bot.usecases.request.announce import DEALS_WITH, SEEN_TTL
from bot.usecases.request.record import at_work
from bot.usecases.shelf import Shelf, secure_entry
from bot.usecases.world import World

log = structlog.get_logger()

LONGEST_TITLE = 200
"""Characters of an incident's title."""

_MADE_GOOD_FOR = timedelta(days=1)
_MOST = 1000
_MOST_OPEN = 100_000


@dataclass(frozen=True, slots=True)
class LocksSeen:
    """The ids of the locks that were there, or `free`."""

    locks: str


@dataclass(frozen=True, slots=True)
class Closing:
    """That the export of one closing was started."""

    export: str = "started"


LOCKS_SEEN = Shelf("lock-seen", LocksSeen, SEEN_TTL)
CLOSINGS = Shelf("closing", Closing, 2 * _MADE_GOOD_FOR)


async def enter(world: World, *, channel: str, user: str, title: str, command: str, once: str = "") -> Incident:
    """The channel's incident, opened by this command if there was none, with the command on its timeline.

    `once` names the delivery that the command came with.

    Raises JournalAway.
    """
    now = world.clock.now()
    incident, _ = await world.journal.open(channel=channel, title=redact(title), by=user, at=now)
    words, key = f"/tflock {command}".rstrip(), f"typed/{once}" if once else None
    typed = draft_of(CommandReceived(channel=channel), now, user, words, once=key)
    await world.journal.append(incident.id, typed)
    return incident


async def observe(world: World, incident: str, state: str, seen: LockSeen) -> None:
    """Writes down which lock is there: the first time as observed, later only when it has changed."""
    await world.records.enlist(DEALS_WITH, incident, state, at=world.clock.now(), ttl=SEEN_TTL)
    now_there = ",".join(sorted(info.id for info in seen.locks)) or ("free" if seen.is_free else "")
    if not now_there:
        return
    before = await LOCKS_SEEN.get(world, f"{incident}/{state}")
    if before is not None and before.locks == now_there:
        return
    await LOCKS_SEEN.put(world, f"{incident}/{state}", LocksSeen(now_there))
    of = LockObserved if before is None else LockChanged
    facts = of(state=state, seen=SeenFacts.of(seen), before=None if before is None else before.locks)
    await world.journal.append(incident, draft_of(facts, world.clock.now(), "tflock", _lock_words(state, seen)))


async def dealt_with(world: World) -> dict[str, Incident]:
    """The open incident that deals with a state, by the state's name; of several the one that was opened last."""
    now, found = world.clock.now(), dict[str, Incident]()
    open_now = await world.journal.incidents(open_only=True, limit=_MOST_OPEN)
    ids = [incident.id for incident in open_now]
    dealing = await world.records.enlisted_all(DEALS_WITH, ids, since=now - SEEN_TTL, until=now, limit=_MOST)
    for incident in open_now:
        for name in dealing.get(incident.id, ()):
            found.setdefault(name, incident)
    return found


async def note(
    world: World, incident: str, *, user: str, text: str, at: datetime | None, once: str | None = None
) -> Entry:
    """Adds a person's note, at the time that they name; the entry. A closed incident is exported again.

    `once` names the delivery that it came with.
    Raises NotPermitted for a text that is too long, JournalAway; NotReplicated if a fail-over could lose it.
    """
    if reason := wrong_text(text):
        raise NotPermitted(f"{reason} Nothing was changed.")
    now = world.clock.now()
    facts = NoteAdded(back_dated=at is not None)
    noted = await world.journal.append(incident, draft_of(facts, at or now, user, text, once=once))
    await reissue_if_late(world, incident)
    await secure_entry(world, incident, noted.entry)
    return noted.entry


async def close(world: World, incident: Incident, *, user: str) -> bool:
    """Closes it and hands the export to a worker; False if it was closed already. Raises JournalAway."""
    return await _close(world, incident.id, by=user) is not None


async def close_archived(world: World, channel: str) -> Incident | None:
    """Closes what was open in a channel that was archived: nobody can write there any more. Raises JournalAway."""
    incident = await world.journal.current(channel)
    return None if incident is None else await _close(world, incident.id, by=BOT)


async def reopen(world: World, incident: Incident, *, user: str) -> Incident | None:
    """Reopens it; None if it, or another one in its channel, is open by now. Raises JournalAway."""
    return await world.journal.reopen(incident.id, by=user, at=world.clock.now())


def check_title(title: str) -> None:
    """Raises NotPermitted for one that no heading could hold."""
    if len(title) > LONGEST_TITLE:
        raise NotPermitted(
            f"The title has {len(title):,} characters, and {LONGEST_TITLE} are the most. Nothing was changed."
        )


async def rename(world: World, incident: Incident, title: str, *, user: str) -> Incident | None:
    """Gives it another title; None if it is not there any more. Raises NotPermitted if it is too long, JournalAway."""
    check_title(title)
    return await world.journal.rename(incident.id, redact(title), by=user, at=world.clock.now())


async def tend(world: World) -> None:
    """What is due for all incidents, about once a minute: closes the quiet ones, starts exports that were missed.

    May run in many workers at once and be cut off anywhere. Raises JournalAway.
    """
    await _make_good(world)
    await world.journal.tidy()
    open_now = await world.journal.incidents(open_only=True, limit=_MOST_OPEN)
    latest = await world.journal.latest([incident.id for incident in open_now])
    since = world.clock.now() - world.close_after_quiet
    for incident in open_now:
        if latest.get(incident.id, since) > since:
            continue
        try:
            closed = await _close_if_quiet(world, incident)
        except ChainBroken as broken:  # its own trouble must not keep the others open
            log.warning("incident.not_tended", incident=incident.id, error=str(broken))
        else:
            if closed is not None:
                await _say_quiet(world, closed)


async def _close_if_quiet(world: World, incident: Incident) -> Incident | None:
    """The last entry of any kind counts, by when it was recorded. It must still be the last one when it is closed."""
    last = await world.journal.tail(incident.id, 1)
    if not last or world.clock.now() - last[0].recorded_at < world.close_after_quiet:
        return None
    if await at_work(world, incident.id):
        return None
    return await _close(world, incident.id, by=BOT, if_last=last[0].id)


async def _close(world: World, incident_id: str, *, by: str, if_last: str | None = None) -> Incident | None:
    now = world.clock.now()
    await world.records.enlist("closing", "all", incident_id, at=now, ttl=_MADE_GOOD_FOR)
    closed = await world.journal.close(incident_id, by=by, at=now, if_last=if_last)
    if closed is not None:
        await _export(world, closed)
    return closed


async def _make_good(world: World) -> None:
    now = world.clock.now()
    for name in await world.records.enlisted("closing", "all", since=now - _MADE_GOOD_FOR, until=now, limit=_MOST):
        incident = await world.journal.find(name)
        if incident is None or incident.is_open:
            continue
        if await CLOSINGS.get(world, _closing(incident)) is None:
            await _export(world, incident)


async def _export(world: World, closed: Incident) -> None:
    await world.jobs.start("export", closed.id, key=f"export:{_closing(closed)}")
    await CLOSINGS.put(world, _closing(closed), Closing())


def _closing(closed: Incident) -> str:
    """Names one closing of an incident that may have several."""
    return f"{closed.id}:closed:{stamp(closed.closed_at) if closed.closed_at else ''}"


async def _say_quiet(world: World, closed: Incident) -> None:
    hours = world.close_after_quiet / timedelta(hours=1)
    lines = (
        (Quoted(closed.title), f" ({closed.id}): nothing was written for {hours:g} hours. Its timeline is exported."),
        ("To continue it: ", Quoted("/tflock reopen")),
    )
    try:
        await world.messenger.post(closed.channel, Notice("Incident closed", lines, offers=(review_offer(closed.id),)))
    except UpstreamError as error:
        log.warning("incident.closing_not_told", incident=closed.id, error=str(error))


def _lock_words(state: str, seen: LockSeen) -> str:
    if seen.is_free:
        return f"{state} is free"
    return "; ".join(
        f"{state} has been locked by {info.who} {_since(info)}"
        f"{f', for {operation_word(info.operation)}' if info.operation else ''}"
        for info in seen.locks
    )


def _since(info: LockInfo) -> str:
    return f"since {instant(info.created)}" if info.is_since_known else "for a time that is not known"

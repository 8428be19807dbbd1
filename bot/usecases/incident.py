"""The life of an incident: opened by the first command, noted in, shown, closed."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.facts import seen_facts
from bot.core.incident import Incident
from bot.core.lock import LockSeen
from bot.core.timeline import Draft, Entry, Kind
from bot.usecases.world import World

_SEEN_TTL = timedelta(days=30)


async def enter(world: World, *, channel: str, user: str, title: str, command: str) -> Incident:
    """The channel's incident, opened by this command if there was none, with the command on its timeline.

    Raises JournalAway.
    """
    now = world.clock.now()
    incident, _ = await world.journal.open(channel=channel, title=title, by=user, at=now)
    draft = Draft(now, Kind.COMMAND_RECEIVED, user, f"/tflock {command}".rstrip(), {"channel": channel})
    await world.journal.append(incident.id, draft)
    return incident


async def observe(world: World, incident: str, state: str, seen: LockSeen) -> None:
    """Writes down what lock stands there: the first time as observed, later only when it has changed."""
    now_there = ",".join(sorted(info.id for info in seen.locks)) or ("free" if seen.is_free else "")
    if not now_there:
        return
    before = await world.records.get("lock-seen", f"{incident}/{state}")
    if before is not None and before["locks"] == now_there:
        return
    await world.records.put("lock-seen", f"{incident}/{state}", {"locks": now_there}, ttl=_SEEN_TTL)
    kind = Kind.LOCK_OBSERVED if before is None else Kind.LOCK_CHANGED
    facts = {"state": state, "seen": seen_facts(seen), "before": None if before is None else before["locks"]}
    await world.journal.append(incident, Draft(world.clock.now(), kind, "tflock", _lock_words(state, seen), facts))


async def note(world: World, incident: str, *, user: str, text: str, at: datetime | None) -> Entry:
    """Adds a person's note, at the time that he names; the entry. Raises JournalAway."""
    now = world.clock.now()
    facts = {} if at is None else {"back_dated": True}
    return (await world.journal.append(incident, Draft(at or now, Kind.NOTE_ADDED, user, text, facts))).entry


async def close(world: World, incident: Incident, *, user: str) -> bool:
    """Closes it and hands the export to a worker; False if it was closed already. Raises JournalAway."""
    closed = await world.journal.close(incident.id, by=user, at=world.clock.now())
    if closed is None:
        return False
    await world.jobs.start("export", incident.id, key=f"export:{incident.id}:closed")
    return True


def _lock_words(state: str, seen: LockSeen) -> str:
    if seen.is_free:
        return f"{state} is free"
    return "; ".join(f"{state} is locked by {info.who} ({info.operation}), lock {info.id}" for info in seen.locks)

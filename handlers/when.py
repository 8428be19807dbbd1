"""From what people type as a time to an instant, by the asker's own clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.evidence import Found
from bot.errors import NotPermitted
from bot.usecases.record.correct import wrong_time
from bot.usecases.world import World
from handlers.asker import Asker
from handlers.typed.moments import Ago, ClockTime, Moment

_UNCHANGED = "Nothing was changed."


async def instant_of(world: World, at: Moment | None, asker: Asker) -> datetime | None:
    """The instant that the asker means, in UTC: a time of day is by their own clock.

    Raises NotPermitted for a time in the future, and for one that their clock never showed, since it was put forward.
    """
    if at is None:
        return None
    now = world.clock.now()
    meant = now - at.span if isinstance(at, Ago) else _by_the_clock(at, await zone_of(world, asker.user), now)
    if meant > now:
        raise NotPermitted(f"That time is in the future by your own clock. {_UNCHANGED}")
    if reason := wrong_time(meant, now):
        raise NotPermitted(f"{reason} {_UNCHANGED}")
    return meant


async def zone_of(world: World, user: str) -> tzinfo:
    """The user's time zone in Slack; where this machine does not know it, their offset from UTC; UTC for nobody's."""
    seen = await world.directory.member(user)
    if not isinstance(seen, Found):
        return UTC
    return zone_named(seen.value.tz or "") or timezone(timedelta(seconds=seen.value.tz_offset))


def zone_named(name: str) -> tzinfo | None:
    """The zone as `name_of_zone` spells it; None for what is none."""
    try:
        if name.lstrip("+-").isdecimal():
            return timezone(timedelta(seconds=int(name)))
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def name_of_zone(zone: tzinfo) -> str:
    """The zone's IANA name, or its offset from UTC in seconds."""
    if isinstance(zone, ZoneInfo):
        return str(zone.key)
    offset = zone.utcoffset(None) or timedelta()
    return f"{round(offset.total_seconds()):+d}"


def at_clock(day: date, at: time, zone: tzinfo, now: datetime) -> datetime | None:
    """The instant, in UTC, at which the zone's clocks showed this; None if they never did: they were put forward.

    Where they showed it twice, since they were put back, it is the later one that is not in the future.
    """
    shown = datetime.combine(day, at)
    try:
        both = [shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        real = [instant for instant in both if instant.astimezone(zone).replace(tzinfo=None) == shown]
    except OverflowError:
        return None
    past = [instant for instant in real if instant <= now]
    return max(past, default=min(real, default=None))


def _by_the_clock(at: ClockTime, zone: tzinfo, now: datetime) -> datetime:
    clock, today = time(at.hour, at.minute, at.second), now.astimezone(zone).date()
    day = at.day or today - timedelta(days=at.days_ago or 0)
    meant = _shown(day, clock, zone, now)
    if meant > now and at.day is None and at.days_ago is None:
        return _shown(day - timedelta(days=1), clock, zone, now)
    return meant


def _shown(day: date, clock: time, zone: tzinfo, now: datetime) -> datetime:
    meant = at_clock(day, clock, zone, now)
    if meant is None:
        raise NotPermitted(
            f"There was no {clock:%H:%M} on {day.isoformat()} by your own clock: it had been put forward. {_UNCHANGED}"
        )
    return meant

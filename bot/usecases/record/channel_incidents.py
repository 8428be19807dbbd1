"""Which incident of a channel someone means: several may have followed one another there."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.record.incident import Incident
from bot.errors import Unreachable
from bot.usecases.world import World

AROUND = timedelta(hours=1)
"""How long before its opening and after its closing what people write may still be about an incident."""

_MOST = 1_000


TITLE = "Terraform incident"
"""Of an incident that is opened by what someone writes down, and not by a command on a state."""


async def is_incident_channel(world: World, channel: str) -> bool:
    """A channel that Slack denies to know is none. Raises Unreachable where Slack gives no answer."""
    seen = await world.directory.channel(channel)
    if isinstance(seen, Unseen) and seen.trouble is not Trouble.DENIED:
        raise Unreachable(seen.system, seen.detail)
    return isinstance(seen, Found) and world.is_incident_channel(seen.value)


async def latest(world: World, channel: str) -> Incident | None:
    """The channel's open incident, else the one that was closed last, of the last thousand anywhere.

    Raises JournalAway.
    """
    current = await world.journal.current(channel)
    return current or max(await _closed(world, channel), key=lambda one: one.closed_at or one.opened_at, default=None)


async def about(world: World, channel: str, at: datetime) -> Incident | None:
    """The incident that a moment belongs to: the open one, else a closed one that was open at that time.

    None if none was, an hour before and after included: then something new begins. Raises JournalAway.
    """
    current = await world.journal.current(channel)
    if current is not None:
        return current
    near = [one for one in await _closed(world, channel) if _distance(one, at) <= AROUND]
    return min(near, key=lambda one: (_distance(one, at), -one.opened_at.timestamp()), default=None)


async def about_or_new(world: World, channel: str, at: datetime, by: str) -> tuple[Incident, bool]:
    """As `about`; a new one, and True, where none was open. Raises JournalAway."""
    known = await about(world, channel, at)
    if known is not None:
        return known, False
    return await world.journal.open(channel=channel, title=TITLE, by=by, at=world.clock.now())


async def _closed(world: World, channel: str) -> list[Incident]:
    return [one for one in await world.journal.incidents(limit=_MOST) if one.channel == channel and not one.is_open]


def _distance(incident: Incident, at: datetime) -> timedelta:
    """How far outside of the incident's time it is; nothing within."""
    return max(timedelta(0), incident.opened_at - at, at - (incident.closed_at or at))

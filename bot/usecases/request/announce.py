"""Announces what is done about a state's lock where the state's people see it, wherever it was asked for.

That is the alerts channel, and the channel of every open incident that deals with the state.
The channel in which it was asked for has the request's own message.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from bot.core.phrase import ChannelRef, Person, Phrase
from bot.core.record.incident import Incident
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockRequest
from bot.errors import JournalAway, UpstreamError
from bot.usecases.outbox import Outgoing, say_once
from bot.usecases.world import World

log = structlog.get_logger()

DEALS_WITH, SEEN_TTL = "incident-states", timedelta(days=30)
"""The list of states that an incident deals with, and how long it is kept."""

MOST_OPEN = 100_000
_MOST = 1000
_AT_ONCE = 50


async def open_incidents(world: World) -> AsyncIterator[tuple[Incident, tuple[str, ...]]]:
    """Every open incident, the newest first, with the states that it deals with. Raises JournalAway."""
    now = world.clock.now()
    found = await world.journal.incidents(open_only=True, limit=MOST_OPEN)
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        asked = (
            world.records.enlisted(DEALS_WITH, one.id, since=now - SEEN_TTL, until=now, limit=_MOST) for one in some
        )
        for incident, names in zip(some, await asyncio.gather(*asked), strict=True):
            yield incident, names


async def dealing_with(world: World, state: str) -> tuple[Incident, ...]:
    """Every open incident that deals with a state. Raises JournalAway."""
    return tuple([incident async for incident, names in open_incidents(world) if state in names])


async def announce(
    world: World, request: UnlockRequest, headline: str, by: str, *, step: str, says: Phrase
) -> tuple[str, ...]:
    """Says it once in each such channel; `step` names what is announced, once for a request.

    Returns the channels to which Slack will never take it.
    Raises UpstreamError where Slack may take it later, or JournalAway: then try again.
    """
    incidents = await dealing_with(world, request.state)
    channels = dict.fromkeys([world.alerts_channel, *(incident.channel for incident in incidents)])
    done = "Announced in " if request.is_automatic else "Asked for in "
    where: Phrase = (done, ChannelRef(request.channel), f", request {request.id}.")
    notice = Notice(headline, ((Person(by, ""), *says), where))
    refused = list[str]()
    for channel in channels:
        if channel and channel != request.channel:
            outgoing = Outgoing(channel, notice, f"announced/{request.id}/{step}/{channel}")
            refused.extend([] if await say_once(world, outgoing) else [channel])
    return tuple(refused)


async def announce_click(
    world: World, request: UnlockRequest, headline: str, by: str, *, step: str, says: Phrase
) -> None:
    """As `announce`, for a click that has been carried out: what Slack does not take now is only logged."""
    try:
        await announce(world, request, headline, by, step=step, says=says)
    except (UpstreamError, JournalAway) as error:
        log.warning("announcement.not_made", request=request.id, step=step, error=str(error))

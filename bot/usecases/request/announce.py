"""Announces what is done about a state's lock where the state's people see it, wherever it was asked for.

That is the alerts channel, and the channel of every open incident that deals with the state.
The channel in which it was asked for has the request's own message.
"""

from __future__ import annotations

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


async def dealing_with(world: World, state: str) -> tuple[Incident, ...]:
    """Every open incident that deals with a state, the newest first. Raises JournalAway.

    Asks each open incident's own list, a hundred in one question: with 1,000 open ones that takes a tenth of the time
    of reading them all. An index by state would be another truth, which a crash or an older version leaves incomplete.
    """
    names = await world.journal.open_ids()
    dealing = await world.records.lists_with(DEALS_WITH, names, state, since=world.clock.now() - SEEN_TTL)
    return tuple(one for one in await world.journal.find_all(dealing) if one.is_open)


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

"""Requests that people have sent on their way and that no worker was handed, because the process died in between.

Their deliveries are taken up as well; this is for what has no delivery any more.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from bot.usecases.kill.kill_job import start_kill
from bot.usecases.request.clicks import start_release, start_ticks
from bot.usecases.request.record import KillRecord, RequestPhase, UnlockRecord, at_work
from bot.usecases.world import World

log = structlog.get_logger()

_HANDED_ON_BY_NOW = timedelta(minutes=1)
_FRESH = timedelta(minutes=4)
"""A job that fails is tried for about five minutes: until then its key is known, and nothing is started twice. One that
has given up has said so, and stays given up.
"""

_ASKED_WITHIN = timedelta(days=1)
_MOST = 1000


async def tend(world: World) -> None:
    """About once a minute. May run in many workers at once and be cut off anywhere. Raises JournalAway."""
    for incident in await world.journal.incidents(open_only=True, limit=_MOST):
        for record, _ in await at_work(world, incident.id, within=_ASKED_WITHIN):
            await _hand_on(world, record)


async def _hand_on(world: World, record: UnlockRecord | KillRecord) -> None:
    """Starts the job of a request that ought to have begun by now. Where it is in the queue, that does nothing."""
    request, is_confirmed = record.request.id, record.phase is RequestPhase.CONFIRMED
    since = record.confirmed_at if is_confirmed or isinstance(record, KillRecord) else record.armed_at
    if since is None or not _HANDED_ON_BY_NOW < world.clock.now() - since < _FRESH:
        return
    if isinstance(record, KillRecord):
        if is_confirmed and not record.cancelled:
            await start_kill(world, request)
    elif is_confirmed:
        await start_release(world, record)
    elif record.phase is RequestPhase.ARMED and not record.ticks:
        await start_ticks(world, request, since)

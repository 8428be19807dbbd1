"""Says something to a channel once, however often the job that says it is run again."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bot.core.reports.report import Notice
from bot.errors import Final
from bot.usecases.world import World

log = structlog.get_logger()

_SAID = "said"
_KEPT = timedelta(days=30)


async def say_once(world: World, channel: str, notice: Notice, *, mark: str, thread: str = "") -> None:
    """Says it, unless it was said with this mark. Raises Passing or JournalAway: then try again.

    After a crash between the saying and its writing down Slack is asked; where it lets nobody look, it is said again.
    What Slack will never take is logged.
    """
    before, now = await world.records.get(_SAID, mark), world.clock.now()
    if before is not None and before["is_done"]:
        return
    if before is None:
        await world.records.put(_SAID, mark, {"since": now.isoformat(), "is_done": False}, ttl=_KEPT)
    elif await _was_said(world, channel, mark, thread, datetime.fromisoformat(before["since"])):
        await world.records.update(_SAID, mark, {"is_done": True})
        return
    try:
        await world.messenger.post(channel, notice, mark=mark, thread=thread)
    except Final as error:
        log.warning("notice.not_taken", channel=channel, mark=mark, detail=error.detail)
    await world.records.update(_SAID, mark, {"is_done": True})


async def _was_said(world: World, channel: str, mark: str, thread: str, since: datetime) -> bool:
    try:
        return await world.messenger.find(channel, mark=mark, thread=thread, since=since) is not None
    except Final as error:
        log.warning("notice.cannot_look", channel=channel, mark=mark, detail=error.detail)
        return False

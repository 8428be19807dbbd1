"""What the message of an armed unlock shows while it waits: kept up with what the gate says, within Slack's limits."""

from __future__ import annotations

from datetime import timedelta

import structlog

from bot.core.gate.case import Verdict
from bot.core.phrase import plain
from bot.core.reports.unlock import UnlockReport
from bot.errors import Throttled, UpstreamError
from bot.usecases.request.record import UNLOCKS, show
from bot.usecases.unlock.task import Task
from bot.usecases.world import World

log = structlog.get_logger()

SAME_AGAIN = timedelta(seconds=60)
"""How often what has not changed, and counts down to nothing, is shown again: the time of the last look has."""

_HUSH = timedelta(seconds=30)


async def show_countdown(world: World, task: Task, report: UnlockReport) -> None:
    """Shows what is still missing, unless it is there already or Slack has asked for patience.

    Not worth failing for: the outcome is shown in any case. Raises JournalAway.
    """
    now, record, says = world.clock.now(), task.record, _fingerprint(report.verdict)
    if record.hush_until is not None and now < record.hush_until:
        return
    counts_down = report.verdict is not None and any(finding.until for finding in report.verdict.refusals)
    is_same = says == record.countdown and not counts_down
    if is_same and record.countdown_at is not None and now - record.countdown_at < SAME_AGAIN:
        return
    try:
        await show(world.messenger, report)
    except Throttled as error:
        patience = timedelta(seconds=error.retry_after) if error.retry_after else _HUSH
        await UNLOCKS.update(world, task.request.id, hush_until=now + patience)
    except UpstreamError as error:
        log.warning("unlock.countdown_not_shown", request=task.request.id, detail=error.detail)
    else:
        await UNLOCKS.update(world, task.request.id, countdown=says, countdown_at=now)


def _fingerprint(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return "; ".join([str(verdict.ruling), *(f"{found.rule}: {plain(found.reason)}" for found in verdict.refusals)])

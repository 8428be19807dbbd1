"""What is known of releasing a lock without being asked: since when every look allows it, and who said no."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from bot.core.evidence import Found
from bot.core.people import BOT, Automatic
from bot.core.reports.unlock import UnlockRequest
from bot.usecases.shelf import LOCK_LIFE, Shelf
from bot.usecases.world import World

log = structlog.get_logger()

_COUNTED, _VETO = "auto-release-counted", "veto"
"""Leases that run out with the time for which they are taken."""
_OVER, _SHORTLY = "over", timedelta(seconds=1)
"""Who takes such a lease to see that it has run out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRecord:
    """One lock. `since` every look has allowed its release, None if the last one did not; the next look is `look_at`.
    `since_by_slack` is the same instant by Slack's clock: without it, as an earlier version wrote it, nothing counts.

    `request` is the release that was announced, or is about to be: `begun` is when posting that began. `times` counts
    the announcements.
    """

    look_at: datetime
    since: datetime | None = None
    since_by_slack: datetime | None = None
    request: str = ""
    begun: datetime | None = None
    times: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """That someone, by Slack user id, does not want a lock released automatically. Nothing else is written here."""

    by: str


AUTO_RELEASES = Shelf("auto-release", AutoRecord, timedelta(days=30))
STOPPED = Shelf("auto-release-stopped", Stopped, LOCK_LIFE)


def key_of(request: UnlockRequest) -> str:
    return f"{request.state}/{request.lock_id}"


async def automatic(world: World, state: str, lock_id: str) -> Automatic:
    """The configuration in place of a person who asks, as it is now. Raises JournalAway."""
    configured = world.states.get(state)
    stopped = await STOPPED.get(world, f"{state}/{lock_id}")
    is_configured = configured is not None and configured.auto_release is not None
    return Automatic(is_configured, "" if stopped is None else stopped.by)


async def begin_count(world: World, key: str, after: timedelta) -> datetime | None:
    """From now on every look has to allow the release for this long, by Redis's clock and Slack's as well as by ours:
    ours may be set. Slack's time, or None while Slack does not say it: then nothing has begun. Raises JournalAway.
    """
    if not await world.records.take(_COUNTED, key, holder=key, ttl=after):
        return None
    return await _slack_time(world, key)


async def is_count_over(world: World, key: str, after: timedelta, since: datetime) -> bool:
    """Whether that time has passed since then. Raises JournalAway."""
    return await _has_passed(world, (_COUNTED, key), after, since)


async def leave_time(world: World, request: UnlockRequest, veto: timedelta) -> None:
    """From now on people have this long to stop it, counted as in `begin_count`. Raises JournalAway."""
    await world.records.take(_VETO, request.id, holder=request.id, ttl=veto)


async def is_time_over(world: World, request: UnlockRequest, veto: timedelta) -> bool:
    """Whether that time has passed since the announcement, which Slack stamped. Raises JournalAway."""
    announced = datetime.fromtimestamp(int(float(request.ts)), UTC)  # cut down to the second, as Slack's time is
    return await _has_passed(world, (_VETO, request.id), veto, announced)


async def _has_passed(world: World, lease: tuple[str, str], span: timedelta, since: datetime) -> bool:
    """By Redis's clock and by Slack's, since Redis may be on this very machine. While Slack does not say what time it
    is, it has not.
    """
    if not await world.records.take(*lease, holder=_OVER, ttl=_SHORTLY):
        return False
    now = await _slack_time(world, lease[1])
    return now is not None and now - since >= span


async def _slack_time(world: World, of: str) -> datetime | None:
    now = await world.directory.now()
    if not isinstance(now, Found):
        log.warning("auto_release.time_not_known", of=of)
        return None
    return now.value


async def has_ended(world: World, request: UnlockRequest) -> None:
    """After the outcome of a request: if the lock is still there, counting starts again."""
    if request.user == BOT:
        now = world.clock.now()
        changes = {"request": "", "begun": None, "since": None, "look_at": now + world.watch.look_every}
        await AUTO_RELEASES.update(world, key_of(request), changes, only_if=("request", (request.id,)))

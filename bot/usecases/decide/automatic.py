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

_OVER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRecord:
    """One lock. `since` every look has allowed its release, None if the last one did not; the next look is `look_at`.

    `request` is the release that was announced, or is about to be: `begun` is when posting that began. `times` counts
    the announcements.
    """

    look_at: datetime
    since: datetime | None = None
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


async def leave_time(world: World, request: UnlockRequest, veto: timedelta) -> None:
    """From now on people have this long to stop it, by Redis's clock and Slack's as well as by ours: ours may be set.
    Raises JournalAway.
    """
    await world.records.take("veto", request.id, holder=request.id, ttl=veto)


async def is_time_over(world: World, request: UnlockRequest, veto: timedelta) -> bool:
    """Whether that time has passed by Redis's clock and by Slack's, since Redis may be on this very machine. Raises
    JournalAway.

    Slack stamped the announcement. While it does not say what time it is now, people have time.
    """
    if not await world.records.take("veto", request.id, holder="over", ttl=_OVER):
        return False
    now = await world.directory.now()
    if not isinstance(now, Found):
        log.warning("auto_release.time_not_known", request=request.id)
        return False
    announced = datetime.fromtimestamp(int(float(request.ts)), UTC)  # cut down to the second, as `now` is
    return now.value - announced >= veto


async def has_ended(world: World, request: UnlockRequest) -> None:
    """After the outcome of a request: if the lock is still there, counting starts again."""
    if request.user == BOT:
        now = world.clock.now()
        changes = {"request": "", "begun": None, "since": None, "look_at": now + world.watch.look_every}
        await AUTO_RELEASES.update(world, key_of(request), changes, only_if=("request", (request.id,)))

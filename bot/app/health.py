"""Whether this process can do its work, and if not, why: in words, for `/readyz` and for the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from bot.app.readiness import Readiness
from bot.app.remembered import VAR
from bot.app.wiring import Bot
from bot.core.phrase import duration
from bot.errors import JournalAway, JournalRefused, UpstreamError
from bot.store.connect import DEADLINE
from bot.store.embedded import trouble_at
from bot.store.refusals import refused
from bot.store.rights import refusal_of
from bot.worker import DONE_WITHIN, PERIODIC, periodic_job_ended

log = structlog.get_logger()

LOOK_EVERY = 10.0
"""Seconds between two looks that nobody asked for. What is wrong is in the log after that time at the latest."""

AGAIN_EVERY = 60.0
"""Seconds after which the log says again what is still wrong."""

PATIENCE = 60.0
"""Seconds for which a process is ready without a worker: one may be starting, or be restarted."""

_JUMP = 10.0
"""Seconds. NTP moves a clock that is a little off slowly."""

_LEAST_SKEW = timedelta(minutes=1)
"""What Slack's clock may differ by in any case: its `Date` has whole seconds, and the answer took some."""


class Telling:
    """Logs each thing that is wrong once, again each minute while it stays so, and when it is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, tuple[str, float, float]] = {}

    def tell(self, what: str, why: str, *, kind: str | None = None) -> None:
        """`why` is empty where all is well. Another cause is logged at once: one of another kind, or in other words."""
        now = self._clock()
        told = self._told.get(what)
        if not why:
            if told is not None:
                del self._told[what]
                log.info("health.right", what=what, after_seconds=round(now - told[1]))
        elif told is None or told[0] != (kind or why) or now - told[2] >= AGAIN_EVERY:
            self._told[what] = (kind or why, told[1] if told else now, now)
            log.warning("health.wrong", what=what, why=why)


class Health:
    """What `/readyz` says, and what is logged without being asked."""

    def __init__(
        self,
        bot: Bot,
        *,
        run_jobs: bool,
        missing: Callable[[], Awaitable[Sequence[str]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bot = bot
        self._missing = missing
        self._clock = clock
        self._is_refused = False
        self._run_jobs = run_jobs
        self._worker_seen = self._began = clock()
        self.telling = Telling(clock)
        self.jumps = Jumps()
        checks = {"redis": self.redis, "slack": self.slack, "jobs": self.jobs, "clock": self.clock}
        self.readiness = Readiness(checks)

    async def redis(self) -> str:
        try:
            await self._bot.world.journal.ping()
        except JournalAway as error:
            self._is_refused = isinstance(error, JournalRefused)
            room = "" if self._bot.config.redis_url else await asyncio.to_thread(trouble_at, VAR)
            return error.with_fix + (f"; {room}" if room else "")
        return ""

    async def slack(self) -> str:
        try:
            await self._bot.directory.introduce()
        except UpstreamError as error:
            return f"Slack does not answer as it should: {error.detail}"
        return ""

    async def jobs(self) -> str:
        """Whether a worker beats its heart (this process's own, where it runs jobs) and periodic jobs are done."""
        jobs, docket, now = self._bot.jobs, self._bot.docket, self._clock()
        if not jobs.connected:
            return jobs.trouble.with_fix if jobs.trouble else "the job queue in Redis is not connected"
        try:
            async with asyncio.timeout(DEADLINE):  # pydocket's connections wait as long as Redis is silent
                names = {worker.name for worker in await docket.workers()}
            is_done = await periodic_job_ended(self._bot.world)
        except Exception as error:  # noqa: BLE001 - pydocket raises what redis-py does, and more
            known = refused(error)
            return known.with_fix if known else f"the job queue cannot be read: {type(error).__name__}"
        if self._bot.worker_name in names if self._run_jobs else names:
            self._worker_seen = now
        elif now - self._worker_seen > PATIENCE:
            return await self._why_no_worker()
        if not is_done and now - self._began > DONE_WITHIN.total_seconds():
            return f"no periodic job has ended for {duration(DONE_WITHIN)}, although a worker runs: look for job.failed"
        return ""

    async def _why_no_worker(self) -> str:
        try:
            missing = await self._missing()
        except JournalAway as error:
            return error.with_fix
        if missing:
            return refusal_of(missing).with_fix
        return "this process takes no jobs" if self._run_jobs else "no worker runs: start `tflock worker`"

    async def clock(self) -> str:
        ahead, allowed = self._bot.directory.ahead, max(self._bot.config.policy.clock_skew, _LEAST_SKEW)
        if ahead is None or abs(ahead) <= allowed:
            return ""
        side = "behind" if ahead > timedelta(0) else "ahead of"
        return f"this machine's clock is {duration(abs(ahead))} {side} Slack's: let it follow NTP"

    async def look(self) -> None:
        """Logs what is wrong, apart from Slack: each call to Slack logs that itself."""
        redis = await self.redis()
        # a Redis that is away fails in changing words
        self.telling.tell("redis", redis, kind=None if self._is_refused else "away")
        if not redis and (self._bot.jobs.connected or self._bot.jobs.trouble):  # else it is starting
            self.telling.tell("jobs", await self.jobs())
        self.telling.tell("clock", await self.clock())
        jumped = self.jumps.since_last()
        if jumped:
            log.warning("clock.jumped", seconds=round(jumped), to=datetime.now(UTC))
            if self._run_jobs and not redis:
                await self._bot.jobs.again_now(PERIODIC)

    async def watch(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # whatever breaks in one look, the next one still has to come
                log.exception("health.not_seen")
            await asyncio.sleep(LOOK_EVERY)


class Jumps:
    """Finds a clock that was set: it moves against one that only counts, sleep included where the system has that."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] | None = None) -> None:
        self._wall = wall
        self._steady = steady or _steady
        self._last = self._offset()

    def since_last(self) -> float:
        """Seconds by which the clock was set forward (or back, below zero) since the last call; 0 for less than 10."""
        now = self._offset()
        moved, self._last = now - self._last, now
        return moved if abs(moved) >= _JUMP else 0.0

    def _offset(self) -> float:
        return self._wall() - self._steady()


def _steady() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()

"""The durable jobs: what must survive a restart runs here, on pydocket, with plain strings as arguments.

A job may be run again from its first line after its worker died, and two workers may meet in one job. Each job
therefore begins by reading how far its request has come, and every outcome is written and told idempotently.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from docket import Docket, ExponentialRetry, Perpetual, Retry, Worker
from redis.exceptions import RedisError

from bot.core.phrase import Quoted
from bot.core.reports.report import Notice
from bot.errors import JournalAway, TflockError, UpstreamError
from bot.usecases.decide import approval
from bot.usecases.decide.requests import find_kill, find_unlock
from bot.usecases.export import followups, tickets
from bot.usecases.export.deliver import deliver
from bot.usecases.export.export import export, reissue
from bot.usecases.kill import carry_out as killing
from bot.usecases.lease import Busy
from bot.usecases.owner import post as letter_post
from bot.usecases.queue import waiting_list
from bot.usecases.record import backfill, capture, incident
from bot.usecases.unlock import owner_answers as answers
from bot.usecases.unlock import release, unlock, workflow_step
from bot.usecases.watch import sweep
from bot.usecases.world import World

log = structlog.get_logger()

DOCKET = "tflock-jobs"
TEND_EVERY = timedelta(minutes=1)
"""How often the incidents are looked after: quiet ones closed, missed exports started."""

REDELIVER_AFTER = timedelta(seconds=15)
"""A job whose worker has been silent for this long is given to another: settled within 60 s, as the contract says."""

TRIES = 10
FIRST_AGAIN_AFTER, LAST_AGAIN_AFTER = timedelta(seconds=2), timedelta(seconds=60)
"""Soon at first, then more patiently: about five minutes in all, as long as Slack is away on a bad day."""

_AT_ONCE = 40
_OF_INCIDENTS = frozenset({"export", "reissue", "followups", "ticket"})
_ONE_SERVER = ("redis://", "rediss://", "unix://")
_AGAIN = ExponentialRetry(attempts=TRIES, minimum_delay=FIRST_AGAIN_AFTER, maximum_delay=LAST_AGAIN_AFTER)


def open_docket(url: str) -> Docket:
    """The queue on this Redis; the same name for all processes."""
    return Docket(name=DOCKET, url=_with_second_try(url), heartbeat_interval=timedelta(seconds=2), missed_heartbeats=5)


def _with_second_try(url: str) -> str:
    """The URL with one more try on a fresh connection, as redis-py makes it for this option.

    Without it a job that comes right after Redis is back meets a dead connection of the queue's pool, and waits for
    its redelivery.
    """
    if not url.startswith(_ONE_SERVER) or "retry_on_timeout=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}retry_on_timeout=true"


class DocketJobs:
    """`bot.ports.Jobs` on pydocket. Not connected (yet), or Redis gone: JournalAway."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self.connected = False

    async def start(self, name: str, *args: str, key: str, at: datetime | None = None) -> None:
        if not self.connected:
            raise JournalAway("the job queue in Redis cannot be reached")
        try:
            await self._docket.add(name, when=at, key=key)(*args)
        except (RedisError, OSError) as error:
            raise JournalAway("the job queue in Redis cannot be reached") from error

    async def cancel(self, key: str) -> None:
        try:
            await self._docket.cancel(key)
        except (RedisError, OSError) as error:
            raise JournalAway("the job queue in Redis cannot be reached") from error


def register(docket: Docket, world: World, *, worker_name: str) -> None:
    """Makes the jobs known by name, to those who start them as well as to those who run them."""

    async def release_(request: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "release", request, lambda: release.release(world, request, worker=worker_name))

    async def armed_(request: str, tick: str, retry: Retry = _AGAIN) -> None:
        await _guarded(
            world, retry, "armed", request, lambda: release.armed(world, request, int(tick), worker=worker_name)
        )

    async def recheck_(request: str, tick: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "recheck", request, lambda: unlock.recheck(world, request, int(tick)))

    async def pending_(request: str, since: str, tick: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "pending", request, lambda: approval.pending(world, request, since, int(tick)))

    async def kill_(request: str, tick: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "kill", request, lambda: killing.kill(world, request, int(tick)))

    async def remind_(request: str, number: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "remind", request, lambda: killing.remind(world, request, int(number)))

    _register_capture(docket, world)

    _register_care(docket, world)
    _register_sweep(docket, world)
    docket.register(release_, names=["release"])
    docket.register(armed_, names=["armed"])
    docket.register(recheck_, names=["recheck"])
    docket.register(pending_, names=["pending"])
    docket.register(kill_, names=["kill"])
    docket.register(remind_, names=["remind"])
    _register_exports(docket, world)
    _register_owners(docket, world, worker_name)
    _register_steps(docket, world)


def _register_steps(docket: Docket, world: World) -> None:
    async def step_(execution: str, state: str, channel: str, reason: str, retry: Retry = _AGAIN) -> None:
        is_last = retry.attempt >= TRIES
        await _guarded(
            world, retry, "step", execution,
            lambda: workflow_step.begin(world, execution, state, channel, reason, is_last_try=is_last),
        )  # fmt: skip

    async def step_look_(execution: str, tick: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "step_look", execution, lambda: workflow_step.look(world, execution, int(tick)))

    docket.register(step_, names=["step"])
    docket.register(step_look_, names=["step_look"])


def _register_owners(docket: Docket, world: World, worker_name: str) -> None:
    async def letter_(state: str, lock_id: str, owner: str, retry: Retry = _AGAIN) -> None:
        is_last = retry.attempt >= TRIES
        await _guarded(
            world, retry, "letter", lock_id,
            lambda: letter_post.post(world, world.state(state).name, lock_id, owner, is_last_try=is_last),
        )  # fmt: skip

    async def ask_(state: str, lock_id: str, retry: Retry = _AGAIN) -> None:
        await _guarded(
            world, retry, "ask_owner_again", lock_id,
            lambda: letter_post.ask_again(world, world.state(state).name, lock_id),
        )  # fmt: skip

    async def answered_(state: str, lock_id: str, user: str, says: str, at: str, retry: Retry = _AGAIN) -> None:
        await _guarded(
            world, retry, "owner_answered", lock_id,
            lambda: answers.tell_answer(world, state, lock_id, user, says, at, worker=worker_name),
        )  # fmt: skip

    docket.register(letter_, names=["letter"])
    docket.register(ask_, names=["ask_owner_again"])
    docket.register(answered_, names=["owner_answered"])


def _register_capture(docket: Docket, world: World) -> None:
    async def capture_(channel: str, ts: str, user: str, cause: str, event: str, retry: Retry = _AGAIN) -> None:
        await _guarded(
            world,
            retry,
            "capture",
            f"{channel}/{ts}",
            lambda: capture.follow(world, channel, ts, user=user, cause=capture.Cause(cause), event=event),
        )

    async def backfill_(backfill_id: str, tick: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "backfill", backfill_id, lambda: backfill.go_on(world, backfill_id, int(tick)))

    async def archived_(channel: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "archived", channel, lambda: incident.close_archived(world, channel))

    docket.register(archived_, names=["archived"])
    docket.register(capture_, names=["capture"])
    docket.register(backfill_, names=["backfill"])


def _register_exports(docket: Docket, world: World) -> None:
    async def export_(incident: str, by: str = "", retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "export", incident, lambda: export(world, incident, by))

    async def reissue_(incident: str, entry: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "reissue", incident, lambda: reissue(world, incident, entry))

    async def deliver_(incident: str, version: str, target: str, retry: Retry = _AGAIN) -> None:
        is_last = retry.attempt >= TRIES
        await _guarded(
            world, retry, "deliver", incident, lambda: deliver(world, incident, version, target, is_last_try=is_last)
        )

    async def followups_(incident: str, version: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "followups", incident, lambda: followups.show(world, incident, version))

    async def ticket_(incident: str, key: str, user: str, retry: Retry = _AGAIN) -> None:
        is_last = retry.attempt >= TRIES
        await _guarded(
            world, retry, "ticket", incident, lambda: tickets.file(world, incident, key, user, is_last_try=is_last)
        )

    docket.register(followups_, names=["followups"])
    docket.register(ticket_, names=["ticket"])
    docket.register(export_, names=["export"])
    docket.register(reissue_, names=["reissue"])
    docket.register(deliver_, names=["deliver"])


def _register_care(docket: Docket, world: World) -> None:
    """Of many workers one at a time does it; whoever is killed at it is followed by another."""
    every = Perpetual(every=TEND_EVERY, automatic=True)

    async def tend(perpetual: Perpetual = every) -> None:  # noqa: ARG001 - pydocket reads it from the signature
        try:
            await incident.tend(world)
            await waiting_list.tend(world)
        except JournalAway as error:
            log.warning("job.failed", job="tend", error=str(error))

    async def waiting(state: str, retry: Retry = _AGAIN) -> None:
        await _guarded(world, retry, "waiting", state, lambda: waiting_list.look(world, state))

    docket.register(tend)
    docket.register(waiting)


def _register_sweep(docket: Docket, world: World) -> None:
    """As `tend`; not quite on time, so that many installations do not ask the same systems at the same moment."""
    every, rng = Perpetual(every=world.watch.every, automatic=True), random.SystemRandom()

    async def watch_states(perpetual: Perpetual = every) -> None:
        perpetual.after(world.watch.every * rng.uniform(0.9, 1.1))
        try:
            await sweep.sweep(world)
        except (JournalAway, Busy) as error:
            log.warning("job.failed", job="sweep", error=str(error))

    docket.register(watch_states)


def new_worker(docket: Docket, *, name: str) -> Worker:
    return Worker(
        docket,
        name=name,
        concurrency=_AT_ONCE,
        redelivery_timeout=REDELIVER_AFTER,
        reconnection_delay=timedelta(seconds=1),
        minimum_check_interval=timedelta(milliseconds=50),
        scheduling_resolution=timedelta(milliseconds=100),
    )


async def _guarded(world: World, retry: Retry, job: str, subject: str, work: Callable[[], Awaitable[object]]) -> None:
    """The boundary of the jobs: a failure is logged and tried again, and the last one is said in the channel."""
    try:
        await work()
    except (JournalAway, UpstreamError, Busy, OSError) as error:
        log.warning("job.failed", job=job, subject=subject, attempt=retry.attempt, error=str(error))
        await _say_if_last(world, retry, job, subject, str(error))
        raise
    except Exception:
        log.exception("job.broke", job=job, subject=subject, attempt=retry.attempt)
        await _say_if_last(world, retry, job, subject, "an error in tflock itself")
        raise


async def _say_if_last(world: World, retry: Retry, job: str, subject: str, why: str) -> None:
    if retry.attempt < TRIES:
        return
    try:
        channel, thread = await _where(world, job, subject)
        if channel:
            await world.messenger.post(channel, _last_words(job, subject, why), thread=thread)
    except TflockError as error:
        log.warning("job.not_told", job=job, subject=subject, error=str(error))


async def _where(world: World, job: str, subject: str) -> tuple[str, str]:
    if job == "capture":
        return subject.partition("/")[0], ""
    if job == "backfill":
        return await backfill.place_of(world, subject)
    found = await (find_kill if job in {"kill", "remind"} else find_unlock)(world, subject)
    if found is not None:
        return found[0].channel, found[0].ts or found[0].thread
    incident = await world.journal.find(subject) if job in _OF_INCIDENTS else None
    return ("", "") if incident is None else (incident.channel, "")


def _last_words(job: str, subject: str, why: str) -> Notice:
    lines = (
        ("tflock tried several times and stopped: ", Quoted(why)),
        ("What it had written down stays on the timeline. Look with /tflock status, then ask again.",),
    )
    return Notice(f"The {job} could not be finished", lines, reference=subject)

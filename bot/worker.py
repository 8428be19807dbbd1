"""The durable jobs: what must survive a restart runs here, on pydocket, with plain strings as arguments.

A job may be run again from its first line after its worker died, and two workers may meet in one job. Each job
therefore begins by reading how far its request has come, and every outcome is written and told idempotently.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import structlog
from docket import Docket, ExponentialRetry, Perpetual, Retry, Worker

from bot.core.instants import stamp
from bot.core.phrase import Quoted
from bot.core.reports.report import Notice
from bot.errors import JournalAway, Passing, TflockError, UnknownState, UpstreamError
from bot.usecases import outbox
from bot.usecases.export import deliver, followups, incident_export, tickets
from bot.usecases.hold import keep
from bot.usecases.kill import carry_out
from bot.usecases.lease import Busy
from bot.usecases.owner import post
from bot.usecases.queue import waiting_list
from bot.usecases.record import backfill, capture, lifecycle
from bot.usecases.request import approval
from bot.usecases.request.record import KILLS, UNLOCKS
from bot.usecases.unlock import owner_answers, release, unlock, workflow_step
from bot.usecases.watch import auto_release, stranded, sweep
from bot.usecases.world import World

log = structlog.get_logger()

TEND_EVERY = timedelta(minutes=1)
"""How often the incidents are looked after: quiet ones closed, missed exports started."""

DONE_WITHIN = timedelta(minutes=3)
"""Jobs do run if a periodic one ended so recently. Redis forgets the record of it then, whatever clocks say."""

_ENDED = "job-ended"

REDELIVER_AFTER = timedelta(seconds=15)
"""A job whose worker has been silent for this long is given to another: settled within 60 s, as the contract says."""

TRIES = 10
FIRST_AGAIN_AFTER, LAST_AGAIN_AFTER = timedelta(seconds=2), timedelta(seconds=60)
"""Soon at first, then more patiently: about five minutes in all, as long as Slack is away on a bad day."""

ONCE_MORE_AFTER = timedelta(minutes=5)
"""When a job begins again whose last try has failed while Slack was away, so that nobody could hear of it."""

_AT_ONCE = 40
_LONGEST_READ = timedelta(milliseconds=250)
"""How long the worker waits in Redis for the next job, which ends the wait at once. A full worker looks as often, and
so does every worker for jobs whose time has come: of what an idle one costs, most is these two questions.
"""

_AGAIN = ExponentialRetry(attempts=TRIES, minimum_delay=FIRST_AGAIN_AFTER, maximum_delay=LAST_AGAIN_AFTER)


ChannelThread: TypeAlias = tuple[str, str]
"""A channel, and the thread in it or an empty string. No channel: there is nobody to tell."""


async def _with_unlock(world: World, request: str) -> ChannelThread:
    found = await UNLOCKS.get(world, request)
    return ("", "") if found is None else (found.request.channel, found.request.ts or found.request.thread)


async def _with_kill(world: World, request: str) -> ChannelThread:
    found = await KILLS.get(world, request)
    return ("", "") if found is None else (found.request.channel, found.request.ts or found.request.thread)


async def _in_incident(world: World, incident_id: str) -> ChannelThread:
    found = await world.journal.find(incident_id)
    return ("", "") if found is None else (found.channel, "")


async def _in_channel(_: World, message: str) -> ChannelThread:
    return message.partition("/")[0], ""


@dataclass(frozen=True, slots=True)
class DurableJob:
    """A kind of durable job.

    Its arguments are queued as strings, in the order of `takes`, which has the name that `work` knows each by and how
    it is read. A job that an earlier version queued must still run: names, order and meaning of the strings stay.

    `about` names the arguments that distinguish one such job from another in the log (the first one if it is empty).
    `said_in` finds by them where to say that the last try has failed; without it, `work` sees to that or nobody waits.
    """

    name: str
    work: Callable[..., Awaitable[object]]
    takes: Mapping[str, Callable[[str], object]]
    said_in: Callable[[World, str], Awaitable[ChannelThread]] | None = None
    about: str = ""
    knows_worker: bool = False
    knows_last_try: bool = False

    def read(self, args: Sequence[str], *, worker: str, is_last_try: bool) -> dict[str, object]:
        given = {name: read(text) for (name, read), text in zip(self.takes.items(), args, strict=False)}
        if self.knows_worker:
            given["worker"] = worker
        if self.knows_last_try:
            given["is_last_try"] = is_last_try
        return given

    def subject(self, args: Sequence[str]) -> str:
        given = dict(zip(self.takes, args, strict=False))
        return "/".join(given[name] for name in (self.about or next(iter(self.takes))).split("/"))


_REQUEST = {"request_id": str}
_LOCK = {"state": str, "lock_id": str}

_JOBS = (
    DurableJob("release", release.release, {**_REQUEST, "state": str}, _with_unlock, knows_worker=True),
    DurableJob("armed", release.armed, {**_REQUEST, "tick": int}, _with_unlock, knows_worker=True),
    DurableJob("auto_release", auto_release.carry_on, _REQUEST, _with_unlock, knows_worker=True),
    DurableJob("recheck", unlock.recheck, {**_REQUEST, "tick": int}, _with_unlock),
    DurableJob("pending", approval.pending, {**_REQUEST, "since": str, "tick": int}, _with_unlock),
    DurableJob("kill", carry_out.kill, {**_REQUEST, "tick": int}, _with_kill),
    DurableJob("remind", carry_out.remind, {**_REQUEST, "number": int}, _with_kill),
    DurableJob(
        "step", workflow_step.begin, {"execution": str, "state": str, "channel": str, "reason": str},
        knows_last_try=True,
    ),
    DurableJob("step_look", workflow_step.look, {"execution": str, "tick": int}),
    DurableJob("letter", post.post, {**_LOCK, "owner": str}, about="lock_id", knows_last_try=True),
    DurableJob("ask_owner_again", post.ask_again, _LOCK, about="lock_id", knows_last_try=True),
    DurableJob(
        "owner_answered", owner_answers.tell_answer, {**_LOCK, "user": str, "says": str, "at": str},
        about="lock_id", knows_worker=True,
    ),
    DurableJob(
        "capture", capture.follow,
        {"channel": str, "ts": str, "user": str, "cause": capture.MessageEvent, "event": str},
        _in_channel, about="channel/ts",
    ),
    DurableJob("backfill", backfill.go_on, {"backfill_id": str, "tick": int}, backfill.place_of),
    DurableJob("archived", lifecycle.close_archived, {"channel": str}),
    DurableJob("export", incident_export.export, {"incident_id": str, "by": str}, _in_incident),
    DurableJob("reissue", incident_export.reissue, {"incident_id": str, "entry_id": str}, _in_incident),
    DurableJob("deliver", deliver.deliver, {"incident_id": str, "version": str, "target": str}, knows_last_try=True),
    DurableJob("followups", followups.show, {"incident_id": str, "version": str}, _in_incident),
    DurableJob(
        "ticket", tickets.file, {"incident_id": str, "key": str, "user": str}, _in_incident, knows_last_try=True
    ),
    DurableJob(
        "answer", outbox.answer_late,
        {"channel": str, "user": str, "thread": str, "headline": str, "words": str}, about="user",
    ),
    DurableJob("waiting", waiting_list.look, {"state": str}),
    DurableJob("hold", keep.look, {"hold_id": str}, knows_worker=True),
)  # fmt: skip
JOBS = {job.name: job for job in _JOBS}


async def _tend(world: World) -> None:
    await lifecycle.tend(world)
    await waiting_list.tend(world)
    await stranded.tend(world)
    await keep.tend(world)


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """What is done again and again. Of many workers one at a time does it; one that is killed at it is followed.

    An `uneven` one is not quite on time, so that many installations do not ask the same systems at the same moment.
    """

    name: str
    work: Callable[[World], Awaitable[object]]
    every: Callable[[World], timedelta]
    uneven: bool = False


_PERIODIC = (
    PeriodicJob("tend", _tend, lambda _: TEND_EVERY),
    PeriodicJob("watch_states", sweep.sweep, lambda world: world.watch.every, uneven=True),
)
PERIODIC = {each.name: each for each in _PERIODIC}


def register(docket: Docket, world: World, *, worker_name: str) -> None:
    """Makes the jobs known by name, to those who start them as well as to those who run them."""
    for job in JOBS.values():
        docket.register(_task(job, world, worker_name))
    for each in PERIODIC.values():
        docket.register(_perpetual(each, world))


def _task(job: DurableJob, world: World, worker: str) -> Callable[..., Awaitable[None]]:
    async def task(*args: str, retry: Retry = _AGAIN) -> None:
        await run_job(world, job.name, args, attempt=retry.attempt, worker=worker)

    task.__name__ = job.name  # pydocket knows a function by its name
    return task


def _perpetual(each: PeriodicJob, world: World) -> Callable[..., Awaitable[None]]:
    every, rng = each.every(world), random.SystemRandom()

    async def task(perpetual: Perpetual = Perpetual(every=every, automatic=True)) -> None:  # noqa: B008 - for docket
        if each.uneven:
            perpetual.after(every * rng.uniform(0.9, 1.1))
        await run_periodic(world, each.name)

    task.__name__ = each.name
    return task


def new_worker(docket: Docket, *, name: str) -> Worker:
    return Worker(
        docket,
        name=name,
        concurrency=_AT_ONCE,
        redelivery_timeout=REDELIVER_AFTER,
        reconnection_delay=timedelta(seconds=1),
        minimum_check_interval=_LONGEST_READ,
        scheduling_resolution=_LONGEST_READ,
    )


async def run_periodic(world: World, name: str) -> None:
    """Once; what could not be done now is left to the next time. That it ended is remembered, as a sign of life."""
    try:
        await PERIODIC[name].work(world)
        await world.records.put(_ENDED, "periodic", {"job": name}, ttl=DONE_WITHIN)
    except (JournalAway, Busy) as error:
        log.warning("job.failed", job=name, error=str(error))


async def periodic_job_ended(world: World) -> bool:
    """Whether any worker has finished a periodic job within `DONE_WITHIN`. Raises JournalAway."""
    return await world.records.get(_ENDED, "periodic") is not None


async def run_job(world: World, name: str, args: Sequence[str], *, attempt: int, worker: str) -> None:
    """One try of a job. A failure is logged and raised, so that it is tried again; the last one is shown to people."""
    job = JOBS[name]
    subject = job.subject(args)
    try:
        await job.work(world, **job.read(args, worker=worker, is_last_try=attempt >= TRIES))
    except (JournalAway, UpstreamError, UnknownState, Busy, OSError) as error:
        # a state may be unknown here and known to the next worker, whose configuration is newer
        log.warning("job.failed", job=name, subject=subject, attempt=attempt, error=str(error))
        await _say_if_last(world, job, args, attempt, str(error))
        raise
    except Exception:
        log.exception("job.broke", job=name, subject=subject, attempt=attempt)
        await _say_if_last(world, job, args, attempt, "an error in tflock itself")
        raise


async def _say_if_last(world: World, job: DurableJob, args: Sequence[str], attempt: int, why: str) -> None:
    if attempt < TRIES or job.said_in is None:
        return
    subject = job.subject(args)
    try:
        channel, thread = await job.said_in(world, subject)
        if not channel:
            return
        try:
            await world.messenger.post(channel, _last_words(job.name, subject, why), thread=thread)
        except Passing as error:  # nobody has heard: giving up would leave it as it is for ever
            log.warning("job.not_told_yet", job=job.name, subject=subject, error=str(error))
            at = world.clock.now() + ONCE_MORE_AFTER
            told_apart = hashlib.sha256("\n".join(args).encode()).hexdigest()[:16]  # pydocket logs a job's key
            key = f"{job.name}:{told_apart}:{stamp(at)}"
            await world.jobs.start(job.name, *args, key=key, at=at)
    except TflockError as error:
        log.warning("job.not_told", job=job.name, subject=subject, error=str(error))


def _last_words(job: str, subject: str, why: str) -> Notice:
    lines = (
        ("tflock tried several times and stopped: ", Quoted(why)),
        ("Everything that it wrote down stays on the timeline. Check with /tflock status, then ask again.",),
    )
    return Notice(f"The {job} could not be finished", lines, reference=subject)

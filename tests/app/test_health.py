"""What is wrong is said once, again each minute, and when it is over; a clock that was set is noticed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from bot.app.health import PATIENCE, Health, Jumps, Telling
from bot.errors import JournalAway, JournalRefused
from bot.worker import DONE_WITHIN


@dataclass
class Ticking:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told():
    with structlog.testing.capture_logs() as logs:
        yield lambda: [(line["event"], line.get("why", line.get("after_seconds"))) for line in logs]


def test_an_outage_of_an_hour_is_a_line_a_minute_and_one_at_its_end(told):
    clock = Ticking()
    telling = Telling(clock)
    for _ in range(3600):
        telling.tell("redis", "Redis: Error 111")
        clock.now += 1
    telling.tell("redis", "")
    telling.tell("redis", "")

    assert told() == [("health.wrong", "Redis: Error 111")] * 60 + [("health.right", 3600)]


def test_another_cause_is_told_at_once(told):
    telling = Telling(Ticking())
    for why in ("away", "away", "its disk is full"):
        telling.tell("redis", why)

    assert [why for _, why in told()] == ["away", "its disk is full"]


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 11.0])
def test_a_clock_that_was_set_is_noticed_once(seconds):
    wall, steady = Ticking(), Ticking()
    jumps = Jumps(wall, steady)
    wall.now += 5 + seconds
    steady.now += 5

    assert jumps.since_last() == seconds
    assert jumps.since_last() == 0


def test_a_clock_that_drifts_is_none_that_was_set():
    wall, steady = Ticking(), Ticking()
    jumps = Jumps(wall, steady)
    wall.now += 10.5
    steady.now += 10

    assert jumps.since_last() == 0


@dataclass
class Queue:
    """pydocket's, as far as health asks it."""

    names: list[str] = field(default_factory=lambda: ["me"])
    prefix: str = "tflock-jobs"

    async def workers(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.names]


@dataclass
class Machine:
    """A bot whose Redis, queue and clock do what a test says; `passes` makes time go by."""

    health: Health
    bot: Any
    queue: Queue
    records: dict[str, Any]
    time: Ticking

    def passes(self, seconds: float) -> None:
        self.time.now += seconds


@pytest.fixture
def machine():
    def make(*, run_jobs: bool) -> Machine:
        time, queue, records, away = Ticking(), Queue(), {"periodic": {}}, list[JournalAway]()

        async def ping() -> None:
            if away:
                raise away[0]

        async def get(_: str, key: str) -> Any:
            return records.get(key)

        async def again_now(names: object) -> None:
            jobs.again = list(names)

        world = SimpleNamespace(journal=SimpleNamespace(ping=ping), records=SimpleNamespace(get=get))
        jobs = SimpleNamespace(connected=True, trouble=None, again=[], again_now=again_now)
        config = SimpleNamespace(redis_url="set", policy=SimpleNamespace(clock_skew=timedelta(seconds=120)))
        directory = SimpleNamespace(ahead=None)
        bot = SimpleNamespace(
            world=world, jobs=jobs, docket=queue, config=config, directory=directory, worker_name="me", redis=None,
            away=away,
        )  # fmt: skip
        bot.missing = ()

        async def missing() -> tuple[str, ...]:
            return bot.missing

        return Machine(Health(bot, run_jobs=run_jobs, missing=missing, clock=time), bot, queue, records, time)

    return make


async def test_a_worker_that_beats_its_heart_and_ends_jobs_is_ready(machine):
    assert await machine(run_jobs=True).health.jobs() == ""


@pytest.mark.parametrize(("run_jobs", "names", "words"), [(True, ["other"], "takes no jobs"), (False, [], "no worker")])
async def test_without_a_worker_it_is_ready_for_a_minute_and_no_longer(machine, run_jobs, names, words):
    one = machine(run_jobs=run_jobs)
    one.queue.names = names
    one.passes(PATIENCE)
    assert await one.health.jobs() == ""
    one.passes(1)
    assert words in await one.health.jobs()
    one.queue.names = ["me"]
    assert await one.health.jobs() == ""


async def test_a_web_process_is_ready_with_anyone_s_worker(machine):
    one = machine(run_jobs=False)
    one.queue.names = ["other"]
    one.passes(PATIENCE + 1)

    assert await one.health.jobs() == ""


async def test_a_worker_that_beats_its_heart_and_ends_nothing_is_stuck(machine):
    one = machine(run_jobs=True)
    one.records.clear()
    assert await one.health.jobs() == ""
    one.passes(DONE_WITHIN.total_seconds() + 1)

    assert "no periodic job has ended for 3 min" in await one.health.jobs()


async def test_a_right_taken_from_a_running_worker_is_named(machine):
    one = machine(run_jobs=True)
    one.queue.names, one.bot.missing = [], ("channels *",)
    one.passes(PATIENCE + 1)

    why = await one.health.jobs()

    assert "NOPERM" in why
    assert "channels *" in why


async def test_a_queue_that_may_not_be_used_says_why_at_once(machine):
    one = machine(run_jobs=True)
    one.bot.jobs.connected, one.bot.jobs.trouble = False, JournalRefused("NOPERM: no right to channels *", "grant it")

    assert await one.health.jobs() == "NOPERM: no right to channels *; grant it"


@pytest.mark.parametrize(("ahead", "words"), [(121, "behind Slack's"), (-121, "ahead of Slack's"), (119, ""), (0, "")])
async def test_a_clock_that_slack_s_differs_from_by_more_than_the_skew_is_named(machine, ahead, words):
    one = machine(run_jobs=True)
    one.bot.directory.ahead = timedelta(seconds=ahead)

    said = await one.health.clock()

    assert (words in said) if words else (said == "")


async def test_after_a_clock_was_set_periodic_jobs_run_now(machine, told):
    one = machine(run_jobs=True)
    wall, steady = Ticking(), Ticking()
    one.health.jumps = Jumps(wall, steady)
    wall.now -= 3600

    await one.health.look()

    assert [event for event, _ in told()] == ["clock.jumped"]
    assert "tend" in one.bot.jobs.again


async def test_while_redis_is_away_only_that_is_told(machine, told):
    one = machine(run_jobs=True)
    one.bot.jobs.connected = False
    for number in range(6):
        one.bot.away[:] = [JournalAway(f"Redis: Error {number}")]
        await one.health.look()
        one.passes(10)
    one.bot.away[:] = [JournalRefused("Redis can't write to its disk", "free it")]
    await one.health.look()

    assert [why for _, why in told()] == ["Redis: Error 0", "Redis can't write to its disk; free it"]

from __future__ import annotations

import asyncio
import contextlib

import structlog

from handlers.backlog import AT_ONCE, BURST, BUSY_PACE, LATER_AT_ONCE, Backlog
from tests.worlds.own_time import own_time


async def test_work_begins_by_itself_when_no_request_is_coming_in(until):
    backlog, done = Backlog(), []

    async def work() -> None:
        done.append("x")

    async with backlog.worked_off():
        backlog.add(work)
        await until(lambda: done)


async def test_a_lone_request_is_worked_on_while_its_answer_is_on_the_way(until):
    backlog, done = Backlog(), []

    async def work() -> None:
        done.append("x")

    async with backlog.worked_off():
        with backlog.receiving():
            backlog.add(work)
            await until(lambda: done)


async def test_what_nobody_waits_for_is_begun_last_and_takes_up_few_places(until):
    backlog, begun, gate = Backlog(), [], asyncio.Event()

    def piece(name):
        async def work() -> None:
            begun.append(name)
            await gate.wait()

        return work

    for number in range(20):
        backlog.add(piece(f"event {number}"), later=True)
    backlog.add(piece("command"))
    async with backlog.worked_off():
        await until(lambda: len(begun) == 1 + LATER_AT_ONCE)
        assert begun[0] == "command"
        backlog.add(piece("another command"))
        await until(lambda: begun[-1] == "another command")
        assert len(begun) == 2 + LATER_AT_ONCE
        gate.set()
        await until(lambda: len(begun) == 22)


async def test_in_a_burst_no_work_begins_before_the_requests_at_hand_are_answered(until):
    backlog, order = Backlog(), []

    async def work() -> None:
        order.append("work")

    async with backlog.worked_off():
        with contextlib.ExitStack() as requests:
            for _ in range(BURST):
                requests.enter_context(backlog.receiving())
                backlog.add(work)
            for _ in range(20):
                await asyncio.sleep(0)
            order.append("acks")
        await until(lambda: len(order) == 1 + BURST)

    assert order == ["acks", *["work"] * BURST]


async def test_work_does_not_starve_while_requests_never_stop(until):
    backlog, done = Backlog(), []

    async def work() -> None:
        done.append("x")

    async with backlog.worked_off(), own_time() as spent:
        for _ in range(2):
            backlog.add(work)
        while len(done) < 2:
            with backlog.receiving():
                await asyncio.sleep(0.001)

    assert spent.seconds < 2 * BUSY_PACE + 2


async def test_only_so_much_work_goes_on_at_the_same_time(until):
    backlog, gate, going = Backlog(), asyncio.Event(), []

    async def work() -> None:
        going.append("x")
        await gate.wait()

    async with backlog.worked_off():
        for _ in range(AT_ONCE + 5):
            backlog.add(work)
        await until(lambda: len(going) == AT_ONCE)
        gate.set()
        await until(lambda: len(going) == AT_ONCE + 5)


async def test_stopping_finishes_what_was_acked_begun_or_not(until):
    backlog, done = Backlog(), []

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.append("x")

    async with backlog.worked_off():
        with backlog.receiving():
            for _ in range(40):
                backlog.add(work)

    assert len(done) == 40


async def test_work_that_breaks_is_logged_and_the_rest_goes_on(until):
    backlog, done = Backlog(), []

    async def broken() -> None:
        raise ZeroDivisionError

    async def work() -> None:
        done.append("x")

    with structlog.testing.capture_logs() as logs:
        async with backlog.worked_off():
            backlog.add(broken)
            backlog.add(work)
            await until(lambda: done)

    assert [entry["event"] for entry in logs] == ["backlog.broke"]

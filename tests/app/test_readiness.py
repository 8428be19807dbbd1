"""Whether the bot is ready is asked of Redis and Slack once in a while, whoever asks the bot how often."""

from __future__ import annotations

import asyncio

import pytest

from bot.app.readiness import Readiness


class Asked:
    """A check that counts how often it was asked, and answers when it may."""

    def __init__(self, *, answer: bool = True) -> None:
        self.answer = answer
        self.times = 0
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self) -> bool:
        self.times += 1
        await self.may.wait()
        return self.answer


async def test_a_thousand_questions_are_one_question():
    slack = Asked()
    readiness = Readiness({"slack": slack}, fresh=60)

    answers = await asyncio.gather(*(readiness.now() for _ in range(1_000)))

    assert answers == [{"slack": True}] * 1_000
    assert slack.times == 1


async def test_an_answer_is_given_again_only_as_long_as_it_is_fresh():
    slack = Asked()
    fresh, stale = Readiness({"slack": slack}, fresh=60), Readiness({"slack": slack}, fresh=0)
    await fresh.now()
    await stale.now()
    slack.answer = False

    assert await fresh.now() == {"slack": True}
    assert await stale.now() == {"slack": False}
    assert slack.times == 3


async def test_while_slack_does_not_answer_everybody_waits_for_one_question():
    slack = Asked()
    slack.may.clear()
    readiness = Readiness({"slack": slack}, fresh=0)
    asking = [asyncio.create_task(readiness.now()) for _ in range(50)]
    await asyncio.sleep(0)

    asking[0].cancel()  # hangs up
    await asyncio.sleep(0)
    slack.may.set()

    assert await asyncio.gather(*asking[1:]) == [{"slack": True}] * 49
    assert slack.times == 1


async def test_a_check_that_fails_unexpectedly_spoils_one_round_and_not_the_next():
    calls = []

    async def breaks_once() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError
        return True

    readiness = Readiness({"slack": breaks_once}, fresh=0)
    with pytest.raises(RuntimeError):
        await readiness.now()

    assert await readiness.now() == {"slack": True}


async def test_each_check_is_told_by_its_name():
    readiness = Readiness({"redis": Asked(), "slack": Asked(answer=False)})

    assert await readiness.now() == {"redis": True, "slack": False}

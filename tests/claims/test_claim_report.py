"""The report of a command's end, which a bot that is restarted at that moment must not miss."""

import json
from datetime import UTC, datetime

import pytest

from bot.core.gate.case import Ruling
from bot.sandbox.machine.proxy import fault_proxy
from tests.worlds.proxy import Answer, Cut, Delay

EARLY, LATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
FAILS = ("claim", "--state", "staging", "--", "sh", "-c", "hostname; exit 1")
JSON = {"Content-Type": "application/json"}

AWAY = {
    "nobody answers": Cut(),
    "the answer is lost": Cut(after=True),
    "its Redis is away": Answer(503, b'{"error": "Redis is away"}', JSON),
    "a load balancer has nobody": Answer(502, b"<html>Bad Gateway</html>"),
}


@pytest.fixture
async def front(bot):
    """A way to the bot on which calls can be lost."""
    async with fault_proxy(bot.url) as proxy:
        yield proxy


def reports_end(call):
    return call.method == "PATCH" and "exit_code" in json.loads(call.body)


def reports(front):
    return [passed.outcome for passed in front.log if reports_end(passed.call)]


async def record_of(bot, host):
    claim_id = host.strip().removeprefix("tflock-")
    return await bot.world.records.get("claim", claim_id)


@pytest.mark.parametrize("case", AWAY)
async def test_an_end_is_reported_to_a_bot_that_was_away_at_first(bot, front, namespaces, run, in_github, case):
    fault = front.fault(reports_end, AWAY[case], times=2)
    environ = in_github(bot.start_run(), TFLOCK_URL=front.url)

    ended = await run(*FAILS, **environ)
    record = await record_of(bot, ended.out)
    lock = await bot.hold(host=ended.out.strip())
    verdict, _ = await bot.decide()

    assert fault.times == 0
    assert reports(front)[2:] == ["passed"]
    assert (ended.code, ended.out[:7]) == (1, "tflock-")
    assert ended.err.splitlines() == [f"tflock: host sealed as {ended.out.strip()}"]
    assert (record["exit_code"], record["processes_left"]) == (1, 0)
    assert verdict.ruling is Ruling.ALLOW
    assert await bot.still_held(lock)


async def test_an_end_that_comes_twice_is_that_of_the_first_report(bot, front, namespaces, run, in_github):
    front.fault(reports_end, Cut(after=True), times=1)
    ended = await run(*FAILS, **in_github(bot.start_run(), TFLOCK_URL=front.url))
    claim_id = ended.out.strip().removeprefix("tflock-")
    first = await record_of(bot, ended.out)

    again = await bot.tell(claim_id, exit_code=0, processes_left=0)

    assert again.status == 200
    assert await record_of(bot, ended.out) == first
    assert first["exit_code"] == 1


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Answer(404, b'{"error": "there is no such claim"}', JSON), "answered 404: there is no such claim"),
        (Answer(401, b'{"error": "the bearer token is wrong"}', JSON), "answered 401"),
    ],
)
async def test_a_refused_report_is_not_sent_again(bot, front, run, in_github, trouble, words):
    front.fault(reports_end, trouble)

    ended = await run("claim", "--state", "staging", "--", "true", **in_github(bot.start_run(), TFLOCK_URL=front.url))

    assert ended.code == 0
    assert len(reports(front)) == 1
    assert words in ended.err
    assert "The end of the command was not reported." in ended.err


@pytest.mark.parametrize(
    ("trouble", "patience", "words"),
    [
        (Cut(), "claim._TRIES_AGAIN_FOR = 1", "does not answer"),
        (Delay(3600), "claim.REPORT_WAIT = 2", "did not answer within 2 s"),
    ],
)
async def test_a_bot_that_stays_away_delays_the_job_for_a_limited_time(
    bot, front, namespaces, run, in_github, trouble, patience, words
):
    front.fault(reports_end, trouble)
    environ = in_github(bot.start_run(), TFLOCK_URL=front.url)

    ended = await run(*FAILS, short=patience, **environ)
    lock = await bot.hold(host=ended.out.strip())
    verdict, _ = await bot.decide()

    assert ended.code == 1
    assert words in ended.err.splitlines()[-1]
    assert "The end of the command was not reported." in ended.err
    assert verdict.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)

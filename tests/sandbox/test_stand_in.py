"""The frame of the stand-ins: routes as a table, refusals, faults, pages, the clock, and loops of runs."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from bot.sandbox.stand_in import Refused, given, paged
from tests.worlds.stand_in import FaultyCi


@dataclass(eq=False)
class Run:
    has_ended: bool = False
    has_failed: bool = False


@dataclass
class Runs:
    started: list[Run] = field(default_factory=list)

    def start(self):
        self.started.append(Run())
        return self.started[-1]

    def settle(self):
        pass


@dataclass(kw_only=True)
class Shop(FaultyCi):
    """Sells letters, to who is not a thief."""

    def __post_init__(self):
        self.runs = Runs()

    def routes(self):
        return {
            "GET /word": lambda _: "a word",
            "GET /letters": self._letters,
            "GET /letters/{letter}": self._letter,
            "DELETE /letters/{letter}": lambda _: None,
            "GET /own": lambda _: web.Response(status=299, text="own"),
        }

    async def guard(self, request, serve):
        if request.headers.get("Authorization") == "thief":
            raise Refused(403, {"error": "stop"}, {"X-Reason": "theft"})
        return await serve(request)

    def fail(self, run):
        run.has_ended = run.has_failed = True

    def _letters(self, request):
        page = paged(request, "abcdefghijk", usual=4)
        return self.answer({"letters": page.shown}, headers=page.link)

    async def _letter(self, request):
        known = {"a": 1, "b": 2}
        return {"place": given(known.get(request.match_info["letter"]), Refused(404, "no such letter"))}


@pytest_asyncio.fixture
async def shop():
    async with Shop(prefix="/v1", offset=timedelta(hours=-3)) as made:
        yield made


@pytest_asyncio.fixture
async def ask(shop):
    async with aiohttp.ClientSession() as session:

        async def ask(path, method="GET", **headers):
            async with session.request(method, f"{shop.origin}{path}", headers=headers) as answer:
                return answer.status, await answer.text(), answer.headers

        yield ask


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - a stand-in has no event for what its runs become
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/word", 200, "a word"),
        ("GET", "/letters/b", 200, '{"place": 2}'),
        ("DELETE", "/letters/b", 204, ""),
        ("GET", "/own", 299, "own"),
        ("GET", "/letters/z", 404, "no such letter"),
        ("POST", "/word", 405, "405: Method Not Allowed"),
    ],
)
async def test_a_handler_answers_with_text_json_nothing_its_own_response_or_a_refusal(ask, method, path, status, body):
    assert (await ask(path, method))[:2] == (status, body)


async def test_a_guard_refuses_before_any_handler_is_asked(ask):
    status, body, headers = await ask("/word", Authorization="thief")

    assert (status, body, headers["X-Reason"]) == (403, '{"error": "stop"}', "theft")


async def test_every_answer_carries_the_stand_ins_own_time(shop, ask):
    before = shop.now()
    dates = [parsedate_to_datetime((await ask(path))[2]["Date"]) for path in ("/word", "/letters/z", "/nowhere")]

    assert all(before.replace(microsecond=0) <= date <= shop.now() for date in dates)


async def test_requests_are_remembered_in_order_as_they_were_sent(shop, ask):
    await ask("/letters?page=2")
    await ask("/letters/z", "DELETE")

    assert shop.asked == ["GET /letters?page=2", "DELETE /letters/z"]
    assert shop.base_url == f"{shop.origin}/v1"


async def test_a_fault_answers_the_next_requests_that_match_and_no_others(shop, ask):
    shop.answer_next("GET /letters", status=503, body="closed", headers={"Retry-After": "7"}, times=2)

    first, other, second, third = [await ask(path) for path in ("/letters", "/word", "/letters/a", "/letters/a")]

    assert [one[:2] for one in (first, second)] == [(503, "closed")] * 2
    assert first[2]["Retry-After"] == "7"
    assert (other[:2], third[:2]) == ((200, "a word"), (200, '{"place": 1}'))


async def test_a_fault_without_an_answer_of_its_own_only_delays(shop, ask):
    loop = asyncio.get_running_loop()
    shop.answer_next("word", delay=0.2)
    began = loop.time()

    assert (await ask("/word"))[:2] == (200, "a word")
    assert loop.time() - began >= 0.2


async def test_a_healed_stand_in_answers_as_usual(shop, ask):
    shop.answer_next(".*", status=500, times=99)
    assert (await ask("/word"))[0] == 500

    shop.heal()

    assert (await ask("/word"))[0] == 200


async def test_pages_link_to_the_next_one_until_the_list_ends(shop, ask):
    path, pages = "/letters", []
    while path:
        _, body, headers = await ask(path)
        pages.append(body)
        path = headers.get("Link", "").partition(">")[0].removeprefix(f"<{shop.origin}")

    assert pages == [
        '{"letters": ["a", "b", "c", "d"]}',
        '{"letters": ["e", "f", "g", "h"]}',
        '{"letters": ["i", "j", "k"]}',
    ]


async def test_a_loop_starts_runs_that_fail_in_their_time_until_it_is_stopped(shop):
    shop.keep_starting("Acme", 1, start=shop.runs.start, every=0.01, lasts=0.02, contend=None)
    await until(lambda: len(shop.runs.started) > 3)

    shop.stop_loop("acme", "1")
    started = len(shop.runs.started)
    await until(lambda: all(run.has_failed for run in shop.runs.started))

    assert len(shop.runs.started) == started


async def test_a_run_that_ends_stops_contending_and_does_not_fail(shop):
    contending = set()

    async def contend(run):
        contending.add(run)
        try:
            await asyncio.Event().wait()
        finally:
            contending.discard(run)

    run = shop.runs.start()
    shop.live(run, contend=contend)
    await until(lambda: run in contending)
    run.has_ended = True

    await until(lambda: not contending)
    assert not run.has_failed


async def test_a_stand_in_that_is_left_ends_its_loops_and_its_runs():
    before = asyncio.all_tasks()
    async with Shop() as shop:
        shop.keep_starting("loop", start=shop.runs.start, every=0.01, lasts=60, contend=None)
        await until(lambda: shop.runs.started)

    assert asyncio.all_tasks() == before
    assert not any(run.has_failed for run in shop.runs.started)

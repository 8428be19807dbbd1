"""What every `bot.ports.tickets.Tickets` promises, put to each adapter against its stand-in, and the one in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.app.adapters import SystemClock
from bot.core.account.ticket import FileResult, Filing, Ticket
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.phrase import Linked, Person, Quoted
from tests.worlds.memory.tickets import MemoryTickets
from tests.worlds.tickets import GitHubIssues, GitLabIssues, JiraIssues, tracker_of

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(hours=1)
TICKET = Ticket(
    "tflock-inc-20261121-staging-7f3a2-0123456789ab",
    "Let deploy.yml end in time",
    ("Run ", Linked("4711", "https://ci.example.com/4711"), " of ", Quoted("deploy.yml"), " timed out at ", NOW, "."),
    (("Set ", Quoted("timeout-minutes"), "."), ("Tell ", Person("U0QUINN", ""), ".")),
    (("Incident:", (Quoted("staging"),)), ("Locked for:", (timedelta(minutes=65),))),
    {"U0QUINN": "quinn"},
)


@dataclass
class Side:
    """An adapter with its stand-in. `taken` are the titles that arrived there; `fresh` makes another adapter."""

    tickets: Any
    stand_in: Any
    fresh: Any

    @property
    def taken(self):
        if isinstance(self.stand_in, MemoryTickets):
            return [ticket.title for _, ticket in self.stand_in.filed]
        return [issue.title for issue in self.stand_in.issues]

    def break_after_taking(self):
        if isinstance(self.stand_in, MemoryTickets):
            self.stand_in.answers.append(Filing(FileResult.NOT_KNOWN, detail="the connection to Memory broke"))
        else:
            self.stand_in.cut()

    def go_away(self):
        if isinstance(self.stand_in, MemoryTickets):
            self.stand_in.trouble = Unseen("Memory", Trouble.SERVER_ERROR, "Memory broke", NOW)
        else:
            self.stand_in.answer_next("GET", status=503, times=100)


SYSTEMS = {"github": GitHubIssues, "gitlab": GitLabIssues, "jira": JiraIssues}


@asynccontextmanager
async def opened(name):
    async with SYSTEMS[name]() as stand_in:
        made = []

        def fresh(**how):
            made.append(tracker_of(stand_in, **how))
            return made[-1]

        try:
            yield Side(fresh(), stand_in, fresh)
        finally:
            for tickets in made:
                await tickets.aclose()


@pytest.fixture(params=[*SYSTEMS, "memory"])
async def side(request):
    if request.param == "memory":
        memory = MemoryTickets(SystemClock())
        yield Side(memory, memory, None)
        return
    async with opened(request.param) as made:
        yield made


@pytest.fixture(params=SYSTEMS)
async def http(request):
    async with opened(request.param) as made:
        yield made


async def test_a_ticket_is_filed_and_found_by_its_marker(side):
    filing = await side.tickets.file(TICKET)

    assert filing.result is FileResult.FILED
    assert filing.url.startswith(("https://", "http://"))
    assert side.taken == [TICKET.title]
    found = await side.tickets.find(TICKET.marker, since=LONG_AGO)
    assert isinstance(found, Found)
    assert found.value == filing.url


async def test_another_marker_is_not_found(side):
    await side.tickets.file(TICKET)

    assert isinstance(await side.tickets.find("tflock-inc-1-ffffffffffff", since=LONG_AGO), NotFound)


async def test_a_ticket_that_was_taken_before_the_connection_broke_is_not_known_and_then_found(side):
    side.break_after_taking()

    filing = await side.tickets.file(TICKET)

    assert filing.result is FileResult.NOT_KNOWN
    assert filing.detail
    assert side.taken == [TICKET.title]
    assert isinstance(await side.tickets.find(TICKET.marker, since=LONG_AGO), Found)


async def test_a_look_that_brings_nothing_is_unseen_and_never_not_found(side):
    side.go_away()

    seen = await side.tickets.find(TICKET.marker, since=LONG_AGO)

    assert isinstance(seen, Unseen)


async def test_a_system_that_works_is_ready(side):
    seen = await side.tickets.ready()

    assert seen.is_ready
    assert side.tickets.place in seen.detail
    assert side.taken == []


async def test_the_ticket_is_found_among_very_many(http):
    await http.tickets.file(TICKET)
    for number in range(250):
        http.stand_in.take(f"other {number}", "text")

    assert isinstance(await http.tickets.find(TICKET.marker, since=LONG_AGO), Found)


async def test_a_closed_ticket_is_found(http):
    await http.tickets.file(TICKET)
    http.stand_in.issues[0].is_open = False

    assert isinstance(await http.tickets.find(TICKET.marker, since=LONG_AGO), Found)


async def test_a_wrong_token_is_refused_and_named_by_its_variable_alone(http, capsys):
    tickets = http.fresh(token="ghp_somebodys_old_secret")

    filing = await tickets.file(TICKET)
    seen = await tickets.find(TICKET.marker, since=LONG_AGO)
    ready = await tickets.ready()

    assert filing.result is FileResult.REFUSED
    assert isinstance(seen, Unseen)
    assert not ready.is_ready
    assert ready.fix
    told = f"{filing} {seen} {ready} {tickets!r} {capsys.readouterr()}"
    assert "TICKET_TOKEN" in told
    assert "somebodys_old" not in told
    assert http.taken == []


async def test_a_place_that_is_not_there_is_refused(http):
    tickets = http.fresh(place="acme/elsewhere")

    filing, ready = await tickets.file(TICKET), await tickets.ready()

    assert filing.result is FileResult.REFUSED
    assert not ready.is_ready
    assert http.taken == []


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_while_filing_leaves_it_open_whether_it_was_taken(http, status):
    http.stand_in.answer_next("POST", status=status)

    assert (await http.tickets.file(TICKET)).result is FileResult.NOT_KNOWN


async def test_an_answer_that_is_no_ticket_leaves_it_open_whether_it_was_taken(http):
    http.stand_in.answer_next("POST", status=201, body="<html>welcome</html>")

    assert (await http.tickets.file(TICKET)).result is FileResult.NOT_KNOWN


async def test_filing_is_one_request_whatever_comes_of_it(http):
    http.stand_in.answer_next("POST", status=503, times=10)

    await http.tickets.file(TICKET)

    assert len([line for line in http.stand_in.asked if line.startswith("POST")]) == 1


async def test_throttling_files_nothing_and_says_for_how_long(http):
    http.stand_in.answer_next("POST", status=429, headers={"Retry-After": "17"})

    filing = await http.tickets.file(TICKET)

    assert (filing.result, filing.retry_after) == (FileResult.LATER, 17)
    assert http.taken == []


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 422])
async def test_what_the_system_will_not_take_is_refused_with_what_to_do(http, status):
    http.stand_in.answer_next("POST", status=status, body="{}")

    filing = await http.tickets.file(TICKET)

    assert filing.result is FileResult.REFUSED
    assert str(status) in filing.detail
    assert "To fix it" in filing.detail


async def test_where_nobody_listens_nothing_was_filed(http):
    tickets = http.fresh(base_url="http://127.0.0.1:1")

    filing = await tickets.file(TICKET)

    assert filing.result is FileResult.LATER


async def test_a_look_is_asked_again_after_a_server_error(http):
    await http.tickets.file(TICKET)
    http.stand_in.answer_next("GET", status=502)

    assert isinstance(await http.tickets.find(TICKET.marker, since=LONG_AGO), Found)


async def test_an_answer_of_another_shape_is_unseen(http):
    http.stand_in.answer_next("GET", status=200, body='{"surprise": true}')

    assert isinstance(await http.tickets.find(TICKET.marker, since=LONG_AGO), Unseen)

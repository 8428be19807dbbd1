"""Long texts: how much is read, where redirects lead and what does not go along, and the clock that an answer tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from bot.core.evidence import Trouble
from bot.http.client import Absent, Client, Failed, Portion, ServerClock, offset_of
from tests.worlds.clocks import SetClock

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FAR = "https://storage.example.net/logs/1?sig=x"


class Pieces:
    def __init__(self):
        self.pieces = []

    def feed(self, chunk):
        self.pieces.append(chunk)

    def gap(self):
        self.pieces.append(None)

    @property
    def parts(self):
        """What came between two gaps."""
        found = [b""]
        for piece in self.pieces:
            if piece is None:
                found.append(b"")
            else:
                found[-1] += piece
        return found


class Server:
    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, request):
        self.asked.append(request)
        return self.answers.pop(0)


async def streamed(*answers, follows=True):
    server, into = Server(*answers), Pieces()
    client = Client(
        "GitHub",
        "https://api.example.com",
        headers=lambda: {"Authorization": "Bearer verysecret"},
        errors=lambda _: {},
        clock=SetClock(NOON),
        http=httpx.AsyncClient(transport=httpx.MockTransport(server)),
    )
    is_whole = await client.stream("/log", "the log", into, Portion(head=10, tail=4), follows=follows)
    return is_whole, into, server, client


def redirect(to=FAR):
    return httpx.Response(302, headers={"Location": to})


async def test_a_short_text_is_read_whole():
    is_whole, into, _, _ = await streamed(httpx.Response(200, content=b"0123456789"))

    assert (is_whole, into.parts) == (True, [b"0123456789"])


async def test_of_a_long_text_the_beginning_and_the_end_are_read():
    whole = httpx.Response(200, content=b"0123456789abcdef")

    is_whole, into, server, _ = await streamed(redirect(), whole, httpx.Response(206, content=b"cdef"))

    assert (is_whole, into.parts) == (False, [b"0123456789", b"cdef"])
    assert (str(server.asked[2].url), server.asked[2].headers["Range"]) == (FAR, "bytes=12-")


async def test_a_server_that_gives_no_end_leaves_a_gap():
    for answer in (httpx.Response(200, content=b"all of it again"), httpx.Response(416)):
        is_whole, into, _, _ = await streamed(httpx.Response(200, content=b"0123456789abcdef"), answer)

        assert (is_whole, into.parts) == (False, [b"0123456789", b""])


@pytest.mark.parametrize("to", [FAR, "/elsewhere", "//storage.example.net/x"])
async def test_no_credentials_go_along_with_a_redirect_and_its_twin_without_one_has_them(to):
    _, into, server, _ = await streamed(redirect(to), httpx.Response(200, content=b"ok"))

    assert into.parts == [b"ok"]
    assert ["authorization" in request.headers for request in server.asked] == [True, False]
    assert server.asked[1].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "to", ["http://storage.example.net/x", "file:///etc/passwd", "https://a:b@storage.example.net/x"]
)
async def test_a_redirect_to_an_unsafe_place_is_not_followed(to):
    with pytest.raises(Failed) as caught:
        await streamed(redirect(to))

    assert caught.value.trouble in {Trouble.GARBLED, Trouble.NO_CONNECTION}


async def test_redirects_end():
    with pytest.raises((Failed, Absent)):
        await streamed(*[redirect() for _ in range(10)])


async def test_a_redirect_that_is_not_expected_is_no_log():
    with pytest.raises(Failed):
        await streamed(redirect(), follows=False)


async def test_what_the_other_place_refuses_is_not_said_to_be_a_missing_right():
    with pytest.raises(Failed) as caught:
        await streamed(redirect(), httpx.Response(403, content=b"expired"))
    assert (caught.value.trouble, "verysecret" in str(caught.value)) == (Trouble.SERVER_ERROR, False)
    with pytest.raises(Absent):
        await streamed(redirect(), httpx.Response(404))
    with pytest.raises(Failed) as caught:
        await streamed(httpx.Response(403))
    assert caught.value.trouble is Trouble.DENIED


async def test_the_clock_of_the_server_is_measured_and_not_the_storage_s():
    ours = {"Date": "Sat, 21 Nov 2026 11:50:00 GMT"}
    theirs = httpx.Response(200, content=b"ok", headers={"Date": "Sat, 21 Nov 2026 10:00:00 GMT"})

    _, _, _, client = await streamed(httpx.Response(302, headers={"Location": FAR, **ours}), theirs)

    assert (client.offset.ahead, client.offset.within) == (timedelta(minutes=-10), timedelta(seconds=1))


def test_the_offset_is_as_uncertain_as_half_the_way_and_a_second():
    offset = offset_of({"date": "Sat, 21 Nov 2026 12:01:00 GMT"}, NOON, NOON + timedelta(seconds=8))

    assert (offset.ahead, offset.within) == (timedelta(seconds=56), timedelta(seconds=5))
    assert offset.on_ours(NOON + timedelta(minutes=1)) == NOON + timedelta(seconds=9)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"date": ""},
        {"date": "soon"},
        {"date": "Sat, 21 Nov 2026 12:01:00 GMT", "age": "30"},
        {"date": "Sat, 99 Nov"},
    ],
)
def test_an_answer_that_tells_no_time_of_its_own_measures_nothing(headers):
    assert offset_of(headers, NOON, NOON) is None


@pytest.mark.parametrize("hours", [1, -1])
def test_an_answer_that_tells_no_time_leaves_the_server_s_clock_where_it_was_although_ours_was_set(hours):
    clock, counts = SetClock(NOON), 7.0
    clock.running = lambda: counts
    server = ServerClock(clock)
    server.hear({"date": "Sat, 21 Nov 2026 12:00:00 GMT"}, NOON)
    before = server.offset.on_ours(NOON)

    clock.at = NOON + timedelta(hours=hours)
    server.hear({"date": "Sat, 21 Nov 2026 12:00:00 GMT", "age": "30"}, clock.at)

    assert server.offset.on_ours(NOON) == before + timedelta(hours=hours)
    counts += 600
    clock.at += timedelta(minutes=10)
    assert server.offset.on_ours(NOON) == before + timedelta(hours=hours)

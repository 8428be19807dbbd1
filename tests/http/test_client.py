"""The one HTTP client: what statuses mean, how much is read, what is tried again, and which secrets stay where."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import httpx
import pytest
from httpx import codes

from bot.core.evidence import Trouble
from bot.http.client import Absent, Client, Failed, denied, is_rate_limited, wait_named
from tests.worlds.clocks import SetClock

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Server:
    """Answers in order, the last one again and again, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client_of(*answers, errors=lambda _: {}, **more):
    server = Server(*answers)
    client = Client(
        "Jenkins",
        "https://ci.example.com/api/",
        headers=lambda: {"Authorization": "Basic verysecret"},
        errors=errors,
        clock=SetClock(NOW),
        http=httpx.AsyncClient(transport=httpx.MockTransport(server)),
        **more,
    )
    return client, server


async def failure(*answers, **more):
    client, _ = client_of(*answers, **more)
    with pytest.raises((Failed, Absent)) as caught:
        await client.send("GET", "/thing", "the thing", tries=1)
    return caught.value


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (301, Trouble.GARBLED),
        (400, Trouble.GARBLED),
        (401, Trouble.DENIED),
        (403, Trouble.DENIED),
        (418, Trouble.GARBLED),
        (429, Trouble.THROTTLED),
        (500, Trouble.SERVER_ERROR),
        (503, Trouble.SERVER_ERROR),
    ],
)
async def test_a_status_means_the_same_whoever_says_it(status, trouble):
    failed = await failure(httpx.Response(status))

    assert failed.trouble is trouble
    assert failed.was_sent
    assert "verysecret" not in failed.words


@pytest.mark.parametrize("status", [404, 410])
async def test_what_is_not_there_is_absent(status):
    assert (await failure(httpx.Response(status))).what == "the thing, or the token may not see it"


async def test_a_systems_own_table_goes_before_everybodys():
    def errors(no):
        return {codes.NOT_FOUND: denied("no such project", "name another"), 4: denied(f"refused ({no.status})")}

    assert (await failure(httpx.Response(404), errors=errors)).words == "no such project. To fix it: name another"
    assert (await failure(httpx.Response(410), errors=errors)).detail == "refused (410)"
    assert (await failure(httpx.Response(500), errors=errors)).trouble is Trouble.SERVER_ERROR


async def test_an_answer_as_to_a_stranger_is_a_refusal_whatever_its_status():
    failed = await failure(httpx.Response(203), is_stranger=lambda answer: answer.status_code == 203)

    assert failed.trouble is Trouble.DENIED


@pytest.mark.parametrize(
    ("error", "trouble", "was_sent"),
    [
        (httpx.ConnectError("no"), Trouble.NO_CONNECTION, False),
        (httpx.ConnectTimeout("no"), Trouble.TIMED_OUT, False),
        (httpx.ReadTimeout("no"), Trouble.TIMED_OUT, True),
        (httpx.RemoteProtocolError("no"), Trouble.NO_CONNECTION, True),
    ],
)
async def test_a_broken_connection_tells_whether_the_request_may_have_been_taken(error, trouble, was_sent):
    failed = await failure(error)

    assert (failed.trouble, failed.was_sent) == (trouble, was_sent)


async def test_a_secret_that_no_header_takes_is_not_sent_and_not_shown():
    client, server = client_of(httpx.Response(200))
    client._headers = lambda: {"Authorization": "Basic věrysecret"}

    with pytest.raises(Failed) as caught:
        await client.send("GET", "/thing", "the thing")

    assert not caught.value.was_sent
    assert "secret" not in str(caught.value)
    assert server.asked == []


async def test_no_secret_follows_a_redirect():
    client, server = client_of(httpx.Response(302, headers={"Location": "https://elsewhere.example.com/"}))

    with pytest.raises(Failed):
        await client.send("GET", "/thing", "the thing")

    assert [str(request.url) for request in server.asked] == ["https://ci.example.com/api/thing"]


async def test_a_server_error_is_tried_again_and_a_refusal_is_not():
    client, server = client_of(httpx.Response(502), httpx.Response(200, json={"a": 1}))
    assert await client.get_object("/thing", "the thing") == {"a": 1}
    assert len(server.asked) == 2

    client, server = client_of(httpx.Response(403))
    with pytest.raises(Failed):
        await client.send("GET", "/thing", "the thing")
    assert len(server.asked) == 1


async def test_a_short_wait_is_waited_out_and_a_long_one_is_told():
    client, server = client_of(httpx.Response(429, headers={"Retry-After": "0"}), httpx.Response(200, json={}))
    assert await client.get_object("/thing", "the thing") == {}
    assert len(server.asked) == 2

    failed = await failure(httpx.Response(429, headers={"Retry-After": "90"}))
    assert (failed.retry_after, failed.detail) == (90, "Jenkins' rate limit is used up until 12:01:30 UTC")


async def test_an_answer_without_end_is_too_much_and_not_tried_again():
    async def endless():
        while True:
            yield bytes(1024 * 1024)

    client, server = client_of(httpx.Response(200, content=endless()))

    with pytest.raises(Failed) as caught:
        await client.send("GET", "/thing", "the thing")

    assert caught.value.trouble is Trouble.TOO_MUCH
    assert len(server.asked) == 1


async def test_the_beginning_of_a_text_is_no_longer_than_asked_for():
    client, server = client_of(httpx.Response(200, content=b"abcdefgh" * 1000))

    assert await client.beginning("/log", "the log", most=10) == b"abcdefghab"
    assert server.asked[0].headers["Range"] == "bytes=0-9"


async def test_a_packed_answer_is_read_as_what_it_says():
    packed = httpx.Response(200, content=gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    client, _ = client_of(packed)

    assert await client.get_object("/thing", "the thing") == {"a": 1}


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"[1]"])
async def test_what_is_no_json_object_is_garbled(body):
    client, _ = client_of(httpx.Response(200, content=body))

    with pytest.raises(Failed) as caught:
        await client.get_object("/thing", "the thing")

    assert caught.value.trouble is Trouble.GARBLED


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "17"}, 17),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "99999999"}, 86_400),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, 60),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, None),
        ({"ratelimit-reset": str(int(NOW.timestamp()) + 5)}, 5),
        ({"ratelimit-reset": "soon"}, None),
    ],
)
def test_the_wait_is_the_one_that_the_answer_names(headers, seconds):
    assert wait_named(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(403, headers={"Retry-After": "1"}), True),
        (httpx.Response(403, headers={"X-RateLimit-Remaining": "0"}), True),
        (httpx.Response(403, json={"message": "You have exceeded a secondary Rate Limit"}), True),
        (httpx.Response(403, json={"message": "Resource not accessible"}), False),
    ],
)
def test_githubs_403_is_a_limit_where_it_says_so(answer, expected):
    assert is_rate_limited(answer) is expected

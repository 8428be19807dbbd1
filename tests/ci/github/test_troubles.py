"""What stands in the way of a look-up, kept apart and said in words that name the mend; and what is tried again."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.ci.github.source import GitHubActions
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.run import Phase, Pipeline, RunRef
from bot.http.client import Limits
from tests.worlds.ci.sources import source_of
from tests.worlds.clocks import SetClock

SINCE = datetime.now(UTC) - timedelta(hours=6)
RUNS = "deploy.yml/runs"


async def test_a_workflow_that_github_does_not_know_is_not_found(source, github):
    unknown = Pipeline("github", (("repo", "acme/infra"), ("workflow", "gone.yml")))

    seen = await source.runs(unknown, since=SINCE)

    assert isinstance(seen, NotFound)
    assert (seen.system, seen.what) == (
        "GitHub Actions",
        "workflow gone.yml in acme/infra, or the token may not see it",
    )


async def test_a_wrong_token_is_denied_and_named(make_source, deploy):
    seen = await make_source(token=SecretStr("wrong"), token_name="GH_READER").runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        "GitHub refuses the token (401): GH_READER is wrong or expired",
    )


async def test_a_missing_right_is_denied_and_names_the_permission(source, github, deploy):
    body = json.dumps({"message": "Resource not accessible by personal access token"})
    github.answer_next(RUNS, status=403, body=body, headers={"X-GitHub-SSO": "required"}, times=2)

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        (
            "GitHub denies workflow deploy.yml in acme/infra (403): GITHUB_TOKEN needs the permission actions: read, "
            "authorised for the organisation's SSO"
        ),
    )


@pytest.mark.parametrize(
    ("status", "headers", "wait", "until"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795349130"}, 330.0, "12:05:30 UTC"),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795349130"}, 330.0, "12:05:30 UTC"),
        (403, {"Retry-After": "30"}, 30.0, "12:00:30 UTC"),
        (429, {"Retry-After": "Sun, 22 Nov 2026 12:02:00 GMT"}, 120.0, "12:02:00 UTC"),
        (429, {}, 60.0, "12:01:00 UTC"),
        (429, {"Retry-After": "soon"}, 60.0, "12:01:00 UTC"),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 400}, 60.0, "12:01:00 UTC"),
        (429, {"Retry-After": "9" * 400}, 86400.0, "12:00:00 UTC"),
    ],
)
async def test_a_rate_limit_says_until_when(make_source, github, deploy, status, headers, wait, until):
    github.answer_next(RUNS, status=status, body="{}", headers=headers, times=9)

    seen = await make_source(clock=SetClock()).runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.retry_after) == (Trouble.THROTTLED, wait)
    assert seen.detail == f"GitHub's rate limit is used up until {until}"


async def test_a_secondary_limit_without_headers_is_no_missing_right(source, github, deploy):
    body = json.dumps({"message": "You have exceeded a secondary rate limit."})
    github.answer_next(RUNS, status=403, body=body, times=2)

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.THROTTLED


async def test_the_used_up_hour_of_the_stand_in_is_throttled(source, github, deploy):
    github.remaining = 0

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.THROTTLED
    assert 0 < seen.retry_after <= 3600


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_lasting_server_errors_are_unseen(source, github, deploy, status):
    github.answer_next(RUNS, status=status, body="<html>", times=99)

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (Trouble.SERVER_ERROR, f"GitHub returned an error ({status})")


async def test_two_server_errors_and_short_pauses_are_sat_out(source, github, deploy):
    run = github.runs.start_run("acme/infra", "deploy.yml")
    github.answer_next("&page=1", status=502)
    github.answer_next("&page=1", status=429, headers={"Retry-After": "0"})

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Found)
    assert [listed.ref.id for listed in seen.value] == [str(run.id)]


async def test_what_will_not_change_is_asked_once(source, github, deploy):
    github.answer_next(f"{RUNS}.*&page=1", status=404, body="{}", times=1)

    assert isinstance(await source.runs(deploy, since=SINCE), NotFound)


async def test_a_slow_answer_is_timed_out_by_the_limit_of_the_whole_look_up(make_source, github, deploy):
    github.answer_next(RUNS, delay=30, times=9)

    seen = await make_source(limits=Limits(overall=0.2)).runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (
        Trouble.TIMED_OUT,
        "GitHub Actions did not give the whole answer within 0.2 s",
    )


async def test_a_silent_server_is_timed_out_by_the_limit_of_one_read(make_source, github, deploy):
    github.answer_next(RUNS, delay=30, times=9)

    seen = await make_source(limits=Limits(read=0.1)).runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (Trouble.TIMED_OUT, "GitHub took too long to answer")


async def test_a_server_that_is_not_there_is_no_connection(make_source, deploy):
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    seen = await make_source(base_url=f"http://127.0.0.1:{port}").runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (
        Trouble.NO_CONNECTION,
        "no connection to GitHub: is its address right, is it up?",
    )


async def test_a_connection_that_is_cut_is_no_connection(make_source, deploy):
    async def cut(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        seen = await make_source(base_url=f"http://127.0.0.1:{port}").runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (Trouble.NO_CONNECTION, "the connection to GitHub broke")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_never_followed_with_the_token(source, github, deploy, status):
    github.answer_next(RUNS, status=status, headers={"Location": f"{github.base_url}/trap"}, times=2)

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED
    assert "was it renamed?" in seen.detail
    assert not any("/trap" in line for line in github.asked)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "null",
        "1",
        "{}",
        '{"total_count": 1',
        '{"total_count": "1", "workflow_runs": []}',
        '{"total_count": 1, "workflow_runs": {}}',
        '{"total_count": 1, "workflow_runs": [null]}',
        '{"total_count": 1, "workflow_runs": [{}]}',
        '{"total_count": 1, "workflow_runs": [{"id": 5}]}',
        '{"total_count": 1, "workflow_runs": [{"id": "5", "created_at": "2024-11-21T18:00:00Z"}]}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
async def test_a_garbled_list_is_unseen(source, github, deploy, body):
    github.answer_next(RUNS, body=body or " ", times=99)

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


async def test_an_undocumented_status_is_garbled(source, github, deploy):
    github.answer_next(RUNS, status=418, times=2)

    seen = await source.runs(deploy, since=SINCE)

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


async def test_neither_repr_nor_details_nor_logs_show_the_token(make_source, github, deploy):
    with structlog.testing.capture_logs() as logs:
        source = make_source(token=SecretStr("ghp_verysecret"))
        seen = [await source.runs(deploy, since=SINCE)]
        github.answer_next(RUNS, status=500, times=9)
        seen.append(await source.runs(deploy, since=SINCE))

    inner = (source.ci, source.ci._api, source.ci.client)
    shown = [repr(source), *(repr(vars(each)) for each in inner)]
    assert "verysecret" not in "".join(shown) + repr(seen) + repr(logs)
    assert [entry["event"] for entry in logs if entry["event"].startswith("ci.")] == ["ci.unseen", "ci.unseen"]


async def test_proxies_of_the_environment_are_not_asked_for_loopback(make_source, deploy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert isinstance(await make_source().runs(deploy, since=SINCE), Found)


async def test_a_client_that_was_passed_in_is_used_and_closed_with_the_source(make_source, github, deploy):
    client = httpx.AsyncClient()
    source = make_source(http=client)

    assert isinstance(await source.runs(deploy, since=SINCE), Found)
    await source.aclose()
    assert client.is_closed


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    cuts=st.tuples(*[st.sampled_from([0, 0, 1, 2]) | st.integers(0, 3000)] * 2),
    tails=st.tuples(*[st.sampled_from(["", "", "}", "]}", '"completed"', "\x00", ', "status": "completed"}'])] * 2),
)
async def test_no_cut_or_changed_answer_makes_a_running_run_ended_or_raises(github, deploy, cuts, tails):
    run = github.runs.start_run("acme/infra", "deploy.yml")
    path = f"{github.base_url}/repos/acme/infra/actions/runs/{run.id}"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {github.token}"}) as reader:
        answers = {part: (await reader.get(path + part)).text for part in ("", "/jobs")}
    for (part, text), cut, tail in zip(answers.items(), cuts, tails, strict=True):
        github.answer_next(f"runs/{run.id}{part}($|\\?)", body=(text[: max(0, len(text) - cut)] + tail) or " ")
    source = source_of(GitHubActions, github, deploy, clock=SetClock())

    seen = await source.run(RunRef(deploy, str(run.id)))
    await source.aclose()

    assert not (isinstance(seen, Found) and seen.value.phase is Phase.ENDED)

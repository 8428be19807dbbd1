"""Azure DevOps over real HTTP against its stand-in: lists, attempts, hosts, troubles, cancels and pauses."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.ci.azure.source import AzureDevOps
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.run import CancelResult, Conclusion, Phase, Pipeline, RunRef, SwitchResult
from bot.http.client import Limits
from tests.worlds.ci.azure.runs import project_id
from tests.worlds.ci.azure.server import AzureStandIn
from tests.worlds.ci.azure.shapes import build_json, timeline_json
from tests.worlds.ci.sources import source_of, value
from tests.worlds.clocks import SetClock

PROJECT = "infra"
DEPLOY = Pipeline("azure", (("project", PROJECT), ("definition", "42")))
UPDATE = Pipeline("azure", (("project", PROJECT), ("definition", "43")))
NOW = datetime.now(UTC).replace(microsecond=0)
BUILDS = r"/_apis/build/builds\?"


def ago(**span):
    return NOW - timedelta(**span)


def ids(observation):
    return [int(run.ref.id) for run in value(observation)]


def ref_of(build, pipeline=DEPLOY):
    return RunRef(pipeline, str(build.id))


@pytest.fixture
async def azure():
    async with AzureStandIn(cancel_delay=timedelta(0)) as standing:
        standing.runs.add_definition(PROJECT, 42)
        standing.runs.add_definition(PROJECT, 43)
        yield standing


@pytest.fixture
def make_source(made, azure):
    return partial(made, AzureDevOps, azure, DEPLOY, UPDATE)


@pytest.fixture
def build(azure):
    return azure.runs.start_run(PROJECT, 42)


async def test_a_list_holds_what_was_going_on_since_then_however_long_ago_it_was_queued(source, azure):
    gone = azure.runs.start_run(PROJECT, 42, at=ago(hours=9))
    azure.runs.finish(gone.id, at=ago(hours=8))
    overlapping = azure.runs.start_run(PROJECT, 42, at=ago(hours=7))
    azure.runs.finish(overlapping.id, "failed", at=ago(hours=2))
    running = azure.runs.start_run(PROJECT, 42, at=ago(days=20))
    queued = azure.runs.start_run(PROJECT, 42, at=ago(hours=1), queued=True)

    listed = await source.runs(DEPLOY, since=ago(hours=3))

    assert ids(listed) == [queued.id, overlapping.id, running.id]
    assert [run.phase for run in value(listed)] == [Phase.WAITING, Phase.ENDED, Phase.RUNNING]
    assert all(run.jobs is None for run in value(listed))


async def test_builds_that_are_being_cancelled_or_are_postponed_are_in_the_list(source, azure):
    cancelling = azure.runs.start_run(PROJECT, 42, at=ago(hours=9), stubborn=True)
    azure.runs.cancel(cancelling.id)
    postponed = azure.runs.start_run(PROJECT, 42, at=ago(hours=8), queued=True)
    postponed.status = "postponed"

    listed = value(await source.runs(DEPLOY, since=ago(hours=3)))

    assert [(int(run.ref.id), run.phase) for run in listed] == [
        (postponed.id, Phase.WAITING),
        (cancelling.id, Phase.ENDING),
    ]


async def test_lists_are_read_to_their_last_page(source, azure):
    azure.page_size = 7
    started = [azure.runs.start_run(PROJECT, 43, at=ago(minutes=minute)).id for minute in range(1, 30)]
    for build_id in started[10:]:
        azure.runs.finish(build_id, "failed", at=ago(seconds=5))

    assert ids(await source.runs(UPDATE, since=ago(hours=6))) == started


async def test_a_list_that_goes_in_a_circle_or_has_no_end_is_unseen(source, azure):
    page = json.dumps({"count": 0, "value": []})
    azure.answer_next("notStarted", body=page, headers={"x-ms-continuationtoken": "again"}, times=99)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED
    assert seen.detail.endswith("goes in a circle")


async def test_a_definition_without_builds_that_azure_does_not_know_is_not_found(source):
    unknown = Pipeline("azure", (("project", PROJECT), ("definition", "77")))
    nowhere = Pipeline("azure", (("project", "elsewhere"), ("definition", "42")))

    seen = [await source.runs(pipeline, since=ago(hours=1)) for pipeline in (unknown, nowhere)]

    assert [type(one) for one in seen] == [NotFound, NotFound]
    assert seen[0].what == "definition 77 in infra, or the token may not see it"


@pytest.mark.parametrize("definition", ["", "deploy", "4 2", "-1", "42/../43", "\u0664"])
async def test_a_definition_that_is_no_number_is_never_asked_for(source, azure, definition):
    seen = await source.runs(Pipeline("azure", (("project", PROJECT), ("definition", definition))), since=ago(hours=1))

    assert isinstance(seen, NotFound)
    assert azure.asked == []


@pytest.mark.parametrize("project", ["", "..", " . "])
async def test_a_project_that_leads_elsewhere_is_never_asked_for(source, azure, project):
    seen = await source.run(RunRef(Pipeline("azure", (("project", project), ("definition", "42"))), "464"))

    assert isinstance(seen, NotFound)
    assert azure.asked == []


async def test_a_project_with_spaces_is_asked_by_its_whole_name(make_source, azure):
    pipeline = Pipeline("azure", (("project", "Platform & Co/EU"), ("definition", "5")))
    azure.runs.add_definition("Platform & Co/EU", 5)

    assert value(await make_source(pipelines=(pipeline,)).runs(pipeline, since=ago(hours=1))) == ()


async def test_a_cancelled_build_with_a_job_that_runs_on_is_listed_and_read_as_running(source, azure, build):
    azure.runs.complete_early(build.id, "canceled", at=ago(hours=2))

    (listed,) = value(await source.runs(DEPLOY, since=ago(hours=3)))
    full = value(await source.with_jobs(listed))

    assert (listed.phase, listed.ended_at) == (Phase.RUNNING, None)
    assert (full.phase, full.conclusion, full.reported) == (Phase.RUNNING, None, "completed, canceled")


async def test_a_cancelled_build_whose_jobs_cannot_be_read_is_not_listed_as_ended(source, azure, build):
    azure.runs.finish(build.id, "canceled", at=ago(hours=1))
    azure.answer_next("/timeline", status=502, times=9)

    (listed,) = value(await source.runs(DEPLOY, since=ago(hours=3)))
    (again,) = value(await source.runs(DEPLOY, since=ago(hours=3)))

    assert (listed.phase, listed.ended_at) == (Phase.UNKNOWN, None)
    assert (again.phase, again.conclusion, again.ended_at) == (Phase.UNKNOWN, None, None)


async def test_all_attempts_are_read_each_from_its_own_timeline(source, azure):
    build = azure.runs.start_run(PROJECT, 42, at=ago(hours=5), machine="build-a")
    azure.runs.finish(build.id, "failed", at=ago(hours=4))
    azure.runs.rerun(build.id, at=ago(hours=3), machine="build-b")
    azure.runs.finish(build.id, "failed", at=ago(hours=2), lost=True)
    azure.runs.rerun(build.id, at=ago(hours=1), machine="build-c")

    full = value(await source.run(ref_of(build)))

    assert (full.phase, full.attempt, full.started_at) == (Phase.RUNNING, 3, ago(hours=1))
    assert [(job.attempt, job.host, job.conclusion, job.ended_at) for job in full.jobs] == [
        (1, "build-a", Conclusion.FAILED, ago(hours=4)),
        (2, "build-b", Conclusion.LOST, ago(hours=2)),
        (3, "build-c", None, None),
    ]


async def test_a_stage_that_waits_to_be_run_again_has_not_ended(source, azure, build):
    azure.runs.finish(build.id, "failed")
    azure.runs.rerun(build.id, queued=True)

    assert value(await source.run(ref_of(build))).phase is not Phase.ENDED


async def test_an_earlier_attempt_that_cannot_be_read_leaves_the_jobs_missing(source, azure, build):
    azure.runs.finish(build.id, "failed")
    azure.runs.rerun(build.id)
    azure.runs.finish(build.id, "succeeded")
    azure.answer_next(f"timeline/{build.timeline_id(1)}", status=404, body="{}")

    full = value(await source.run(ref_of(build)))

    assert (full.phase, full.conclusion, full.jobs) == (Phase.UNKNOWN, None, None)
    assert full.jobs_missing == (
        f"Azure DevOps does not know an earlier attempt of the timeline of build {build.id} in infra, "
        "or the token may not see it"
    )


async def test_more_attempts_than_can_be_read_leave_the_jobs_missing(source, azure, build):
    azure.runs.finish(build.id, "failed")
    for _ in range(31):
        azure.runs.rerun(build.id)
        azure.runs.finish(build.id, "failed")

    full = value(await source.run(ref_of(build)))

    assert full.phase is Phase.UNKNOWN
    assert "more attempts than can be read" in full.jobs_missing


@pytest.mark.parametrize("timeline", [{"status": 204}, {"body": '{"id": "a1b2c3d4-1", "records": []}'}])
async def test_a_build_that_was_cancelled_in_the_queue_never_ran(source, azure, timeline):
    build = azure.runs.start_run(PROJECT, 42, queued=True)
    azure.runs.cancel(build.id)
    azure.answer_next("/timeline", **timeline)

    full = value(await source.run(ref_of(build)))

    assert (full.phase, full.conclusion) == (Phase.ENDED, Conclusion.CANCELLED)
    assert [(job.phase, job.conclusion) for job in full.jobs] == [(Phase.ENDED, Conclusion.SKIPPED)]


async def test_a_build_that_failed_before_any_job_was_made_keeps_its_own_window(source, azure, build):
    azure.runs.finish(build.id, "failed")
    azure.answer_next("/timeline", body='{"id": "a1b2c3d4-1", "records": []}')

    full = value(await source.run(ref_of(build)))

    assert (full.phase, full.conclusion, full.jobs) == (Phase.ENDED, Conclusion.FAILED, ())


async def test_a_build_that_ran_and_has_no_timeline_has_not_ended(source, azure, build):
    azure.runs.finish(build.id, "failed")
    azure.answer_next("/timeline", status=204)

    full = value(await source.run(ref_of(build)))

    assert (full.phase, full.jobs_missing) == (Phase.UNKNOWN, "Azure DevOps keeps no timeline of it")


async def test_the_host_is_the_machine_that_the_log_names_and_not_the_agent(source, azure):
    build = azure.runs.start_run(PROJECT, 42, agent="linux-agent-3", machine="build-7")

    assert [job.host for job in value(await source.run(ref_of(build))).jobs] == ["build-7"]


async def test_a_machine_that_was_found_once_is_known_from_then_on(source, azure, build):
    await source.run(ref_of(build))
    azure.answer_next("/logs/", status=500, times=99)

    assert [job.host for job in value(await source.run(ref_of(build))).jobs] == ["fv-az719-784"]


@pytest.mark.parametrize(
    ("agent", "answer", "host"),
    [
        ("build-7", {"status": 404, "body": "{}"}, "build-7"),
        ("build-7", {"body": "no such line"}, "build-7"),
        ("Azure Pipelines 3", {"status": 404, "body": "{}"}, None),
        ("build-7", {"status": 500}, None),
        ("build-7", {"status": 403, "body": "{}"}, None),
    ],
)
async def test_without_the_log_an_own_agents_name_stands_for_its_host_unless_reading_failed(
    source, azure, agent, answer, host
):
    build = azure.runs.start_run(PROJECT, 42, agent=agent)
    azure.answer_next("/logs/", times=9, **answer)

    assert [job.host for job in value(await source.run(ref_of(build))).jobs] == [host]


async def test_a_page_that_is_linked_by_the_projects_id_is_known_once_a_build_told_it(source, azure, build):
    url = f"{azure.base_url}/{project_id(PROJECT)}/_build/results?buildId={build.id}"
    before = source.ref_from_url(url)

    await source.runs(DEPLOY, since=ago(hours=1))

    assert before is None
    assert value(await source.run(source.ref_from_url(url))).ref == ref_of(build)


async def test_a_build_of_another_definition_belongs_to_that_ones_pipeline(source, azure):
    build = azure.runs.start_run(PROJECT, 43)

    assert value(await source.run(ref_of(build, DEPLOY))).ref.pipeline == UPDATE


async def test_an_answer_about_another_build_is_garbled(source, azure, build):
    other = azure.runs.start_run(PROJECT, 42)
    async with httpx.AsyncClient(auth=("", azure.token)) as reader:
        body = (await reader.get(f"{azure.base_url}/infra/_apis/build/builds/{other.id}?api-version=7.1")).text
    azure.answer_next(f"builds/{build.id}\\?", body=body)

    seen = await source.run(ref_of(build))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


async def test_an_older_server_is_asked_in_the_version_that_it_knows(source, azure, build):
    azure.newest_version = "6.0"

    seen = await source.run(ref_of(build))
    azure.asked.clear()
    await source.run(ref_of(build))

    assert value(seen).phase is Phase.RUNNING
    assert all("api-version=6.0" in line for line in azure.asked)


async def test_a_collection_below_a_path_is_asked_there():
    async with AzureStandIn(prefix="/tfs/DefaultCollection") as server:
        build = server.runs.start_run(PROJECT, 42)
        source = source_of(AzureDevOps, server, DEPLOY, base_url=server.base_url + "/")
        ref = source.ref_from_url(f"{server.base_url}/infra/_build/results?buildId={build.id}")
        seen = await source.run(ref)
        await source.aclose()

    assert value(seen).ref.url == f"{server.base_url}/infra/_build/results?buildId={build.id}"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 203, "body": "<html>Sign In</html>", "headers": {"Content-Type": "text/html"}},
        {"status": 302, "headers": {"Location": "https://spsprodweu1.vssps.visualstudio.com/_signin?realm=dev"}},
        {"status": 401, "body": "Access Denied: The Personal Access Token used has expired."},
    ],
)
async def test_a_page_to_sign_in_is_a_refused_token_and_is_never_followed(make_source, azure, answer):
    azure.answer_next(BUILDS, times=9, **answer)

    seen = await make_source(token_name="AZDO_PAT").runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        f"Azure DevOps refuses the token ({answer['status']}): AZDO_PAT is wrong, expired or of another organisation",
    )


async def test_a_wrong_token_is_refused_by_the_stand_in_as_by_the_service(make_source):
    seen = await make_source(token=SecretStr("wrong")).runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.DENIED
    assert "(203)" in seen.detail


async def test_a_missing_right_names_the_scope(source, azure):
    azure.answer_next(BUILDS, status=403, body="{}", times=9)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        (
            "Azure DevOps denies the builds of definition 42 in infra (403): "
            "AZURE_DEVOPS_TOKEN needs the scope Build (read)"
        ),
    )


@pytest.mark.parametrize(
    ("headers", "wait", "until"),
    [
        ({"Retry-After": "330"}, 330.0, "12:05:30 UTC"),
        ({"Retry-After": "Sun, 22 Nov 2026 12:02:00 GMT"}, 120.0, "12:02:00 UTC"),
        ({}, 30.0, "12:00:30 UTC"),
        ({"Retry-After": "9" * 400}, 86400.0, "12:00:00 UTC"),
    ],
)
async def test_throttling_says_until_when(make_source, azure, headers, wait, until):
    azure.answer_next(BUILDS, status=429, body="{}", headers=headers, times=9)

    seen = await make_source(clock=SetClock()).runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.retry_after) == (Trouble.THROTTLED, wait)
    assert seen.detail == f"Azure DevOps throttles the bot until {until}"


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_lasting_server_errors_are_unseen_and_passing_ones_are_sat_out(source, azure, build, status):
    azure.answer_next("notStarted", status=status, times=2)
    passing = await source.runs(DEPLOY, since=ago(hours=1))
    azure.answer_next("notStarted", status=status, times=99)
    lasting = await source.runs(DEPLOY, since=ago(hours=1))

    assert ids(passing) == [build.id]
    assert isinstance(lasting, Unseen)
    assert (lasting.trouble, lasting.detail) == (
        Trouble.SERVER_ERROR,
        f"Azure DevOps returned an error ({status})",
    )


async def test_a_slow_answer_is_timed_out(make_source, azure):
    azure.answer_next(BUILDS, delay=30, times=9)

    seen = [
        await make_source(limits=limits).runs(DEPLOY, since=ago(hours=1))
        for limits in (Limits(overall=0.2), Limits(read=0.1))
    ]

    assert [(type(one), one.trouble) for one in seen] == [(Unseen, Trouble.TIMED_OUT)] * 2


async def test_a_server_that_is_not_there_is_no_connection(make_source):
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    seen = await make_source(base_url=f"http://127.0.0.1:{port}/acme").runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.NO_CONNECTION


async def test_a_redirect_elsewhere_is_never_followed_with_the_token(source, azure):
    azure.answer_next(BUILDS, status=301, headers={"Location": f"{azure.base_url}/trap"}, times=9)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED
    assert not any("/trap" in line for line in azure.asked)


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        "null",
        "{}",
        '{"count": 1, "value": [',
        '{"count": 1, "value": {}}',
        '{"count": 1, "value": [null]}',
        '{"count": 3, "value": []}',
        '{"count": 1, "value": [{}]}',
        '{"count": 1, "value": [{"id": [5], "queueTime": "2024-11-21T18:00:00Z"}]}',
        '{"count": 1, "value": [{"id": 5, "queueTime": null}]}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
async def test_a_garbled_list_is_unseen(source, azure, body):
    azure.answer_next(BUILDS, body=body, times=99)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


@pytest.mark.parametrize("status", [400, 418, 405])
async def test_an_undocumented_status_is_garbled(source, azure, status):
    azure.answer_next(BUILDS, status=status, body="{}", times=9)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


async def test_neither_repr_nor_details_nor_logs_show_the_token(make_source, azure):
    with structlog.testing.capture_logs() as logs:
        source = make_source(token=SecretStr("verysecret"))
        seen = [await source.runs(DEPLOY, since=ago(hours=1))]
        azure.answer_next(BUILDS, status=500, times=9)
        seen.append(await source.runs(DEPLOY, since=ago(hours=1)))

    inner = (source.ci, source.ci._api, source.ci.client)
    shown = [repr(source), *(repr(vars(each)) for each in inner)]
    assert "verysecret" not in "".join(shown) + repr(seen) + repr(logs)
    assert [entry["event"] for entry in logs if entry["event"].startswith("ci.")] == ["ci.unseen", "ci.unseen"]


async def test_a_cancel_is_intent_and_a_stubborn_build_is_being_cancelled_until_it_ends(source, azure):
    build = azure.runs.start_run(PROJECT, 42, stubborn=True)

    assert (await source.cancel(ref_of(build), force=False)).result is CancelResult.ACCEPTED
    assert value(await source.run(ref_of(build))).phase is Phase.ENDING
    azure.runs.finish(build.id, "canceled")
    assert value(await source.run(ref_of(build))).conclusion is Conclusion.CANCELLED


async def test_there_is_no_harder_end_than_a_cancel_and_the_answer_says_what_to_do(source, azure):
    build = azure.runs.start_run(PROJECT, 42, stubborn=True)

    first = await source.cancel(ref_of(build), force=True)
    second = await source.cancel(ref_of(build), force=True)

    assert (first.result, second.result) == (CancelResult.ACCEPTED, CancelResult.NOT_POSSIBLE)
    assert "stop the agent's process" in second.detail
    assert not build.has_ended


async def test_a_completed_build_with_a_job_that_runs_on_cannot_be_cancelled_and_is_not_called_ended(
    source, azure, build
):
    azure.runs.complete_early(build.id, "canceled")

    cancelled = await source.cancel(ref_of(build), force=False)

    assert cancelled.result is CancelResult.NOT_POSSIBLE
    assert "parts of it are still running" in cancelled.detail


async def test_a_build_that_ends_while_it_is_being_cancelled_has_ended(source, azure, build):
    azure.answer_next("PATCH", status=400, body="{}")
    going = await source.cancel(ref_of(build), force=False)
    azure.runs.finish(build.id, "failed")
    ended = await source.cancel(ref_of(build), force=False)

    assert (going.result, going.detail) == (
        CancelResult.NOT_POSSIBLE,
        "Azure DevOps cannot cancel it in this state (inProgress)",
    )
    assert (ended.result, ended.detail) == (CancelResult.ALREADY_ENDED, "it has ended (completed, failed)")


async def test_without_the_right_nothing_is_cancelled_and_the_scope_is_named(make_source, azure, build):
    cancelled = await make_source(token=SecretStr(azure.reading_token)).cancel(ref_of(build), force=False)

    assert cancelled.result is CancelResult.DENIED
    assert cancelled.detail.endswith("AZURE_DEVOPS_TOKEN needs the scope Build (read & execute)")
    assert build.status == "inProgress"


@pytest.mark.parametrize("run_id", ["", "..", "7/../../8", "seven", "\u0667"])
async def test_an_id_that_is_no_number_is_never_sent(source, azure, run_id):
    assert (await source.cancel(RunRef(DEPLOY, run_id), force=True)).result is CancelResult.NOT_FOUND
    assert azure.asked == []


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 429}, {"status": 301}, {"delay": 30}])
async def test_an_answer_that_tells_nothing_leaves_a_cancel_not_known(make_source, azure, build, answer):
    azure.answer_next("PATCH", **answer)

    cancelled = await make_source(limits=Limits(overall=0.5)).cancel(ref_of(build), force=False)

    assert cancelled.result is CancelResult.NOT_KNOWN
    assert "Azure DevOps" in cancelled.detail


async def test_a_definition_is_paused_as_a_whole_and_enabled_again(source, azure):
    definition = azure.runs.definition(PROJECT, 43)

    assert (await source.switch(UPDATE, on=False)).result is SwitchResult.DONE
    assert (definition.queue_status, definition.revision) == ("paused", 2)
    assert (await source.switch(UPDATE, on=True)).result is SwitchResult.DONE
    assert (definition.queue_status, definition.revision) == ("enabled", 3)


async def test_a_disabled_definition_counts_as_stopped_and_is_left_as_it_is(source, azure):
    definition = azure.runs.definition(PROJECT, 43)
    definition.queue_status = "disabled"

    assert (await source.switch(UPDATE, on=False)).result is SwitchResult.DONE
    assert (definition.queue_status, definition.revision) == ("disabled", 1)


async def test_a_definition_that_someone_else_changed_meanwhile_is_read_again_and_paused(source, azure):
    azure.answer_next("PUT", status=409, body="{}")

    assert (await source.switch(UPDATE, on=False)).result is SwitchResult.DONE
    assert azure.runs.definition(PROJECT, 43).queue_status == "paused"


async def test_a_definition_that_changes_all_the_time_is_not_known(source, azure):
    azure.answer_next("PUT", status=409, body="{}", times=9)

    switched = await source.switch(UPDATE, on=False)

    assert (switched.result, switched.detail) == (
        SwitchResult.NOT_KNOWN,
        "definition 43 in infra was being changed by someone else at the same time",
    )


async def test_a_pause_with_a_lost_answer_is_settled_by_looking(source, azure):
    azure.answer_next("PUT", status=500)
    lost = await source.switch(UPDATE, on=False)
    azure.runs.definition(PROJECT, 43).queue_status = "paused"
    azure.answer_next("PUT", status=500)
    settled = await source.switch(UPDATE, on=False)

    assert (lost.result, settled.result) == (SwitchResult.NOT_KNOWN, SwitchResult.DONE)


async def test_a_definition_that_is_not_there_cannot_be_paused(source):
    switched = await source.switch(Pipeline("azure", (("project", PROJECT), ("definition", "77"))), on=False)

    assert (switched.result, switched.detail) == (
        SwitchResult.NOT_FOUND,
        "Azure DevOps does not know definition 77 in infra, or the token may not see it",
    )


async def test_a_loop_starts_builds_until_its_definition_is_paused(source, azure):
    azure.loop(PROJECT, 43, every=0.02, lasts=0.05)
    found = ()
    while len(found) < 3:
        found = value(await source.runs(UPDATE, since=ago(hours=1)))
    await source.switch(UPDATE, on=False)
    going_on = value(await source.runs(UPDATE, since=ago(hours=1)))  # builds may have started before the switch
    while any(run.phase is not Phase.ENDED for run in going_on):
        going_on = value(await source.runs(UPDATE, since=ago(hours=1)))

    assert {(run.conclusion, run.trigger) for run in going_on} == {(Conclusion.FAILED, "schedule")}
    assert len(value(await source.runs(UPDATE, since=ago(hours=1)))) == len(going_on)


async def test_a_list_is_asked_for_one_documented_status_at_a_time_in_the_order_of_a_builds_life(source, azure):
    await source.runs(DEPLOY, since=ago(hours=3))

    asked = [status for line in azure.asked for status in re.findall(r"statusFilter=([^&]*)", line)]
    assert asked == ["postponed", "notStarted", "inProgress", "cancelling", "completed"]


async def test_min_time_is_compared_with_the_time_that_the_order_names(azure):
    build = azure.runs.start_run(PROJECT, 42, at=ago(hours=9))
    azure.runs.finish(build.id, at=ago(hours=1))
    path = f"{azure.base_url}/infra/_apis/build/builds"
    asked = {"api-version": "7.1", "minTime": ago(hours=3).strftime("%Y-%m-%dT%H:%M:%SZ")}
    shown = {}

    async with httpx.AsyncClient(auth=("", azure.token)) as reader:
        for order in ("finishTimeDescending", "queueTimeDescending", "startTimeAscending"):
            shown[order] = (await reader.get(path, params={**asked, "queryOrder": order})).json()["count"]

    assert shown == {"finishTimeDescending": 1, "queueTimeDescending": 0, "startTimeAscending": 0}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    cuts=st.tuples(*[st.sampled_from([0, 0, 1, 2]) | st.integers(0, 3000)] * 2),
    tails=st.tuples(*[st.sampled_from(["", "", "}", "]}", '"completed"', "\x00", ', "status": "completed"}'])] * 2),
)
async def test_no_cut_or_changed_answer_makes_a_running_build_ended_or_raises(azure, cuts, tails):
    build = azure.runs.start_run(PROJECT, 42)
    path = f"{azure.base_url}/infra/_apis/build/builds/{build.id}"
    async with httpx.AsyncClient(auth=("", azure.token), params={"api-version": "7.1"}) as reader:
        answers = {part: (await reader.get(path + part)).text for part in ("", "/timeline")}
    for (part, text), cut, tail in zip(answers.items(), cuts, tails, strict=True):
        azure.answer_next(f"builds/{build.id}{part}\\?", body=(text[: max(0, len(text) - cut)] + tail) or " ")
    source = source_of(AzureDevOps, azure, DEPLOY, clock=SetClock())

    seen = await source.run(ref_of(build))
    await source.aclose()

    assert not (isinstance(seen, Found) and seen.value.phase is Phase.ENDED)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["completed", "canceled", "pending", "inProgress", "Job", "Stage", "2024-11-21T18:15:00Z", 464]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "name", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def changed(document, draw):
    """The document with up to four of its values, however deep, replaced by anything or taken away."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(0, 4))):
        here = copy
        while True:
            keys = list(here) if isinstance(here, dict) else range(len(here))
            if not keys:
                break
            key = draw(st.sampled_from(list(keys)))
            if isinstance(here[key], dict | list) and here[key] and draw(st.booleans()):
                here = here[key]
                continue
            if isinstance(here, dict) and draw(st.booleans()):
                del here[key]
            else:
                here[key] = draw(anything)
            break
    return copy


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_no_shape_of_an_answer_raises_or_makes_a_build_ended_whose_job_goes_on(azure, data):
    build = azure.runs.start_run(PROJECT, 42, at=ago(hours=3))
    azure.runs.finish(build.id, "failed", at=ago(hours=2))
    azure.runs.rerun(build.id, at=ago(hours=1))
    azure.runs.complete_early(build.id, "canceled")
    shapes = {
        "timeline": timeline_json(build, 2, azure.base_url),
        "builds": {"count": 1, "value": [build_json(build, azure.base_url)]},
        str(build.id): build_json(build, azure.base_url),
    }
    where = data.draw(st.sampled_from(sorted(shapes)))
    answers = {**shapes, where: changed(shapes[where], data.draw)}
    earlier = timeline_json(build, 1, azure.base_url)

    def answer(request):
        return httpx.Response(200, json=answers.get(request.url.path.rpartition("/")[2], earlier))

    source = source_of(AzureDevOps, azure, DEPLOY, http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    seen = await source.run(ref_of(build))
    listed = await source.runs(DEPLOY, since=ago(hours=1))
    await source.aclose()

    if isinstance(seen, Found) and seen.value.phase is Phase.ENDED:
        assert not any(one["state"] == "inProgress" and one["type"] != "Task" for one in answers["timeline"]["records"])
    assert isinstance(listed, Found | NotFound | Unseen)

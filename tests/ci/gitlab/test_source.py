"""Pipelines as GitLab lists them, with what they started, their hosts, and what stands in the way of a look-up."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.ci.gitlab.source import GitLab
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.run import Phase, Pipeline, RunRef
from bot.http.client import Limits
from tests.worlds.ci.gitlab.server import GitLabStandIn
from tests.worlds.ci.sources import source_of
from tests.worlds.clocks import SetClock

MAIN = Pipeline("gitlab", (("project", "acme/infra"), ("ref", "main")))
SLOT = "runner-t3qyxf-project-7120-concurrent-0"
NOW = datetime.now(UTC).replace(microsecond=0)


def ago(**span):
    return NOW - timedelta(**span)


@pytest.fixture
async def gitlab():
    async with GitLabStandIn(cancel_delay=timedelta(0)) as standing:
        standing.runs.add_project("acme/infra")
        yield standing


@pytest.fixture
def make_source(made, gitlab):
    return partial(made, GitLab, gitlab, MAIN, clock=SetClock())


@pytest.fixture
def world(gitlab):
    return gitlab.runs


async def listed(source, **since):
    seen = await source.runs(MAIN, since=ago(**since))
    assert isinstance(seen, Found), seen
    return [run.ref.id for run in seen.value]


async def full(source, pipeline):
    seen = await source.run(RunRef(MAIN, str(getattr(pipeline, "id", pipeline))))
    assert isinstance(seen, Found), seen
    return seen.value


@pytest.mark.parametrize("status", ["running", "pending", "canceling", "waiting_for_resource", "created", "preparing"])
async def test_what_has_been_at_work_for_days_is_listed_though_nothing_updated_it(source, world, status):
    old = world.start_pipeline("acme/infra", at=ago(days=3))
    old.status = status

    assert await listed(source, hours=1) == [str(old.id)]


async def test_a_pipeline_that_is_cancelled_while_the_lists_are_read_is_in_one_of_them(source, gitlab, world):
    world.cancel_delay = timedelta(hours=1)
    old = world.start_pipeline("acme/infra", at=ago(days=3))
    gitlab.answer_next("ref=main&status=canceling", body="[]")
    gitlab.answer_next("ref=main&status=running", delay=0.5)
    listing = asyncio.ensure_future(listed(source, hours=1))
    while not any("ref=main&status=running" in line for line in gitlab.asked):
        await source.run(RunRef(MAIN, "1"))
    world.cancel(old.id)

    assert await listing == [str(old.id)]


async def test_an_old_pipeline_that_waits_for_a_person_has_run_nothing_since_and_is_left_out(source, world):
    world.start_pipeline("acme/infra", at=ago(days=3), queued=True).status = "manual"

    assert await listed(source, hours=1) == []


async def test_a_gitlab_that_does_not_know_a_status_yet_is_asked_for_the_others(source, gitlab, world):
    gitlab.unknown_statuses = frozenset({"canceling", "waiting_for_callback"})
    running = world.start_pipeline("acme/infra", at=ago(days=3))

    assert await listed(source, hours=1) == [str(running.id)]


async def test_a_list_whose_further_page_is_refused_is_never_taken_for_a_whole_one(source, gitlab):
    body = [{"id": 1, "created_at": "2026-11-22T09:00:00Z", "status": "canceling"}]
    gitlab.answer_next(r"status=canceling.*&page=1$", body=json.dumps(body), headers={"X-Next-Page": "2"}, times=9)
    gitlab.answer_next(r"status=canceling.*&page=2$", status=400, times=9)

    seen = await source.runs(MAIN, since=ago(hours=1))

    assert (type(seen), seen.trouble) == (Unseen, Trouble.GARBLED)


async def test_the_newest_page_may_come_by_a_link_without_any_other_header(make_source, gitlab):
    body = [{"id": number, "created_at": "2026-11-22T09:00:00Z", "status": "running"} for number in (1, 2)]
    link = {"Link": f'<{gitlab.base_url}/projects/x/pipelines?cursor=abc&per_page=100>; rel="next"'}
    gitlab.answer_next(r"status=running.*&page=1$", body=json.dumps(body[:1]), headers=link)
    gitlab.answer_next("cursor=abc", body=json.dumps(body[1:]))

    seen = await make_source().runs(Pipeline("gitlab", (("project", "acme/infra"),)), since=ago(hours=1))

    assert sorted(run.ref.id for run in seen.value) == ["1", "2"]
    assert not any("/projects/x/" in line for line in gitlab.asked)


async def test_a_list_that_falls_short_of_its_own_count_is_read_again_and_then_not_believed(source, gitlab, world):
    running = world.start_pipeline("acme/infra", at=ago(minutes=5))
    gitlab.answer_next("ref=main&status=running", body="[]", headers={"X-Total": "1", "X-Next-Page": ""})
    assert await listed(source, hours=1) == [str(running.id)]

    gitlab.answer_next("ref=main&status=running", body="[]", headers={"X-Total": "1", "X-Next-Page": ""}, times=3)
    seen = await source.runs(MAIN, since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.GARBLED,
        "GitLab counts 1 entries of the pipelines of acme/infra and shows only 0",
    )


async def test_a_list_without_an_end_is_too_much(source, gitlab):
    gitlab.answer_next("ref=main&status=running", body="[]", headers={"X-Next-Page": "2"}, times=99)

    seen = await source.runs(MAIN, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.TOO_MUCH


async def test_the_jobs_of_child_and_downstream_pipelines_are_the_runs_own(source, world):
    parent = world.start_pipeline("acme/infra", at=ago(hours=1), jobs=("plan",))
    child = world.start_child(parent.id)
    grandchild = world.start_child(child.id, "acme/app")

    run = await full(source, parent)

    assert (run.phase, sorted(job.name for job in run.jobs)) == (Phase.RUNNING, ["plan", "terraform", "terraform"])
    for pipeline in (parent, child):
        world.finish(pipeline.id, "failed")
    assert (await full(source, parent)).phase is Phase.RUNNING
    world.finish(grandchild.id, "failed")
    assert (await full(source, parent)).phase is Phase.ENDED


@pytest.mark.parametrize("path", ["acme/app", ""])
async def test_a_pipeline_of_a_trigger_job_that_was_retried_is_the_runs_own_too(source, world, path):
    """The first one runs on beside the one that the retry started, and only the retried trigger job names it."""
    parent = world.start_pipeline("acme/infra", at=ago(hours=1))
    first = world.start_child(parent.id, path, depend=False)
    second = world.start_child(parent.id, path, depend=False, is_again=True)
    for pipeline in (second, parent):
        world.finish(pipeline.id, "failed")

    assert (await full(source, parent)).phase is Phase.RUNNING
    world.finish(first.id, "failed")
    assert (await full(source, parent)).phase is Phase.ENDED


async def test_a_downstream_pipeline_that_the_token_may_not_see_keeps_the_run_from_having_ended(source, world):
    parent = world.start_pipeline("acme/infra", at=ago(hours=1))
    world.start_child(parent.id, "acme/secret")
    world.finish(parent.id, "failed")
    world.project("acme/secret").is_visible = False

    run = await full(source, parent)

    assert (run.phase, run.jobs) == (Phase.UNKNOWN, None)
    assert "the token may not see it" in run.jobs_missing


async def test_an_older_gitlab_names_the_project_of_a_downstream_pipeline_in_its_url_alone(source, gitlab, world):
    parent = world.start_pipeline("acme/infra", at=ago(hours=1))
    below = world.start_child(parent.id, "acme/app")
    bridge = {"id": 7, "name": "trigger", "status": "success", "downstream_pipeline": {"id": below.id}}
    bridge["downstream_pipeline"]["web_url"] = f"https://gitlab.example.com/acme/app/pipelines/{below.id}"
    gitlab.answer_next("/bridges", body=json.dumps([bridge]))

    assert [job.phase for job in (await full(source, parent)).jobs] == [Phase.RUNNING, Phase.RUNNING]


@pytest.mark.parametrize("url", ["", "https://[x/", "https://gitlab.example.com/acme/-/pipelines/5", None, 5])
async def test_a_downstream_pipeline_without_a_project_keeps_the_run_from_having_ended(source, gitlab, world, url):
    parent = world.start_pipeline("acme/infra", at=ago(hours=1))
    world.finish(parent.id, "failed")
    bridge = {"id": 7, "name": "trigger", "status": "success", "downstream_pipeline": {"id": 5, "web_url": url}}
    gitlab.answer_next("/bridges", body=json.dumps([bridge]))

    run = await full(source, parent)

    assert (run.phase, run.jobs_missing) == (Phase.UNKNOWN, "GitLab does not say which pipeline trigger started")


async def test_a_run_that_started_more_pipelines_than_can_be_read_is_not_known_to_have_ended(source, world):
    parent = world.start_pipeline("acme/infra", at=ago(hours=1))
    for _ in range(31):
        world.finish(world.start_child(parent.id).id, "failed")
    world.finish(parent.id, "failed")

    run = await full(source, parent)

    assert (run.phase, run.jobs_missing) == (Phase.UNKNOWN, "it started more than 30 pipelines")


async def test_a_child_pipeline_that_outlives_its_parent_is_listed_as_a_run_of_its_own(source, world):
    parent = world.start_pipeline("acme/infra", at=ago(hours=9))
    child = world.start_child(parent.id, depend=False)
    world.finish(parent.id, "success", at=ago(hours=8))

    assert await listed(source, hours=1) == [str(child.id)]
    assert await listed(source, hours=12) == [str(child.id), str(parent.id)]


async def test_a_child_pipeline_that_is_seen_with_its_parent_is_not_counted_as_another_start(source, world):
    parent = world.start_pipeline("acme/infra", at=ago(minutes=9))
    child = world.start_child(parent.id)

    assert await listed(source, hours=1) == [str(parent.id)]
    world.finish(child.id, "failed", at=ago(minutes=3))
    world.finish(parent.id, "failed", at=ago(minutes=2))
    assert await listed(source, hours=1) == [str(parent.id)]


async def test_the_host_is_the_machine_that_the_trace_names(source, world):
    run = await full(source, world.start_pipeline("acme/infra"))

    assert [job.host for job in run.jobs] == [SLOT]


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("Running on build-7.example.com via build-7...", "build-7.example.com"),
        ("Running on build-7...", "build-7"),
        ("2026-11-22T09:02:10.507123Z 00O Running on build-7 via x...", "build-7"),
        ("\x1b[0K\x1b[36;1mRunning on build-7 via x...\x1b[0;m", "build-7"),
        ("echo Running on other-host via x...", None),
        ("Running with gitlab-runner 17.5.0", None),
        ("\x00\xff", None),
    ],
)
async def test_only_the_runners_own_line_names_a_host(source, world, line, host):
    pipeline = world.start_pipeline("acme/infra")
    pipeline.jobs[0].trace = f"Running with gitlab-runner 17.5.0\n{line}\nmore\n"

    assert (await full(source, pipeline)).jobs[0].host == host


async def test_a_trace_is_read_at_its_beginning_alone(source, world):
    pipeline = world.start_pipeline("acme/infra")
    pipeline.jobs[0].trace = "x" * 70_000 + "\nRunning on late-host via x...\n"

    assert (await full(source, pipeline)).jobs[0].host is None


async def test_a_trace_that_cannot_be_read_leaves_the_host_unknown_and_nothing_else(source, gitlab, world):
    pipeline = world.start_pipeline("acme/infra")
    gitlab.answer_next("/trace", status=500)
    gitlab.answer_next("/trace", status=302, headers={"Location": f"{gitlab.origin}/trap"})

    assert [(await full(source, pipeline)).jobs[0].host for _ in range(3)] == [None, None, SLOT]
    assert not any("/trap" in line for line in gitlab.asked)


async def test_a_slow_trace_does_not_keep_the_run_from_being_read(make_source, gitlab, world):
    pipeline = world.start_pipeline("acme/infra")
    gitlab.answer_next("/trace", delay=30)

    run = await full(make_source(limits=Limits(overall=6)), pipeline)

    assert (run.phase, run.jobs[0].host) == (Phase.RUNNING, None)


async def test_what_a_trace_said_once_is_remembered(source, gitlab, world):
    pipeline = world.start_pipeline("acme/infra")
    await full(source, pipeline)
    gitlab.answer_next("/trace", status=404, times=99)

    assert (await full(source, pipeline)).jobs[0].host == SLOT


async def test_the_url_of_a_job_leads_to_its_pipeline(source, gitlab, world):
    pipeline = world.start_pipeline("acme/infra")
    ref = source.ref_from_url(f"{gitlab.origin}/acme/infra/-/jobs/{pipeline.jobs[0].id}")

    seen = await source.run(ref)

    assert (seen.value.ref.id, seen.value.ref.pipeline) == (str(pipeline.id), MAIN)


@pytest.mark.parametrize("run_id", ["", "..", "7/../../8", "seven", "\u0667", "job:", "job:x", "job:1/2"])
async def test_an_id_that_is_no_number_is_never_sent(source, gitlab, run_id):
    assert isinstance(await source.run(RunRef(MAIN, run_id)), NotFound)
    assert gitlab.asked == []


async def test_unreadable_jobs_leave_the_pipeline_without_an_end(source, gitlab, world):
    pipeline = world.start_pipeline("acme/infra")
    world.finish(pipeline.id, "failed")
    gitlab.answer_next("/jobs", body="[{}]", times=9)

    run = await full(source, pipeline)

    assert (run.phase, run.jobs) == (Phase.UNKNOWN, None)
    assert "has an entry without an id" in run.jobs_missing


async def test_a_token_without_the_scope_is_told_which_it_lacks(make_source, gitlab):
    seen = await make_source(token=SecretStr(gitlab.narrow_token)).runs(MAIN, since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        "GitLab refuses the token: it lacks `read_api` (403, GITLAB_TOKEN)",
    )


async def test_a_wrong_token_is_denied_and_named(make_source):
    seen = await make_source(token=SecretStr("wrong"), token_name="GL_READER").runs(MAIN, since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        "GitLab refuses the token (401): GL_READER is wrong, expired or revoked",
    )


async def test_a_missing_role_is_another_thing_than_a_missing_scope(source, gitlab):
    gitlab.answer_next("/pipelines", status=403, body='{"message":"403 Forbidden"}', times=99)

    seen = await source.runs(MAIN, since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        (
            "GitLab denies the pipelines of acme/infra (403): the user of GITLAB_TOKEN needs the role Reporter in the"
            " project"
        ),
    )


async def test_a_project_that_gitlab_does_not_know_is_not_found(source):
    gone = Pipeline("gitlab", (("project", "acme/gone"),))

    seen = await source.runs(gone, since=ago(hours=1))

    assert isinstance(seen, NotFound)
    assert (seen.system, seen.what) == (
        "GitLab CI",
        "the pipelines of acme/gone, or the token may not see it",
    )


@pytest.mark.parametrize(
    ("headers", "wait", "until"),
    [
        ({"Retry-After": "30"}, 30.0, "12:00:30 UTC"),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "1795349130"}, 330.0, "12:05:30 UTC"),
        ({}, 60.0, "12:01:00 UTC"),
        ({"RateLimit-Reset": "9" * 400}, 60.0, "12:01:00 UTC"),
        ({"Retry-After": "9" * 400}, 86400.0, "12:00:00 UTC"),
    ],
)
async def test_a_rate_limit_says_until_when_with_or_without_a_header(source, gitlab, headers, wait, until):
    gitlab.answer_next("/pipelines", status=429, body="Retry later", headers=headers, times=99)

    seen = await source.runs(MAIN, since=ago(hours=1))

    assert (seen.trouble, seen.retry_after) == (Trouble.THROTTLED, wait)
    assert seen.detail == f"GitLab's rate limit is used up until {until}"


async def test_the_used_up_minute_of_the_stand_in_is_throttled(source, gitlab):
    gitlab.remaining = 0

    assert (await source.runs(MAIN, since=ago(hours=1))).trouble is Trouble.THROTTLED


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_redirect_is_never_followed_with_the_token(source, gitlab, status):
    trap = {"Location": f"{gitlab.origin}/trap"}
    gitlab.answer_next("/pipelines", status=status, headers=trap, times=99)

    seen = await source.runs(MAIN, since=ago(hours=1))

    assert seen.trouble is Trouble.GARBLED
    assert "/api/v4" in seen.detail
    assert not any("/trap" in line for line in gitlab.asked)


@pytest.mark.parametrize(
    "body",
    ["<html>", "{}", "null", "1", '[{"id": 1', "[null]", "[{}]", '[{"id": "5"}]', '[{"id": 5}]', "[" * 100_000],
)
async def test_a_garbled_list_is_unseen(source, gitlab, body):
    gitlab.answer_next("/pipelines", body=body, times=99)

    assert (await source.runs(MAIN, since=ago(hours=1))).trouble is Trouble.GARBLED


@pytest.mark.parametrize(("status", "trouble"), [(500, Trouble.SERVER_ERROR), (418, Trouble.GARBLED)])
async def test_other_answers_are_kept_apart(source, gitlab, status, trouble):
    gitlab.answer_next("/pipelines", status=status, times=99)

    assert (await source.runs(MAIN, since=ago(hours=1))).trouble is trouble


async def test_neither_repr_nor_details_nor_logs_show_the_token(make_source, gitlab):
    with structlog.testing.capture_logs() as logs:
        source = make_source(token=SecretStr("glpat-verysecret"))
        seen = await source.runs(MAIN, since=ago(hours=1))

    shown = [repr(source), repr(vars(source.ci)), repr(vars(source.ci.client)), repr(seen)]
    assert "verysecret" not in "".join(shown) + repr(logs)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    cuts=st.tuples(*[st.sampled_from([0, 0, 1, 2]) | st.integers(0, 3000)] * 3),
    tails=st.tuples(*[st.sampled_from(["", "", "}", "}]", "[]", '"success"', ', "status": "failed"}'])] * 3),
)
async def test_no_cut_or_changed_answer_makes_a_running_pipeline_ended_or_raises(gitlab, cuts, tails):
    pipeline = gitlab.runs.start_pipeline("acme/infra")
    gitlab.runs.start_child(pipeline.id)
    path = f"{gitlab.base_url}/projects/acme%2Finfra/pipelines/{pipeline.id}"
    async with httpx.AsyncClient(headers={"PRIVATE-TOKEN": gitlab.token}) as reader:
        answers = {part: (await reader.get(path + part)).text for part in ("", "/jobs", "/bridges")}
    for (part, text), cut, tail in zip(answers.items(), cuts, tails, strict=True):
        body = (text[: max(0, len(text) - cut)] + tail) or " "
        gitlab.answer_next(f"pipelines/{pipeline.id}{part}($|\\?)", body=body)
    source = source_of(GitLab, gitlab, MAIN, clock=SetClock())

    seen = await source.run(RunRef(MAIN, str(pipeline.id)))
    await source.aclose()

    assert not (isinstance(seen, Found) and seen.value.phase is Phase.ENDED)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["success", "failed", "canceled", "skipped", "manual", "running", "2026-11-22T09:14:58Z"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "status"]), inner, max_size=2),
    max_leaves=4,
)


FIELDS = [
    "id",
    "project_id",
    "ref",
    "sha",
    "source",
    "created_at",
    "updated_at",
    "started_at",
    "finished_at",
    "web_url",
    "name",
    "user",
    "runner",
    "pipeline",
    "allow_failure",
    "failure_reason",
    "downstream_pipeline",
    "active",
    "description",
]
changes = st.tuples(
    st.sets(st.sampled_from(FIELDS), max_size=2), st.dictionaries(st.sampled_from(FIELDS), anything, max_size=2)
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(wanted=st.lists(changes, min_size=5, max_size=5))
async def test_no_odd_values_anywhere_make_a_running_pipeline_ended_or_raise(gitlab, wanted):
    def mangled(document, change):
        gone, odd = change
        return {key: value for key, value in {**document, **odd}.items() if key not in gone}

    gitlab.runs.projects.clear()
    gitlab.heal()
    pipeline = gitlab.runs.start_pipeline("acme/infra")
    gitlab.runs.start_child(pipeline.id)
    gitlab.runs.add_schedule("acme/infra", "main", "Nightly")
    api = f"{gitlab.base_url}/projects/acme%2Finfra"
    root = f"{api}/pipelines/{pipeline.id}"
    parts = (
        (f"{root}/jobs", "/jobs"),
        (f"{root}/bridges", "/bridges"),
        (root, f"pipelines/{pipeline.id}$"),
        (f"{api}/pipelines", "/pipelines\\?"),
        (f"{api}/pipeline_schedules", "GET .*/pipeline_schedules"),
    )
    async with httpx.AsyncClient(headers={"PRIVATE-TOKEN": gitlab.token}) as reader:
        documents = [(await reader.get(path)).json() for path, _ in parts]
    for (_, shape), document, change in zip(parts, documents, wanted, strict=True):
        body = [mangled(each, change) for each in document] if isinstance(document, list) else mangled(document, change)
        gitlab.answer_next(shape, body=json.dumps(body))
    source = source_of(GitLab, gitlab, MAIN, clock=SetClock())

    seen = [await source.run(RunRef(MAIN, str(pipeline.id))), await source.runs(MAIN, since=ago(hours=1))]
    await source.switch(MAIN, on=False)
    await source.aclose()

    runs = [seen[0].value] if isinstance(seen[0], Found) else []
    runs += seen[1].value if isinstance(seen[1], Found) else []
    assert not any(run.phase is Phase.ENDED for run in runs if run.ref.id == str(pipeline.id))

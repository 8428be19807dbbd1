"""Builds and queue items as Jenkins lists them, their agents, and what stands in the way of a look-up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.ci.jenkins.source import Credentials, Jenkins
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.run import Conclusion, Phase, Pipeline, RunRef
from bot.http.client import Limits
from tests.worlds.ci.jenkins.server import JenkinsStandIn
from tests.worlds.ci.sources import source_of
from tests.worlds.clocks import SetClock

DEPLOY = Pipeline("jenkins", (("job", "infra/deploy"),))
AGENT = "jenkins-worker-7f4b8d9c"
NOW = datetime.now(UTC).replace(microsecond=0)
LIST = "/job/infra/job/deploy/api/json"


def ago(**span):
    return NOW - timedelta(**span)


@pytest.fixture
async def jenkins():
    async with JenkinsStandIn(cancel_delay=timedelta(0)) as standing:
        standing.runs.add_job("infra/deploy")
        yield standing


@pytest.fixture
def make_source(made, jenkins):
    return partial(made, Jenkins, jenkins, DEPLOY, clock=SetClock())


@pytest.fixture
def world(jenkins):
    return jenkins.runs


def pipeline(job):
    return Pipeline("jenkins", (("job", job),))


async def listed(source, job=DEPLOY, **since):
    seen = await source.runs(job, since=ago(**since))
    assert isinstance(seen, Found), seen
    return [run.ref.id for run in seen.value]


async def full(source, run_id, job=DEPLOY):
    seen = await source.run(RunRef(job, str(run_id)))
    assert isinstance(seen, Found), seen
    return seen.value


async def test_what_waits_in_the_queue_is_listed_before_the_builds(source, world):
    build = world.start_build("infra/deploy", at=ago(minutes=9))
    item = world.queue("infra/deploy", at=ago(minutes=2))
    world.queue("infra/deploy-more")
    world.queue("other/infra/deploy")

    assert await listed(source, hours=1) == [f"queue:{item.id}", str(build.number)]


async def test_an_item_that_became_a_build_is_listed_once(source, jenkins, world):
    item = world.queue("infra/deploy", at=ago(minutes=2))
    async with httpx.AsyncClient(auth=(jenkins.user, jenkins.token)) as reader:
        before = (await reader.get(f"{jenkins.base_url}/queue/api/json")).text
    build = world.begin(item.id, at=ago(minutes=1))
    jenkins.answer_next("/queue/api/json", body=before)

    assert await listed(source, hours=1) == [str(build.number)]


async def test_the_id_of_a_queue_item_goes_on_to_mean_its_build(source, world):
    item = world.queue("infra/deploy")
    assert (await full(source, f"queue:{item.id}")).phase is Phase.WAITING

    build = world.begin(item.id)
    run = await full(source, f"queue:{item.id}")

    assert (run.ref.id, run.phase) == (str(build.number), Phase.RUNNING)


@pytest.mark.parametrize("run_id", ["queue:9999", "queue:", "queue:x", "queue:1/../2", "", "..", "7/../8", "\u0667"])
async def test_an_id_that_means_nothing_is_not_found(source, run_id):
    assert isinstance(await source.run(RunRef(DEPLOY, run_id)), NotFound)


async def test_the_item_of_another_job_is_not_found(source, world):
    assert isinstance(await source.run(RunRef(DEPLOY, f"queue:{world.queue('infra/plan').id}")), NotFound)


async def test_a_server_that_shows_no_queue_still_lists_its_builds(source, jenkins, world):
    build = world.start_build("infra/deploy", at=ago(minutes=9))
    jenkins.answer_next("/queue/api/json", status=404)

    assert await listed(source, hours=1) == [str(build.number)]


async def test_a_build_of_three_weeks_that_still_runs_is_listed_behind_hundreds(source, world):
    old = world.start_build("infra/deploy", at=ago(days=21))
    for minutes in range(150):
        world.finish(world.start_build("infra/deploy", at=ago(hours=8, minutes=-minutes)), at=ago(hours=3))

    assert await listed(source, hours=1) == [str(old.number)]


async def test_a_list_that_loses_a_build_between_two_pages_is_read_again(source, jenkins, world):
    builds = [world.start_build("infra/deploy", at=ago(minutes=m)) for m in range(150, 0, -1)]
    jenkins.answer_next(r"allBuilds", body=json.dumps({"allBuilds": [{"number": 3}]}))

    assert await listed(source, hours=3) == [str(build.number) for build in builds[::-1]]


async def test_a_job_with_too_many_builds_is_not_known(source, jenkins):
    body = {
        key: [{"number": n, "timestamp": 9 * 10**12} for n in range(1000, 0, -1)] for key in ("builds", "allBuilds")
    }
    body["builds"] = body["builds"][:100]
    jenkins.answer_next(r"tree=builds", body=json.dumps(body))
    jenkins.answer_next(r"allBuilds", body=json.dumps({"allBuilds": [*body["builds"][-1:], *body["allBuilds"]][:1000]}))
    last = json.dumps({"allBuilds": [{"number": 2, "timestamp": 9 * 10**12}] * 1000})
    jenkins.answer_next(r"allBuilds", body=last, times=99)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.TOO_MUCH,
        "Jenkins has more than 999 builds of infra/deploy: too many to read",
    )


async def test_a_list_that_never_holds_still_is_not_believed(source, jenkins, world):
    for minutes in range(150):
        world.start_build("infra/deploy", at=ago(minutes=minutes))
    jenkins.answer_next(r"allBuilds", body='{"allBuilds": []}', times=9)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.GARBLED,
        "Jenkins' list of the builds of infra/deploy changes faster than it can be read",
    )


async def test_a_folder_is_no_job(source):
    seen = await source.runs(pipeline("infra"), since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.GARBLED,
        "Jenkins shows no builds of infra: is it a folder or a multibranch project?",
    )


async def test_a_branch_with_a_slash_is_found_under_its_stored_name(make_source, world):
    branch = pipeline("infra/app/feature%2Fx")
    build = world.start_build("infra/app/feature%2Fx")
    item = world.queue("infra/app/feature%2Fx")

    source = make_source(pipelines=(branch,))

    assert await listed(source, branch, hours=1) == [f"queue:{item.id}", str(build.number)]
    run = await full(source, build.number, branch)
    assert source.ref_from_url(run.ref.url).pipeline == branch


async def test_a_jenkins_under_a_path_is_asked_there(jenkins, make_source, world):
    jenkins.prefix = "/ci"
    build = world.start_build("infra/deploy")

    run = await full(make_source(base_url=jenkins.base_url + "/"), build.number)

    assert run.ref.url == f"{jenkins.base_url}/job/infra/job/deploy/{build.number}/"


async def test_a_pipelines_agent_comes_from_its_console_and_a_freestyle_builds_from_itself(source, world):
    world.add_job("infra/old", freestyle=True)
    old = pipeline("infra/old")

    assert [job.host for job in (await full(source, world.start_build("infra/deploy").number)).jobs] == [AGENT]
    build = world.start_build("infra/old", agent="build-7")
    assert [job.host for job in (await full(source, build.number, old)).jobs] == ["build-7"]


async def test_the_console_of_a_running_build_is_read_at_its_beginning_alone(source, world):
    build = world.start_build("infra/deploy")
    build.console += ["x" * 300_000, "Running on late-agent in /w"]

    assert [job.host for job in (await full(source, build.number)).jobs] == [AGENT, None]


async def test_a_console_that_cannot_be_read_leaves_the_agent_unknown(make_source, jenkins, world):
    build = world.start_build("infra/deploy")
    jenkins.answer_next("/consoleText", status=500)
    jenkins.answer_next("/consoleText", delay=30)
    source = make_source(limits=Limits(overall=6))

    assert [(await full(source, build.number)).jobs[0].host for _ in range(3)] == [None, None, AGENT]


async def test_a_killed_build_is_over_for_jenkins_and_lost_for_the_bot(source, world):
    build = world.start_build("infra/deploy")
    world.kill(build)

    run = await full(source, build.number)

    assert (build.steps_go_on, run.phase, run.conclusion) == (True, Phase.ENDED, Conclusion.LOST)


async def test_what_a_final_console_said_is_remembered_and_an_unfinished_one_is_not(source, jenkins, world):
    build = world.start_build("infra/deploy")
    world.finish(build, "ABORTED")
    last = build.console.pop()
    assert (await full(source, build.number)).conclusion is Conclusion.CANCELLED
    build.console += ["Hard kill!", last]
    assert (await full(source, build.number)).conclusion is Conclusion.LOST
    jenkins.answer_next("/consoleText", status=404, times=9)

    assert (await full(source, build.number)).jobs[0].host == AGENT


async def test_wrong_credentials_are_denied_and_named(make_source):
    wrong = Credentials(SecretStr("tflock"), SecretStr("wrong"), "CI_USER", "CI_TOKEN")

    seen = await make_source(credentials=wrong).runs(DEPLOY, since=ago(hours=1))

    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        "Jenkins refuses user and token (401): CI_USER or CI_TOKEN is wrong or expired",
    )


@pytest.mark.parametrize(
    ("body", "right"),
    [("<html>tflock is missing the Overall/Read permission</html>", "Overall/Read"), ("<html>", "Job/Read")],
)
async def test_a_missing_right_is_denied_and_named(source, jenkins, body, right):
    jenkins.answer_next("/api/json", status=403, body=body, times=9)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert seen.trouble is Trouble.DENIED
    assert seen.detail.endswith(f"(403): the user of JENKINS_USER needs the permission {right}")


async def test_a_job_that_jenkins_does_not_know_is_not_found(source):
    seen = await source.runs(pipeline("infra/gone"), since=ago(hours=1))

    assert isinstance(seen, NotFound)
    assert (seen.system, seen.what) == ("Jenkins", "infra/gone, or the user may not see it")


@pytest.mark.parametrize(
    ("location", "trouble"),
    [("/login?from=%2F", Trouble.DENIED), ("/securityRealm/commenceLogin", Trouble.DENIED), ("/x/", Trouble.GARBLED)],
)
async def test_a_redirect_is_never_followed(source, jenkins, location, trouble):
    jenkins.answer_next(LIST, status=302, headers={"Location": f"{jenkins.base_url}{location}"}, times=9)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert seen.trouble is trouble
    assert not any(location in line for line in jenkins.asked)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ({"status": 500}, Trouble.SERVER_ERROR),
        ({"status": 503, "body": "Jenkins is getting ready to work"}, Trouble.SERVER_ERROR),
        ({"status": 429}, Trouble.THROTTLED),
        ({"status": 418}, Trouble.GARBLED),
        ({"body": "<html>"}, Trouble.GARBLED),
        ({"body": "[]"}, Trouble.GARBLED),
        ({"body": '{"builds": {}}'}, Trouble.GARBLED),
        ({"body": '{"builds": [null]}'}, Trouble.GARBLED),
        ({"body": '{"builds": [{}]}'}, Trouble.GARBLED),
        ({"body": '{"builds": [{"number": 5}]}'}, Trouble.GARBLED),
        ({"body": '{"builds": [{"number": "5"}]}'}, Trouble.GARBLED),
        ({"body": "[" * 100_000}, Trouble.GARBLED),
    ],
)
async def test_troubles_are_kept_apart(source, jenkins, answer, trouble):
    jenkins.answer_next(LIST, times=99, **answer)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is trouble


async def test_an_unreadable_queue_makes_the_list_unseen(source, jenkins):
    jenkins.answer_next("/queue/api/json", body='{"items": [{"task": ', times=9)

    assert (await source.runs(DEPLOY, since=ago(hours=1))).trouble is Trouble.GARBLED


async def test_neither_repr_nor_details_nor_logs_show_the_token(make_source, jenkins):
    with structlog.testing.capture_logs() as logs:
        source = make_source(credentials=Credentials(SecretStr("u"), SecretStr("verysecret")))
        seen = await source.runs(DEPLOY, since=ago(hours=1))

    inner = (source.ci, source.ci._api, source.ci.client)
    shown = [repr(source), *(repr(vars(each)) for each in inner), repr(seen)]
    assert "verysecret" not in "".join(shown) + repr(logs)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    cuts=st.tuples(*[st.sampled_from([0, 0, 1, 2]) | st.integers(0, 1500)] * 2),
    tails=st.tuples(*[st.sampled_from(["", "", "}", "]}", '"SUCCESS"', ', "building": false}', "\nHard kill!\n"])] * 2),
)
async def test_no_cut_or_changed_answer_makes_a_running_build_ended_or_raises(jenkins, cuts, tails):
    build = jenkins.runs.start_build("infra/deploy")
    path = f"{jenkins.base_url}/job/infra/job/deploy/{build.number}"
    async with httpx.AsyncClient(auth=(jenkins.user, jenkins.token)) as reader:
        answers = {part: (await reader.get(path + part)).text for part in ("/api/json", "/consoleText")}
    for (part, text), cut, tail in zip(answers.items(), cuts, tails, strict=True):
        jenkins.answer_next(f"/{build.number}{part}", body=(text[: max(0, len(text) - cut)] + tail) or " ")
    source = source_of(Jenkins, jenkins, DEPLOY, clock=SetClock())

    seen = await source.run(RunRef(DEPLOY, str(build.number)))
    await source.aclose()

    assert not (isinstance(seen, Found) and seen.value.phase is Phase.ENDED)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["SUCCESS", "FAILURE"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["number", "url"]), inner, max_size=2),
    max_leaves=4,
)


FIELDS = [
    "number",
    "result",
    "inProgress",
    "timestamp",
    "duration",
    "queueId",
    "fullDisplayName",
    "builtOn",
    "actions",
    "id",
    "why",
    "inQueueSince",
    "cancelled",
    "executable",
    "task",
]
changes = st.tuples(
    st.sets(st.sampled_from(FIELDS), max_size=2), st.dictionaries(st.sampled_from(FIELDS), anything, max_size=2)
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(wanted=st.lists(changes, min_size=4, max_size=4))
async def test_no_odd_values_anywhere_make_a_running_build_ended_or_raise(jenkins, wanted):
    def mangled(document, change):
        gone, odd = change
        return {key: value for key, value in {**document, **odd}.items() if key not in gone}

    jenkins.runs.jobs.clear()
    jenkins.runs.items.clear()
    jenkins.heal()
    build, item = jenkins.runs.start_build("infra/deploy"), jenkins.runs.queue("infra/deploy")
    parts = (f"/job/infra/job/deploy/{build.number}/api/json", f"/queue/item/{item.id}", LIST, "/queue/api/json")
    async with httpx.AsyncClient(auth=(jenkins.user, jenkins.token)) as reader:
        asked = (parts[0], f"{parts[1]}/api/json", *parts[2:])
        documents = [(await reader.get(jenkins.base_url + path)).json() for path in asked]
    for path, document, change in zip(parts, documents, wanted, strict=True):
        key = {LIST: "builds", "/queue/api/json": "items"}.get(path)
        body = {key: [mangled(each, change) for each in document[key]]} if key else mangled(document, change)
        jenkins.answer_next(path, body=json.dumps(body))
    source = source_of(Jenkins, jenkins, DEPLOY, clock=SetClock())

    seen = [await source.run(RunRef(DEPLOY, str(build.number))), await source.run(RunRef(DEPLOY, f"queue:{item.id}"))]
    listing = await source.runs(DEPLOY, since=ago(hours=1))
    await source.aclose()

    runs = [one.value for one in seen if isinstance(one, Found)]
    runs += listing.value if isinstance(listing, Found) else []
    assert not any(run.phase is Phase.ENDED for run in runs if run.ref.id == str(build.number))

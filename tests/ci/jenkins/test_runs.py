"""Jenkins' fields row by row (`result`, `building`, `inProgress`, consoles), and that nothing odd ever means ended."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.jenkins.runs import Console, ConsoleReader, build_from, completed, item_from
from bot.core.joblog.values import LogEnd
from bot.core.run import Conclusion, Phase, Pipeline
from bot.http.client import Failed
from tests.worlds.odd import anything, mangled

PIPELINE = Pipeline("jenkins", (("job", "infra/deploy"),))
URL = "https://jenkins.example.com/job/infra/job/deploy"
ENDS = {
    "SUCCESS": Conclusion.SUCCESS,
    "UNSTABLE": Conclusion.FAILED,
    "FAILURE": Conclusion.FAILED,
    "ABORTED": Conclusion.CANCELLED,
    "NOT_BUILT": Conclusion.CANCELLED,
}
NODE = "Running on jenkins-worker-7f4b8d9c in /home/jenkins/workspace/infra_deploy\n"


def build_body(**changes):
    return {
        "_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun",
        "actions": [
            {
                "_class": "hudson.model.CauseAction",
                "causes": [{"_class": "hudson.model.Cause$UserIdCause", "userId": "quinn", "userName": "Quinn"}],
            },
            {},
            None,
            {
                "_class": "hudson.plugins.git.util.BuildData",
                "lastBuiltRevision": {"SHA1": "50f0acb7", "branch": [{"name": "refs/remotes/origin/main"}]},
            },
        ],
        "building": False,
        "inProgress": False,
        "duration": 778_000,
        "fullDisplayName": "infra » deploy #812",
        "number": 812,
        "queueId": 4711,
        "result": "FAILURE",
        "timestamp": 1_795_338_120_000,
        **changes,
    }


def freestyle_body(**changes):
    return build_body(**{"_class": "hudson.model.FreeStyleBuild", "builtOn": "build-7", **changes})


def item_body(**changes):
    return {
        "id": 4711,
        "inQueueSince": 1_795_338_120_000,
        "why": "Waiting for next available executor",
        "task": {"name": "deploy", "url": f"{URL}/"},
        "actions": [],
        **changes,
    }


def build(**changes):
    return build_from(build_body(**changes), PIPELINE, URL)


def console_from(said, *, is_whole):
    reader = ConsoleReader()
    reader.feed(said)
    return reader.close(is_whole=is_whole)


def full(body, said=NODE + "Finished: FAILURE\n", *, is_whole=True):
    return completed(build_from(body, PIPELINE, URL), body, console_from(said.encode(), is_whole=is_whole))


def test_a_build_is_read_whole():
    run = build()

    assert (run.ref.id, run.ref.url, run.title) == ("812", f"{URL}/812/", "infra » deploy #812")
    assert (run.actor, run.trigger, run.branch, run.commit) == ("quinn", "UserId", "main", "50f0acb7")
    assert (run.phase, run.conclusion, run.reported) == (Phase.ENDED, Conclusion.FAILED, "FAILURE")
    assert run.created_at == run.started_at == datetime(2026, 11, 22, 9, 2, tzinfo=UTC)
    assert run.ended_at == datetime(2026, 11, 22, 9, 14, 58, tzinfo=UTC)


@pytest.mark.parametrize(("word", "conclusion"), ENDS.items())
def test_every_result_of_a_build_that_is_over_has_its_meaning(word, conclusion):
    assert (build(result=word).phase, build(result=word).conclusion) == (Phase.ENDED, conclusion)
    assert full(freestyle_body(result=word)).jobs[0].conclusion is conclusion


@pytest.mark.parametrize("result", [*ENDS, None])
@pytest.mark.parametrize("flags", [(True, True), (True, False), (False, True)])
def test_a_result_is_no_end_while_the_build_goes_on(result, flags):
    building, in_progress = flags
    run = build(result=result, building=building, inProgress=in_progress)

    assert (run.phase, run.conclusion, run.ended_at) == (Phase.RUNNING, None, None)


def test_an_older_jenkins_has_no_in_progress():
    body = build_body()
    del body["inProgress"]

    assert build_from(body, PIPELINE, URL).phase is Phase.ENDED


@pytest.mark.parametrize(
    "changes",
    [
        {"result": None},
        {"result": "failure"},
        {"result": "MELTED"},
        {"result": ["FAILURE"]},
        {"result": True},
        {"building": None},
        {"building": "false"},
        {"building": 0},
        {"inProgress": None},
        {"inProgress": "false"},
        {"inProgress": 0},
        {"duration": 0},
        {"duration": None},
        {"duration": "778000"},
        {"duration": -1},
        {"duration": True},
        {"duration": 10**30},
    ],
)
def test_what_is_odd_or_lacks_its_duration_has_not_ended(changes):
    run = build(**changes)

    assert (run.phase, run.ended_at) == (Phase.UNKNOWN, None)


def test_a_build_that_does_not_say_whether_it_is_building_has_not_ended():
    body = build_body()
    del body["building"]

    assert build_from(body, PIPELINE, URL).phase is Phase.UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [{"number": None}, {"number": "812"}, {"number": True}, {"timestamp": None}, {"timestamp": 10**30}],
)
def test_a_build_without_number_or_start_cannot_be_read(changes):
    with pytest.raises(Failed, match="without its number or start"):
        build(**changes)


def test_a_freestyle_build_names_its_agent_and_the_controller_has_none():
    assert [job.host for job in full(freestyle_body()).jobs] == ["build-7"]
    assert [job.host for job in full({**freestyle_body(), "builtOn": ""}).jobs] == [None]


@pytest.mark.parametrize(
    ("said", "hosts"),
    [
        (NODE, ["jenkins-worker-7f4b8d9c"]),
        ("[2026-11-22T09:02:10.507Z] " + NODE, ["jenkins-worker-7f4b8d9c"]),
        ("[eu] [10:12:13] " + NODE, ["jenkins-worker-7f4b8d9c"]),
        ("Running on \x1b[8mha:////4Nt==\x1b[0mbuild 7 in C:\\jenkins\\workspace\n", ["build 7"]),
        (NODE + "[b] Running on build-8 in /w\n" + NODE, ["jenkins-worker-7f4b8d9c", "build-8"]),
        ("Building remotely on build-7 (linux x) in workspace /home/jenkins/w\n", ["build-7"]),
        ("Running on Jenkins in /var/jenkins_home/workspace/x\n", [None]),
        (NODE + "Running on Built-In Node in /var/w\n", ["jenkins-worker-7f4b8d9c", None]),
        ("+ echo Running on build-9 in /w\n", [None]),
        ("Still waiting to schedule task\n", [None]),
        ("\x00\xff", [None]),
    ],
)
def test_a_pipeline_has_a_part_for_each_agent_that_its_console_names(said, hosts):
    assert [job.host for job in full(build_body(), said).jobs] == hosts


def test_a_console_that_was_not_read_whole_leaves_room_for_another_agent():
    jobs = full(build_body(), NODE, is_whole=False).jobs

    assert [(job.id, job.host) for job in jobs] == [("812.1", "jenkins-worker-7f4b8d9c"), ("812.2", None)]


@pytest.mark.parametrize("line", ["Hard kill!", "Terminating sh"])
def test_a_build_that_was_ended_by_force_is_lost_since_its_steps_may_go_on(line):
    run = full(build_body(result="ABORTED"), f"{NODE}{line}\nFinished: ABORTED\n")

    assert (run.phase, run.conclusion, run.jobs[0].conclusion) == (Phase.ENDED, Conclusion.LOST, Conclusion.LOST)


def test_an_aborted_pipeline_whose_console_could_not_be_read_whole_counts_as_lost():
    assert full(build_body(result="ABORTED"), NODE, is_whole=False).conclusion is Conclusion.LOST
    body = build_body(result="ABORTED")
    assert completed(build_from(body, PIPELINE, URL), body, Console()).conclusion is Conclusion.LOST


@pytest.mark.parametrize(
    "line",
    ["Cancelling nested steps due to timeout", "Build timed out (after 5 minutes). Marking it."],
)
def test_the_console_tells_an_abortion_by_a_time_out(line):
    for body in (build_body(result="ABORTED"), freestyle_body(result="ABORTED")):
        assert full(body, f"{NODE}{line}\nFinished: ABORTED\n").conclusion is Conclusion.TIMED_OUT


def test_the_cause_of_an_interruption_tells_a_time_out_too():
    cause = {"_class": "org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution$ExceededTimeout"}
    body = build_body(result="ABORTED", actions=[{"causes": [cause]}])

    assert (full(body).conclusion, full(body).trigger) == (Conclusion.TIMED_OUT, "")


@pytest.mark.parametrize("result", ["FAILURE", "UNSTABLE", "ABORTED", "NOT_BUILT"])
@pytest.mark.parametrize("body", [build_body, freestyle_body])
def test_a_build_of_which_only_jenkins_says_that_it_ended_is_lost_whatever_its_result(result, body):
    lost = f"{NODE}Agent agent-5 was deleted; cancelling node body\nFinished: {result}\n"

    assert full(body(result=result), lost).conclusion is Conclusion.LOST
    assert full(body(result=result), NODE + f"Finished: {result}\n").conclusion is not Conclusion.LOST


def test_a_failed_build_whose_console_could_not_be_read_whole_counts_as_lost():
    assert full(build_body(), NODE, is_whole=False).conclusion is Conclusion.LOST
    assert full(build_body(), NODE).conclusion is Conclusion.FAILED


CASES = Path(__file__).parents[1] / "cases" / "jenkins"


@pytest.mark.parametrize("case", yaml.safe_load((CASES / "consoles.yml").read_text()), ids=lambda case: case["file"])
def test_consoles_of_lost_agents_and_of_ordinary_ends_are_told_apart(case):
    said = (CASES / case["file"]).read_text()
    body = build_body if case["built_on"] is None else partial(freestyle_body, builtOn=case["built_on"])

    run = full(body(result=case["result"]), said)

    assert str(run.conclusion) == case["expect"]["conclusion"], case["why"]
    end = {"declared": LogEnd.DECLARED, "own": LogEnd.REPORTED}[case["expect"]["end"]]
    assert console_from(said.encode(), is_whole=True).end is end


def test_only_a_last_line_makes_a_console_final():
    assert console_from(b"x\nFinished: ABORTED\n", is_whole=True).is_final
    assert not console_from(b"x\nFinished: ABORTED\nmore\n", is_whole=True).is_final
    assert not console_from(b"x\nFinished: ABORTED\n", is_whole=False).is_final


def test_what_waits_in_the_queue_is_a_waiting_run_without_parts():
    run = item_from(item_body(), PIPELINE, URL)

    assert (run.ref.id, run.phase, run.jobs) == ("queue:4711", Phase.WAITING, ())
    assert run.reported == "Waiting for next available executor"


def test_an_item_that_was_cancelled_in_the_queue_never_ran():
    run = item_from(item_body(cancelled=True), PIPELINE, URL)

    assert (run.phase, run.conclusion) == (Phase.ENDED, Conclusion.SKIPPED)


@pytest.mark.parametrize("cancelled", [None, "true", 1, False])
def test_an_item_whose_cancellation_is_not_said_outright_still_waits(cancelled):
    assert item_from(item_body(cancelled=cancelled), PIPELINE, URL).phase is Phase.WAITING


ANYTHING = anything(*ENDS)


@given(
    body=mangled(build_body(building=True, inProgress=True, result=None, duration=0), ANYTHING)
    | mangled(freestyle_body(building=True, inProgress=True, result=None, duration=0), ANYTHING)
    | st.dictionaries(st.text(), ANYTHING),
    said=st.binary(max_size=200) | st.sampled_from([b"Hard kill!\n", b"Finished: SUCCESS\n"]),
    is_whole=st.booleans(),
)
def test_only_a_build_that_says_outright_that_it_is_over_is_ended(body, said, is_whole):
    try:
        run = build_from(body, PIPELINE, URL)
    except Failed:
        return

    whole = completed(run, body, console_from(said, is_whole=is_whole))
    assert whole.jobs
    if whole.phase is Phase.ENDED:
        assert body["building"] is False
        assert body.get("inProgress", False) is False
        assert body["result"] in ENDS
        assert whole.ended_at is not None
    assert {job.phase for job in whole.jobs} == {run.phase}


@given(body=mangled(item_body(), ANYTHING))
def test_only_an_item_that_was_cancelled_is_ended(body):
    try:
        run = item_from(body, PIPELINE, URL)
    except Failed:
        return

    assert (run.phase is Phase.ENDED) == (body.get("cancelled") is True)

"""Azure DevOps's words row by row (statuses, results, states), and that nothing odd ever makes something ended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.azure.runs import (
    completed,
    definition_of,
    job_from,
    machine_in,
    own_agent,
    record_goes_on,
    run_from,
    timeline_from,
)
from bot.ci.ends import without_jobs
from bot.core.run import Conclusion, Phase, Pipeline
from bot.http.client import Failed
from tests.worlds.odd import anything, mangled

PIPELINE = Pipeline("azure", (("project", "infra"), ("definition", "42")))
GOING_ON = {
    "none": Phase.UNKNOWN,
    "inProgress": Phase.RUNNING,
    "cancelling": Phase.ENDING,
    "postponed": Phase.WAITING,
    "notStarted": Phase.WAITING,
}
BUILD_ENDS = {
    "succeeded": Conclusion.SUCCESS,
    "partiallySucceeded": Conclusion.FAILED,
    "failed": Conclusion.FAILED,
    "canceled": Conclusion.CANCELLED,
}
JOB_ENDS = {
    "succeeded": Conclusion.SUCCESS,
    "succeededWithIssues": Conclusion.SUCCESS,
    "failed": Conclusion.FAILED,
    "canceled": Conclusion.CANCELLED,
    "skipped": Conclusion.SKIPPED,
    "abandoned": Conclusion.LOST,
}
STAGE, JOB, STEP = ("5d6a3a1c-0001", "5d6a3a1c-0002", "5d6a3a1c-0003")


def build_body(**changes):
    return {
        "id": 464,
        "buildNumber": "20241121.3",
        "status": "completed",
        "result": "failed",
        "queueTime": "2024-11-21T17:59:58.1234567Z",
        "startTime": "2024-11-21T18:00:01.2Z",
        "finishTime": "2024-11-21T18:15:00.7654321Z",
        "definition": {"id": 42, "name": "deploy", "queueStatus": "enabled"},
        "sourceBranch": "refs/heads/main",
        "sourceVersion": "acb5820ced9479c074f688cc328bf03f341a511d",
        "reason": "schedule",
        "requestedFor": {"displayName": "Quinn", "uniqueName": "quinn@example.com"},
        "requestedBy": {"displayName": "Microsoft.VisualStudio.Services.TFS"},
        "triggerInfo": {"ci.message": "Deploy to staging"},
        **changes,
    }


def job_body(**changes):
    return {
        "id": JOB,
        "parentId": STAGE,
        "type": "Job",
        "name": "terraform",
        "attempt": 1,
        "startTime": "2024-11-21T18:00:40Z",
        "finishTime": "2024-11-21T18:14:35.5Z",
        "state": "completed",
        "result": "failed",
        "workerName": "agent-3",
        "log": {"id": 7},
        "previousAttempts": [],
        "issues": [],
        **changes,
    }


def step_body(**changes):
    return {"id": STEP, "parentId": JOB, "type": "Task", "name": "terraform apply", "state": "inProgress", **changes}


def run(**changes):
    return run_from(build_body(**changes), PIPELINE, "https://dev.azure.com/acme/infra/_build/results?buildId=464")


def job(*steps, host=None, **changes):
    return job_from(job_body(**changes), steps, host)


def test_a_documented_build_is_read_whole():
    seen = run()

    assert (seen.ref.id, seen.title, seen.actor, seen.trigger) == ("464", "Deploy to staging", "Quinn", "schedule")
    assert (seen.branch, seen.commit) == ("main", "acb5820ced9479c074f688cc328bf03f341a511d")
    assert (seen.phase, seen.conclusion, seen.reported) == (Phase.ENDED, Conclusion.FAILED, "completed, failed")
    assert seen.created_at == datetime(2024, 11, 21, 17, 59, 58, 123456, tzinfo=UTC)
    assert seen.started_at == datetime(2024, 11, 21, 18, 0, 1, 200000, tzinfo=UTC)
    assert seen.ended_at == datetime(2024, 11, 21, 18, 15, 0, 765432, tzinfo=UTC)
    assert (seen.jobs, seen.jobs_missing) == (None, None)


def test_a_documented_job_is_read_whole():
    seen = job(host="build-7")

    assert (seen.id, seen.name, seen.attempt, seen.host) == (JOB, "terraform", 1, "build-7")
    assert (seen.phase, seen.conclusion, seen.reported) == (Phase.ENDED, Conclusion.FAILED, "completed, failed")
    assert seen.started_at == datetime(2024, 11, 21, 18, 0, 40, tzinfo=UTC)
    assert seen.ended_at == datetime(2024, 11, 21, 18, 14, 35, 500000, tzinfo=UTC)


@pytest.mark.parametrize(("status", "phase"), GOING_ON.items())
@pytest.mark.parametrize("finished", [None, "2024-11-21T18:15:00Z"])
def test_every_status_but_completed_still_goes_on_whatever_else_is_said(status, phase, finished):
    seen = run(status=status, result=None, startTime=None, finishTime=finished)

    assert (seen.phase, seen.conclusion, seen.ended_at) == (phase, None, None)
    assert completed(seen, [job()], goes_on=False).phase is not Phase.ENDED


@pytest.mark.parametrize("status", GOING_ON)
@pytest.mark.parametrize("result", BUILD_ENDS)
def test_a_result_beside_a_status_that_goes_on_is_no_end(status, result):
    assert run(status=status, result=result).phase not in {Phase.ENDED, Phase.WAITING}


@pytest.mark.parametrize(("word", "conclusion"), BUILD_ENDS.items())
def test_every_documented_result_of_a_completed_build_has_its_meaning(word, conclusion):
    seen = run(result=word)

    assert (seen.phase, seen.conclusion) == (Phase.ENDED, conclusion)


@pytest.mark.parametrize(("word", "conclusion"), JOB_ENDS.items())
def test_every_documented_result_of_a_completed_job_has_its_meaning(word, conclusion):
    seen = job(result=word)

    assert (seen.phase, seen.conclusion) == (Phase.ENDED, conclusion)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "melting"},
        {"status": "Completed"},
        {"status": ["completed"]},
        {"status": None},
        {"status": 2},
        {"status": "all"},
        {"result": "melted"},
        {"result": "none"},
        {"result": None},
        {"result": ""},
        {"result": "Failed"},
        {"result": "abandoned"},
        {"result": {"failed": 1}},
        {"finishTime": None},
        {"finishTime": "0001-01-01T00:00:00Z"},
        {"finishTime": "2024-11-21T18:15:00"},
        {"finishTime": 1732212900},
    ],
)
def test_a_build_with_words_that_are_not_known_or_without_its_end_is_not_ended(changes):
    assert run(**changes).phase is Phase.UNKNOWN


@pytest.mark.parametrize("changes", [{"id": None}, {"id": "464"}, {"id": True}, {"queueTime": None}, {"queueTime": 5}])
def test_a_build_without_its_id_or_time_is_garbled(changes):
    with pytest.raises(Failed):
        run(**changes)


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({"state": "inProgress", "result": None, "finishTime": None}, Phase.RUNNING),
        ({"state": "inProgress"}, Phase.RUNNING),
        ({"state": "pending", "result": None, "startTime": None, "finishTime": None}, Phase.WAITING),
        ({"state": "pending"}, Phase.UNKNOWN),
        ({"state": "pending", "result": None}, Phase.UNKNOWN),
        ({"state": "completed", "result": None}, Phase.UNKNOWN),
        ({"state": "completed", "finishTime": None}, Phase.UNKNOWN),
        ({"state": "melted"}, Phase.UNKNOWN),
        ({"state": None}, Phase.UNKNOWN),
    ],
)
def test_a_job_that_is_not_completed_with_a_known_result_and_an_end_keeps_its_build_open(changes, phase):
    part = job(**changes)
    seen = completed(run(), [job(id="other"), part], goes_on=False)

    assert part.phase is phase
    assert seen.phase is not Phase.ENDED
    assert (seen.conclusion, seen.ended_at) == (None, None)


def test_a_cancelled_build_with_a_job_that_still_runs_is_running():
    going = job(state="inProgress", result=None, finishTime=None)

    assert completed(run(result="canceled"), [going], goes_on=False).phase is Phase.RUNNING
    assert completed(run(status="cancelling", result=None), [going], goes_on=False).phase is Phase.ENDING
    assert completed(run(status="cancelling", result=None), [job()], goes_on=False).phase is Phase.ENDING


@pytest.mark.parametrize("result", ["succeeded", "succeededWithIssues", "canceled"])
def test_a_step_that_still_runs_in_a_completed_job_keeps_it_running(result):
    assert job(step_body(), result=result).phase is Phase.RUNNING


@pytest.mark.parametrize("result", ["failed", "abandoned"])
def test_a_job_that_was_given_up_with_an_open_step_is_lost(result):
    assert job(step_body(), result=result).conclusion is Conclusion.LOST


@pytest.mark.parametrize("result", ["failed", "canceled", "succeeded"])
def test_a_job_with_a_step_that_was_abandoned_is_lost_and_its_twin_is_not(result):
    abandoned, ended = (job(step_body(state="completed", result=how), result=result) for how in ("abandoned", "failed"))

    assert (abandoned.phase, abandoned.conclusion) == (Phase.ENDED, Conclusion.LOST)
    assert ended.conclusion is not Conclusion.LOST


def test_a_step_that_was_never_begun_does_not_keep_its_job_open():
    seen = job(step_body(state="pending"))

    assert (seen.phase, seen.conclusion) == (Phase.ENDED, Conclusion.FAILED)


def test_the_servers_sentences_tell_a_lost_agent_and_a_time_that_was_up():
    lost = {"issues": [{"type": "error", "message": "We stopped hearing from agent a1. Verify the agent machine …"}]}
    late = {
        "issues": [None, {"message": "The job running on agent a1 ran longer than the maximum time of 60 minutes."}]
    }

    assert job(**lost).conclusion is Conclusion.LOST
    assert job(**late, result="canceled").conclusion is Conclusion.TIMED_OUT
    assert job(**late, result="succeeded").conclusion is Conclusion.SUCCESS
    assert completed(run(), [job(**lost)], goes_on=False).conclusion is Conclusion.LOST
    assert completed(run(result="canceled"), [job(**late)], goes_on=False).conclusion is Conclusion.TIMED_OUT
    assert completed(run(result="succeeded"), [job(**lost)], goes_on=False).conclusion is Conclusion.SUCCESS


def test_a_job_that_was_cancelled_before_an_agent_took_it_never_ran():
    nothing = dict.fromkeys(("startTime", "finishTime", "workerName", "log"))

    assert job(**nothing, result="canceled").conclusion is Conclusion.SKIPPED
    assert job(**{**nothing, "workerName": "a1"}, result="canceled").phase is Phase.UNKNOWN


def test_a_stage_that_is_under_way_keeps_a_completed_build_open():
    stage = {"id": STAGE, "type": "Stage", "state": "inProgress"}

    assert record_goes_on(stage)
    assert not record_goes_on({**stage, "state": "pending"})
    assert completed(run(), [job()], goes_on=True).phase is Phase.UNKNOWN


def test_the_end_of_a_build_is_the_latest_that_is_known():
    late = job(finishTime="2024-11-21T20:00:00Z")

    assert completed(run(result="canceled"), [late], goes_on=False).ended_at == late.ended_at


def test_jobs_are_in_order_of_their_attempts_and_the_newest_one_counts():
    jobs = [job(id="b", attempt=2, startTime="2024-11-21T18:30:00Z"), job(id="a", result="canceled")]
    seen = completed(run(), jobs, goes_on=False)

    assert [part.attempt for part in seen.jobs] == [1, 2]
    assert (seen.attempt, seen.started_at) == (2, datetime(2024, 11, 21, 18, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"records": None},
        {"records": {}},
        {"records": [None]},
        {"records": [{}]},
        {"records": [{"id": JOB}]},
        {"records": [{"type": "Job"}]},
        {"records": [job_body(type=None)]},
        {"records": [job_body(previousAttempts=5)]},
        {"records": [job_body(previousAttempts=[{}])]},
        {"records": [job_body(previousAttempts=[{"timelineId": "../../../builds"}])]},
    ],
)
def test_a_timeline_that_could_hide_a_job_is_garbled(body):
    with pytest.raises(Failed):
        timeline_from(body, "build 464")


def test_earlier_attempts_are_found_by_the_timelines_that_any_record_names():
    attempts = [{"attempt": 1, "timelineId": "AB12cd34-0001", "recordId": "x"}]
    records = [{"id": STAGE, "type": "Stage", "previousAttempts": attempts}, job_body(previousAttempts=attempts)]

    assert timeline_from({"records": records}, "build 464").earlier == ("ab12cd34-0001",)


@pytest.mark.parametrize(
    ("log", "machine"),
    [
        (
            "2024-11-21T18:00:40.1Z Agent name: 'a1'\r\n2024-11-21T18:00:40Z Agent machine name: 'build-7'\r\n",
            "build-7",
        ),
        ("Agent machine name: ''\n", None),
        ("Agent name: 'a1'\n", None),
        ("", None),
    ],
)
def test_the_machine_is_read_from_the_head_of_a_log(log, machine):
    assert machine_in(log) == machine


@pytest.mark.parametrize(
    ("worker", "host"),
    [
        ("build-7", "build-7"),
        ("Hosted Agent", None),
        ("Azure Pipelines", None),
        ("Azure Pipelines 12", None),
        ("Hosted Ubuntu 1604 2", None),
        ("Azure Pipelines Runner", "Azure Pipelines Runner"),
        (None, None),
        (5, None),
    ],
)
def test_an_agents_name_is_a_host_only_where_it_is_not_one_of_microsofts(worker, host):
    assert own_agent(job_body(workerName=worker)) == host


@pytest.mark.parametrize("definition", [None, {}, {"id": "42"}, {"id": True}, [], 42])
def test_a_definition_that_is_not_told_is_empty(definition):
    assert definition_of(build_body(definition=definition)) == ""


ANYTHING = anything(*GOING_ON, *BUILD_ENDS, *JOB_ENDS, "completed", "pending", "Job", "2024-11-21T18:15:00Z")


@given(body=mangled(build_body(status="inProgress", result=None), ANYTHING) | st.dictionaries(st.text(), ANYTHING))
def test_only_a_completed_build_with_a_known_result_and_an_end_is_ended(body):
    try:
        seen = run_from(body, PIPELINE, "")
    except Failed:
        return

    if seen.phase is Phase.ENDED:
        assert body["status"] == "completed"
        assert BUILD_ENDS[body["result"]] is seen.conclusion
        assert seen.ended_at is not None
    assert without_jobs(seen, "why").phase is not Phase.ENDED


@given(
    body=mangled(job_body(state="inProgress", result=None, finishTime=None), ANYTHING),
    step=mangled(step_body(), ANYTHING),
    stage=mangled({"id": STAGE, "type": "Stage", "state": "inProgress", "previousAttempts": []}, ANYTHING),
)
def test_a_build_is_not_ended_while_any_of_its_jobs_and_stages_is_not(body, step, stage):
    try:
        line = timeline_from({"records": [stage, body, step]}, "build 464")
        parts = [job_from(record, line.tasks_of(record), None) for record in line.jobs]
        seen = completed(run(), [job(id="x"), *parts], goes_on=any(record_goes_on(record) for record in line.records))
    except Failed:
        return

    if seen.phase is Phase.ENDED:
        assert all(part.phase is Phase.ENDED for part in seen.jobs)
        assert all(record["state"] == "completed" for record in line.jobs)
        assert stage.get("type") in {"Job", "Task"} or stage.get("state") in {"completed", "pending"}
        assert seen.ended_at >= run().ended_at

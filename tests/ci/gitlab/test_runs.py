"""GitLab's words row by row (statuses, reasons of failures), and that nothing odd ever makes something ended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.ends import without_jobs
from bot.ci.gitlab.runs import bridge_phase, completed, home_of, jobs_from, run_from
from bot.ci.gitlab.tree import Part, Tree, whole
from bot.core.run import Conclusion, Phase, Pipeline
from bot.http.client import Failed
from tests.worlds.odd import anything, mangled

PIPELINE = Pipeline("gitlab", (("project", "acme/infra"), ("ref", "main")))
WAITING = (
    "created",
    "waiting_for_resource",
    "waiting_for_callback",
    "preparing",
    "pending",
    "manual",
    "scheduled",
)
GOING_ON = (*WAITING, "running", "canceling")
ENDS = {
    "success": Conclusion.SUCCESS,
    "failed": Conclusion.FAILED,
    "canceled": Conclusion.CANCELLED,
    "skipped": Conclusion.SKIPPED,
}
REASONS = {
    "script_failure": Conclusion.FAILED,
    "missing_dependency_failure": Conclusion.FAILED,
    "runner_unsupported": Conclusion.FAILED,
    "job_execution_timeout": Conclusion.TIMED_OUT,
    "stuck_or_timeout_failure": Conclusion.LOST,
    "runner_system_failure": Conclusion.LOST,
    "runner_interrupted": Conclusion.LOST,
    "no_updates_running": Conclusion.LOST,
    "no_updates_canceling": Conclusion.LOST,
    "server_timeout_running": Conclusion.LOST,
    "job_execution_server_timeout": Conclusion.LOST,
    "trace_size_exceeded": Conclusion.LOST,
    "unknown_failure": Conclusion.LOST,
    "a_reason_of_next_year": Conclusion.LOST,
}


def pipeline_body(**changes):
    return {
        "id": 287,
        "iid": 144,
        "project_id": 21,
        "name": "Deploy to staging",
        "sha": "50f0acb76a40e34a4ff304f7347dcc6587da8a14",
        "ref": "main",
        "status": "failed",
        "source": "schedule",
        "created_at": "2026-11-22T09:02:00.000Z",
        "updated_at": "2026-11-22T09:15:00.000Z",
        "web_url": "https://gitlab.example.com/acme/infra/-/pipelines/287",
        "user": {"id": 1, "username": "quinn"},
        "started_at": "2026-11-22T09:02:07.000Z",
        "finished_at": "2026-11-22T09:14:59.000Z",
        **changes,
    }


def job_body(**changes):
    return {
        "id": 812,
        "name": "apply",
        "stage": "deploy",
        "status": "failed",
        "failure_reason": "script_failure",
        "allow_failure": False,
        "created_at": "2026-11-22T09:02:00.000Z",
        "started_at": "2026-11-22T09:02:10.000Z",
        "finished_at": "2026-11-22T09:14:58.000Z",
        "web_url": "https://gitlab.example.com/acme/infra/-/jobs/812",
        "pipeline": {"id": 287, "project_id": 21},
        "runner": {"id": 32, "description": "docker-1"},
        "runner_manager": {"id": 1, "system_id": "s_89e5e9956577"},
        **changes,
    }


def bridge_body(**changes):
    return {
        "id": 900,
        "name": "trigger",
        "status": "success",
        "started_at": None,
        "finished_at": "2026-11-22T09:03:00.000Z",
        "downstream_pipeline": {"id": 5, "project_id": 21},
        **changes,
    }


def run(**changes):
    return run_from(pipeline_body(**changes), PIPELINE)


def job(parent=None, hosts=None, **changes):
    (made,) = jobs_from([job_body(**changes)], parent=parent or run(), hosts=hosts or {})
    return made


def test_a_documented_pipeline_is_read_whole():
    read = run()

    assert (read.ref.id, read.ref.url) == ("287", "https://gitlab.example.com/acme/infra/-/pipelines/287")
    assert (read.title, read.actor, read.trigger, read.branch) == ("Deploy to staging", "quinn", "schedule", "main")
    assert (read.phase, read.conclusion, read.reported) == (Phase.ENDED, Conclusion.FAILED, "failed")
    assert read.created_at == datetime(2026, 11, 22, 9, 2, tzinfo=UTC)
    assert read.started_at == datetime(2026, 11, 22, 9, 2, 7, tzinfo=UTC)
    assert read.ended_at == datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


def test_a_documented_job_is_read_whole():
    read = job(hosts={812: "runner-t3qyxf-project-7120-concurrent-0"})

    assert (read.id, read.name, read.attempt, read.reported) == ("812", "apply", 1, "failed, script_failure")
    assert (read.phase, read.conclusion) == (Phase.ENDED, Conclusion.FAILED)
    assert read.started_at == datetime(2026, 11, 22, 9, 2, 10, tzinfo=UTC)
    assert read.ended_at == datetime(2026, 11, 22, 9, 14, 58, tzinfo=UTC)
    assert read.host == "runner-t3qyxf-project-7120-concurrent-0"


@pytest.mark.parametrize("status", GOING_ON)
def test_every_status_but_four_is_still_going(status):
    wanted = {"running": Phase.RUNNING, "canceling": Phase.ENDING}.get(status, Phase.WAITING)

    assert (run(status=status).phase, run(status=status).ended_at) == (wanted, None)
    assert (job(status=status).phase, job(status=status).ended_at) == (wanted, None)
    assert completed(run(), (job(status=status),), ()).phase is not Phase.ENDED


@pytest.mark.parametrize(("word", "conclusion"), ENDS.items())
def test_every_documented_end_has_its_meaning(word, conclusion):
    ended = run(status=word)

    assert (ended.phase, ended.conclusion) == (Phase.ENDED, conclusion)
    assert completed(ended, (job(),), ()).conclusion is conclusion


@pytest.mark.parametrize(("reason", "conclusion"), REASONS.items())
def test_the_reason_tells_how_a_job_failed_and_what_only_the_server_declared_is_lost(reason, conclusion):
    failed = job(failure_reason=reason)

    assert (failed.phase, failed.conclusion) == (Phase.ENDED, conclusion)
    assert completed(run(), (failed,), ()).conclusion is conclusion


@pytest.mark.parametrize("reason", [None, "", 3, ["script_failure"]])
def test_a_failure_without_a_readable_reason_counts_as_lost(reason):
    assert job(failure_reason=reason).conclusion is Conclusion.LOST


def test_the_reason_of_a_try_that_was_retried_says_nothing_of_the_pipelines_end():
    jobs = jobs_from([job_body(failure_reason="runner_system_failure"), job_body(id=813)], parent=run(), hosts={})

    assert completed(run(), jobs, ()).conclusion is Conclusion.FAILED


@pytest.mark.parametrize("status", ["melting", "FAILED", "", None, 5, ["failed"], "cancelled", "completed"])
def test_words_that_are_not_known_never_mean_ended(status):
    assert run(status=status).phase is Phase.UNKNOWN
    assert job(status=status).phase is Phase.UNKNOWN


@pytest.mark.parametrize("end", [None, "", "yesterday", 5, "2026-11-22T09:14:58", "9999-12-31T23:59:59-23:59"])
def test_an_end_without_a_readable_time_is_no_end(end):
    assert run(updated_at=end, finished_at=end).phase is Phase.UNKNOWN
    assert job(finished_at=end).phase is Phase.UNKNOWN


@pytest.mark.parametrize("changes", [{"id": None}, {"id": "1"}, {"id": True}, {"created_at": None}, {"created_at": 1}])
def test_a_pipeline_without_id_or_creation_time_cannot_be_read(changes):
    with pytest.raises(Failed, match="without its id or creation time"):
        run(**changes)


def test_jobs_of_one_name_are_attempts_in_the_order_of_their_ids():
    jobs = jobs_from(
        [job_body(id=830, status="running", finished_at=None), job_body(id=812), job_body(id=820, name="plan")],
        parent=run(status="running"),
        hosts={},
    )

    assert [(each.id, each.name, each.attempt) for each in jobs] == [
        ("812", "apply", 1),
        ("820", "plan", 1),
        ("830", "apply", 2),
    ]


def test_the_start_of_a_retried_pipeline_is_that_of_its_newest_attempt():
    again = job_body(id=830, started_at="2026-11-22T10:00:00Z", finished_at="2026-11-22T10:10:00Z")
    read = completed(run(), jobs_from([job_body(), again], parent=run(), hosts={}), ())

    assert (read.attempt, read.started_at) == (2, datetime(2026, 11, 22, 10, tzinfo=UTC))
    assert read.ended_at == datetime(2026, 11, 22, 10, 10, tzinfo=UTC)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_job_that_no_runner_took_never_ran(status):
    assert job(status=status, started_at=None, runner=None).conclusion is Conclusion.SKIPPED


@pytest.mark.parametrize("missing", ["started_at", "runner"])
def test_a_field_that_is_missing_does_not_say_that_a_job_never_ran(missing):
    body = job_body(status="canceled", started_at=None, runner=None)
    del body[missing]

    (read,) = jobs_from([body], parent=run(), hosts={})

    assert read.conclusion is Conclusion.CANCELLED


def test_an_optional_manual_job_that_nobody_started_does_not_keep_an_ended_pipeline_going():
    destroy = {"status": "manual", "allow_failure": True, "started_at": None, "runner": None, "finished_at": None}

    assert job(**destroy).conclusion is Conclusion.SKIPPED
    assert job(**{**destroy, "allow_failure": False}).phase is Phase.WAITING
    assert job(**{**destroy, "started_at": "2026-11-22T09:02:10Z"}).phase is Phase.WAITING
    assert job(run(status="manual"), **destroy).phase is Phase.WAITING
    assert job(run(status="running"), **destroy).phase is Phase.WAITING


def test_a_skipped_job_has_no_end_and_one_that_has_begun_was_not_skipped():
    assert job(status="skipped", started_at=None, finished_at=None).conclusion is Conclusion.SKIPPED
    assert job(status="skipped").phase is Phase.UNKNOWN


def test_a_trigger_job_is_over_when_it_ended_and_the_pipeline_that_it_started_is_named():
    assert bridge_phase(bridge_body(), run()) is Phase.ENDED
    assert bridge_phase(bridge_body(status="running"), run()) is Phase.RUNNING
    assert bridge_phase(bridge_body(status="melting"), run()) is Phase.UNKNOWN


@pytest.mark.parametrize("below", [None, {}, [], "5"])
def test_a_trigger_job_that_started_something_unnamed_is_never_known_to_be_over(below):
    unnamed = {"downstream_pipeline": below}

    assert bridge_phase(bridge_body(**unnamed), run()) is Phase.UNKNOWN
    assert bridge_phase(bridge_body(**unnamed, status="failed", started_at="2026-11-22T09:03:00Z"), run()) is (
        Phase.UNKNOWN
    )


def test_a_trigger_job_that_started_nothing_is_over():
    nothing = bridge_body(downstream_pipeline=None)

    assert bridge_phase({**nothing, "status": "skipped"}, run()) is Phase.ENDED
    assert bridge_phase({**nothing, "status": "canceled"}, run()) is Phase.ENDED
    refused = {"status": "failed", "failure_reason": "downstream_pipeline_creation_failed", "started_at": "x"}
    assert bridge_phase({**nothing, **refused}, run()) is Phase.ENDED
    optional = {**nothing, "status": "manual", "allow_failure": True}
    assert bridge_phase(optional, run()) is Phase.ENDED
    assert bridge_phase(optional, run(status="running")) is Phase.WAITING


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.WAITING, Phase.ENDING, Phase.UNKNOWN])
def test_a_pipeline_has_not_ended_while_anything_that_it_started_has_not(phase):
    read = completed(run(), (job(),), (Phase.ENDED, phase))

    assert (read.phase is Phase.ENDED, read.conclusion, read.ended_at) == (False, None, None)


def tree(entry, jobs=(), bridges=(), missing=None):
    return Tree((Part("acme/infra", entry, run_from(entry, PIPELINE), tuple(jobs), tuple(bridges)),), missing)


def test_a_pipeline_that_shows_no_job_is_not_known_to_have_ended():
    read = whole(tree(pipeline_body()), {})

    assert (read.phase, read.jobs_missing) == (Phase.UNKNOWN, "GitLab shows no job of pipeline 287 in acme/infra")


def test_a_pipeline_that_never_began_may_end_without_jobs():
    assert whole(tree(pipeline_body(started_at=None)), {}).phase is Phase.ENDED


def test_what_could_not_be_read_below_a_pipeline_keeps_it_going():
    read = whole(tree(pipeline_body(), [job_body()], missing="no connection to GitLab"), {})

    assert (read.phase, read.jobs, read.jobs_missing) == (Phase.UNKNOWN, None, "no connection to GitLab")


@pytest.mark.parametrize(
    ("fields", "mine"),
    [
        ((("project", "ACME/infra"), ("ref", "main")), True),
        ((("project", "acme/infra"),), True),
        ((("project", "acme/infra"), ("ref", "plans")), False),
        ((("project", "acme/other"), ("ref", "main")), False),
    ],
)
def test_a_run_belongs_to_the_pipeline_with_its_project_and_ref(fields, mine):
    pipeline = Pipeline("gitlab", fields)

    asked = Pipeline("gitlab", (("project", "acme/infra"),))

    assert home_of(pipeline_body(), asked, [pipeline]) == (pipeline if mine else asked)


def test_a_pipeline_that_names_the_ref_goes_before_one_that_does_not():
    wide = Pipeline("gitlab", (("project", "acme/infra"),))

    assert home_of(pipeline_body(), Pipeline("gitlab", (("project", "Acme/infra"),)), [wide, PIPELINE]) == PIPELINE


ANYTHING = anything(*GOING_ON, *ENDS, *REASONS, "2026-11-22T09:14:58Z")


@given(body=mangled(pipeline_body(status="running", finished_at=None), ANYTHING) | st.dictionaries(st.text(), ANYTHING))
def test_only_a_pipeline_with_a_known_end_and_its_time_is_ended(body):
    try:
        read = run_from(body, PIPELINE)
    except Failed:
        return

    if read.phase is Phase.ENDED:
        assert body["status"] in ENDS
        assert read.ended_at is not None
    assert without_jobs(read, "why").phase is not Phase.ENDED


@given(
    job=mangled(job_body(id=813, status="running", finished_at=None), ANYTHING),
    bridge=mangled(bridge_body(status="running", finished_at=None), ANYTHING),
)
def test_a_run_is_not_ended_while_any_job_or_trigger_job_is_not(job, bridge):
    for jobs, bridges, odd in (([job_body(), job], [], job), ([job_body()], [bridge], bridge)):
        try:
            read = whole(tree(pipeline_body(), jobs, bridges), {})
        except Failed:
            continue
        if read.phase is Phase.ENDED:
            assert odd["status"] in ENDS or (odd["status"] == "manual" and odd["allow_failure"] is True)
            assert odd["started_at"] is None or odd["status"] != "manual"
            assert all(each.phase is Phase.ENDED for each in read.jobs)

"""GitHub's words row by row (statuses, conclusions), and that nothing odd ever makes something ended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.ends import without_jobs
from bot.ci.github.runs import completed, home_of, job_from, run_from
from bot.core.run import Conclusion, Phase, Pipeline
from bot.http.client import Failed
from tests.worlds.odd import anything, mangled

PIPELINE = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")))
GOING_ON = ("queued", "in_progress", "requested", "waiting", "pending")
ENDS = {
    "success": Conclusion.SUCCESS,
    "neutral": Conclusion.SUCCESS,
    "failure": Conclusion.FAILED,
    "startup_failure": Conclusion.FAILED,
    "cancelled": Conclusion.CANCELLED,
    "timed_out": Conclusion.TIMED_OUT,
    "stale": Conclusion.LOST,
    "skipped": Conclusion.SKIPPED,
}


def run_body(**changes):
    return {
        "id": 30433642,
        "name": "deploy",
        "head_branch": "main",
        "head_sha": "acb5820ced9479c074f688cc328bf03f341a511d",
        "display_title": "Deploy to staging",
        "event": "push",
        "status": "completed",
        "conclusion": "failure",
        "workflow_id": 159038,
        "path": ".github/workflows/deploy.yml@main",
        "html_url": "https://github.com/acme/infra/actions/runs/30433642",
        "created_at": "2024-11-21T18:00:00Z",
        "updated_at": "2024-11-21T18:15:00Z",
        "run_started_at": "2024-11-21T18:00:01Z",
        "run_attempt": 1,
        "actor": {"login": "elliott-ci"},
        "triggering_actor": {"login": "quinn"},
        **changes,
    }


def job_body(**changes):
    return {
        "id": 399444496,
        "run_id": 30433642,
        "run_attempt": 1,
        "status": "completed",
        "conclusion": "failure",
        "started_at": "2024-11-21T18:00:40Z",
        "completed_at": "2024-11-21T18:14:35Z",
        "name": "apply",
        "steps": [{"name": "Set up job", "status": "completed", "conclusion": "success", "number": 1}],
        "html_url": "https://github.com/acme/infra/actions/runs/30433642/job/399444496",
        "labels": ["self-hosted"],
        "runner_name": "my runner",
        **changes,
    }


def test_a_documented_run_is_read_whole():
    run = run_from(run_body(), PIPELINE)

    assert (run.ref.id, run.ref.url) == ("30433642", "https://github.com/acme/infra/actions/runs/30433642")
    assert (run.title, run.actor, run.trigger, run.branch) == ("Deploy to staging", "quinn", "push", "main")
    assert (run.phase, run.conclusion, run.reported) == (Phase.ENDED, Conclusion.FAILED, "completed, failure")
    assert run.created_at == datetime(2024, 11, 21, 18, 0, 0, tzinfo=UTC)
    assert run.started_at == datetime(2024, 11, 21, 18, 0, 1, tzinfo=UTC)
    assert run.ended_at == datetime(2024, 11, 21, 18, 15, 0, tzinfo=UTC)
    assert (run.jobs, run.jobs_missing) == (None, None)


def test_a_documented_job_is_read_whole():
    job = job_from(job_body(), 1)

    assert (job.id, job.name, job.attempt, job.host) == ("399444496", "apply", 1, "my runner")
    assert (job.phase, job.conclusion) == (Phase.ENDED, Conclusion.FAILED)
    assert job.started_at == datetime(2024, 11, 21, 18, 0, 40, tzinfo=UTC)
    assert job.ended_at == datetime(2024, 11, 21, 18, 14, 35, tzinfo=UTC)


@pytest.mark.parametrize("status", GOING_ON)
def test_every_status_but_completed_is_still_going(status):
    wanted = Phase.RUNNING if status == "in_progress" else Phase.WAITING

    assert run_from(run_body(status=status, conclusion=None), PIPELINE).phase is wanted
    assert job_from(job_body(status=status, conclusion=None, completed_at=None), 1).phase is wanted


@pytest.mark.parametrize(("word", "conclusion"), ENDS.items())
def test_every_documented_conclusion_of_a_completed_run_has_its_meaning(word, conclusion):
    run = run_from(run_body(conclusion=word), PIPELINE)
    job = job_from(job_body(conclusion=word), 1)

    assert (run.phase, run.conclusion) == (Phase.ENDED, conclusion)
    assert (job.phase, job.conclusion) == (Phase.ENDED, conclusion)
    assert completed(run, [job_body(conclusion=word)]).conclusion is conclusion


def test_a_run_that_waits_for_an_approval_has_not_ended_but_such_a_job_has():
    run = run_from(run_body(conclusion="action_required"), PIPELINE)

    assert (run.phase, run.conclusion, run.ended_at) == (Phase.WAITING, None, None)
    assert job_from(job_body(conclusion="action_required"), 1).conclusion is Conclusion.FAILED


@pytest.mark.parametrize("status", GOING_ON)
@pytest.mark.parametrize("conclusion", ENDS)
def test_a_conclusion_beside_a_going_status_means_not_known(status, conclusion):
    assert run_from(run_body(status=status, conclusion=conclusion), PIPELINE).phase is Phase.UNKNOWN
    assert job_from(job_body(status=status, conclusion=conclusion), 1).phase is Phase.UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "melting"},
        {"conclusion": "melted"},
        {"conclusion": None},
        {"conclusion": ""},
        {"conclusion": "Failure"},
        {"status": "COMPLETED"},
        {"status": ["completed"]},
        {"status": None},
        {"run_attempt": None},
        {"run_attempt": "1"},
        {"run_attempt": True},
    ],
)
def test_words_that_are_not_known_never_mean_ended(changes):
    assert run_from(run_body(**changes), PIPELINE).phase is Phase.UNKNOWN
    assert job_from(job_body(**changes), 1).phase is Phase.UNKNOWN


@pytest.mark.parametrize("end", ["", "yesterday", 5, "2024-11-21T18:15:00", "9999-12-31T23:59:59-23:59"])
def test_completed_without_a_readable_end_has_not_ended(end):
    assert run_from(run_body(updated_at=end), PIPELINE).phase is Phase.UNKNOWN
    assert job_from(job_body(completed_at=end), 1).phase is Phase.UNKNOWN


def test_a_completed_run_that_does_not_say_when_ends_with_the_last_of_its_jobs():
    run = run_from(run_body(updated_at=None), PIPELINE)

    full = completed(run, [job_body(), job_body(id=2, completed_at="2024-11-21T18:40:00Z")])

    assert (run.phase, run.ended_at) == (Phase.ENDED, None)
    assert (full.phase, full.ended_at) == (Phase.ENDED, datetime(2024, 11, 21, 18, 40, tzinfo=UTC))


@pytest.mark.parametrize(
    "jobs",
    [[], [job_body(completed_at=None)], [job_body(), job_body(id=2, status="queued")], [job_body(run_attempt=1)]],
)
def test_a_completed_run_for_which_nothing_tells_the_end_has_not_ended(jobs):
    run = run_from(run_body(updated_at=None, run_attempt=2), PIPELINE)

    full = completed(run, jobs)

    assert (full.phase, full.conclusion, full.ended_at) == (Phase.UNKNOWN, None, None)
    assert without_jobs(run, "why").phase is Phase.UNKNOWN


def test_a_run_that_does_not_say_its_attempt_is_at_its_first():
    body = run_body()
    del body["run_attempt"]
    run = run_from(body, PIPELINE)

    assert (run.phase, run.attempt) == (Phase.ENDED, 1)
    assert completed(run, [job_body()]).phase is Phase.ENDED
    assert completed(run, [job_body(), job_body(id=2, run_attempt=2)]).phase is Phase.UNKNOWN
    assert run_from(run_body(run_attempt=None), PIPELINE).phase is Phase.UNKNOWN


@pytest.mark.parametrize("changes", [{"id": None}, {"id": "1"}, {"id": True}, {"created_at": None}, {"created_at": 1}])
def test_a_run_without_id_or_creation_time_cannot_be_read(changes):
    with pytest.raises(Failed, match="without its id or creation time"):
        run_from(run_body(**changes), PIPELINE)


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out"])
@pytest.mark.parametrize("step", [{"status": "in_progress"}, {"status": "queued"}, {}, None, "completed"])
def test_a_broken_off_job_with_an_open_step_is_lost(conclusion, step):
    job = job_from(job_body(conclusion=conclusion, steps=[{"status": "completed"}, step]), 1)

    assert (job.phase, job.conclusion) == (Phase.ENDED, Conclusion.LOST)


def test_a_success_with_an_open_step_stays_a_success():
    assert job_from(job_body(conclusion="success", steps=[{"status": "queued"}]), 1).conclusion is Conclusion.SUCCESS


def test_the_end_of_a_run_is_the_latest_that_is_known():
    early, late = "2024-11-21T18:10:00Z", "2024-11-21T18:40:00Z"

    assert completed(
        run_from(run_body(updated_at=early), PIPELINE), [job_body(completed_at=late)]
    ).ended_at == datetime(2024, 11, 21, 18, 40, tzinfo=UTC)
    assert completed(
        run_from(run_body(updated_at=late), PIPELINE), [job_body(completed_at=early)]
    ).ended_at == datetime(2024, 11, 21, 18, 40, tzinfo=UTC)


def test_an_open_job_of_an_earlier_attempt_keeps_a_completed_run_going():
    run = run_from(run_body(run_attempt=2), PIPELINE)

    full = completed(run, [job_body(status="in_progress", conclusion=None), job_body(id=2, run_attempt=2)])

    assert (full.phase, full.ended_at) == (Phase.RUNNING, None)


@pytest.mark.parametrize("status", ["queued", "waiting", "pending", "melting"])
def test_a_run_that_waits_with_one_job_runs_with_another(status):
    run = run_from(run_body(status=status, conclusion=None), PIPELINE)
    running = job_body(status="in_progress", conclusion=None, completed_at=None)

    assert completed(run, [running, job_body(id=2, status="waiting", conclusion=None)]).phase is Phase.RUNNING
    assert completed(run, [job_body()]).phase is run.phase


def test_jobs_of_an_attempt_that_the_run_does_not_know_yet_keep_it_going():
    full = completed(run_from(run_body(run_attempt=1), PIPELINE), [job_body(), job_body(id=2, run_attempt=2)])

    assert full.phase is Phase.UNKNOWN


def test_a_job_that_does_not_say_its_attempt_counts_to_the_newest():
    body = job_body()
    del body["run_attempt"]

    assert job_from(body, 3).attempt == 3


@pytest.mark.parametrize(
    ("fields", "mine"),
    [
        ((("repo", "ACME/infra"), ("workflow", "deploy.yml")), True),
        ((("repo", "acme/infra"), ("workflow", ".github/workflows/deploy.yml")), True),
        ((("repo", "acme/infra"), ("workflow", "159038")), True),
        ((("repo", "acme/infra"), ("workflow", "deploy.yml"), ("branch", "main")), True),
        ((("repo", "acme/infra"), ("workflow", "deploy.yml"), ("branch", "side")), False),
        ((("repo", "acme/other"), ("workflow", "deploy.yml")), False),
        ((("repo", "acme/infra"), ("workflow", "eploy.yml")), False),
    ],
)
def test_a_run_belongs_to_the_pipeline_with_its_repository_workflow_and_branch(fields, mine):
    pipeline = Pipeline("github", fields)

    asked = Pipeline("github", (("repo", "acme/infra"),))

    assert home_of(run_body(), asked, [pipeline]) == (pipeline if mine else asked)


def test_a_pipeline_that_names_the_branch_goes_before_one_that_does_not():
    named = Pipeline("github", (*PIPELINE.fields, ("branch", "main")))

    assert home_of(run_body(), Pipeline("github", (("repo", "acme/infra"),)), [PIPELINE, named]) == named


ANYTHING = anything(*GOING_ON, *ENDS, "completed")


@given(body=mangled(run_body(status="in_progress", conclusion=None), ANYTHING) | st.dictionaries(st.text(), ANYTHING))
def test_only_a_completed_run_with_a_known_conclusion_and_an_end_is_ended(body):
    try:
        run = run_from(body, PIPELINE)
    except Failed:
        return

    if run.phase is Phase.ENDED:
        assert body["status"] == "completed"
        assert body["conclusion"] in ENDS
        assert run.ended_at is not None or body.get("updated_at") is None
        assert run.conclusion is ENDS[body["conclusion"]]
        assert run.ended_at is not None or completed(run, []).phase is Phase.UNKNOWN
    assert without_jobs(run, "why").phase is not Phase.ENDED


@given(body=mangled(job_body(status="in_progress", conclusion=None, completed_at=None), ANYTHING))
def test_a_run_is_not_ended_while_any_of_its_jobs_is_not(body):
    run = run_from(run_body(), PIPELINE)
    try:
        full = completed(run, [job_body(id=1), body])
    except Failed:
        return

    if full.phase is Phase.ENDED:
        assert body["status"] == "completed"
        assert all(job.phase is Phase.ENDED for job in full.jobs)
        assert full.ended_at >= run.ended_at

"""Listing runs and completing them with their jobs, against the stand-in over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.run import Conclusion, Phase, RunRef
from bot.http.client import Limits
from tests.worlds.ci.sources import value
from tests.worlds.own_time import own_time

NOW = datetime.now(UTC).replace(microsecond=0)
REPO = "acme/infra"


def ago(**span):
    return NOW - timedelta(**span)


def ids(observation):
    return [int(run.ref.id) for run in value(observation)]


async def test_a_list_holds_what_was_going_on_since_then_newest_first_and_without_jobs(source, github, deploy):
    long_gone = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=9))
    github.runs.finish(long_gone.id, at=ago(hours=8))
    overlapping = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=4))
    github.runs.finish(overlapping.id, "failure", at=ago(hours=2))
    running = github.runs.start_run(REPO, "deploy.yml", at=ago(days=20))
    newest = github.runs.start_run(REPO, "deploy.yml", at=ago(minutes=1))

    listed = await source.runs(deploy, since=ago(hours=3))

    assert ids(listed) == [newest.id, overlapping.id, running.id]
    assert all(run.jobs is None for run in value(listed))
    assert [run.phase for run in value(listed)] == [Phase.RUNNING, Phase.ENDED, Phase.RUNNING]


async def test_other_workflows_and_other_branches_are_not_in_the_list(source, github, deploy):
    github.runs.start_run(REPO, "deploy.yml", branch="feature")
    github.runs.start_run(REPO, "dependency-update.yml")

    assert ids(await source.runs(deploy, since=ago(hours=1))) == []


async def test_a_branch_that_the_answer_did_not_filter_is_left_out_here(source, github, deploy, update):
    github.runs.start_run(REPO, "dependency-update.yml", branch="feature")
    other = value(await source.runs(update, since=ago(hours=1)))[0]
    body = {"total_count": 1, "workflow_runs": [run_body(int(other.ref.id), head_branch="feature")]}
    github.answer_next("deploy.yml/runs", body=json.dumps(body), times=2)

    assert ids(await source.runs(deploy, since=ago(hours=1))) == []


async def test_a_run_that_is_re_run_weeks_later_is_listed_under_its_old_creation_time(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(days=29))
    github.runs.finish(run.id, "failure", at=ago(days=29))
    github.runs.rerun(run.id, at=ago(hours=1), runner="runner-b")

    (listed,) = value(await source.runs(deploy, since=ago(hours=2)))

    assert (listed.attempt, listed.phase, listed.started_at) == (2, Phase.RUNNING, ago(hours=1))
    assert listed.created_at == ago(days=29)


async def test_a_re_run_that_ended_keeps_the_jobs_of_all_its_attempts(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=5), runner="runner-a")
    github.runs.finish(run.id, "timed_out", at=ago(hours=4))
    github.runs.rerun(run.id, at=ago(hours=2), runner="runner-b")
    github.runs.finish(run.id, "cancelled", at=ago(hours=1))
    (listed,) = value(await source.runs(deploy, since=ago(hours=3)))

    full = value(await source.with_jobs(listed))

    assert (full.phase, full.conclusion, full.ended_at) == (Phase.ENDED, Conclusion.CANCELLED, ago(hours=1))
    assert [(job.attempt, job.host, job.conclusion) for job in full.jobs] == [
        (1, "runner-a", Conclusion.TIMED_OUT),
        (2, "runner-b", Conclusion.CANCELLED),
    ]
    assert [(job.started_at, job.ended_at) for job in full.jobs] == [
        (ago(hours=5), ago(hours=4)),
        (ago(hours=2), ago(hours=1)),
    ]


async def test_a_running_re_run_under_the_same_id_has_not_ended_though_the_list_still_says_so(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=5))
    github.runs.finish(run.id, "failure", at=ago(hours=1))
    (stale,) = value(await source.runs(deploy, since=ago(hours=3)))
    github.runs.rerun(run.id, at=ago(minutes=1))

    fresh = value(await source.with_jobs(stale))

    assert (stale.phase, fresh.phase, fresh.attempt) == (Phase.ENDED, Phase.RUNNING, 2)
    assert fresh.ended_at is None
    assert [job.phase for job in fresh.jobs] == [Phase.ENDED, Phase.RUNNING]


async def test_a_completed_run_with_a_job_that_still_runs_has_not_ended(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=1), jobs=("plan", "apply"))
    body = run_body(run.id, status="completed", conclusion="failure")
    github.answer_next(f"/actions/runs/{run.id}$", body=json.dumps(body))
    (listed,) = value(await source.runs(deploy, since=ago(hours=3)))

    full = value(await source.with_jobs(listed))

    assert full.phase is not Phase.ENDED
    assert (full.conclusion, full.ended_at) == (None, None)


async def test_a_completed_run_without_jobs_keeps_its_own_window(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=2), jobs=())
    github.runs.finish(run.id, "startup_failure", at=ago(hours=1))
    (listed,) = value(await source.runs(deploy, since=ago(hours=3)))

    full = value(await source.with_jobs(listed))

    assert (full.phase, full.conclusion, full.jobs) == (Phase.ENDED, Conclusion.FAILED, ())
    assert (full.started_at, full.ended_at) == (ago(hours=2), ago(hours=1))


async def test_a_runner_that_never_reported_its_end_is_lost(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=2))
    github.runs.finish(run.id, "failure", at=ago(hours=1), lost=True)
    (listed,) = value(await source.runs(deploy, since=ago(hours=3)))

    full = value(await source.with_jobs(listed))

    assert [job.conclusion for job in full.jobs] == [Conclusion.LOST]
    assert (full.conclusion, full.reported) == (Conclusion.LOST, "completed, failure")


async def test_jobs_that_cannot_be_read_are_named_missing_and_the_run_has_not_ended(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=2))
    github.runs.finish(run.id, "failure", at=ago(hours=1))
    (listed,) = value(await source.runs(deploy, since=ago(hours=3)))
    github.answer_next(f"{run.id}/jobs", status=502, times=9)

    full = value(await source.with_jobs(listed))

    assert full.jobs is None
    assert full.jobs_missing == "GitHub returned an error (502)"
    assert (full.phase, full.conclusion) == (Phase.UNKNOWN, None)


async def test_three_hundred_runs_are_all_listed(source, github, update):
    started = [github.runs.start_run(REPO, "dependency-update.yml", at=ago(minutes=m)).id for m in range(1, 301)]

    assert ids(await source.runs(update, since=ago(hours=6))) == started


async def test_listing_two_pages_takes_one_hop_and_completing_runs_another(source, github, update):
    for minute in range(150):
        github.runs.start_run(REPO, "dependency-update.yml", at=ago(minutes=minute))
    github.answer_next(".", delay=1.5, times=10**6)
    loop = asyncio.get_running_loop()

    asked = loop.time()
    async with own_time() as listing:
        runs = value(await source.runs(update, since=ago(hours=6)))
    listed = loop.time()
    async with own_time() as completing:
        full = await asyncio.gather(*(source.with_jobs(run) for run in runs[:4]))
    completed = loop.time()

    assert [len(value(run).jobs) for run in full] == [1] * 4
    assert min(listed - asked, completed - listed) >= 1.5
    assert max(listing.seconds, completing.seconds) < 3.0


async def test_more_than_the_thousand_that_github_shows_are_all_listed(make_source, github, update):
    source = make_source(limits=Limits(connect=60, read=60, overall=120))
    started = [github.runs.start_run(REPO, "dependency-update.yml", at=ago(minutes=m)).id for m in range(2345)]

    assert sorted(ids(await source.runs(update, since=ago(days=9)))) == sorted(started)


async def test_a_history_that_is_too_long_to_read_is_unseen_and_says_so(source, github, update):
    body = json.dumps({"total_count": 4001, "workflow_runs": []})
    github.answer_next("dependency-update.yml/runs", body=body, times=99)

    unseen = await source.runs(update, since=ago(days=9))

    assert isinstance(unseen, Unseen)
    assert unseen.trouble is Trouble.TOO_MUCH
    assert "4001" in unseen.detail
    assert "dependency-update.yml in acme/infra" in unseen.detail
    assert unseen.detail.endswith("map it with branch:, let jobs claim their locks, or put the run id in the host name")


@pytest.fixture
def busy(github, make_source):
    """A workflow with more old runs than are read, where ten count as a thousand; and a source that asks about it."""
    github.most_shown = 10
    for hour in range(90):
        old = github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=10, hours=hour))
        github.runs.finish(old.id, at=ago(days=10, hours=hour))
    return make_source(per_page=1)


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "pending", "requested"])
@pytest.mark.parametrize("days", [20, 400])
async def test_of_a_busy_workflow_every_run_that_is_going_on_is_listed_however_old(busy, github, update, status, days):
    old = github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=days))
    old.status = status

    assert ids(await busy.runs(update, since=ago(hours=3))) == [old.id]


async def test_of_a_busy_workflow_a_run_that_waits_for_an_approval_is_listed(busy, github, update):
    old = github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=20))
    github.runs.finish(old.id, "action_required", at=ago(days=20))

    (listed,) = value(await busy.runs(update, since=ago(hours=3)))

    assert (int(listed.ref.id), listed.phase) == (old.id, Phase.WAITING)


async def test_of_a_busy_workflow_all_runs_of_the_last_days_are_listed_once(busy, github, update):
    young = [github.runs.start_run(REPO, "dependency-update.yml", at=ago(hours=h)).id for h in range(1, 25)]
    for run_id in young[5:]:
        github.runs.finish(run_id, "failure", at=ago(minutes=1))
    since_long = github.runs.start_run(REPO, "dependency-update.yml", at=ago(hours=74))
    github.runs.finish(since_long.id, at=ago(minutes=1))

    for _ in range(2):
        assert ids(await busy.runs(update, since=ago(hours=3))) == [*young, since_long.id]


async def test_of_a_busy_workflow_a_re_run_of_an_old_run_is_listed_with_its_end_once_it_has_completed(
    busy, github, update
):
    old = github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=20))
    github.runs.finish(old.id, "failure", at=ago(days=20))
    github.runs.rerun(old.id, at=ago(hours=1))
    running = await busy.runs(update, since=ago(hours=3))
    github.runs.finish(old.id, at=ago(minutes=1))

    assert ids(running) == [old.id]
    (ended,) = value(await busy.runs(update, since=ago(hours=3)))
    assert (int(ended.ref.id), ended.phase, ended.ended_at) == (old.id, Phase.ENDED, ago(minutes=1))
    github.runs.rerun(old.id, at=ago(seconds=30))
    assert [run.phase for run in value(await busy.runs(update, since=ago(hours=3)))] == [Phase.RUNNING]


async def test_of_a_busy_workflow_a_re_run_that_completed_before_anybody_looked_is_listed_with_its_end(
    github, make_source, update
):
    github.most_shown = 10
    for hour in range(25):
        old = github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=10, hours=hour))
        github.runs.finish(old.id, at=ago(days=10, hours=hour))
    github.runs.rerun(old.id, at=ago(minutes=9))
    github.runs.finish(old.id, "failure", at=ago(minutes=1))

    for source in [make_source(per_page=1)] * 2:
        (ended,) = value(await source.runs(update, since=ago(hours=3)))
        assert (int(ended.ref.id), ended.phase, ended.ended_at) == (old.id, Phase.ENDED, ago(minutes=1))
    assert value(await make_source(per_page=1).runs(update, since=ago(seconds=30))) == ()


async def test_of_busy_workflows_only_those_that_are_configured_now_are_remembered(github, make_source, deploy, update):
    github.most_shown = 10
    for pipeline, hour in itertools.product((deploy, update), range(25)):
        branch = pipeline.get("branch") or "main"
        old = github.runs.start_run(REPO, pipeline.get("workflow"), at=ago(days=10, hours=hour), branch=branch)
        github.runs.finish(old.id, at=ago(days=10, hours=hour))
    configured = [deploy]
    source = make_source(per_page=1, pipelines=configured)
    assert ids(await source.runs(deploy, since=ago(hours=3))) == []
    configured[:] = [update]

    assert ids(await source.runs(update, since=ago(hours=3))) == []

    known = source.ci
    assert [set(known._guesses), known._busy, set(known._old._known)] == [{update}] * 3


async def test_of_a_busy_workflow_a_run_that_changed_status_between_two_lists_is_listed(busy, github, update):
    old = github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=20))
    nothing = json.dumps({"total_count": 0, "workflow_runs": []})
    github.answer_next("status=in_progress", body=nothing)

    assert ids(await busy.runs(update, since=ago(hours=3))) == [old.id]


async def test_a_young_run_that_completed_between_the_lists_is_listed_once_as_ended(busy, github, update):
    young = github.runs.start_run(REPO, "dependency-update.yml", at=ago(hours=1))
    github.runs.finish(young.id, at=ago(minutes=1))
    stamp = ago(hours=1).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = json.dumps({"total_count": 1, "workflow_runs": [run_body(young.id, created_at=stamp)]})
    github.answer_next("status=in_progress", body=before)

    (listed,) = value(await busy.runs(update, since=ago(hours=3)))

    assert (int(listed.ref.id), listed.phase) == (young.id, Phase.ENDED)


async def test_of_a_busy_workflow_more_open_runs_than_one_list_shows_are_all_listed(busy, github, update):
    old = [github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=20, hours=h)).id for h in range(23)]

    assert ids(await busy.runs(update, since=ago(hours=3))) == old


async def test_a_busy_workflow_is_unseen_if_one_of_its_lists_is(busy, github, update):
    github.answer_next("status=pending", status=502, times=9)

    unseen = await busy.runs(update, since=ago(hours=3))

    assert isinstance(unseen, Unseen)
    assert unseen.trouble is Trouble.SERVER_ERROR


@pytest.mark.parametrize(("days", "count"), [(0, 41), (20, 41)])
async def test_a_busy_workflow_with_too_many_young_or_open_runs_is_unseen(busy, github, update, days, count):
    for minute in range(count):
        github.runs.start_run(REPO, "dependency-update.yml", at=ago(days=days, minutes=minute + 1))

    unseen = await busy.runs(update, since=ago(hours=3))

    assert isinstance(unseen, Unseen)
    assert unseen.trouble is Trouble.TOO_MUCH


async def test_a_completed_run_that_does_not_say_when_takes_its_end_from_its_jobs(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=3))
    github.runs.finish(run.id, "failure", at=ago(hours=2))
    body = run_body(run.id, status="completed", conclusion="failure", updated_at=None)
    body["created_at"] = ago(hours=3).isoformat()
    github.answer_next("deploy.yml/runs", body=json.dumps({"total_count": 1, "workflow_runs": [body]}), times=2)
    github.answer_next(f"/actions/runs/{run.id}$", body=json.dumps(body))

    (listed,) = value(await source.runs(deploy, since=ago(hours=1)))
    full = value(await source.with_jobs(listed))

    assert (listed.phase, listed.ended_at) == (Phase.ENDED, None)
    assert (full.phase, full.ended_at) == (Phase.ENDED, ago(hours=2))


async def test_a_list_that_shows_less_than_it_counts_is_unseen(source, github, deploy):
    github.answer_next("deploy.yml/runs", body=json.dumps({"total_count": 3, "workflow_runs": []}), times=99)

    unseen = await source.runs(deploy, since=ago(hours=1))

    assert isinstance(unseen, Unseen)
    assert unseen.trouble is Trouble.GARBLED


async def test_a_list_that_shifted_between_two_pages_is_read_again(source, github, update):
    started = [github.runs.start_run(REPO, "dependency-update.yml", at=ago(minutes=m)).id for m in range(150)]
    body = json.dumps({"total_count": 151, "workflow_runs": []})
    github.answer_next("&page=2", body=body)

    assert ids(await source.runs(update, since=ago(hours=6))) == started


async def test_a_run_with_hundreds_of_jobs_has_them_all(source, github, deploy):
    run = github.runs.start_run(REPO, "deploy.yml", at=ago(hours=1), jobs=[f"job {n}" for n in range(250)])
    (listed,) = value(await source.runs(deploy, since=ago(hours=3)))

    full = value(await source.with_jobs(listed))

    assert [job.name for job in full.jobs] == [f"job {n}" for n in range(250)]
    assert all(job.phase is Phase.RUNNING for job in full.jobs)
    assert full.ref.url == f"{github.base_url}/acme/infra/actions/runs/{run.id}"


async def test_a_run_read_by_its_url_belongs_to_the_configured_pipeline(source, github, deploy, update):
    main = github.runs.start_run(REPO, "deploy.yml")
    side = github.runs.start_run(REPO, "deploy.yml", branch="side")
    bump = github.runs.start_run(REPO, "dependency-update.yml", branch="side")

    seen = [
        value(await source.run(source.ref_from_url(f"{github.base_url}/ACME/infra/actions/runs/{run.id}")))
        for run in (main, side, bump)
    ]

    assert [run.ref.pipeline for run in seen[::2]] == [deploy, update]
    assert seen[1].ref.pipeline.fields == (("repo", "acme/infra"),)


async def test_a_run_that_is_not_there_is_not_found(source, github):
    absent = await source.run(source.ref_from_url(f"{github.base_url}/acme/infra/actions/runs/77"))

    assert isinstance(absent, NotFound)
    assert absent.what == "run 77 in acme/infra, or the token may not see it"


async def test_an_answer_about_another_run_is_garbled(source, github):
    github.answer_next("/actions/runs/77$", body=json.dumps(run_body(78)))

    unseen = await source.run(source.ref_from_url(f"{github.base_url}/acme/infra/actions/runs/77"))

    assert isinstance(unseen, Unseen)
    assert unseen.trouble is Trouble.GARBLED


@pytest.mark.parametrize("title", ["<!channel> & *bold*", "a\nb", "`x`", "❤"])
async def test_texts_are_kept_as_they_were_written(source, github, deploy, title):
    github.runs.start_run(REPO, "deploy.yml", title=title, actor=title, jobs=(title,), runner=title)
    (listed,) = value(await source.runs(deploy, since=ago(hours=1)))

    full = value(await source.with_jobs(listed))

    assert (full.title, full.actor, full.jobs[0].name, full.jobs[0].host) == (title, title, title, title)


async def test_a_loop_starts_runs_until_its_workflow_is_disabled(source, github, update):
    github.loop(REPO, "dependency-update.yml", every=0.02, lasts=0.05)
    found = ()
    while len(found) < 3:
        found = value(await source.runs(update, since=ago(hours=1)))
    await source.switch(update, on=False)
    going_on = value(await source.runs(update, since=ago(hours=1)))  # runs may have started before the switch
    while any(run.phase is not Phase.ENDED for run in going_on):
        going_on = value(await source.runs(update, since=ago(hours=1)))

    assert {run.conclusion for run in going_on} == {Conclusion.FAILED}
    assert len(value(await source.runs(update, since=ago(hours=1)))) == len(going_on)


def run_body(run_id, **changes):
    return {
        "id": run_id,
        "status": "in_progress",
        "conclusion": None,
        "run_attempt": 1,
        "created_at": "2024-11-21T18:00:00Z",
        "updated_at": "2024-11-21T19:00:00Z",
        "head_branch": "main",
        **changes,
    }


async def test_the_token_does_not_travel_to_the_place_where_logs_are_kept(source, github, deploy):
    run = github.runs.start_run("acme/infra", "deploy.yml")
    github.runs.finish(run.id, "failure")
    run.jobs[-1].log = "2026-11-21T09:05:03.1234567Z Machine name: 'build-1'\r\n"
    seen = (await source.run(RunRef(deploy, str(run.id)))).value

    log = (await source.log(seen, seen.jobs[-1])).value

    assert (log.machine, github.carried) == ("build-1", [])
    assert any(line.endswith(f"/actions/jobs/{run.jobs[-1].id}/logs") for line in github.asked)


async def test_a_running_job_has_no_log_yet_and_an_old_one_none_any_more(source, github, deploy):
    run = github.runs.start_run("acme/infra", "deploy.yml")
    run.jobs[-1].log = "2026-11-21T09:05:03.1234567Z x\r\n"
    seen = (await source.run(RunRef(deploy, str(run.id)))).value
    assert isinstance(await source.log(seen, seen.jobs[-1]), NotFound)

    github.runs.finish(run.id, "failure")
    run.jobs[-1].is_log_expired = True
    assert isinstance(await source.log(seen, seen.jobs[-1]), NotFound)
    run.jobs[-1].is_log_expired = False
    assert isinstance(await source.log(seen, seen.jobs[-1]), Found)

"""Cancelling pipelines and stopping schedules: what GitLab's answers come to, and what really changed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from pydantic import SecretStr

from bot.ci.gitlab.source import GitLab
from bot.core.evidence import Found
from bot.core.run import CancelResult, Conclusion, Phase, Pipeline, RunRef, SwitchResult
from bot.http.client import Limits
from tests.worlds.ci.gitlab.server import GitLabStandIn

MAIN = Pipeline("gitlab", (("project", "acme/infra"), ("ref", "main")))


@pytest.fixture
async def gitlab():
    async with GitLabStandIn(cancel_delay=timedelta(0)) as standing:
        standing.runs.add_project("acme/infra")
        yield standing


@pytest.fixture
def world(gitlab):
    return gitlab.runs


@pytest.fixture
def make_source(made, gitlab):
    return partial(made, GitLab, gitlab, MAIN)


def ref(pipeline):
    return RunRef(MAIN, str(pipeline.id))


async def read(source, pipeline):
    seen = await source.run(ref(pipeline))
    assert isinstance(seen, Found), seen
    return seen.value


async def test_a_cancelled_pipeline_is_cancelling_until_its_runner_is_done(source, world):
    world.cancel_delay = timedelta(hours=1)
    pipeline = world.start_pipeline("acme/infra")

    assert (await source.cancel(ref(pipeline), force=False)).result is CancelResult.ACCEPTED
    run = await read(source, pipeline)

    assert (run.phase, [job.phase for job in run.jobs]) == (Phase.ENDING, [Phase.ENDING])
    pipeline.due = datetime.now(UTC)
    assert (await read(source, pipeline)).conclusion is Conclusion.CANCELLED


async def test_a_stubborn_job_ends_by_force_alone(source, world):
    pipeline = world.start_pipeline("acme/infra", stubborn=True)

    await source.cancel(ref(pipeline), force=False)
    assert (await read(source, pipeline)).phase is Phase.ENDING
    assert (await source.cancel(ref(pipeline), force=True)).result is CancelResult.ACCEPTED

    assert (await read(source, pipeline)).conclusion is Conclusion.CANCELLED


async def test_forcing_without_the_role_is_denied_and_the_job_goes_on(source, gitlab, world):
    gitlab.is_maintainer = False
    pipeline = world.start_pipeline("acme/infra", stubborn=True)

    cancelled = await source.cancel(ref(pipeline), force=True)

    assert cancelled.result is CancelResult.DENIED
    assert "needs the role Maintainer" in cancelled.detail
    assert not pipeline.has_ended


@pytest.mark.parametrize("force", [False, True])
async def test_an_ended_pipeline_is_not_cancelled_though_gitlab_would_say_200(source, gitlab, world, force):
    pipeline = world.start_pipeline("acme/infra")
    world.finish(pipeline.id, "failed")

    cancelled = await source.cancel(ref(pipeline), force=force)

    assert (cancelled.result, cancelled.detail) == (CancelResult.ALREADY_ENDED, "it has ended (failed)")
    assert not any(line.startswith("POST") for line in gitlab.asked)


async def test_what_a_pipeline_started_in_other_projects_is_cancelled_with_it(source, world):
    parent = world.start_pipeline("acme/infra")
    child, foreign = world.start_child(parent.id), world.start_child(parent.id, "acme/app", name="deploy")

    assert (await source.cancel(ref(parent), force=False)).result is CancelResult.ACCEPTED

    while (await read(source, parent)).phase is not Phase.ENDED:
        pass
    assert (child.has_ended, foreign.has_ended) == (True, True)


async def test_what_could_not_be_cancelled_below_a_pipeline_is_said(source, gitlab, world):
    parent = world.start_pipeline("acme/infra")
    foreign = world.start_child(parent.id, "acme/app")
    gitlab.answer_next(f"POST .*/{foreign.id}/cancel", status=403, body="{}")

    cancelled = await source.cancel(ref(parent), force=False)

    assert cancelled.result is CancelResult.ACCEPTED
    assert f"GitLab denies cancelling pipeline {foreign.id}" in cancelled.detail
    assert not foreign.has_ended


async def test_without_the_scope_nothing_is_cancelled_and_the_scope_is_named(make_source, gitlab, world):
    pipeline = world.start_pipeline("acme/infra")

    cancelled = await make_source(token=SecretStr(gitlab.reading_token)).cancel(ref(pipeline), force=False)

    assert (cancelled.result, cancelled.detail) == (
        CancelResult.DENIED,
        "GitLab refuses the token: it lacks `api` (403, GITLAB_TOKEN)",
    )
    assert pipeline.status == "running"


async def test_a_token_that_may_not_cancel_is_told_so_even_for_a_pipeline_that_is_not_there(make_source, gitlab):
    reader = make_source(token=SecretStr(gitlab.reading_token))

    assert (await reader.cancel(RunRef(MAIN, "0"), force=False)).result is CancelResult.DENIED


async def test_a_pipeline_that_is_gone_is_not_found(source):
    cancelled = await source.cancel(RunRef(MAIN, "77"), force=False)

    assert (cancelled.result, cancelled.detail) == (
        CancelResult.NOT_FOUND,
        "GitLab does not know pipeline 77 in acme/infra, or the token may not see it",
    )


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 429}, {"status": 301}, {"delay": 30}])
async def test_an_answer_that_tells_nothing_leaves_a_cancel_not_known(make_source, gitlab, world, answer):
    pipeline = world.start_pipeline("acme/infra")
    gitlab.answer_next("/cancel", times=9, **answer)

    cancelled = await make_source(limits=Limits(overall=1)).cancel(ref(pipeline), force=False)

    assert cancelled.result is CancelResult.NOT_KNOWN
    assert "GitLab" in cancelled.detail


async def test_all_schedules_of_the_ref_are_stopped_and_marked_for_people_to_see(source, world):
    nightly, hourly = (world.add_schedule("acme/infra", "main", title) for title in ("Nightly", "Hourly"))
    plans = world.add_schedule("acme/infra", "plans", "Plans")

    switched = await source.switch(MAIN, on=False)

    assert (switched.result, switched.detail) == (SwitchResult.DONE, "'Nightly', 'Hourly'")
    assert (nightly.active, nightly.description) == (False, "Nightly (stopped by tflock)")
    assert (hourly.active, plans.active, plans.description) == (False, True, "Plans")


async def test_only_what_was_stopped_here_is_started_again(source, world):
    stopped, retired = (world.add_schedule("acme/infra", "main", title) for title in ("Nightly", "Retired"))
    retired.active = False
    await source.switch(MAIN, on=False)

    switched = await source.switch(MAIN, on=True)

    assert (switched.result, switched.detail) == (SwitchResult.DONE, "'Nightly'")
    assert (stopped.active, stopped.description) == (True, "Nightly")
    assert (retired.active, retired.description) == (False, "Retired")


async def test_a_pipeline_that_no_schedule_starts_cannot_be_stopped_by_one(source):
    stopped, started = await source.switch(MAIN, on=False), await source.switch(MAIN, on=True)

    assert (stopped.result, stopped.detail) == (
        SwitchResult.NOT_FOUND,
        "no active schedule starts main in acme/infra: pushes, merge requests, triggers or retries do",
    )
    assert (started.result, started.detail) == (
        SwitchResult.NOT_FOUND,
        "no schedule of main in acme/infra was stopped by tflock",
    )


async def test_a_schedule_of_somebody_else_is_left_with_the_words_how_to_get_it(source, gitlab, world):
    gitlab.is_maintainer = False
    own = world.add_schedule("acme/infra", "main", "Nightly", owner=gitlab.user)
    foreign = world.add_schedule("acme/infra", "main", "Hourly", owner="elliott")

    switched = await source.switch(MAIN, on=False)

    assert switched.result is SwitchResult.DENIED
    assert switched.detail.startswith("1 of 2 schedules stopped, not 'Hourly': GitLab denies stopping the schedule")
    assert switched.detail.endswith("take ownership of it first")
    assert (own.active, foreign.active) == (False, True)


async def test_a_switch_with_a_lost_answer_is_settled_by_looking(source, gitlab, world):
    nightly = world.add_schedule("acme/infra", "main", "Nightly")
    gitlab.answer_next("PUT", status=500, times=3)
    lost = await source.switch(MAIN, on=False)
    assert (lost.result, nightly.active) == (SwitchResult.NOT_KNOWN, True)

    assert (await source.switch(MAIN, on=False)).result is SwitchResult.DONE
    assert not nightly.active


async def test_a_stopped_loop_starts_nothing_until_it_is_switched_on(source, gitlab):
    gitlab.loop("acme/infra", "main", every=0.01)
    since = datetime.now(UTC) - timedelta(hours=1)
    while not (await source.runs(MAIN, since=since)).value:
        pass

    assert (await source.switch(MAIN, on=False)).result is SwitchResult.DONE
    before = len((await source.runs(MAIN, since=since)).value)
    assert len((await source.runs(MAIN, since=since)).value) == before
    await source.switch(MAIN, on=True)

    while len((await source.runs(MAIN, since=since)).value) <= before:
        pass


async def test_a_cancelled_run_of_a_loop_stops_contending(source, gitlab):
    contending = set()

    async def contend(run):
        contending.add(run.id)
        try:
            await asyncio.Event().wait()
        finally:
            contending.discard(run.id)

    gitlab.loop("acme/infra", "main", every=60, contend=contend)
    runs = ()
    while not runs or not contending:
        runs = (await source.runs(MAIN, since=datetime.now(UTC) - timedelta(hours=1))).value

    await source.cancel(runs[0].ref, force=False)
    while contending:
        await source.run(runs[0].ref)

    assert (await source.run(runs[0].ref)).value.conclusion is Conclusion.CANCELLED

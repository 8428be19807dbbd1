"""From GitLab's answers to the holder of a lock: slots that later jobs use again, retries, and children at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.ci.gitlab.source import GitLab
from bot.core.gate.attribution import Tie
from bot.core.gate.ending import ended_badly, is_over
from bot.core.run import Pipeline
from tests.worlds.ci.gitlab.server import GitLabStandIn
from tests.worlds.ci.sources import holder_by

MAIN = Pipeline("gitlab", (("project", "acme/infra"), ("ref", "main")))
SLOT = "runner-t3qyxf-project-7120-concurrent-0"
NOW = datetime.now(UTC).replace(microsecond=0)


def ago(**span):
    return NOW - timedelta(**span)


@pytest.fixture
async def gitlab():
    async with GitLabStandIn() as standing:
        yield standing


@pytest.fixture
def world(gitlab):
    return gitlab.runs


@pytest.fixture
def holder(made, gitlab):
    source = made(GitLab, gitlab, MAIN)
    return lambda created, host=SLOT: holder_by(source, MAIN, f"root@{host}", created)


async def test_of_the_jobs_in_one_slot_the_one_whose_time_holds_the_lock_is_the_holder(world, holder):
    pipelines = [world.start_pipeline("acme/infra", at=ago(minutes=start)) for start in (90, 60, 30)]
    for pipeline, end in zip(pipelines, (70, 40, 10), strict=True):
        world.finish(pipeline.id, "failed", at=ago(minutes=end))

    tied = await holder(ago(minutes=50))

    (candidate,) = tied.candidates
    assert (tied.tie, candidate.listed.ref.id) == (Tie.BY_TIME, str(pipelines[1].id))
    assert (is_over(candidate), ended_badly(candidate)) == (True, True)
    assert [run.ref.id for run in tied.contenders] == [str(pipelines[2].id)]


async def test_the_failed_try_of_a_job_that_was_retried_is_not_over_while_the_next_one_runs(world, holder):
    pipeline = world.start_pipeline("acme/infra", at=ago(minutes=60))
    world.finish(pipeline.id, "failed", at=ago(minutes=40))
    world.retry(pipeline.id, at=ago(minutes=30))

    (candidate,) = (await holder(ago(minutes=50))).candidates

    assert [job.attempt for job in candidate.jobs] == [1]
    assert not is_over(candidate)


async def test_the_job_of_a_child_pipeline_can_be_the_holder_and_is_not_over_while_it_runs(world, holder):
    parent = world.start_pipeline("acme/infra", at=ago(minutes=60), jobs=("plan",), host="runner-other")
    child = world.start_child(parent.id, depend=False)
    child.created_at = child.jobs[0].started_at = ago(minutes=55)
    world.finish(parent.id, "failed", at=ago(minutes=54))

    candidates = (await holder(ago(minutes=50))).candidates

    assert {candidate.listed.ref.id for candidate in candidates} >= {str(child.id)}
    assert not any(is_over(candidate) for candidate in candidates)


async def test_a_pipeline_that_is_cancelling_is_not_over_though_nothing_updated_it_for_hours(world, holder):
    world.cancel_delay = timedelta(days=1)
    pipeline = world.start_pipeline("acme/infra", at=ago(hours=9))
    world.cancel(pipeline.id)
    pipeline.updated_at = ago(hours=8)

    (candidate,) = (await holder(ago(hours=1))).candidates

    assert not is_over(candidate)

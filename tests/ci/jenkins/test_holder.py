"""From Jenkins' answers to the holder of a lock: agents that are pods, results that come too early, kills."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.ci.jenkins.source import Jenkins
from bot.core.gate.attribution import Tie
from bot.core.gate.ending import is_over
from bot.core.run import Conclusion, Pipeline
from tests.worlds.ci.jenkins.server import JenkinsStandIn
from tests.worlds.ci.sources import holder_by

DEPLOY = Pipeline("jenkins", (("job", "infra/deploy"),))
POD = "jenkins-worker-7f4b8d9c"
NOW = datetime.now(UTC).replace(microsecond=0)


def ago(**span):
    return NOW - timedelta(**span)


@pytest.fixture
async def jenkins():
    async with JenkinsStandIn() as standing:
        standing.runs.add_job("infra/deploy")
        yield standing


@pytest.fixture
def holder(made, jenkins):
    source = made(Jenkins, jenkins, DEPLOY)
    return lambda created, host=POD: holder_by(source, DEPLOY, f"jenkins@{host}", created)


async def test_a_nodes_name_is_a_label_so_every_build_of_that_time_may_be_the_holder(jenkins, holder):
    mine = jenkins.runs.start_build("infra/deploy", at=ago(minutes=60))
    other = jenkins.runs.start_build("infra/deploy", at=ago(minutes=59), agent="jenkins-worker-5c6d7e8f")
    jenkins.runs.finish(mine, "FAILURE", at=ago(minutes=40))

    tied = await holder(ago(minutes=50))

    assert tied.tie is Tie.BY_TIME
    over = {candidate.listed.ref.id: is_over(candidate) for candidate in tied.candidates}
    assert over == {str(mine.number): True, str(other.number): False}


async def test_a_build_whose_agent_is_not_known_counts_beside_the_one_that_is_named(jenkins, holder):
    jenkins.runs.start_build("infra/deploy", at=ago(minutes=60))
    unknown = jenkins.runs.start_build("infra/deploy", at=ago(minutes=59))
    unknown.console = ["[Pipeline] Start of Pipeline"]

    assert len((await holder(ago(minutes=50))).candidates) == 2


async def test_a_result_that_is_set_in_mid_build_does_not_end_it(jenkins, holder):
    build = jenkins.runs.start_build("infra/deploy", at=ago(minutes=60))
    build.result, build.building = "FAILURE", False

    (candidate,) = (await holder(ago(minutes=50))).candidates

    assert not is_over(candidate)


async def test_a_killed_build_counts_as_lost_and_so_has_the_longest_time_to_settle(jenkins, holder):
    build = jenkins.runs.start_build("infra/deploy", at=ago(minutes=60))
    jenkins.runs.kill(build)

    (candidate,) = (await holder(ago(minutes=50))).candidates

    assert is_over(candidate)
    assert {candidate.run.conclusion, *(job.conclusion for job in candidate.jobs)} == {Conclusion.LOST}


async def test_what_waits_in_the_queue_cannot_hold_the_lock(jenkins, holder):
    jenkins.runs.queue("infra/deploy", at=ago(minutes=60))

    assert (await holder(ago(minutes=50))).candidates == ()

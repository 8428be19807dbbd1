"""What the CI in memory promises, put to it and to GitHub's adapter side by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.ci.github.source import GitHubActions
from bot.core.evidence import Found, NotFound, Unseen
from bot.core.run import CancelResult, Conclusion, Phase, Pipeline, RunRef
from bot.errors import Unreachable
from tests.worlds.ci.github import FullGitHub
from tests.worlds.ci.sources import source_of
from tests.worlds.clocks import WallClock
from tests.worlds.memory.ci import MemoryCI
from tests.worlds.memory.memory import Switchboard

DEPLOY = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")))


class Memory:
    def __init__(self):
        self.down, self.made = False, 0
        self.source = MemoryCI(WallClock(), (DEPLOY,), switchboard=Switchboard(fault=self._fault))

    def start(self):
        self.made += 1
        self.source.start(str(self.made), DEPLOY, host="runner-1")
        return str(self.made)

    def again(self, run_id):
        self.source.start(run_id, DEPLOY, host="runner-1")

    def fail(self, run_id):
        self.source.end(run_id, Conclusion.FAILED)

    def go_away(self):
        self.down = True

    async def _fault(self, _):
        if self.down:
            raise Unreachable("memory", "no answer")


class GitHub:
    def __init__(self, stand_in):
        self.stand_in = stand_in
        stand_in.runs.add_workflow("acme/infra", "deploy.yml")
        self.source = source_of(GitHubActions, stand_in, DEPLOY)  # fmt: skip

    def start(self):
        return str(self.stand_in.runs.start_run("acme/infra", "deploy.yml").id)

    def again(self, run_id):
        self.stand_in.runs.rerun(int(run_id))

    def fail(self, run_id):
        self.stand_in.runs.finish(int(run_id), "failure")

    def go_away(self):
        self.stand_in.answer_next("/repos/", status=502, times=10**6)


@pytest.fixture(params=["github", "memory"])
async def ci(request):
    if request.param == "memory":
        yield Memory()
        return
    async with FullGitHub(cancel_delay=timedelta(0)) as stand_in:
        made = GitHub(stand_in)
        yield made
        await made.source.aclose()


async def test_runs_are_listed_without_jobs_and_read_with_them(ci):
    run_id = ci.start()

    listed = await ci.source.runs(DEPLOY, since=datetime.now(UTC) - timedelta(hours=1))
    read = await ci.source.with_jobs(listed.value[0])

    assert [(run.ref.id, run.phase, run.jobs) for run in listed.value] == [(run_id, Phase.RUNNING, None)]
    assert [(job.attempt, job.phase) for job in read.value.jobs] == [(1, Phase.RUNNING)]


async def test_a_run_that_is_started_again_keeps_its_id_and_the_jobs_of_both_attempts(ci):
    run_id = ci.start()
    ci.fail(run_id)
    ended = await ci.source.run(RunRef(DEPLOY, run_id))
    ci.again(run_id)

    again = await ci.source.run(RunRef(DEPLOY, run_id))

    assert (ended.value.phase, ended.value.conclusion) == (Phase.ENDED, Conclusion.FAILED)
    assert (again.value.phase, again.value.attempt) == (Phase.RUNNING, 2)
    assert [job.attempt for job in again.value.jobs] == [1, 2]
    assert [job.conclusion for job in again.value.jobs] == [Conclusion.FAILED, None]


async def test_runs_that_ended_long_before_are_left_out(ci):
    ci.fail(ci.start())
    going = ci.start()

    listed = await ci.source.runs(DEPLOY, since=datetime.now(UTC) + timedelta(hours=1))

    assert [run.ref.id for run in listed.value] == [going]


async def test_a_run_that_nobody_knows_is_not_found(ci):
    assert isinstance(await ci.source.run(RunRef(DEPLOY, "999999")), NotFound)


async def test_a_system_that_does_not_answer_is_unseen(ci):
    run_id = ci.start()
    ci.go_away()

    assert isinstance(await ci.source.run(RunRef(DEPLOY, run_id)), Unseen)
    assert isinstance(await ci.source.runs(DEPLOY, since=datetime.now(UTC)), Unseen)


async def test_a_cancelled_run_ends(ci):
    run_id = ci.start()

    answer = await ci.source.cancel(RunRef(DEPLOY, run_id), force=True)

    seen = await ci.source.run(RunRef(DEPLOY, run_id))
    assert answer.result is CancelResult.ACCEPTED
    assert isinstance(seen, Found)
    assert (seen.value.phase, seen.value.conclusion) in {
        (Phase.ENDED, Conclusion.CANCELLED), (Phase.ENDED, Conclusion.LOST)
    }  # fmt: skip

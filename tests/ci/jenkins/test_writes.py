"""Stopping builds and jobs: what Jenkins' answers come to, and what really changed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from pydantic import SecretStr

from bot.ci.jenkins.source import Credentials, Jenkins
from bot.core.evidence import Found
from bot.core.run import CancelResult, Conclusion, Phase, Pipeline, RunRef, SwitchResult
from bot.http.client import Limits
from tests.worlds.ci.jenkins.server import JenkinsStandIn

DEPLOY = Pipeline("jenkins", (("job", "infra/deploy"),))


@pytest.fixture
async def jenkins():
    async with JenkinsStandIn(cancel_delay=timedelta(0)) as standing:
        standing.runs.add_job("infra/deploy")
        yield standing


@pytest.fixture
def world(jenkins):
    return jenkins.runs


@pytest.fixture
def job(world):
    return world.job("infra/deploy")


@pytest.fixture
def make_source(made, jenkins):
    return partial(made, Jenkins, jenkins, DEPLOY, patience=0.1)


def ref(build):
    return RunRef(DEPLOY, str(build.number))


async def read(source, one):
    seen = await source.run(one)
    assert isinstance(seen, Found), seen
    return seen.value


async def test_a_stop_is_intent_and_the_build_ends_later(source, world):
    world.cancel_delay = timedelta(hours=1)
    build = world.start_build("infra/deploy")

    assert (await source.cancel(ref(build), force=False)).result is CancelResult.ACCEPTED
    assert (await read(source, ref(build))).phase is Phase.RUNNING

    build.due = datetime.now(UTC)
    assert (await read(source, ref(build))).conclusion is Conclusion.CANCELLED


async def test_force_terminates_the_steps_and_does_not_kill_what_ends_by_that(source, jenkins, world):
    build = world.start_build("infra/deploy", stubborn=True)
    await source.cancel(ref(build), force=False)
    assert not build.has_ended

    forced = await source.cancel(ref(build), force=True)

    assert (forced.result, build.has_ended) == (CancelResult.ACCEPTED, True)
    assert not any(line.endswith("/kill") for line in jenkins.asked)
    assert (await read(source, ref(build))).conclusion is Conclusion.LOST


async def test_force_kills_what_survives_its_termination_and_says_what_that_is_worth(source, world):
    build = world.start_build("infra/deploy", undead=True)

    forced = await source.cancel(ref(build), force=True)

    assert (forced.result, forced.detail) == (
        CancelResult.ACCEPTED,
        "Jenkins killed the build, which does not stop what its steps started",
    )
    assert (build.has_ended, build.steps_go_on) == (True, True)
    assert (await read(source, ref(build))).conclusion is Conclusion.LOST


async def test_a_freestyle_build_has_no_harder_end_than_stop(make_source, jenkins, world):
    old = Pipeline("jenkins", (("job", "infra/old"),))
    world.add_job("infra/old", freestyle=True)
    build = world.start_build("infra/old", stubborn=True)

    forced = await make_source().cancel(RunRef(old, str(build.number)), force=True)

    assert forced.result is CancelResult.ACCEPTED
    assert "no harder end" in forced.detail
    assert not build.has_ended


async def test_what_waits_is_taken_out_of_the_queue(source, world):
    item = world.queue("infra/deploy")
    waiting = RunRef(DEPLOY, f"queue:{item.id}")

    assert (await source.cancel(waiting, force=False)).result is CancelResult.ACCEPTED

    run = await read(source, waiting)
    assert (item.is_cancelled, run.phase, run.conclusion) == (True, Phase.ENDED, Conclusion.SKIPPED)
    assert (await source.cancel(waiting, force=False)).result is CancelResult.ALREADY_ENDED


async def test_an_item_that_became_a_build_meanwhile_is_stopped_as_such(source, world):
    item = world.queue("infra/deploy")
    build = world.begin(item.id)

    assert (await source.cancel(RunRef(DEPLOY, f"queue:{item.id}"), force=False)).result is CancelResult.ACCEPTED

    while not build.has_ended:
        await read(source, ref(build))


@pytest.mark.parametrize("force", [False, True])
async def test_an_ended_build_is_not_stopped_though_jenkins_would_take_it(source, jenkins, world, force):
    build = world.start_build("infra/deploy")
    world.finish(build, "FAILURE")

    cancelled = await source.cancel(ref(build), force=force)

    assert (cancelled.result, cancelled.detail) == (CancelResult.ALREADY_ENDED, "it has ended (FAILURE)")
    assert not any(line.startswith("POST") for line in jenkins.asked)


@pytest.mark.parametrize("force", [False, True])
async def test_without_the_right_nothing_is_stopped_and_the_right_is_named(make_source, jenkins, world, force):
    build = world.start_build("infra/deploy")
    reader = Credentials(SecretStr(jenkins.reader), SecretStr(jenkins.token))

    cancelled = await make_source(credentials=reader).cancel(ref(build), force=force)

    assert cancelled.result is CancelResult.DENIED
    assert cancelled.detail.endswith("the user of JENKINS_USER needs the permission Job/Cancel")
    assert (build.has_ended, build.due) == (False, None)


async def test_a_crumb_is_fetched_where_the_server_wants_one(source, jenkins, world, job):
    jenkins.wants_crumb = True
    build = world.start_build("infra/deploy")

    assert (await source.cancel(ref(build), force=False)).result is CancelResult.ACCEPTED
    assert (await source.switch(DEPLOY, on=False)).result is SwitchResult.DONE
    assert job.is_disabled


@pytest.mark.parametrize("crumb", ['{"crumb": "a\\nb", "crumbRequestField": "X"}', '{"crumb": "a"}', "{}", "<html>"])
async def test_an_odd_crumb_is_never_sent(source, jenkins, world, crumb):
    jenkins.wants_crumb = True
    jenkins.answer_next("/crumbIssuer", body=crumb)
    build = world.start_build("infra/deploy")

    assert (await source.cancel(ref(build), force=False)).result is CancelResult.NOT_KNOWN
    assert not build.has_ended


async def test_a_build_that_is_gone_is_not_found(source):
    cancelled = await source.cancel(RunRef(DEPLOY, "77"), force=False)

    assert (cancelled.result, cancelled.detail) == (
        CancelResult.NOT_FOUND,
        "Jenkins does not know build 77 of infra/deploy, or the user may not see it",
    )


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 503}, {"status": 429}, {"delay": 30}])
async def test_an_answer_that_tells_nothing_leaves_a_stop_not_known(make_source, jenkins, world, answer):
    build = world.start_build("infra/deploy")
    jenkins.answer_next("/stop", times=9, **answer)

    cancelled = await make_source(limits=Limits(overall=1)).cancel(ref(build), force=False)

    assert cancelled.result is CancelResult.NOT_KNOWN
    assert "Jenkins" in cancelled.detail


async def test_a_post_that_is_sent_to_the_login_page_was_not_done(source, jenkins, world):
    build = world.start_build("infra/deploy")
    jenkins.answer_next("/stop", status=302, headers={"Location": f"{jenkins.base_url}/login?from=x"})

    assert (await source.cancel(ref(build), force=False)).result is CancelResult.DENIED


async def test_a_job_is_disabled_and_enabled_again(source, job):
    assert (await source.switch(DEPLOY, on=False)).result is SwitchResult.DONE
    assert job.is_disabled
    assert (await source.switch(DEPLOY, on=True)).result is SwitchResult.DONE
    assert not job.is_disabled


async def test_without_the_right_a_job_stays_as_it_is(make_source, jenkins, job):
    reader = Credentials(SecretStr(jenkins.reader), SecretStr(jenkins.token))

    switched = await make_source(credentials=reader).switch(DEPLOY, on=False)

    assert switched.result is SwitchResult.DENIED
    assert switched.detail.endswith("needs the permission Job/Configure")
    assert not job.is_disabled


async def test_a_branch_that_cannot_be_switched_alone_is_not_said_to_be(source, world):
    branch = Pipeline("jenkins", (("job", "infra/app/main"),))
    world.add_job("infra/app/main", branch=True)

    switched = await source.switch(branch, on=False)

    assert switched.result is SwitchResult.NOT_KNOWN
    assert "a branch is switched with its multibranch project" in switched.detail


async def test_a_job_that_is_not_there_cannot_be_switched(source):
    switched = await source.switch(Pipeline("jenkins", (("job", "infra/gone"),)), on=False)

    assert (switched.result, switched.detail) == (
        SwitchResult.NOT_FOUND,
        "Jenkins does not know infra/gone, or the user may not see it",
    )


async def test_a_switch_with_a_lost_answer_is_settled_by_looking(source, jenkins, job):
    jenkins.answer_next("/disable", status=500, times=2)
    lost = await source.switch(DEPLOY, on=False)
    job.is_disabled = True
    settled = await source.switch(DEPLOY, on=False)

    assert (lost.result, settled.result) == (SwitchResult.NOT_KNOWN, SwitchResult.DONE)


async def test_a_stopped_loop_starts_nothing_until_it_is_enabled(source, jenkins, job):
    jenkins.loop("infra/deploy", every=0.01)
    since = datetime.now(UTC) - timedelta(hours=1)
    while not (await source.runs(DEPLOY, since=since)).value:
        pass

    assert (await source.switch(DEPLOY, on=False)).result is SwitchResult.DONE
    before = len(job.builds)
    await source.runs(DEPLOY, since=since)
    assert len(job.builds) == before
    await source.switch(DEPLOY, on=True)

    while len((await source.runs(DEPLOY, since=since)).value) <= before:
        pass


async def test_a_stopped_build_of_a_loop_stops_contending(source, jenkins):
    contending = set()

    async def contend(build):
        contending.add(build.number)
        try:
            await asyncio.Event().wait()
        finally:
            contending.discard(build.number)

    jenkins.loop("infra/deploy", every=60, contend=contend)
    runs = ()
    while not runs or not contending:
        runs = (await source.runs(DEPLOY, since=datetime.now(UTC) - timedelta(hours=1))).value

    await source.cancel(runs[0].ref, force=False)
    while contending:
        await source.run(runs[0].ref)

    assert (await read(source, runs[0].ref)).conclusion is Conclusion.CANCELLED
    assert (runs[0].trigger, runs[0].actor) == ("TimerTrigger", "")

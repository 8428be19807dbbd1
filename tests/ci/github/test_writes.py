"""Cancelling runs and switching workflows: what GitHub's answers come to, and what really changed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from bot.core.evidence import Found
from bot.core.run import CancelResult, Conclusion, Phase, Pipeline, RunRef, SwitchResult
from bot.http.client import Limits

REPO = "acme/infra"


@pytest.fixture
def run(github):
    return github.runs.start_run(REPO, "deploy.yml")


@pytest.fixture
def ref(run, deploy):
    return RunRef(deploy, str(run.id))


@pytest.fixture
def workflow(github):
    return github.runs.workflow(REPO, "dependency-update.yml")


async def until_ended(source, ref):
    """The time limit is the test's own."""
    while True:
        seen = await source.run(ref)
        assert isinstance(seen, Found), seen
        if seen.value.phase is Phase.ENDED:
            return seen.value


async def test_an_accepted_cancel_is_intent_and_the_run_ends_later(source, github, ref):
    github.runs.cancel_delay = timedelta(seconds=0.5)

    cancelled = await source.cancel(ref, force=False)
    right_after = await source.run(ref)

    assert cancelled.result is CancelResult.ACCEPTED
    assert right_after.value.phase is Phase.RUNNING
    assert (await until_ended(source, ref)).conclusion is Conclusion.CANCELLED


async def test_a_stubborn_run_ends_by_force_alone_and_its_runner_counts_as_lost(source, github, deploy):
    github.runs.cancel_delay = timedelta(0)
    stubborn = RunRef(deploy, str(github.runs.start_run(REPO, "deploy.yml", stubborn=True).id))

    assert (await source.cancel(stubborn, force=False)).result is CancelResult.ACCEPTED
    assert (await source.run(stubborn)).value.phase is Phase.RUNNING
    assert (await source.cancel(stubborn, force=True)).result is CancelResult.ACCEPTED

    assert (await until_ended(source, stubborn)).conclusion is Conclusion.LOST


@pytest.mark.parametrize("force", [False, True])
async def test_an_ended_run_cannot_be_cancelled_again(source, github, run, ref, force):
    github.runs.finish(run.id, "failure")

    cancelled = await source.cancel(ref, force=force)

    assert (cancelled.result, cancelled.detail) == (CancelResult.ALREADY_ENDED, "it has ended (completed, failure)")


async def test_a_conflict_on_a_run_that_still_goes_is_not_possible_now(source, github, run, ref):
    github.answer_next("/cancel", status=409, body='{"message": "Cannot cancel"}')

    cancelled = await source.cancel(ref, force=False)

    assert (cancelled.result, cancelled.detail) == (
        CancelResult.NOT_POSSIBLE,
        "GitHub cannot cancel it in this state (in_progress)",
    )
    assert not run.has_ended


async def test_without_the_right_nothing_is_cancelled_and_the_permission_is_named(make_source, github, run, ref):
    source = make_source(token=SecretStr(github.reading_token))

    cancelled = await source.cancel(ref, force=False)

    assert cancelled.result is CancelResult.DENIED
    assert cancelled.detail == (
        f"GitHub denies cancelling run {run.id} in acme/infra (403): GITHUB_TOKEN needs the permission actions: write"
    )
    assert run.due is None


async def test_a_run_that_is_gone_is_not_found(source, deploy):
    cancelled = await source.cancel(RunRef(deploy, "77"), force=False)

    assert (cancelled.result, cancelled.detail) == (
        CancelResult.NOT_FOUND,
        "GitHub does not know run 77 in acme/infra, or the token may not see it",
    )


@pytest.mark.parametrize("run_id", ["", "..", "7/../../8", "seven", "\u0667"])
async def test_an_id_that_is_no_number_is_never_sent(source, github, deploy, run_id):
    cancelled = await source.cancel(RunRef(deploy, run_id), force=True)

    assert cancelled.result is CancelResult.NOT_FOUND
    assert github.asked == []


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 503}, {"status": 429}, {"status": 301}, {"delay": 30}])
async def test_an_answer_that_tells_nothing_leaves_a_cancel_not_known(make_source, github, ref, answer):
    github.answer_next("/cancel", **answer)

    cancelled = await make_source(limits=Limits(overall=0.5)).cancel(ref, force=False)

    assert cancelled.result is CancelResult.NOT_KNOWN
    assert "GitHub" in cancelled.detail


async def test_a_workflow_is_disabled_and_enabled_again(source, update, workflow):
    assert (await source.switch(update, on=False)).result is SwitchResult.DONE
    assert workflow.state == "disabled_manually"
    assert (await source.switch(update, on=True)).result is SwitchResult.DONE
    assert workflow.state == "active"


@pytest.mark.parametrize("on", [False, True])
async def test_a_workflow_that_is_as_wanted_already_counts_as_done(source, update, workflow, on):
    workflow.state = "active" if on else "disabled_inactivity"

    assert (await source.switch(update, on=on)).result is SwitchResult.DONE


async def test_without_the_right_a_workflow_stays_as_it_is(make_source, github, update, workflow):
    switched = await make_source(token=SecretStr(github.reading_token)).switch(update, on=False)

    assert switched.result is SwitchResult.DENIED
    assert switched.detail.endswith("GITHUB_TOKEN needs the permission actions: write")
    assert workflow.state == "active"


async def test_a_workflow_that_is_not_there_cannot_be_switched(source):
    gone = Pipeline("github", (("repo", REPO), ("workflow", "gone.yml")))

    switched = await source.switch(gone, on=False)

    assert (switched.result, switched.detail) == (
        SwitchResult.NOT_FOUND,
        "GitHub does not know workflow gone.yml in acme/infra, or the token may not see it",
    )


async def test_a_switch_with_a_lost_answer_is_settled_by_looking(make_source, github, update, workflow):
    github.answer_next("/disable", status=500, times=9)
    source = make_source()

    lost = await source.switch(update, on=False)
    workflow.state = "disabled_manually"
    settled = await source.switch(update, on=False)

    assert (lost.result, settled.result) == (SwitchResult.NOT_KNOWN, SwitchResult.DONE)


async def test_a_disabled_loop_can_be_started_again_on_purpose(source, github, update):
    github.runs.workflow(REPO, "dependency-update.yml").state = "disabled_manually"
    github.loop(REPO, "dependency-update.yml", every=0.01)
    since = datetime.now(UTC) - timedelta(hours=1)
    assert (await source.runs(update, since=since)).value == ()

    await source.switch(update, on=True)

    while not (await source.runs(update, since=since)).value:
        pass


async def test_a_cancelled_run_of_a_loop_stops_contending(source, github, update):
    contending = set()

    async def contend(run):
        contending.add(run.id)
        try:
            await asyncio.Event().wait()
        finally:
            contending.discard(run.id)

    github.runs.cancel_delay = timedelta(0)
    github.loop(REPO, "dependency-update.yml", every=60, contend=contend)
    runs = ()
    while not runs or not contending:
        runs = (await source.runs(update, since=datetime.now(UTC) - timedelta(hours=1))).value

    await source.cancel(runs[0].ref, force=False)
    while contending:
        await source.run(runs[0].ref)

    assert (await source.run(runs[0].ref)).value.conclusion is Conclusion.CANCELLED

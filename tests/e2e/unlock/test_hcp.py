"""A workspace of HCP Terraform from end to end: a run's lock ends with its run, an account's takes two people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from bot.sandbox.machine.aws import small_state
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SandboxState
from tests.e2e.conftest import ELLIOTT, PARKER, QUINN
from tests.worlds.ci.hcp.server import HcpStandIn
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIPELINE = {"organization": "acme", "workspace": "network"}
PEOPLE = {"elliott": {"slack": ELLIOTT, "who": ["elliott@*"]}}


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory):
    async with (
        HcpStandIn(cancel_delay=timedelta(seconds=1)) as hcp,
        stage(
            tmp_path_factory.mktemp("hcp"),
            states=[SandboxState("network", "unused")],
            slack=FullWorkspace(),
            processes=(),
            environment={"TFE_TOKEN": hcp.token},
        ) as made,
    ):
        state = made.settings["states"]["network"]
        state["backend"] = {"type": "hcp", "endpoint_url": hcp.base_url, **PIPELINE}
        state["pipelines"] = [{"ci": "hcp", **PIPELINE}]
        made.settings["ci"] = {"hcp": {"type": "hcp", "base_url": hcp.base_url}}
        made.settings["holders"] = {"people": PEOPLE}
        hcp.runs.put_state(hcp.runs.add_workspace("acme", "network"), small_state()).at = ago(90)
        await made.start("serve")
        yield hcp, made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(played):
    return played[1]


@pytest.fixture
def hcp(played):
    yield played[0]
    for run in [run for run in played[0].runs.all.values() if not run.has_ended]:
        played[0].runs.finish(run, "errored")


@pytest.fixture
def workspace(hcp):
    return hcp.runs.add_workspace("acme", "network")


async def test_a_run_that_waits_keeps_its_lock_and_two_people_end_it_by_that_run(scene, hcp, workspace):
    run = hcp.runs.start_run(workspace, at=ago(60))
    hcp.runs.pause(run, ago(50))

    refused = flat(await scene.checklist("unlock network", "is locked", run.id))
    assert "[Unlock network]" not in refused
    assert workspace.locked_by == ("runs", run.id)
    await scene.types("kill-job network")
    found = await scene.shown(run.id, "[End this run]")
    await scene.click(found, "kill.confirm", user=PARKER)
    await scene.becomes(found, "needs a second person")
    still_there = workspace.is_locked
    await scene.click(found, "kill.approve", user=QUINN)

    await scene.until(lambda: run.has_ended)
    assert still_there
    assert run.status == "discarded"
    assert not workspace.is_locked


async def test_an_accounts_lock_is_released_once_its_owner_and_a_second_person_say_so(scene, hcp, workspace):
    hcp.runs.lock(workspace, hcp.runs.account("elliott"), reason="Locked by Terraform", at=ago(60))

    refused = flat(await scene.checklist("unlock network", "is locked", "elliott"))
    letter = await scene.letter("network")
    await scene.click(letter, "owner.dead", user=ELLIOTT)
    checklist = await scene.checklist("unlock network", "approv")
    still_there = workspace.is_locked
    await scene.click(checklist, "unlock.approve", user=QUINN)

    await scene.becomes(checklist, "network is unlocked")
    assert "[Unlock network]" not in refused
    assert still_there
    assert not workspace.is_locked

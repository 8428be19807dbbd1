"""A state whose lock is seen only by the try to take it (Terraform's `http` protocol): who has it tried, what then."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from bot.backends.frame import Means
from bot.backends.http.kind import KIND
from bot.backends.http.section import Backend
from bot.cli.wait import FAILED, _Wait
from bot.core.gate.case import Rule, Ruling
from bot.core.phrase import plain
from bot.errors import NotPermitted
from bot.sandbox.github.runs import log_of
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.stage import DEPLOY, REPO
from bot.usecases.look.status import Question, status
from bot.usecases.queue.waiting_list import WaitCommand, start
from tests.backends.http.world import PATH, STATE
from tests.usecases.conftest import CHANNEL
from tests.worlds.http_states import http_states
from tests.worlds.logs import at_work


@pytest.fixture
async def server(scene):
    async with http_states(credentials="tflock:s3cr3t") as states:
        section = Backend(
            type="http", address=f"{states.origin}{PATH}", username_env="STATE_USER", password_env="STATE_PASSWORD"
        )
        given = {"STATE_USER": SecretStr("tflock"), "STATE_PASSWORD": SecretStr("s3cr3t")}
        means = Means(clock=scene.clock, records=scene.ports.records, aws=None, secrets=given)
        state = scene.ports.states["staging"]
        scene.ports.states["staging"] = replace(
            state, backend=KIND.open(section, means).backend, backend_system=KIND.system
        )
        yield states
        for close in means.closing:
            await close()


@pytest.fixture
async def lock(scene, server):
    """The lock of a run that is dead and whose log shows it."""
    server.put(PATH, str(STATE).replace("'", '"').encode(), scene.clock.now() - timedelta(hours=3))
    created = scene.clock.now() - timedelta(hours=2)
    lock = WrittenLock(f"{secrets.token_hex(4)}-1b2c", created, "", who="runner@fv-az881-525")
    server.locks[PATH] = lock.text
    run = scene.github.runs.start_run(REPO, DEPLOY, at=created - timedelta(minutes=3), actor="elliott-ci", title="D")
    run.jobs[-1].log = log_of(at_work(lock), begun=run.started_at, commands=["terraform init", "terraform apply"])
    scene.github.runs.finish(run.id, "timed_out", at=created + timedelta(minutes=10))
    return lock


def tries(server):
    return [method for method, *_ in server.asked if method == "LOCK"]


async def test_an_unlock_always_wants_a_second_member_and_says_why(scene, server, lock):
    report = await scene.ask()

    found = report.verdict[Rule.SAME_LOCK]
    assert report.verdict.ruling is Ruling.NEEDS_APPROVAL
    assert "nothing makes the release conditional" in plain(found.reason)
    assert [finding.rule for finding in report.verdict.findings if finding.rule in report.verdict.wants_approval] == [
        Rule.SAME_LOCK
    ]
    await scene.confirm(report)
    await scene.work()
    assert server.locks[PATH] == lock.text


async def test_with_a_second_member_the_dead_lock_is_released(scene, server, lock):
    report = await scene.ask()

    await scene.approve(report)
    await scene.work()

    assert server.locks == {}
    assert await scene.entries("unlock.released")


async def test_a_lock_that_changed_hands_after_the_approval_stands(scene, server, lock):
    report = await scene.ask()
    second = replace(lock, id="another-lock", who="runner@fv-az1-1", created=scene.clock.now())
    await scene.approve(report)
    server.locks[PATH] = second.text

    await scene.work()

    assert server.locks[PATH] == second.text
    assert await scene.entries("unlock.released") == []


async def test_a_lock_that_changes_hands_right_before_the_release_stands_and_its_holder_is_named(scene, server, lock):
    report = await scene.ask()
    second = replace(lock, id="another-lock", who="runner@fv-az1-1", created=scene.clock.now())
    await scene.approve(report)
    looked = len(tries(server))

    def change_hands():
        if len(tries(server)) == looked + 2:  # after the look that decides
            server.locks[PATH] = second.text

    server.before_lock.append(change_hands)
    await scene.work()

    told = scene.said()[-1]
    assert "staging has another lock now" in told
    assert "Held now:" in told
    assert "runner@fv-az1-1" in told
    assert "Nothing was changed." in told
    assert "/tflock unlock staging" in told
    assert server.locks[PATH] == second.text
    assert await scene.entries("unlock.releasing")
    assert await scene.entries("unlock.released") == []


async def test_a_free_state_is_free_after_an_unlock_that_somebody_asked_for(scene, server):
    report = await scene.ask()

    assert report.inspection.seen.is_free
    assert tries(server)
    assert server.locks == {}


@pytest.mark.parametrize("wish", [{"dry_run": True}, {"user": "U0GUEST"}])
async def test_nobody_has_the_lock_tried_who_may_not_unlock_or_does_not_mean_to(scene, server, lock, wish):
    await scene.ask(**wish)

    assert tries(server) == []


async def test_a_status_tries_nothing_and_says_why_it_shows_no_lock(scene, server, lock):
    report = await status(scene.ports, "staging", Question("U0QUINN", CHANNEL, "status staging"))

    assert tries(server) == []
    ((_, why),) = report.inspection.seen.unseen
    assert "no request that only reads a lock" in why.detail


async def test_a_state_that_nobody_can_see_free_can_be_neither_watched_nor_waited_for(scene, server):
    with pytest.raises(NotPermitted, match="can't see when it is free"):
        await start(scene.ports, WaitCommand("staging", "U0QUINN", CHANNEL))
    wait = _Wait(scene.ports, scene.ports.states["staging"], None, timedelta(minutes=5))

    assert await wait.until_free() == FAILED
    assert tries(server) == []

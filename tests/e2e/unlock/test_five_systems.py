"""Whichever of the five systems ran the holder: never released while it may live, and released once it is dead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from bot.sandbox.slack.text import flat
from tests.worlds.ci.systems import SYSTEMS, playing, stage_with

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED_401 = {
    "github": "GitHub refuses the token (401)",
    "gitlab": "GitLab refuses the token (401)",
    "azure": "Azure DevOps refuses the token (401)",
    "jenkins": "Jenkins refuses user and token (401)",
    "ecs": "ECS denies",
}
LOOPS = {
    "github": "dependency-update.yml in acme/infra",
    "gitlab": "update in acme/infra",
    "azure": "13 in infra",
    "jenkins": "infra/update",
    "ecs": "update in ci",
}
SETTLES = {"settle": {"failed": "4s", "cancelled": "4s", "timed_out": "4s", "lost": "4s"}}


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory):
    async with (
        playing() as systems,
        stage_with(tmp_path_factory.mktemp("five"), systems, settings={"policy": SETTLES}) as made,
    ):
        yield systems, made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(played):
    return played[1]


@pytest.fixture(params=SYSTEMS)
def name(request) -> str:
    """The system's, and that of its state."""
    return request.param


@pytest.fixture
def system(played, name):
    mine = played[0][name]
    yield mine
    mine.heal()
    mine.forget()


async def held(scene, name: str, system):
    """A whole state, its lock taken by a deployment of a quarter of an hour ago, which goes on."""
    await scene.stage.aws.put_state(scene.stage.states[name].key)
    created = scene.stage.oldest(timedelta(minutes=15))
    run = system.start(at=created - timedelta(minutes=3))
    lock = await scene.stage.take_lock(name, who=system.who, created=created)
    system.holds(run, lock)
    return lock, run


async def test_a_lock_is_kept_while_its_run_lives_and_until_it_has_settled_and_then_released(scene, name, system):
    lock, run = await held(scene, name, system)

    alive = await scene.checklist(f"unlock {name}", "is locked", "still running", system.id_of(run))
    assert f"[Unlock {name}]" not in flat(alive)
    assert await scene.stands(lock, name)
    system.end_badly(run)
    early = await scene.checklist(f"unlock {name}", "settled", "may keep running")
    assert f"[Unlock {name}]" not in flat(early)
    assert await scene.stands(lock, name)
    await scene.click(early, "unlock.when_safe")

    await scene.becomes(early, f"{name} is unlocked")
    assert not await scene.stage.lock_stands(name)


async def test_the_status_tells_the_run_how_it_ended_and_that_its_log_ties_it_to_the_lock(scene, name, system):
    lock, run = await held(scene, name, system)
    system.end_badly(run, at=ago(10))

    await scene.types(f"status {name}")

    told = flat(await scene.told(f"{name} is locked", "shown by the job's log", "the log of job"))
    assert system.host in told
    assert system.id_of(run) in told
    assert ("timed out" if name != "ecs" else "failed") in told
    assert await scene.stands(lock, name)


async def test_a_dead_holders_lock_is_released_by_a_click_that_confirms_the_checklist(scene, name, system):
    _, run = await held(scene, name, system)
    system.end_badly(run, at=ago(10))

    checklist = await scene.checklist(f"unlock {name}", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, f"{name} is unlocked")
    assert not await scene.stage.lock_stands(name)


@pytest.mark.parametrize("status", [401, 500])
async def test_a_system_that_refuses_or_breaks_is_named_and_the_lock_stands(scene, name, system, status):
    lock, run = await held(scene, name, system)
    system.end_badly(run, at=ago(10))
    system.breaks(status)

    told = flat(await scene.checklist(f"unlock {name}", "is locked"))

    assert (REFUSED_401[name] if status == 401 else f"{system.title} returned an error (500)") in told
    assert f"[Unlock {name}]" not in told
    assert await scene.stands(lock, name)


async def test_a_contender_is_found_by_its_state_and_by_its_page_ended_and_said_to_have_ended(scene, name, system):
    lock, holder = await held(scene, name, system)
    system.end_badly(holder, at=ago(10))
    contender = system.start(at=ago(2), update=True)

    by_page = await found(scene, f"kill-job <{system.url_of(contender)}>", system.id_of(contender), "does not hold it")
    assert "[End this run]" in flat(by_page)
    report = await found(scene, f"kill-job {name}", system.id_of(contender), "does not hold it")
    await scene.click(report, "kill.confirm")

    await scene.becomes(report, "was ended.", "does not release the lock")
    assert system.is_over(contender)
    assert await scene.stands(lock, name)


async def test_the_doctor_finds_each_system_its_rights_and_its_clock_in_order(world, played):
    _, told = await world.command_line("doctor", "--all")

    for name, system in played[0].items():
        words = (f" {name}, runs:", f" {name}, kill-job:", f"CI {name}:")
        mine = [line for line in told.splitlines() if any(word in line for word in words)]
        assert len(mine) == len(system.pipelines) + 1 + ("base_url" in system.ci), told
        assert all(line.startswith("OK") for line in mine), mine


async def test_a_loop_is_named_and_what_starts_it_is_switched_off_where_the_system_can(scene, name, system):
    lock, holder = await held(scene, name, system)
    system.end_badly(holder, at=ago(14))
    runs = [system.start(at=ago(minutes), update=True) for minutes in range(12, 0, -2)]
    for run, minutes in zip(runs[:-1], range(12, 2, -2), strict=True):
        system.end_badly(run, at=ago(minutes - 1))

    report = await found(scene, f"kill-job {name}", "loop", LOOPS[name], "6 starts", "one every 2 min")
    await scene.click(report, "kill.confirm")

    if name == "ecs":
        await scene.becomes(report, "the loop is not stopped", "EventBridge rule deploy-nightly")
    else:
        await scene.becomes(report, "loop stopped", "is disabled")
        assert not system.source_is_on()
    assert system.is_over(runs[-1])
    assert await scene.stands(lock, name)


async def found(scene, text: str, *words: str):
    before = len(scene.slack.messages(scene.channel))
    await scene.types(text)
    await scene.until(lambda: len(scene.slack.messages(scene.channel)) > before)
    return await scene.becomes(scene.slack.messages(scene.channel)[before], *words)

"""Five hundred states: the overview stays within Slack's limits, which the local workspace enforces."""

from __future__ import annotations

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import SandboxState

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATES = tuple(
    SandboxState(
        f"team-{number:03}-a-name-of-some-length", f"teams/{number:03}/terraform.tfstate", description="d" * 60
    )
    for number in range(500)
)


@pytest.fixture(scope="module")
def staged():
    return {"states": STATES}


async def test_the_overview_of_five_hundred_free_states_is_shown(scene):
    await scene.types("status")

    told = flat(await scene.told("500"))
    assert len(told) < 11_000


async def test_locked_states_come_first_in_the_overview(scene):
    for number in (3, 250, 499):
        await scene.stage.take_lock(STATES[number].name)

    await scene.types("status")

    told = flat(await scene.told("team-499"))
    for number in (3, 250, 499):
        assert STATES[number].name in told


async def test_hundreds_of_locked_states_still_fit(scene):
    for state in STATES[:120]:
        await scene.stage.take_lock(state.name, who="runner@" + "h" * 60)

    await scene.types("status")

    told = flat(await scene.told("team-000"))
    assert len(told) < 11_000
    assert "more" in told


async def test_a_mistyped_name_among_five_hundred_gets_the_nearest_and_a_short_list(scene):
    await scene.types("status team-042-a-name-of-some-lenght")

    told = flat(await scene.told("did you mean"))
    assert "team-042-a-name-of-some-length" in told
    assert len(told) < 3000


async def test_a_lock_with_hundreds_of_contenders_is_shown_and_released(scene):
    lock, _ = await scene.stage.dead_lock(STATES[0].name)
    for _ in range(300):
        scene.stage.runs.start_run("acme/infra", "dependency-update.yml", actor="dependency-bot")

    await scene.types(f"status {STATES[0].name}")
    told = flat(await scene.told("is locked"))
    assert "300" in told
    await scene.types(f"kill-job {STATES[0].name}")
    await scene.shown("dependency-update.yml")
    assert await scene.stands(lock, STATES[0].name)

"""Whatever keeps the CI from answering, the unlock is refused in words of its own, and the lock stands."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.machine.process import free_port
from bot.sandbox.slack.text import flat

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER = "U0PARKER"
LISTING = r"GET /repos/acme/infra/actions/workflows/.*/runs"
RUN = r"GET /repos/acme/infra/actions/runs/\d+"
ALWAYS = 10_000


@pytest.fixture(scope="module")
def staged():
    """Two more CI systems at whose addresses nobody listens: another GitHub, and a GitLab."""
    nobody = {"type": "github_actions", "base_url": f"http://127.0.0.1:{free_port()}", "token_env": "GITHUB_TOKEN"}
    pipelines = {
        "silent": [{"ci": "nobody", "repo": "acme/infra", "workflow": "deploy.yml"}],
        "half-silent": [
            {"ci": "github", "repo": "acme/infra", "workflow": "deploy.yml"},
            {"ci": "nobody", "repo": "acme/infra", "workflow": "deploy.yml"},
        ],
        "elsewhere": [{"ci": "gitlab", "project": "acme/infra", "ref": "main"}],
    }
    backend = {"type": "s3", "bucket": "acme-tfstate", "dynamodb_table": "acme-tf-locks"}
    states = {
        name: {"backend": {**backend, "key": f"{name}.tfstate"}, "pipelines": lines}
        for name, lines in pipelines.items()
    }
    gitlab = {"type": "gitlab", "base_url": f"http://127.0.0.1:{free_port()}/api/v4", "token_env": "GITHUB_TOKEN"}
    return {"settings": {"ci": {"nobody": nobody, "gitlab": gitlab}, "states": states}}


async def refused(scene, lock, *words: str, state: str = "staging") -> str:
    """The refusal's text: no button that unlocks, nothing changed, what to do next, and the lock stands."""
    before = len(scene.posts())
    await scene.types(f"unlock {state}")
    await scene.until(lambda: len(scene.posts()) > before)
    told = flat(scene.posts()[before])
    for word in ("is locked", *words):
        assert word.lower() in told.lower(), told
    assert "*Next:*" in told
    assert "[Unlock " not in told.replace("[Unlock when safe]", "")
    assert f"[Unlock {state}]" not in told
    assert "Approve" not in told
    assert (await scene.kinds()).count("unlock.releasing") == 0
    return told


async def held(scene, state: str) -> WrittenLock:
    created = datetime.now(UTC) - timedelta(hours=2)
    lock = WrittenLock(f"5a5a5a5a-1b2c-4d3e-8f40-{created:%H%M%S%f}", created, f"acme-tfstate/{state}.tfstate")
    await scene.stage.aws.put_state(f"{state}.tfstate")
    await scene.stage.aws.delete_item(f"acme-tfstate/{state}.tfstate")
    await scene.stage.aws.hold(f"{state}.tfstate", lock.text, item=True, file=False)
    return lock


async def test_a_ci_at_whose_address_nobody_listens_is_said_to_be_unreachable(scene):
    lock = await held(scene, "silent")

    told = await refused(scene, lock, "no connection to GitHub", state="silent")

    assert "Try again" in told
    assert (await scene.stage.aws.lock_ids("silent.tfstate"))["item"] == lock.id


async def test_one_of_two_ci_systems_without_an_answer_is_enough_to_refuse(scene):
    lock = await held(scene, "half-silent")
    run = scene.stage.runs.start_run("acme/infra", "deploy.yml", at=lock.created, actor="elliott-ci")
    scene.stage.runs.finish(run.id, "failure", at=lock.created + timedelta(minutes=1))

    await refused(scene, lock, "no connection to GitHub", state="half-silent")

    assert (await scene.stage.aws.lock_ids("half-silent.tfstate"))["item"] == lock.id


async def test_a_ci_of_another_kind_that_cannot_be_reached_is_said_by_its_own_name(scene):
    lock = await held(scene, "elsewhere")

    await refused(scene, lock, "no connection to GitLab", state="elsewhere")

    assert (await scene.stage.aws.lock_ids("elsewhere.tfstate"))["item"] == lock.id


@pytest.mark.parametrize("where", [LISTING, RUN], ids=["listing", "run"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, ("not found",)),
        (401, ("401",)),
        (500, ("500",)),
        (503, ("503",)),
        (429, ("patience|rate|throttl",)),
        (403, ("403",)),
    ],
)
async def test_an_answer_that_is_none_is_refused_with_its_own_words(scene, status, words, where):
    lock, _ = await scene.stage.dead_lock()
    scene.stage.github.answer_next(where, status=status, body='{"message": "no"}', times=ALWAYS)

    told = (await refused(scene, lock)).lower()

    assert all(any(word in told for word in one.split("|")) for one in words), told
    assert await scene.stands(lock)


async def test_each_trouble_of_the_ci_reads_differently(scene):
    lock, _ = await scene.stage.dead_lock()
    told = []
    for status in (404, 401, 500, 429):
        scene.stage.github.heal()
        scene.stage.github.answer_next(LISTING, status=status, body='{"message": "no"}', times=ALWAYS)
        text = await refused(scene, lock)
        told.append(next(line for line in text.splitlines() if "*attributed:*" in line))

    assert len(set(told)) == 4, told


async def test_a_rate_limit_that_is_used_up_is_refused_with_the_time_when_it_is_lifted(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.stage.github.remaining = 0

    await refused(scene, lock, "rate limit")

    assert await scene.stands(lock)


async def test_a_page_that_is_no_json_is_refused(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.stage.github.answer_next(LISTING, status=200, body="<html>Unicorn!</html>", times=ALWAYS)

    await refused(scene, lock)

    assert await scene.stands(lock)


async def test_a_ci_that_takes_half_a_minute_is_refused_soon_and_the_acks_do_not_wait_for_it(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.stage.github.answer_next(LISTING, delay=120, times=ALWAYS)

    asked = asyncio.create_task(refused(scene, lock, "too long to answer"))
    for _ in range(5):
        await scene.types("help")
    await asked

    assert await scene.stands(lock)


async def test_a_ci_that_goes_away_between_checklist_and_click_stops_the_release(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.stage.github.answer_next(LISTING, status=502, body="bad gateway", times=ALWAYS)

    await scene.click(checklist, "unlock.confirm")

    told = flat(await scene.becomes(checklist, "was not unlocked"))
    assert "502" in told
    assert "Nothing was changed." in told
    assert await scene.stands(lock)


async def test_a_refusal_for_a_mute_ci_can_be_armed_and_goes_on_when_the_ci_is_back(scene):
    lock, _ = await scene.stage.dead_lock()
    scene.stage.github.answer_next(LISTING, status=502, body="bad gateway", times=ALWAYS)
    checklist = await scene.checklist("unlock staging", "is locked")
    await scene.click(checklist, "unlock.when_safe")
    await scene.becomes(checklist, "as soon as it is safe")
    assert await scene.stands(lock)

    scene.stage.github.heal()

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()


async def test_the_status_shows_what_is_known_while_the_ci_does_not_answer(scene):
    await scene.stage.dead_lock()
    scene.stage.github.answer_next(LISTING, status=500, body="oops", times=ALWAYS)

    await scene.types("status staging")

    told = flat(await scene.told("staging is locked"))
    assert "runner@fv-az881-525" in told
    assert "500" in told
    assert "is locked" in told

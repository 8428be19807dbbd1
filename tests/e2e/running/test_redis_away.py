"""An external Redis that stops: reading goes on and says so, nothing is unlocked, and it heals without a restart."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from bot.sandbox.machine.process import free_port
from bot.sandbox.slack.text import flat
from tests.worlds.redis_server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER = "U0PARKER"


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("redis"), free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def staged(redis_server):
    return {"environment": {"REDIS_URL": redis_server.url}}


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def running(scene, redis_server):
    """Before and after each test the Redis is there and the bot is ready."""
    yield redis_server
    if redis_server.process is None:
        redis_server.start()
    await ready(scene, redis_server)


async def ready(scene, server) -> None:
    async def is_ready() -> bool:
        return await asyncio.to_thread(scene.stage.is_ready)

    await scene.until(server.answers)
    await scene.until(is_ready)


async def test_status_works_without_redis_and_says_so(scene, running):
    await scene.stage.dead_lock()
    running.stop()

    await scene.types("status staging")

    told = flat(await scene.told("staging is locked"))
    assert "timeline" in told.lower()
    assert "nothing can be unlocked now" in told
    assert "[Unlock…]" not in told


async def test_the_overview_and_who_work_without_redis(scene, running):
    await scene.stage.dead_lock()
    running.stop()

    await scene.types("status")
    await scene.told("staging", "production")
    await scene.types("who staging")
    await scene.told("<@U0ELLIOTT>")


async def test_unlock_is_refused_in_words_without_redis_and_works_again_when_it_is_back(scene, running):
    lock, _ = await scene.stage.dead_lock()
    running.stop()

    await scene.types("unlock staging")

    told = flat(await scene.told("redis"))
    assert "Nothing was changed" in told
    assert "/tflock status" in told
    assert "again when Redis is back" in told
    assert scene.posts() == []
    assert await scene.stands(lock)

    running.start()
    await ready(scene, running)
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()


async def test_a_click_while_redis_is_away_releases_nothing_and_can_be_made_again(scene, running):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    running.stop()

    await scene.click(checklist, "unlock.confirm")

    await scene.told("redis", "nothing was changed")
    assert await scene.stands(lock)
    running.start()
    await ready(scene, running)
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")


async def test_redis_that_goes_away_after_the_click_stops_the_release_and_it_goes_on_when_it_is_back(scene, running):
    """No timeline, no unlock: the delete waits until the intent can be written."""
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    scene.stage.github.answer_next(".*", delay=2, times=2)
    asked = len(scene.stage.github.asked)
    await scene.click(checklist, "unlock.confirm")
    await scene.until(lambda: len(scene.stage.github.asked) > asked)  # a worker has the release, and looks
    bot = scene.stage.bots["serve"]
    before = len(bot.log)
    running.stop()
    deletes = len(scene.stage.proxy.calls("dynamodb:DeleteItem"))

    def noticed() -> bool:
        return any(word in bot.log[before:] for word in ("job.failed", "health.wrong"))

    await scene.until(noticed)
    assert await scene.stands(lock)
    assert len(scene.stage.proxy.calls("dynamodb:DeleteItem")) == deletes
    running.start()

    await scene.becomes(checklist, "staging is unlocked")
    assert (await scene.kinds()).count("unlock.released") == 1


async def test_a_right_that_redis_withholds_is_named_to_the_person_and_the_click_works_once_it_is_given(scene, running):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    bot = scene.stage.bots["serve"]
    await bot.stop()
    running.permit("resetchannels")
    starting = asyncio.create_task(scene.stage.start())
    before = len(bot.events("health.wrong"))

    def names_it() -> bool:
        why = [str(event["why"]) for event in scene.stage.bots["serve"].events("health.wrong")[before:]]
        return any("NOPERM" in words and "channels" in words for words in why)

    await scene.until(names_it)
    await scene.click(checklist, "unlock.confirm")
    await scene.told("noperm", "channels", "tflock doctor")
    assert await scene.stands(lock)
    running.permit("allchannels")
    await starting

    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")


async def test_note_open_and_close_without_redis_are_refused_in_words(scene, running):
    running.stop()

    for command in ("note something", "open", "close", "timeline"):
        before = scene.slack.ephemerals(PARKER)[-1] if scene.slack.ephemerals(PARKER) else scene.began
        await scene.types(command)
        await scene.told("redis", after=before)


async def test_readiness_fails_without_redis_and_health_does_not(scene, running):
    running.stop()

    async def is_not_ready() -> bool:
        return not await asyncio.to_thread(scene.stage.is_ready)

    await scene.until(is_not_ready)
    assert "tflock_commands_total" in await scene.metrics()


async def test_a_bot_that_starts_before_its_redis_waits_for_it(scene, running):
    lock, _ = await scene.stage.dead_lock()
    await scene.stage.bots["serve"].stop()
    running.stop()

    starting = asyncio.create_task(scene.stage.start())
    await scene.until(lambda: scene.stage.bots["serve"].is_running or starting.done())
    running.start()
    await starting

    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    assert lock.id[:8] in flat(checklist)

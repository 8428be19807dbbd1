"""The bot is killed with SIGKILL during a release, at every line that matters: the next one settles it, once, and says
so once.

Each test has its own processes on the module's stage, and the embedded Redis that they share.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from bot.sandbox.slack.text import flat
from bot.store.connect import connect
from bot.store.embedded import attached_url
from tests.worlds.proxy import Delay

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN = "U0PARKER", "U0QUINN"


@pytest.fixture(scope="module")
def staged():
    return {"processes": ()}


async def test_killed_between_intent_and_delete_the_restarted_bot_settles_it(scene, bots):
    bot = await bots.start()
    lock, _ = await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    # the delete waits at the proxy, and its sender does not live to see it pass
    fault = bots.proxy.fault("dynamodb:DeleteItem", Delay(3600))
    await scene.click(checklist, "unlock.confirm")
    await scene.has_recorded("unlock.releasing")
    await bot.kill()
    fault.lift()
    assert await scene.stands(lock)

    await bots.start()

    await scene.is_settled_once(checklist)


async def test_killed_after_the_delete_and_before_the_telling_the_restarted_bot_tells_it(scene, bots):
    bot = await bots.start()
    await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.letter("wants to unlock")
    scene.slack.slow("chat.update", seconds=20)
    await scene.click(checklist, "unlock.confirm")

    async def is_free() -> bool:
        return not await bots.lock_stands()

    await scene.until(is_free)
    await bot.kill()
    scene.slack.heal()
    assert "is unlocked" not in flat(checklist)

    await bots.start()

    await scene.is_settled_once(checklist)


async def test_a_bot_that_is_told_to_stop_finishes_what_it_has_acked(scene, bots):
    bot = await bots.start()
    await bots.dead_lock()
    bots.github.answer_next(".*", delay=1, times=3)
    await scene.types("status staging")

    assert await bot.stop() == 0

    assert any("staging is locked" in flat(m) for m in scene.slack.ephemerals(PARKER, scene.channel))


async def test_the_timeline_survives_the_death_of_the_bot_and_of_its_redis(scene, bots):
    bot = await bots.start()
    await bots.dead_lock()
    await scene.types("note before the crash")
    await scene.told("noted")
    before = await scene.journal()
    await bot.kill()
    await kill_redis(bots)

    await bots.start()

    await scene.types("timeline")
    await scene.told("before the crash")
    after = await scene.journal()
    assert [entry.hash for entry in after][: len(before)] == [entry.hash for entry in before]


async def test_the_embedded_redis_killed_under_a_running_bot_comes_back_with_everything(scene, bots):
    await bots.start()
    await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.types("note before the crash")
    await scene.told("noted")

    await kill_redis(bots)

    async def is_ready() -> bool:
        return await asyncio.to_thread(bots.is_ready)

    await scene.until(is_ready)

    async def confirmed() -> bool:
        if "safe to unlock" in flat(checklist):
            await scene.click(checklist, "unlock.confirm")
        return "staging is unlocked" in flat(checklist)

    await scene.until(confirmed)
    texts = [entry.text for entry in await scene.journal()]
    assert "before the crash" in texts
    assert (await scene.kinds()).count("unlock.released") == 1


async def kill_redis(bots) -> None:
    """SIGKILL to the server of this stage, found by the process id in its own answers."""
    client = connect(attached_url(bots.var))
    pid = int((await client.info("server"))["process_id"])
    await client.aclose()
    os.kill(pid, signal.SIGKILL)

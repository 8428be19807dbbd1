"""What was acked stays: the bot is killed with SIGKILL between the ack and the work, or in the middle of it.

All that the bot says to Redis passes a gate, which holds it at the step where the bot is to be killed.
"""

from __future__ import annotations

import pytest
import pytest_asyncio

from bot.sandbox.machine.process import free_port
from tests.worlds.redis_server import Gate, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("redis"), free_port())
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(redis_server):
    gate = Gate(redis_server.port)
    await gate.open()
    yield gate
    await gate.close()


@pytest.fixture(scope="module")
def staged(opened):
    return {"processes": (), "environment": {"REDIS_URL": f"redis://127.0.0.1:{opened.port}/0"}}


@pytest.fixture
def gate(opened):
    yield opened
    opened.let_go()


async def killed_at(scene, bot, gate) -> None:
    """Kills the bot when it has come so far and cannot go on."""
    await scene.until(gate.reached.is_set)
    await bot.kill()
    gate.let_go()


@pytest.mark.parametrize("step", [b"confirmed_at", b"unlock.requested", b"release:"], ids=["moved", "written", "job"])
async def test_a_click_whose_bot_is_killed_before_the_job_is_carried_out_by_the_next(scene, bots, gate, step):
    bot = await bots.start()
    await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    gate.hold(step)
    await scene.click(checklist, "unlock.confirm")
    await killed_at(scene, bot, gate)
    assert await bots.lock_stands()
    assert (await scene.kinds()).count("unlock.requested") == (1 if step == b"release:" else 0)

    await bots.start()

    await scene.is_settled_once(checklist)
    assert (await scene.kinds()).count("unlock.requested") == 1


async def test_an_armed_unlock_whose_bot_is_killed_before_the_job_is_armed_by_the_next(scene, bots, gate):
    bot = await bots.start()
    await bots.dead_lock()
    gate.hold(b"armed:")
    await scene.types("unlock staging --when-safe")
    await killed_at(scene, bot, gate)
    assert await bots.lock_stands()
    (checklist,) = scene.posts("staging is safe to unlock")

    await bots.start()

    await scene.is_settled_once(checklist)


async def test_a_command_whose_bot_is_killed_right_after_the_ack_is_answered_by_the_next(scene, bots, gate):
    bot = await bots.start()
    gate.hold(b"note.added")
    await scene.types("note it hangs")
    await killed_at(scene, bot, gate)

    await bots.start()

    await scene.told("Noted on the timeline")
    assert [entry.text for entry in await scene.journal() if entry.kind == "note.added"] == ["it hangs"]


async def test_the_twin_that_is_not_killed_does_it_once(scene, bots):
    await bots.start()
    await bots.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")

    await scene.click(checklist, "unlock.confirm")

    await scene.is_settled_once(checklist)
    assert (await scene.kinds()).count("unlock.requested") == 1


async def test_a_redis_that_does_not_take_it_in_time_is_said_in_the_ack_and_nothing_is_done_later(scene, bots, gate):
    bot = await bots.start()
    gate.hold(b'"way":')
    delivery = await scene.types("note it hangs")
    assert "Nothing was changed" in delivery.body
    await bot.kill()
    gate.let_go()

    await bots.start()

    await scene.types("note now")
    await scene.told("Noted on the timeline")
    assert [entry.text for entry in await scene.journal() if entry.kind == "note.added"] == ["now"]

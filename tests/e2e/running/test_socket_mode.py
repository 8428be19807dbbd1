"""Socket Mode: the same answers over a connection that the bot opens."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from bot.sandbox.slack.dispatch import Signing
from bot.sandbox.slack.text import flat
from tests.worlds.slack.workspace import FullWorkspace

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN = "U0PARKER", "U0QUINN"


@pytest.fixture(scope="module")
def staged():
    slack = FullWorkspace()
    return {"slack": slack, "environment": {"SLACK_APP_TOKEN": slack.app_token}}


@pytest.fixture(autouse=True)
async def connected(scene):
    await scene.until(lambda: scene.slack.sockets.open)


async def test_a_command_and_a_click_release_a_lock(scene):
    await scene.stage.dead_lock()

    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()


async def test_a_mention_is_answered(scene):
    await scene.stage.dead_lock()

    delivery = await scene.slack.mention(PARKER, scene.channel, "status staging")

    assert delivery.is_acked
    await scene.told("staging is locked")


async def test_a_doubled_delivery_is_done_once(scene):
    await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    delivery = await scene.click(checklist, "unlock.confirm")
    await asyncio.gather(*(scene.slack.again(delivery) for _ in range(3)))

    await scene.becomes(checklist, "staging is unlocked")
    await scene.settles()
    assert (await scene.kinds()).count("unlock.released") == 1
    assert scene.slack.ephemerals(PARKER, scene.channel) == []


async def test_the_bot_comes_back_after_slack_closed_the_connection(scene):
    await scene.stage.dead_lock()
    await scene.slack.sockets.disconnect()
    await scene.until(lambda: scene.slack.sockets.open, 30)

    assert "safe to unlock" in flat(await scene.checklist("unlock staging", "safe to unlock"))


@pytest.mark.parametrize("secret", ["sandbox-signing-secret", "forged"])
async def test_health_is_there_and_nothing_unsigned_is_heard_over_http(scene, secret):
    lock, _ = await scene.stage.dead_lock()
    body = f"command=/tflock&text=unlock+staging&user_id={PARKER}&channel_id={scene.channel}&trigger_id=1".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if secret == "forged":
        headers |= Signing(secret).headers(body, time.time())
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{scene.stage.url}/slack/events", data=body, headers=headers) as answer:
            assert answer.status in {401, 404}
        async with session.get(f"{scene.stage.url}/healthz") as answer:
            assert answer.status == 200
    await scene.settles()
    assert scene.posts() == []
    assert await scene.stands(lock)

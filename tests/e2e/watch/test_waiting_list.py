"""People who wait for a state, on the real bot: told in turn, in the channel, also when the worker dies in between."""

from __future__ import annotations

import pytest

from bot.sandbox.slack.text import flat

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUINN, PARKER = "U0QUINN", "U0PARKER"


@pytest.fixture(scope="module")
def staged():
    return {"processes": ("serve --no-worker",), "settings": {"watch": {"head_start": "4s"}}}


def mentions(scene, user):
    """The notices in the channel that name this person."""
    return [post for post in scene.posts("staging is free") if f"<@{user}>" in str(post.blocks)]


async def released(scene):
    """Terraform has ended as it should, and its lock is gone from both places."""
    for key in await scene.stage.aws.items():
        await scene.stage.aws.delete_item(key)
    for key in await scene.stage.aws.objects():
        if key.endswith(".tflock"):
            await scene.stage.aws.delete_object(key)


async def test_what_is_free_already_is_said_at_once(scene):
    await scene.types("watch staging")

    await scene.told("staging is free now", "nothing to wait for")


async def test_two_people_who_wait_are_told_in_turn_although_the_worker_is_killed_in_between(scene):
    first = await scene.stage.start("worker", name="first")
    lock, _ = await scene.stage.dead_lock()
    await scene.types("status staging", user=QUINN)
    status = await scene.told("staging is locked", user=QUINN)
    await scene.click(status, "watch.start", user=QUINN)
    await scene.told("waiting for staging", "nobody else is waiting", user=QUINN)
    await scene.types("watch staging", user=PARKER)
    await scene.told("number 2 of 2", user=PARKER)
    await scene.types("watch staging", user=PARKER)
    await scene.told("already", "number 2 of 2", user=PARKER)
    assert await scene.stands(lock)
    assert scene.posts("is free") == []

    await released(scene)
    await scene.until(lambda: mentions(scene, QUINN))
    assert mentions(scene, PARKER) == []
    await first.kill()
    await scene.stage.start("worker", name="second")
    await scene.until(lambda: mentions(scene, PARKER))

    assert (len(mentions(scene, QUINN)), len(mentions(scene, PARKER))) == (1, 1)
    assert mentions(scene, QUINN)[0].ts < mentions(scene, PARKER)[0].ts

    async def both_ended():
        return (await scene.kinds()).count("watch.ended") == 2

    await scene.until(both_ended)
    assert {entry.facts["outcome"] for entry in await scene.has_recorded("watch.ended")} == {"told"}
    assert [entry.actor for entry in await scene.has_recorded("watch.started")] == [QUINN, PARKER]

    await scene.click(mentions(scene, PARKER)[0], "watch.check", user=PARKER)
    await scene.told("staging is free", "go ahead", user=PARKER)


async def test_outside_an_incident_channel_somebody_is_told_in_their_dm_and_may_stop(scene):
    if "second" not in scene.stage.bots:
        await scene.stage.start("worker", name="second")
    lock, _ = await scene.stage.dead_lock()
    await scene.types("watch staging", user=PARKER, channel="C0RANDOM")
    answer = await scene.told("direct message", user=PARKER)
    await scene.types("watch staging", user=QUINN, channel="C0RANDOM")
    await scene.told("number 2 of 2", user=QUINN)
    await scene.click(answer, "watch.stop", user=PARKER)
    await scene.told("no longer waiting for staging", user=PARKER)
    assert await scene.stands(lock)

    await released(scene)
    told = flat(await scene.letter("staging is free", user=QUINN))

    assert "run what was blocked" in told
    assert scene.letters(PARKER) == []
    assert scene.posts("is free") == []

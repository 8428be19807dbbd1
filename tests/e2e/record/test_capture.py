"""Messages of the channel on the timeline of the real bot, which runs as two processes."""

import asyncio

import pytest

from bot.core.record.timeline import Kind

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUINN, PARKER, ELLIOTT = "U0QUINN", "U0PARKER", "U0ELLIOTT"


@pytest.fixture(scope="module")
def staged():
    return {"processes": ("serve --no-worker", "worker")}


async def has_texts(scene, *texts):
    async def captured():
        found = [entry.text for entry in await scene.journal() if entry.kind == Kind.MESSAGE_CAPTURED]
        return found if sorted(found) == sorted(texts) else None

    return await scene.until(captured)


async def test_a_marked_message_stays_in_step_with_the_channel(scene):
    slack = scene.slack
    root = await slack.speak(QUINN, scene.channel, "staging is locked by elliott")
    reply = await slack.speak(PARKER, scene.channel, f"it is <@{ELLIOTT}>, password=hunter2000", thread_ts=root.ts)
    await slack.react(QUINN, root, "pushpin")
    await slack.react(PARKER, reply, "round_pushpin")
    await has_texts(scene, "staging is locked by elliott", "it is @elliott, password=[password removed]")

    await slack.edit(root, "staging is locked by elliott's job")
    (edited,) = await scene.has_recorded(Kind.ENTRY_EDITED)
    assert (edited.facts["text"], edited.facts["why"]) == ("staging is locked by elliott's job", "edited after capture")
    await slack.unreact(QUINN, root, "pushpin")
    await scene.has_recorded(Kind.ENTRY_HIDDEN)
    await slack.react(PARKER, root, "pushpin")
    await scene.has_recorded(Kind.ENTRY_RESTORED)
    await slack.delete(reply)

    async def both_hidden():
        found = [entry.facts["why"] for entry in await scene.journal() if entry.kind == Kind.ENTRY_HIDDEN]
        return found == ["the mark was taken off", "deleted after capture"]

    await scene.until(both_hidden)
    assert [entry.kind for entry in await scene.journal()].count(Kind.MESSAGE_CAPTURED) == 2


async def test_what_was_said_before_is_taken_page_by_page_although_slack_asks_for_patience(scene):
    slack = scene.slack
    slack.team.history_page = 15
    said = [slack.say(QUINN, scene.channel, f"message {number}") for number in range(40)]
    slack.say(PARKER, scene.channel, "a reply", thread_ts=said[3].ts)
    slack.say(QUINN, scene.channel, "deploy failed", bot_id="B0CI", bot_profile={"name": "CI"})
    slack.throttle("conversations.history", retry_after=5, skip=1)
    await scene.types("capture 1h")
    started = await scene.shown("reading the earlier messages here")
    await scene.becomes(started, "messages were put on the timeline")
    await has_texts(scene, "something is wrong with staging", "a reply", *(f"message {n}" for n in range(40)))
    slack.team.history_page = None


async def test_a_busy_channel_does_not_slow_a_command(scene):
    slack = scene.slack
    message = slack.say(QUINN, scene.channel, "hello")
    talk = {**message.shown(), "channel": scene.channel}
    edit = {"type": "message", "subtype": "message_changed", "channel": scene.channel, "message": message.shown()}
    stop, took = asyncio.Event(), []

    async def chatter(inner):
        while not stop.is_set():
            event = await slack.event(inner)
            assert event.is_acked
            took.append(event.seconds)

    crowd = [asyncio.create_task(chatter(inner)) for inner in (talk, talk, edit, edit)]
    try:
        before = len(slack.ephemerals(PARKER))
        delivery = await scene.types("help")
        await scene.until(lambda: took and len(slack.ephemerals(PARKER)) > before)
        assert delivery.seconds < max(3, 5 * max(took))
    finally:
        stop.set()
        await asyncio.gather(*crowd)

from __future__ import annotations

import pytest

from bot.errors import UpstreamError
from bot.ports.messenger import Message
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import CHANNEL
from handlers.asker import answer, asker_of_click, asker_of_command, asker_of_mention

WORDS = Message("hello", [{"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}])


async def test_an_answer_goes_by_the_response_url(office):
    url = office.slack._response_url(office.slack.team.response(CHANNEL, "U0PARKER", None))

    await answer(office.world.messenger, office.asker(response_url=url), WORDS)

    assert office.told() == ["hello"]
    assert "chat.postEphemeral" not in [call.method for call in office.slack.calls]


async def test_without_a_response_url_it_is_whispered_in_the_thread(office):
    root = office.slack.say("U0QUINN", CHANNEL, "look")

    await answer(office.world.messenger, office.asker(thread=root.ts), WORDS)

    assert [message.thread_ts for message in office.slack.ephemerals("U0PARKER")] == [root.ts]


async def test_a_response_url_of_somebody_else_is_never_called_and_the_answer_is_whispered(office):
    await answer(office.world.messenger, office.asker(response_url="http://127.0.0.1:9/evil"), WORDS)

    assert office.told() == ["hello"]


async def test_where_the_bot_may_not_whisper_it_writes_directly(office):
    await answer(office.world.messenger, office.asker(channel="C0NOWHERE"), WORDS)

    assert [flat(message) for message in office.slack.directs("U0PARKER")] == ["hello"]


async def test_an_answer_that_no_way_takes_raises(office):
    office.slack.refuse("*", "account_inactive", times=None)

    with pytest.raises(UpstreamError):
        await answer(office.world.messenger, office.asker(), WORDS)


def test_a_command_a_click_and_a_mention_name_their_asker_and_their_delivery():
    command = asker_of_command({"user_id": "U1", "channel_id": "C1", "response_url": "https://x", "trigger_id": "7.7"})
    click = asker_of_click(
        {
            "user": {"id": "U1"},
            "container": {"channel_id": "C1"},
            "message": {"thread_ts": "1.1"},
            "actions": [{"action_id": "a", "action_ts": "2.2"}],
        }
    )
    mention = asker_of_mention({"event_id": "Ev1", "event": {"user": "U1", "channel": "C1", "thread_ts": "1.1"}})

    assert (command.user, command.channel, command.response_url) == ("U1", "C1", "https://x")
    assert (click.user, click.channel, click.thread) == ("U1", "C1", "1.1")
    assert (mention.user, mention.channel, mention.thread) == ("U1", "C1", "1.1")
    assert len({command.delivery, click.delivery, mention.delivery, ""}) == 4


@pytest.mark.parametrize("read", [asker_of_command, asker_of_click, asker_of_mention])
def test_an_empty_payload_names_nobody_and_no_delivery(read):
    asker = read({})

    assert (asker.user, asker.channel, asker.delivery) == ("", "", "")

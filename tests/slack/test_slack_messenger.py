"""The messenger's messages, over HTTP against the local workspace."""

import traceback

import pytest
from structlog.testing import capture_logs

from bot.errors import Denied, Missing, Rejected, Throttled, Unreachable, UpstreamError
from bot.ports.messenger import Message, Posted
from bot.sandbox.slack.text import flat
from bot.slack.client import slack_client
from bot.slack.messenger import SlackMessenger, is_slack_url
from tests.worlds.own_time import own_time
from tests.worlds.slack.limits import Cut
from tests.worlds.slack.workspace import FullWorkspace


async def test_a_post_stands_in_the_channel_with_text_and_blocks(workspace, messenger, blocks):
    posted = await messenger.post("C0INC", Message("fallback", blocks))
    message = workspace.message(posted.channel, posted.ts)
    assert (message.text, flat(message)) == ("fallback", "the checklist")
    assert message in workspace.messages("C0INC")


async def test_a_post_can_go_to_a_thread(workspace, messenger, blocks):
    root = workspace.say("U0QUINN", "C0INC", "staging is locked")
    posted = await messenger.post("C0INC", Message("yes", blocks), thread=root.ts)
    assert workspace.messages("C0INC", thread_ts=root.ts) == [workspace.message("C0INC", posted.ts)]


async def test_links_are_not_unfurled_and_the_text_is_sent_as_it_is(workspace, messenger, blocks):
    await messenger.post("C0INC", Message("&lt;!channel&gt; *bold*", blocks))
    args = workspace.calls[-1].args
    assert (args["unfurl_links"], args["unfurl_media"]) == (False, False)
    assert workspace.messages("C0INC")[0].text == "&lt;!channel&gt; *bold*"


async def test_a_whisper_is_seen_by_one_user_only(workspace, messenger, blocks):
    await messenger.whisper("C0INC", "U0QUINN", Message("for you", blocks))
    assert [message.text for message in workspace.ephemerals("U0QUINN", "C0INC")] == ["for you"]
    assert workspace.messages("C0INC") == []


async def test_a_whisper_to_somebody_outside_the_channel_is_denied(messenger, blocks):
    with pytest.raises(Denied, match="not a member"):
        await messenger.whisper("C0INC", "U0ELLIOTT", Message("for you", blocks))


async def test_an_update_replaces_the_message_and_may_be_made_twice(workspace, messenger, blocks):
    posted = await messenger.post("C0INC", Message("working", blocks))
    for _ in range(2):
        await messenger.update(posted, Message("done", []))
    message = workspace.message(posted.channel, posted.ts)
    assert flat(message) == "done"
    assert message.history[0].text == "working"
    assert len(workspace.messages("C0INC")) == 1


async def test_updating_a_message_that_is_gone_is_missing(messenger, blocks):
    with pytest.raises(Missing):
        await messenger.update(Posted("C0INC", "1.000001"), Message("done", blocks))


async def test_somebody_elses_message_cannot_be_updated(workspace, messenger, blocks):
    said = workspace.say("U0QUINN", "C0INC", "mine")
    with pytest.raises(Denied):
        await messenger.update(Posted("C0INC", said.ts), Message("yours", blocks))
    assert said.text == "mine"


async def test_a_direct_message_opens_the_users_own_room(workspace, messenger, blocks):
    posted = await messenger.post("U0ELLIOTT", Message("is it dead?", blocks))
    again = await messenger.post("U0ELLIOTT", Message("still?", blocks))
    assert posted.channel == again.channel
    assert [message.text for message in workspace.directs("U0ELLIOTT")] == ["is it dead?", "still?"]


async def test_without_the_right_to_open_a_room_a_direct_message_still_arrives(workspace, messenger, blocks):
    workspace.refuse("conversations.open", "missing_scope")
    posted = await messenger.post("U0ELLIOTT", Message("is it dead?", blocks))
    assert [message.ts for message in workspace.directs("U0ELLIOTT")] == [posted.ts]
    await messenger.update(posted, Message("thank you", blocks))


async def test_a_deactivated_user_gets_no_direct_message(workspace, messenger, blocks):
    workspace.change_user("U0ELLIOTT", is_deleted=True)
    with pytest.raises(Denied, match="deactivated"):
        await messenger.post("U0ELLIOTT", Message("hello", blocks))


async def test_an_unknown_user_gets_no_direct_message(messenger, blocks):
    with pytest.raises(Missing):
        await messenger.post("U0NOBODY", Message("hello", blocks))


async def test_posting_where_the_bot_is_not_says_that_it_must_be_invited(workspace, messenger, blocks):
    workspace.add_channel("C0OTHER", "other", with_bot=False)
    with pytest.raises(Denied, match="invite it"):
        await messenger.post("C0OTHER", Message("x", blocks))


async def test_posting_to_an_archived_channel_is_denied(workspace, messenger, blocks):
    workspace.add_channel("C0OLD", "old", is_archived=True)
    with pytest.raises(Denied, match="archived"):
        await messenger.post("C0OLD", Message("x", blocks))


async def test_posting_to_an_unknown_channel_is_missing(messenger, blocks):
    with pytest.raises(Missing):
        await messenger.post("C0NOWHERE", Message("x", blocks))


async def test_blocks_that_slack_does_not_take_are_an_upstream_error_of_no_other_kind(workspace, messenger):
    with pytest.raises(UpstreamError, match="invalid_blocks") as caught:
        await messenger.post("C0INC", Message("x", [{"type": "nonsense"}]))
    assert type(caught.value) is Rejected
    assert workspace.messages("C0INC") == []


async def test_a_short_429_is_waited_out_and_the_message_posted_once(workspace, messenger, blocks):
    workspace.throttle("chat.postMessage", retry_after=1)
    await messenger.post("C0INC", Message("x", blocks))
    assert len(workspace.messages("C0INC")) == 1


async def test_two_messages_within_a_second_both_arrive_under_slacks_rate_limit(blocks):
    async with FullWorkspace(strict_rate=True) as slack:
        slack.add_channel("C0INC", "inc-1")
        messenger = SlackMessenger(slack_client(slack.bot_token, base_url=slack.api_url))
        for number in range(2):
            await messenger.post("C0INC", Message(str(number), blocks))
        assert [message.text for message in slack.messages("C0INC")] == ["0", "1"]


async def test_a_429_beyond_the_patience_is_throttled_at_once(workspace, messenger, blocks):
    workspace.throttle("chat.postMessage", retry_after=60, times=None)
    async with own_time() as spent:
        with pytest.raises(Throttled) as caught:
            await messenger.post("C0INC", Message("x", blocks))
    assert caught.value.retry_after == 60
    assert spent.seconds < 2


async def test_429s_without_end_stop_at_the_patience(workspace, session, blocks):
    impatient = slack_client(workspace.bot_token, base_url=workspace.api_url, session=session, patience=2)
    workspace.throttle("chat.postMessage", retry_after=1, times=None)
    with pytest.raises(Throttled):
        await SlackMessenger(impatient).post("C0INC", Message("x", blocks))
    assert len([call for call in workspace.calls if call.method == "chat.postMessage"]) == 2


async def test_a_server_error_is_unreachable(workspace, messenger, blocks):
    workspace.crash("chat.postMessage", status=503)
    with pytest.raises(Unreachable):
        await messenger.post("C0INC", Message("x", blocks))


async def test_a_post_whose_connection_was_cut_is_unreachable_and_never_posted_twice(workspace, messenger, blocks):
    workspace.cut("chat.postMessage", when=Cut.AFTER)
    with pytest.raises(Unreachable):
        await messenger.post("C0INC", Message("x", blocks))
    assert len(workspace.messages("C0INC")) == 1


async def test_an_update_whose_connection_was_cut_is_made_again(workspace, messenger, blocks):
    posted = await messenger.post("C0INC", Message("working", blocks))
    workspace.cut("chat.update", when=Cut.AFTER)
    await messenger.update(posted, Message("done", blocks))
    assert workspace.message("C0INC", posted.ts).text == "done"


async def test_a_slow_slack_is_unreachable_within_the_patience(workspace, client, blocks):
    workspace.slow("chat.update", seconds=3)
    hurried = SlackMessenger(client, patience=0.2)
    with pytest.raises(Unreachable, match="in time"):
        await hurried.update(Posted("C0INC", "1.000001"), Message("x", blocks))


async def test_no_trace_of_a_failure_carries_the_token(workspace, blocks):
    client = slack_client("xoxb-a-secret", base_url=workspace.api_url)
    with pytest.raises(Denied) as caught:
        await SlackMessenger(client).post("C0INC", Message("x", blocks))
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "xoxb-a-secret" not in "".join(trace.format())


async def test_a_response_url_answers_the_asker_alone(workspace, messenger, blocks):
    url = response_url(workspace)
    await messenger.respond(url, Message("only you", blocks))
    assert [message.text for message in workspace.ephemerals("U0QUINN", "C0INC")] == ["only you"]
    assert workspace.messages("C0INC") == []


async def test_a_click_may_be_answered_in_place_of_the_message(workspace, messenger, blocks):
    clicked = workspace.team.keep("C0INC", "U0TFLOCK", "page one", to="U0QUINN")
    base = workspace.api_url.removesuffix("/api/")
    url = f"{base}/actions/{workspace.team.response('C0INC', 'U0QUINN', clicked)}"
    await messenger.respond(url, Message("page two", blocks), replace=True)
    assert [message.text for message in workspace.ephemerals("U0QUINN", "C0INC")] == ["page two"]


async def test_a_response_url_that_is_used_up_is_missing(workspace, messenger, blocks):
    url = response_url(workspace)
    for _ in range(5):
        await messenger.respond(url, Message("x", blocks))
    with pytest.raises(Missing, match="used_url"):
        await messenger.respond(url, Message("x", blocks))
    assert len(workspace.ephemerals("U0QUINN")) == 5


async def test_blocks_that_a_response_url_does_not_take_are_an_upstream_error(workspace, messenger):
    with pytest.raises(UpstreamError, match="invalid_blocks"):
        await messenger.respond(response_url(workspace), Message("x", [{"type": "nonsense"}]))


async def test_a_response_url_of_a_broken_slack_is_unreachable(workspace, messenger, blocks):
    workspace.crash("response_url")
    with pytest.raises(Unreachable):
        await messenger.respond(response_url(workspace), Message("x", blocks))


async def test_a_throttled_response_url_is_waited_out_and_not_logged(workspace, messenger, blocks):
    workspace.throttle("response_url", retry_after=1)
    url = response_url(workspace)
    with capture_logs() as logs:
        await messenger.respond(url, Message("x", blocks))
    assert len(workspace.ephemerals("U0QUINN")) == 1
    assert [entry["event"] for entry in logs] == ["slack.throttled"]
    assert url.rpartition("/")[2] not in repr(logs)


async def test_a_response_url_of_another_host_is_refused_unasked(messenger, blocks):
    with pytest.raises(Denied, match="does not belong to Slack"):
        await messenger.respond("http://169.254.169.254/latest/meta-data", Message("x", blocks))


@pytest.mark.parametrize(
    ("url", "is_slacks"),
    [
        ("https://hooks.slack.com/commands/T0/1/abc", True),
        ("https://slack.com/actions", True),
        ("http://hooks.slack.com/commands/T0/1/abc", False),
        ("https://hooks.slack.com.example.com/x", False),
        ("https://evilslack.com/x", False),
        ("https://hooks.slack.com@example.com/x", False),
        ("https://hooks.slack.com:8443/x", False),
        ("https://hooks.slack.com:99999999/x", False),
        ("https://[hooks.slack.com/x", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_only_slacks_own_hosts_are_answered(url, is_slacks):
    assert is_slack_url(url, api_url="https://slack.com/api/") is is_slacks


def test_a_government_slack_answers_below_its_own_domain():
    assert is_slack_url("https://hooks.slack-gov.com/x", api_url="https://slack-gov.com/api/")
    assert not is_slack_url("https://hooks.slack-gov.com/x", api_url="https://slack.com/api/")


def test_another_port_of_the_sandboxs_host_is_refused():
    assert is_slack_url("http://127.0.0.1:5000/actions/T0/R1", api_url="http://127.0.0.1:5000/api/")
    assert not is_slack_url("http://127.0.0.1:6379/", api_url="http://127.0.0.1:5000/api/")


def test_the_sandboxs_host_may_go_by_another_of_its_names():
    assert is_slack_url("http://localhost:5000/actions/T0/R1", api_url="http://127.0.0.1:5000/api/")
    assert not is_slack_url("http://localhost:6379/", api_url="http://127.0.0.1:5000/api/")
    assert not is_slack_url("http://localhost:5000/", api_url="https://slack.com/api/")


def test_a_proxy_of_the_environment_is_not_used_for_an_api_on_this_machine(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert slack_client("xoxb-any", base_url="http://127.0.0.1:5000/api/").proxy is None
    assert slack_client("xoxb-any").proxy == "http://127.0.0.1:9"


def response_url(workspace):
    return workspace.api_url.replace("/api/", "/actions/") + workspace.team.response("C0INC", "U0QUINN", None)

"""The notifier, over HTTP against the local workspace."""

import time
import traceback

import pytest
from structlog.testing import capture_logs

from bot.errors import Denied, Missing, Rejected, Throttled, Unreachable, UpstreamError
from bot.ports.messenger import Posted
from bot.sandbox.slack.workspace import Cut, SlackWorkspace, flat
from bot.slack.client import slack_client
from bot.slack.messenger import SlackNotifier, is_slack_url


async def test_a_post_stands_in_the_channel_with_text_and_blocks(workspace, notifier, blocks):
    posted = await notifier.post("C0INC", text="fallback", blocks=blocks)
    message = workspace.message(posted.channel, posted.ts)
    assert (message.text, flat(message)) == ("fallback", "the checklist")
    assert message in workspace.messages("C0INC")


async def test_a_post_can_go_to_a_thread(workspace, notifier, blocks):
    root = workspace.say("U0QUINN", "C0INC", "staging is locked")
    posted = await notifier.post("C0INC", text="yes", blocks=blocks, thread=root.ts)
    assert workspace.messages("C0INC", thread_ts=root.ts) == [workspace.message("C0INC", posted.ts)]


async def test_links_are_not_unfurled_and_the_text_is_sent_as_it_is(workspace, notifier, blocks):
    await notifier.post("C0INC", text="&lt;!channel&gt; *bold*", blocks=blocks)
    args = workspace.calls[-1].args
    assert (args["unfurl_links"], args["unfurl_media"]) == (False, False)
    assert workspace.messages("C0INC")[0].text == "&lt;!channel&gt; *bold*"


async def test_a_whisper_is_seen_by_one_user_only(workspace, notifier, blocks):
    await notifier.whisper("C0INC", "U0QUINN", text="for you", blocks=blocks)
    assert [message.text for message in workspace.ephemerals("U0QUINN", "C0INC")] == ["for you"]
    assert workspace.messages("C0INC") == []


async def test_a_whisper_to_somebody_outside_the_channel_is_denied(notifier, blocks):
    with pytest.raises(Denied, match="not a member"):
        await notifier.whisper("C0INC", "U0ELLIOTT", text="for you", blocks=blocks)


async def test_an_update_replaces_the_message_and_may_be_made_twice(workspace, notifier, blocks):
    posted = await notifier.post("C0INC", text="working", blocks=blocks)
    for _ in range(2):
        await notifier.update(posted, text="done", blocks=[])
    message = workspace.message(posted.channel, posted.ts)
    assert flat(message) == "done"
    assert message.history[0].text == "working"
    assert len(workspace.messages("C0INC")) == 1


async def test_updating_a_message_that_is_gone_is_missing(notifier, blocks):
    with pytest.raises(Missing):
        await notifier.update(Posted("C0INC", "1.000001"), text="done", blocks=blocks)


async def test_somebody_elses_message_cannot_be_updated(workspace, notifier, blocks):
    said = workspace.say("U0QUINN", "C0INC", "mine")
    with pytest.raises(Denied):
        await notifier.update(Posted("C0INC", said.ts), text="yours", blocks=blocks)
    assert said.text == "mine"


async def test_a_direct_message_opens_the_users_own_room(workspace, notifier, blocks):
    posted = await notifier.direct("U0ELLIOTT", text="is it dead?", blocks=blocks)
    again = await notifier.direct("U0ELLIOTT", text="still?", blocks=blocks)
    assert posted.channel == again.channel
    assert [message.text for message in workspace.directs("U0ELLIOTT")] == ["is it dead?", "still?"]


async def test_without_the_right_to_open_a_room_a_direct_message_still_arrives(workspace, notifier, blocks):
    workspace.refuse("conversations.open", "missing_scope")
    posted = await notifier.direct("U0ELLIOTT", text="is it dead?", blocks=blocks)
    assert [message.ts for message in workspace.directs("U0ELLIOTT")] == [posted.ts]
    await notifier.update(posted, text="thank you", blocks=blocks)


async def test_a_deactivated_user_gets_no_direct_message(workspace, notifier, blocks):
    workspace.change_user("U0ELLIOTT", is_deleted=True)
    with pytest.raises(Denied, match="deactivated"):
        await notifier.direct("U0ELLIOTT", text="hello", blocks=blocks)


async def test_an_unknown_user_gets_no_direct_message(notifier, blocks):
    with pytest.raises(Missing):
        await notifier.direct("U0NOBODY", text="hello", blocks=blocks)


async def test_posting_where_the_bot_is_not_says_that_it_must_be_invited(workspace, notifier, blocks):
    workspace.add_channel("C0OTHER", "other", with_bot=False)
    with pytest.raises(Denied, match="invite it"):
        await notifier.post("C0OTHER", text="x", blocks=blocks)


async def test_posting_to_an_archived_channel_is_denied(workspace, notifier, blocks):
    workspace.add_channel("C0OLD", "old", is_archived=True)
    with pytest.raises(Denied, match="archived"):
        await notifier.post("C0OLD", text="x", blocks=blocks)


async def test_posting_to_an_unknown_channel_is_missing(notifier, blocks):
    with pytest.raises(Missing):
        await notifier.post("C0NOWHERE", text="x", blocks=blocks)


async def test_blocks_that_slack_does_not_take_are_an_upstream_error_of_no_other_kind(workspace, notifier):
    with pytest.raises(UpstreamError, match="invalid_blocks") as caught:
        await notifier.post("C0INC", text="x", blocks=[{"type": "nonsense"}])
    assert type(caught.value) is Rejected
    assert workspace.messages("C0INC") == []


async def test_a_short_429_is_waited_out_and_the_message_posted_once(workspace, notifier, blocks):
    workspace.throttle("chat.postMessage", retry_after=1)
    await notifier.post("C0INC", text="x", blocks=blocks)
    assert len(workspace.messages("C0INC")) == 1


async def test_two_messages_within_a_second_both_arrive_under_slacks_rate_limit(blocks):
    async with SlackWorkspace(strict_rate=True) as slack:
        slack.add_channel("C0INC", "inc-1")
        notifier = SlackNotifier(slack_client(slack.bot_token, base_url=slack.api_url))
        for number in range(2):
            await notifier.post("C0INC", text=str(number), blocks=blocks)
        assert [message.text for message in slack.messages("C0INC")] == ["0", "1"]


async def test_a_429_beyond_the_patience_is_throttled_at_once(workspace, notifier, blocks):
    workspace.throttle("chat.postMessage", retry_after=60, times=None)
    started = time.monotonic()
    with pytest.raises(Throttled) as caught:
        await notifier.post("C0INC", text="x", blocks=blocks)
    assert caught.value.retry_after == 60
    assert time.monotonic() - started < 2


async def test_429s_without_end_stop_at_the_patience(workspace, session, blocks):
    impatient = slack_client(workspace.bot_token, base_url=workspace.api_url, session=session, patience=2)
    workspace.throttle("chat.postMessage", retry_after=1, times=None)
    with pytest.raises(Throttled):
        await SlackNotifier(impatient).post("C0INC", text="x", blocks=blocks)
    assert len([call for call in workspace.calls if call.method == "chat.postMessage"]) == 2


async def test_a_server_error_is_unreachable(workspace, notifier, blocks):
    workspace.crash("chat.postMessage", status=503)
    with pytest.raises(Unreachable):
        await notifier.post("C0INC", text="x", blocks=blocks)


async def test_a_post_whose_connection_was_cut_is_unreachable_and_never_posted_twice(workspace, notifier, blocks):
    workspace.cut("chat.postMessage", when=Cut.AFTER)
    with pytest.raises(Unreachable):
        await notifier.post("C0INC", text="x", blocks=blocks)
    assert len(workspace.messages("C0INC")) == 1


async def test_an_update_whose_connection_was_cut_is_made_again(workspace, notifier, blocks):
    posted = await notifier.post("C0INC", text="working", blocks=blocks)
    workspace.cut("chat.update", when=Cut.AFTER)
    await notifier.update(posted, text="done", blocks=blocks)
    assert workspace.message("C0INC", posted.ts).text == "done"


async def test_a_slow_slack_is_unreachable_within_the_patience(workspace, client, blocks):
    workspace.slow("chat.update", seconds=3)
    hurried = SlackNotifier(client, patience=0.2)
    with pytest.raises(Unreachable, match="in time"):
        await hurried.update(Posted("C0INC", "1.000001"), text="x", blocks=blocks)


async def test_no_trace_of_a_failure_carries_the_token(workspace, blocks):
    client = slack_client("xoxb-a-secret", base_url=workspace.api_url)
    with pytest.raises(Denied) as caught:
        await SlackNotifier(client).post("C0INC", text="x", blocks=blocks)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "xoxb-a-secret" not in "".join(trace.format())


async def test_a_response_url_answers_the_asker_alone(workspace, notifier, blocks):
    url = response_url(workspace)
    await notifier.respond(url, text="only you", blocks=blocks)
    assert [message.text for message in workspace.ephemerals("U0QUINN", "C0INC")] == ["only you"]
    assert workspace.messages("C0INC") == []


async def test_a_click_may_be_answered_in_place_of_the_message(workspace, notifier, blocks):
    clicked = workspace.world.keep("C0INC", "U0TFLOCK", "page one", to="U0QUINN")
    base = workspace.api_url.removesuffix("/api/")
    url = f"{base}/actions/{workspace.world.response('C0INC', 'U0QUINN', clicked)}"
    await notifier.respond(url, text="page two", blocks=blocks, replace=True)
    assert [message.text for message in workspace.ephemerals("U0QUINN", "C0INC")] == ["page two"]


async def test_a_response_url_that_is_used_up_is_missing(workspace, notifier, blocks):
    url = response_url(workspace)
    for _ in range(5):
        await notifier.respond(url, text="x", blocks=blocks)
    with pytest.raises(Missing, match="used_url"):
        await notifier.respond(url, text="x", blocks=blocks)
    assert len(workspace.ephemerals("U0QUINN")) == 5


async def test_blocks_that_a_response_url_does_not_take_are_an_upstream_error(workspace, notifier):
    with pytest.raises(UpstreamError, match="invalid_blocks"):
        await notifier.respond(response_url(workspace), text="x", blocks=[{"type": "nonsense"}])


async def test_a_response_url_of_a_broken_slack_is_unreachable(workspace, notifier, blocks):
    workspace.crash("response_url")
    with pytest.raises(Unreachable):
        await notifier.respond(response_url(workspace), text="x", blocks=blocks)


async def test_a_throttled_response_url_is_waited_out_and_not_logged(workspace, notifier, blocks):
    workspace.throttle("response_url", retry_after=1)
    url = response_url(workspace)
    with capture_logs() as logs:
        await notifier.respond(url, text="x", blocks=blocks)
    assert len(workspace.ephemerals("U0QUINN")) == 1
    assert [entry["event"] for entry in logs] == ["slack.throttled"]
    assert url.rpartition("/")[2] not in repr(logs)


async def test_a_response_url_of_another_host_is_refused_unasked(notifier, blocks):
    with pytest.raises(Denied, match="does not belong to Slack"):
        await notifier.respond("http://169.254.169.254/latest/meta-data", text="x", blocks=blocks)


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
    return workspace.api_url.replace("/api/", "/actions/") + workspace.world.response("C0INC", "U0QUINN", None)

"""The local workspace's Web API, asked by Slack's own SDK and by bare HTTP."""

import json

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack.team import BOT_USER, TEAM
from tests.worlds.clocks import Hands
from tests.worlds.slack.workspace import FullWorkspace

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}
MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": [SECTION]}


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
async def workspace(hands):
    async with FullWorkspace(clock=hands) as slack:
        slack.add_user("U0QUINN", "quinn", email="quinn@example.com")
        slack.add_channel("C0INC", "inc-1", ["U0QUINN"])
        yield slack


@pytest.fixture
def client(workspace):
    return AsyncWebClient(token=workspace.bot_token, base_url=workspace.api_url)


async def refusal(call):
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response["error"]


async def test_the_bot_learns_who_it_is(client):
    answer = await client.auth_test()
    assert (answer["user_id"], answer["team_id"]) == (BOT_USER, TEAM)
    assert (await client.bots_info(bot=answer["bot_id"]))["bot"]["user_id"] == BOT_USER


@pytest.mark.parametrize(
    ("token", "error"),
    [("xoxb-other", "invalid_auth"), ("", "not_authed"), ("xapp-sandbox-app", "not_allowed_token_type")],
)
async def test_a_token_must_be_the_right_one(workspace, token, error):
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        answer = await (await session.post(f"{workspace.api_url}auth.test")).json()
    assert answer == {"ok": False, "error": error}


async def test_an_unknown_method_is_refused(client):
    assert await refusal(client.api_call("chat.sing")) == "unknown_method"


@pytest.mark.parametrize("how", ["get", "form", "json"])
async def test_arguments_come_by_query_form_or_json(workspace, how):
    headers = {"Authorization": f"Bearer {workspace.bot_token}"}
    url, args = f"{workspace.api_url}users.info", {"user": "U0QUINN"}
    async with aiohttp.ClientSession(headers=headers) as session:
        match how:
            case "get":
                response = await session.get(url, params=args)
            case "form":
                response = await session.post(url, data=args)
            case _:
                response = await session.post(url, json=args)
        assert (await response.json())["user"]["id"] == "U0QUINN"


async def test_blocks_may_come_as_json_text_in_a_form(workspace):
    form = {"token": workspace.bot_token, "channel": "C0INC", "text": "x", "blocks": json.dumps([SECTION])}
    async with aiohttp.ClientSession() as session:
        answer = await (await session.post(f"{workspace.api_url}chat.postMessage", data=form)).json()
    assert answer["message"]["blocks"][0]["text"] == SECTION["text"]


async def test_a_body_that_is_no_json_is_refused(workspace):
    headers = {"Authorization": f"Bearer {workspace.bot_token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        answer = await (await session.post(f"{workspace.api_url}users.info", data="{")).json()
    assert answer["error"] == "invalid_json"


async def test_members_come_in_pages_that_are_short_before_the_end(workspace, client):
    crowd = [f"U{number:04}" for number in range(500)]
    workspace.add_channel("C0CROWD", "crowd", crowd)
    pages = [page["members"] async for page in await client.conversations_members(channel="C0CROWD")]
    assert [user for page in pages for user in page] == [*crowd, BOT_USER]
    assert any(len(page) < 100 for page in pages[:-1])


@pytest.mark.parametrize(
    ("args", "error"), [({"cursor": "nonsense"}, "invalid_cursor"), ({"limit": 5000}, "invalid_limit")]
)
async def test_paging_arguments_are_checked(client, args, error):
    assert await refusal(client.conversations_members(channel="C0INC", **args)) == error


async def test_a_private_channel_without_the_bot_does_not_exist_for_it(workspace, client):
    workspace.add_channel("C0SECRET", "secret", with_bot=False, is_private=True)
    assert await refusal(client.conversations_info(channel="C0SECRET")) == "channel_not_found"
    assert await refusal(client.chat_postMessage(channel="C0SECRET", text="x")) == "channel_not_found"
    listed = await client.conversations_list(types="public_channel,private_channel")
    assert [channel["id"] for channel in listed["channels"]] == ["C0INC"]


async def test_a_deactivated_user_has_no_time_zone(workspace, client):
    workspace.add_user("U0GONE", "gone", is_deleted=True, email="gone@example.com")
    user = (await client.users_info(user="U0GONE"))["user"]
    assert user["deleted"]
    assert "tz" not in user
    assert await refusal(client.users_lookupByEmail(email="gone@example.com")) == "users_not_found"


async def test_people_are_listed_with_presence_and_status(workspace, client):
    workspace.add_user("U0ELLIOTT", "elliott", presence="away", status_text="On PTO", dnd_until=1_800_003_600)
    listed = await client.users_list()
    assert {user["id"] for user in listed["members"]} == {BOT_USER, "U0QUINN", "U0ELLIOTT"}
    assert (await client.users_getPresence(user="U0ELLIOTT"))["presence"] == "away"
    assert (await client.users_profile_get(user="U0ELLIOTT"))["profile"]["status_text"] == "On PTO"
    assert (await client.dnd_info(user="U0ELLIOTT"))["next_dnd_end_ts"] == 1_800_003_600


async def test_user_groups_are_listed_with_their_users(workspace, client):
    workspace.add_usergroup("S0SRE", "sre", ["U0QUINN"])
    assert (await client.usergroups_list(include_users=True))["usergroups"][0]["users"] == ["U0QUINN"]
    assert (await client.usergroups_users_list(usergroup="S0SRE"))["users"] == ["U0QUINN"]
    assert await refusal(client.usergroups_users_list(usergroup="S0GONE")) == "no_such_subteam"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "", "blocks": [SECTION]}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        (
            {"text": "x", "blocks": [{**SECTION, "text": {"type": "mrkdwn", "text": "x" * 2800}}] * 4},
            "msg_blocks_too_long",
        ),
        ({"text": "x", "channel": "C0NONE"}, "channel_not_found"),
        ({"text": "x", "channel": "C0OTHER"}, "not_in_channel"),
        ({"text": "x", "channel": "C0OLD"}, "is_archived"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*text.* argument is missing:UserWarning")
async def test_a_message_that_slack_would_not_take_is_refused(workspace, client, args, error):
    workspace.add_channel("C0OTHER", "other", with_bot=False)
    workspace.add_channel("C0OLD", "old", is_archived=True)
    assert await refusal(client.chat_postMessage(**{"channel": "C0INC", **args})) == error
    assert workspace.messages("C0INC") == []


async def test_refused_blocks_are_explained(client):
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel="C0INC", text="x", blocks=[{"type": "nonsense"}])
    assert "json-pointer:/blocks/0/type" in caught.value.response["response_metadata"]["messages"][0]


async def test_an_update_keeps_what_was_said_before(workspace, client):
    posted = await client.chat_postMessage(channel="C0INC", text="first", blocks=[SECTION])
    await client.chat_update(channel="C0INC", ts=posted["ts"], text="second")
    message = workspace.message("C0INC", posted["ts"])
    assert (message.text, message.blocks) == ("second", ())
    assert [(version.text, len(version.blocks)) for version in message.history] == [("first", 1)]


async def test_updates_are_refused_for_what_is_gone_and_what_is_not_the_bots(workspace, client):
    said = workspace.say("U0QUINN", "C0INC", "mine")
    assert await refusal(client.chat_update(channel="C0INC", ts="1.000001", text="x")) == "message_not_found"
    assert await refusal(client.chat_update(channel="C0INC", ts=said.ts, text="x")) == "cant_update_message"
    posted = await client.chat_postMessage(channel="C0INC", text="x")
    assert await refusal(client.chat_update(channel="C0INC", ts=posted["ts"], text="x" * 4001)) == "msg_too_long"


async def test_a_deleted_message_is_gone(workspace, client):
    posted = await client.chat_postMessage(channel="C0INC", text="x")
    await client.chat_delete(channel="C0INC", ts=posted["ts"])
    assert workspace.messages("C0INC") == []


async def test_messages_are_read_newest_first_and_threads_in_order(workspace, client):
    root = workspace.say("U0QUINN", "C0INC", "one")
    workspace.say("U0QUINN", "C0INC", "two")
    workspace.say("U0QUINN", "C0INC", "reply", thread_ts=root.ts)
    history = await client.conversations_history(channel="C0INC")
    assert [message["text"] for message in history["messages"]] == ["two", "one"]
    replies = await client.conversations_replies(channel="C0INC", ts=root.ts)
    assert [message["text"] for message in replies["messages"]] == ["one", "reply"]
    later = await client.conversations_history(channel="C0INC", oldest=root.ts)
    assert [message["text"] for message in later["messages"]] == ["two"]


async def test_an_ephemeral_message_is_in_nobodys_history(workspace, client):
    await client.chat_postEphemeral(channel="C0INC", user="U0QUINN", text="psst")
    assert (await client.conversations_history(channel="C0INC"))["messages"] == []
    assert [message.text for message in workspace.ephemerals("U0QUINN")] == ["psst"]


async def test_a_message_has_a_permalink(client):
    posted = await client.chat_postMessage(channel="C0INC", text="x")
    link = await client.chat_getPermalink(channel="C0INC", message_ts=posted["ts"])
    assert link["permalink"].endswith(f"/archives/C0INC/p{posted['ts'].replace('.', '')}")
    assert await refusal(client.chat_getPermalink(channel="C0INC", message_ts="1.1")) == "message_not_found"


async def test_a_direct_message_is_opened_once(client):
    first = await client.conversations_open(users="U0QUINN")
    second = await client.conversations_open(users=["U0QUINN"])
    assert first["channel"]["id"] == second["channel"]["id"]
    assert second["already_open"]
    assert await refusal(client.conversations_open(users="U0NOBODY")) == "user_not_found"


async def test_a_file_whose_bytes_never_came_cannot_be_completed(client):
    ticket = await client.files_getUploadURLExternal(filename="a.md", length=3)
    files = [{"id": ticket["file_id"], "title": "a"}]
    assert await refusal(client.files_completeUploadExternal(files=files, channel_id="C0INC")) == "file_not_found"


async def test_several_files_are_shared_in_one_message(workspace, client):
    uploads = [{"filename": name, "content": name.encode()} for name in ("a.md", "b.json")]
    await client.files_upload_v2(channel="C0INC", file_uploads=uploads, initial_comment="both")
    [message] = await workspace.wait_for(lambda: workspace.messages("C0INC"))
    assert [shared["name"] for shared in message.files] == ["a.md", "b.json"]
    assert [upload.content for upload in workspace.files("C0INC")] == [b"a.md", b"b.json"]


async def test_a_trigger_opens_one_modal_within_three_seconds(workspace, client, hands):
    trigger = workspace.team.trigger("U0QUINN")
    hands.now += 3
    opened = await client.views_open(trigger_id=trigger, view=MODAL)
    assert await refusal(client.views_open(trigger_id=trigger, view=MODAL)) == "exchanged_trigger_id"
    view_id = opened["view"]["id"]
    updated = await client.views_update(view_id=view_id, view=MODAL, hash=opened["view"]["hash"])
    assert updated["view"]["id"] == view_id
    stale = client.views_update(view_id=view_id, view=MODAL, hash=opened["view"]["hash"])
    assert await refusal(stale) == "hash_conflict"


async def test_an_old_trigger_opens_nothing(workspace, client, hands):
    trigger = workspace.team.trigger("U0QUINN")
    hands.now += 3.1
    assert await refusal(client.views_open(trigger_id=trigger, view=MODAL)) == "expired_trigger_id"
    assert workspace.team.views == {}


async def test_a_home_tab_is_published_for_a_user(client):
    home = {"type": "home", "blocks": [SECTION]}
    assert (await client.views_publish(user_id="U0QUINN", view=home))["view"]["type"] == "home"


async def test_strict_limits_let_one_message_a_second_into_a_channel(hands):
    async with FullWorkspace(clock=hands, strict_rate=True) as slack:
        slack.add_channel("C0ONE", "one")
        slack.add_channel("C0TWO", "two")
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await client.chat_postMessage(channel="C0ONE", text="x")
        await client.chat_postMessage(channel="C0TWO", text="x")
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel="C0ONE", text="x")
        assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "1")
        hands.now += 1
        await client.chat_postMessage(channel="C0ONE", text="x")
        assert len(slack.messages("C0ONE")) == 2


async def test_strict_limits_let_fifty_updates_through_in_a_minute(hands):
    async with FullWorkspace(clock=hands, strict_rate=True) as slack:
        slack.add_channel("C0ONE", "one")
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        ts = (await client.chat_postMessage(channel="C0ONE", text="x"))["ts"]
        for number in range(50):
            await client.chat_update(channel="C0ONE", ts=ts, text=str(number))
        assert await refusal(client.chat_update(channel="C0ONE", ts=ts, text="50")) == "ratelimited"
        hands.now += 60
        await client.chat_update(channel="C0ONE", ts=ts, text="51")


async def test_trouble_ends_when_it_is_healed(workspace, client):
    workspace.refuse("users.info", "internal_error", times=None)
    assert await refusal(client.users_info(user="U0QUINN")) == "internal_error"
    workspace.heal()
    await client.users_info(user="U0QUINN")


async def test_trouble_can_begin_later_and_end_by_itself(workspace, client):
    workspace.crash("users.info", skip=1)
    await client.users_info(user="U0QUINN")
    with pytest.raises(SlackApiError):
        await client.users_info(user="U0QUINN")
    await client.users_info(user="U0QUINN")


async def test_calls_are_kept_with_their_outcome_and_without_the_token(workspace, client):
    await client.users_info(user="U0QUINN")
    await refusal(client.users_info(user="U0NOBODY"))
    assert [(call.method, call.error) for call in workspace.calls] == [
        ("users.info", None),
        ("users.info", "user_not_found"),
    ]
    assert workspace.bot_token not in repr(workspace.calls)

"""The local workspace's files and unseen marks on messages, through Slack's own SDK."""

from __future__ import annotations

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.worlds.slack.workspace import FullWorkspace

MARK = {"event_type": "tflock_export", "event_payload": {"mark": "inc-1/5f5f"}}


@pytest.fixture
async def workspace():
    async with FullWorkspace() as slack:
        slack.add_user("U0QUINN", "quinn")
        slack.add_channel("C0INC", "inc-1", ["U0QUINN"])
        slack.add_channel("C0SECRET", "inc-2", ["U0QUINN"], is_private=True)
        yield slack


@pytest.fixture
def client(workspace):
    return AsyncWebClient(token=workspace.bot_token, base_url=workspace.api_url)


@pytest.mark.parametrize(("channel", "kind"), [("C0INC", "public"), ("C0SECRET", "private")])
async def test_a_file_is_known_once_it_is_complete_and_shared_some_moments_later(workspace, client, channel, kind):
    answer = await client.files_upload_v2(channel=channel, filename="a.md", content="a")
    file_id = answer["file"]["id"]

    async def shares():
        return (await client.files_info(file=file_id))["file"]["shares"]

    shared = await workspace.wait_for(shares)
    [message] = workspace.messages(channel)
    assert shared == {kind: {channel: [{"ts": message.ts}]}}


async def test_a_file_that_was_not_completed_is_not_found(client):
    place = await client.files_getUploadURLExternal(filename="a.md", length=1)
    with pytest.raises(SlackApiError, match="file_not_found"):
        await client.files_info(file=place["file_id"])


async def test_metadata_is_shown_to_those_who_ask_for_it_and_outlives_an_update(workspace, client):
    posted = await client.chat_postMessage(channel="C0INC", text="export", metadata=MARK)
    await client.chat_update(channel="C0INC", ts=posted["ts"], text="outdated")

    asked = await client.conversations_history(channel="C0INC", include_all_metadata=True)
    plain = await client.conversations_history(channel="C0INC")

    assert asked["messages"][0]["metadata"] == MARK
    assert "metadata" not in plain["messages"][0]


@pytest.mark.parametrize(
    "metadata", [{"event_payload": {}}, {"event_type": "x"}, {"event_type": "x", "event_payload": 1}]
)
async def test_metadata_of_another_shape_is_refused(client, metadata):
    with pytest.raises(SlackApiError, match="invalid_metadata_format"):
        await client.chat_postMessage(channel="C0INC", text="export", metadata=metadata)

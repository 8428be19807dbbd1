"""What the stand-in for dialogs promises, put to it and to its real counterpart side by side."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bot.errors import UpstreamError
from bot.slack.client import slack_client
from bot.slack.messenger import SlackMessenger
from tests.worlds.memory.messenger import MemoryMessenger
from tests.worlds.slack.workspace import FullWorkspace

BLOCKS = [{"type": "divider"}]
MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "first"}, "blocks": BLOCKS}
HOME = {"type": "home", "blocks": BLOCKS}


@asynccontextmanager
async def in_slack():
    async with FullWorkspace(clock=time.time) as slack, aiohttp.ClientSession() as session:
        slack.add_user("U0QUINN", "quinn")
        messenger = SlackMessenger(slack_client(slack.bot_token, base_url=slack.api_url, session=session))
        yield messenger, lambda: slack.team.trigger("U0QUINN"), slack.team.views.get


@asynccontextmanager
async def in_memory():
    messenger = MemoryMessenger()
    triggers = iter("abcdef")

    def shown(view_id):
        return messenger.dialogs.get(view_id) or messenger.homes.get(view_id.removeprefix("VHOME"))

    yield messenger, lambda: next(triggers), shown


@pytest.fixture(params=[in_slack, in_memory], ids=["slack", "memory"])
async def stage(request):
    async with request.param() as made:
        yield made


async def test_a_dialog_is_opened_and_shows_what_it_was_changed_to(stage):
    messenger, trigger, shown = stage
    first, second = await messenger.open_dialog(trigger(), MODAL), await messenger.open_dialog(trigger(), MODAL)
    assert first != second
    await messenger.update_dialog(second, {**MODAL, "callback_id": "other"})
    assert shown(second)["callback_id"] == "other"


async def test_a_dialog_that_is_not_there_cannot_be_changed(stage):
    messenger, _, _ = stage
    with pytest.raises(UpstreamError):
        await messenger.update_dialog("V0GONE", MODAL)


async def test_a_home_tab_is_replaced(stage):
    messenger, _, shown = stage
    await messenger.publish_home("U0QUINN", HOME)
    await messenger.publish_home("U0QUINN", {**HOME, "callback_id": "later"})
    assert shown("VHOMEU0QUINN")["callback_id"] == "later"

"""The adapter for dialogs and home tabs, over HTTP against the local workspace."""

from __future__ import annotations

import pytest

from bot.errors import Denied, Rejected, Throttled, Unreachable, UpstreamError

MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": [{"type": "divider"}]}


async def test_a_dialog_is_opened_and_changed(workspace, messenger):
    view_id = await messenger.open_dialog(workspace.team.trigger("U0QUINN"), MODAL)
    await messenger.update_dialog(view_id, {**MODAL, "callback_id": "second"})
    (view,) = workspace.dialogs("U0QUINN")
    assert (view["id"], view["callback_id"]) == (view_id, "second")


async def test_a_home_tab_is_shown(workspace, messenger):
    await messenger.publish_home("U0QUINN", {"type": "home", "blocks": [{"type": "divider"}]})
    assert workspace.team.views["VHOMEU0QUINN"]["type"] == "home"


async def test_an_old_trigger_a_closed_dialog_and_a_bad_view_are_refusals_of_slack(workspace, messenger):
    trigger = workspace.team.trigger("U0QUINN")
    workspace.team.triggers[trigger].made_at -= 4
    with pytest.raises(UpstreamError, match="opening a dialog: expired_trigger_id") as refused:
        await messenger.open_dialog(trigger, MODAL)
    assert type(refused.value) is Rejected
    with pytest.raises(UpstreamError, match="not_found"):
        await messenger.update_dialog("V0GONE", MODAL)
    with pytest.raises(UpstreamError, match="invalid_arguments"):
        await messenger.publish_home("U0QUINN", MODAL)
    assert workspace.team.views == {}


async def test_trouble_with_slack_is_told_apart_and_never_shows_the_token(workspace, messenger):
    home = {"type": "home", "blocks": [{"type": "divider"}]}
    workspace.crash("views.publish")
    with pytest.raises(Unreachable):
        await messenger.publish_home("U0QUINN", home)
    workspace.throttle("views.publish", retry_after=100)
    with pytest.raises(Throttled):
        await messenger.publish_home("U0QUINN", home)
    workspace.refuse("views.publish", "missing_scope", needed="chat:write")
    with pytest.raises(Denied) as denied:
        await messenger.publish_home("U0QUINN", home)
    assert workspace.bot_token not in repr(denied.value)
    assert denied.value.__cause__ is None

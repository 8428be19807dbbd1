"""What Slack sends to an app beside commands, clicks in messages and events of channels, in Slack's shapes.

Source: docs.slack.dev/reference/interaction-payloads and docs.slack.dev/reference/events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.payloads import origin
from bot.sandbox.slack.reading import message_shown
from bot.sandbox.slack.team import APP, Json, Team, TeamMessage


def shortcut(team: Team, *, user: str, message: TeamMessage, callback_id: str, response_url: str) -> Json:
    """A message shortcut."""
    return {
        "type": "message_action",
        "callback_id": callback_id,
        "action_ts": team.stamp(),
        "message_ts": message.ts,
        "message": message.shown(),
        **origin(team, user, message.channel, response_url),
    }


def global_shortcut(team: Team, *, user: str, callback_id: str) -> Json:
    """A global shortcut (docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload): no channel, no
    response URL.
    """
    return {
        "type": "shortcut",
        "callback_id": callback_id,
        "action_ts": team.stamp(),
        **origin(team, user, None, None),
    }


def view_action(team: Team, *, user: str, view: Mapping[str, Any], action: Mapping[str, Any]) -> Json:
    """A click in a dialog or on a home tab: it has neither a channel nor a response URL."""
    return {
        "type": "block_actions",
        "container": {"type": "view", "view_id": view["id"]},
        **origin(team, user, None, None),
        "view": dict(view),
        "actions": [{**action, "action_ts": team.stamp()}],
    }


def home_opened(user: str, view: Mapping[str, Any] | None, *, tab: str, channel: str) -> Json:
    """docs.slack.dev/reference/events/app_home_opened: with the view that stands there, if one was ever published."""
    told = {"type": "app_home_opened", "user": user, "channel": channel, "tab": tab}
    return told | ({"view": dict(view)} if view is not None and tab == "home" else {})


def function_executed(team: Team, *, execution: str, callback_id: str, inputs: Mapping[str, Any], token: str) -> Json:
    """docs.slack.dev/reference/events/function_executed: it does not say who has started the workflow."""
    function = {
        "id": "Fn0SANDBOX",
        "callback_id": callback_id,
        "title": callback_id,
        "type": "app",
        "input_parameters": [],
        "output_parameters": [],
        "app_id": APP,
        "date_created": 1694727597,
        "date_updated": 1698947481,
        "date_deleted": 0,
    }
    return {
        "type": "function_executed",
        "function": function,
        "inputs": dict(inputs),
        "function_execution_id": execution,
        "workflow_execution_id": team.fresh("Wx"),
        "bot_access_token": token,
    }


def submission(team: Team, *, user: str, view: Mapping[str, Any], values: Json) -> Json:
    """A modal's submit button."""
    return {
        "type": "view_submission",
        **origin(team, user, None, None),
        "view": {**view, "state": {"values": values}},
        "response_urls": [],
    }


def closing(team: Team, *, user: str, view: Mapping[str, Any], is_cleared: bool) -> Json:
    """A modal that was closed without being sent. It gives no trigger."""
    told = {key: value for key, value in origin(team, user, None, None).items() if key != "trigger_id"}
    return {"type": "view_closed", **told, "view": dict(view), "is_cleared": is_cleared}


def changed(team: Team, message: TeamMessage, before: Json) -> Json:
    """An edit, or a stone put in place (docs.slack.dev/reference/events/message/message_changed)."""
    now = message_shown(team, message)
    told = {"message": now, "previous_message": before, "channel": message.channel, "hidden": True}
    return {"type": "message", "subtype": "message_changed", "ts": team.stamp(), **told}


def deleted(team: Team, message: TeamMessage, before: Json) -> Json:
    """A deletion that leaves nothing (docs.slack.dev/reference/events/message/message_deleted)."""
    told = {"deleted_ts": message.ts, "previous_message": before, "channel": message.channel, "hidden": True}
    return {"type": "message", "subtype": "message_deleted", "ts": team.stamp(), **told}

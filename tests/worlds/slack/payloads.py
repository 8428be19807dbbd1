"""What Slack sends to an app when messages change and workflows come to its steps (docs.slack.dev/reference/events)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.reading import message_shown
from bot.sandbox.slack.team import APP, Json, Team, TeamMessage


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


def changed(team: Team, message: TeamMessage, before: Json) -> Json:
    """An edit, or a stone put in place (docs.slack.dev/reference/events/message/message_changed)."""
    now = message_shown(team, message)
    told = {"message": now, "previous_message": before, "channel": message.channel, "hidden": True}
    return {"type": "message", "subtype": "message_changed", "ts": team.stamp(), **told}


def deleted(team: Team, message: TeamMessage, before: Json) -> Json:
    """A deletion that leaves nothing (docs.slack.dev/reference/events/message/message_deleted)."""
    told = {"deleted_ts": message.ts, "previous_message": before, "channel": message.channel, "hidden": True}
    return {"type": "message", "subtype": "message_deleted", "ts": team.stamp(), **told}

"""A dialog as its user fills it in and sends it, and what the bot's answer does to it.

Source: docs.slack.dev/surfaces/modals and reference/interaction-payloads/view-interactions-payload.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.team import Json, Team, elements
from bot.sandbox.slack.views import checked, closed, replaced, stacked


def take_answer(team: Team, user: str, view_id: str, body: str) -> None:
    """Does what the bot's answer to a sent dialog says; an empty one closes it.

    Raises LookupError for an answer that Slack would not understand.
    """
    answer: Mapping[str, Any] = json.loads(body) if body.startswith("{") else {}
    match answer.get("response_action"):
        case None:
            closed(team, user, view_id)
        case "clear":
            closed(team, user, view_id, whole_stack=True)
        case "update":
            replaced(team, team.views[view_id], checked(team, answer["view"], "modal"))
        case "push":
            stacked(team, checked(team, answer["view"], "modal"), team.fresh("V"), user=user, below=view_id)
        case "errors":
            _check_errors(team.views[view_id], answer["errors"])
        case other:
            raise LookupError(f"Slack knows no response_action {other!r}")


def values_of(view: Mapping[str, Any], filled: Mapping[str, str | None]) -> Json:
    """`state.values` of a dialog as its user has filled it in, by action id; the rest is as it was shown.

    Raises LookupError for an input that it does not have, or that must be filled in and is not: Slack itself would not
    send that.
    """
    values: Json = {}
    unknown = set(filled)
    for block in view["blocks"]:
        for element in elements(block) if block["type"] == "input" else ():
            action_id = element["action_id"]
            unknown.discard(action_id)
            name, initial = _VALUES[element["type"]]
            value = filled[action_id] if action_id in filled else element.get(initial)
            _check_filled(block, element, value)
            values.setdefault(block["block_id"], {})[action_id] = {"type": element["type"], name: value or None}
    if unknown:
        raise LookupError(f"the dialog has no {', '.join(sorted(unknown))}")
    return values


_VALUES = {
    "plain_text_input": ("value", "initial_value"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "users_select": ("selected_user", "initial_user"),
}


def _check_filled(block: Mapping[str, Any], element: Mapping[str, Any], value: str | None) -> None:
    if not value and not block.get("optional"):
        raise LookupError(f"{element['action_id']} must be filled in")
    if value and len(value) > element.get("max_length", 3000):
        raise LookupError(f"{element['action_id']} takes {element.get('max_length', 3000)} characters")


def _check_errors(view: Mapping[str, Any], errors: Mapping[str, str]) -> None:
    """Slack shows an error only beside an input block that is there."""
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    if not errors or not set(errors) <= inputs:
        raise LookupError(f"the dialog has no input block for {', '.join(sorted(set(errors) - inputs)) or 'any error'}")

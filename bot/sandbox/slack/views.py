"""Dialogs and home tabs of the local workspace: `views.*`, the stack of dialogs that a user has open, what is sent.

Source: docs.slack.dev/reference/methods/views.open (update, push, publish), reference/views and surfaces/modals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.blocks import view_faults
from bot.sandbox.slack.methods import Args, Method, Refused, user_of
from bot.sandbox.slack.world import APP, BOT, TEAM, TRIGGER_SECONDS, Json, World, elements

MOST_BYTES = 250 * 1024
MOST_STACKED = 3
"""A dialog, and two that are pushed upon it."""


def open_view(world: World, args: Args) -> Json:
    user = _user_of_trigger(world, args)
    if not user:
        raise Refused("invalid_trigger_id")
    view = _read(args, kind="modal")
    return {"view": _kept(world, view, world.fresh("V"), user=user, below=None)}


def push_view(world: World, args: Args) -> Json:
    """Only what happens in an open dialog gives a trigger that pushes another upon it."""
    user = _user_of_trigger(world, args)
    below = world.stacks.get(user, [])
    if not below:
        raise Refused("not_found")
    if len(below) >= MOST_STACKED:
        raise Refused("push_limit_reached")
    view = _read(args, kind="modal")
    return {"view": _kept(world, view, world.fresh("V"), user=user, below=below[-1])}


def update_view(world: World, args: Args) -> Json:
    known = world.views.get(str(args.get("view_id"))) or _by_external_id(world, args.get("external_id"))
    if known is None:
        raise Refused("not_found")
    if args.get("hash") not in (None, "", known["hash"]):
        raise Refused("hash_conflict")
    return {"view": replaced(world, known, _read(args, kind=known["type"]))}


def publish_view(world: World, args: Args) -> Json:
    user = user_of(world, args.get("user_id"))
    view_id = home_id(user.id)
    known = world.views.get(view_id)
    if known is not None and args.get("hash") not in (None, "", known["hash"]):
        raise Refused("hash_conflict")
    view = _read(args, kind="home")
    world.views[view_id] = _shown(world, view, view_id, root=view_id, below=None)
    return {"view": world.views[view_id]}


def home_id(user: str) -> str:
    """The id of the user's home tab."""
    return f"VHOME{user}"


def replaced(world: World, known: Json, view: Json) -> Json:
    """The dialog with other content, at its place in the stack."""
    shown = _shown(world, view, known["id"], root=known["root_view_id"], below=known["previous_view_id"])
    world.views[known["id"]] = shown
    return shown


def closed(world: World, user: str, view_id: str, *, whole_stack: bool = False) -> list[Json]:
    """Takes a dialog off the user's stack, with `whole_stack` all of them; those that were taken, the top first."""
    stack = world.stacks.get(user, [])
    gone = stack[::-1] if whole_stack else [one for one in stack if one == view_id]
    world.stacks[user] = [one for one in stack if one not in gone]
    return [world.views.pop(one) for one in gone]


def answered(world: World, user: str, view_id: str, body: str) -> None:
    """Does what the bot's answer to a sent dialog says; an empty one closes it.

    Raises LookupError for an answer that Slack would not understand.
    """
    answer: Mapping[str, Any] = json.loads(body) if body.startswith("{") else {}
    match answer.get("response_action"):
        case None:
            closed(world, user, view_id)
        case "clear":
            closed(world, user, view_id, whole_stack=True)
        case "update":
            replaced(world, world.views[view_id], _checked(answer["view"], "modal"))
        case "push":
            _kept(world, _checked(answer["view"], "modal"), world.fresh("V"), user=user, below=view_id)
        case "errors":
            _check_errors(world.views[view_id], answer["errors"])
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


def _user_of_trigger(world: World, args: Args) -> str:
    """Whose trigger it is. Each is good for one dialog, and for three seconds."""
    trigger = world.triggers.get(str(args.get("trigger_id")))
    if trigger is None:
        raise Refused("invalid_trigger_id")
    if world.clock() - trigger.made_at > TRIGGER_SECONDS:
        raise Refused("expired_trigger_id")
    if trigger.is_used:
        raise Refused("exchanged_trigger_id")
    trigger.is_used = True
    return trigger.user


def _read(args: Args, *, kind: str) -> Json:
    given = args.get("view")
    try:
        view = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise Refused("invalid_arguments") from None
    return _checked(view, kind)


def _checked(view: Any, kind: str) -> Json:
    if len(json.dumps(view)) > MOST_BYTES:
        raise Refused("view_too_large")
    if faults := view_faults(view, kind=kind):
        raise Refused("invalid_arguments", response_metadata={"messages": faults})
    return dict(view)


def _by_external_id(world: World, external_id: Any) -> Json | None:
    if not external_id:
        return None
    return next((view for view in world.views.values() if view["external_id"] == external_id), None)


def _kept(world: World, view: Json, view_id: str, *, user: str, below: str | None) -> Json:
    if view.get("external_id") and _by_external_id(world, view["external_id"]):
        raise Refused("duplicate_external_id")
    if below is None:
        closed(world, user, "", whole_stack=True)
    root = view_id if below is None else world.views[below]["root_view_id"]
    world.views[view_id] = _shown(world, view, view_id, root=root, below=below)
    world.stacks.setdefault(user, []).append(view_id)
    return world.views[view_id]


def _shown(world: World, view: Json, view_id: str, *, root: str, below: str | None) -> Json:
    """The view as Slack's answers and payloads show it."""
    usual: Json = {"callback_id": "", "private_metadata": "", "external_id": "", "state": {"values": {}}}
    usual |= {"clear_on_close": False, "notify_on_close": False}
    own = {
        "id": view_id,
        "team_id": TEAM,
        "app_id": APP,
        "bot_id": BOT,
        "hash": world.fresh("h"),
        "root_view_id": root,
        "previous_view_id": below,
        "blocks": list(world.identified(view.get("blocks", []))),
    }
    return usual | view | own


VIEWS: Mapping[str, Method] = {
    "views.open": open_view,
    "views.push": push_view,
    "views.update": update_view,
    "views.publish": publish_view,
}

"""Dialogs and home tabs of the local workspace: `views.*`, the stack of dialogs that a user has open, what is sent.

Source: docs.slack.dev/reference/methods/views.open (update, push, publish), reference/views and surfaces/modals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.call import ApiError, Args, Method, user_of
from bot.sandbox.slack.team import APP, BOT, TEAM, TRIGGER_SECONDS, Json, Team

MOST_BYTES = 250 * 1024


def open_view(team: Team, args: Args) -> Json:
    user = user_of_trigger(team, args)
    if not user:
        raise ApiError("invalid_trigger_id")
    view = view_in(team, args, kind="modal")
    return {"view": stacked(team, view, team.fresh("V"), user=user, below=None)}


def update_view(team: Team, args: Args) -> Json:
    known = team.views.get(str(args.get("view_id"))) or _by_external_id(team, args.get("external_id"))
    if known is None:
        raise ApiError("not_found")
    if args.get("hash") not in (None, "", known["hash"]):
        raise ApiError("hash_conflict")
    return {"view": replaced(team, known, view_in(team, args, kind=known["type"]))}


def publish_view(team: Team, args: Args) -> Json:
    user = user_of(team, args.get("user_id"))
    view_id = home_id(user.id)
    known = team.views.get(view_id)
    if known is not None and args.get("hash") not in (None, "", known["hash"]):
        raise ApiError("hash_conflict")
    view = view_in(team, args, kind="home")
    team.views[view_id] = _shown(team, view, view_id, root=view_id, below=None)
    return {"view": team.views[view_id]}


def home_id(user: str) -> str:
    return f"VHOME{user}"


def replaced(team: Team, known: Json, view: Json) -> Json:
    """The dialog with other content, at its place in the stack."""
    shown = _shown(team, view, known["id"], root=known["root_view_id"], below=known["previous_view_id"])
    team.views[known["id"]] = shown
    return shown


def closed(team: Team, user: str, view_id: str, *, whole_stack: bool = False) -> list[Json]:
    """Takes a dialog off the user's stack, with `whole_stack` all of them; those that were taken, the top first."""
    stack = team.stacks.get(user, [])
    gone = stack[::-1] if whole_stack else [one for one in stack if one == view_id]
    team.stacks[user] = [one for one in stack if one not in gone]
    return [team.views.pop(one) for one in gone]


def user_of_trigger(team: Team, args: Args) -> str:
    """Whose trigger it is. Each is good for one dialog, and for three seconds."""
    trigger = team.triggers.get(str(args.get("trigger_id")))
    if trigger is None:
        raise ApiError("invalid_trigger_id")
    if team.clock() - trigger.made_at > TRIGGER_SECONDS:
        raise ApiError("expired_trigger_id")
    if trigger.is_used:
        raise ApiError("exchanged_trigger_id")
    trigger.is_used = True
    return trigger.user


def view_in(team: Team, args: Args, *, kind: str) -> Json:
    given = args.get("view")
    try:
        view = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise ApiError("invalid_arguments") from None
    return checked(team, view, kind)


def checked(team: Team, view: Any, kind: str) -> Json:
    if len(json.dumps(view)) > MOST_BYTES:
        raise ApiError("view_too_large")
    team.check(view, kind)
    return dict(view)


def _by_external_id(team: Team, external_id: Any) -> Json | None:
    if not external_id:
        return None
    return next((view for view in team.views.values() if view["external_id"] == external_id), None)


def stacked(team: Team, view: Json, view_id: str, *, user: str, below: str | None) -> Json:
    if view.get("external_id") and _by_external_id(team, view["external_id"]):
        raise ApiError("duplicate_external_id")
    if below is None:
        closed(team, user, "", whole_stack=True)
    root = view_id if below is None else team.views[below]["root_view_id"]
    team.views[view_id] = _shown(team, view, view_id, root=root, below=below)
    team.stacks.setdefault(user, []).append(view_id)
    return team.views[view_id]


def _shown(team: Team, view: Json, view_id: str, *, root: str, below: str | None) -> Json:
    """The view as Slack's answers and payloads show it."""
    usual: Json = {"callback_id": "", "private_metadata": "", "external_id": "", "state": {"values": {}}}
    usual |= {"clear_on_close": False, "notify_on_close": False}
    own = {
        "id": view_id,
        "team_id": TEAM,
        "app_id": APP,
        "bot_id": BOT,
        "hash": team.fresh("h"),
        "root_view_id": root,
        "previous_view_id": below,
        "blocks": list(team.identified(view.get("blocks", []))),
    }
    return usual | view | own


VIEWS: Mapping[str, Method] = {
    "views.open": open_view,
    "views.update": update_view,
    "views.publish": publish_view,
}

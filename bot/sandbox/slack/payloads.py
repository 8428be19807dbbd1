"""What Slack sends to an app, in Slack's shapes (docs.slack.dev/reference/interaction-payloads)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.team import APP, BOT_USER, DOMAIN, TEAM, Json, Team, TeamMessage, elements, nested

TOKEN = "sandbox-verification-token"


def command(team: Team, *, user: str, channel: str, command_name: str, text: str, response_url: str) -> Json:
    """A slash command's form fields."""
    return {
        "token": TOKEN,
        "team_id": TEAM,
        "team_domain": DOMAIN,
        "channel_id": channel,
        "channel_name": _channel_name(team, channel),
        "user_id": user,
        "user_name": _user_name(team, user),
        "command": command_name,
        "text": escaped(team, text),
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": team.trigger(user),
    }


def escaped(team: Team, text: str) -> str:
    """A command's text under `should_escape`: people and channels arrive with their ids, URLs as links."""
    people = {user.name: f"<@{user.id}|{user.name}>" for user in team.users.values()}
    channels = {place.name: f"<#{place.id}|{place.name}>" for place in team.places.values() if place.name}
    text = re.sub(r"(?<!\S|<)@([\w.-]+)", lambda match: people.get(match[1], match[0]), text)
    return linked(re.sub(r"(?<!\S|<)#([\w-]+)", lambda match: channels.get(match[1], match[0]), text))


def linked(text: str) -> str:
    """A typed text with its bare URLs in angle brackets, as Slack passes them on."""
    return re.sub(r"(?<![<|\w])https?://[^\s<>|]+", r"<\g<0>>", text)


def block_action(
    team: Team, *, user: str, message: TeamMessage, action: Mapping[str, Any], values: Json, response_url: str
) -> Json:
    """A click in a message. An ephemeral message is not repeated in it."""
    return {
        "type": "block_actions",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": message.to is not None,
            **({"thread_ts": message.thread_ts} if message.thread_ts else {}),
        },
        **origin(team, user, message.channel, response_url),
        "state": {"values": values},
        "actions": [{**action, "action_ts": team.stamp()}],
        **({} if message.to else {"message": message.shown()}),
    }


def shortcut(team: Team, *, user: str, message: TeamMessage, callback_id: str, response_url: str) -> Json:
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
    """docs.slack.dev/reference/events/app_home_opened: with the view that is there, if one was ever published."""
    told = {"type": "app_home_opened", "user": user, "channel": channel, "tab": tab}
    return told | ({"view": dict(view)} if view is not None and tab == "home" else {})


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


def event(team: Team, inner: Mapping[str, Any]) -> Json:
    """The Events API's envelope."""
    return {
        "token": TOKEN,
        "team_id": TEAM,
        "api_app_id": APP,
        "event": {"event_ts": team.stamp(), **inner},
        "type": "event_callback",
        "event_id": team.fresh("Ev"),
        "event_time": int(team.clock()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": team.fresh("EC"),
    }


def reaction(message: TeamMessage, user: str, name: str, *, added: bool) -> Json:
    """docs.slack.dev/reference/events/reaction_added: it names no thread."""
    item = {"type": "message", "channel": message.channel, "ts": message.ts}
    kind = "reaction_added" if added else "reaction_removed"
    return {"type": kind, "user": user, "reaction": name, "item_user": message.user, "item": item}


def acted(block_id: str, element: Mapping[str, Any], chosen: str | None) -> Json:
    """What `actions[]` says of an element. Raises LookupError if the choice is none of a select's options."""
    action: Json = {
        key: element[key] for key in ("type", "action_id", "text", "value", "style", "confirm") if key in element
    }
    action["block_id"] = block_id
    match element["type"]:
        case "static_select":
            action["selected_option"] = option(element, chosen)
            action["placeholder"] = element.get("placeholder")
        case "users_select":
            action["selected_user"] = chosen
        case "overflow":
            action["selected_option"] = option(element, chosen)
        case _:
            pass
    return action


def option(element: Mapping[str, Any], value: str | None) -> Json:
    grouped = [item for group in element.get("option_groups", ()) for item in group["options"]]
    for item in [*element.get("options", ()), *grouped]:
        if item["value"] == value:
            return dict(item)
    raise LookupError(f"{element.get('action_id')!r} has no option {value!r}")


def state(message: TeamMessage, selected: Mapping[str, str]) -> Json:
    """`state.values`: what the selects of a message show, by block and action. `selected` maps action ids to values."""
    values: Json = {}
    for block in nested(message.blocks):
        for element in elements(block):
            if element["type"] in ("static_select", "users_select"):
                shown = _selection(element, selected.get(element["action_id"]))
                values.setdefault(block["block_id"], {})[element["action_id"]] = shown
    return values


def _selection(element: Json, value: str | None) -> Json:
    if element["type"] == "users_select":
        return {"type": "users_select", "selected_user": value or element.get("initial_user")}
    chosen = option(element, value) if value is not None else element.get("initial_option")
    return {"type": "static_select", "selected_option": chosen}


def origin(team: Team, user: str, channel: str | None, response_url: str | None) -> Json:
    view: Json = {
        "user": {
            "id": user,
            "username": _user_name(team, user),
            "name": _user_name(team, user),
            "team_id": team.users[user].team if user in team.users else TEAM,
        },
        "api_app_id": APP,
        "token": TOKEN,
        "trigger_id": team.trigger(user),
        "team": {"id": TEAM, "domain": DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    if channel:
        view["channel"] = {"id": channel, "name": _channel_name(team, channel)}
    return view | ({"response_url": response_url} if response_url else {})


def _user_name(team: Team, user: str) -> str:
    return team.users[user].name if user in team.users else user


def _channel_name(team: Team, channel: str) -> str:
    place = team.places.get(channel)
    if place is None:
        return channel
    if place.direct_to:
        return "directmessage"
    return "privategroup" if place.is_private else place.name

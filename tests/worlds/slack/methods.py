"""The methods of Slack's Web API that the demo's bot never calls."""

from __future__ import annotations

from collections.abc import Mapping

from bot.sandbox.slack.call import ApiError, Args, Method, PageSize, paged, truthy
from bot.sandbox.slack.shapes import place_shown, user_shown
from bot.sandbox.slack.team import APP, BOT, BOT_NAME, BOT_USER, TEAM, Json, Place, Team
from bot.sandbox.slack.views import stacked, user_of_trigger, view_in
from bot.sandbox.slack.writing import message_of

MOST_STACKED = 3
"""A dialog, and two that are pushed upon it."""


def api_test(_world: Team, args: Args) -> Json:
    return {"args": dict(args)}


def bots_info(_world: Team, args: Args) -> Json:
    if args.get("bot") not in (None, BOT):
        raise ApiError("bot_not_found")
    return {"bot": {"id": BOT, "deleted": False, "name": BOT_NAME, "app_id": APP, "user_id": BOT_USER}}


def conversations_list(team: Team, args: Args) -> Json:
    kinds = str(args.get("types") or "public_channel").split(",")
    archived_too = not truthy(args.get("exclude_archived"))
    seen = [place for place in team.places.values() if not place.is_private or BOT_USER in place.members]
    chosen = [place for place in seen if _kind(place) in kinds and (archived_too or not place.is_archived)]
    page, metadata = paged(chosen, args, PageSize())
    return {"channels": [place_shown(place) for place in page], **metadata}


def _kind(place: Place) -> str:
    if place.direct_to:
        return "im"
    return "private_channel" if place.is_private else "public_channel"


def users_list(team: Team, args: Args) -> Json:
    page, metadata = paged(list(team.users.values()), args, PageSize())
    return {"members": [user_shown(user, team) for user in page], "cache_ts": int(team.clock()), **metadata}


def usergroups_list(team: Team, args: Args) -> Json:
    groups = [
        {"id": group.id, "team_id": TEAM, "is_usergroup": True, "name": group.handle, "handle": group.handle}
        | ({"users": list(group.users)} if truthy(args.get("include_users")) else {})
        for group in team.groups.values()
    ]
    return {"usergroups": groups}


def usergroups_users(team: Team, args: Args) -> Json:
    group = team.groups.get(str(args.get("usergroup")))
    if group is None:
        raise ApiError("no_such_subteam")
    return {"users": list(group.users)}


def delete(team: Team, args: Args) -> Json:
    place, message = message_of(team, args)
    if message.user != BOT_USER:
        raise ApiError("cant_delete_message")
    message.is_deleted = True
    return {"channel": place.id, "ts": message.ts}


def push_view(team: Team, args: Args) -> Json:
    """Only what happens in an open dialog gives a trigger that pushes another upon it."""
    user = user_of_trigger(team, args)
    below = team.stacks.get(user, [])
    if not below:
        raise ApiError("not_found")
    if len(below) >= MOST_STACKED:
        raise ApiError("push_limit_reached")
    view = view_in(team, args, kind="modal")
    return {"view": stacked(team, view, team.fresh("V"), user=user, below=below[-1])}


METHODS: Mapping[str, Method] = {
    "api.test": api_test,
    "bots.info": bots_info,
    "conversations.list": conversations_list,
    "users.list": users_list,
    "usergroups.list": usergroups_list,
    "usergroups.users.list": usergroups_users,
    "chat.delete": delete,
    "views.push": push_view,
}

"""Slack's Web API for people and the places where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.sandbox.slack.call import ApiError, Args, Method, PageSize, paged, place_of, truthy, user_of
from bot.sandbox.slack.shapes import place_shown, profile_shown, user_shown
from bot.sandbox.slack.team import BOT, BOT_NAME, BOT_USER, DOMAIN, TEAM, Json, Team


def auth_test(team: Team, _args: Args) -> Json:
    answer: Json = {
        "url": f"https://{DOMAIN}.slack.com/",
        "team": DOMAIN,
        "user": BOT_NAME,
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": False,
    }
    return answer | ({"enterprise_id": team.enterprise} if team.enterprise else {})


def conversations_info(team: Team, args: Args) -> Json:
    place = place_of(team, args.get("channel"))
    count = {"num_members": len(place.members)} if truthy(args.get("include_num_members")) else {}
    return {"channel": place_shown(place) | count}


def conversations_members(team: Team, args: Args) -> Json:
    members, metadata = paged(place_of(team, args.get("channel")).members, args, PageSize())
    return {"members": list(members), **metadata}


def conversations_open(team: Team, args: Args) -> Json:
    ids = [user for user in str(args.get("users") or "").split(",") if user]
    if not ids:
        raise ApiError("no_users" if not args.get("channel") else "method_not_supported_for_channel_type")
    if len(ids) > 1:
        raise ApiError("method_not_supported_for_channel_type")
    if user_of(team, ids[0]).is_deleted:
        raise ApiError("user_disabled")
    known = any(place.direct_to == ids[0] for place in team.places.values())
    place = team.direct(ids[0])
    return {"channel": {"id": place.id}, **({"no_op": True, "already_open": True} if known else {})}


def users_info(team: Team, args: Args) -> Json:
    return {"user": user_shown(user_of(team, args.get("user")), team)}


def users_presence(team: Team, args: Args) -> Json:
    return {"presence": user_of(team, args.get("user")).presence}


def users_profile(team: Team, args: Args) -> Json:
    """A status that has expired is gone."""
    user = user_of(team, args.get("user"))
    if user.status_until and user.status_until <= team.clock():
        user = replace(user, status_text="", status_emoji="", status_until=0)
    return {"profile": profile_shown(user)}


def users_by_email(team: Team, args: Args) -> Json:
    wanted = str(args.get("email") or "").casefold()
    for user in team.users.values():
        if user.email and user.email.casefold() == wanted and not user.is_deleted:
            return {"user": user_shown(user, team)}
    raise ApiError("users_not_found")


def dnd_info(team: Team, args: Args) -> Json:
    """Another user's snooze is shown only as their do-not-disturb window."""
    user = user_of(team, args.get("user"))
    if not user.dnd_until:
        return {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}
    return {"dnd_enabled": True, "next_dnd_start_ts": int(team.clock()) - 60, "next_dnd_end_ts": user.dnd_until}


PEOPLE: Mapping[str, Method] = {
    "auth.test": auth_test,
    "conversations.info": conversations_info,
    "conversations.members": conversations_members,
    "conversations.open": conversations_open,
    "users.info": users_info,
    "users.getPresence": users_presence,
    "users.profile.get": users_profile,
    "users.lookupByEmail": users_by_email,
    "dnd.info": dnd_info,
}

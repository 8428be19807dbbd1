"""Slack's Web API for people and places: what each method reads, answers and refuses.

Shapes and errors follow docs.slack.dev/reference/methods. A method takes its arguments and gives its answer without
`ok`; it raises Refused for an answer of `"ok": false`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bot.sandbox.slack.shapes import place_shown, profile_shown, user_shown
from bot.sandbox.slack.team import (
    APP,
    BOT,
    BOT_NAME,
    BOT_USER,
    DOMAIN,
    SLACKBOT,
    TEAM,
    Json,
    Message,
    Place,
    Team,
    User,
)

T = TypeVar("T")
Args = Mapping[str, Any]
Method = Callable[[Team, Args], Json]


class Refused(Exception):
    """Slack's `"ok": false`. `facts` are further fields of the answer."""

    def __init__(self, error: str, **facts: Any) -> None:
        super().__init__(error)
        self.error = error
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Page:
    """How a collection is cut: the size if the caller names none, and the largest that he may name."""

    usual: int = 100
    most: int = 1000


def place_of(team: Team, channel: Any) -> Place:
    """The place that the bot may know of. A private channel that it is not in does not exist for it."""
    place = team.places.get(str(channel))
    if place is None or (place.is_private and BOT_USER not in place.members):
        raise Refused("channel_not_found")
    return place


def writable(team: Team, channel: Any) -> Place:
    """The place, if the bot may write there. A user's id stands for his DM."""
    place = team.direct(str(channel)) if str(channel) in team.users else place_of(team, channel)
    if BOT_USER not in place.members:
        raise Refused("not_in_channel")
    if place.is_archived:
        raise Refused("is_archived")
    return place


def user_of(team: Team, user: Any) -> User:
    if str(user) not in team.users:
        raise Refused("user_not_found")
    return team.users[str(user)]


def truthy(value: Any) -> bool:
    return value in (True, 1, "1", "true", "True")


def paged(items: Sequence[T], args: Args, page: Page) -> tuple[Sequence[T], Json]:
    """One page and its `response_metadata`. Every second page is a third short, well before the end."""
    limit, start = _limit(args, page), _position(args)
    length = max(1, limit * 2 // 3) if (start // limit) % 2 else limit
    end = start + length
    cursor = base64.b64encode(f"at:{end}".encode()).decode() if end < len(items) else ""
    return items[start:end], {"response_metadata": {"next_cursor": cursor}}


def _limit(args: Args, page: Page) -> int:
    try:
        limit = int(args.get("limit") or page.usual)
    except ValueError:
        raise Refused("invalid_limit") from None
    if not 1 <= limit <= page.most:
        raise Refused("invalid_limit")
    return limit


def _position(args: Args) -> int:
    cursor = str(args.get("cursor") or "")
    if not cursor:
        return 0
    try:
        word, _, position = base64.b64decode(cursor, validate=True).decode().partition(":")
        return int(position) if word == "at" else int("")
    except (ValueError, binascii.Error):
        raise Refused("invalid_cursor") from None


def api_test(_world: Team, args: Args) -> Json:
    return {"args": dict(args)}


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


def bots_info(_world: Team, args: Args) -> Json:
    if args.get("bot") not in (None, BOT):
        raise Refused("bot_not_found")
    return {"bot": {"id": BOT, "deleted": False, "name": BOT_NAME, "app_id": APP, "user_id": BOT_USER}}


def conversations_info(team: Team, args: Args) -> Json:
    place = place_of(team, args.get("channel"))
    count = {"num_members": len(place.members)} if truthy(args.get("include_num_members")) else {}
    return {"channel": place_shown(place) | count}


def conversations_members(team: Team, args: Args) -> Json:
    members, metadata = paged(place_of(team, args.get("channel")).members, args, Page())
    return {"members": list(members), **metadata}


def conversations_open(team: Team, args: Args) -> Json:
    ids = [user for user in str(args.get("users") or "").split(",") if user]
    if not ids:
        raise Refused("no_users" if not args.get("channel") else "method_not_supported_for_channel_type")
    if len(ids) > 1:
        raise Refused("method_not_supported_for_channel_type")
    if user_of(team, ids[0]).is_deleted:
        raise Refused("user_disabled")
    known = any(place.direct_to == ids[0] for place in team.places.values())
    place = team.direct(ids[0])
    return {"channel": {"id": place.id}, **({"no_op": True, "already_open": True} if known else {})}


def conversations_list(team: Team, args: Args) -> Json:
    kinds = str(args.get("types") or "public_channel").split(",")
    archived_too = not truthy(args.get("exclude_archived"))
    seen = [place for place in team.places.values() if not place.is_private or BOT_USER in place.members]
    chosen = [place for place in seen if _kind(place) in kinds and (archived_too or not place.is_archived)]
    page, metadata = paged(chosen, args, Page())
    return {"channels": [place_shown(place) for place in page], **metadata}


def _kind(place: Place) -> str:
    if place.direct_to:
        return "im"
    return "private_channel" if place.is_private else "public_channel"


def conversations_history(team: Team, args: Args) -> Json:
    place = _readable(team, args)
    top = [m for m in _standing(team, place) if _is_in_channel(m) and _within(m, args)]
    return _messages(team, top[::-1], args, Page(most=999))


def conversations_replies(team: Team, args: Args) -> Json:
    """A thread by its root, which is always shown; a reply by its own `ts` alone."""
    place, root = _readable(team, args), str(args.get("ts"))
    thread = [m for m in _standing(team, place) if root in (m.ts, m.thread_ts)]
    if not thread:
        raise Refused("thread_not_found")
    return _messages(team, [m for m in thread if m.ts == root or _within(m, args)], args, Page(usual=1000))


def reactions_get(team: Team, args: Args) -> Json:
    """A message with everybody who reacted, a reply too."""
    if not args.get("channel") or not args.get("timestamp"):
        raise Refused("no_item_specified")
    place, ts = _readable(team, args), str(args["timestamp"])
    message = next((m for m in _standing(team, place) if m.ts == ts), None)
    if message is None:
        raise Refused("message_not_found")
    link = address_of(message)
    return {"type": "message", "channel": place.id, "message": message_shown(team, message) | {"permalink": link}}


def address_of(message: Message) -> str:
    """A message's permalink; a reply's names its thread."""
    place = f"https://{DOMAIN}.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
    return f"{place}?thread_ts={message.thread_ts}&cid={message.channel}" if message.thread_ts else place


def message_shown(team: Team, message: Message) -> Json:
    """A message as the reading methods show it: with its thread, and as a stone where a deleted one has replies."""
    view = _stone(message) if message.is_deleted else message.shown()
    replies = replies_of(team, message)
    if not replies:
        return view
    told = {"reply_count": len(replies), "latest_reply": replies[-1].ts, "thread_ts": message.ts}
    return view | told


def replies_of(team: Team, root: Message) -> list[Message]:
    return [
        m for m in team.messages if (m.channel, m.thread_ts) == (root.channel, root.ts) and not (m.is_deleted or m.to)
    ]


def _stone(message: Message) -> Json:
    return {
        "type": "message",
        "subtype": "tombstone",
        "text": "This message was deleted.",
        "user": SLACKBOT,
        "hidden": True,
        "ts": message.ts,
    }


def _messages(team: Team, messages: Sequence[Message], args: Args, page: Page) -> Json:
    most = team.history_page or page.most
    limit = min(most, int(args["limit"])) if str(args.get("limit") or "").isdigit() else min(most, page.usual)
    chosen, metadata = paged(messages, {**args, "limit": limit}, page)
    more = bool(metadata["response_metadata"]["next_cursor"])
    told = [message_shown(team, message) | _metadata(message, args) for message in chosen]
    return {"messages": told, "has_more": more, **(metadata if more else {})}


def _metadata(message: Message, args: Args) -> Json:
    """What the message carries unseen, for those who ask for it."""
    wanted = truthy(args.get("include_all_metadata")) and not message.is_deleted
    return {"metadata": message.metadata} if wanted and message.metadata else {}


def _is_in_channel(message: Message) -> bool:
    return message.thread_ts in (None, message.ts) or message.facts.get("subtype") == "thread_broadcast"


def _readable(team: Team, args: Args) -> Place:
    place = place_of(team, args.get("channel"))
    if BOT_USER not in place.members:
        raise Refused("not_in_channel")
    return place


def _standing(team: Team, place: Place) -> list[Message]:
    """What the bot may read, a deleted message only where replies hang on it."""
    here = [m for m in team.messages if m.channel == place.id and not m.to]
    return [m for m in here if not m.is_deleted or replies_of(team, m)]


def _within(message: Message, args: Args) -> bool:
    oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9999999999")
    if truthy(args.get("inclusive")):
        return float(oldest) <= float(message.ts) <= float(latest)
    return float(oldest) < float(message.ts) < float(latest)


def users_info(team: Team, args: Args) -> Json:
    return {"user": user_shown(user_of(team, args.get("user")), team)}


def users_list(team: Team, args: Args) -> Json:
    page, metadata = paged(list(team.users.values()), args, Page())
    return {"members": [user_shown(user, team) for user in page], "cache_ts": int(team.clock()), **metadata}


def users_presence(team: Team, args: Args) -> Json:
    return {"presence": user_of(team, args.get("user")).presence}


def users_profile(team: Team, args: Args) -> Json:
    """The status goes away by itself when it has expired."""
    user = user_of(team, args.get("user"))
    if user.status_until and user.status_until <= team.clock():
        user = replace(user, status_text="", status_emoji="", status_until=0)
    return {"profile": profile_shown(user)}


def users_by_email(team: Team, args: Args) -> Json:
    wanted = str(args.get("email") or "").casefold()
    for user in team.users.values():
        if user.email and user.email.casefold() == wanted and not user.is_deleted:
            return {"user": user_shown(user, team)}
    raise Refused("users_not_found")


def dnd_info(team: Team, args: Args) -> Json:
    """Another user's snooze is shown as his do-not-disturb window only."""
    user = user_of(team, args.get("user"))
    if not user.dnd_until:
        return {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}
    return {"dnd_enabled": True, "next_dnd_start_ts": int(team.clock()) - 60, "next_dnd_end_ts": user.dnd_until}


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
        raise Refused("no_such_subteam")
    return {"users": list(group.users)}


READING: Mapping[str, Method] = {
    "api.test": api_test,
    "auth.test": auth_test,
    "bots.info": bots_info,
    "conversations.info": conversations_info,
    "conversations.members": conversations_members,
    "conversations.open": conversations_open,
    "conversations.list": conversations_list,
    "conversations.history": conversations_history,
    "conversations.replies": conversations_replies,
    "reactions.get": reactions_get,
    "users.info": users_info,
    "users.list": users_list,
    "users.getPresence": users_presence,
    "users.profile.get": users_profile,
    "users.lookupByEmail": users_by_email,
    "dnd.info": dnd_info,
    "usergroups.list": usergroups_list,
    "usergroups.users.list": usergroups_users,
}

"""Slack's Web API for reading messages: channels, threads and reactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.sandbox.slack.call import ApiError, Args, Method, PageSize, paged, place_of, truthy
from bot.sandbox.slack.team import BOT_USER, DOMAIN, SLACKBOT, Json, Place, Team, TeamMessage


def conversations_history(team: Team, args: Args) -> Json:
    place = _readable(team, args)
    top = [m for m in _standing(team, place) if _is_in_channel(m) and _within(m, args)]
    return _messages(team, top[::-1], args, PageSize(most=999))


def conversations_replies(team: Team, args: Args) -> Json:
    """A thread by its root, which is always shown; a reply only by its own `ts`."""
    place, root = _readable(team, args), str(args.get("ts"))
    thread = [m for m in _standing(team, place) if root in (m.ts, m.thread_ts)]
    if not thread:
        raise ApiError("thread_not_found")
    return _messages(team, [m for m in thread if m.ts == root or _within(m, args)], args, PageSize(usual=1000))


def reactions_get(team: Team, args: Args) -> Json:
    """A message with everyone who reacted, a reply too."""
    if not args.get("channel") or not args.get("timestamp"):
        raise ApiError("no_item_specified")
    place, ts = _readable(team, args), str(args["timestamp"])
    message = next((m for m in _standing(team, place) if m.ts == ts), None)
    if message is None:
        raise ApiError("message_not_found")
    link = address_of(message)
    return {"type": "message", "channel": place.id, "message": message_shown(team, message) | {"permalink": link}}


def address_of(message: TeamMessage) -> str:
    """A message's permalink; a reply's names its thread."""
    place = f"https://{DOMAIN}.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
    return f"{place}?thread_ts={message.thread_ts}&cid={message.channel}" if message.thread_ts else place


def message_shown(team: Team, message: TeamMessage) -> Json:
    """A message as the reading methods show it: with its thread, and as a tombstone where a deleted one has replies."""
    view = _tombstone(message) if message.is_deleted else message.shown()
    replies = replies_of(team, message)
    if not replies:
        return view
    thread = {"reply_count": len(replies), "latest_reply": replies[-1].ts, "thread_ts": message.ts}
    return view | thread


def replies_of(team: Team, root: TeamMessage) -> list[TeamMessage]:
    return [
        m for m in team.messages if (m.channel, m.thread_ts) == (root.channel, root.ts) and not (m.is_deleted or m.to)
    ]


def _tombstone(message: TeamMessage) -> Json:
    return {
        "type": "message",
        "subtype": "tombstone",
        "text": "This message was deleted.",
        "user": SLACKBOT,
        "hidden": True,
        "ts": message.ts,
    }


def _messages(team: Team, messages: Sequence[TeamMessage], args: Args, page: PageSize) -> Json:
    most = team.history_page or page.most
    limit = min(most, int(args["limit"])) if str(args.get("limit") or "").isdigit() else min(most, page.usual)
    chosen, metadata = paged(messages, {**args, "limit": limit}, page)
    more = bool(metadata["response_metadata"]["next_cursor"])
    shown = [message_shown(team, message) | _metadata(message, args) for message in chosen]
    return {"messages": shown, "has_more": more, **(metadata if more else {})}


def _metadata(message: TeamMessage, args: Args) -> Json:
    """What the message carries unseen, for those who ask for it."""
    wanted = truthy(args.get("include_all_metadata")) and not message.is_deleted
    return {"metadata": message.metadata} if wanted and message.metadata else {}


def _is_in_channel(message: TeamMessage) -> bool:
    return message.thread_ts in (None, message.ts) or message.facts.get("subtype") == "thread_broadcast"


def _readable(team: Team, args: Args) -> Place:
    place = place_of(team, args.get("channel"))
    if BOT_USER not in place.members:
        raise ApiError("not_in_channel")
    return place


def _standing(team: Team, place: Place) -> list[TeamMessage]:
    """What the bot may read, a deleted message only where replies hang on it."""
    here = [m for m in team.messages if m.channel == place.id and not m.to]
    return [m for m in here if not m.is_deleted or replies_of(team, m)]


def _within(message: TeamMessage, args: Args) -> bool:
    oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9999999999")
    if truthy(args.get("inclusive")):
        return float(oldest) <= float(message.ts) <= float(latest)
    return float(oldest) < float(message.ts) < float(latest)


READING: Mapping[str, Method] = {
    "conversations.history": conversations_history,
    "conversations.replies": conversations_replies,
    "reactions.get": reactions_get,
}

"""Slack's Web API for writing messages, and the answers that come through response URLs."""

from __future__ import annotations

from collections.abc import Mapping

from bot.sandbox.slack.call import ApiError, Args, Method, decoded, place_of, truthy, user_of, writable
from bot.sandbox.slack.reading import address_of
from bot.sandbox.slack.team import (
    BOT_USER,
    RESPONSE_SECONDS,
    RESPONSE_USES,
    Json,
    Place,
    ResponseUrl,
    Team,
    TeamMessage,
)

POST_CHARACTERS = 40_000
UPDATE_CHARACTERS = 4_000  # chat.update answers msg_too_long from here on, where chat.postMessage still takes the text


def content_of(team: Team, args: Args, *, most: int = POST_CHARACTERS) -> tuple[str, list[Json]]:
    """The text and the blocks of a message, if Slack takes them.

    Slack only warns of a missing text where there are blocks; here it is refused, since notifications
    and screen readers would have nothing to say.
    """
    text, blocks = str(args.get("text") or ""), decoded(args.get("blocks")) or []
    if not isinstance(blocks, list):
        raise ApiError("invalid_blocks_format")
    if not text:
        raise ApiError("no_text")
    if len(text) > most:
        raise ApiError("msg_too_long")
    team.check(blocks, "message")
    return text, blocks


def post_message(team: Team, args: Args) -> Json:
    place = writable(team, args.get("channel"))
    text, blocks = content_of(team, args)
    metadata = metadata_of(args)
    message = team.keep(place.id, BOT_USER, text, blocks, thread_ts=args.get("thread_ts") or None)
    message.metadata = metadata
    return {"channel": place.id, "ts": message.ts, "message": message.shown()}


def metadata_of(args: Args) -> Json | None:
    """What a message carries unseen (docs.slack.dev/reference/methods/chat.postMessage)."""
    metadata = decoded(args.get("metadata")) or None
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not metadata.get("event_type"):
        raise ApiError("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise ApiError("invalid_metadata_format")
    return metadata


def post_ephemeral(team: Team, args: Args) -> Json:
    place = writable(team, args.get("channel"))
    user = user_of(team, args.get("user"))
    if user.id not in place.members:
        raise ApiError("user_not_in_channel")
    text, blocks = content_of(team, args)
    message = team.keep(place.id, BOT_USER, text, blocks, thread_ts=args.get("thread_ts") or None, to=user.id)
    return {"message_ts": message.ts}


def message_of(team: Team, args: Args, name: str = "ts") -> tuple[Place, TeamMessage]:
    """The message that is named, and its place."""
    place = place_of(team, args.get("channel"))
    message = team.find(place.id, str(args.get(name)))
    if message is None:
        raise ApiError("message_not_found")
    return place, message


def update(team: Team, args: Args) -> Json:
    place, message = message_of(team, args)
    if message.user != BOT_USER:
        raise ApiError("cant_update_message")
    text, blocks = content_of(team, args, most=UPDATE_CHARACTERS)
    message.metadata = metadata_of(args) or message.metadata
    message.replace(text, team.identified(blocks), team.stamp())
    return {"channel": place.id, "ts": message.ts, "text": text, "message": message.shown()}


def permalink(team: Team, args: Args) -> Json:
    place, message = message_of(team, args, "message_ts")
    return {"channel": place.id, "permalink": address_of(message)}


def answer(team: Team, token: str, body: Args) -> TeamMessage | None:
    """Takes what came to a response URL. Raises Refused."""
    response = team.responses.get(token)
    if response is None or team.clock() - response.made_at > RESPONSE_SECONDS:
        raise ApiError("expired_url")
    if response.used >= RESPONSE_USES:
        raise ApiError("used_url")
    response.used += 1
    if truthy(body.get("delete_original")):
        _source(response).is_deleted = True
        return None
    text, blocks = content_of(team, body)
    if truthy(body.get("replace_original")):
        source = _source(response)
        source.replace(text, team.identified(blocks), team.stamp())
        return source
    to = None if body.get("response_type") == "in_channel" else response.user
    return team.keep(response.channel, BOT_USER, text, blocks, thread_ts=body.get("thread_ts"), to=to)


def _source(response: ResponseUrl) -> TeamMessage:
    """The message that the interaction came from. A slash command has none that could be replaced."""
    if response.source is None:
        raise ApiError("cant_update_message")
    return response.source


WRITING: Mapping[str, Method] = {
    "chat.postMessage": post_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.getPermalink": permalink,
}

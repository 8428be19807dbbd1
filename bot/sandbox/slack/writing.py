"""Slack's Web API for messages, files and views, and the answers that come through response URLs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.slack.methods import Args, Method, Refused, address_of, place_of, truthy, user_of, writable
from bot.sandbox.slack.shapes import file_shown
from bot.sandbox.slack.team import (
    BOT_USER,
    RESPONSE_SECONDS,
    RESPONSE_USES,
    Json,
    Message,
    ResponseUrl,
    Team,
    Upload,
)

POST_CHARACTERS = 40_000
UPDATE_CHARACTERS = 4_000  # chat.update answers msg_too_long from here on, where chat.postMessage still takes the text


def decoded(value: Any) -> Any:
    """An argument that form bodies carry as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def content_of(team: Team, args: Args, *, most: int = POST_CHARACTERS) -> tuple[str, list[Json]]:
    """The text and the blocks of a message, if Slack takes them.

    Slack only warns of a missing text beside blocks; here it is refused, since notifications and screen readers
    would have nothing to say.
    """
    text, blocks = str(args.get("text") or ""), decoded(args.get("blocks")) or []
    if not isinstance(blocks, list):
        raise Refused("invalid_blocks_format")
    if not text:
        raise Refused("no_text")
    if len(text) > most:
        raise Refused("msg_too_long")
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
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    return metadata


def post_ephemeral(team: Team, args: Args) -> Json:
    place = writable(team, args.get("channel"))
    user = user_of(team, args.get("user"))
    if user.id not in place.members:
        raise Refused("user_not_in_channel")
    text, blocks = content_of(team, args)
    message = team.keep(place.id, BOT_USER, text, blocks, thread_ts=args.get("thread_ts") or None, to=user.id)
    return {"message_ts": message.ts}


def update(team: Team, args: Args) -> Json:
    place = place_of(team, args.get("channel"))
    message = team.find(place.id, str(args.get("ts")))
    if message is None:
        raise Refused("message_not_found")
    if message.user != BOT_USER:
        raise Refused("cant_update_message")
    text, blocks = content_of(team, args, most=UPDATE_CHARACTERS)
    message.metadata = metadata_of(args) or message.metadata
    message.replace(text, team.identified(blocks), team.stamp())
    return {"channel": place.id, "ts": message.ts, "text": text, "message": message.shown()}


def delete(team: Team, args: Args) -> Json:
    place = place_of(team, args.get("channel"))
    message = team.find(place.id, str(args.get("ts")))
    if message is None:
        raise Refused("message_not_found")
    if message.user != BOT_USER:
        raise Refused("cant_delete_message")
    message.is_deleted = True
    return {"channel": place.id, "ts": message.ts}


def permalink(team: Team, args: Args) -> Json:
    place = place_of(team, args.get("channel"))
    message = team.find(place.id, str(args.get("message_ts")))
    if message is None:
        raise Refused("message_not_found")
    return {"channel": place.id, "permalink": address_of(message)}


def upload_url(team: Team, args: Args, *, base: str) -> Json:
    """Where the bytes go. The length must be told beforehand."""
    length = int(args.get("length") or 0)
    if not args.get("filename") or length <= 0:
        raise Refused("invalid_arguments")
    upload = Upload(id=team.fresh("F"), filename=str(args["filename"]), length=length)
    team.uploads[upload.id] = upload
    return {"upload_url": f"{base}/upload/v1/{upload.id}", "file_id": upload.id}


def complete_upload(team: Team, args: Args, *, later: Callable[[Callable[[], object]], object]) -> Json:
    """Shares what was uploaded. The message with the files comes some moments after this answer."""
    items = decoded(args.get("files"))
    if not isinstance(items, list) or not items:
        raise Refused("invalid_arguments")
    place = writable(team, args["channel_id"]) if args.get("channel_id") else None
    uploads = [_uploaded(team, item) for item in items]
    comment = str(args.get("initial_comment") or "")
    for upload in uploads:
        upload.comment, upload.is_completed = comment, True
    if place is not None:
        thread_ts = args.get("thread_ts") or None
        later(lambda: _share(team, place.id, uploads, thread_ts=thread_ts))
    return {"files": [file_shown(upload) for upload in uploads]}


def _uploaded(team: Team, item: Mapping[str, Any]) -> Upload:
    upload = team.uploads.get(str(item.get("id")))
    if upload is None or upload.content is None or len(upload.content) != upload.length:
        raise Refused("file_not_found")
    upload.title = str(item.get("title") or upload.filename)
    return upload


def _share(team: Team, channel: str, uploads: list[Upload], *, thread_ts: str | None) -> None:
    for upload in uploads:
        upload.shared_in = channel
    files = tuple(file_shown(upload) for upload in uploads)
    message = team.keep(channel, BOT_USER, uploads[0].comment, thread_ts=thread_ts, files=files)
    share = {"ts": message.ts, **({"thread_ts": thread_ts} if thread_ts else {})}
    for upload in uploads:
        upload.shares.setdefault(channel, []).append(share)


def file_info(team: Team, args: Args) -> Json:
    """A file as it is known now: its shares come some moments after the upload was completed."""
    upload = team.uploads.get(str(args.get("file")))
    if upload is None or not upload.is_completed:
        raise Refused("file_not_found")
    shares: Json = {}
    for channel, messages in upload.shares.items():
        shares.setdefault("private" if team.places[channel].is_private else "public", {})[channel] = list(messages)
    return {"file": file_shown(upload) | {"shares": shares}}


def answer(team: Team, token: str, body: Args) -> Message | None:
    """Takes what came to a response URL. Raises Refused."""
    response = team.responses.get(token)
    if response is None or team.clock() - response.made_at > RESPONSE_SECONDS:
        raise Refused("expired_url")
    if response.used >= RESPONSE_USES:
        raise Refused("used_url")
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


def _source(response: ResponseUrl) -> Message:
    """The message that the interaction came from. A slash command has none that could be replaced."""
    if response.source is None:
        raise Refused("cant_update_message")
    return response.source


WRITING: Mapping[str, Method] = {
    "chat.postMessage": post_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.delete": delete,
    "chat.getPermalink": permalink,
    "files.info": file_info,
}

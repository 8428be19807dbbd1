"""Slack's Web API for files: where the bytes go, and how they are shared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.call import ApiError, Args, decoded, writable
from bot.sandbox.slack.shapes import file_shown
from bot.sandbox.slack.team import BOT_USER, Json, Team, Upload

SHARING_SECONDS = 0.02


def upload_url(team: Team, args: Args, *, base: str) -> Json:
    """Where the bytes go. The length must be given beforehand."""
    length = int(args.get("length") or 0)
    if not args.get("filename") or length <= 0:
        raise ApiError("invalid_arguments")
    upload = Upload(id=team.fresh("F"), filename=str(args["filename"]), length=length)
    team.uploads[upload.id] = upload
    return {"upload_url": f"{base}/upload/v1/{upload.id}", "file_id": upload.id}


def complete_upload(team: Team, args: Args) -> Json:
    """Shares what was uploaded. The message with the files comes some moments after this answer."""
    items = decoded(args.get("files"))
    if not isinstance(items, list) or not items:
        raise ApiError("invalid_arguments")
    place = writable(team, args["channel_id"]) if args.get("channel_id") else None
    uploads = [_uploaded(team, item) for item in items]
    comment = str(args.get("initial_comment") or "")
    for upload in uploads:
        upload.comment, upload.is_completed = comment, True
    if place is not None:
        thread_ts = args.get("thread_ts") or None
        asyncio.get_running_loop().call_later(SHARING_SECONDS, _share, team, place.id, uploads, thread_ts)
    return {"files": [file_shown(upload) for upload in uploads]}


def _uploaded(team: Team, item: Mapping[str, Any]) -> Upload:
    upload = team.uploads.get(str(item.get("id")))
    if upload is None or upload.content is None or len(upload.content) != upload.length:
        raise ApiError("file_not_found")
    upload.title = str(item.get("title") or upload.filename)
    return upload


def _share(team: Team, channel: str, uploads: list[Upload], thread_ts: str | None) -> None:
    for upload in uploads:
        upload.shared_in = channel
    files = tuple(file_shown(upload) for upload in uploads)
    message = team.keep(channel, BOT_USER, uploads[0].comment, thread_ts=thread_ts, files=files)
    share = {"ts": message.ts, **({"thread_ts": thread_ts} if thread_ts else {})}
    for upload in uploads:
        upload.shares.setdefault(channel, []).append(share)


def file_info(team: Team, args: Args, *, base: str) -> Json:
    """A file as it is known now: its shares come some moments after the upload was completed."""
    upload = team.uploads.get(str(args.get("file")))
    if upload is None or not upload.is_completed:
        raise ApiError("file_not_found")
    shares: Json = {}
    for channel, messages in upload.shares.items():
        shares.setdefault("private" if team.places[channel].is_private else "public", {})[channel] = list(messages)
    return {"file": file_shown(upload, base) | {"shares": shares}}

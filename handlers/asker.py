"""Who asks, where, and how to answer them: read from what Slack sends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bot.errors import UpstreamError
from bot.ports.messenger import Message, Messenger, Report
from bot.usecases.world import World

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asker:
    """Someone who typed or clicked, and the ways to answer them.

    `delivery` names this very delivery, so that a doubled one can be recognised: by all that it says, since two
    different requests must never be taken for one. `response_url` is empty where Slack gave none (mentions); then the
    answer goes to them only, in the channel. `trigger` opens a dialog, within three seconds; `dialog` is the one that
    they clicked in, and `message` the message whose button it was. `text` is the command that they typed, as a person
    reads it. `is_again`: a process that ended may have begun with this delivery, or even have done it.
    """

    user: str
    channel: str
    thread: str
    response_url: str
    delivery: str
    trigger: str = ""
    dialog: str = ""
    text: str = ""
    is_again: bool = False
    message: str = ""


async def answer(messenger: Messenger, asker: Asker, what: Report | Message) -> None:
    """Answers the asker only: by the response URL, else in the channel, else in their DM. Raises UpstreamError."""
    ways: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: messenger.whisper(asker.channel, asker.user, what, thread=asker.thread),
        lambda: messenger.post(asker.user, what),
    ]
    if asker.response_url:
        ways.insert(0, lambda: messenger.respond(asker.response_url, what))
    *others, last = ways
    for way in others:
        try:
            await way()
        except UpstreamError as error:
            log.warning("answer.not_taken", detail=error.detail)
        else:
            return
    await last()


async def say(world: World, asker: Asker, what: Report | Message, outcome: str = "ok") -> str:
    """Answers, and returns the outcome for the metrics: how most handlers end."""
    await answer(world.messenger, asker, what)
    return outcome


def asker_of_command(body: Mapping[str, Any]) -> Asker:
    return Asker(
        user=str(body.get("user_id", "")),
        channel=str(body.get("channel_id", "")),
        thread="",
        response_url=str(body.get("response_url", "")),
        delivery=f"command/{_digest(body)}" if body.get("trigger_id") or body.get("response_url") else "",
        trigger=str(body.get("trigger_id") or ""),
    )


def asker_of_click(body: Mapping[str, Any]) -> Asker:
    container, message, view = body.get("container") or {}, body.get("message") or {}, body.get("view") or {}
    channel = (body.get("channel") or {}).get("id") or container.get("channel_id") or ""
    action = (body.get("actions") or [{}])[0]
    return Asker(
        user=_user(body),
        channel=str(channel),
        thread=str(message.get("thread_ts") or ""),
        response_url=str(body.get("response_url") or ""),
        delivery=f"click/{_digest(body)}" if action.get("action_ts") or body.get("trigger_id") else "",
        trigger=str(body.get("trigger_id") or ""),
        dialog=str(view.get("id")) if view.get("type") == "modal" else "",
        message=str(message.get("ts") or container.get("message_ts") or ""),
    )


def asker_of_mention(body: Mapping[str, Any]) -> Asker:
    event = body.get("event") or {}
    return Asker(
        user=str(event.get("user", "")),
        channel=str(event.get("channel", "")),
        thread=str(event.get("thread_ts") or ""),
        response_url="",
        delivery=f"event/{body.get('event_id', '')}" if body.get("event_id") else "",
    )


def asker_of_home(body: Mapping[str, Any]) -> Asker:
    """A person who opened their home tab: there is no channel."""
    event_id, user = body.get("event_id") or "", (body.get("event") or {}).get("user") or ""
    return Asker(str(user), "", "", "", f"event/{event_id}" if event_id else "")


def asker_of_shortcut(body: Mapping[str, Any]) -> Asker:
    """A global shortcut has neither a channel nor a message."""
    user, message = _user(body), body.get("message") or {}
    return Asker(
        user=user,
        channel=str((body.get("channel") or {}).get("id") or ""),
        thread=str(message.get("thread_ts") or ""),
        response_url=str(body.get("response_url") or ""),
        delivery=f"shortcut/{user}/{body.get('action_ts')}" if body.get("action_ts") else "",
        trigger=str(body.get("trigger_id") or ""),
    )


def asker_of_view(body: Mapping[str, Any]) -> Asker:
    """A person who sent a dialog: only its metadata says where they were when they opened it."""
    return Asker(_user(body), "", "", "", f"view/{(body.get('view') or {}).get('id')}")


def _user(body: Mapping[str, Any]) -> str:
    return str((body.get("user") or {}).get("id") or "")


def _digest(body: Mapping[str, Any]) -> str:
    """The same for the same request; its addresses and tokens cannot be read from it."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()[:32]


def ts_of_message(body: Mapping[str, Any]) -> str:
    """Which message a shortcut was used on."""
    return str((body.get("message") or {}).get("ts") or body.get("message_ts") or "")


def text_of_message(body: Mapping[str, Any]) -> str:
    """All words of the message that a shortcut was used on. What a CI posts is often only in attachments or blocks."""
    message = body.get("message") or {}
    attached = [_words(part) for part in message.get("attachments") or ()]
    written = str(message.get("text") or "")
    return "\n".join([written or _words(message.get("blocks")), *attached])


def files_of_message(message: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of a message's files that may be text: no pictures and films, and none that was deleted."""
    files = message.get("files") or ()
    return tuple(
        str(file["id"])
        for file in files
        if file.get("id")
        and file.get("mode") != "tombstone"
        and not str(file.get("mimetype") or "").startswith(("image/", "video/", "audio/"))
    )


def _words(part: Any) -> str:
    """The texts in a block or an attachment, however deep, in their order."""
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        inner = (part.get(key) for key in ("title", "pretext", "text", "fields", "elements", "value", "blocks"))
        return "\n".join(filter(None, map(_words, inner)))
    return "\n".join(filter(None, map(_words, part))) if isinstance(part, list) else ""

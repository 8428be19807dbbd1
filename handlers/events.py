"""What happens in the channels, as far as it bears on a timeline: handed to a durable job, or dropped at once.

Slack tells the bot everything that people write in all its channels. What nobody marked costs no look into Redis; an
edit or a deletion costs one. What matters is in the queue before it is acked. While Redis is away nothing is acked, so
that Slack delivers it again, and it is tried again here, because Slack gives up after about five minutes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse

from bot.core.record.message import base_name
from bot.errors import JournalAway
from bot.usecases.record import capture
from bot.usecases.record.capture import MessageEvent
from bot.usecases.world import World
from handlers.intake import is_taken

log = structlog.get_logger()

EVENTS = ("reaction_added", "reaction_removed", "message", "channel_archive", "group_archive")
"""Bolt's names of what is listened to. `message` comes of message.channels and message.groups."""

AGAIN_AFTER = (1.0, 2.0, 5.0, 10.0, *(30.0,) * 18)
"""Seconds between two tries while Redis is away: about nine minutes in all."""

MOST_WAITING = 2_000
"""Events that may wait for Redis in one process."""

_REACTIONS = {"reaction_added": MessageEvent.MARKED, "reaction_removed": MessageEvent.UNMARKED}
_ARCHIVED = frozenset({"channel_archive", "group_archive"})
_SUBTYPES = {"message_changed": MessageEvent.CHANGED, "message_deleted": MessageEvent.DELETED}
_FOR_PEOPLE = frozenset({"app_mention", "app_home_opened"})


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that may bear on a timeline. `cause` None: the channel was archived. `event` is Slack's id of it."""

    event: str
    channel: str
    ts: str
    user: str
    cause: MessageEvent | None


def listen_to_channels(app: AsyncApp, world: World) -> None:
    events = Events(world)

    async def before_the_ack(body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> BoltResponse | None:
        if not await events.take(body):
            return BoltResponse(status=503, body={"error": "the event could not be kept"})
        await next_()
        return None

    async def on_event() -> None:
        """Its middleware has taken it: Bolt acks an event before its listener is called."""

    for kind in EVENTS:
        app.event(kind, middleware=[before_the_ack])(on_event)


class Events:
    """Takes Slack's events. One for all listeners."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting = 0
        self._trying: set[asyncio.Future[None]] = set()

    async def take(self, body: Mapping[str, Any]) -> bool:
        """Whether the event may be acked: it is in the queue, or bears on no timeline."""
        happened = happened_in(body, self._world.capture_reactions)
        return happened is None or await is_taken(self._try(happened, 0))

    def _try(self, happened: Happened, tries: int) -> asyncio.Future[None]:
        trying = asyncio.ensure_future(self._start(happened))
        self._trying.add(trying)
        trying.add_done_callback(lambda ended: self._tried(ended, happened, tries))
        return trying

    def _tried(self, ended: asyncio.Future[None], happened: Happened, tries: int) -> None:
        self._trying.discard(ended)
        if not ended.cancelled() and isinstance(ended.exception(), JournalAway):
            self._again(happened, tries)

    async def _start(self, happened: Happened) -> None:
        channel, ts, cause = happened.channel, happened.ts, happened.cause
        jobs, key = self._world.jobs, f"event:{happened.event}"
        if cause is None:
            await jobs.start("archived", channel, key=key)
            return
        is_doubtful = cause in {MessageEvent.CHANGED, MessageEvent.DELETED}
        if not is_doubtful or await capture.is_followed(self._world, channel, ts):
            await jobs.start("capture", channel, ts, happened.user, str(cause), happened.event, key=key)

    def _again(self, happened: Happened, tries: int) -> None:
        if tries >= len(AGAIN_AFTER) or self._waiting >= MOST_WAITING:
            log.error("event.lost", event_id=happened.event, channel=happened.channel, cause=happened.cause)
            return
        self._waiting += 1
        asyncio.get_running_loop().call_later(AGAIN_AFTER[tries], self._put_back, happened, tries + 1)

    def _put_back(self, happened: Happened, tries: int) -> None:
        self._waiting -= 1
        self._try(happened, tries)


def happened_in(body: Mapping[str, Any], reactions: Collection[str]) -> Happened | None:
    """What an event says; None if it bears on no timeline. Looks at nothing else."""
    event, event_id = body.get("event") or {}, str(body.get("event_id") or "")
    kind, channel = str(event.get("type") or ""), str(event.get("channel") or "")
    if kind in _ARCHIVED:
        return Happened(event_id, channel, "", str(event.get("user") or ""), None)
    if kind in _REACTIONS:
        return _marked(event, event_id, reactions)
    cause = _SUBTYPES.get(str(event.get("subtype") or ""))
    if cause is None or kind != "message":
        return None
    message = event.get("message") or event.get("previous_message") or {}
    ts = str(event.get("deleted_ts") or message.get("ts") or "")
    is_own = bool(message.get("app_id")) and message.get("app_id") == body.get("api_app_id")
    return None if is_own or not ts else Happened(event_id, channel, ts, "", cause)


def _marked(event: Mapping[str, Any], event_id: str, reactions: Collection[str]) -> Happened | None:
    item, name = event.get("item") or {}, base_name(str(event.get("reaction") or ""))
    wanted = {base_name(reaction) for reaction in reactions}
    if item.get("type") != "message" or name not in wanted:
        return None
    cause = _REACTIONS[str(event["type"])]
    return Happened(event_id, str(item.get("channel")), str(item.get("ts")), str(event.get("user") or ""), cause)


def is_mere_talk(event: Mapping[str, Any]) -> bool:
    """Whether an event is what people say in channels, which the bot does not need."""
    return event.get("type") == "message" and event.get("subtype") not in _SUBTYPES


def event_in(body: bytes, content_type: str) -> Mapping[str, Any] | None:
    """The event that a request carries; None for anything that a person waits for, and for what is not an event."""
    if content_type != "application/json":
        return None
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    event = parsed.get("event") if isinstance(parsed, dict) and parsed.get("type") == "event_callback" else None
    return event if isinstance(event, dict) and event.get("type") not in _FOR_PEOPLE else None

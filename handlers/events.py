"""What happens in the channels, as far as it bears on a timeline: handed to a durable job, or dropped at once.

Slack tells the bot everything that people write in all its channels. What nobody marked costs no look into Redis; an
edit or a deletion costs one. Bolt acks an event whatever becomes of it, so that a Redis that is away means trying again
here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.record.message import base_name
from bot.errors import JournalAway
from bot.usecases.record import capture
from bot.usecases.record.capture import MessageEvent
from bot.usecases.world import World
from handlers.backlog import Backlog

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


def listen_to_channels(app: AsyncApp, world: World, backlog: Backlog) -> None:
    events = Events(world, backlog)

    async def on_event(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        events.take(body)

    for kind in EVENTS:
        app.event(kind)(on_event)


class Events:
    """Takes Slack's events. One for all listeners."""

    def __init__(self, world: World, backlog: Backlog) -> None:
        self._world = world
        self._backlog = backlog
        self._waiting = 0

    def take(self, body: Mapping[str, Any]) -> None:
        """Never raises and never waits. The work waits behind everything that people wait for."""
        happened = happened_in(body, self._world.capture_reactions)
        if happened is not None:
            self._backlog.add(lambda: self._hand_on(happened, 0), later=True)

    async def _hand_on(self, happened: Happened, tries: int) -> None:
        try:
            await self._start(happened)
        except JournalAway:
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
        self._backlog.add(lambda: self._hand_on(happened, tries), later=True)


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

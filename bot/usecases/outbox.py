"""Sends each thing exactly once, whatever dies in between.

Before something is sent, it is written down that it is about to be; how and where is the caller's. A worker that finds
such a record without its end looks for what was sent, by its mark, before sending it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from bot.core.reports.report import Notice
from bot.errors import Final
from bot.ports.messenger import Posted, Report
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sent:
    """That a message is about to be posted, and whether nothing is to be done about it any more.

    `is_refused`: because Slack will never take it.
    """

    since: datetime
    is_done: bool = False
    is_refused: bool = False


_SAID = Shelf("said", Sent, timedelta(days=30))


async def answer_late(world: World, channel: str, user: str, thread: str, headline: str, words: str) -> None:
    """What Slack would not take when it was asked: only to this person, in the channel or else in their DM.

    Raises Passing: then try again.
    """
    notice = Notice(headline, tuple((line,) for line in words.split("\n")))
    try:
        await world.messenger.whisper(channel, user, notice, thread=thread)
    except Final:
        await world.messenger.post(user, notice)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to a channel, or to a person, with the mark that it is found by."""

    to: str
    what: Report
    mark: str
    thread: str = ""


async def earlier(begun: datetime | None, find: Callable[[datetime], Awaitable[T | None]]) -> T | None:
    """What an earlier try sent, if it can be found. `begun` is when that try wrote down that it would; None if
    there was none. Raises Passing as `find`. Where nobody may look there is nothing: rather twice than never.
    """
    if begun is None:
        return None
    try:
        return await find(begun)
    except Final as error:
        log.warning("outbox.cannot_look", system=error.system, detail=error.detail)
        return None


async def once(
    begun: datetime | None, *, find: Callable[[datetime], Awaitable[T | None]], send: Callable[[], Awaitable[T]]
) -> T:
    """What an earlier try sent, or else what is sent now. Raises as `find` and `send`."""
    found = await earlier(begun, find)
    return await send() if found is None else found


async def find_post(world: World, message: Outgoing, since: datetime) -> Posted | None:
    """The message, if it was posted since. Raises UpstreamError."""
    return await world.messenger.find(message.to, mark=message.mark, since=since, thread=message.thread)


async def post_once(
    world: World,
    message: Outgoing,
    *,
    begun: datetime | None,
    begin: Callable[[datetime], Awaitable[object]] | None = None,
) -> Posted:
    """Posts the message once. `begin` writes down when the first try began, unless the caller has. Raises as `once`."""

    async def send() -> Posted:
        if begin is not None and begun is None:
            await begin(world.clock.now())
        return await world.messenger.post(message.to, message.what, thread=message.thread, mark=message.mark)

    return await once(begun, find=partial(find_post, world, message), send=send)


async def say_once(world: World, message: Outgoing, *, shelf: Shelf[Sent] = _SAID) -> bool:
    """Posts the message, with a record of its own by its mark. False if Slack will never take it, which is logged.

    Raises Passing or JournalAway: then try again.
    """
    record = await shelf.get(world, message.mark)
    if record is not None and record.is_done:
        return not record.is_refused

    async def begin(now: datetime) -> None:
        await shelf.put(world, message.mark, Sent(now))

    is_refused = False
    try:
        await post_once(world, message, begun=None if record is None else record.since, begin=begin)
    except Final as error:
        log.warning("outbox.not_taken", to=message.to, mark=message.mark, detail=error.detail)
        is_refused = True
    await shelf.update(world, message.mark, is_done=True, is_refused=is_refused)
    return not is_refused

"""Marks on messages, by which one is found again when it is not known whether Slack has taken it.

A mark is the message's metadata (docs.slack.dev/messaging/message-metadata), which people do not see and which the
history gives back.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Unreachable
from bot.http.client import Failed
from bot.http.pages import every_page
from bot.ports.messenger import Posted
from bot.slack.client import SYSTEM, next_cursor, translated

MARKED, TO_OWNER = "tflock_export", "tflock_letter"
"""Types of the metadata on what is posted to a channel and to a person; the payload has the `mark`."""

CALL_SECONDS = 15.0
_SLOW_CLOCK = timedelta(minutes=5)
_PAGE = 200


def marked(mark: str, event: str = MARKED) -> dict[str, Any]:
    return {"event_type": event, "event_payload": {"mark": mark}}


async def find_marked(
    client: AsyncWebClient, channel: str, *, mark: str, thread: str, since: datetime
) -> Posted | None:
    """Looks through the messages since then, and a few minutes before, as the clocks may differ."""
    method = partial(client.conversations_replies, ts=thread) if thread else client.conversations_history
    oldest = str((since - _SLOW_CLOCK).timestamp())
    call: Any = partial(method, channel=channel, oldest=oldest, include_all_metadata=True, limit=_PAGE)

    async def page(cursor: str) -> tuple[list[dict[str, Any]], str | None]:
        with translated("looking for an earlier message"):
            async with asyncio.timeout(CALL_SECONDS):
                answer = await call(cursor=cursor or None)
        return list(answer.get("messages") or ()), next_cursor(answer) or None

    def has_mark(said: dict[str, Any]) -> bool:
        metadata = said.get("metadata") or {}
        is_ours = metadata.get("event_type") in {MARKED, TO_OWNER}
        return is_ours and (metadata.get("event_payload") or {}).get("mark") == mark

    too_long = "the channel's history is too long to look for an earlier message"
    try:
        listed = await every_page(page, "", too_much=lambda _: too_long, until=has_mark)
    except Failed as failed:
        raise Unreachable(SYSTEM, failed.detail) from failed
    found = next(filter(has_mark, listed), None)
    return None if found is None else Posted(channel, str(found["ts"]))

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
from bot.ports.messenger import Posted
from bot.slack.client import SYSTEM, translated

MARKED, LETTER = "tflock_export", "tflock_letter"
"""Types of the metadata on what is posted to a channel and to a person; the payload has the `mark`."""

CALL_SECONDS = 15.0
_SLOW_CLOCK = timedelta(minutes=5)
_PAGE, _PAGES = 200, 25


def marked(mark: str, event: str = MARKED) -> dict[str, Any]:
    return {"event_type": event, "event_payload": {"mark": mark}}


async def find_marked(
    client: AsyncWebClient, channel: str, *, mark: str, thread: str, since: datetime
) -> Posted | None:
    """Looks through the messages since then, and a few minutes before, as the clocks may differ."""
    method = partial(client.conversations_replies, ts=thread) if thread else client.conversations_history
    oldest = str((since - _SLOW_CLOCK).timestamp())
    page: Any = partial(method, channel=channel, oldest=oldest, include_all_metadata=True, limit=_PAGE)
    cursor = ""
    for _ in range(_PAGES):
        with translated("looking for what was said"):
            async with asyncio.timeout(CALL_SECONDS):
                answer = await page(cursor=cursor or None)
        for said in answer.get("messages") or ():
            metadata = said.get("metadata") or {}
            is_ours = metadata.get("event_type") in {MARKED, LETTER}
            if is_ours and (metadata.get("event_payload") or {}).get("mark") == mark:
                return Posted(channel, str(said["ts"]))
        cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            return None
    raise Unreachable(SYSTEM, "the channel's history is too long to look for what was said")

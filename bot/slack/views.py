"""Slack's dialogs and home tabs (`views.*`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.client import FAILURES, as_error, failure

TRIGGER_SECONDS = 3.0
"""How long a trigger lives: a dialog that could not be opened by then never will be."""

TOTAL_SECONDS = 15.0


class SlackViews:
    """Implements `bot.ports.Views` on a client of `slack_client`.

    Raises UpstreamError: Rejected for a trigger that is too old, or a dialog that was closed meanwhile.
    """

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def open(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        with _translated("opening a dialog"):
            async with asyncio.timeout(TRIGGER_SECONDS):
                answer = await self._client.views_open(trigger_id=trigger_id, view=dict(view))
        return str((answer.get("view") or {}).get("id") or "")

    async def update(self, view_id: str, view: Mapping[str, Any]) -> None:
        with _translated("changing a dialog"):
            async with asyncio.timeout(TOTAL_SECONDS):
                await self._client.views_update(view_id=view_id, view=dict(view))

    async def publish(self, user: str, view: Mapping[str, Any]) -> None:
        with _translated("showing the home tab"):
            async with asyncio.timeout(TOTAL_SECONDS):
                await self._client.views_publish(user_id=user, view=dict(view))


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """The SDK's errors as ours. The chain is cut: a trace with the locals of the SDK's frames would show the token."""
    try:
        yield
    except FAILURES as error:
        raise as_error(failure(error, doing)) from None

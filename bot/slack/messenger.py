"""Writes to Slack: messages, updates, direct messages and answers to interactions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.errors import Denied
from bot.ports.messenger import Blocks, Posted
from bot.slack.client import SYSTEM, as_error, failure, is_loopback, read_answer, translated
from bot.slack.marks import LETTER, find_marked, marked

TOTAL_SECONDS = 15.0
_CANNOT_OPEN = frozenset({"missing_scope", "unknown_method"})


class SlackNotifier:
    """Implements `bot.ports.Notifier` on a client of `slack_client`. Each method ends within `patience` seconds.

    Raises UpstreamError. Unreachable does not mean that nothing was posted; an update may simply be made again.
    Texts are Slack's mrkdwn and are sent as they are; links are not unfurled.
    """

    def __init__(self, client: AsyncWebClient, *, patience: float = TOTAL_SECONDS) -> None:
        self._client = client
        self._patience = patience

    async def post(self, channel: str, *, text: str, blocks: Blocks, thread: str | None = None) -> Posted:
        with translated("posting a message"):
            async with asyncio.timeout(self._patience):
                return await self._post(channel, text, blocks, thread)

    async def whisper(self, channel: str, user: str, *, text: str, blocks: Blocks, thread: str | None = None) -> None:
        with translated("answering somebody alone"):
            async with asyncio.timeout(self._patience):
                await self._client.chat_postEphemeral(
                    channel=channel, user=user, text=text, blocks=_plain(blocks), thread_ts=thread
                )

    async def update(self, posted: Posted, *, text: str, blocks: Blocks) -> None:
        with translated("updating a message"):
            async with asyncio.timeout(self._patience):
                await self._client.chat_update(channel=posted.channel, ts=posted.ts, text=text, blocks=_plain(blocks))

    async def direct(
        self, user: str, *, text: str, blocks: Blocks, mark: str = "", thread: str | None = None
    ) -> Posted:
        with translated("writing to somebody directly"):
            async with asyncio.timeout(self._patience):
                return await self._post(await self._room(user), text, blocks, thread, mark)

    async def find_direct(self, user: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        with translated("writing to somebody directly"):
            async with asyncio.timeout(self._patience):
                room = await self._room(user)
                return await find_marked(self._client, room, mark=mark, thread=thread, since=since, event=LETTER)

    async def respond(self, response_url: str, *, text: str, blocks: Blocks, replace: bool = False) -> None:
        """Answers as a new message to the asker alone, or in place of the message that he clicked in.

        Raises Denied for a URL that is not Slack's.
        """
        if not is_slack_url(response_url, api_url=self._client.base_url):
            raise Denied(SYSTEM, "the response URL does not belong to Slack")
        hook = AsyncWebhookClient(
            response_url,
            session=self._client.session,
            proxy=self._client.proxy,
            retry_handlers=self._client.retry_handlers,
        )
        hook.proxy = self._client.proxy  # an empty one would be taken from the environment again
        doing = "answering through the response URL"
        with translated(doing):
            async with asyncio.timeout(self._patience):
                answer = await hook.send(
                    text=text, blocks=_plain(blocks), response_type="ephemeral", replace_original=replace
                )
        body = _json(answer.body)
        if answer.status_code != 200 or body.get("ok") is False:  # noqa: PLR2004 - HTTP's own number
            raise as_error(read_answer(answer.status_code, answer.headers, body, doing))

    async def _room(self, user: str) -> str:
        """The user's DM. Where the bot may not open it, his own id, which Slack takes for it in `chat.postMessage`."""
        try:
            opened = await self._client.conversations_open(users=user)
        except SlackApiError as error:
            if failure(error, "opening a direct message").code not in _CANNOT_OPEN:
                raise
            return user
        return str((opened.get("channel") or {}).get("id") or user)

    async def _post(self, channel: str, text: str, blocks: Blocks, thread: str | None, mark: str = "") -> Posted:
        answer = await self._client.chat_postMessage(
            channel=channel,
            text=text,
            blocks=_plain(blocks),
            thread_ts=thread,
            metadata=marked(mark, LETTER) if mark else None,
            unfurl_links=False,
            unfurl_media=False,
        )
        return Posted(channel=str(answer.get("channel") or channel), ts=str(answer["ts"]))


def is_slack_url(url: str, *, api_url: str) -> bool:
    """Whether the URL is of the API's own host and port, or of slack.com or a domain below the API's, by https.

    An API on this machine may call it by another of its names.
    """
    try:
        there, api = urlsplit(url), urlsplit(api_url)
        port = there.port
    except ValueError:
        return False
    if (there.scheme, there.netloc) == (api.scheme, api.netloc):
        return True
    if is_loopback(url) and is_loopback(api_url) and (there.scheme, port) == (api.scheme, api.port):
        return True
    host, api_host = there.hostname or "", api.hostname or "slack.com"
    is_below = any(host == domain or host.endswith(f".{domain}") for domain in ("slack.com", api_host))
    return there.scheme == "https" and is_below and port in (None, 443)


def _plain(blocks: Blocks) -> list[dict[str, Any]]:
    return [dict(block) for block in blocks]


def _json(body: str) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

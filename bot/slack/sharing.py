"""Puts exports into channels: a summary that can be found again, and files in the three steps that Slack has for them.

A message carries its mark (`bot.slack.marks`), so that it can be looked up. Files:
docs.slack.dev/messaging/working-with-files#uploading_files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.core.account.edition import ExportReport
from bot.core.reports.alert import Bulletin
from bot.core.reports.followups import FollowUpsReport
from bot.core.reports.queue import QueueNews
from bot.core.reports.report import Notice
from bot.errors import Missing, Unreachable
from bot.ports.messenger import Posted
from bot.slack.client import SYSTEM, translated
from bot.slack.marks import CALL_SECONDS, find_marked, marked
from bot.slack.render import Message, alerts_message, exported_message, followups_message, notice_message, queue_message

UPLOAD_SECONDS = 120.0
_OK = 200


class SlackSharing:
    """Implements `bot.ports.Sharing` on a client of `slack_client`. `room` is in seconds: how long an upload may take.

    Raises as SlackNotifier. Looking for what was said needs the scopes channels:history and groups:history, asking for
    a file files:read; without them those raise Denied.
    """

    def __init__(self, client: AsyncWebClient, *, room: float = UPLOAD_SECONDS) -> None:
        self._client = client
        self._room = room

    async def post(self, report: ExportReport, *, thread: str = "") -> Posted:
        edition = report.edition
        return await self._post(edition.incident.channel, exported_message(report), edition.mark, thread)

    async def find(self, report: ExportReport, *, thread: str, since: datetime) -> Posted | None:
        edition = report.edition
        return await self.told(edition.incident.channel, mark=edition.mark, thread=thread, since=since)

    async def redraw(self, report: ExportReport, posted: Posted) -> None:
        await self._update(posted, exported_message(report), marked(report.edition.mark))

    async def propose(self, report: FollowUpsReport, *, mark: str, thread: str) -> Posted:
        return await self._post(report.incident.channel, followups_message(report), mark, thread)

    async def redraw_proposals(self, report: FollowUpsReport, posted: Posted) -> None:
        await self._update(posted, followups_message(report), None)

    async def alert(self, channel: str, bulletin: Bulletin, *, mark: str) -> Posted:
        return await self._post(channel, alerts_message(bulletin), mark, "")

    async def redraw_alerts(self, bulletin: Bulletin, posted: Posted) -> None:
        await self._update(posted, alerts_message(bulletin), None)

    async def _update(self, posted: Posted, words: Message, metadata: dict[str, Any] | None) -> None:
        """Without metadata a message keeps what it has."""
        with translated("updating a message"):
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.chat_update(
                    channel=posted.channel,
                    ts=posted.ts,
                    text=words.text,
                    blocks=_plain(words),
                    metadata=metadata,
                )

    async def tell(self, channel: str, notice: Notice, *, mark: str, thread: str = "") -> Posted:
        return await self._post(channel, notice_message(notice), mark, thread)

    async def room(self, user: str) -> str:
        with translated("opening a direct message"):
            async with asyncio.timeout(CALL_SECONDS):
                opened = await self._client.conversations_open(users=user)
        return str(opened["channel"]["id"])

    async def call(self, channel: str, news: QueueNews, *, mark: str, thread: str = "") -> Posted:
        return await self._post(channel, queue_message(news), mark, thread)

    async def told(self, channel: str, *, mark: str, thread: str, since: datetime) -> Posted | None:
        return await find_marked(self._client, channel, mark=mark, thread=thread, since=since)

    async def stage(self, path: Path) -> str:
        """Asks for a place and puts the bytes there; the file's id."""
        content = await asyncio.to_thread(path.read_bytes)
        with translated("uploading a file"):
            async with asyncio.timeout(self._room):
                place = await self._client.files_getUploadURLExternal(filename=path.name, length=len(content))
                sent = await self._client._upload_file(  # noqa: SLF001 - the SDK has no public way for this step alone
                    url=str(place["upload_url"]),
                    data=content,
                    logger=self._client._logger,  # noqa: SLF001 - as above
                    timeout=int(self._room),
                    proxy=self._client.proxy,
                    ssl=self._client.ssl,
                )
        if sent.status != _OK:
            raise Unreachable(SYSTEM, f"the upload of {path.name} was answered with HTTP {sent.status}")
        return str(place["file_id"])

    async def share(self, channel: str, file_ids: Mapping[str, str], *, thread: str) -> None:
        """Shows the files in one message. The message comes some moments after Slack's answer."""
        files: list[dict[str, str | None]] = [{"id": file_id, "title": title} for file_id, title in file_ids.items()]
        with translated("sharing files"):
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.files_completeUploadExternal(
                    files=files, channel_id=channel, thread_ts=thread or None
                )

    async def is_shared(self, channel: str, file_id: str) -> bool | None:
        try:
            with translated("looking for a file"):
                async with asyncio.timeout(CALL_SECONDS):
                    answer = await self._client.files_info(file=file_id)
        except Missing:
            return None
        shares = (answer.get("file") or {}).get("shares") or {}
        return any(channel in channels for channels in shares.values())

    async def link(self, posted: Posted) -> str:
        with translated("asking for a message's address"):
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._client.chat_getPermalink(channel=posted.channel, message_ts=posted.ts)
        return str(answer["permalink"])

    async def _post(self, channel: str, words: Message, mark: str, thread: str) -> Posted:
        """Links are not unfurled."""
        with translated("posting a message"):
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._client.chat_postMessage(
                    channel=channel,
                    text=words.text,
                    blocks=_plain(words),
                    thread_ts=thread or None,
                    metadata=marked(mark),
                    unfurl_links=False,
                    unfurl_media=False,
                )
        return Posted(str(answer.get("channel") or channel), str(answer["ts"]))


def _plain(words: Message) -> list[dict[str, Any]]:
    return [dict(block) for block in words.blocks]

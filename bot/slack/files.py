"""Puts files into channels, in the three steps that Slack has for them.

docs.slack.dev/messaging/working-with-files#uploading_files
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Missing, Unreachable
from bot.slack.client import SYSTEM, translated
from bot.slack.marks import CALL_SECONDS

UPLOAD_SECONDS = 120.0
_OK = 200


class SlackFiles:
    """Implements `bot.ports.files.Files` on a client of `slack_client`. `patience` is in seconds, for an upload.

    Raises as SlackMessenger. Asking for a file needs the scope files:read; without it that raises Denied.
    """

    def __init__(self, client: AsyncWebClient, *, patience: float = UPLOAD_SECONDS) -> None:
        self._client = client
        self._patience = patience

    async def stage(self, path: Path) -> str:
        """Asks for a place and puts the bytes there; the file's id."""
        content = await asyncio.to_thread(path.read_bytes)
        with translated("uploading a file"):
            async with asyncio.timeout(self._patience):
                place = await self._client.files_getUploadURLExternal(filename=path.name, length=len(content))
                sent = await self._client._upload_file(  # noqa: SLF001 - the SDK has no public way for this step alone
                    url=str(place["upload_url"]),
                    data=content,
                    logger=self._client._logger,  # noqa: SLF001 - as above
                    timeout=int(self._patience),
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

"""Puts files into channels, in the three steps that Slack has for them, and reads those of people.

docs.slack.dev/messaging/working-with-files#uploading_files and docs.slack.dev/reference/objects/file-object
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Denied, Missing, Unreachable
from bot.slack.client import SYSTEM, translated
from bot.slack.marks import CALL_SECONDS

UPLOAD_SECONDS = 120.0
READ_SECONDS = 20.0
_OK = 200
_SLACKS = (".slack.com", ".slack-gov.com", ".slack-files.com", ".slack-files-gov.com")


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
                sent = await self._client._upload_file(  # noqa: SLF001 - the SDK has no public way for just this step
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

    async def read(self, file_id: str, *, most: int) -> bytes | None:
        with translated("reading a file"):
            async with asyncio.timeout(READ_SECONDS):
                file = (await self._client.files_info(file=file_id)).get("file") or {}
                if int(file.get("size") or 0) > most:
                    return None
                return await self._content(str(file.get("url_private_download") or file.get("url_private")), most)

    async def _content(self, url: str, most: int) -> bytes | None:
        """The token goes to Slack only: neither to another address that a file names, nor along a redirect."""
        place, api = urlsplit(url), urlsplit(self._client.base_url)
        is_slacks = place.scheme == "https" and (place.hostname or "").endswith(_SLACKS)
        if not is_slacks and (place.scheme, place.netloc) != (api.scheme, api.netloc):
            raise Denied(SYSTEM, "the file is not kept by Slack, so it was not read")
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                url,
                headers={"Authorization": f"Bearer {self._client.token}"},
                allow_redirects=False,
                proxy=self._client.proxy,
                ssl=True if self._client.ssl is None else self._client.ssl,
            ) as answer,
        ):
            if answer.status != _OK:  # without the scope Slack sends on to its login page
                detail = f"Slack answered HTTP {answer.status} for the file; has the app the scope files:read?"
                raise Denied(SYSTEM, detail)
            content = await _all_of(answer.content, most + 1)
        return content if len(content) <= most else None


async def _all_of(stream: aiohttp.StreamReader, most: int) -> bytes:
    content = bytearray()
    while len(content) < most and (chunk := await stream.read(most - len(content))):
        content += chunk
    return bytes(content)

"""Writes to Slack: messages, dialogs, home tabs, and the ends of workflow steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.core.record.redact import redact
from bot.errors import Denied
from bot.ports.messenger import Blocks, Message, Posted, Report
from bot.slack.client import SYSTEM, failure, is_loopback, translated
from bot.slack.marks import MARKED, TO_OWNER, find_marked, marked
from bot.slack.render import message_of

log = structlog.get_logger()

TOTAL_SECONDS = 15.0
TRIGGER_SECONDS = 3.0
"""How long a trigger lives: a dialog that could not be opened by then never will be."""

_DIRECTLY = "writing to someone directly"
_CANNOT_OPEN = frozenset({"missing_scope", "unknown_method"})
_OVER = frozenset({"execution_not_in_running_state", "function_execution_not_found"})
_LONGEST_ERROR = 500
_TOO_NEW = frozenset({"invalid_blocks", "invalid_blocks_format"})
"""What a workspace answers to blocks that it does not know."""

T = TypeVar("T")


class SlackMessenger:
    """Implements `bot.ports.messenger.Messenger` on a client of `slack_client`, with the bot's own token.

    Each method ends within `patience` seconds, a search within as many a page. Raises UpstreamError: Rejected for
    blocks that Slack does not take, a trigger that is too old, or a dialog that was closed meanwhile. Texts are sent as
    they are; links are not unfurled. Searching needs the scopes channels:history and groups:history.
    """

    def __init__(self, client: AsyncWebClient, *, patience: float = TOTAL_SECONDS) -> None:
        self._client = client
        self._patience = patience
        self._takes_newer = True

    async def post(self, to: str, what: Report | Message, *, thread: str = "", mark: str = "") -> Posted:
        is_direct = _is_person(to)
        async with self._calling(_DIRECTLY if is_direct else "posting a message"):
            channel = await self._dm(to) if is_direct else to
            post = partial(
                self._client.chat_postMessage,
                channel=channel,
                thread_ts=thread or None,
                metadata=marked(mark, TO_OWNER if is_direct else MARKED) if mark else None,
                unfurl_links=False,
                unfurl_media=False,
            )
            answer = await self._sent(what, post)
        return Posted(channel=str(answer.get("channel") or channel), ts=str(answer["ts"]))

    async def find(self, to: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        channel = to
        if _is_person(to):
            async with self._calling(_DIRECTLY):
                channel = await self._dm(to)
        return await find_marked(self._client, channel, mark=mark, thread=thread, since=since)

    async def update(self, posted: Posted, what: Report | Message) -> None:
        async with self._calling("updating a message"):
            await self._sent(what, partial(self._client.chat_update, channel=posted.channel, ts=posted.ts))

    async def whisper(self, channel: str, user: str, what: Report | Message, *, thread: str = "") -> None:
        async with self._calling("answering one person privately"):
            post = partial(self._client.chat_postEphemeral, channel=channel, user=user, thread_ts=thread or None)
            await self._sent(what, post)

    async def respond(self, response_url: str, what: Report | Message, *, replace: bool = False) -> None:
        """As the port says. Raises Denied for a URL that is not Slack's."""
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

        async def send(**content: Any) -> None:
            answer = await hook.send(response_type="ephemeral", replace_original=replace, **content)
            body = _json(answer.body)
            if answer.status_code != 200 or body.get("ok") is False:  # noqa: PLR2004 - HTTP's own number
                said = SimpleNamespace(status_code=answer.status_code, headers=answer.headers, data=body)
                raise SlackApiError("refused", said)  # type: ignore[no-untyped-call]

        async with self._calling(doing):
            await self._sent(what, send)

    async def room(self, user: str) -> str:
        async with self._calling("opening a direct message"):
            opened = await self._client.conversations_open(users=user)
        return str(opened["channel"]["id"])

    async def link(self, posted: Posted) -> str:
        async with self._calling("asking for a message's address"):
            answer = await self._client.chat_getPermalink(channel=posted.channel, message_ts=posted.ts)
        return str(answer["permalink"])

    async def open_dialog(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        async with self._calling("opening a dialog", within=TRIGGER_SECONDS):
            answer = await self._client.views_open(trigger_id=trigger_id, view=dict(view))
        return str((answer.get("view") or {}).get("id") or "")

    async def update_dialog(self, view_id: str, view: Mapping[str, Any]) -> None:
        async with self._calling("changing a dialog"):
            await self._client.views_update(view_id=view_id, view=dict(view))

    async def publish_home(self, user: str, view: Mapping[str, Any]) -> None:
        async with self._calling("showing the home tab"):
            await self._client.views_publish(user_id=user, view=dict(view))

    async def complete_step(self, execution: str, outputs: Mapping[str, str]) -> None:
        async with self._calling("completing a workflow's step"):
            try:
                await self._client.functions_completeSuccess(
                    function_execution_id=execution, outputs={name: redact(value) for name, value in outputs.items()}
                )
            except SlackApiError as error:
                _check_over(error, execution)

    async def fail_step(self, execution: str, why: str) -> None:
        async with self._calling("ending a workflow's step"):
            try:
                await self._client.functions_completeError(
                    function_execution_id=execution, error=redact(why)[:_LONGEST_ERROR]
                )
            except SlackApiError as error:
                _check_over(error, execution)

    async def _sent(self, what: Report | Message, call: Callable[..., Awaitable[T]]) -> T:
        """Sends it in the newest blocks that the workspace takes. What it has refused once is not tried again."""
        message = what if isinstance(what, Message) else message_of(what)
        if message.plain and self._takes_newer:
            try:
                return await call(**_content(message.text, message.blocks))
            except SlackApiError as error:
                if failure(error, "").code not in _TOO_NEW:
                    raise
        answer = await call(**_content(message.text, message.plain or message.blocks))
        if message.plain and self._takes_newer:
            log.info("slack.newer_blocks_refused")
            self._takes_newer = False
        return answer

    @asynccontextmanager
    async def _calling(self, doing: str, *, within: float | None = None) -> AsyncIterator[None]:
        with translated(doing):
            async with asyncio.timeout(within or self._patience):
                yield

    async def _dm(self, user: str) -> str:
        """The user's DM. Where the bot may not open it, their own id: `chat.postMessage` takes that for it."""
        try:
            opened = await self._client.conversations_open(users=user)
        except SlackApiError as error:
            if failure(error, "opening a direct message").code not in _CANNOT_OPEN:
                raise
            return user
        return str((opened.get("channel") or {}).get("id") or user)


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


def _is_person(to: str) -> bool:
    """Ids of users start with U or W, those of channels with C, G or D."""
    return to.startswith(("U", "W"))


def _content(text: str, blocks: Blocks) -> dict[str, Any]:
    return {"text": text, "blocks": [dict(block) for block in blocks]}


def _check_over(error: SlackApiError, execution: str) -> None:
    code = str(error.response.get("error") or "") if hasattr(error.response, "get") else ""
    if code not in _OVER:
        raise error
    log.info("step.over_already", execution=execution, code=code)


def _json(body: str) -> Mapping[str, Any]:
    """The answer of a response URL, which may be only Slack's word for an error."""
    try:
        value = json.loads(body)
    except ValueError:
        return {"error": body} if body in _TOO_NEW else {}
    return value if isinstance(value, dict) else {}

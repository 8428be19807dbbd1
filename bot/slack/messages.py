"""What people wrote in a channel. Whatever Slack does, a question gets an observation."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import structlog
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.record.message import SharedFile, SlackMessage, base_name
from bot.ports.clock import Clock
from bot.ports.messenger import MessagePage
from bot.slack.client import FAILURES, SYSTEM, Failure, failure, next_cursor, retry_handlers

log = structlog.get_logger()

T = TypeVar("T")
Json = Mapping[str, Any]
Call = Callable[[], Awaitable[AsyncSlackResponse]]

CALL_SECONDS = 8.0
PAGE = 200
"""What Slack advises. Apps that are sold outside of its Marketplace get 15 a page, and one page a minute."""

_SPOKEN = frozenset({"", "file_share", "thread_broadcast", "me_message"})
"""Subtypes of what people say themselves; joins, topics and the like have others."""

_SLACKBOT = "USLACKBOT"
_GONE = "tombstone"
_INSIDE = ("pretext", "title", "text", "fields", "elements", "blocks")
_HIDDEN_PLACES = frozenset({"channel_not_found", "not_in_channel", "method_not_supported_for_channel_type"})


class SlackMessages:
    """Implements `bot.ports.messenger.Messages`. Every call ends within `timeout` seconds.

    A channel that the bot may not read is DENIED, never a message that is not there: `channel_not_found` is what Slack
    answers for a private channel that the bot was taken out of.
    """

    def __init__(self, client: AsyncWebClient, *, clock: Clock, timeout: float = CALL_SECONDS) -> None:
        self._client = copy.copy(client)  # the same connection and token, with the patience of a look-up
        self._client.retry_handlers = retry_handlers(timeout / 2)
        self._clock = clock
        self._timeout = timeout
        self._home = ""

    async def message(self, channel: str, ts: str) -> Observation[SlackMessage]:
        """By `reactions.get`, which finds replies too and has no limit of one call a minute.

        Where that is refused, by `conversations.replies`, which finds a message by its own `ts` in a thread or outside
        of one (docs.slack.dev/reference/methods/conversations.replies).
        """
        call = partial(self._client.reactions_get, channel=channel, timestamp=ts, full=True)
        seen = await self._ask("reading a message", call, lambda answer: _said(channel, answer["message"]))
        if isinstance(seen, Unseen) and seen.trouble is Trouble.DENIED:
            return await self._by_thread(channel, ts)
        return _kept(seen)

    async def history(
        self, channel: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        call = partial(
            self._client.conversations_history,
            channel=channel,
            oldest=_stamp(since),
            latest=_stamp(until),
            inclusive=True,
            cursor=cursor or None,
            limit=PAGE,
        )
        return await self._ask("reading a channel", call, partial(_page, channel))

    async def replies(
        self, channel: str, thread: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        """Slack shows the root in every thread, however old: it is left out here."""
        call = partial(
            self._client.conversations_replies,
            channel=channel,
            ts=thread,
            oldest=_stamp(since),
            latest=_stamp(until),
            inclusive=True,
            cursor=cursor or None,
            limit=PAGE,
        )
        return await self._ask("reading a thread", call, partial(_page, channel, root=thread))

    async def permalink(self, channel: str, ts: str, *, thread: str = "") -> Observation[str]:
        """Asks once for the workspace's address; all permalinks are made in the same way."""
        at = self._clock.now()
        if not self._home:
            call = partial(self._client.chat_getPermalink, channel=channel, message_ts=ts)
            seen = await self._ask("asking for a permalink", call, lambda answer: str(answer["permalink"]))
            if not isinstance(seen, Found):
                return seen
            self._home = seen.value.partition("/archives/")[0]
        link = f"{self._home}/archives/{channel}/p{ts.replace('.', '')}"
        return Found(f"{link}?thread_ts={thread}&cid={channel}" if thread else link, at)

    async def _by_thread(self, channel: str, ts: str) -> Observation[SlackMessage]:
        call = partial(self._client.conversations_replies, channel=channel, ts=ts, latest=ts, inclusive=True, limit=2)
        seen = await self._ask(
            "reading a message", call, lambda answer: [m for m in answer["messages"] if m.get("ts") == ts]
        )
        if not isinstance(seen, Found):
            return seen
        found = [_said(channel, message) for message in seen.value]
        return _kept(Found(found[0], seen.at)) if found else NotFound(SYSTEM, "no such message", seen.at)

    async def _ask(self, doing: str, call: Call, read: Callable[[Json], T]) -> Found[T] | NotFound | Unseen:
        """One call as an observation. `read` may meet an answer that lacks what it looks for."""
        at = self._clock.now()
        try:
            async with asyncio.timeout(self._timeout):
                response = await call()
        except FAILURES as error:
            return _unseen(failure(error, doing), at)
        try:
            return Found(read(response.data if isinstance(response.data, dict) else {}), at)
        except (LookupError, TypeError, ValueError, AttributeError):
            return Unseen(SYSTEM, Trouble.GARBLED, f"Slack's answer could not be read while {doing}", at)


def _unseen(failed: Failure, at: datetime) -> NotFound | Unseen:
    if failed.code in _HIDDEN_PLACES:
        detail = f"the bot cannot read this channel ({failed.code}): invite it"
        return Unseen(SYSTEM, Trouble.DENIED, detail, at)
    if failed.trouble is None:
        return NotFound(SYSTEM, failed.detail, at)
    log.warning("slack.unseen", trouble=failed.trouble.value, code=failed.code)
    return Unseen(SYSTEM, failed.trouble, failed.detail, at, failed.retry_after)


def _kept(seen: Found[SlackMessage | None] | NotFound | Unseen) -> Observation[SlackMessage]:
    """The message, if it was not deleted: Slack keeps a placeholder for the root of a thread."""
    if not isinstance(seen, Found):
        return seen
    return NotFound(SYSTEM, "the message was deleted", seen.at) if seen.value is None else Found(seen.value, seen.at)


def _page(channel: str, answer: Json, *, root: str = "") -> MessagePage:
    listed = [_said(channel, message) for message in answer["messages"] if message["ts"] != root]
    cursor = next_cursor(answer)
    return MessagePage(tuple(said for said in listed if said is not None), cursor)


def _said(channel: str, message: Json) -> SlackMessage | None:
    subtype, bot, user = (str(message.get(key) or "") for key in ("subtype", "bot_id", "user"))
    if subtype == _GONE:
        return None
    ts = str(message["ts"])
    replied, thread = message.get("latest_reply"), _thread_of(message)
    named = message.get("username") or (message.get("bot_profile") or {}).get("name") or message.get("bot_id")
    return SlackMessage(
        channel=channel,
        ts=ts,
        at=_instant(ts),
        author=user or bot,
        bot=str(named or "a bot") if bot or not user else "",
        raw=raw_text(message),
        thread="" if thread == ts else thread,
        files=tuple(_file(file) for file in message.get("files") or ()),
        marks=_marks(message.get("reactions") or ()),
        by_person=bool(user) and not bot and user != _SLACKBOT and subtype in _SPOKEN,
        latest_reply=_instant(str(replied)) if replied else None,
    )


def _thread_of(message: Json) -> str:
    """The root of the thread; from the permalink where the message itself does not name it."""
    named = str(message.get("thread_ts") or "")
    return named or parse_qs(urlsplit(str(message.get("permalink") or "")).query).get("thread_ts", [""])[0]


def _file(file: Json) -> SharedFile:
    """A file that was deleted (`tombstone`) or that the bot may not see has little but an id."""
    name = str(file.get("name") or file.get("id") or "a file")
    title, kind = str(file.get("title") or name), str(file.get("mimetype") or "")
    return SharedFile(name, title, kind, str(file.get("permalink") or ""))


def _marks(reactions: Any) -> dict[str, tuple[str, ...]]:
    """Who reacted, by the reaction's name without its skin tone."""
    marks = dict[str, tuple[str, ...]]()
    for reaction in reactions:
        name = base_name(str(reaction["name"]))
        marks[name] = tuple(dict.fromkeys((*marks.get(name, ()), *map(str, reaction.get("users") or ()))))
    return marks


def _instant(ts: str) -> datetime:
    """A message's `ts` is its time in Unix seconds, with microseconds that distinguish it from others of its second."""
    seconds, _, micros = ts.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros.ljust(6, "0")[:6] or 0))


def _stamp(at: datetime) -> str:
    return f"{at.timestamp():.6f}"


def raw_text(message: Json) -> str:
    """What a message says, as one text with Slack's own marks. What a CI or a workflow posts often has no `text`.

    The text, else what the blocks say; and the attachments, but not the previews of links in a written text. Shapes:
    docs.slack.dev/reference/block-kit and /messaging.
    """
    written = str(message.get("text") or "") or said_in(message.get("blocks"))
    attached = [part for part in message.get("attachments") or () if not (written and part.get("from_url"))]
    said = (said_in({key: part.get(key) for key in _INSIDE}) or str(part.get("fallback") or "") for part in attached)
    return "\n".join(filter(None, [written, *said]))


def said_in(part: Any) -> str:
    """The words of a block, of an element or of a list of them, however deep, in their order."""
    if isinstance(part, list):
        return "\n".join(filter(None, map(said_in, part)))
    if not isinstance(part, Mapping):
        return str(part) if isinstance(part, str) else ""
    return _element(part)


def _element(part: Json) -> str:  # noqa: PLR0911 - one arm a kind of element
    match part.get("type"):
        case "text" | "plain_text":
            return _escaped(str(part.get("text") or ""))
        case "user":
            return f"<@{part.get('user_id')}>"
        case "channel":
            return f"<#{part.get('channel_id')}>"
        case "usergroup":
            return f"<!subteam^{part.get('usergroup_id')}>"
        case "broadcast":
            return f"<!{part.get('range')}>"
        case "emoji":
            return f":{part.get('name')}:"
        case "link":
            label = _escaped(str(part.get("text") or ""))
            return f"<{part.get('url')}|{label}>" if label else f"<{part.get('url')}>"
        case "date":
            return _escaped(str(part.get("fallback") or ""))
        case "rich_text_section" | "rich_text_preformatted" | "rich_text_quote":
            return "".join(map(said_in, part.get("elements") or ()))
        case _:
            return "\n".join(filter(None, (said_in(part.get(key)) for key in _INSIDE)))


def _escaped(text: str) -> str:
    """A text without marks of its own, as Slack escapes what people type."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

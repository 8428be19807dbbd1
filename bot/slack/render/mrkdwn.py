"""Phrases in Slack's mrkdwn. Nothing that others wrote can ping, link or format, and no secret in it is shown.

Source of the syntax: docs.slack.dev/messaging/formatting-message-text. Every text object is sent with `verbatim`, so
that Slack itself does not look for names and addresses in it either.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import assert_never

from bot.core.people import BOT
from bot.core.phrase import ChannelRef, Clock, Day, Linked, Part, Person, Phrase, Quoted, day, duration, one_line
from bot.core.record.redact import redact

LINE = 1_000
QUOTE = 300
_LABEL = 120
_NAME = 80
_ADDRESS = 600
_LATEST = 4_102_444_800  # 2100: later than that it is a broken clock, and Slack may not take it

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_TABLE = str.maketrans(_ENTITIES)
_BACKTICK = "\u02bc"
_LOOKALIKES = str.maketrans("*~`|", f"\u2217\u223c{_BACKTICK}\u00a6")
_NO_TOKENS = str.maketrans("<>", "\u2039\u203a")
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_EMOJI_NAME = re.compile(r":(?=[\w+'-]+:)")
_USER_ID = re.compile(r"[UW][A-Z0-9]+")
_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]+")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|([^>]*))?>")
_HTTP = re.compile(r"https?://[^\s|<>\"`]+")


def mrkdwn(phrase: Phrase, *, most: int = LINE) -> str:
    """The phrase in at most `most` characters. What does not fit is cut between characters, never inside a token."""
    written, room = [], most - 1
    for part in phrase:
        piece = _part(part, room)
        if len(piece) > room:
            written.append("…")
            break
        written.append(piece)
        room -= len(piece)
    return "".join(written)


def escape(text: str) -> str:
    """The text with Slack's three control characters escaped."""
    return text.translate(_TABLE)


def bold(text: str | Phrase) -> str:
    """A label of ours, which may contain someone else's name."""
    if isinstance(text, str):
        return f"*{_harmless(text, QUOTE)}*" if text.strip() else ""
    parts = (_spaced(part) if isinstance(part, str) else _part(part, QUOTE) for part in text)
    return f"*{''.join(parts)}*"


def _spaced(text: str) -> str:
    """Harmless, with the space that it begins or ends with."""
    before, after = " " if text[:1] == " " else "", " " if text[-1:] == " " else ""
    return f"{before}{_harmless(text, QUOTE)}{after}"


def flat(text: str, most: int) -> str:
    """Someone else's text for a `plain_text` object: one line, at most so long, without what looks like a token."""
    line = _shown(text).translate(_NO_TOKENS).replace("`", _BACKTICK)
    return line if len(line) <= most else line[: most - 1] + "…"


def flat_phrase(phrase: Phrase, most: int) -> str:
    """A phrase for a `plain_text` object; instants in UTC."""
    return flat("".join(_flat_part(part) for part in phrase), most)


def date(at: datetime) -> str:
    """An instant by the reader's own clock, to the minute; in UTC where the reader's program cannot do that.

    A `Day` has its weekday: `Monday, November 23rd, 2026 08:00`, or `tomorrow 08:00`. A `Clock` has no date.
    """
    seconds = int(at.timestamp())
    utc = day(at) if isinstance(at, Day) else f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"
    style = "{date_long_pretty} {time}" if isinstance(at, Day) else "{date_short_pretty} {time}"
    style = "{time}" if isinstance(at, Clock) else style
    return f"<!date^{seconds}^{style}|{utc}>" if 0 <= seconds <= _LATEST else utc


def channel(channel_id: str) -> str:
    """A channel that the reader can open; empty for anything but a channel's id."""
    return f"<#{channel_id}>" if _CHANNEL_ID.fullmatch(channel_id) else ""


def unmarked(text: str, most: int) -> str:
    """Someone else's sentence as running text. People in it are named and not pinged."""
    return _harmless(_MENTION.sub(lambda found: f"@{found[2] or found[1]}", text), most).removeprefix("&gt;")


def _shown(text: str) -> str:
    """Someone else's text on one line, without its secrets: all of it shows them, so before anything is cut."""
    return one_line(redact(text))


def _part(part: Part, room: int) -> str:
    match part:
        case str():
            return _cut(redact(part), room)
        case Quoted(text):
            named = channel(text) if isinstance(part, ChannelRef) else ""
            return named or _code(text, min(room - 2, QUOTE))
        case Linked(text, url):
            return _link(text, url, room)
        case Person(slack_id, name):
            is_user = slack_id is not None and _USER_ID.fullmatch(slack_id)
            named = BOT if slack_id == BOT else _harmless(name, _NAME).removeprefix("&gt;")
            return f"<@{slack_id}>" if is_user else named or "someone"
        case datetime():
            return date(part)
        case timedelta():
            return duration(part)
    assert_never(part)


def _flat_part(part: Part) -> str:
    match part:
        case str() | Quoted() | Linked():
            return part if isinstance(part, str) else part.text
        case Person(slack_id, name):
            return name or slack_id or "someone"
        case Day():
            return day(part)
        case datetime():
            return f"{part.astimezone(UTC):%H:%M} UTC"
        case timedelta():
            return duration(part)
    assert_never(part)


def _code(text: str, room: int) -> str:
    inside = _cut(_shown(text).replace("`", _BACKTICK), room)
    return f"`{inside}`" if inside.strip() else "(empty)"


def is_address(url: str) -> bool:
    """Whether a page may be linked: by http(s), of a length that Slack takes, and without a secret in it."""
    is_short = len(escape(url)) <= _ADDRESS
    return is_short and bool(_HTTP.fullmatch(url)) and url.isprintable() and redact(url) == url


def _link(text: str, url: str | None, room: int) -> str:
    if url is None or not is_address(url):
        return _code(text, min(room - 2, QUOTE))
    return f"<{escape(url)}|{_harmless(text, _LABEL) or 'page'}>"


def _harmless(text: str, room: int) -> str:
    """Text outside code that must look right and mean nothing: marks of formatting become characters like them."""
    line = _EDGE_UNDERSCORE.sub("\u02cd", _shown(text).translate(_LOOKALIKES))
    return _cut(_EMOJI_NAME.sub("\ua789", line), room)


def _cut(text: str, room: int) -> str:
    """The escaped text in at most `room` characters."""
    whole = escape(text)
    if len(whole) <= room:
        return whole
    kept, left = [], room - 1
    for character in text:
        piece = _ENTITIES.get(character, character)
        left -= len(piece)
        if left < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"

"""Slack's mrkdwn as HTML. What someone wrote is always escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from markupsafe import Markup, escape

from bot.sandbox.page.emoji import emoji
from bot.sandbox.slack.mrkdwn import TOKEN, dated

_FENCE = re.compile(r"```\n?(.*?)\n?```\n?", re.DOTALL)
_QUOTE = re.compile(r"^(?:&gt;|>) ?", re.MULTILINE)
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_ADDRESS = re.compile(r"(?:https?://|mailto:)[^\s]+")
_STYLES = {"bold": "b", "italic": "i", "strike": "s"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks at it: dates are in their zone, and `names` are those of people and channels by id."""

    names: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo = UTC
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def formatted(text: str, reader: Reader) -> Markup:
    """A text in mrkdwn: bold, code, links, mentions, dates, emoji, quotes and code blocks."""
    parts = _FENCE.split(text)
    drawn = [Markup("<pre>{}</pre>").format(plain(p)) if n % 2 else _quoted(p, reader) for n, p in enumerate(parts)]
    return Markup().join(drawn)


def plain(text: str) -> str:
    """A text with Slack's three entities taken back. It is not HTML: escape it."""
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text


def with_emoji(text: str) -> Markup:
    """A `plain_text`: nothing in it is formatted but emoji."""
    pieces = re.split(r":([a-z0-9_+'-]+):", text)
    drawn = [emoji(piece) or escape(f":{piece}:") if n % 2 else escape(piece) for n, piece in enumerate(pieces)]
    return Markup().join(drawn)


def link(url: str, label: str | Markup) -> Markup:
    """A link that leaves the page; for anything but a web or mail address only the label."""
    if not _ADDRESS.fullmatch(url):
        return escape(label)
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(url, label)


def date(unix: int, form: str, fallback: str, reader: Reader) -> Markup:
    try:
        at = datetime.fromtimestamp(unix, reader.zone)
    except (OverflowError, ValueError, OSError):
        return escape(fallback)
    shown = dated(form, at, reader.now.astimezone(reader.zone))
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), shown)


def mention(mark: str, target: str, said: str, reader: Reader) -> Markup:
    """`@quinn`, `#inc-staging`, `@here`."""
    name = reader.names.get(target) or said or target.partition("^")[0]
    return Markup('<span class="mention">{}{}</span>').format("#" if mark == "#" else "@", name)


def _quoted(text: str, reader: Reader) -> Markup:
    """Lines that begin with `>` go into one quotation, as far as they follow each other."""
    groups: list[tuple[bool, list[str]]] = []
    for line in text.split("\n"):
        is_quote = bool(_QUOTE.match(line))
        if not groups or groups[-1][0] != is_quote:
            groups.append((is_quote, []))
        groups[-1][1].append(_QUOTE.sub("", line) if is_quote else line)
    drawn = ((is_quote, Markup().join(_inline("\n".join(lines), reader))) for is_quote, lines in groups)
    return Markup().join(Markup("<blockquote>{}</blockquote>").format(d) if quote else d for quote, d in drawn)


def _inline(text: str, reader: Reader) -> Iterator[Markup]:
    end = 0
    for found in TOKEN.finditer(text):
        yield escape(plain(text[end : found.start()]))
        yield _token({name: value or "" for name, value in found.groupdict().items()}, found[0], reader)
        end = found.end()
    yield escape(plain(text[end:]))


def _token(value: Mapping[str, str], whole: str, reader: Reader) -> Markup:
    for name, tag in _STYLES.items():
        if value[name]:
            inside = Markup().join(_inline(value[name], reader))
            return Markup(f"<{tag}>{{}}</{tag}>").format(inside)
    if value["code"]:
        return Markup("<code>{}</code>").format(plain(value["code"]))
    if value["url"]:
        label = Markup().join(_inline(value["label"], reader)) if value["label"] else plain(value["url"])
        return link(plain(value["url"]), label)
    if value["unix"]:
        at = date(int(value["unix"]), value["form"], plain(value["fallback"]), reader)
        return link(plain(value["goto"]), at) if value["goto"] else at
    if value["mark"]:
        return mention(value["mark"], plain(value["target"]), plain(value["said"]), reader)
    return emoji(value["emoji"]) or escape(whole) if value["emoji"] else Markup("<br>")

"""Slack's rich text as HTML (docs.slack.dev/reference/block-kit/blocks/rich-text-block)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup, escape

from bot.sandbox.page.emoji import emoji
from bot.sandbox.page.mrkdwn import Reader, date, link, mention

Json = Mapping[str, Any]

_TAGS = {"code": "code", "bold": "b", "italic": "i", "strike": "s", "underline": "u"}
_MENTIONS = {"user": ("@", "user_id"), "usergroup": ("@", "usergroup_id"), "channel": ("#", "channel_id")}


def drawn(block: Json, reader: Reader) -> Markup:
    """The text, with its lists, quotations and code."""
    parts = Markup().join(_part(part, reader) for part in block.get("elements", ()))
    return Markup('<div class="text">{}</div>').format(parts)


def _part(part: Json, reader: Reader) -> Markup:
    inside = part.get("elements", ())
    match part.get("type"):
        case "rich_text_list":
            items = Markup().join(
                Markup("<li>{}</li>").format(_run(item.get("elements", ()), reader)) for item in inside
            )
            tag = "ol" if part.get("style") == "ordered" else "ul"
            level = min(int(part.get("indent", 0)), 8)
            return Markup(f'<{tag} class="indent-{level}">{{}}</{tag}>').format(items)
        case "rich_text_preformatted":
            return Markup("<pre>{}</pre>").format(_run(inside, reader))
        case "rich_text_quote":
            return Markup("<blockquote>{}</blockquote>").format(_run(inside, reader))
        case _:
            return Markup("<div>{}</div>").format(_run(inside, reader))


def _run(pieces: Iterable[Json], reader: Reader) -> Markup:
    return Markup().join(_piece(piece, reader) for piece in pieces)


def _piece(piece: Json, reader: Reader) -> Markup:
    kind = str(piece.get("type"))
    said = str(piece.get("text", ""))
    if kind in _MENTIONS:
        mark, key = _MENTIONS[kind]
        return mention(mark, str(piece.get(key, "")), "", reader)
    match kind:
        case "link":
            shown: Markup = link(str(piece.get("url", "")), said or str(piece.get("url", "")))
        case "emoji":
            return emoji(str(piece.get("name", ""))) or escape(f":{piece.get('name', '')}:")
        case "broadcast":
            return mention("@", str(piece.get("range", "")), "", reader)
        case "date":
            return date(
                int(piece.get("timestamp", 0)), str(piece.get("format", "")), str(piece.get("fallback", "")), reader
            )
        case _:
            shown = Markup("<br>").join(escape(line) for line in said.split("\n"))
    for name, tag in _TAGS.items():
        if (piece.get("style") or {}).get(name):
            shown = Markup(f"<{tag}>{{}}</{tag}>").format(shown)
    return shown

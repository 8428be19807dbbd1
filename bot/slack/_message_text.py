"""What a message of Slack says, as one text with Slack's own marks: of its text, its blocks or its attachments.

What a CI or a workflow posts often has no `text`. Shapes: docs.slack.dev/reference/block-kit and /messaging.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]
_INSIDE = ("pretext", "title", "text", "fields", "elements", "blocks")


def raw_text(message: Json) -> str:
    """The text, else what the blocks say; and the attachments, but not the previews of links in a written text."""
    written = str(message.get("text") or "") or said_in(message.get("blocks"))
    attached = [part for part in message.get("attachments") or () if not (written and part.get("from_url"))]
    return "\n".join(filter(None, [written, *map(_attachment, attached)]))


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


def _attachment(part: Json) -> str:
    return said_in({key: part.get(key) for key in _INSIDE}) or str(part.get("fallback") or "")


def _escaped(text: str) -> str:
    """A text without marks of its own, as Slack escapes what people type."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

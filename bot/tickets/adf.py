"""A ticket in the Atlassian Document Format: what others wrote is the text of text nodes, in which nothing is markup.

Source: developer.atlassian.com/cloud/jira/platform/apis/document/structure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from bot.core.account.ticket import Ticket
from bot.core.phrase import Linked, Part, Person, Phrase, duration, instant, one_line

Node: TypeAlias = dict[str, Any]


def adf_of(ticket: Ticket) -> Node:
    steps = [_item([_words(step, ticket.names)]) for step in ticket.todo]
    facts = [_item([[_text(f"{label} "), *_words(said, ticket.names)]]) for label, said in ticket.facts]
    content = [
        _paragraph(_words(ticket.reason, ticket.names)),
        *([_heading("What to do"), {"type": "orderedList", "content": steps}] if steps else []),
        *([_heading("The incident"), {"type": "bulletList", "content": facts}] if facts else []),
        _paragraph(
            [_text(f"Filed by tflock as {ticket.marker}; the label of that name keeps it from being filed twice.")]
        ),
    ]
    return {"type": "doc", "version": 1, "content": content}


def _heading(text: str) -> Node:
    return {"type": "heading", "attrs": {"level": 3}, "content": [_text(text)]}


def _item(paragraphs: Iterable[list[Node]]) -> Node:
    return {"type": "listItem", "content": [_paragraph(nodes) for nodes in paragraphs]}


def _paragraph(nodes: list[Node]) -> Node:
    return {"type": "paragraph", "content": nodes}


def _words(phrase: Phrase, names: Mapping[str, str]) -> list[Node]:
    nodes = [_node(part, names) for part in phrase]
    return [node for node in nodes if node["text"]]  # a text node must not be empty


def _node(part: Part, names: Mapping[str, str]) -> Node:
    match part:
        case str():
            return _text(part)
        case Linked(text, url):
            return _linked(one_line(text), url)
        case Person(slack_id, name):
            return _text(one_line(names.get(slack_id or "") or name or slack_id or "someone"))
        case datetime():
            return _text(instant(part))
        case timedelta():
            return _text(duration(part))
        case _:
            return _text(one_line(part.text))


def _text(text: str) -> Node:
    return {"type": "text", "text": text}


def _linked(text: str, url: str | None) -> Node:
    node = _text(text or "page")
    is_page = url is not None and url.startswith(("https://", "http://")) and url.isprintable() and " " not in url
    return {**node, "marks": [{"type": "link", "attrs": {"href": url}}]} if is_page else node

"""Messages of the local workspace as a person reads them, and the buttons in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.sandbox.slack.team import Json, TeamMessage, elements, nested


def flat(message: TeamMessage | Mapping[str, Any]) -> str:
    """A message as plain lines: its blocks, with `[labels]` for buttons, or its text where it has no blocks."""
    blocks = message.blocks if isinstance(message, TeamMessage) else message.get("blocks", ())
    text = message.text if isinstance(message, TeamMessage) else str(message.get("text", ""))
    lines = [line for block in blocks for line in _lines(block)]
    return "\n".join(lines) if lines else text


def find_element(
    message: TeamMessage, action_id: str, *, value: str | None = None, block_id: str | None = None
) -> Json:
    """The element with this action id, of this value and in this block where they are given.

    Raises LookupError, naming the actions that the message has.
    """
    return located(message, action_id, value=value, block_id=block_id)[1]


def located(message: TeamMessage, action_id: str, *, value: str | None, block_id: str | None) -> tuple[str, Json]:
    """Like find_element, with the id of the block that has the element."""
    return located_in(message.blocks, action_id, value=value, block_id=block_id)


def located_in(blocks: Sequence[Json], action_id: str, *, value: str | None, block_id: str | None) -> tuple[str, Json]:
    """As `located`, in the blocks of a message or a view."""
    for block in nested(blocks):
        for element in elements(block):
            options = [option["value"] for option in element.get("options", ())]
            fits = element["action_id"] == action_id and value in (None, element.get("value"), *options)
            if fits and block_id in (None, block["block_id"]):
                return str(block["block_id"]), element
    has = ", ".join(_actions(blocks)) or "none"
    wanted = action_id if value is None else f"{action_id} with {value}"
    raise LookupError(f"the message has no {wanted!r} to act on; it has: {has}")


def actions(message: TeamMessage) -> tuple[str, ...]:
    """The action ids in a message, in order."""
    return _actions(message.blocks)


def _actions(blocks: Sequence[Json]) -> tuple[str, ...]:
    return tuple(str(element["action_id"]) for block in nested(blocks) for element in elements(block))


def _lines(block: Mapping[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "divider":
            yield "───"
        case "context":
            yield " · ".join(filter(None, (_label(element) for element in block.get("elements", ()))))
        case "actions":
            yield " ".join(_label(element) for element in block.get("elements", ()))
        case "markdown":
            yield str(block.get("text", ""))
        case "image":
            yield f"[{block.get('alt_text', '')}]"
        case "rich_text":
            yield _spoken(block)
        case "input":
            yield f"{_words(block.get('label'))} {_label(block.get('element', {}))}"
        case "container":
            yield _words(block.get("title"))
            yield from (line for child in block.get("child_blocks", ()) for line in _lines(child))
        case "table" | "data_table":
            yield from (" · ".join(map(_spoken, row)) for row in block.get("rows", ()))
        case _:
            yield from _section(block)


def _section(block: Mapping[str, Any]) -> Iterator[str]:
    if block.get("text"):
        yield _words(block["text"])
    for part in block.get("fields", ()):
        yield _words(part)
    if block.get("accessory"):
        yield _label(block["accessory"])


def _label(element: Mapping[str, Any]) -> str:
    match element.get("type"):
        case "button":
            return f"[{_words(element.get('text'))}]"
        case "static_select" | "users_select" | "plain_text_input":
            return f"[{_words(element.get('placeholder')) or 'choose'} ▾]"
        case "overflow":
            return "[…]"
        case "image":
            return f"[{element.get('alt_text', '')}]"
        case _:
            return _words(element)


def _words(text: Mapping[str, Any] | None) -> str:
    return str(text.get("text", "")) if text else ""


def _spoken(thing: Any) -> str:
    if isinstance(thing, Mapping):
        own = thing["text"] if isinstance(thing.get("text"), str) else ""
        return own + "".join(_spoken(value) for value in thing.values())
    return "".join(_spoken(item) for item in thing) if isinstance(thing, list) else ""

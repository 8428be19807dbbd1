"""Small constructors of Block Kit that keep Slack's limits for any input.

Numbers are those of docs.slack.dev/reference/block-kit; the total of a message is not documented (about 11,000).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.core.phrase import Linked
from bot.core.reports.button import ButtonValue
from bot.ports.messenger import Message
from bot.slack.render.mrkdwn import flat, is_address

Block: TypeAlias = dict[str, Any]
Element: TypeAlias = dict[str, Any]
Cell: TypeAlias = str | Linked

SECTION = 3_000
OPTIONS = 100
OPTION_VALUE = 150
_MENU = 5
_BUTTON_VALUE = 2_000
_BUTTON_TEXT = 75
_GROUP, _CHILDREN = 6, 10
_ROWS, _CELL = 100, 80


@dataclass(frozen=True, slots=True)
class Confirm:
    """Slack's own dialog in front of a button. Plain words; what is too long is cut."""

    title: str
    text: str
    yes: str
    no: str = "Cancel"


@dataclass(frozen=True, slots=True)
class Newer:
    """Blocks that not every workspace takes yet, and what is shown instead where Slack refuses them."""

    blocks: Sequence[Block]
    instead: Sequence[Block]


def message(text: str, *parts: Sequence[Block] | Newer) -> Message:
    """`text` is one sentence of mrkdwn, for notifications."""
    blocks = [block for part in parts for block in (part.blocks if isinstance(part, Newer) else part)]
    if not any(isinstance(part, Newer) for part in parts):
        return Message(text, blocks)
    plain = [block for part in parts for block in (part.instead if isinstance(part, Newer) else part)]
    return Message(text, blocks, plain)


def folded(title: str, lines: Sequence[str], *, show: Element | None = None, budget: int = SECTION) -> Newer:
    """Lines behind a title that opens them. Instead: only the title, with a button that shows them.

    Source: docs.slack.dev/reference/block-kit/blocks/container-block, of June 2026.
    """
    heading, kept = plain_text(title, 150), _counted(lines, budget)
    groups = [kept[first : first + _GROUP] for first in range(0, len(kept), _GROUP)]
    inside = [part for group in groups for part in sections(group)][:_CHILDREN]
    closed: Block = {
        "type": "container",
        "title": heading,
        "is_collapsible": True,
        "default_collapsed": True,
        "child_blocks": inside,
    }
    shown: Block = {"type": "section", "text": heading}
    return Newer([closed], [shown if show is None else {**shown, "accessory": show}])


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], instead: Sequence[Block]) -> Newer:
    """Rows below a head, the last column unwrapped; at most 99 rows, and one table a message.

    Source: docs.slack.dev/reference/block-kit/blocks/table-block.
    """
    drawn = [[_cell(cell) for cell in row] for row in (head, *rows[: _ROWS - 1])]
    wrapped = [{"is_wrapped": True} for _ in head]
    return Newer([{"type": "table", "rows": drawn, "column_settings": wrapped}], instead)


def _cell(cell: Cell) -> Element:
    if isinstance(cell, str):
        return {"type": "raw_text", "text": flat(cell, _CELL) or "-"}
    text, url = flat(cell.text, _CELL) or "-", cell.url
    if url is None or not is_address(url):
        return {"type": "raw_text", "text": text}
    link = {"type": "link", "url": url, "text": text}
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [link]}]}


def sections(lines: Sequence[str], *, budget: int = SECTION, more: Callable[[int], str] | None = None) -> list[Block]:
    """Lines of mrkdwn as sections, in at most `budget` characters. What is left out is counted in a last line."""
    return [{"type": "section", "text": _mrkdwn(text)} for text in _packed(_counted(lines, budget, more))]


def context(*lines: str) -> list[Block]:
    elements = [_mrkdwn(line) for line in lines if line][:10]
    return [{"type": "context", "elements": elements}] if elements else []


def actions(*elements: Element | None) -> list[Block]:
    """A row of buttons; those that could not be made are left out."""
    made = [element for element in elements if element is not None]
    return [{"type": "actions", "elements": made}] if made else []


def button(
    label: str,
    action_id: str,
    value: ButtonValue,
    *,
    style: str | None = None,
    confirm: Confirm | None = None,
) -> Element | None:
    """None if the value is longer than Slack takes: a cut value would be another lock's."""
    if len(str(value)) > _BUTTON_VALUE:
        return None
    made: Element = {
        "type": "button",
        "action_id": action_id,
        "text": plain_text(label, _BUTTON_TEXT),
        "value": str(value),
        "accessibility_label": flat(_spoken(label, value.state), _BUTTON_TEXT) or "…",
    }
    if style is not None:
        made["style"] = style
    if confirm is not None:
        made["confirm"] = _dialog(confirm, style)
    return made


def _spoken(label: str, state: str) -> str:
    """What a screen reader says, which has no message around the button: the state, too."""
    said = label.rstrip("…")
    return said if not state or state in said else f"{said} ({state})"


def select(placeholder: str, action_id: str, options: Sequence[tuple[str, ButtonValue]]) -> Element | None:
    """A list to choose from: the first 100 options whose value Slack takes; None if there is none."""
    fitting = [(label, str(value)) for label, value in options if len(str(value)) <= OPTION_VALUE]
    if not fitting:
        return None
    return {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": plain_text(placeholder, 150),
        "options": [{"text": plain_text(label, 75), "value": value} for label, value in fitting[:OPTIONS]],
    }


def menu(action_id: str, options: Sequence[tuple[str, ButtonValue]]) -> Element | None:
    """Three dots with up to five things to do; None if one of them has a value that Slack does not take."""
    made = [{"text": plain_text(label, 75), "value": str(value)} for label, value in options[:_MENU]]
    if any(len(option["value"]) > OPTION_VALUE for option in made):
        return None
    return {"type": "overflow", "action_id": action_id, "options": made}


def _dialog(confirm: Confirm, style: str | None) -> Element:
    made: Element = {
        "title": plain_text(confirm.title, 100),
        "text": plain_text(confirm.text, 300),
        "confirm": plain_text(confirm.yes, 30),
        "deny": plain_text(confirm.no, 30),
    }
    return {**made, "style": style} if style else made


def _counted(lines: Sequence[str], budget: int, more: Callable[[int], str] | None = None) -> list[str]:
    """As many lines as fit, and a last one that counts the others."""
    kept = _fitting(lines, budget)
    left_out = len(lines) - len(kept)
    return kept if not left_out else [*kept, more(left_out) if more else f"… and {left_out} more"]


def _fitting(lines: Sequence[str], budget: int) -> list[str]:
    kept, room = [], budget
    for number, line in enumerate(lines):
        reserve = 0 if number == len(lines) - 1 else 200  # for the last line, which counts what is left out
        if len(line) + 1 + reserve > room:
            break
        kept.append(line)
        room -= len(line) + 1
    return kept


def _packed(lines: Sequence[str]) -> list[str]:
    packed: list[str] = []
    for line in lines:
        if packed and len(packed[-1]) + 1 + len(line) <= SECTION:
            packed[-1] += f"\n{line}"
        else:
            packed.append(line)
    return packed


def _mrkdwn(text: str) -> Element:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain_text(text: str, most: int) -> Element:
    """One line of someone else's words or ours, cut to what fits."""
    return {"type": "plain_text", "text": flat(text, most) or "…", "emoji": False}

"""Small constructors of Block Kit that keep Slack's limits for any input.

Numbers are those of docs.slack.dev/reference/block-kit; the total of a message is not documented (about 11,000).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.core.reports.button import ButtonValue
from bot.ports.messenger import Message
from bot.slack.render.mrkdwn import flat

Block: TypeAlias = dict[str, Any]
Element: TypeAlias = dict[str, Any]

SECTION = 3_000
OPTIONS = 100
OPTION_VALUE = 150
_MENU = 5
_BUTTON_VALUE = 2_000
_BUTTON_TEXT = 75


@dataclass(frozen=True, slots=True)
class Confirm:
    """Slack's own dialog in front of a button. Plain words; what is too long is cut."""

    title: str
    text: str
    yes: str
    no: str = "Not now"


def message(text: str, *parts: Sequence[Block]) -> Message:
    """`text` is one sentence of mrkdwn, for notifications."""
    return Message(text, [block for part in parts for block in part])


def sections(lines: Sequence[str], *, budget: int = SECTION, more: Callable[[int], str] | None = None) -> list[Block]:
    """Lines of mrkdwn as sections, in at most `budget` characters. What is left out is counted in a last line."""
    kept = _fitting(lines, budget)
    if len(kept) < len(lines):
        left_out = len(lines) - len(kept)
        kept = [*kept, more(left_out) if more else f"… and {left_out} more"]
    return [{"type": "section", "text": _mrkdwn(text)} for text in _packed(kept)]


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
    }
    if style is not None:
        made["style"] = style
    if confirm is not None:
        made["confirm"] = _dialog(confirm, style)
    return made


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
    """One line of somebody else's words or ours, cut to what fits."""
    return {"type": "plain_text", "text": flat(text, most) or "…", "emoji": False}

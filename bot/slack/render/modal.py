"""The dialog that corrects an entry. Limits are those of docs.slack.dev/surfaces/modals and reference/views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from bot.core.record.redact import redact
from bot.core.reports.report import Corrected
from bot.slack.render.blocks import Block, context, plain_text, sections
from bot.slack.render.mrkdwn import mrkdwn

View: TypeAlias = dict[str, Any]

EDIT_CALLBACK = "timeline.edit"
REVIEW = "incident.review"
"""The dialog, and the button that opens it."""

LONGEST_INPUT = 3_000
"""Characters that an input takes. A longer text is changed by the command, or replaced completely."""

_REASON = 1_000
_TITLE = 24


@dataclass(frozen=True, slots=True)
class EditForm:
    """What the dialog shows. `at` is the entry's time by the editor's clock, `zone` the name of that clock.

    `metadata` comes back with what was filled in; 3,000 characters at most.
    """

    entry: Corrected
    at: datetime
    zone: str
    metadata: str


def loading_view() -> View:
    """What is shown until the entry has been read: the trigger of a dialog does not wait."""
    return _modal("Edit", sections(["Reading the entry …"]))


def failed_view(reason: str) -> View:
    """Why there is nothing to edit. `reason` is plain text."""
    return _modal("Edit", sections([mrkdwn((f"This entry cannot be edited now. {reason}",), most=LONGEST_INPUT)]))


def edit_view(form: EditForm) -> View:
    day: View = {"type": "datepicker", "action_id": "date", "initial_date": form.at.date().isoformat()}
    clock: View = {"type": "timepicker", "action_id": "time", "initial_time": form.at.strftime("%H:%M")}
    why: View = {"type": "plain_text_input", "action_id": "why", "max_length": _REASON}
    closed = "" if form.entry.incident.is_open else " The incident is closed: its exports are made again."
    recorded = ("Recorded at ", form.entry.before.entry.recorded_at, ". The raw log keeps what was recorded.", closed)
    blocks = [
        _text_field(form),
        _input("date", "Day", day),
        _input("time", f"Time, by your own clock ({form.zone})", clock),
        {**_input("why", "Why", why), "optional": True},
        *context(mrkdwn(recorded)),
    ]
    return {
        **_modal(f"Edit entry {form.entry.after.entry.id}", blocks),
        "callback_id": EDIT_CALLBACK,
        "private_metadata": form.metadata,
        "submit": plain_text("Save", _TITLE),
    }


REVIEW_FIELDS = {
    "impact": ("Impact", "Who or what was blocked, and for how long?"),
    "review": ("Notes for the review", "What went well, what went badly, what should change?"),
}
"""What the closing dialog asks for: by what the note is about, its label and a hint."""


def review_view(metadata: str) -> View:
    """What to add to the record of an incident that is over; either may be left empty."""
    box: View = {"type": "plain_text_input", "multiline": True, "max_length": LONGEST_INPUT}
    blocks = [
        {
            **_input(about, label, {**box, "action_id": about}),
            "optional": True,
            "hint": plain_text(hint, 2_000),
        }
        for about, (label, hint) in REVIEW_FIELDS.items()
    ]
    return {
        **_modal("Close the record", [*blocks, *context("Both are added to the timeline and the exports.")]),
        "callback_id": REVIEW,
        "private_metadata": metadata,
        "submit": plain_text("Save", _TITLE),
    }


def text_shown(text: str) -> str:
    """The text as the dialog shows it; empty where it is longer than a dialog takes."""
    readable = (character if character.isprintable() or character == "\n" else " " for character in redact(text))
    clean = "".join(readable).strip()
    return clean if len(clean) <= LONGEST_INPUT else ""


def _text_field(form: EditForm) -> Block:
    text = text_shown(form.entry.after.entry.text)
    box: View = {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": LONGEST_INPUT}
    if text:
        return _input("text", "What happened", {**box, "initial_value": text})
    hint = "It is longer than a dialog takes. Leave this empty to keep it as it is."
    return {**_input("text", "What happened", box), "optional": True, "hint": plain_text(hint, 2_000)}


def _input(block_id: str, label: str, element: Mapping[str, Any]) -> Block:
    return {"type": "input", "block_id": block_id, "label": plain_text(label, 2_000), "element": dict(element)}


def _modal(title: str, blocks: list[Block]) -> View:
    return {
        "type": "modal",
        "title": plain_text(title, _TITLE),
        "close": plain_text("Cancel", _TITLE),
        "blocks": blocks,
    }

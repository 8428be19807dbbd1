"""The dialog that corrects an entry. Limits are those of docs.slack.dev/surfaces/modals and reference/views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from bot.core.phrase import Quoted
from bot.core.record.redact import redact
from bot.core.reports.report import REVIEW, Corrected
from bot.slack.render.blocks import Block, context, plain_text, sections
from bot.slack.render.mrkdwn import mrkdwn

View: TypeAlias = dict[str, Any]

EDIT_CALLBACK = "timeline.edit"

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


def loading_review() -> View:
    """As `loading_view`."""
    return _review([*sections(["Reading what was written so far …"])])


def failed_review(reason: str) -> View:
    """As `failed_view`."""
    return _review(sections([mrkdwn((f"Nothing can be added now. {reason}",), most=LONGEST_INPUT)]))


def review_view(written: Mapping[str, str], *, title: str, metadata: str) -> View:
    """What to add to the record of an incident, with what was written so far. Either field may be left empty."""
    blocks = [_review_field(about, written.get(about, "")) for about in REVIEW_FIELDS]
    about = mrkdwn(("Both are added to the timeline and the record of ", Quoted(title), "."))
    return {
        **_review([*blocks, *context(about)]),
        "close": plain_text("Skip", _TITLE),
        "callback_id": REVIEW,
        "private_metadata": metadata,
        "submit": plain_text("Save", _TITLE),
    }


def _review(blocks: list[Block]) -> View:
    return _modal("Impact and notes", blocks)


def _review_field(about: str, written: str) -> Block:
    label, hint = REVIEW_FIELDS[about]
    return {**_text_box(about, label, written, hint), "optional": True}


def text_shown(text: str) -> str:
    """The text as the dialog shows it; empty where it is longer than a dialog takes."""
    readable = (character if character.isprintable() or character == "\n" else " " for character in redact(text))
    clean = "".join(readable).strip()
    return clean if len(clean) <= LONGEST_INPUT else ""


def _text_field(form: EditForm) -> Block:
    before = form.entry.after.entry.text
    field = _text_box("text", "What happened", before)
    return field if text_shown(before) else {**field, "optional": True}


def _text_box(name: str, label: str, written: str, hint: str = "") -> Block:
    """A field for several lines, with what was written before."""
    text = text_shown(written)
    box: View = {"type": "plain_text_input", "action_id": name, "multiline": True, "max_length": LONGEST_INPUT}
    field = _input(name, label, {**box, "initial_value": text} if text else box)
    if written and not text:
        hint = "It is longer than a dialog takes. Leave this empty to keep it as it is."
    return {**field, "hint": plain_text(hint, 2_000)} if hint else field


def _input(block_id: str, label: str, element: Mapping[str, Any]) -> Block:
    return {"type": "input", "block_id": block_id, "label": plain_text(label, 2_000), "element": dict(element)}


def _modal(title: str, blocks: list[Block]) -> View:
    return {
        "type": "modal",
        "title": plain_text(title, _TITLE),
        "close": plain_text("Cancel", _TITLE),
        "blocks": blocks,
    }

"""The answer to a correction: what the entry said before, what it says now, and how to undo it."""

from __future__ import annotations

from bot.core.phrase import Phrase, Quoted
from bot.core.record.revision import Marking
from bot.core.reports.report import Corrected, Notice
from bot.ports.messenger import Message
from bot.slack.render.page import notice_message

_HIDDEN = "It is left out of the timeline and the exports; the raw log keeps it."
_RESTORED = "It is back in the timeline and the exports."
_KEY = "It is highlighted in the timeline and the exports."
_NOT_KEY = "It stays in the timeline and the exports."
_MARKINGS = {
    Marking.HIDE: ("is hidden already", "is hidden", _HIDDEN, Marking.RESTORE),
    Marking.RESTORE: ("is not hidden", "is shown again", _RESTORED, Marking.HIDE),
    Marking.KEY: ("is a key moment already", "is a key moment", _KEY, Marking.NOT_KEY),
    Marking.NOT_KEY: ("is no key moment", "is no longer a key moment", _NOT_KEY, Marking.KEY),
}
"""What it was before, what it is now, what that means, and how to undo it."""


def edited_message(told: Corrected, undo: str | None) -> Message:
    """`undo` is the command that puts it back; None where no command can say it."""
    entry, number = told.after.entry, f"Entry {told.after.entry.id}"
    if not told.changed:
        lines: list[Phrase] = [(Quoted(entry.text), " at ", entry.at, ". Nothing was changed.")]
        return notice_message(Notice(f"{number} says that already", tuple(lines)))
    was = told.before.entry
    lines = [("It said: ", Quoted(was.text)), ("It says: ", Quoted(entry.text))] if was.text != entry.text else []
    if was.at != entry.at:
        lines.append(("It was at ", was.at, " and is now at ", entry.at, "."))
    if told.is_hidden:
        lines.append(("It is still hidden.",))
    lines.append(("The raw log keeps what it said. ", *_back(undo)))
    return notice_message(Notice(f"{number} is corrected", (*lines, *_late(told))))


def marked_message(told: Corrected, how: Marking) -> Message:
    entry, number = told.after.entry, f"Entry {told.after.entry.id}"
    already, done, means, undo = _MARKINGS[how]
    if not told.changed:
        return notice_message(Notice(f"{number} {already}", ((Quoted(entry.text), ". Nothing was changed."),)))
    if told.after.milestone is not None:
        done = f"{done}: {told.after.milestone}"
    back: Phrase = (f"{means} ", *_back(f"/tflock {undo} {entry.id}"))
    return notice_message(Notice(f"{number} {done}", ((Quoted(entry.text), " at ", entry.at), back, *_late(told))))


def _back(undo: str | None) -> Phrase:
    return ("To undo: ", Quoted(undo)) if undo else ("To undo, edit it again.",)


def _late(told: Corrected) -> tuple[Phrase, ...]:
    return () if told.incident.is_open else (("The incident is closed: its exports are made again in a moment.",),)

"""A page of an incident's timeline, and what became of a correction.

Each entry is a section with its number, which the commands take, and a menu beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.phrase import Person, Phrase, Quoted
from bot.core.record.revision import Marking, ShownEntry
from bot.core.record.timeline import Kind
from bot.core.reports.button import ButtonValue
from bot.core.reports.report import TimelineReport
from bot.ports.messenger import Message
from bot.slack.render.blocks import Block, actions, button, context, menu, message, sections
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import bold, date, mrkdwn, unmarked

OLDER, NEWER, ENTRY = "timeline.older", "timeline.newer", "timeline.entry"
EDIT = "edit"

_BUDGET = 9_000
_TEXT = 600
_HEAD = 330
"""Characters of an entry apart from its text, with the words of its menu."""

_WHY = 100
_NAMED = 20
"""Hidden entries that are named."""

_SIGNS = {
    "incident": Icon.INCIDENT,
    "command": Icon.COMMAND,
    "lock": Icon.LOCKED,
    "gate": Icon.GATE,
    "unlock": Icon.FREE,
    "kill": Icon.KILL,
    "owner": Icon.OWNER,
    "note": Icon.NOTE,
    "message": Icon.MESSAGE,
    "alert": Icon.ALERT,
    "watch": Icon.WATCH,
    "recovery": Icon.WATCH,
    "hold": Icon.LOCKED,
    "export": Icon.EXPORT,
    "followup": Icon.FOLLOWUP,
}
"""By the subject of the kind."""


def timeline_message(report: TimelineReport) -> Message:
    """One page, by when things happened."""
    name = unmarked(report.incident.title or report.incident.id, 200)
    rows = sorted(report.shown, key=lambda shown: shown.entry.at)
    heading = f"{bold(f'Timeline of {report.incident.title or report.incident.id}')} ({_counted(report)})"
    return message(
        f"Timeline of {name}: {_entries(report.total)}.",
        sections([heading]),
        [_block(report, shown) for shown in rows] or sections(["Nothing is shown on this page."]),
        actions(
            button("Older", OLDER, _value(report, f"{report.size}.{report.older}")) if report.older else None,
            button("Newer", NEWER, _value(report, f"{report.size}.{report.newer}")) if report.newer else None,
        ),
        context(mrkdwn(_hidden(report)), mrkdwn(_footer(report))),
    )


def _block(report: TimelineReport, shown: ShownEntry) -> Block:
    room = max(60, min(_TEXT, _BUDGET // max(1, len(report.shown)) - _HEAD))
    entry = shown.entry
    sign = _SIGNS.get(entry.kind.partition(".")[0], Icon.OTHER).code
    named = (shown.milestone or "key moment").capitalize()
    key, who = (
        f"{Icon.KEY_MOMENT.code} *{named}*  " if shown.is_key else "",
        mrkdwn((Person(entry.actor, entry.actor),)),
    )
    head = f"{key}*{unmarked(entry.id, 12)}*  {sign}  {date(entry.at)}  {who}"
    (block,) = sections(["\n".join(filter(None, (head, unmarked(entry.text, room), _edited(shown))))])
    chosen = menu(ENTRY, _choices(report, shown))
    return block if chosen is None else {**block, "accessory": chosen}


def _edited(shown: ShownEntry) -> str:
    """Who edited the entry last, when and why."""
    edits = [change for change in shown.changes if change.kind == Kind.ENTRY_EDITED]
    if not edits:
        return ""
    last, more = edits[-1], f" ({len(edits)} edits)" if len(edits) > 1 else ""
    why = f", because {unmarked(last.why, _WHY)}" if last.why.strip() else ""
    return f"(edited by {mrkdwn((Person(last.by, last.by),))}, {date(last.at)}{why}{more})"


def _choices(report: TimelineReport, shown: ShownEntry) -> Sequence[tuple[str, ButtonValue]]:
    """Each with the entry and where its page ends, so that the page can be shown again."""
    key = ("No key moment", Marking.NOT_KEY) if shown.is_key else ("Mark as key moment", Marking.KEY)
    before = str(int(report.newer) + 1) if report.newer else ""
    return [
        (label, _value(report, f"{what}.{shown.entry.id}.{report.size}.{before}"))
        for label, what in (("Edit…", EDIT), ("Hide", Marking.HIDE), key)
    ]


def _value(report: TimelineReport, choice: str) -> ButtonValue:
    return ButtonValue("", "", report.incident.id, choice)


def _counted(report: TimelineReport) -> str:
    ids = [int(shown.entry.id) for shown in report.shown if shown.entry.id.isdecimal()]
    which = f"{min(ids)} to {max(ids)} of " if ids and len(ids) < report.total else ""
    hidden = f", {len(report.hidden)} hidden" if report.hidden else ""
    corrections = f", {report.corrections} of them corrections" if report.corrections else ""
    return f"{which}{_entries(report.total)}{corrections}{hidden}"


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def _hidden(report: TimelineReport) -> Phrase:
    """The numbers of what is hidden, without which nobody could show it again."""
    if not report.hidden:
        return ()
    more = f" and {len(report.hidden) - _NAMED} more" if len(report.hidden) > _NAMED else ""
    named = ", ".join(unmarked(entry, 12) for entry in report.hidden[-_NAMED:])
    return (f"Hidden: {named}{more}. To show one again: ", Quoted("/tflock restore N"))


def _footer(report: TimelineReport) -> Phrase:
    closed = report.incident.closed_at
    ended: Phrase = (", closed ", closed) if closed else ()
    return (
        "Incident ",
        Quoted(report.incident.id),
        ", opened ",
        report.incident.opened_at,
        *ended,
        ". To correct an entry: ",
        Quoted("/tflock edit N TEXT"),
    )

"""The last entries of an incident, with edits and removals applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.core.phrase import Person, Phrase, Quoted
from bot.core.report import TimelineReport
from bot.core.timeline import Entry, Kind
from bot.slack.render.blocks import Message, context, message, sections
from bot.slack.render.mrkdwn import bold, date, mrkdwn, unmarked

_BUDGET = 9_000
_TEXT = 500


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it reads now."""

    at: datetime
    actor: str
    text: str
    edited: bool = False


def timeline_message(report: TimelineReport) -> Message:
    """The newest entries that fit, oldest first, by when they happened."""
    shown = rows(report.entries)
    written = [_line(row) for row in shown]
    kept = _newest(written)
    title = report.title or report.incident_id
    return message(
        f"Timeline of {unmarked(title, 200)}: {_entries(report.total)}.",
        sections([f"{bold(f'Timeline of {title}')} ({_entries(report.total)})", *_left_out(report, len(kept))]),
        sections(kept or ["Nothing has been written down yet."], budget=_BUDGET),
        context(mrkdwn(_footer(report))),
    )


def rows(entries: Sequence[Entry]) -> list[Row]:
    """The entries with later edits applied and hidden ones left out, by when they happened."""
    hidden = {str(entry.facts.get("entry")) for entry in entries if entry.kind == Kind.ENTRY_HIDDEN}
    edits: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind == Kind.ENTRY_EDITED:
            edits.setdefault(str(entry.facts.get("entry")), []).append(entry)
    plain = [e for e in entries if e.kind not in {Kind.ENTRY_EDITED, Kind.ENTRY_HIDDEN} and e.id not in hidden]
    return sorted((_row(entry, edits.get(entry.id, ())) for entry in plain), key=lambda row: row.at)


def _row(entry: Entry, edits: Iterable[Entry]) -> Row:
    row = Row(entry.at, entry.actor, entry.text)
    for edit in edits:
        text = edit.facts.get("text")
        at = _instant(edit.facts.get("at"))
        row = Row(at or row.at, row.actor, text if isinstance(text, str) else row.text, edited=True)
    return row


def _instant(text: object) -> datetime | None:
    """The instant that an edit names; None if it names none that can be read."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def _line(row: Row) -> str:
    mark = " (edited)" if row.edited else ""
    return f"{date(row.at)}  {mrkdwn((_actor(row.actor),))}: {unmarked(row.text, _TEXT)}{mark}"


def _actor(actor: str) -> Person:
    return Person(actor, actor)


def _newest(lines: Sequence[str]) -> list[str]:
    """The last lines that fit."""
    kept: list[str] = []
    room = _BUDGET
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _left_out(report: TimelineReport, shown: int) -> list[str]:
    settled = sum(entry.kind in {Kind.ENTRY_EDITED, Kind.ENTRY_HIDDEN} for entry in report.entries)
    earlier = report.total - shown - settled
    return [f"… {_entries(earlier)} earlier or hidden"] if earlier > 0 else []


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def _footer(report: TimelineReport) -> Phrase:
    return (
        "Incident ",
        Quoted(report.incident_id),
        ", open since ",
        report.opened_at,
        ". Times are by your own clock.",
    )

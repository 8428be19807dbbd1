"""The timeline for the HTML page: days, portions that a browser lays out together, rows; read entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from functools import lru_cache
from itertools import groupby, islice
from types import MappingProxyType
from urllib.parse import quote

from markupsafe import Markup

from bot.core.instants import stamp
from bot.core.record.evidence import FindingFacts
from bot.core.record.facts import findings_of, page_of
from bot.core.record.kinds import meaning_of
from bot.core.record.revision import Change, ShownEntry
from bot.core.record.timeline import Entry, Kind, canonical
from bot.export.html.text import LINK_REL, Pen, marked_up, recorded_link, recorded_text, visible
from bot.export.values import clock, linkable

PORTION = 100
"""Rows that a browser lays out together, once they come near."""

_PAGE_EVIDENCE = 30_000_000
_MOST_EVIDENCE = 8_000
_LEAST_EVIDENCE = 200
_DEEPEST = 8

GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "asked": ("Commands", ("command",)),
        "lock": ("Locks", ("lock",)),
        "unlock": ("Unlock", ("gate", "unlock", "hold", "recovery")),
        "run": ("Runs", ("kill",)),
        "owner": ("Owner", ("owner",)),
        "said": ("Notes and messages", ("note", "message")),
        "alert": ("Alerts and waiting", ("alert", "watch")),
        "record": ("Incident", ("incident", "entry", "export", "followup")),
        "other": ("Other", ()),
    }
)
"""The filter's choices: title, and subjects of kinds. The last one takes the kinds that this version does not know."""

_SUBJECTS = {subject: group for group, (_, subjects) in GROUPS.items() for subject in subjects}
_EFFECTS = {
    "holds": ("ok", "holds"),
    "warns": ("warn", "warning"),
    "wants_approval": ("warn", "needs approval"),
    "refuses": ("no", "refuses"),
}


_TAGS = {"\x01": "<i>", "\x02": "</i>", "\x03": '<a href="', "\x04": f'" rel="{LINK_REL}"><bdi>', "\x05": "</bdi></a>"}
"""Each sign becomes its tag once all of an entry's evidence is escaped, which is ten times faster than one by one."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule's finding: `look` is a class of the style sheet, `effect` its words."""

    look: str
    effect: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as the template takes it."""

    anchor: Markup
    group: Markup
    seat: int
    iso: Markup
    time: Markup
    local: Markup
    kind: Markup
    who: Markup
    said: Markup
    page: Markup | None
    is_key: bool
    key_words: str
    is_edited: bool
    checks: tuple[Check, ...]
    changes: tuple[Change, ...]
    evidence: Markup


@dataclass(frozen=True, slots=True)
class DayRows:
    """The rows of one day, UTC, in portions. They can be walked through once."""

    date: date
    portions: Iterator[Sequence[EntryRow]]

    @property
    def words(self) -> str:
        return f"{self.date:%A}, {self.date.day} {self.date:%B %Y}"


def days(lines: Iterable[ShownEntry], pen: Pen, *, recorded: int) -> Iterator[DayRows]:
    """The timeline, in the order of the lines. Evidence is cut so that all of it stays bearable for a browser."""
    room = min(_MOST_EVIDENCE, max(_LEAST_EVIDENCE, _PAGE_EVIDENCE // max(1, recorded)))
    for day, of_day in groupby(lines, lambda shown: shown.entry.at.astimezone(UTC).date()):
        yield DayRows(day, _portions(of_day, pen, room))


def anchor(entry_id: str) -> str:
    """What an entry is linked by within the page."""
    return f"e-{quote(visible(entry_id), safe='')}"


def _portions(lines: Iterator[ShownEntry], pen: Pen, room: int) -> Iterator[Sequence[EntryRow]]:
    while portion := [_row(shown, pen, room) for shown in islice(lines, PORTION)]:
        yield portion


def _row(shown: ShownEntry, pen: Pen, room: int) -> EntryRow:
    entry = shown.entry
    utc, findings = entry.at.astimezone(UTC), findings_of(entry)
    time = clock(utc)
    page, words = page_of(entry), "Message in Slack" if entry.kind == Kind.MESSAGE_CAPTURED else "Page"
    return EntryRow(
        anchor=recorded_text(anchor(entry.id)),
        group=_group(entry.kind),
        seat=pen.seats.get(entry.actor, -1),
        iso=recorded_text(f"{utc.date().isoformat()}T{time}Z"),
        time=recorded_text(time),
        local=recorded_text(pen.local(utc)),
        kind=_kind(entry.kind),
        who=pen.person(entry.actor),
        said=recorded_text(entry.text.strip()),
        page=recorded_link(page, words) if linkable(page) else None,
        is_key=shown.is_key,
        key_words=(shown.milestone or "key moment").capitalize(),
        is_edited=shown.edited,
        checks=tuple(
            Check(*_EFFECTS.get(found.effect, ("warn", found.effect)), found.rule, found.reason) for found in findings
        ),
        changes=shown.changes,
        evidence=_evidence(entry, room, _apart_from(findings, entry.facts)),
    )


@lru_cache(maxsize=256)
def _group(kind: str) -> Markup:
    return recorded_text(_SUBJECTS.get(kind.partition(".")[0], "other"))


@lru_cache(maxsize=256)
def _kind(kind: str) -> Markup:
    return recorded_text(meaning_of(kind).title)


def _evidence(entry: Entry, room: int, facts: Mapping[str, object]) -> Markup:
    """What was recorded, as an outline of names and values; what does not fit is counted."""
    head = {"entry": entry.id, "kind": entry.kind, "actor": entry.actor, "recorded_at": stamp(entry.recorded_at)}
    shown = list[str]()
    for name, value in _outline({**head, **facts}):
        room -= len(name) + 1
        if len(value) > room:
            shown += [_fact(name, value[: max(0, room)] + "…"), "\x01cut here: the JSON export holds all of it\x02"]
            break
        shown.append(_fact(name, value))
        room -= len(value)
    return marked_up("\n".join(shown), _TAGS)


def _apart_from(findings: Sequence[FindingFacts], facts: Mapping[str, object]) -> Mapping[str, object]:
    """The facts without the findings that are shown as a list of checks."""
    verdict = facts.get("verdict")
    if not findings or not isinstance(verdict, dict):
        return facts
    return {**facts, "verdict": {name: value for name, value in verdict.items() if name != "findings"}}


def _fact(name: str, value: str) -> str:
    said = f"\x03{value}\x04{value}\x05" if value.startswith("http") and linkable(value) else visible(value)
    return f"{visible(name)}: {said}"


def _outline(value: Mapping[str, object] | Sequence[object], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Names, indented, and values; nested ones below their name, as far as that helps a reader."""
    pairs: Iterable[tuple[str, object]] = (
        value.items() if isinstance(value, Mapping) else ((str(n), part) for n, part in enumerate(value, 1))
    )
    for name, part in pairs:
        if isinstance(part, dict | list) and part and depth < _DEEPEST:
            yield f"{'  ' * depth}{name}", ""
            yield from _outline(part, depth + 1)
        else:
            yield f"{'  ' * depth}{name}", _scalar(part)


def _scalar(value: object) -> str:
    match value:
        case str():
            return value
        case None | [] | {}:
            return "none"
        case True:
            return "yes"
        case False:
            return "no"
        case _:
            return canonical(value)

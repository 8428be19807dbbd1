"""The incident as Markdown that reads well unrendered, in a repository and in a wiki, on GitHub and on GitLab.

No HTML is used, so that it reads the same where HTML is stripped. The template's environment escapes everything that
a person, a CI system or Terraform wrote, unless `bot.export.markdown.text` made it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.core.account.highlights import KeyMoment, key_moments, unnoticed
from bot.core.account.title import record_title
from bot.core.codec import read
from bot.core.phrase import Part, Phrase, duration, one_line
from bot.core.record.facts import OfState, findings_of, page_of
from bot.core.record.revision import ShownEntry
from bot.core.record.timeline import Entry, Kind
from bot.export.files import write
from bot.export.markdown.text import address, escaped, lines_of, linked, said
from bot.export.material import Material
from bot.export.values import clock, local, zone_of

_MOST_FINDINGS = 8
_AGAIN_AFTER = timedelta(minutes=1)
_HOLDS = "holds"
_BREAK = Markup("\\\n  ")
"""A line break within an item of a list."""


@dataclass(frozen=True, slots=True)
class _Day:
    words: str
    rows: Iterator[Markup]


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes people and instants. `doubled` are the names that several people have."""

    names: Mapping[str, str]
    zone: tzinfo
    doubled: frozenset[str]
    _written: dict[str, Markup] = field(default_factory=dict)

    def name(self, ids: str) -> Markup:
        """The name, with the id where several people have that name; the id where there is no name."""
        if ids not in self._written:
            name = one_line(self.names.get(ids, ""))
            self._written[ids] = escaped(f"{name} ({ids})" if name in self.doubled else name or ids)
        return self._written[ids]

    def full(self, ids: str) -> Markup:
        """Name and id: names change and repeat, ids do not."""
        name = one_line(self.names.get(ids, ""))
        return escaped(f"{name} ({ids})" if name else ids)

    def instant(self, at: datetime) -> Markup:
        """With its date, in both times."""
        return Markup(f"{local(at, UTC):%Y-%m-%d %H:%M:%S} UTC{self.aside(at, f' {self.zone}')}")  # noqa: S704  times

    def later(self, at: datetime, than: datetime) -> Markup:
        """With its date where that is another one than the earlier instant's."""
        if local(at, UTC).date() != local(than, UTC).date():
            return self.instant(at)
        return Markup(f"{local(at, UTC):%H:%M:%S} UTC{self.aside(at, f' {self.zone}')}")  # noqa: S704  times

    def aside(self, at: datetime, after: str = "") -> Markup:
        """The local time of day, with its date where that differs; empty if local time is UTC."""
        if self.zone is UTC or str(self.zone) == "UTC":
            return Markup()
        there = local(at, self.zone)
        words = clock(there) if local(at, UTC).day == there.day else f"{there:%Y-%m-%d %H:%M:%S}"
        return Markup(f" ({words}{after})")  # noqa: S704  times


def write_markdown(material: Material, path: Path) -> Path:
    """The page shows the chart in the same directory, if there is one."""
    chart = path.with_suffix(".png")
    return write(path, page(material, chart.name if chart.exists() else None))


def page(material: Material, chart: str | None = None) -> Iterator[str]:
    """The page, part by part. `chart` is the file name of a picture."""
    account = material.account
    names = Counter(map(one_line, account.names.values()))
    doubled = frozenset(name for name, count in names.items() if count > 1)
    pen = _Pen(account.names, zone_of(account.zone), doubled)
    days: set[date] = set()
    story = (said(_dated_once(sentence, days), account.names) for sentence in account.summary.told)
    return (
        _environment()
        .get_template("incident.md.j2")
        .generate(
            account=account,
            incident=account.incident,
            summary=account.summary,
            title=record_title(account.incident.title, account.summary.states, account.summary.causes),
            pen=pen,
            chart=chart,
            told=Markup(" ").join(story),
            moments=list(_moments(key_moments(account), pen)),
            unnoticed=unnoticed(account),
            days=_days(_once(material.lines()), pen),
            lines_of=lines_of,
            said=lambda phrase: said(phrase, account.names),
        )
    )


def _moments(moments: Sequence[KeyMoment], pen: _Pen) -> Iterator[Markup]:
    """With their dates where they are of several days: a lock may be days older than what was done about it."""
    days = {local(moment.at, UTC).date() for moment in moments}
    form = "%H:%M:%S" if len(days) == 1 else "%Y-%m-%d %H:%M:%S"
    for moment in moments:
        star = " ★" if moment.chosen else ""
        who = f", {pen.name(moment.actor)}" if moment.actor else ""
        where = f" ([link](<{page}>))" if (page := address(moment.page)) else ""
        head = f"- **{local(moment.at, UTC):{form}}**{pen.aside(moment.at)} **{moment.words}**{star}{who}: "
        yield Markup(head) + said(moment.said, pen.names) + Markup(where)  # noqa: S704  all of it was escaped part by part


def _once(lines: Iterable[ShownEntry]) -> Iterator[ShownEntry]:
    """Without verdicts that repeat the last one on the state within a minute: the JSON export has each."""
    last: dict[str, ShownEntry] = {}
    for line in lines:
        if line.entry.kind == Kind.GATE_DECIDED:
            state = read(OfState, line.entry.facts).state  # the evidence beside it is long
            before, last[state] = last.get(state), line
            is_plain = not line.is_key and not line.changes
            now, then = line.entry, before.entry if before else None
            if is_plain and then and now.text == then.text and now.at - then.at < _AGAIN_AFTER:
                continue
        yield line


def _dated_once(sentence: Phrase, days: set[date]) -> Phrase:
    """With the date only at the first instant of each day. `days` are those already named; new ones are added."""
    parts: list[Part] = []
    for part in sentence:
        day = local(part, UTC).date() if isinstance(part, datetime) else None
        is_named = day is not None and day in days
        parts.append(f"{local(part, UTC):%H:%M:%S} UTC" if is_named and isinstance(part, datetime) else part)
        if day is not None:
            days.add(day)
    return tuple(parts)


def _days(lines: Iterable[ShownEntry], pen: _Pen) -> Iterator[_Day]:
    for day, of_day in groupby(lines, lambda line: local(line.entry.at, UTC).date()):
        yield _Day(f"{day:%A}, {day.day} {day:%B} {day.year}", (_row(line, pen) for line in of_day))


def _row(line: ShownEntry, pen: _Pen) -> Markup:
    """An item of the list, with its evidence as a list of its own."""
    entry = line.entry
    said = _BREAK.join(lines_of(entry.text)) or escaped(entry.kind)
    who = f"**{clock(local(entry.at, UTC))}**{pen.aside(entry.at)} {pen.name(entry.actor)}"
    key = line.milestone or "key moment"
    marks = [mark for mark, is_set in ((key, line.is_key), ("edited", line.edited)) if is_set]
    marked = f" *({', '.join(marks)})*" if marks else ""
    page, words = address(page_of(entry)), "message" if entry.kind == Kind.MESSAGE_CAPTURED else "page"
    where = f" ([{words}](<{page}>))" if page else ""
    head = f"- {who}: {said}{where}{marked}"
    return Markup("\n  - ".join((head, *_findings(entry), *_changes(line, pen))))  # noqa: S704  all of it was escaped part by part


def _findings(entry: Entry) -> Iterator[str]:
    """The rules that did not simply hold and that the text does not name; the JSON export has all."""
    findings = findings_of(entry)
    against = [found for found in findings if found.effect != _HOLDS]
    for found in [found for found in against if not found.reason or found.reason not in entry.text][:_MOST_FINDINGS]:
        yield f"{escaped(found.rule)} ({escaped(found.effect)}): {escaped(found.reason)}"
    if against:
        yield f"{len(findings) - len(against)} of {len(findings)} checks hold"


def _changes(line: ShownEntry, pen: _Pen) -> Iterator[str]:
    """Who corrected it, when, and why. What it said before is in the JSON export."""
    for change in line.changes:
        if change.kind == Kind.ENTRY_EDITED:
            why = f": {escaped(change.why)}" if one_line(change.why) else ""
            yield f"edited by {pen.name(change.by)}, {pen.instant(change.at)}{why}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("bot.export.markdown", ""),
        autoescape=True,
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["duration"] = duration
    made.filters["linked"] = linked
    return made

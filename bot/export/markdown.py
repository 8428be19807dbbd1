"""The incident as Markdown that reads well as it stands, in a repository and in a wiki, on GitHub and on GitLab.

No HTML is used, so that it reads the same where HTML is stripped. Everything that a person, a CI or Terraform wrote is
escaped by the template's environment, unless `bot.export.markdown_text` made it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.core.account import Account
from bot.core.phrase import duration, one_line
from bot.core.timeline import Kind
from bot.export.files import write
from bot.export.markdown_text import escaped, lines_of, linked, said
from bot.export.material import Line, Material
from bot.export.moment import local, zone_of

_MOST_FINDINGS = 8
_HOLDS = "holds"
_BREAK = Markup("\\\n  ")
"""A line break within an item of a list."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the timeline."""

    utc: str
    local: Markup
    who: Markup
    said: Markup
    evidence: tuple[Markup, ...]
    marks: Markup


@dataclass(frozen=True, slots=True)
class _Day:
    words: str
    rows: Iterator[_Row]


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes people and instants. `doubled` are names that several people have."""

    names: Mapping[str, str]
    zone: tzinfo
    doubled: frozenset[str]

    def name(self, ids: str) -> Markup:
        """The name alone, where it tells who is meant; else the id beside it, or for it."""
        name = one_line(self.names.get(ids, ""))
        return escaped(f"{name} ({ids})" if name in self.doubled else name or ids)

    def full(self, ids: str) -> Markup:
        """Name and id: names change and repeat, ids do not."""
        name = one_line(self.names.get(ids, ""))
        return escaped(f"{name} ({ids})" if name else ids)

    def instant(self, at: datetime) -> Markup:
        """With its date, in both times."""
        return Markup("{} UTC{}").format(f"{local(at, UTC):%Y-%m-%d %H:%M:%S}", self.aside(at, f" {self.zone}"))

    def aside(self, at: datetime, after: str = "") -> Markup:
        """The local time of the day, with its date where that is another one; empty if local time is UTC."""
        if str(self.zone) == "UTC":
            return Markup()
        utc, there = local(at, UTC), local(at, self.zone)
        words = f"{there:%H:%M:%S}" if utc.date() == there.date() else f"{there:%Y-%m-%d %H:%M:%S}"
        return Markup(" ({}{})").format(words, after)


def write_markdown(material: Material, path: Path) -> Path:
    """Shows the chart that stands beside the file under the same name, if there is one."""
    chart = path.with_suffix(".png")
    return write(path, page(material, chart.name if chart.exists() else None))


def page(material: Material, chart: str | None = None) -> Iterator[str]:
    """The page, part by part. `chart` is the file name of a picture."""
    account = material.account
    pen = _pen(account)
    return (
        _environment()
        .get_template("incident.md.j2")
        .generate(
            account=account,
            incident=account.incident,
            summary=account.summary,
            pen=pen,
            chart=chart,
            told=_told(account),
            moments=_rows((line for line in material.lines() if line.is_key), pen),
            days=_days(material.lines(), pen),
            said=lambda phrase: said(phrase, account.names),
        )
    )


def _pen(account: Account) -> _Pen:
    names = Counter(one_line(name) for name in account.names.values())
    return _Pen(account.names, zone_of(account.zone), frozenset(name for name, count in names.items() if count > 1))


def _told(account: Account) -> Markup:
    """The story as one paragraph."""
    return Markup(" ").join(said(sentence, account.names) for sentence in account.summary.told)


def _days(lines: Iterable[Line], pen: _Pen) -> Iterator[_Day]:
    for day, of_day in groupby(lines, lambda line: local(line.at, UTC).date()):
        yield _Day(_day_words(day), _rows(of_day, pen))


def _day_words(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B} {day.year}"


def _rows(lines: Iterable[Line], pen: _Pen) -> Iterator[_Row]:
    for line in lines:
        yield _Row(
            utc=f"{local(line.at, UTC):%H:%M:%S}",
            local=pen.aside(line.at),
            who=pen.name(line.actor),
            said=_BREAK.join(tuple(lines_of(line.text)) or (escaped(line.kind),)),
            evidence=tuple(_evidence(line, pen)),
            marks=Markup(" *({})*").format(", ".join(marks)) if (marks := tuple(_marks(line))) else Markup(),
        )


def _marks(line: Line) -> Iterator[str]:
    if line.is_key:
        yield "key moment"
    if any(change.kind == Kind.ENTRY_EDITED for change in line.changes):
        yield "edited"


def _evidence(line: Line, pen: _Pen) -> Iterator[Markup]:
    """What stands behind an entry, as far as it helps a reader: the rest is in the JSON export."""
    yield from _findings(line.facts)
    yield from _pages(line.facts)
    yield from _changes(line, pen)


def _findings(facts: Mapping[str, object]) -> Iterator[Markup]:
    """The rules that did not simply hold, in the spelling of `bot.core.facts`."""
    verdict = facts.get("verdict")
    findings = verdict.get("findings") if isinstance(verdict, dict) else None
    told = [found for found in findings if isinstance(found, dict)] if isinstance(findings, list) else []
    against = [found for found in told if found.get("effect") != _HOLDS]
    for found in against[:_MOST_FINDINGS]:
        effect = str(found.get("effect", "")).replace("_", " ")
        yield Markup("{} ({}): {}").format(
            escaped(found.get("rule", "")), escaped(effect), escaped(found.get("reason", ""))
        )
    if told:
        yield Markup("{} of {} checks hold").format(len(told) - len(against), len(told))


def _pages(facts: Mapping[str, object]) -> Iterator[Markup]:
    for name, words in (("permalink", "message in Slack"), ("url", "page")):
        page = linked(words, facts.get(name))
        if page != escaped(words):
            yield page


def _changes(line: Line, pen: _Pen) -> Iterator[Markup]:
    """Who put it right, when, and why. What it said before is in the JSON export."""
    for change in line.changes:
        if change.kind == Kind.ENTRY_EDITED:
            why = Markup(": {}").format(escaped(change.why)) if one_line(change.why) else ""
            yield Markup("edited by {}, {}{}").format(pen.name(change.by), pen.instant(change.at), why)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("bot.export", ""),
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

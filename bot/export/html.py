"""The incident as one HTML file that needs nothing else: it makes no request, and runs no script but its own.

Everything that a person, a CI or Terraform wrote is escaped by the template's environment. A content security policy
lets in this page's style and script by their hashes, and nothing else, whatever a text should hold.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.core.account import Account, Mark, MarkKind, StateSummary
from bot.core.phrase import duration
from bot.export.files import write
from bot.export.html_rows import GROUPS, anchor, days, kind_words
from bot.export.html_text import Pen, link, text, zone_of
from bot.export.material import Material

_TOLD_MARKS = frozenset({MarkKind.KEY, MarkKind.UNLOCK, MarkKind.KILL, MarkKind.OWNER, MarkKind.ALERT})
_MOST_MOMENTS = 60


@dataclass(frozen=True, slots=True)
class Moment:
    """A key moment: `words` say what it is, `anchor` where the timeline tells of it."""

    at: datetime
    words: str
    said: str
    actor: str
    anchor: str
    chosen: bool


def write_html(material: Material, path: Path) -> Path:
    """Writes the page and returns its path. Memory does not grow with the number of entries. Raises OSError."""
    return write(path, page(material))


def page(material: Material) -> Iterator[str]:
    """The page, part by part."""
    account = material.account
    seats = {part.actor: seat for part, seat in zip(account.summary.parts, count(), strict=False)}
    pen = Pen(account.names, zone_of(account.zone), seats)
    return (
        _environment()
        .get_template("incident.html.j2")
        .generate(
            account=account,
            pen=pen,
            moments=_moments(material),
            chart="",
            locked=_locked(account),
            days=days(material.lines(), pen, recorded=account.recorded),
            groups=GROUPS,
            style=_asset("incident.css"),
            script=_asset("incident.js"),
            policy=_policy(),
        )
    )


def _locked(account: Account) -> StateSummary | None:
    """The state that was locked longest, as far as any lock was seen."""
    seen = [state for state in account.summary.states if state.locked_for is not None]
    return max(seen, key=lambda state: state.locked_for or timedelta(0), default=None)


def _moments(material: Material) -> list[Moment]:
    """What somebody marked as a key moment, and the steps that ended the incident, by when they happened."""
    account = material.account
    chosen = _chosen(material)
    told = {moment.anchor for moment in chosen}
    steps = [_step(mark) for mark in account.marks if mark.kind in _TOLD_MARKS and anchor(mark.entry) not in told]
    room = max(0, _MOST_MOMENTS - len(chosen))
    return sorted([*chosen, *steps[:room]], key=lambda moment: moment.at)


def _chosen(material: Material) -> list[Moment]:
    missing, found = set(material.account.key_moments), list[Moment]()
    lines = material.lines() if missing else iter(())
    for line in lines:
        if line.id in missing:
            found.append(Moment(line.at, kind_words(line.kind), line.text, line.actor, anchor(line.id), chosen=True))
            missing.discard(line.id)
        if not missing:
            break
    return found


def _step(mark: Mark) -> Moment:
    return Moment(mark.at, mark.kind.capitalize(), mark.label, mark.actor, anchor(mark.entry), chosen=False)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("bot.export", ""),
        autoescape=True,
        finalize=text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["duration"] = duration
    made.globals["link"] = link
    made.globals["kind_words"] = kind_words
    return made


@cache
def _asset(name: str) -> Markup:
    """A file of this package, as it stands in the page."""
    return Markup(Path(__file__).with_name(name).read_text("utf-8"))  # noqa: S704  our own file


@cache
def _policy() -> str:
    style, script = _hash(_asset("incident.css")), _hash(_asset("incident.js"))
    return f"default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"


def _hash(asset: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(asset.encode()).digest()).decode()}"

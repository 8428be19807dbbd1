"""The incident as one HTML file that needs nothing else: it makes no requests and runs only its own script.

The template's environment escapes everything that a person, a CI system or Terraform wrote. A content security policy
allows this page's style and script by their hashes and nothing else, whatever a text holds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.core.account.highlights import key_moments, unnoticed
from bot.core.account.title import record_title
from bot.core.phrase import duration, plain
from bot.core.record.incident import Incident
from bot.core.record.kinds import meaning_of
from bot.export.chart.chart import chart_svg
from bot.export.chart.svg import drawing
from bot.export.files import write
from bot.export.html.rows import GROUPS, anchor, days
from bot.export.html.text import Pen, link, text
from bot.export.material import Material
from bot.export.values import zone_of


def write_html(material: Material, path: Path) -> Path:
    """Writes the page and returns its path. Memory does not grow with the number of entries. Raises OSError."""
    return write(path, page(material))


def page(material: Material) -> Iterator[str]:
    account = material.account
    seats = {part.actor: seat for seat, part in enumerate(account.summary.parts)}
    locked = [state for state in account.summary.states if state.locked_for is not None]
    chart = drawing(chart_svg(account))
    pen = Pen(account.names, zone_of(account.zone), seats, _only_day(account.incident, account.now))
    return (
        _environment()
        .get_template("incident.html.j2")
        .generate(
            account=account,
            named=record_title(account.incident.title, account.summary.states, account.summary.causes),
            pen=pen,
            moments=key_moments(account),
            unnoticed=unnoticed(account),
            chart=chart,
            locked=max(locked, key=lambda state: state.locked_for or timedelta(0), default=None),
            days=days(material.lines(), pen, recorded=account.recorded),
            groups=GROUPS,
            style=_asset("incident.css"),
            script=_asset("incident.js"),
            policy=_policy(chart.rules),
        )
    )


def _only_day(incident: Incident, now: datetime) -> date | None:
    first, last = (at.astimezone(UTC).date() for at in (incident.opened_at, incident.closed_at or now))
    return first if first == last else None


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("bot.export.html", ""),
        autoescape=True,
        finalize=text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["duration"] = duration
    made.filters["plain"] = plain
    made.globals["link"] = link
    made.globals["anchor"] = anchor
    made.globals["meaning_of"] = meaning_of
    return made


@cache
def _asset(name: str) -> Markup:
    """A file of this package, as the page has it."""
    return Markup(Path(__file__).with_name(name).read_text("utf-8"))  # noqa: S704  our own file


def _policy(chart_rules: str) -> str:
    """Each `<style>` and `<script>` of the page by its hash; nothing else is allowed, and nothing is fetched."""
    styles = " ".join(map(_hash, (_asset("incident.css"), chart_rules)))
    script = _hash(_asset("incident.js"))
    return f"default-src 'none'; style-src {styles}; script-src {script}; base-uri 'none'; form-action 'none'"


def _hash(asset: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(asset.encode()).digest()).decode()}'"

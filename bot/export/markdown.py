"""The incident as Markdown that reads well on its own, on GitHub and on GitLab.

Everything that a person, a CI or Terraform wrote is shown as it is and cannot become markup, HTML, a link or a mention:
the template's values are escaped unless this module made them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.core.incident import Incident
from bot.core.phrase import duration, instant, one_line
from bot.core.redact import redact
from bot.core.revision import Revisions
from bot.core.timeline import Entry
from bot.errors import JournalAway
from bot.export.files import content, save
from bot.ports import Journal

_APART = "\u200b"
"""Zero-width space: keeps `@` and `#` from what follows, which GitHub would link even where it is escaped."""

_SPECIAL = re.compile(r"[\\`*_{}\[\]()~|!$^=]|:(?=/)|(?<=www)\.", re.IGNORECASE)
_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_LINKED = re.compile(r"[@#](?=\S)|(?<=\bGH)-(?=\d)", re.IGNORECASE)


async def write_markdown(journal: Journal, incident: Incident, directory: Path) -> Path:
    """Writes `<incident>.md` and returns its path. Raises OSError, JournalAway or ChainBroken."""
    return await save(directory / f"{incident.id}.md", _parts(journal, incident))


async def markdown_content(journal: Journal, incident: Incident) -> bytes:
    """The same as bytes, for an upload."""
    return await content(_parts(journal, incident))


def escaped(value: object) -> Markup:
    """A value as one line of Markdown text that says just that. What is `Markup` already stays."""
    if isinstance(value, Markup):
        return value
    text = one_line(redact(str(value))).translate(_ENTITIES)
    text = _LINKED.sub(lambda found: found[0] + _APART, text)
    return Markup(_SPECIAL.sub(r"\\\g<0>", text))  # noqa: S704  this is the escaping


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the timeline. `said` is the text in pieces that stand on lines of their own."""

    at: datetime
    actor: str
    kind: str
    said: tuple[str, ...]
    edited: bool


@dataclass(slots=True)
class _Summary:
    """What must be known before the first line is written: read in a first pass."""

    revisions: Revisions = field(default_factory=Revisions)
    actors: dict[str, int] = field(default_factory=dict)
    recorded: int = 0
    last: Entry | None = None

    def learn(self, entry: Entry) -> None:
        self.revisions.learn(entry)
        self.actors[entry.actor] = self.actors.get(entry.actor, 0) + 1
        self.recorded += 1
        self.last = entry


async def _parts(journal: Journal, incident: Incident) -> AsyncIterator[str]:
    summary = _Summary()
    async for entry in journal.entries(incident.id):
        summary.learn(entry)
    if summary.last is None:
        raise JournalAway(f"the timeline of {incident.id} is not there")

    template = _environment().get_template("incident.md.j2")
    async for part in template.generate_async(
        incident=incident,
        summary=summary,
        took=duration(incident.closed_at - incident.opened_at) if incident.closed_at else None,
        rows=_rows(journal, incident.id, summary.revisions, summary.last),
    ):
        yield part


async def _rows(journal: Journal, incident_id: str, revisions: Revisions, last: Entry) -> AsyncIterator[_Row]:
    async for entry in journal.entries(incident_id):
        shown = revisions.shown(entry)
        if shown:
            now = shown.entry
            yield _Row(now.at, now.actor, now.kind, tuple(now.text.strip().splitlines()), shown.edited)
        if entry.id == last.id:
            return


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("bot.export", ""),
        autoescape=True,
        finalize=escaped,
        undefined=StrictUndefined,
        enable_async=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["instant"] = instant
    return made

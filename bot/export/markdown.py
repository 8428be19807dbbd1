"""The incident as Markdown that reads well on its own, on GitHub and on GitLab.

Everything that a person, a CI or Terraform wrote is shown as it is and cannot become markup, HTML, a link or a mention:
the template's values are escaped unless this module made them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

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

NO_NAMES: Mapping[str, str] = MappingProxyType({})

_APART = "\u200b"
"""Zero-width space: keeps `@` and `#` from what follows, which GitHub would link even where it is escaped."""

_SPECIAL = re.compile(r"[\\`*_{}\[\]()~|!$^=]|:(?=/)|(?<=www)\.", re.IGNORECASE)
_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_LINKED = re.compile(r"[@#](?=\S)|(?<=\bGH)-(?=\d)", re.IGNORECASE)


async def write_markdown(
    journal: Journal, incident: Incident, directory: Path, names: Mapping[str, str] = NO_NAMES
) -> Path:
    """Writes `<incident>.md` and returns its path. `names` are what people and the channel are called, by their ids.

    Raises OSError, JournalAway or ChainBroken.
    """
    return await save(directory / f"{incident.id}.md", _page(journal, incident, names))


async def markdown_content(journal: Journal, incident: Incident, names: Mapping[str, str] = NO_NAMES) -> bytes:
    """The same as bytes, for an upload."""
    return await content(_page(journal, incident, names))


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


@dataclass(frozen=True, slots=True)
class _Account:
    """What the page tells. It is held as a whole, since entries may tell of earlier times than those before them."""

    rows: tuple[_Row, ...]
    actors: tuple[str, ...]
    revisions: Revisions
    last: Entry


async def _page(journal: Journal, incident: Incident, names: Mapping[str, str]) -> AsyncIterator[str]:
    entries = [entry async for entry in journal.entries(incident.id)]
    if not entries:
        raise JournalAway(f"the timeline of {incident.id} is not there")
    yield await asyncio.to_thread(_rendered, incident, entries, names)


def _rendered(incident: Incident, entries: Sequence[Entry], names: Mapping[str, str]) -> str:
    revisions = Revisions()
    for entry in entries:
        revisions.learn(entry)
    rows = sorted(_rows(entries, revisions), key=lambda row: row.at)
    actors = tuple(dict.fromkeys(entry.actor for entry in entries))
    took = duration(incident.closed_at - incident.opened_at) if incident.closed_at else None
    template = _environment().get_template("incident.md.j2")
    account = _Account(tuple(rows), actors, revisions, entries[-1])
    return template.render(
        incident=incident, account=account, recorded=len(entries), took=took, names=names, known=partial(_known, names)
    )


def _known(names: Mapping[str, str], ids: str) -> str:
    """Name and id, where the name is known: names change and repeat, ids do not."""
    return f"{names[ids]} ({ids})" if ids in names else ids


def _rows(entries: Sequence[Entry], revisions: Revisions) -> Iterator[_Row]:
    for entry in entries:
        shown = revisions.shown(entry)
        if shown:
            now = shown.entry
            yield _Row(now.at, now.actor, now.kind, tuple(now.text.strip().splitlines()), shown.edited)


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
    made.filters["instant"] = instant
    return made

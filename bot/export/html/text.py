"""Values as HTML: what someone else wrote is shown as it is, and becomes neither markup, nor a link, nor a trick."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from markupsafe import Markup, escape

from bot.core.phrase import Linked, Part, Person, Phrase, Quoted, duration, one_line
from bot.core.record.redact import redact
from bot.export.values import clock, linkable, local

COLOURS = 8
"""Person chips come in this many colours. The name is what tells people apart."""

LINK_REL = "noopener noreferrer nofollow"

_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, and those that turn the direction of the text after them: shown by their names."""


def text(value: object) -> Markup:
    """A value as text that says just that, in an element or between double quotes. What is `Markup` already stays."""
    if isinstance(value, Markup):
        return value
    said = str(value)
    return _short(said) if len(said) <= _SHORT else _safe(said)


def _safe(said: str) -> Markup:
    return escape(visible(redact(said)))


_SHORT = 200
_short = lru_cache(maxsize=4096)(_safe)
"""Most short texts of a page come again and again: rules, runs, states. Taking secrets out costs most of a page."""


def recorded_text(said: str) -> Markup:
    """The same, but cheaper: for text that is known to hold no secret, such as every part of an entry."""
    return escape(visible(said))


def marked_up(said: str, tags: Mapping[str, str]) -> Markup:
    """The text, escaped, with each control character replaced by its tag.

    What others wrote in it has been through `visible` before, which leaves no control characters.
    """
    escaped = str(escape(said))
    for sign, tag in tags.items():
        escaped = escaped.replace(sign, tag)
    return Markup(escaped)  # noqa: S704  escaped, and the tags are ours


def visible(said: str) -> str:
    """The text with `[U+202E]` for a character that shows only in what it does to others."""
    return said if said.isprintable() else _ODD.sub(lambda found: f"[U+{ord(found[0]):04X}]", said)


def link(url: object, shown: object) -> Markup:
    """A link; only the words where the URL may not be linked or has a secret in it."""
    words = _BDI.format(text(shown))
    page = web_page(url)
    return words if page is None else _LINK.format(page, words)


def recorded_link(page: str, words: str) -> Markup:
    """The same for the address that an entry names, which holds no secret, and may be linked."""
    return Markup(f'<a href="{escape(page)}" rel="{LINK_REL}"><bdi>{escape(words)}</bdi></a>')  # noqa: S704  escaped


def web_page(url: object) -> str | None:
    """The URL, if it may be linked and has no secret in it."""
    page = linkable(url)
    return page if page is not None and _holds_no_secret(page) else None


@lru_cache(maxsize=1024)
def _holds_no_secret(page: str) -> bool:
    return redact(page) == page


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes people and instants. `seats` number the people, for filters and colours.

    `day` is the only day of an incident that lasted one: the head of the page names it, and nothing else has to.
    """

    names: Mapping[str, str]
    zone: tzinfo
    seats: Mapping[str, int]
    day: date | None = None
    _chips: dict[str, Markup] = field(default_factory=dict)

    def name(self, ids: str) -> str:
        return one_line(self.names.get(ids, "")) or one_line(ids) or "someone"

    def person(self, ids: str, otherwise: str = "") -> Markup:
        """A chip with the name; the id is in its tooltip, since names change and repeat.

        `otherwise` is the name to use where the id has none.
        """
        if ids not in self._chips:
            seat = self.seats.get(ids, 0) % COLOURS
            look = "bot" if ids == "tflock" else f"c{seat}"
            name = self.name(ids) if one_line(self.names.get(ids, "")) else one_line(otherwise) or self.name(ids)
            self._chips[ids] = _CHIP.format(look, text(one_line(ids)), text(name))
        return self._chips[ids]

    def when(self, at: datetime, *, dated: bool = False) -> Markup:
        """An instant in UTC and by the incident's clock, with its date where that is not the page's."""
        utc = at.astimezone(UTC)
        date = "" if utc.date() == self.day and not dated else f"{utc.day} {utc:%b %Y}, "
        return _WHEN.format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{date}{utc:%H:%M:%S} UTC", self.local(utc))

    def local(self, utc: datetime) -> str:
        """The time by the incident's clock, with the day where it is another one; nothing if that clock shows UTC."""
        if self.zone is UTC:
            return ""
        there = local(utc, self.zone)
        day = "" if there.day == utc.day else f"{there.day} {there:%b} "
        return f"{day}{clock(there)} {there.tzname()}"

    def phrase(self, parts: Phrase) -> Markup:
        return Markup("").join(self._part(part) for part in parts)

    def _part(self, part: Part) -> Markup:
        match part:
            case str():
                return text(part)
            case Quoted(said):
                return _QUOTED.format(text(one_line(said)))
            case Linked(said, url):
                return link(url, one_line(said))
            case Person(slack_id, name):
                unknown = _CHIP.format("c0", "", text(one_line(name) or "someone"))
                return self.person(slack_id, name) if slack_id else unknown
            case datetime():
                return self.when(part)
            case timedelta():
                return text(duration(part))


_BDI = Markup("<bdi>{}</bdi>")
_LINK = Markup(f'<a href="{{}}" rel="{LINK_REL}">{{}}</a>')  # noqa: S704  a constant
_QUOTED = Markup('<code class="quoted"><bdi>{}</bdi></code>')
_CHIP = Markup('<span class="who {}" title="{}"><bdi>{}</bdi></span>')
_WHEN = Markup('<span class="when"><time datetime="{}">{}</time> <span class="lt">{}</span></span>')

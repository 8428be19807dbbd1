"""Sentences with values in them, so that one rule's words can be shown in Slack, a terminal and an export.

A phrase is a tuple of parts. Plain `str` parts are ours and are shown as they are. Everything that a person,
a CI or Terraform wrote is `Quoted`, and each renderer neutralises it in its own way. Instants and durations stay
values until a renderer, who knows the reader's clock, writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text that someone else wrote: never interpreted, always escaped, shown as code."""

    text: str


@dataclass(frozen=True, slots=True)
class Linked:
    """A text of someone else's with the page that it is about. A `url` that is not http(s) is not linked."""

    text: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """A person: by Slack user id where it is known, else by the name that the source gave."""

    slack_id: str | None
    name: str


class Day(datetime):
    """An instant that matters by its day: shown with its weekday, and to the minute."""

    @classmethod
    def of(cls, at: datetime) -> Day:
        return cls.fromtimestamp(at.timestamp(), UTC)


class Clock(datetime):
    """An instant near the reader's own: its time of day says it all."""

    @classmethod
    def of(cls, at: datetime) -> Clock:
        return cls.fromtimestamp(at.timestamp(), UTC)


class Exact(timedelta):
    """A span that someone has set, such as a settle time: shown to the second, however long it is."""

    @classmethod
    def of(cls, span: timedelta) -> Exact:
        return cls(seconds=span.total_seconds())


@dataclass(frozen=True, slots=True)
class Command(Quoted):
    """A command of tflock's own, as it is typed in Slack: a shell may know it by another name."""


@dataclass(frozen=True, slots=True)
class ChannelRef(Quoted):
    """A channel by its Slack id. Slack shows its name to those who may know of it."""


Part: TypeAlias = str | Quoted | Linked | Person | datetime | timedelta
Phrase: TypeAlias = tuple[Part, ...]


def quoted(text: str | None, otherwise: str) -> Quoted:
    """Someone else's text; where there is none, or none that can be seen, our own words."""
    return Quoted(text) if text and one_line(text) else Quoted(otherwise)


def plain(phrase: Phrase) -> str:
    """The phrase as one line of plain text; instants in UTC with their date."""
    return "".join(_plain(part) for part in phrase)


def joined(phrases: Iterable[Phrase], separator: str = ", ") -> Phrase:
    """Phrases one after another with a separator between them."""
    parts: list[Part] = []
    for phrase in phrases:
        if parts:
            parts.append(separator)
        parts.extend(phrase)
    return tuple(parts)


_TO_THE_MINUTE = 150
"""From so many seconds on a span is shown to the minute."""

_NEAR = timedelta(hours=12)


def near(phrase: Phrase, now: datetime) -> Phrase:
    """The phrase with every instant within half a day of `now` as a time of day."""
    return tuple(
        Clock.of(part) if isinstance(part, datetime) and not isinstance(part, Day) and abs(part - now) < _NEAR else part
        for part in phrase
    )


def duration(span: timedelta) -> str:
    """A span for people: `2 h 5 min`, `4 min`, `1 min 30 s`, `48 s`. Negative spans count as zero."""
    seconds = max(0, round(span.total_seconds()))
    if seconds >= _TO_THE_MINUTE and not isinstance(span, Exact):
        seconds = (seconds + 30) // 60 * 60
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {left:02d} s" if left else f"{minutes} min"
    return f"{left} s"


_PACES = {60: "one a minute", 3_600: "one an hour", 86_400: "one a day"}


def pace(every: timedelta) -> str:
    """How often something happens, as people say it: `one a minute`, `one every 5 min`."""
    seconds = max(1, round(every.total_seconds()))
    return _PACES.get(seconds, f"one every {duration(timedelta(seconds=seconds))}")


def instant(at: datetime) -> str:
    """An instant for a reader whose clock is not known: date, time to the second, UTC."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


def day(at: Day) -> str:
    """`Mon 23 Nov 2026, 08:00 UTC`, whatever the machine's language."""
    utc = at.astimezone(UTC)
    return f"{_WEEKDAYS[utc.weekday()]} {utc.day} {_MONTHS[utc.month - 1]} {utc.year}, {utc:%H:%M} UTC"


def one_line(text: str) -> str:
    """Someone else's text without line breaks or control characters."""
    bare = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return " ".join(bare.split())


def _plain(part: Part) -> str:
    match part:
        case str():
            return part
        case Quoted(text) | Linked(text, _):
            return one_line(text)
        case Person(slack_id, name):
            return one_line(name) or slack_id or "someone"
        case datetime():
            return _written_out(part)
        case timedelta():
            return duration(part)


def _written_out(at: datetime) -> str:
    match at:
        case Day():
            return day(at)
        case Clock():
            return f"{at.astimezone(UTC):%H:%M} UTC"
        case _:
            return instant(at)

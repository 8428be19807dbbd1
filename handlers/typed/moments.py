"""When something happened, as people type it at the end of a line: `at 14:05`, `-12m`, `at yesterday 23:50`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

_DASH = r"[-\u2010-\u2015\u2212]"
_DAY = rf"(?P<day>yesterday|today|\d{{4}}{_DASH}\d{{2}}{_DASH}\d{{2}})"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
_AT = re.compile(rf"(?:^|\s)(?:at\s+(?:{_DAY}\s+)?|(?P<bare>yesterday)\s+){_CLOCK}\s*$", re.IGNORECASE | re.ASCII)
_AGO = re.compile(rf"(?:^|\s)(?:at\s+)?{_DASH}(?P<number>\d{{1,4}})(?P<unit>[mhd])\s*$", re.IGNORECASE | re.ASCII)
_SPAN = re.compile(r"(?P<number>\d{1,4})(?P<unit>[mhd])", re.IGNORECASE | re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_HOURS, _SIXTY = range(24), range(60)


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day by the asker's clock, `days_ago` days before their today, or on `day`.

    With neither it is the last such time that is not in the future.
    """

    hour: int
    minute: int
    days_ago: int | None = None
    day: date | None = None
    second: int = 0


@dataclass(frozen=True, slots=True)
class Ago:
    """So long before now."""

    span: timedelta


@dataclass(frozen=True, slots=True)
class NotATime:
    """What was meant as a time and is none."""

    word: str


Moment: TypeAlias = ClockTime | Ago


def moment(text: str) -> tuple[str, Moment | NotATime | None]:
    """The text before the time at its end, and that time; None if there is none."""
    if found := _AT.search(text):
        return text[: found.start()].strip(), _clock(found)
    if found := _AGO.search(text):
        return text[: found.start()].strip(), Ago(_span(found))
    return text.strip(), None


def span(text: str) -> Ago | None:
    """`2h`, `-2h`: how far back; None for anything else."""
    found = _SPAN.fullmatch(re.sub(f"^{_DASH}", "", text.strip()))
    return Ago(_span(found)) if found else None


def _span(found: re.Match[str]) -> timedelta:
    return timedelta(**{_UNITS[found["unit"].lower()]: int(found["number"])})


def _clock(found: re.Match[str]) -> ClockTime | NotATime:
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if hour not in _HOURS or minute not in _SIXTY or second not in _SIXTY:
        return NotATime(":".join(filter(None, found.group("hour", "minute", "second"))))
    word = (found["day"] or found["bare"] or "").lower()
    if not word:
        return ClockTime(hour, minute, second=second)
    if word in {"today", "yesterday"}:
        return ClockTime(hour, minute, days_ago=int(word == "yesterday"), second=second)
    try:
        return ClockTime(hour, minute, day=date.fromisoformat(re.sub(_DASH, "-", word)), second=second)
    except ValueError:
        return NotATime(word)

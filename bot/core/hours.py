"""When someone is usually at work: `Mon-Fri 09:00-18:00`, on that person's own clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHAPE = re.compile(r"(?P<days>[A-Za-z,-]+) (?P<from>[0-9]{2}):(?P<past>[0-9]{2})-(?P<to>[0-9]{2}):(?P<until>[0-9]{2})")
_HOUR, _DAY = 60, 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """Working hours. `days` are weekdays (Monday is 0) on which they begin; `start` and `end` are minutes of the day.

    Where `end` is not after `start` they run past midnight. `text` is how they were written.
    """

    text: str
    days: frozenset[int]
    start: int
    end: int

    def hold(self, local: datetime) -> bool:
        """Whether the instant, on the person's own clock, is within them; the end is not."""
        minute, day = local.hour * _HOUR + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or ((day - 1) % 7 in self.days and minute < self.end)


def hours_from(text: str) -> Hours:
    """Reads `Mon-Fri 09:00-18:00` or `Mon,Wed,Fri 22:00-06:00`. Raises ValueError with a reason fit for a person."""
    found = _SHAPE.fullmatch(" ".join(text.split()))
    if found is None:
        raise ValueError("it must look like “Mon-Fri 09:00-18:00”")
    start, end = _minutes(found["from"], found["past"]), _minutes(found["to"], found["until"])
    if start in {_DAY, end}:
        raise ValueError("it must begin before it ends")
    return Hours(found[0], frozenset(day for part in found["days"].split(",") for day in _days(part)), start, end)


def _minutes(hour: str, minute: str) -> int:
    minutes = int(hour) * _HOUR + int(minute)
    if int(minute) >= _HOUR or minutes > _DAY:
        raise ValueError(f"{hour}:{minute} is not a time of day")
    return minutes


def _days(part: str) -> list[int]:
    first, dash, last = part.partition("-")
    start, end = _weekday(first), _weekday(last if dash else first)
    return [(start + step) % 7 for step in range((end - start) % 7 + 1)]


def _weekday(name: str) -> int:
    try:
        return _DAYS.index(name.lower())
    except ValueError:
        raise ValueError(f"“{name}” is not a weekday: write Mon, Tue, Wed, Thu, Fri, Sat or Sun") from None


def on_clock(now: datetime, tz: str | None, offset: int) -> datetime | None:
    """The instant on the clock of someone in this time zone (IANA); by the offset in seconds where nobody knows it.

    None where neither is known: Slack gives no zone of people who are deactivated or belong elsewhere.
    """
    try:
        return now.astimezone(ZoneInfo(tz)) if tz else now.astimezone(_fixed(offset)) if offset else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return now.astimezone(_fixed(offset))


def _fixed(offset: int) -> timezone:
    return timezone(timedelta(seconds=offset if abs(offset) < _DAY * _HOUR else 0))


USUAL = hours_from("Mon-Fri 09:00-18:00")
"""Assumed of people whose hours the configuration does not give."""

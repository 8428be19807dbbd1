"""Working hours, and what time it is for somebody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.hours import USUAL, hours_from, on_clock
from bot.core.phrase import Day, plain

MONDAY = datetime(2026, 11, 23)  # noqa: DTZ001 - on the person's own clock


def on(day, clock):
    hour, minute = clock.split(":")
    return MONDAY + timedelta(days=day, hours=int(hour), minutes=int(minute))


@pytest.mark.parametrize(
    ("text", "day", "clock", "within"),
    [
        ("Mon-Fri 09:00-18:00", 0, "09:00", True),
        ("Mon-Fri 09:00-18:00", 4, "17:59", True),
        ("Mon-Fri 09:00-18:00", 4, "18:00", False),
        ("Mon-Fri 09:00-18:00", 0, "08:59", False),
        ("Mon-Fri 09:00-18:00", 5, "12:00", False),
        ("mon,WED 00:00-24:00", 2, "23:59", True),
        ("mon,WED 00:00-24:00", 1, "12:00", False),
        ("Fri-Mon 09:00-18:00", 6, "12:00", True),
        ("Fri-Mon 09:00-18:00", 2, "12:00", False),
        ("Fri 22:00-06:00", 4, "23:00", True),
        ("Fri 22:00-06:00", 5, "05:59", True),
        ("Fri 22:00-06:00", 4, "05:00", False),
        ("Sun 22:00-06:00", 0, "01:00", True),
    ],
)
def test_hours_hold_what_lies_in_them(text, day, clock, within):
    assert hours_from(text).hold(on(day, clock)) is within


@pytest.mark.parametrize(
    "text",
    ["", "9-5", "Mon-Fri", "Mon-Fri 9:00-18:00", "Mo-Fr 09:00-18:00", "Mon- 09:00-18:00", "Mon,, 09:00-18:00",
     "Mon-Fri 09:00-09:00", "Mon-Fri 24:00-06:00", "Mon-Fri 09:60-18:00", "Mon-Fri 09:00-24:01", "Mon 09:00-18:00 Tue"],
)  # fmt: skip
def test_what_are_no_hours_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        hours_from(text)


@pytest.mark.parametrize(("month", "hour"), [(7, 14), (12, 13)])
def test_a_zone_follows_its_clock_changes(month, hour):
    local = on_clock(datetime(2026, month, 1, 12, tzinfo=UTC), "Europe/Berlin", 0)

    assert local.hour == hour


@pytest.mark.parametrize("zone", ["Mars/Base", "../etc/passwd", "\0", "x" * 5000, ""])
def test_a_zone_that_nobody_knows_is_told_by_its_offset(zone):
    assert on_clock(datetime(2026, 7, 1, 12, tzinfo=UTC), zone, -12_600).hour == 8


def test_without_a_zone_and_an_offset_nobody_knows_what_time_it_is():
    assert on_clock(datetime(2026, 7, 1, 12, tzinfo=UTC), None, 0) is None


def test_an_offset_that_no_place_has_is_none():
    assert on_clock(datetime(2026, 7, 1, 12, tzinfo=UTC), None, 10**9).hour == 12


def test_the_usual_hours_are_those_of_the_documentation():
    assert USUAL.text == "Mon-Fri 09:00-18:00"


def test_a_day_is_written_with_its_weekday():
    assert plain(("until ", Day.of(datetime(2026, 11, 23, 8, 0, 59, tzinfo=UTC)))) == "until Mon 23 Nov 2026, 08:00 UTC"

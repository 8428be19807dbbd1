"""Phrases as plain text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.phrase import Linked, Person, Quoted, duration, instant, joined, one_line, plain


def test_a_phrase_is_one_line_of_plain_text():
    noon = datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=1)))
    phrase = (Person("U0QUINN", "quinn"), " saw ", Linked("deploy #1", "https://x"), " at ", noon, " for ")

    assert plain((*phrase, timedelta(seconds=90), ": ", Quoted("a\nb"))) == (
        "quinn saw deploy #1 at 2026-11-21 11:00:00 UTC for 1 min 30 s: a b"
    )


@pytest.mark.parametrize(
    ("person", "words"),
    [
        (Person("U0QUINN", ""), "U0QUINN"),
        (Person(None, "quinn"), "quinn"),
        (Person(None, ""), "someone"),
        (Person("U0QUINN", "\n"), "U0QUINN"),
    ],
)
def test_a_person_without_a_name_goes_by_id_or_is_somebody(person, words):
    assert plain((person,)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (48, "48 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (330, "6 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds, words):
    assert duration(timedelta(seconds=seconds)) == words


@given(st.timedeltas())
def test_any_span_has_words(span):
    assert duration(span)


@given(st.datetimes(timezones=st.just(UTC)))
def test_any_instant_is_written_to_the_second_with_four_digits_of_the_year(at):
    assert datetime.strptime(instant(at), "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC) == at.replace(microsecond=0)


@given(st.text())
def test_somebody_elses_text_never_breaks_the_line_and_keeps_its_words(text):
    line = one_line(text)

    assert line.isprintable()
    assert line == line.strip()
    assert one_line(line) == line


def test_joined_puts_the_separator_only_between():
    assert joined([]) == ()
    assert joined([("a",)]) == ("a",)
    assert plain(joined([("a",), ("b", "c"), ("d",)], "; ")) == "a; bc; d"

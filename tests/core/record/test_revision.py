"""Edits and removals are entries; the raw log never changes."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.record.revision import Revisions
from bot.core.record.timeline import GENESIS, Entry, Kind

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def entry(entry_id, kind=Kind.NOTE_ADDED, text="said", **facts):
    return Entry(entry_id, NOON, NOON, kind, "U1", text, facts, GENESIS, "0")


def edit(entry_id, **facts):
    return Entry(entry_id, NOON, NOON, Kind.ENTRY_EDITED, "U1", "an edit", {"entry": "1", **facts}, GENESIS, "0")


def learned(*entries):
    revisions = Revisions()
    for one in entries:
        revisions.learn(one)
    return revisions


def test_an_entry_nobody_touched_is_shown_as_it_is():
    shown = learned(entry("1")).shown(entry("1"))

    assert shown.entry == entry("1")
    assert not shown.edited


def test_the_latest_edit_counts_for_text_and_for_time():
    at = NOON - timedelta(hours=1)
    first = edit("2", text="better", at=at.isoformat())
    second = edit("3", text="best")
    revisions = learned(entry("1"), first, second)

    shown = revisions.shown(entry("1"))

    assert (shown.entry.text, shown.entry.at, shown.edited) == ("best", at, True)
    assert (revisions.edited, revisions.hidden) == (1, 0)


def test_an_edit_of_the_time_keeps_the_text():
    shown = learned(edit("2", at="2026-11-21T10:00:00")).shown(entry("1"))

    assert (shown.entry.text, shown.entry.at) == ("said", NOON - timedelta(hours=2))


def test_a_hidden_entry_is_not_shown_and_is_counted():
    revisions = learned(entry("1"), edit("2", text="x"), entry("3", Kind.ENTRY_HIDDEN, entry="1"))

    assert revisions.shown(entry("1")) is None
    assert (revisions.edited, revisions.hidden) == (0, 1)


def test_the_edits_themselves_are_no_lines_of_the_timeline():
    assert learned().shown(edit("2", text="x")) is None
    assert learned().shown(entry("2", Kind.ENTRY_HIDDEN, entry="1")) is None


@pytest.mark.parametrize("at", ["yesterday", 5, None])
def test_an_edit_with_an_odd_time_changes_the_text_alone(at):
    shown = learned(edit("2", text="better", at=at)).shown(entry("1"))

    assert (shown.entry.text, shown.entry.at) == ("better", NOON)


def test_a_note_that_has_a_fact_of_that_name_edits_nothing():
    assert not learned(entry("2", Kind.NOTE_ADDED, "x", entry="1")).shown(entry("1")).edited

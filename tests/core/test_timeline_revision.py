"""Edits and removals are entries; the raw log never changes."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.revision import Revisions
from bot.core.timeline import GENESIS, Entry, Kind

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def entry(entry_id, kind=Kind.NOTE_ADDED, text="said", **facts):
    return Entry(entry_id, NOON, NOON, kind, "U1", text, facts, GENESIS, "0")


def learned(*entries):
    revisions = Revisions()
    for one in entries:
        revisions.learn(one)
    return revisions


def test_an_entry_nobody_touched_is_shown_as_it_is():
    shown = learned(entry("1")).shown(entry("1"))

    assert shown.entry == entry("1")
    assert not shown.edited


def test_the_latest_edit_counts_for_text_and_time():
    first = entry("2", Kind.ENTRY_EDITED, "better", entry="1")
    second = entry("3", Kind.ENTRY_EDITED, "best", entry="1", at=(NOON - timedelta(hours=1)).isoformat())
    revisions = learned(entry("1"), first, second)

    shown = revisions.shown(entry("1"))

    assert (shown.entry.text, shown.entry.at, shown.edited) == ("best", NOON - timedelta(hours=1), True)
    assert (revisions.edited, revisions.hidden) == (1, 0)


def test_a_hidden_entry_is_not_shown_and_is_counted():
    revisions = learned(
        entry("1"), entry("2", Kind.ENTRY_EDITED, "x", entry="1"), entry("3", Kind.ENTRY_HIDDEN, entry="1")
    )

    assert revisions.shown(entry("1")) is None
    assert (revisions.edited, revisions.hidden) == (0, 1)


def test_the_edits_themselves_are_no_lines_of_the_timeline():
    assert learned().shown(entry("2", Kind.ENTRY_EDITED, "x", entry="1")) is None
    assert learned().shown(entry("2", Kind.ENTRY_HIDDEN, entry="1")) is None


@pytest.mark.parametrize("at", ["yesterday", "2026-11-21T12:00:00", 5, None])
def test_an_edit_with_an_odd_time_changes_the_text_alone(at):
    shown = learned(entry("2", Kind.ENTRY_EDITED, "better", entry="1", at=at)).shown(entry("1"))

    assert (shown.entry.text, shown.entry.at) == ("better", NOON)


def test_a_note_that_has_a_fact_of_that_name_edits_nothing():
    assert not learned(entry("2", Kind.NOTE_ADDED, "x", entry="1")).shown(entry("1")).edited

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.record.incident import Incident
from bot.core.record.revision import Change, Marking, Revisions, ShownEntry
from bot.core.record.timeline import Entry
from bot.core.reports.report import Corrected, TimelineReport
from bot.slack.render import timeline_message
from bot.slack.render.correction import edited_message, marked_message
from bot.slack.render.modal import LONGEST_INPUT, EditForm, edit_view, failed_view, loading_view
from tests.worlds.slack.blocks import view_faults


@pytest.fixture
def reads(snapshot, written, sound):
    def check(message):
        sound(message)
        assert written(message) == snapshot

    return check


def incident(scene, *, closed=False):
    opened = scene.now - timedelta(hours=1)
    ended = scene.now if closed else None
    return Incident("inc-20261121-staging-7f3a", "C0STAGING", "staging", opened, "U0QUINN", ended)


def entry(scene, number, kind, text, minute=0, /, **facts):
    at = scene.now + timedelta(minutes=minute)
    return Entry(str(number), at, at, kind, "U0QUINN", text, facts, "0" * 64, "1" * 64)


def shown(*entries):
    known = Revisions()
    for one in entries:
        known.learn(one)
    return tuple(found for one in entries if (found := known.shown(one)) is not None), known.hidden_entries


def page(scene, entries, *, total=None, older=None, newer=None, closed=False):
    rows, hidden = shown(*entries)
    return TimelineReport(incident(scene, closed=closed), rows, total or len(entries), hidden, 12, older, newer)


def menus(message):
    return [block["accessory"] for block in message.blocks if "accessory" in block]


def test_a_page_shows_numbers_dates_edits_and_key_moments_and_leaves_hidden_entries_out(scene, reads):
    message = timeline_message(
        page(
            scene,
            (
                entry(scene, 1, "incident.opened", "Incident opened: staging"),
                entry(scene, 2, "note.added", "the aply is dead", 1),
                entry(scene, 3, "note.added", "said by mistake", 2),
                entry(
                    scene, 4, "entry.edited", "", 3,
                    entry="2", text="the apply is dead", at="2026-11-21T11:02:00Z", why="typo",
                ),
                entry(scene, 5, "entry.hidden", "", 4, entry="3"),
                entry(scene, 6, "unlock.released", "staging is unlocked", 5),
                entry(scene, 7, "entry.marked", "", 6, entry="6"),
            ),
            older="1",
            newer="7",
        )
    )  # fmt: skip
    assert "aply" not in str(message.blocks)
    assert "by mistake" not in str(message.blocks)
    reads(message)


def test_a_back_dated_entry_stands_where_it_happened_and_keeps_its_number(scene):
    message = timeline_message(
        page(scene, (entry(scene, 1, "note.added", "first", 5), entry(scene, 2, "note.added", "earlier", -5)))
    )
    texts = [block["text"]["text"] for block in message.blocks if "accessory" in block]
    assert ["earlier" in texts[0], "first" in texts[1]] == [True, True]
    assert texts[0].startswith("*2*")


def test_the_menu_of_an_entry_edits_hides_and_marks_it_and_remembers_its_page(scene):
    entries = (
        entry(scene, 41, "note.added", "plain"),
        entry(scene, 42, "note.added", "key", 1),
        entry(scene, 43, "entry.marked", "", 2, entry="42"),
    )
    first, second = menus(timeline_message(page(scene, entries, total=80, older="41", newer="42")))
    assert [option["text"]["text"] for option in first["options"]] == ["Edit…", "Hide", "Mark as key moment"]
    assert [option["text"]["text"] for option in second["options"]] == ["Edit…", "Hide", "No key moment"]
    assert first["options"][0]["value"] == "- - inc-20261121-staging-7f3a edit.41.12.43"
    assert second["options"][2]["value"] == "- - inc-20261121-staging-7f3a unmark.42.12.43"
    newest = menus(timeline_message(page(scene, entries)))[0]
    assert newest["options"][1]["value"].endswith("hide.41.12.")


def test_a_full_page_of_long_entries_fits(scene, sound):
    entries = tuple(entry(scene, n, "note.added", f"entry {n} " + "x<&" * 5_000, n) for n in range(1, 26))
    message = timeline_message(page(scene, entries, total=100_000, older="1", newer="25"))
    assert len(menus(message)) == 25
    assert "1 to 25 of 100000 entries" in str(message.blocks)
    sound(message)


def test_the_heading_counts_what_is_not_shown_as_an_entry_of_its_own(scene):
    entries = (entry(scene, 1, "note.added", "one", 1),)
    report = replace(page(scene, entries, total=5), corrections=3)
    assert "(1 to 1 of 5 entries, 3 of them corrections)" in str(timeline_message(report).blocks)


def test_a_page_with_nothing_to_show_says_so(scene, reads):
    reads(timeline_message(page(scene, (), total=40, closed=True)))


def test_an_unreadable_edit_changes_nothing_but_its_mark(scene):
    entries = (
        entry(scene, 1, "note.added", "as it was"),
        entry(scene, 2, "entry.edited", "", 1, entry="1", text=7, at="yesterday"),
    )
    assert "as it was\n(edited by" in str(timeline_message(page(scene, entries)).blocks[1]["text"]["text"])


# ── corrections


def corrected(scene, *, was, now, minutes=0, hidden=False, changed=True, closed=False):
    before = ShownEntry(entry(scene, 12, "note.added", was), (), is_key=False)
    change = Change("U0PARKER", scene.now, "entry.edited", "typo")
    after = ShownEntry(entry(scene, 12, "note.added", now, minutes), (change,), is_key=False)
    return Corrected(incident(scene, closed=closed), before, after, hidden, changed)


def test_an_edit_says_what_it_said_before_and_how_to_undo_it(scene, reads):
    told = corrected(scene, was="the aply is dead", now="the apply is dead", minutes=-20, closed=True, hidden=True)
    reads(edited_message(told, "/tflock edit 12 the aply is dead at 2026-11-21 12:05"))


def test_an_edit_that_no_command_undoes_says_so(scene, reads):
    reads(edited_message(corrected(scene, was="x" * 900, now="y"), None))


def test_an_edit_that_changes_nothing_says_so(scene, reads):
    reads(edited_message(corrected(scene, was="same", now="same", changed=False), None))


@pytest.mark.parametrize("changed", [True, False])
@pytest.mark.parametrize("how", Marking)
def test_a_marking_says_what_it_means_and_how_to_undo_it(scene, reads, how, changed):
    reads(marked_message(corrected(scene, was="a note", now="a note", changed=changed), how))


# ── the dialog


def test_the_dialog_shows_text_day_and_time_and_asks_why(scene, snapshot):
    told = corrected(scene, was="a note", now="a note\nof two lines")
    view = edit_view(EditForm(told, scene.now, "CET", '{"entry": "12"}'))
    assert view_faults(view, kind="modal") == []
    assert view == snapshot


def test_a_text_that_a_dialog_cannot_hold_is_left_empty_and_may_stay(scene):
    told = corrected(scene, was="x", now="x" * (LONGEST_INPUT + 1))
    view = edit_view(EditForm(told, scene.now, "CET", "{}"))
    assert view_faults(view, kind="modal") == []
    text = view["blocks"][0]
    assert (text["optional"], "initial_value" in text["element"]) == (True, False)
    assert "Leave this empty" in text["hint"]["text"]


def test_the_dialogs_without_a_form_are_ones_that_slack_takes():
    assert view_faults(loading_view(), kind="modal") == []
    assert view_faults(failed_view("There is no entry <!channel>. " * 500), kind="modal") == []
    assert "&lt;!channel&gt;" in str(failed_view("<!channel>"))

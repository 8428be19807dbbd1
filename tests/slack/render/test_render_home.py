"""The home tab and its dialogs: readable, inside Slack's limits for a thousand states, deaf to hostile texts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.case import Rule, Ruling
from bot.core.phrase import Quoted
from bot.core.reports.home import Held, Home, OpenIncident, Prospect, ShownRow, StateRow, Wait, Waiting, ordered
from bot.core.reports.report import Notice, StatusReport
from bot.sandbox.slack.text import flat
from bot.slack.render.home import (
    ask_where_view,
    home_view,
    loading_dialog,
    loading_home,
    overview_view,
    plain_dialog,
    plain_home,
    status_view,
)
from tests.worlds.slack.blocks import view_faults

HOSTILE = "<!channel> *x* `y` <https://evil.example|ok> @here :tada: \u202e" + "A" * 5_000


@pytest.fixture
def shows(snapshot):
    def check(view):
        assert view_faults(view, kind=view["type"]) == []
        assert flat({"blocks": view["blocks"]}) == snapshot

    return check


def locked(scene, name, hours, who="runner@fv-az881-525"):
    taken = scene.now - timedelta(hours=hours)
    return StateRow(name, Held.LOCKED, f"6f9f0e8e-0000-4c6d-9d3e-{name:0>12.12}", who, "OperationTypeApply", taken)


def prospect(scene, ruling, rule="", **facts):
    url = "https://github.com/acme/infra/actions/runs/123"
    return Prospect(ruling, rule, scene.now, run="Deploy to staging #123", url=url, end="timed out", **facts)


def filled(scene, **changes):
    usual = Home(
        shown=(
            ShownRow(
                locked(scene, "staging", 2),
                is_own=True,
                prospect=prospect(scene, Ruling.ALLOW, owner="U0ELLIOTT"),
            ),
            ShownRow(
                locked(scene, "prod", 5),
                prospect=prospect(scene, Ruling.REFUSE, str(Rule.SETTLED), until=scene.now + timedelta(minutes=4)),
            ),
            ShownRow(
                locked(scene, "dns", 1, "parker@laptop"),
                prospect=prospect(scene, Ruling.REFUSE, str(Rule.HUMAN_HELD)),
            ),
            ShownRow(locked(scene, "vpn", 1), prospect=prospect(scene, Ruling.NEEDS_APPROVAL, str(Rule.PROTECTED))),
            ShownRow(StateRow("edge", Held.UNREAD, why="DynamoDB did not answer within 10 s")),
            ShownRow(StateRow("mail", Held.THROTTLED)),
            ShownRow(StateRow("logs", Held.GARBLED)),
        ),
        locked=5,
        unread=2,
        total=9,
        free=("data", "web"),
        waiting=(
            Waiting(Wait.ANSWER, "staging", "6f9f", "r7k2", "C0STAGING", "U0QUINN", scene.now - timedelta(hours=2)),
            Waiting(
                Wait.APPROVAL, "vpn", "7a11", "r8", "C0PROD", "U0PARKER", scene.now, scene.now + timedelta(minutes=15),
                "https://acme.slack.com/archives/C0PROD/p1",
            ),
            Waiting(
                Wait.ARMED, "prod", "8b22", "r9", "C0PROD", "U0ELLIOTT", scene.now, scene.now + timedelta(hours=2),
                "https://acme.slack.com/archives/C0PROD/p2",
            ),
            Waiting(Wait.WATCH, "dns"),
        ),
        incidents=(
            OpenIncident("inc-1", "staging", "C0STAGING", scene.now - timedelta(hours=1), ("staging",)),
            OpenIncident("inc-2", "Prod is slow", "C0PROD", scene.now, ("prod", "vpn", "dns", "edge")),
        ),
        glance_at=scene.now - timedelta(seconds=5),
        now=scene.now,
    )  # fmt: skip
    return replace(usual, **changes)


def test_what_needs_the_reader_stands_first_then_the_locks_then_the_incidents(scene, shows):
    shows(home_view(filled(scene)))


def test_the_dialog_of_the_shortcut_shows_the_same(scene, shows):
    shows(overview_view(filled(scene, waiting=(), more_incidents=3, unchecked=2)))


def test_a_quiet_day_is_a_short_tab(scene, shows):
    quiet = filled(scene, shown=(), locked=0, unread=0, waiting=(), incidents=(), free=("a", "b"), total=2)
    shows(home_view(quiet))


def test_what_was_read_last_says_that_it_is_being_read_again(scene, shows):
    stale = filled(scene, waiting=(), incidents=(), looking=True, glance_at=scene.now - timedelta(minutes=40))
    shows(home_view(stale))


def test_without_the_timeline_it_says_that_nothing_can_be_unlocked(scene, shows):
    shows(home_view(filled(scene, waiting=(), incidents=(), journal_trouble="Redis's memory is full")))


def test_pages_lead_to_each_other(scene):
    home = filled(scene, page=1, pages=3)
    (row,) = [
        [element["action_id"] for element in block["elements"]]
        for block in home_view(home)["blocks"]
        if block["type"] == "actions" and any(e["action_id"] == "home.older" for e in block["elements"])
    ]
    assert row == ["home.newer", "home.older"]
    assert home_view(home)["private_metadata"] == "1"


def test_a_state_in_a_dialog_has_no_button_that_unlocks_it(scene, shows):
    inspection = scene.inspection()
    view = status_view(StatusReport(inspection, scene.verdict(inspection)))
    elements = [one for block in view["blocks"] for one in (*block.get("elements", ()), block.get("accessory", {}))]
    ids = {element["action_id"] for element in elements if "action_id" in element}
    assert ids == {"home.check", "home.checklist", "home.unlock", "home.refresh"}
    shows(view)


def test_the_checklist_of_a_state_is_one_press_away(scene, shows):
    inspection = scene.inspection()
    report = StatusReport(inspection, scene.verdict(inspection))

    assert "same lock:" not in flat({"blocks": status_view(report)["blocks"]})
    shows(status_view(report, is_unfolded=True))


def test_unlock_leads_to_the_channels_where_it_can_be_asked_for(scene, shows):
    shows(ask_where_view("prod", filled(scene).incidents, ("inc-*", "C0OPS")))


def test_without_an_incident_it_says_where_one_can_be_begun(scene, shows):
    shows(ask_where_view("prod", (), ("inc-*",)))


def test_what_went_wrong_is_said_with_its_reference(shows):
    notice = Notice("Something went wrong", (("This is a bug in tflock.",),), "ref1")
    shows(plain_home(notice))
    shows(plain_dialog(notice))


def test_something_is_shown_before_anything_is_read():
    assert view_faults(loading_home(), kind="home") == []
    assert view_faults(loading_dialog(), kind="modal") == []


def test_own_locks_come_first_then_watched_ones_then_the_oldest(scene):
    rows = [
        ShownRow(StateRow("unread", Held.UNREAD)),
        ShownRow(locked(scene, "young", 1)),
        ShownRow(locked(scene, "old", 9)),
        ShownRow(locked(scene, "watched", 1), is_watched=True),
        ShownRow(locked(scene, "own", 0), is_own=True),
    ]
    assert [shown.row.state for shown in ordered(rows)] == ["own", "watched", "old", "young", "unread"]


def hostile(scene, count):
    row = replace(locked(scene, "x", 1), state=HOSTILE[:100], who=HOSTILE, operation=HOSTILE)
    shown = ShownRow(
        row,
        is_own=True,
        is_watched=True,
        prospect=Prospect(Ruling.REFUSE, HOSTILE, scene.now, None, HOSTILE, HOSTILE, "javascript:alert(1)", "failed"),
    )
    waits = tuple(
        Waiting(wait, HOSTILE[:100], "l", "r", HOSTILE, HOSTILE, scene.now, scene.now, "https://x/" + "a" * 9_000)
        for wait in (Wait.ANSWER, Wait.APPROVAL, Wait.ARMED)
        for _ in range(5)
    )
    incident = OpenIncident("i", HOSTILE, HOSTILE, scene.now, (HOSTILE,) * 50)
    return filled(
        scene, shown=(shown,) * 12, locked=count, total=count, waiting=waits, incidents=(incident,) * 10, pages=90,
        free=(HOSTILE,) * 60,
    )  # fmt: skip


def test_a_thousand_hostile_states_fit_and_mean_nothing(scene):
    for view in (home_view(hostile(scene, 1_000)), overview_view(hostile(scene, 1_000))):
        assert view_faults(view, kind=view["type"]) == []
        written = json.dumps(view)
        assert len(written) < 250_000
        assert "<!channel>" not in written
        assert "<https://evil" not in written
        assert "Locks read at" in written
        assert "home.refresh" in written


def test_hostile_texts_in_the_other_views_mean_nothing(scene):
    told = hostile(scene, 1)
    where = ask_where_view(HOSTILE[:100], told.incidents, (HOSTILE,) * 9)
    said = plain_home(Notice(HOSTILE, ((Quoted(HOSTILE),),), HOSTILE))
    for view in (where, said):
        assert view_faults(view, kind=view["type"]) == []
        assert "<!channel>" not in json.dumps(view)


def test_a_hold_says_who_holds_it_until_when_and_why(scene):
    info = "look first; until 2026-11-21 23:30:00 UTC; https://acme.slack.com/p1; hold 9f2c41d0aa"
    held = replace(locked(scene, "staging", 0.1, "tflock@inc-staging (@quinn)"), operation="tflock hold", info=info)
    shown = flat({"blocks": home_view(filled(scene, shown=(ShownRow(held),), waiting=()))["blocks"]})

    assert "held by `quinn` until" in shown
    assert "look first" in shown
    assert "tflock@" not in shown
    assert "whether it can be unlocked" not in shown

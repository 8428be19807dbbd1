"""A lock that no request only reads, and one that does not say what it is for: plain words, and no failure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.backends.http.kind import unshown
from bot.core.evidence import Trouble, Unseen
from bot.core.gate.inspection import StateName
from bot.core.lock import LockPlace, LockSeen, PlaceKind
from bot.core.reports.home import Held, Home, ShownRow, row_of
from bot.core.reports.report import Overview, StatusReport
from bot.sandbox.slack.text import flat
from bot.slack.render import overview_message, status_message
from bot.slack.render.home import home_view
from bot.slack.render.plain import overview_lines, status_lines, to_json
from tests.worlds.clocks import WallClock

NO_REQUEST = "his backend has no request that reads a lock"
FAILURE = ("could not be read", "can't be read", "not readable", "Try again")


@pytest.fixture
def hidden():
    return unshown(WallClock())


@pytest.fixture
def lost(hidden, scene):
    """Its twin: a lock that can be read, and was not."""
    ((kind, _),) = hidden.unseen
    return replace(hidden, unseen=((kind, Unseen("GitLab", Trouble.TIMED_OUT, "GitLab did not answer", scene.now)),))


def overview(scene, *seen):
    return Overview(tuple((StateName(f"s{at}", "", protected=False), each) for at, each in enumerate(seen)), scene.now)


def shown(message):
    return flat({"text": message.text, "blocks": list(message.blocks)})


def test_in_the_overview_it_is_not_shown_and_no_failure(scene, hidden, lost):
    only, among = overview(scene, hidden), overview(scene, hidden, scene.free)

    for each in (shown(overview_message(only)), "\n".join(overview_lines(only)), "\n".join(overview_lines(among))):
        assert NO_REQUEST in each
        assert not any(words in each for words in FAILURE)
    assert "only an unlock can look" in shown(overview_message(among))
    assert overview_message(among).text == "0 of 2 states locked, 1 not shown."
    assert "1 free" in shown(overview_message(among))
    assert overview_message(overview(scene, lost, scene.free)).text == "0 of 2 states locked, 1 could not be read."


def test_in_the_json_it_keeps_its_own_trouble(scene, hidden, lost):
    states = to_json(overview(scene, hidden, lost))["states"]

    assert [state["locked"] for state in states] == [None, None]
    assert [state["unseen"][0]["trouble"] for state in states] == ["not shown", "timed out"]


def test_in_the_home_tab_it_is_counted_apart_and_says_who_can_look(scene, hidden, lost):
    def home(seen, **counts):
        row, base = row_of("edge", seen), {"locked": 0, "unread": 0, "total": 2, "free": ("dns",), "waiting": ()}
        return Home((ShownRow(row),), **base | counts, incidents=(), glance_at=scene.now, now=scene.now)

    mine = flat({"blocks": home_view(home(hidden, unshown=1))["blocks"]})
    twin = flat({"blocks": home_view(home(lost, unread=1))["blocks"]})

    assert (row_of("edge", hidden).held, row_of("edge", lost).held) == (Held.UNSHOWN, Held.UNREAD)
    assert f"t{NO_REQUEST}; only an unlock can look" in mine
    assert ("None locked, 1 not shown" in mine, "1 free: dns" in mine) == (True, True)
    assert not any(words in mine for words in FAILURE)
    assert ("could not be read" in twin, "None locked, 1 not readable" in twin) == (True, True)


def test_in_a_status_it_is_said_first_and_the_next_step_is_an_unlock(scene, hidden, lost):
    def status(seen):
        report = StatusReport(replace(scene.inspection(), seen=seen, lock=None, attribution=None), None)
        return shown(status_message(report)), "\n".join(status_lines(report))

    for each in status(hidden):
        assert f"{NO_REQUEST}: only an unlock can look" in each
        assert not any(words in each for words in FAILURE)
    assert all("The lock could not be read" in each for each in status(lost))


@pytest.mark.parametrize(("operation", "said"), [("", False), ("OperationTypeApply", True)])
def test_a_lock_that_does_not_say_what_it_is_for_is_shown_without_a_purpose(scene, operation, said):
    """GitLab keeps no operation."""
    lock = replace(scene.lock, operation=operation)
    place = LockPlace(PlaceKind.RECORD, "acme/network / staging", lock.id, lock)
    seen = LockSeen(held=(place,), free=(), unseen=(), at=scene.now)
    inspection = replace(scene.inspection(), seen=seen, lock=lock, attribution=None)
    texts = [
        shown(status_message(StatusReport(inspection, None))),
        "\n".join(overview_lines(overview(scene, seen, scene.free))),
    ]

    assert [", for apply" in text for text in texts] == [said, said]
    assert not any("does not name" in text or ", for ." in text or ", for an " in text for text in texts)

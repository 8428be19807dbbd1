"""The message of a hold at each of its stages, and what other messages say where a hold is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.stages import UnlockStage
from bot.core.hold import HoldWords, hold_info
from bot.core.instants import stamp
from bot.core.lock import LockSeen, PlaceKind
from bot.core.phrase import Quoted
from bot.core.reports.hold import Hold, HoldEnd, HoldReport, HoldStage
from bot.core.reports.report import Overview, StatusReport
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.who import WhoReport
from bot.slack.render import message_of
from bot.slack.render.hold import _WORDS
from bot.slack.render.home import status_view
from bot.slack.render.plain import status_lines, to_json
from tests.slack.render.conftest import NOW
from tests.worlds.memory.messenger import buttons_in

HOLD = Hold(
    id="9f2c41d0aa", state="staging", user="U0QUINN", channel="C0STAGING", asked_at=NOW, span=timedelta(minutes=30),
    until=NOW + timedelta(minutes=30), reason="checking what the dead apply left", lock_id="7b1c0b52-4f0e",
)  # fmt: skip
HELD = HoldReport(HOLD, HoldStage.HELD)


def text(message):
    return str(message.blocks)


def actions(message):
    return [action for action, _ in buttons_in(message.blocks)]


def test_every_stage_has_its_words():
    assert set(_WORDS) == set(HoldStage)


@pytest.mark.parametrize(
    ("report", "says", "buttons"),
    [
        (replace(HELD, stage=HoldStage.PLACING), "Taking the lock of staging", []),
        (HELD, "staging is held by", ["hold.prolong", "hold.lift"]),
        (replace(HELD, lift_by="U0PARKER", lift_until=NOW), "wants to end it", ["hold.approve", "hold.prolong"]),
        (replace(HELD, stage=HoldStage.ENDING), "is ending", []),
        (replace(HELD, stage=HoldStage.ENDED, end=HoldEnd.TIME), "Its time is over", []),
        (replace(HELD, stage=HoldStage.ENDED, end=HoldEnd.LIFTED, by="U0PARKER", approver="U0ELLIOTT"), "agreed", []),
        (replace(HELD, stage=HoldStage.ENDED, end=HoldEnd.RIGHTS), "may no longer hold it", []),
        (replace(HELD, stage=HoldStage.ENDED, end=HoldEnd.OUTSIDE), "outside tflock", []),
        (replace(HELD, stage=HoldStage.ENDED, end=HoldEnd.NOT_CONFIGURED), "no longer in the configuration", []),
        (replace(HELD, stage=HoldStage.NOT_PLACED, note=(Quoted("ci was faster"),)), "Nothing was changed", []),
    ],
    ids=lambda part: str(getattr(part, "stage", "")),
)
def test_each_stage_says_the_answer_first_and_has_the_next_step(report, says, buttons):
    message = message_of(report)

    assert says in text(message)
    assert message.text
    assert actions(message) == buttons


def test_a_hold_of_nobody_known_cannot_be_prolonged():
    assert actions(message_of(replace(HELD, hold=replace(HOLD, user="")))) == ["hold.lift"]


@given(reason=st.text(max_size=400), note=st.text(max_size=400), stage=st.sampled_from(HoldStage))
def test_whatever_people_wrote_is_shown_as_text(reason, note, stage):
    report = replace(HELD, stage=stage, hold=replace(HOLD, reason=reason), note=(Quoted(note),) if note else ())

    shown = text(message_of(report))

    assert "<!channel>" not in shown
    assert len(shown) < 8_000


@pytest.fixture
def held(scene):
    """A look at a state with a hold on it."""
    said = HoldWords("9f2c41d0aa", "quinn", "inc-staging", "look first", HOLD.until, "https://acme.slack.com/p1")
    info = hold_info("7b1c0b52-4f0e-5b0a-9d6a-0f6f3c7e2a11", said, created=NOW, path="p")
    inspection = scene.inspection()
    places = tuple(replace(place, info=info) for place in inspection.seen.held)
    seen = replace(inspection.seen, held=places)
    return replace(inspection, seen=seen, lock=info, attribution=None, owner=None, owners=())


def test_a_status_says_who_holds_it_and_until_when_and_offers_no_unlock(scene, held):
    report = StatusReport(held, scene.verdict(scene.inspection()))
    message = message_of(report)

    assert "staging is held by" in message.text
    assert "look first" in text(message)
    assert "hold staging off" in text(message)
    assert actions(message) == ["watch.start", "status.share"]
    assert "staging is held by quinn until" in status_lines(report)[0]
    assert to_json(report)["hold"] == {
        "id": "9f2c41d0aa", "by": "quinn", "channel": "inc-staging", "reason": "look first",
        "until": stamp(HOLD.until),
        "link": "https://acme.slack.com/p1",
    }  # fmt: skip


def test_who_names_the_holder_of_a_hold_and_looks_for_no_other(scene, held):
    shown = text(message_of(WhoReport(held, None, None, None)))
    run = text(message_of(WhoReport(scene.inspection(), None, None, None)))

    assert "staging is held by" in shown
    assert "hold staging off" in shown
    assert "We don't know" not in shown
    assert "holders.people" not in shown
    assert "belongs to" in run


def test_the_home_tabs_details_of_a_hold_offer_no_unlock_and_of_another_lock_do(scene, held):
    free = status_view(StatusReport(held, scene.verdict(scene.inspection())))
    run = status_view(StatusReport(scene.inspection(), scene.verdict(scene.inspection())))

    assert "home.unlock" not in json.dumps(free)
    assert "held by" in json.dumps(free)
    assert "home.unlock" in json.dumps(run)


def test_the_twin_of_it_without_a_hold_offers_the_unlock(scene):
    inspection = scene.inspection()

    message = message_of(StatusReport(inspection, scene.verdict(inspection)))

    assert "is held by" not in text(message)
    assert "status.unlock" in actions(message) or "status.when_safe" in actions(message)


def test_all_states_at_a_glance_name_the_hold(held):
    free = LockSeen((), (PlaceKind.ITEM,), (), NOW)
    overview = Overview(((held.state, held.seen), (replace(held.state, name="dev"), free)), NOW)

    assert "quinn" in text(message_of(overview))


def test_an_unlock_of_a_held_state_says_who_holds_it_and_offers_none(scene, held):
    refused = Verdict(Ruling.REFUSE, (Finding(Rule.HUMAN_HELD, Effect.REFUSES, ("it is held",)),))
    message = message_of(UnlockReport(scene.unlock_request, UnlockStage.CHECKED, held, refused))

    assert "staging is held by" in message.text
    assert [action for action in actions(message) if action.startswith("unlock.")] == []


def test_an_unlock_that_swapped_says_who_holds_it_now(scene, held):
    verdict = scene.verdict(scene.inspection())
    message = message_of(UnlockReport(scene.unlock_request, UnlockStage.RELEASED, held, verdict, hold=HOLD))

    assert "The dead lock of staging is gone" in message.text
    assert "hold staging off" in text(message)


def test_the_button_to_swap_is_beside_the_one_to_unlock_where_the_backend_can(scene):
    inspection = scene.inspection()
    verdict = Verdict(Ruling.ALLOW, scene.verdict(inspection).findings)
    can = replace(inspection.can, swap=True)

    def drawn(**changes):
        request = replace(scene.unlock_request, **changes.pop("request", {}))
        looked = replace(inspection, **changes)
        return actions(message_of(UnlockReport(request, UnlockStage.CHECKED, looked, verdict)))

    asked = {"hold_for": timedelta(hours=1)}
    assert drawn(can=can)[:3] == ["unlock.confirm", "unlock.hold", "unlock.decline"]
    assert drawn(can=replace(can, swap=False))[:2] == ["unlock.confirm", "unlock.decline"]
    assert drawn(can=can, request=asked)[:2] == ["unlock.hold", "unlock.decline"]

"""The steps of a request to unlock: each from where it may be taken, and what can never come of them in any order."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

import bot.usecases
from bot.core.reports.unlock import UnlockRequest
from bot.usecases.request.record import UNLOCKS, RequestPhase, UnlockRecord
from bot.usecases.request.steps import UNDER_WAY, WAITING, Step, advance

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BY_CLICK = {Step.CONFIRM, Step.ARM, Step.DISARM, Step.DECLINE, Step.STOP}
RECORD = UnlockRecord(
    request=UnlockRequest(id="r1", state="staging", lock_id="l1", channel="C1", user="U1", asked_at=NOON)
)


@pytest.fixture
def paper(make_paper):
    return make_paper()


def after(phases):
    """Every phase that some number of steps leads to."""
    reached = set(phases)
    while more := {step.after for step in Step if step.before & reached} - reached:
        reached |= more
    return reached


@pytest.mark.parametrize(("phase", "step"), list(product(RequestPhase, Step)), ids=str)
def test_a_step_is_taken_from_its_phases_and_else_changes_nothing(phase, step, paper):
    before = replace(RECORD, phase=phase)
    paper.run(UNLOCKS.put(paper.ports, "r1", before))

    moved = paper.run(advance(paper.ports, "r1", step, by="U2"))

    stands = paper.run(UNLOCKS.get(paper.ports, "r1"))
    if phase in step.before:
        assert moved == stands == replace(before, phase=step.after, by="U2")
    else:
        assert (moved, stands) == (None, before)


def test_a_step_can_be_narrowed_and_never_widened(paper):
    paper.run(UNLOCKS.put(paper.ports, "r1", replace(RECORD, phase=RequestPhase.DONE)))

    assert paper.run(advance(paper.ports, "r1", Step.STOP, only_in=set(RequestPhase))) is None
    assert paper.run(UNLOCKS.get(paper.ports, "r1")).phase is RequestPhase.DONE


def test_no_step_is_taken_for_a_request_that_is_not_there(paper):
    assert paper.run(advance(paper.ports, "r1", Step.CONFIRM)) is None


def test_every_phase_is_reached_and_none_is_a_dead_end_but_the_last():
    assert after({RequestPhase.SHOWN}) == set(RequestPhase)
    assert all(RequestPhase.DONE in after({phase}) for phase in RequestPhase)
    assert after({RequestPhase.DONE}) == {RequestPhase.DONE}


def test_nothing_is_deleted_before_someone_sent_the_request_on_its_way():
    assert Step.INTEND.before == UNDER_WAY
    assert not Step.INTEND.before & WAITING
    assert {step for step in Step if step.after in UNDER_WAY and step.before & WAITING} == {
        Step.CONFIRM, Step.ARM, Step.ANNOUNCE,
    }  # fmt: skip


def test_no_click_takes_a_request_away_from_the_worker_that_may_be_deleting():
    assert all(RequestPhase.RELEASING not in step.before for step in BY_CLICK)


def test_what_may_have_been_deleted_gets_its_outcome():
    """From the intent on, no step leads to an end that passes the outcome by."""
    assert {step.after for step in Step if RequestPhase.RELEASING in step.before} == {
        RequestPhase.RELEASING, RequestPhase.ARMED, RequestPhase.APPROVAL, RequestPhase.SETTLED,
    }  # fmt: skip


def test_a_settled_outcome_is_only_told():
    assert {step for step in Step if RequestPhase.SETTLED in step.before} == {Step.CLOSE, Step.OFFER_AGAIN}


def test_the_phase_of_a_request_changes_in_no_other_way():
    """No use case writes the phase past the table."""
    texts = [path.read_text() for path in Path(bot.usecases.__file__).parent.rglob("*.py") if path.stem != "steps"]
    calls = [call for text in texts for call in re.findall(r"UNLOCKS\.update\([^()]*(?:\([^()]*\)[^()]*)*\)", text)]
    assert calls
    assert [call for call in calls if "phase" in call] == []

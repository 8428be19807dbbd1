"""What a workflow's step says."""

import pytest

from bot.core.reports.step import StepReport, StepStage
from bot.slack.render.step import step_message


def report(scene, stage, **more):
    lock_id = scene.lock.id
    return StepReport("Fx1", "staging", lock_id, "C0STAGING", stage, "the release waits", **more)


@pytest.fixture
def reads(snapshot, written, sound):
    def check(message):
        sound(message)
        assert written(message) == snapshot

    return check


def test_an_open_step_shows_what_is_missing_and_the_button(scene, reads):
    inspection = scene.inspection()
    reads(
        step_message(
            report(scene, StepStage.OPEN, inspection=inspection, verdict=scene.refusal(waits=True, until=scene.now))
        )
    )


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        (StepStage.TAKEN, {"by": "U0QUINN"}),
        (StepStage.SUCCEEDED, {"by": "U0QUINN", "note": "released"}),
        (StepStage.FAILED, {"note": "nobody took it on in time; nothing was changed"}),
    ],
)
def test_afterwards_it_says_who_took_it_on_and_how_it_ended(scene, reads, stage, more):
    reads(step_message(report(scene, stage, **more)))


def test_hostile_reasons_mean_nothing(scene, sound):
    hostile = "<!channel> *x* `y`" + "A" * 9_000
    message = step_message(StepReport("Fx1", hostile[:200], "l", "C0", StepStage.OPEN, hostile, note=hostile))
    sound(message)
    assert "<!channel>" not in str(message.blocks)

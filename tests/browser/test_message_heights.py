"""How tall the messages are on a phone: the answer and the next step fit a screen at three in the morning."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.inspection import StateName
from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.reports.alert import Alert, AlertKind, Bulletin, Concern
from bot.core.reports.hold import Hold, HoldReport, HoldStage
from bot.core.reports.kill import KillReport
from bot.core.reports.owner_message import HolderRun, OwnerMessage, OwnerNews, OwnerNotice
from bot.core.reports.report import StatusReport
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion, Phase
from bot.sandbox.page.document import DESKTOP
from bot.sandbox.page.mrkdwn import Reader
from bot.slack.render import message_of
from tests.slack.render.conftest import NOW, Scene

SCENE = Scene()
RUN, URL = "deploy.yml #123", "https://github.com/acme/infra/actions/runs/123"
DIED = NOW - timedelta(minutes=110)
NAMES = Reader({"U0QUINN": "quinn", "U0PARKER": "parker", "U0ELLIOTT": "elliott", "C0STAGING": "inc-staging"})


def status(**changes):
    inspection = SCENE.inspection(**changes)
    return StatusReport(inspection, SCENE.verdict(inspection))


def settling():
    ended = NOW - timedelta(seconds=90)
    run = SCENE.run()
    job = replace(run.jobs[0], ended_at=ended)
    return status(run=replace(run, ended_at=ended, jobs=(job,)), contended=False)


def unlock(stage=UnlockStage.CHECKED, *, protected=False, **changes):
    inspection = SCENE.inspection(protected=protected, contended=False)
    verdict = changes.pop("verdict", None) or SCENE.verdict(inspection)
    return UnlockReport(SCENE.unlock_request, stage, inspection, verdict, **changes)


def unlock_or_hold():
    report = unlock()
    return replace(report, inspection=replace(report.inspection, can=replace(report.inspection.can, swap=True)))


def armed():
    settled = Finding(Rule.SETTLED, Effect.REFUSES, ("not yet",), NOW + timedelta(seconds=130), waits=True)
    quiet = Finding(Rule.QUIET, Effect.REFUSES, ("not yet",), NOW + timedelta(seconds=40), waits=True)
    verdict = Verdict(Ruling.REFUSE, (settled, quiet))
    return unlock(UnlockStage.ARMED, verdict=verdict, until=NOW + timedelta(minutes=112), by="U0PARKER")


def letter():
    asked = [OwnerNotice(OwnerNews.ASKED, NOW - timedelta(minutes=ago), "U0QUINN", "C0STAGING") for ago in (9, 4)]
    run = HolderRun(RUN, URL, Phase.ENDED, Conclusion.TIMED_OUT, DIED)
    state = StateName("staging", "", protected=False)
    wanted = OwnerNotice(OwnerNews.UNLOCK_WANTED, NOW, "U0QUINN", "C0STAGING")
    return OwnerMessage(
        OwnerNews.UNLOCK_WANTED, state, SCENE.lock, "U0QUINN", "C0STAGING", "r7k2", run, history=(*asked, wanted)
    )


def alert():
    lock = SCENE.lock
    concern = Concern(
        AlertKind.DEAD_RUN, "k", "staging", ("staging",), lock.created, lock_id=lock.id, who=lock.who,
        operation=lock.operation, run="deploy.yml in acme/infra #123", url=URL, ended="timed out", ended_at=DIED,
    )  # fmt: skip
    return Bulletin((Alert(concern, NOW),))


HOLD = Hold(
    id="9f2c41d0aa", state="staging", user="U0QUINN", channel="C0STAGING", asked_at=NOW, span=timedelta(minutes=30),
    until=NOW + timedelta(minutes=30), reason="checking what the dead apply left",
    lock_id="7b1c0b52-4f0e-5b0a-9d6a-0f6f3c7e2a11",
)  # fmt: skip
HELD = HoldReport(HOLD, HoldStage.HELD)

TO_REACH = {
    "status": (status, 396),
    "holder still running": (lambda: status(run=SCENE.run(phase=Phase.RUNNING), contended=False), 323),
    "settling": (settling, 343),
    "unlock": (unlock, 238),
    "unlock or hold": (unlock_or_hold, 245),
    "approval": (lambda: unlock(protected=True, until=NOW + timedelta(minutes=15)), 285),
    "armed": (armed, 198),
    "loop": (lambda: KillReport(SCENE.kill_request, KillStage.FOUND, (SCENE.loop_target,)), 283),
    "owner": (letter, 260),
    "hold": (lambda: HELD, 305),
    "hold to lift": (lambda: replace(HELD, lift_by="U0PARKER", lift_until=NOW + timedelta(minutes=15)), 285),
    "alert": (alert, 193),
}
"""What each is, and its height in CSS pixels in a window of 390."""


@pytest.mark.parametrize("name", TO_REACH)
def test_a_message_is_no_taller_than_it_has_to_be(height_of, name):
    report, tall = TO_REACH[name]

    assert height_of(message_of(report()).blocks, reader=NAMES) <= tall


@pytest.mark.parametrize("name", TO_REACH)
def test_where_blocks_cannot_fold_it_is_no_taller_than_a_screen(height_of, name):
    message = message_of(TO_REACH[name][0]())

    assert height_of(message.plain or message.blocks, reader=NAMES) <= 440


@pytest.mark.parametrize("name", TO_REACH)
def test_the_first_bold_words_are_the_answer_and_the_first_button_is_below_them(drawn, name):
    page = drawn(message_of(TO_REACH[name][0]()).blocks, width=DESKTOP)

    answer = page.locator(".message strong, .message b").nth(1)
    button = page.locator(".message button").first
    assert answer.bounding_box()["y"] < button.bounding_box()["y"]

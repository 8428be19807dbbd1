"""What the command line prints: plain lines, and documents with stable keys."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.gate.attribution import Tie
from bot.core.gate.inspection import StateName
from bot.core.people import Presence, Whereabouts
from bot.core.reports.report import Overview, StatusReport
from bot.core.reports.who import StandIn, StandIns, WhoReport
from bot.slack.render.plain import overview_lines, status_lines, to_json, who_lines

DOCS = Path(__file__).parents[3] / "docs" / "commands-json.md"


@pytest.fixture
def status(scene):
    inspection = scene.inspection()
    return StatusReport(inspection, scene.verdict(inspection))


@pytest.fixture
def who(scene):
    away = Whereabouts(Presence.AWAY, "On PTO until Monday", ":palm_tree:", scene.now + timedelta(days=2), None)
    return WhoReport(
        inspection=scene.inspection(contended=False),
        member=Found(scene.member("U0ELLIOTT", "elliott"), scene.now),
        whereabouts=Found(away, scene.now),
        local_time=scene.now + timedelta(hours=1),
        stand_ins=StandIns((StandIn(scene.member("U0PARKER", "parker"), Presence.ACTIVE),), others=2),
        approvers=StandIns((), missing=Unseen("Slack", Trouble.THROTTLED, "Slack asks for patience", scene.now)),
    )


@pytest.fixture
def overview(scene):
    names = [StateName(name, "", protected=False) for name in ("billing", "production", "staging")]
    return Overview(tuple(zip(names, (scene.free, scene.unreadable, scene.seen()), strict=True)), scene.now)


def test_the_lines_say_what_slack_says(status, who, overview, snapshot):
    assert "\n".join(status_lines(status)) == snapshot
    assert "\n".join(who_lines(who)) == snapshot
    assert "\n".join(overview_lines(overview)) == snapshot


def test_the_documents_keep_their_keys(status, who, overview, snapshot):
    assert to_json(status) == snapshot
    assert to_json(who) == snapshot
    assert to_json(overview) == snapshot


def test_every_key_of_a_document_is_documented(status, who, overview):
    documented = set(re.findall(r"`([a-z_0-9]+)`", DOCS.read_text()))

    def keys(value):
        if isinstance(value, dict):
            yield from value
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from keys(inner)

    assert {key for report in (status, who, overview) for key in keys(to_json(report))} <= documented


def test_whether_a_state_is_locked_is_null_where_it_is_not_known(overview):
    assert [state["locked"] for state in to_json(overview)["states"]] == [False, None, True]


def test_a_log_that_could_not_be_read_is_named_and_decides_nothing(scene, status):
    refused = Unseen("GitHub", Trouble.DENIED, "GitHub refuses the token (403)", scene.now)
    tied = replace(status.inspection.attribution, tie=Tie.BY_TIME, unread=(refused,))
    inspection = replace(status.inspection, attribution=tied)

    told = "\n".join(status_lines(StatusReport(inspection, scene.verdict(inspection))))

    assert "Log not read: GitHub refuses the token (403)" in told
    assert "It decides nothing." in told
    assert "Match: weak: only the timing fits" in told
    assert to_json(replace(status, inspection=inspection))["attribution"]["logs_unread"][0]["system"] == "GitHub"
    assert "Log not read" not in "\n".join(status_lines(status))

"""Who may act in a channel, and who is seen to be nobody there: each beside someone who differs in one thing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.evidence import Trouble, Unseen
from bot.core.gate.case import Ruling
from bot.core.gate.decide import decide
from bot.core.gate.eligibility import lacks_standing, why_not_eligible
from bot.core.phrase import plain


@pytest.fixture(scope="module")
def why_not(make):
    """Why this person may not act, and that a lock then stays; None if they may."""

    def ask(standing):
        reason = why_not_eligible(standing, make.policy)
        ruling = decide(replace(make.case(), requester=standing), make.now).ruling
        assert ruling is (Ruling.ALLOW if reason is None else Ruling.REFUSE)
        return None if reason is None else plain(reason)

    return ask


def in_channel(make, *, is_private):
    channel = make.standing().channel.value
    return make.found(replace(channel, is_private=is_private))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_guest": True}, "is a guest"),
        ({"is_bot": True}, "is a bot"),
        ({"is_deleted": True}, "is deactivated"),
        ({"is_stranger": True, "team_id": None}, "belongs to another workspace"),
        ({"team_id": None}, "may not belong to this workspace"),
        ({"team_id": "T0OTHER"}, "belongs to another workspace"),
    ],
)
def test_only_a_full_member_of_this_workspace_may_act(make, why_not, changes, words):
    assert words in why_not(make.standing(**changes))
    assert why_not(make.standing()) is None


@pytest.mark.parametrize(
    ("is_private", "is_incident_channel", "words"),
    [
        (True, False, "asks in a private channel, which a name pattern does not include"),
        (True, True, None),  # it is named by its id, or private ones are allowed
        (False, False, "asks outside an incident channel"),
        (False, True, None),
    ],
)
def test_a_private_channel_has_to_be_named(make, why_not, is_private, is_incident_channel, words):
    channel = in_channel(make, is_private=is_private)
    said = why_not(make.standing(channel=channel, is_incident_channel=is_incident_channel))

    assert said is None if words is None else words in said


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({}, False),
        ({"is_guest": True}, True),
        ({"in_channel": False}, True),
        ({"is_guest": True, "in_channel": False}, True),
        ({"in_channel": "unseen"}, False),
        ({"is_guest": True, "in_channel": "unseen"}, True),
        ({"member": "unseen"}, False),
        ({"member": "unseen", "in_channel": False}, False),
        ({"home_team": None}, False),  # Slack has not said which workspace this is
        ({"home_team": None, "is_guest": True}, False),
        ({"is_incident_channel": False}, False),  # they may well act elsewhere
    ],
)
def test_nobody_is_a_stranger_by_what_slack_does_not_say(make, changes, lacks):
    seen = {"unseen": Unseen("Slack", Trouble.TIMED_OUT, "no answer", make.now), False: make.found(False)}  # noqa: FBT003
    given = {
        key: seen.get(value, value) if key in {"in_channel", "member"} else value for key, value in changes.items()
    }

    assert lacks_standing(make.standing(**given)) is lacks

"""What a record is called where nobody gave its incident a title."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.account.title import AUTOMATIC, record_title
from bot.core.account.values import Cause, StateSummary
from bot.usecases.record.channel_incidents import TITLE

HOURS = StateSummary("staging", timedelta(hours=2, minutes=12), is_free=True)
MINUTES = StateSummary("production", timedelta(minutes=12), is_free=True)
UNSEEN = StateSummary("sandbox", None, is_free=False)


@pytest.mark.parametrize(
    ("title", "states", "causes", "said"),
    [
        ("staging", (HOURS,), (Cause.TIMED_OUT, Cause.LOOP), "staging locked 2 h by a timed-out run"),
        (TITLE, (UNSEEN, HOURS, MINUTES), (Cause.LOST,), "staging and 1 more locked 2 h by a run that lost its runner"),
        ("production", (MINUTES,), (Cause.UNKNOWN,), "production locked 12 min"),
        ("staging", (StateSummary("staging", timedelta(days=3), is_free=False),), (), "staging locked 3 d"),
        ("staging", (StateSummary("staging", timedelta(0), is_free=True),), (), "staging locked 1 min"),
        ("Deployments are blocked", (HOURS,), (Cause.TIMED_OUT,), "Deployments are blocked"),
        ("staging", (), (Cause.UNKNOWN,), "staging"),
        ("sandbox", (UNSEEN, HOURS), (Cause.FAILED,), "sandbox"),
    ],
)
def test_a_record_is_called_by_what_happened_unless_someone_gave_it_a_title(title, states, causes, said):
    assert record_title(title, states, causes) == said


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.UNKNOWN])
def test_every_cause_is_in_the_title(cause):
    assert record_title("", (HOURS,), (cause,)) != record_title("", (HOURS,), (Cause.UNKNOWN,))


def test_the_title_of_an_incident_that_nobody_named_is_an_automatic_one():
    assert TITLE in AUTOMATIC

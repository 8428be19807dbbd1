"""The summary above an export: short, and nobody's words in it are more than words."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.account.edition import Changed, Edition, ExportReport, Outline
from bot.core.account.values import Participant, StateSummary
from bot.core.record.incident import Incident
from bot.sandbox.slack.text import flat
from bot.slack.render import exported_message
from tests.worlds.slack.blocks import problems

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
NAMES = {"U0QUINN": "quinn", "U0PARKER": "parker"}


def written(message):
    """What the message reads like, without its marks."""
    shown = flat({"text": message.text, "blocks": list(message.blocks)})
    return re.sub(r"<[^|>]*\|([^>]*)>|[*`]", r"\1", shown)


@pytest.fixture
def report():
    incident = Incident("inc-20261121-staging-7f3a2", "C0STAGING", "Staging is stuck", NOW, "U0QUINN", NOW)
    edition = Edition(incident, "5f" * 32, "41", NOW, NAMES, "Europe/Berlin")
    outline = Outline(
        states=(StateSummary("staging", timedelta(hours=2, minutes=5), is_free=True),),
        time_to_unlock=timedelta(minutes=11),
        causes=("a run that timed out with the lock held", "a lock table that refused requests"),
        parts=(Participant("U0QUINN", 9, ("asked", "killed")), Participant("U0PARKER", 2, ("approved",))),
        followups={"capacity/acme-tf-locks": "Give acme-tf-locks on-demand capacity"},
        entries=41,
    )
    return ExportReport(edition, outline, ("exports/", "s3://acme/tflock/inc-20261121-staging-7f3a2/"))


def test_the_summary_fits_a_phone_and_pings_nobody(report):
    message = exported_message(report)

    assert problems(message.blocks) == []
    told = written(message)
    assert told.splitlines() == [
        "Export of Staging is stuck",
        "States: staging locked for 2 h 5 min, free now",
        "First command to unlock: 11 min",
        "Cause: a run that timed out with the lock held; a lock table that refused requests",
        "Who acted: quinn (asked, killed), parker (approved)",
        "Follow-ups: Give acme-tf-locks on-demand capacity. Why and how: in the thread",
        "Files: in the thread, exports/, s3://acme/tflock/inc-20261121-staging-7f3a2/",
        "Incident inc-20261121-staging-7f3a2, 41 entries, last hash 5f5f5f5f5f5f5f5f5f5f5f5f",
    ]
    assert "<@" not in str(message.blocks)


def test_a_new_version_says_first_what_changed_and_by_whom(report):
    changes = (
        Changed("entry.edited", 2, ("U0PARKER",)),
        Changed("entry.hidden", 1, ("U0PARKER", "U0QUINN")),
        Changed("incident.reopened", 1, ("U0QUINN",)),
        Changed("lock.observed", 1, ("tflock",)),
        Changed("gate.decided", 2, ("tflock",)),
    )

    told = written(exported_message(replace(report, changes=changes))).splitlines()

    assert told[0] == "New export of Staging is stuck"
    assert told[1] == (
        "Changed since the last one: 2 entries edited by parker; 1 entry hidden by parker, quinn; "
        "1 reopening by quinn; 3 other entries by tflock"
    )


def test_an_outdated_summary_is_one_line_that_leads_to_the_newer_one(report):
    newer = "https://acme.slack.com/archives/C0STAGING/p1763728200000100"

    message = exported_message(replace(report, newer=newer))

    assert newer in str(message.blocks)
    assert written(message).startswith("Export of Staging is stuck: replaced by the newer export.")


def test_what_could_not_be_written_is_named_with_the_reason(report):
    told = written(exported_message(replace(report, not_written={"chart": "No space left on device"})))
    assert "Not written: chart: No space left on device" in told


def test_hostile_names_and_titles_stay_words(report):
    evil = "<!channel> *x* <https://evil.example.com|here>"
    edition = replace(
        report.edition, incident=replace(report.edition.incident, title=evil), names={"U0QUINN": evil}, by="U0QUINN"
    )
    outline = replace(report.outline, states=tuple(StateSummary(evil, None, is_free=False) for _ in range(300)))

    message = exported_message(replace(report, edition=edition, outline=outline, places=(evil,)))

    assert problems(message.blocks) == []
    assert "<!channel>" not in str(message)
    assert "<https://evil" not in str(message)

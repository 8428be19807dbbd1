"""The follow-ups below an export: each with its reason, what to do and a button; nobody's words are more than words."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.account.values import FollowUp
from bot.core.phrase import Linked, Quoted
from bot.core.record.incident import Incident
from bot.core.reports.button import ButtonValue, parse_button
from bot.core.reports.followups import FollowUpsReport
from bot.sandbox.slack.text import flat
from bot.slack.render import followups_message
from tests.worlds.slack.blocks import problems, size

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
INCIDENT = Incident("inc-20261121-staging-7f3a2", "C0STAGING", "Staging is stuck", NOW, "U0QUINN", NOW)
EVIL = "<!channel> <@U0QUINN> *x* `y` <https://evil.example.com|click> :tada: ~z~\n/close @here"


def followup(key="time-out:deploy.yml", **facts):
    given = FollowUp(
        key,
        "Let Terraform in deploy.yml end before its job times out",
        ("Run ", Linked("4711", "https://github.com/acme/infra/actions/runs/4711"), " timed out at ", NOW, "."),
        (("Set ", Quoted("-lock-timeout=5m"), " on the apply."), ("Set an alert on the job's duration.",)),
    )
    return replace(given, **facts)


def report(*followups, **facts):
    return replace(FollowUpsReport(INCIDENT, followups or (followup(),), "GitHub"), **facts)


def written(message):
    shown = flat({"text": message.text, "blocks": list(message.blocks)})
    return re.sub(r"<[^|>]*\|([^>]*)>|[*`]", r"\1", shown)


def buttons(message):
    return [element for block in message.blocks for element in block.get("elements", ()) if element["type"] == "button"]


def test_a_follow_up_says_why_what_to_do_and_has_a_button():
    message = followups_message(report())

    assert problems(message.blocks) == []
    assert message.text == "1 follow-up for Staging is stuck."
    assert written(message).splitlines() == [
        "Follow-ups of Staging is stuck",
        "Let Terraform in deploy.yml end before its job times out",
        "Run 4711 timed out at 2026-11-21 12:30 UTC.",
        "• Set -lock-timeout=5m on the apply.",
        "• Set an alert on the job's duration.",
        "[File a ticket]",
    ]
    (made,) = buttons(message)
    assert made["action_id"] == "followup.file"
    assert parse_button(made["value"]) == ButtonValue("", "", INCIDENT.id, "time-out:deploy.yml")


def test_the_button_of_a_filed_one_becomes_a_link():
    filed = followup(ticket="https://github.com/acme/infra/issues/12")
    message = followups_message(report(filed, followup("claim:deploy.yml")))

    assert problems(message.blocks) == []
    assert "<https://github.com/acme/infra/issues/12|the ticket in GitHub>" in str(message.blocks)
    assert len(buttons(message)) == 1


def test_without_a_ticket_system_there_are_no_buttons_and_one_line_says_how_to_get_them():
    message = followups_message(report(system=""))

    assert buttons(message) == []
    assert written(message).splitlines()[-1] == (
        "To file them as tickets with a click, set tickets in the configuration."
    )


def test_a_message_that_was_replaced_leads_to_the_new_one():
    message = followups_message(report(moved="https://acme.slack.com/archives/C0STAGING/p1"))

    assert problems(message.blocks) == []
    assert buttons(message) == []
    assert "<https://acme.slack.com/archives/C0STAGING/p1|the newer message>" in str(message.blocks)


@pytest.mark.parametrize("count", [1, 12, 13, 400])
def test_however_many_and_long_they_are_slack_takes_them(count):
    long = EVIL * 200
    many = [
        followup(f"key:{number}", title=long, reason=(Quoted(long),), todo=((Quoted(long),),) * 30)
        for number in range(count)
    ]
    message = followups_message(report(*many))

    assert problems(message.blocks) == []
    assert size(message.blocks) <= 11_000
    assert len(buttons(message)) == min(count, 12)
    assert (f"{count - 12} more" in str(message.blocks)) == (count > 12)


def test_what_others_wrote_pings_nobody_and_links_nowhere():
    evil = followup("k:" + EVIL, title=EVIL, reason=(Quoted(EVIL),), todo=((Quoted(EVIL),),), ticket=None)
    message = followups_message(report(evil, incident=replace(INCIDENT, title=EVIL)))

    shown = str([message.text, *message.blocks])
    assert problems(message.blocks) == []
    assert "<!channel>" not in shown
    assert "<@U0QUINN>" not in shown
    assert "<https://evil" not in shown
    (made,) = buttons(message)
    assert parse_button(made["value"]).choice == "k:" + EVIL


def test_the_message_is_as_it_was(snapshot):
    filed = followup("claim:deploy.yml", ticket="https://github.com/acme/infra/issues/12")
    message = followups_message(report(followup(), filed))

    assert message == snapshot

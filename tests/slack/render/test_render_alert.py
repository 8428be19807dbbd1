"""Alerts as they read on a phone: one with the buttons that help, many as a digest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.codec import RECORDS, read, written
from bot.core.reports.alert import Alert, AlertKind, Bulletin, Concern, Outcome
from bot.core.reports.button import parse_button
from bot.slack.render import alerts_message

HOSTILE = "<!channel> *x* `y` <https://evil.example|z> :tada:"


@pytest.fixture
def reads(snapshot, written, sound):
    def check(message):
        sound(message)
        assert written(message) == snapshot

    return check


@pytest.fixture
def concerns(scene):
    lock = {
        "since": scene.now - timedelta(hours=2), "lock_id": "6f9f0e8e", "who": "runner@fv-az881-525",
        "operation": "OperationTypeApply",
    }  # fmt: skip
    run = {"run": "deploy.yml in acme/infra #123", "url": "https://github.com/acme/infra/actions/runs/123"}
    staging, three = ("staging",), ("staging", "production", "eu-west")
    dead = {"ended": "timed out", "ended_at": scene.now - timedelta(minutes=110)}
    table = {"since": scene.now - timedelta(minutes=9)}
    return {
        kind: Concern(kind, f"k{number}", **facts)
        for number, (kind, facts) in enumerate(
            {
                AlertKind.AGED: {"subject": "staging", "states": staging, **lock},
                AlertKind.DEAD_RUN: {"subject": "staging", "states": staging, **lock, **run, **dead},
                AlertKind.LOOP: {
                    "subject": "dependency-update.yml in acme/infra", "states": three, "who": "renovate[bot]",
                    "starts": 47, **table,
                },
                AlertKind.THROTTLED: {
                    "subject": "acme-tf-locks", "states": (*three, *(f"s{n}" for n in range(297))), **table
                },
                AlertKind.OVERDUE: {
                    "subject": "staging", "states": staging, **lock, **run, "usual": timedelta(minutes=12)
                },
                AlertKind.UNREAD: {"subject": "S3: access denied", "states": three, "more": 297, **table},
            }.items()
        )
    }  # fmt: skip


def alert(scene, concern, **facts):
    return Alert(concern, scene.now, **facts)


def buttons(message):
    return [each for block in message.blocks if block["type"] == "actions" for each in block["elements"]]


@pytest.mark.parametrize("kind", list(AlertKind))
def test_each_kind_says_what_is_the_matter_and_what_to_do(scene, concerns, reads, kind):
    reads(alerts_message(Bulletin((alert(scene, concerns[kind]),))))


@pytest.mark.parametrize("kind", list(AlertKind))
def test_a_resolved_alert_says_how_and_after_how_long_and_has_no_buttons(scene, concerns, reads, kind):
    ended = scene.now + timedelta(minutes=62)
    message = alerts_message(Bulletin((alert(scene, concerns[kind], outcome=Outcome.FREE, resolved_at=ended),)))

    assert buttons(message) == []
    reads(message)


def test_a_snoozed_alert_says_by_whom_and_until_when(scene, concerns, reads):
    until = scene.now + timedelta(hours=1)
    snoozed = alert(scene, concerns[AlertKind.AGED], snoozed_until=until, snoozed_by="U0QUINN")
    message = alerts_message(Bulletin((snoozed,)))

    assert "alert.snooze" not in [each["action_id"] for each in buttons(message)]
    reads(message)


def test_one_that_comes_back_says_that_it_still_stands(scene, concerns, reads):
    reads(alerts_message(Bulletin((alert(scene, concerns[AlertKind.AGED]),), is_again=True)))


def test_a_digest_counts_them_and_names_the_open_ones_first(scene, concerns, reads):
    aged = concerns[AlertKind.AGED]
    many = [alert(scene, replace(aged, subject=f"s{n}", states=(f"s{n}",))) for n in range(6)]
    over = alert(scene, concerns[AlertKind.DEAD_RUN], outcome=Outcome.OTHER_LOCK, resolved_at=scene.now)
    reads(alerts_message(Bulletin((over, *many))))


def test_a_digest_of_a_thousand_fits_and_says_how_many_it_does_not_name(scene, concerns, sound, written):
    aged = concerns[AlertKind.AGED]
    message = alerts_message(Bulletin(tuple(alert(scene, replace(aged, subject=f"{n}" * 60)) for n in range(1000))))

    sound(message)
    assert "1000 alerts at once" in str(written(message))
    assert "more" in str(written(message))


def test_a_button_carries_the_state_the_lock_and_the_alert(scene, concerns):
    aged = concerns[AlertKind.AGED]
    values = {
        each["action_id"]: parse_button(each["value"])
        for each in buttons(alerts_message(Bulletin((alert(scene, aged),))))
    }

    assert list(values) == ["alert.unlock", "alert.status", "alert.who", "alert.snooze"]
    assert {(value.state, value.lock_id, value.request) for value in values.values()} == {
        ("staging", "6f9f0e8e", aged.id)
    }


@pytest.mark.parametrize("kind", list(AlertKind))
def test_nothing_that_a_lock_or_a_ci_says_pings_or_formats(scene, concerns, sound, kind):
    hostile = replace(
        concerns[kind], who=HOSTILE, run=HOSTILE, url="javascript:alert(1)", operation=HOSTILE, lock_id=HOSTILE,
        ended=HOSTILE, subject=HOSTILE,
    )  # fmt: skip

    message = alerts_message(Bulletin((alert(scene, hostile),)))

    sound(message)
    assert "<!channel>" not in str(message.blocks) + message.text
    assert "<https://evil" not in str(message.blocks)


@pytest.mark.parametrize("kind", list(AlertKind))
def test_a_concern_is_the_same_after_json(concerns, kind):
    assert read(Concern, written(concerns[kind], RECORDS), RECORDS) == concerns[kind]

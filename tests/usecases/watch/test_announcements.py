"""Where a lock may be released, and where the state's people hear of it, wherever that was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.gate.case import Ruling
from bot.core.lock import parse_lock_info
from bot.core.people import Channel
from bot.core.phrase import plain
from bot.core.reports.report import Notice
from bot.core.run import Conclusion
from bot.errors import NotPermitted
from bot.slack.render import message_of
from bot.usecases.kill import kill_job
from bot.usecases.record.lifecycle import close, enter, observe
from bot.usecases.request import approval
from bot.usecases.unlock import unlock
from tests.worlds.memory.world import CHANNEL, STATE

QUINN, PARKER = "U0QUINN", "U0PARKER"
EVIL, ALERTS = "C0EVIL", "C0ALERTS"


@pytest.fixture
def paper(make_paper):
    """A dead lock, an incident about it in the state's channel, and a private channel that fits the pattern."""
    paper = make_paper()
    leave(paper)
    place(paper, is_private=True)
    return paper


def leave(paper):
    """A lock whose run has died."""
    paper.take_lock()
    paper.pass_time(120)
    paper.ci.end("1001", Conclusion.TIMED_OUT)
    paper.pass_time(3600)


def place(paper, *, is_private):
    paper.directory.add(QUINN, "quinn", EVIL)
    paper.directory.channels[EVIL] = Channel(
        EVIL, "inc-evil", is_direct=False, is_archived=False, is_private=is_private
    )


def locks(paper):
    return {parse_lock_info(text).id for text, _ in paper.store.texts.values()}


def ask(paper, channel, **wish):
    entered = enter(paper.ports, channel=channel, user=QUINN, title=STATE, command="unlock")
    incident = paper.run(entered).id
    return paper.run(unlock.ask(paper.ports, unlock.UnlockCommand(STATE, QUINN, channel, incident, **wish)))


def released(paper, channel):
    report = ask(paper, channel)
    if report.verdict.ruling is Ruling.REFUSE:
        return False, plain(report.verdict.refusals[0].reason)
    paper.run(unlock.confirm(paper.ports, report.request.id, lock_id="lock-1", user=QUINN))
    paper.pass_time(30)
    return not locks(paper), ""


def told(paper, channel):
    notices = [what for to, what in paper.messenger.posts if to == channel and isinstance(what, Notice)]
    return [notice.headline for notice in notices]


def test_a_private_channel_that_fits_a_pattern_is_no_incident_channel(paper):
    done, why = released(paper, EVIL)

    assert not done
    assert "private channel" in why
    assert "by its id" in why
    assert locks(paper) == {"lock-1"}


def test_kill_job_is_refused_there_too(paper):
    with pytest.raises(NotPermitted, match="private channel"):
        paper.run(kill_job.ask(paper.ports, kill_job.KillCommand(STATE, QUINN, EVIL, paper.incident.id)))


@pytest.mark.parametrize(
    "allowed",
    [
        {"incident_channels": ("inc-*", EVIL)},
        {"private_incident_channels": True, "alerts_channel": ALERTS},
    ],
    ids=["named by its id", "allowed as a whole"],
)
def test_a_private_channel_that_the_configuration_means_is_one(paper, allowed):
    paper.ports = replace(paper.ports, **allowed)

    assert released(paper, EVIL)[0]


def test_a_public_channel_that_fits_a_pattern_is_one(paper):
    place(paper, is_private=False)

    assert released(paper, EVIL)[0]


def test_a_release_is_announced_in_the_alerts_channel_and_in_the_states_own_incident(paper):
    lock = paper.run(paper.ports.states[STATE].backend.read_lock())
    paper.run(observe(paper.ports, paper.incident.id, STATE, lock))
    paper.ports = replace(paper.ports, incident_channels=("inc-*", EVIL), alerts_channel=ALERTS)

    assert released(paper, EVIL)[0]

    assert told(paper, ALERTS) == ["staging was unlocked"]
    assert told(paper, CHANNEL) == ["staging was unlocked"]
    assert told(paper, EVIL) == []


def test_only_an_open_incident_that_deals_with_the_state_hears_of_it(paper):
    lock = paper.run(paper.ports.states[STATE].backend.read_lock())
    paper.ports = replace(paper.ports, incident_channels=("inc-*", EVIL))
    deals, channels = {"C0DEALS": STATE, "C0OTHER": "production", "C0CLOSED": STATE}, {}
    for channel, state in deals.items():
        entered = paper.run(enter(paper.ports, channel=channel, user=PARKER, title=state, command="status"))
        paper.run(observe(paper.ports, entered.id, state, lock))
        channels[channel] = entered
    paper.run(close(paper.ports, channels["C0CLOSED"], user=PARKER))

    assert released(paper, EVIL)[0]

    assert {channel for channel in deals if told(paper, channel)} == {"C0DEALS"}


def test_an_announcement_names_the_channel_as_slack_names_it(paper):
    paper.ports = replace(paper.ports, alerts_channel=ALERTS)

    assert released(paper, CHANNEL)[0]

    [notice] = [what for to, what in paper.messenger.posts if to == ALERTS]
    assert f"Asked for in <#{CHANNEL}>" in str(message_of(notice).blocks)


def test_a_release_in_the_alerts_channel_itself_is_not_said_twice(paper):
    paper.ports = replace(paper.ports, alerts_channel=CHANNEL)

    assert released(paper, CHANNEL)[0]

    assert told(paper, CHANNEL) == []


def test_an_arming_is_announced_as_well(paper):
    paper.ports = replace(paper.ports, alerts_channel=ALERTS)
    report = ask(paper, CHANNEL)

    paper.run(unlock.arm(paper.ports, report.request.id, user=QUINN))

    assert "The unlock of staging is armed" in told(paper, ALERTS)


def protected(make_paper):
    paper = make_paper(protected=True)
    leave(paper)
    paper.ports = replace(paper.ports, alerts_channel=ALERTS)
    return paper


def test_an_approval_is_announced_before_anything_is_released(make_paper):
    paper = protected(make_paper)
    report = ask(paper, CHANNEL)
    assert told(paper, ALERTS) == []

    paper.run(approve(paper, report, PARKER))

    assert told(paper, ALERTS) == ["The unlock of staging is approved"]
    assert locks(paper) == {"lock-1"}
    paper.pass_time(30)
    assert told(paper, ALERTS) == ["The unlock of staging is approved", "staging was unlocked"]
    assert locks(paper) == set()


def test_an_approval_that_does_not_count_is_not_announced(make_paper):
    paper = protected(make_paper)
    report = ask(paper, CHANNEL)

    with pytest.raises(NotPermitted):
        paper.run(approve(paper, report, QUINN))

    paper.pass_time(30)
    assert told(paper, ALERTS) == []
    assert locks(paper) == {"lock-1"}


def approve(paper, report, user):
    covers = "+".join(report.verdict.wants_approval)
    return approval.approve(paper.ports, report.request.id, lock_id="lock-1", user=user, covers=covers)

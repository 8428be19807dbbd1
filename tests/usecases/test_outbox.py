"""Sending once, on paper: whatever dies or fails in between."""

from __future__ import annotations

import pytest

from bot.core.reports.report import Notice
from bot.errors import Denied, Unreachable
from bot.usecases.outbox import Outgoing, say_once
from tests.worlds.memory.memory import Killed
from tests.worlds.memory.world import CHANNEL

MESSAGE = Outgoing(CHANNEL, Notice("The owner asks for time"), "staging/lock-1/LATER")


@pytest.fixture
def paper(make_paper):
    return make_paper()


def say(paper):
    return paper.run(say_once(paper.ports, MESSAGE))


def fail(paper, *names, error):
    async def fault(name):
        if name in names:
            raise error

    paper.switchboard.fault = fault


def test_a_message_is_sent_once_at_whatever_call_the_worker_dies(make_paper):
    number, is_over = 0, False
    while not is_over:
        paper, number, calls = make_paper(), number + 1, iter(range(1, 100))

        async def fault(name, calls=calls, number=number):
            if next(calls) == number:
                raise Killed(name)

        paper.switchboard.fault = fault
        try:
            say(paper)
        except Killed:
            paper.switchboard.fault = None
            say(paper)
        else:
            is_over, paper.switchboard.fault = True, None
        say(paper)
        assert len(paper.messenger.posted(Notice)) == 1, number
    assert number > 4


def test_what_an_earlier_version_was_at_sending_is_found_and_not_sent_again(paper):
    record = {"since": paper.clock.now().isoformat(), "is_done": False}
    paper.run(paper.records.put("said", MESSAGE.mark, record, ttl=paper.policy.approval_timeout))
    paper.run(paper.messenger.post(CHANNEL, MESSAGE.what, mark=MESSAGE.mark))

    say(paper)

    assert len(paper.messenger.posted(Notice)) == 1
    assert paper.run(paper.records.get("said", MESSAGE.mark))["is_done"]


def test_where_nobody_may_look_it_is_rather_sent_twice_than_never(paper):
    fail(paper, "noticed", error=Unreachable("Slack", "the answer was lost"))
    with pytest.raises(Unreachable):
        say(paper)
    fail(paper, "look for message", error=Denied("Slack", "missing_scope"))

    say(paper)

    assert len(paper.messenger.posted(Notice)) == 2


def test_what_slack_refuses_for_good_is_not_tried_again(paper):
    fail(paper, "notice", error=Denied("Slack", "is_archived"))
    assert say(paper) is False
    paper.switchboard.fault = None

    assert say(paper) is False

    assert paper.messenger.posted(Notice) == []


def test_what_may_pass_is_raised_and_sent_by_the_next_try(paper):
    fail(paper, "notice", error=Unreachable("Slack", "no connection"))
    with pytest.raises(Unreachable):
        say(paper)
    paper.switchboard.fault = None

    assert say(paper) is True
    assert say(paper) is True

    assert len(paper.messenger.posted(Notice)) == 1

"""Follow-ups from the export to the ticket, with everything that may go wrong on the way: filed once, told always."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.account.edition import ExportReport
from bot.core.account.ticket import FileResult, Filing
from bot.core.account.values import Table
from bot.core.evidence import Trouble, Unseen
from bot.core.lock import Billing
from bot.core.phrase import plain
from bot.core.record.timeline import Kind
from bot.core.reports.followups import FollowUpsReport
from bot.core.reports.report import Notice
from bot.errors import Denied, NotPermitted
from bot.usecases.export import editions, incident_export, tickets
from bot.usecases.record import lifecycle
from tests.worlds.memory.memory import EPOCH, WORKER
from tests.worlds.memory.world import CHANNEL, MemoryWorld

KEYS = ("on-demand:acme-tf-locks", "ttl:acme-tf-locks")
TABLE = Table("acme-tf-locks", ("staging",), Billing.PROVISIONED, throttled=True, refused=7, ttl_attribute="expires")


class Desk:
    """One closed incident with two follow-ups, and what can be seen of them."""

    def __init__(self) -> None:
        self.world = MemoryWorld()
        self.world.exporter.tables = (TABLE,)
        self.id = self.world.incident.id

    def close(self):
        self.world.run(lifecycle.close(self.world.ports, self.world.incident, user="U0QUINN"))
        self.world.pass_time(30)

    def click(self, user="U0QUINN", key=KEYS[0]):
        return self.world.run(tickets.ask(self.world.ports, self.id, key, user=user))

    def pass_time(self, seconds=30, **how):
        self.world.pass_time(seconds, **how)

    @property
    def filed(self):
        return [ticket for _, ticket in self.world.tickets.filed]

    @property
    def shown(self):
        """The newest message of follow-ups."""
        return list(self.world.messenger.now(FollowUpsReport).values())[-1]

    @property
    def told(self):
        return [
            (user, " ".join([notice.headline, *map(plain, notice.lines)]))
            for _, user, notice in self.world.messenger.whispers
        ]

    def entries(self, kind):
        async def read():
            return [entry async for entry in self.world.journal.entries(self.id) if entry.kind == kind]

        return self.world.run(read())

    def die_at(self, name):
        """The worker that gets there is no more; its successors live."""
        state = {"armed": True}

        async def fault(call):
            if call == name and WORKER.get() and state["armed"]:
                state["armed"] = False
                self.world.switchboard.dead.add(WORKER.get())

        self.world.switchboard.fault = fault


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.world.close()


@pytest.fixture
def closed(desk):
    desk.close()
    return desk


def test_the_closing_shows_what_to_do_afterwards_below_its_summary(closed):
    assert [followup.key for followup in closed.shown.followups] == list(KEYS)
    assert closed.shown.system == "Memory"
    assert len(closed.world.messenger.now(FollowUpsReport)) == 1
    first = closed.shown.followups[0]
    assert "refused" in plain(first.reason)
    assert first.todo


def test_each_proposal_is_written_down_once_however_often_the_incident_is_exported(closed):
    before = closed.world.run(editions.last_entry(closed.world.ports, closed.id))

    closed.world.run(incident_export.export(closed.world.ports, closed.id))
    closed.pass_time()

    proposed = closed.entries(Kind.FOLLOWUP_PROPOSED)
    assert [entry.facts["key"] for entry in proposed] == list(KEYS)
    assert set(proposed[0].facts) == {"key", "title", "reason", "todo"}
    assert closed.world.run(editions.last_entry(closed.world.ports, closed.id)) == before


def test_proposals_make_no_new_version_of_the_export(closed):
    asked = closed.world.run(incident_export.ask(closed.world.ports, closed.world.incident, user="U0QUINN"))

    assert not asked.is_making


def test_an_incident_without_proposals_gets_no_message(desk):
    desk.world.exporter.tables = ()
    desk.close()

    assert desk.world.messenger.now(FollowUpsReport) == {}
    assert desk.entries(Kind.FOLLOWUP_PROPOSED) == []


def test_one_click_files_one_ticket_which_lands_in_message_timeline_and_export(closed):
    versions = len(closed.world.messenger.now(ExportReport))

    assert closed.click() == ""
    closed.pass_time(120)

    (ticket,) = closed.filed
    (entry,) = closed.entries(Kind.FOLLOWUP_FILED)
    url = "https://tickets.example.com/acme/infra/1"
    assert entry.facts == {"key": KEYS[0], "url": url, "system": "Memory", "by": "U0QUINN"}
    assert entry.actor == "U0QUINN"
    assert [followup.ticket for followup in closed.shown.followups] == [url, None]
    assert len(closed.world.messenger.now(ExportReport)) == versions + 1
    told = {label: plain(phrase) for label, phrase in ticket.facts}
    assert told["Filed by:"] == "quinn"
    assert "export in Slack" in told["Timeline:"]
    assert "opened 2026-11-21" in told["When:"]
    assert "Cause:" in told


def test_two_who_click_at_once_get_one_ticket_and_both_are_told(closed):
    closed.click("U0QUINN")
    closed.click("U0PARKER")

    closed.pass_time(60, workers=("w1", "w2"))

    assert len(closed.filed) == 1
    assert len(closed.entries(Kind.FOLLOWUP_FILED)) == 1
    assert "U0PARKER" in {user for user, _ in closed.told}


def test_a_job_that_is_delivered_to_two_workers_files_once(closed):
    closed.click()

    closed.pass_time(60, workers=("w1", "w2"))

    assert len(closed.filed) == 1


def test_a_later_click_is_answered_with_the_ticket(closed):
    closed.click()
    closed.pass_time()

    assert closed.click("U0PARKER") == "https://tickets.example.com/acme/infra/1"
    closed.pass_time()
    assert len(closed.filed) == 1


@pytest.mark.parametrize("lag", [0, 15])
@pytest.mark.parametrize("point", ["file ticket", "filed ticket", "redraw proposals"])
def test_a_worker_that_is_killed_anywhere_is_followed_by_one_that_files_no_second_ticket(closed, point, lag):
    closed.world.tickets.lag = timedelta(seconds=lag)
    closed.die_at(point)
    closed.click()

    closed.pass_time(180, workers=("w1",))

    assert len(closed.filed) == 1
    assert len(closed.entries(Kind.FOLLOWUP_FILED)) == 1
    assert closed.shown.followups[0].ticket


def test_a_worker_that_is_killed_at_any_call_files_no_second_ticket():
    for number in itertools.count(1):
        desk = Desk()
        desk.close()
        calls = itertools.count(1)
        is_over = {"reached": False}

        async def fault(name, desk=desk, calls=calls, number=number, is_over=is_over):
            if WORKER.get() and not is_over["reached"] and next(calls) == number:
                is_over["reached"] = True
                desk.world.switchboard.dead.add(WORKER.get())

        desk.world.switchboard.fault = fault
        desk.click()
        desk.pass_time(200)
        count, shown, entries = len(desk.filed), desk.shown, desk.entries(Kind.FOLLOWUP_FILED)
        desk.world.close()
        assert (number, count, len(entries)) == (number, 1, 1)
        assert shown.followups[0].ticket
        if not is_over["reached"]:
            break
    assert number > 20


def test_a_ticket_that_was_taken_without_an_answer_is_found_and_not_filed_again(closed):
    closed.world.tickets.answers.append(Filing(FileResult.NOT_KNOWN, detail="the connection broke"))
    closed.click()

    closed.pass_time(120)

    assert len(closed.filed) == 1
    assert closed.shown.followups[0].ticket
    (first, second) = closed.told
    assert "doesn't know whether it was filed" in first[1]
    assert "is filed" in second[1]


def test_a_request_that_was_lost_is_sent_again_once_it_is_sure_that_it_was_not_taken(closed):
    closed.world.tickets.answers.append(Filing(FileResult.NOT_KNOWN, detail="the connection broke"))
    closed.world.tickets.takes = False
    closed.click()

    closed.pass_time(120)

    ((at, _),) = closed.world.tickets.filed
    assert at - EPOCH > timedelta(seconds=20)


def test_what_may_be_there_and_cannot_be_looked_for_is_not_filed_again(closed):
    closed.world.tickets.answers.append(Filing(FileResult.NOT_KNOWN, detail="the connection broke"))
    closed.world.tickets.trouble = Unseen("Memory", Trouble.SERVER_ERROR, "Memory broke", EPOCH)
    closed.click()

    closed.pass_time(1200)

    assert len(closed.filed) == 1
    assert closed.entries(Kind.FOLLOWUP_FILED) == []
    assert "could not be filed" in closed.told[-1][1]
    assert "doesn't know whether it was filed" in closed.told[-1][1]
    assert len(closed.told) == 2

    closed.world.tickets.trouble = None
    closed.click()
    closed.pass_time(60)
    assert len(closed.filed) == 1
    assert closed.shown.followups[0].ticket


def test_a_refusal_is_told_at_once_and_the_button_stays(closed):
    refusal = Filing(FileResult.REFUSED, detail="the token in JIRA_TOKEN may not file (HTTP 403)")
    closed.world.tickets.answers.append(refusal)
    closed.click()

    closed.pass_time(600)

    ((user, words),) = closed.told
    assert user == "U0QUINN"
    assert "JIRA_TOKEN" in words
    assert "Nothing was filed" in words
    assert "click again" in words
    assert closed.shown.followups[0].ticket is None
    assert closed.filed == []

    closed.click()
    closed.pass_time()
    assert len(closed.filed) == 1


def test_a_short_throttling_is_waited_for_and_told(closed):
    closed.world.tickets.answers += [Filing(FileResult.LATER, detail="asks for patience", retry_after=5)] * 2
    closed.click()

    closed.pass_time(60)

    assert len(closed.filed) == 1
    assert ["Nothing was filed" in words for _, words in closed.told] == [True, False]


def test_a_long_throttling_is_told_instead_of_waited_for(closed):
    closed.world.tickets.answers += [Filing(FileResult.LATER, detail="asks for patience", retry_after=3600)] * 2
    closed.click()

    closed.pass_time(600)

    assert closed.filed == []
    assert len(closed.told) == 1


def test_without_a_ticket_system_nothing_can_be_filed_and_the_message_says_so(desk):
    desk.world.ports = replace(desk.world.ports, tickets=None)
    desk.close()

    assert desk.shown.system == ""
    with pytest.raises(NotPermitted, match="configuration"):
        desk.click()


@pytest.mark.parametrize("key", ["on-demand:another", "", "\x00@channel"])
def test_a_proposal_that_was_not_made_cannot_be_filed(closed, key):
    with pytest.raises(NotPermitted, match="Nothing was filed"):
        closed.click(key=key)


def test_an_open_incident_can_be_exported_with_its_follow_ups(desk):
    desk.world.run(incident_export.ask(desk.world.ports, desk.world.incident, user="U0QUINN"))
    desk.pass_time()

    assert len(desk.shown.followups) == 2


def test_a_newer_summary_takes_the_follow_ups_with_it_and_the_old_message_leads_there(desk):
    desk.world.run(incident_export.ask(desk.world.ports, desk.world.incident, user="U0QUINN"))
    desk.pass_time()
    desk.click()
    desk.pass_time()

    desk.close()

    old, new = desk.world.messenger.now(FollowUpsReport).values()
    assert old.moved
    assert not new.moved
    assert [bool(followup.ticket) for followup in new.followups] == [True, False]


def test_who_cannot_be_whispered_to_is_told_below_the_summary(closed):
    async def fault(call):
        if call == "whisper":
            raise Denied("Slack", "user_not_in_channel")

    closed.world.switchboard.fault = fault
    closed.world.tickets.answers.append(Filing(FileResult.REFUSED, detail="HTTP 403"))
    closed.click()
    closed.pass_time()

    assert "could not be filed" in closed.world.messenger.all(Notice)[-1].headline


def test_a_message_that_cannot_be_changed_any_more_does_not_keep_the_ticket_off_the_timeline(closed):
    async def fault(call):
        if call == "redraw proposals":
            raise Denied("Slack", "edit_window_closed")

    closed.world.switchboard.fault = fault
    closed.click()
    closed.pass_time()

    assert len(closed.entries(Kind.FOLLOWUP_FILED)) == 1
    assert "is filed" in closed.told[-1][1]


def test_the_channel_of_the_incident_is_where_all_of_it_is_said(closed):
    closed.world.tickets.answers.append(Filing(FileResult.REFUSED, detail="HTTP 403"))
    closed.click()
    closed.pass_time()

    assert {channel for channel, _, _ in closed.world.messenger.whispers} == {CHANNEL}
    assert {posted.channel for posted in closed.world.messenger.now(FollowUpsReport)} == {CHANNEL}

"""A click on "File a ticket": who may, what it starts, and what whoever clicked is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.account.ticket import dump_followup
from bot.core.account.values import FollowUp
from bot.core.record.timeline import Draft, Kind
from bot.core.reports.button import ButtonValue
from bot.core.reports.followups import FollowUpsReport
from bot.errors import NotPermitted
from bot.sandbox.stage import CHANNEL
from bot.usecases.export.followups import name_of
from bot.usecases.export.tickets import file
from handlers import clicks, commands
from handlers.typed.values import FollowUps
from tests.worlds.memory.tickets import MemoryTickets

KEY = "time-out:deploy.yml@acme/infra-1a2b3c4d"
FOLLOWUP = FollowUp(KEY, "Let it end in time", ("It timed out.",), (("Set a limit.",),))


@pytest.fixture
async def proposed(office):
    """An incident with one proposal in its channel, and a ticket system."""
    incident, _ = await office.journal.open(channel=CHANNEL, title="t", by="U0QUINN", at=office.clock.now())
    words = dump_followup(FOLLOWUP)
    await office.world.records.put("followup", name_of(incident.id, KEY), words, ttl=office.world.close_after_quiet)
    office.world = replace(office.world, tickets=MemoryTickets(office.clock))
    return incident


async def click(office, incident, *, user="U0PARKER", key=KEY):
    action = {"type": "button", "action_id": "followup.file", "value": str(ButtonValue("", "", incident.id, key))}
    return await clicks.run(office.world, action["action_id"], action["value"], office.asker(user=user))


async def test_a_member_has_it_filed_and_is_told_at_once(office, proposed):
    await click(office, proposed)

    assert "being filed" in office.told()[-1]
    job = office.world.jobs.due()
    assert (job.name, job.args) == ("ticket", (proposed.id, KEY, "U0PARKER"))


async def test_a_second_click_of_the_same_person_starts_nothing_more(office, proposed):
    await click(office, proposed)
    await click(office, proposed)

    assert len(office.world.jobs.waiting) == 1


async def test_what_is_filed_is_answered_with_its_page(office, proposed):
    await file(office.world, proposed.id, KEY, "U0QUINN")

    await click(office, proposed)

    assert "filed already" in office.told()[-1]
    assert "https://tickets.example.com/acme/infra/1" in office.told()[-1]
    assert len(office.world.tickets.filed) == 1


@pytest.mark.parametrize("user", ["U0GUEST", "U0NOBODY"])
async def test_who_is_no_full_member_files_nothing(office, proposed, user):
    with pytest.raises(Exception, match="full members"):
        await click(office, proposed, user=user)

    assert office.world.jobs.waiting == {}


async def test_the_posted_message_takes_slacks_own_way_and_is_changed_in_place(office, proposed):
    report = FollowUpsReport(proposed, (FOLLOWUP,), "GitHub")
    root = office.slack.say("U0QUINN", CHANNEL, "summary")
    since = office.clock.now()

    posted = await office.world.messenger.post(CHANNEL, report, mark="m", thread=root.ts)
    assert await office.world.messenger.find(CHANNEL, mark="m", thread=root.ts, since=since) == posted
    filed = replace(report, followups=(replace(FOLLOWUP, ticket="https://github.com/acme/infra/issues/1"),))
    await office.world.messenger.update(posted, filed)

    (message,) = [said for said in office.slack.messages(CHANNEL, thread_ts=root.ts) if said.ts == posted.ts]
    assert "issues/1" in str(message.blocks)
    assert "followup.file" not in str(message.blocks)
    assert await office.world.messenger.find(CHANNEL, mark="m", thread=root.ts, since=since) == posted


async def test_the_command_shows_what_the_facts_call_for_and_each_can_be_filed(office, proposed):
    facts = {"key": "loop:update.yml", "title": "Stop update.yml"}
    at = office.clock.now()
    await office.journal.append(proposed.id, Draft(at, Kind.FOLLOWUP_PROPOSED, "tflock", "Stop update.yml", facts))

    await commands.run(office.world, FollowUps(), "follow-ups", office.asker())

    told = office.told()[-1]
    assert "Stop update.yml" in told
    assert "[File a ticket]" in told
    await click(office, proposed, key="loop:update.yml")
    assert [job.args[1] for job in office.world.jobs.waiting.values()] == ["loop:update.yml"]


async def test_the_command_says_where_the_facts_call_for_nothing_or_there_was_no_incident(office):
    with pytest.raises(NotPermitted, match="no incident"):
        await commands.run(office.world, FollowUps(), "follow-ups", office.asker())
    await office.journal.open(channel=CHANNEL, title="quiet", by="U0QUINN", at=office.clock.now())

    await commands.run(office.world, FollowUps(), "follow-ups", office.asker())

    assert "call for none" in office.told()[-1]

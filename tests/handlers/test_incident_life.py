"""The life of an incident, by the commands in its channel."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import CHANNEL


@pytest.fixture
def here(office):
    """What a command comes to: the channel's messages, and what the asker alone was told."""

    async def types(text, user="U0PARKER"):
        await office.types(text, user=user)
        await office.work()

    return types


async def said(office):
    return [flat(message) for message in office.slack.messages(CHANNEL)]


async def opened(office, here, title="staging is stuck"):
    await here(f"open {title}")
    return await office.journal.current(CHANNEL)


def kinds(office, incident):
    return [entry.kind for entry in office.journal.logs[incident.id]]


async def test_an_incident_is_opened_renamed_closed_and_reopened_in_its_channel(office, here):
    incident = await opened(office, here)
    await here("title eu-west is stuck")
    await here("close")
    assert await office.journal.current(CHANNEL) is None
    await here("reopen")

    assert (await office.journal.current(CHANNEL)).title == "eu-west is stuck"
    assert kinds(office, incident) == [f"incident.{how}" for how in ("opened", "renamed", "closed", "reopened")]
    assert all(entry.actor == "U0PARKER" for entry in office.journal.logs[incident.id])


async def test_a_note_after_the_closing_goes_into_the_closed_incident_and_says_so(office, here):
    incident = await opened(office, here)
    await here("close")

    await here("note the runner was out of disk")

    assert await office.journal.current(CHANNEL) is None
    assert kinds(office, incident)[-1] == "note.added"
    assert "closed incident" in office.told()[-1]
    assert "made again" in office.told()[-1]
    assert "reissue" in {job.name for job in office.world.jobs.waiting.values()}


async def test_a_note_long_after_the_closing_begins_a_new_incident_and_says_so(office, here):
    incident = await opened(office, here)
    await here("close")
    office.clock.offset += timedelta(hours=2)

    await here("note it is back")

    later = await office.journal.current(CHANNEL)
    assert later.id != incident.id
    assert f"so the note opened one: `Terraform incident` ({later.id})" in office.told()[-1]


@pytest.mark.parametrize("words", [f"title {'x' * 201}", f"note {'x' * 10_001}"], ids=["a title", "a note"])
async def test_a_text_that_is_too_long_is_refused_and_nothing_is_written(office, here, words):
    incident = await opened(office, here)

    await here(words)

    assert "are the most. Nothing was changed." in office.told()[-1]
    assert kinds(office, incident) == ["incident.opened"]


async def test_an_incident_is_not_opened_with_a_title_that_is_too_long(office, here):
    await here(f"open {'x' * 201}")

    assert "are the most. Nothing was changed." in office.told()[-1]
    assert await office.journal.current(CHANNEL) is None


async def test_opening_beside_an_open_incident_says_which_it_is_and_how_to_retitle_it(office, here):
    incident = await opened(office, here)

    await here("open something else")

    assert incident.id in office.told()[-1]
    assert "/tflock title" in office.told()[-1]
    assert kinds(office, incident) == ["incident.opened"]


async def test_an_incident_of_this_channel_is_reopened_by_its_id(office, here):
    first = await opened(office, here, "first")
    await here("close")
    await opened(office, here, "second")
    await here("close")

    await here(f"reopen {first.id}")

    assert await office.journal.current(CHANNEL) == first


async def test_nothing_is_reopened_beside_an_open_incident(office, here):
    first = await opened(office, here, "first")
    await here("close")
    second = await opened(office, here, "second")

    await here(f"reopen {first.id}")
    assert second.id in office.told()[-1]
    await here("reopen")
    assert "open already" in office.told()[-1]

    assert await office.journal.current(CHANNEL) == second


async def test_of_another_channels_incident_it_is_not_even_said_that_it_is_there(office, here):
    other, _ = await office.journal.open(channel="C0OTHER", title="theirs", by="U1", at=office.clock.now())
    await office.journal.close(other.id, by="U1", at=office.clock.now())

    await here(f"reopen {other.id}")
    here_said = office.told()[-1]
    await here("reopen inc-nowhere")

    assert "no such incident" in here_said
    assert "theirs" not in here_said
    assert not (await office.journal.find(other.id)).is_open


async def test_without_an_earlier_incident_there_is_nothing_to_reopen_or_to_retitle(office, here):
    await here("reopen")
    assert "/tflock open" in office.told()[-1]
    await here("title x")
    assert "/tflock open" in office.told()[-1]
    assert await office.journal.incidents() == ()


@pytest.mark.parametrize("text", ["open x", "title x", "close", "reopen"])
async def test_a_guest_changes_nothing_of_an_incidents_life(office, here, text):
    incident = await opened(office, here)

    await here(text, user="U0GUEST")

    assert "full members" in office.told("U0GUEST")[-1]
    assert kinds(office, incident) == ["incident.opened"]


async def test_a_title_cannot_ping_or_break_out_of_its_line(office, here):
    await opened(office, here)

    await here("title &lt;!channel&gt; *now*")

    assert (await office.journal.current(CHANNEL)).title == "<!channel> *now*"
    assert not [message for message in await said(office) if "<!channel>" in message]


async def test_a_secret_in_a_title_gets_neither_into_the_title_nor_into_the_id(office, here):
    await here("open password=hunter2hunter2")
    opened_with = await office.journal.current(CHANNEL)
    await here("title the token=hunter2hunter2 has leaked")

    renamed = await office.journal.current(CHANNEL)

    assert "hunter2" not in f"{opened_with.title} {opened_with.id} {renamed.title}"
    assert "removed]" in opened_with.title
    assert not [message for message in await said(office) if "hunter2" in message]

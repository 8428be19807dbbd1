"""After the closing: impact and notes for the review, asked for in a dialog, on the timeline and in the records."""

from __future__ import annotations

import pytest

from bot.export.gather import gathered
from bot.export.html.page import write_html
from bot.export.markdown.page import write_markdown
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.slack.forms import values_of
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import CHANNEL

PARKER, QUINN, GUEST = "U0PARKER", "U0QUINN", "U0GUEST"


@pytest.fixture
async def closed(office):
    await office.types("open staging is stuck")
    await office.work()
    incident = await office.journal.current(CHANNEL)
    await office.types("close")
    await office.work()
    return incident


async def press(office, user=PARKER):
    """The button below the announcement."""
    await office.clicks("incident.review", user=user, message=office.slack.messages(CHANNEL)[-1])
    return office.slack.dialogs(user)[-1]


async def send(office, view, user=PARKER, **filled):
    values = values_of(view, filled)
    payload = slack_payloads.submission(office.slack.team, user=user, view=view, values=values)
    assert await office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
    await office.work()
    return office.told(user)[-1]


def notes(office, incident):
    log = office.journal.logs[incident.id]
    return [(entry.facts.get("about"), entry.text) for entry in log if entry.kind == "note.added"]


async def test_impact_and_notes_are_put_on_the_timeline_and_the_export_is_made_again(office, closed):
    view = await press(office)

    told = await send(office, view, impact="47 deployments waited\nfor 3 h", review="alert on lock age")

    assert "Added to the record" in told
    assert notes(office, closed) == [("impact", "47 deployments waited\nfor 3 h"), ("review", "alert on lock age")]
    assert "reissue" in {job.name for job in office.world.jobs.waiting.values()}


async def test_a_field_that_is_left_empty_is_no_note(office, closed):
    await send(office, await press(office), impact="", review="alert on lock age")

    assert notes(office, closed) == [("review", "alert on lock age")]
    assert "Nothing was filled in" in await send(office, await press(office), impact="", review="")


async def test_a_guest_adds_nothing(office, closed):
    told = await send(office, await press(office, GUEST), GUEST, impact="x", review="")

    assert "full members" in told
    assert notes(office, closed) == []


async def test_the_last_word_on_each_is_in_the_records(office, closed, tmp_path):
    await send(office, await press(office), impact="nobody knows", review="")
    await send(office, await press(office), impact="47 deployments *waited*\nfor 3 h", review="alert on lock age")
    incident = await office.journal.find(closed.id)

    async with gathered(office.journal, incident, names={}, zone="UTC") as material:
        page = write_markdown(material, tmp_path / "x.md").read_text()
        html = write_html(material, tmp_path / "x.html").read_text()

    assert "## Impact\n\n47 deployments \\*waited\\*\\\nfor 3 h\n" in page
    assert "## Notes for the review\n\nalert on lock age\n" in page
    assert page.index("## Impact") < page.index("## Notes for the review") < page.index("## Timeline")
    assert '<section id="impact"' in html
    assert "alert on lock age" in html.split('<section id="review"')[1].split("</section>")[0]


async def test_a_hidden_note_is_not_in_the_records(office, closed, tmp_path):
    await send(office, await press(office), impact="nobody knows", review="")
    number = next(e.id for e in office.journal.logs[closed.id] if e.kind == "note.added")
    await office.types(f"hide {number}")
    await office.work()
    incident = await office.journal.find(closed.id)

    async with gathered(office.journal, incident, names={}, zone="UTC") as material:
        page = write_markdown(material, tmp_path / "x.md").read_text()

    assert "## Impact" not in page
    assert "nobody knows" not in page


async def test_the_announcement_offers_the_dialog(office, closed):
    assert "Add impact and review notes" in flat(office.slack.messages(CHANNEL)[-1])
    view = await press(office, QUINN)
    assert view["title"]["text"] == "Close the record"

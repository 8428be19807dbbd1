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
from bot.usecases.record import correct

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
    announced = next(at for at in office.slack.messages(CHANNEL)[::-1] if "Incident closed" in flat(at))
    await office.clicks("incident.review", user=user, message=announced)
    return office.slack.dialogs(user)[-1]


def fields(view):
    """What each field of the dialog shows."""
    return {block["block_id"]: block["element"].get("initial_value", "") for block in view["blocks"] if
            block["type"] == "input"}  # fmt: skip


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
    (view,) = office.slack.dialogs(PARKER)  # that closing opened
    assert fields(view) == {"impact": "", "review": ""}

    told = await send(office, view, impact="47 deployments waited\nfor 3 h", review="alert on lock age")

    assert "The record was updated" in told
    assert notes(office, closed) == [("impact", "47 deployments waited\nfor 3 h"), ("review", "alert on lock age")]
    assert "reissue" in {job.name for job in office.world.jobs.waiting.values()}


async def test_a_field_that_is_left_empty_is_no_note(office, closed):
    await send(office, await press(office), impact="", review="alert on lock age")

    assert notes(office, closed) == [("review", "alert on lock age")]


async def test_the_dialog_shows_what_was_written_so_far_and_changes_only_that(office, closed):
    await send(office, await press(office), impact="nobody knows", review="alert on lock age")

    view = await press(office, QUINN)
    assert fields(view) == {"impact": "nobody knows", "review": "alert on lock age"}
    await send(office, view, QUINN, impact="47 deployments waited", review="alert on lock age")

    assert fields(await press(office)) == {"impact": "47 deployments waited", "review": "alert on lock age"}
    edited = [entry for entry in office.journal.logs[closed.id] if entry.kind == "entry.edited"]
    assert [(entry.actor, entry.facts["text"]) for entry in edited] == [(QUINN, "47 deployments waited")]
    assert len(notes(office, closed)) == 2


async def test_a_dialog_that_is_sent_as_it_was_opened_changes_nothing(office, closed):
    await send(office, await press(office), impact="nobody knows", review="")
    before = len(office.journal.logs[closed.id])

    told = await send(office, await press(office), impact="nobody knows", review="")

    assert "Nothing was changed" in told
    assert len(office.journal.logs[closed.id]) == before


async def test_a_field_that_is_emptied_hides_its_note(office, closed):
    await send(office, await press(office), impact="nobody knows", review="alert on lock age")

    await send(office, await press(office), impact="", review="alert on lock age")

    assert fields(await press(office)) == {"impact": "", "review": "alert on lock age"}
    await send(office, await press(office), impact="47 waited", review="alert on lock age")
    assert fields(await press(office))["impact"] == "47 waited"


async def test_a_text_that_no_dialog_takes_stays_as_it_is(office, closed):
    await send(office, await press(office), impact="x", review="")
    number = next(e.id for e in office.journal.logs[closed.id] if e.kind == "note.added")
    await correct.edit(office.world, closed.id, number, by=PARKER, text="y" * 5_000)

    view = await press(office)

    assert fields(view)["impact"] == ""
    assert "Leave this empty to keep it" in view["blocks"][0]["hint"]["text"]
    assert "Nothing was changed" in await send(office, view, impact="", review="")


async def test_a_guest_adds_nothing_and_is_told_before_they_type(office, closed):
    view = await press(office, GUEST)

    assert "full members" in str(view["blocks"])
    assert "full members" in office.told(GUEST)[-1]
    told = await send(office, await press(office), GUEST, impact="x", review="")
    assert "full members" in told
    assert notes(office, closed) == []


async def test_where_slack_does_not_open_the_dialog_the_incident_is_closed_all_the_same(office):
    await office.types("open staging is stuck")
    await office.work()
    office.slack.refuse("views.open", "expired_trigger_id")
    await office.types("close")
    await office.work()

    assert await office.journal.current(CHANNEL) is None
    assert "Add impact and review notes" in flat(office.slack.messages(CHANNEL)[-1])
    assert office.told() == []


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
    assert view["title"]["text"] == "Impact and notes"

"""The timeline in Slack: commands, pages, the menu of an entry, and the dialog that puts it right."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core.record import timeline
from bot.core.record.revision import ShownEntry
from bot.core.record.timeline import Draft, Entry
from bot.core.reports.report import Corrected
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind, Signing, encoded
from bot.sandbox.slack.forms import take_answer, values_of
from bot.sandbox.slack.team import elements
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import CHANNEL
from handlers.timeline import undo_of
from handlers.when import at_clock, zone_named

PARKER, QUINN, GUEST = "U0PARKER", "U0QUINN", "U0GUEST"


@pytest.fixture
async def desk(office):
    """An office with an incident of thirty notes, numbered 2 to 31."""
    incident, _ = await office.journal.open(channel=CHANNEL, title="staging", by=QUINN, at=office.clock.now())
    for number in range(2, 32):
        await note(office, incident, f"note {number}")
    return Desk(office, incident)


async def note(office, incident, text):
    await office.journal.append(incident.id, Draft(office.clock.now(), timeline.Kind.NOTE_ADDED, QUINN, text))


class Desk:
    def __init__(self, office, incident):
        self.office, self.incident = office, incident

    @property
    def slack(self):
        return self.office.slack

    async def types(self, text, *, user=PARKER):
        """A command, worked off; the last thing that the user was told."""
        await self.office.types(text, user=user)
        await self.office.work()
        return self.office.told(user)[-1]

    async def page(self, *, size=""):
        await self.office.types(f"timeline {size}".strip())
        await self.office.work()
        return self.slack.ephemerals(PARKER)[-1]

    def clicked(self, message, action_id, *, choice=None, value=None, user=PARKER):
        """The payload of a click in the message, or of a choice in the menu with this value."""
        wanted = value or choice
        block_id, element = next(
            (block["block_id"], element)
            for block in message.blocks
            for element in elements(block)
            if element["action_id"] == action_id
            and (choice is None or any(option["value"] == choice for option in element["options"]))
        )
        url = f"{self.slack.api_url.removesuffix('/api/')}/actions/{self.slack.team.response(CHANNEL, user, message)}"
        action = slack_payloads.acted(block_id, element, wanted if choice else None)
        return slack_payloads.block_action(
            self.slack.team, user=user, message=message, action=action, values={}, response_url=url
        )

    async def click(self, message, action_id, **more):
        payload = self.clicked(message, action_id, **more)
        assert await self.office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
        await self.office.work()
        return payload

    def choice(self, what, entry, *, size=12, before=""):
        return f"- - {self.incident.id} {what}.{entry}.{size}.{before}"

    async def dialog(self, entry=31, *, user=PARKER):
        """The dialog of an entry of the newest page."""
        await self.click(await self.page(), "timeline.entry", choice=self.choice("edit", entry), user=user)
        (view,) = self.slack.dialogs(user)
        return view

    async def send(self, view, filled, *, user=PARKER, times=1):
        """Sends a dialog; the body of the answer. The work is done when this returns."""
        values = values_of(view, filled)
        return await self.deliver(
            slack_payloads.submission(self.slack.team, user=user, view=view, values=values), times
        )

    async def deliver(self, payload, times=1):
        body, content_type = encoded(EnvelopeKind.INTERACTIVE, payload)
        for _ in range(times):
            headers = {"Content-Type": content_type, **Signing("sandbox-signing-secret").headers(body, time.time())}
            answer = await self.office.app.async_dispatch(AsyncBoltRequest(body=body.decode(), headers=headers))
            assert answer.status == 200
        await self.office.work()
        return json.loads(answer.body) if answer.body else {}

    def entries(self, kind):
        return [entry for entry in self.office.journal.logs[self.incident.id] if entry.kind == kind]


# ── commands


async def test_an_edit_says_what_it_was_what_it_is_and_how_to_undo_it(desk):
    told = await desk.types("edit 5 the apply is dead because typo")
    assert "Entry 5 is corrected" in told
    assert "It said: `note 5`" in told
    assert "It says: `the apply is dead`" in told
    assert "/tflock edit 5 note 5" in told
    (said,) = desk.entries("entry.edited")
    assert (said.actor, said.facts) == (PARKER, {"entry": "5", "text": "the apply is dead", "why": "typo"})

    again = await desk.types("edit 5 note 5")
    assert "It says: `note 5`" in again


async def test_the_undo_that_is_offered_puts_text_and_time_back(desk):
    await desk.types("edit 5 at -3h")
    before = desk.entries("entry.edited")[-1].facts["at"]
    told = await desk.types("edit 5 at -2h because it was later")
    undo = told.split("`/tflock ")[1].split("`")[0]
    assert undo.startswith("edit 5 at ")

    await desk.types(undo)

    assert desk.entries("entry.edited")[-1].facts["at"][:19] == before[:19]


@pytest.mark.parametrize(
    ("words", "kind", "told", "undo"),
    [
        ("hide 5 because noise", "entry.hidden", "Entry 5 is hidden", "/tflock restore 5"),
        ("mark #5", "entry.marked", "Entry 5 is a key moment", "/tflock unmark 5"),
    ],
)
async def test_an_entry_is_hidden_and_marked_by_its_number(desk, words, kind, told, undo):
    first = await desk.types(words)
    assert told in first
    assert undo in first
    assert "already" in await desk.types(words)
    assert len(desk.entries(kind)) == 1
    assert "Nothing was changed" not in await desk.types(undo.removeprefix("/tflock "))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("edit 999 x", "no entry 999"),
        ("hide 999", "no entry 999"),
        ("edit 5 x at 2999-01-01 10:00", "in the future"),
        ("edit 5 at 1950-01-01 10:00", "before 1970"),
        ("note x at 0001-01-01 00:30", "Nothing was changed"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(desk, words, reason):
    told = await desk.types(words)
    assert reason in told
    assert "Nothing was changed" in told
    assert len(desk.office.journal.logs[desk.incident.id]) == 31


@pytest.mark.parametrize("words", ["edit 5 x", "hide 5", "mark 5", "note x"])
async def test_a_guest_writes_nothing_on_the_record(desk, words):
    assert "Only full members" in await desk.types(words, user=GUEST)
    assert len(desk.office.journal.logs[desk.incident.id]) == 31


async def test_a_closed_incident_is_shown_and_corrected_and_its_exports_follow(desk):
    await desk.office.types("close")
    await desk.office.work()
    told = await desk.types("edit 5 afterwards")
    assert "exports are made again" in told
    assert any(job.name == "reissue" for job in desk.office.world.jobs.waiting.values())
    assert "closed" in await desk.types("timeline")


async def test_without_any_incident_the_timeline_says_how_to_open_one(office):
    await office.types("timeline")
    await office.work()
    assert "/tflock open" in office.told()[-1]


async def test_a_note_is_answered_with_its_number_and_its_day(desk):
    told = await desk.types("note the apply died at -12m")
    assert "It is entry 32" in told
    (added,) = [entry for entry in desk.entries("note.added") if entry.id == "32"]
    assert f"<!date^{int(added.at.timestamp())}^" in told
    assert timedelta(minutes=11) < desk.office.clock.now() - added.at < timedelta(minutes=13)


# ── the asker's clock

BERLIN = zone_named("Europe/Berlin")
LATER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "now", "meant"),
    [
        ("2026-11-21 11:40", LATER, "2026-11-21 10:40"),
        ("2026-07-01 11:40", LATER, "2026-07-01 09:40"),
        ("2026-03-29 01:59", LATER, "2026-03-29 00:59"),
        ("2026-03-29 02:30", LATER, None),
        ("2026-03-29 03:00", LATER, "2026-03-29 01:00"),
        ("2026-10-25 02:30", LATER, "2026-10-25 01:30"),
        ("2026-10-25 02:30", datetime(2026, 10, 25, 1, 0, tzinfo=UTC), "2026-10-25 00:30"),
        ("2026-12-24 18:00", LATER, "2026-12-24 17:00"),
        ("0001-01-01 00:30", LATER, None),
        ("9999-12-31 23:59", LATER, "9999-12-31 22:59"),
    ],
)
def test_a_clock_that_was_put_forward_or_back_is_read_as_it_was(shown, now, meant):
    at = datetime.fromisoformat(shown)
    found = at_clock(at.date(), at.time(), BERLIN, now)
    assert found == (None if meant is None else datetime.fromisoformat(meant).replace(tzinfo=UTC))


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "\x00", "+999999"])
def test_a_zone_that_is_none_is_none(name):
    assert zone_named(name) is None


@pytest.mark.parametrize(
    ("zone", "hours"), [("Asia/Kolkata", 5.5), ("America/New_York", -5), ("Not/AZone", 0), ("Pacific/Kiritimati", 14)]
)
async def test_a_time_of_day_is_by_the_clock_of_whoever_asks(desk, zone, hours):
    known = "UTC" if zone == "Not/AZone" else zone
    desk.slack.change_user(PARKER, tz=known)
    now = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    desk.office.clock.offset = now - datetime.now(UTC)

    await desk.types("note dinner at yesterday 19:05")

    local_day = (now + timedelta(hours=hours)).date() - timedelta(days=1)
    wanted = datetime.combine(local_day, datetime.min.time(), UTC) + timedelta(hours=19 - hours, minutes=5)
    assert desk.entries("note.added")[-1].at == wanted


async def test_a_time_in_the_hour_that_was_left_out_is_refused(desk):
    desk.slack.change_user(PARKER, tz="Europe/Berlin")
    told = await desk.types("note x at 2026-03-29 02:30")
    assert "no 02:30 on 2026-03-29" in told
    assert len(desk.office.journal.logs[desk.incident.id]) == 31


def test_an_undo_that_would_be_read_otherwise_is_not_offered():
    def told(was, now, minutes=0):
        at = datetime(2026, 11, 21, 11, tzinfo=UTC)
        entries = [
            Entry("5", moment, at, "note.added", QUINN, text, {}, "0", "1")
            for text, moment in ((was, at), (now, at + timedelta(minutes=minutes)))
        ]
        before, after = (ShownEntry(entry, (), is_key=False) for entry in entries)
        return Corrected(None, before, after, is_hidden=False, changed=True)

    assert undo_of(told("it died", "x"), UTC) == "/tflock edit 5 it died"
    assert undo_of(told("it died", "x", 5), UTC) == "/tflock edit 5 it died at 2026-11-21 11:00:00"
    assert undo_of(told("<!channel> & co", "x"), UTC) == "/tflock edit 5 <!channel> & co"
    for was in ("it died at 11:00", "dead because tired", "two\nlines", "x" * 300):
        assert undo_of(told(was, "y"), UTC) is None


# ── pages and the menu of an entry


async def test_older_and_newer_turn_the_page_in_place(desk):
    page = await desk.page(size=10)
    assert "note 31" in flat(page)
    before = len(desk.slack.ephemerals(PARKER))

    await desk.click(page, "timeline.older")
    assert "note 21" in flat(page)
    assert "note 22" not in flat(page)
    await desk.click(page, "timeline.older")
    assert "note 11" in flat(page)
    await desk.click(page, "timeline.newer")
    assert "note 21" in flat(page)

    assert len(desk.slack.ephemerals(PARKER)) == before


async def test_hiding_and_marking_by_the_menu_shows_the_page_anew_and_says_so(desk):
    page = await desk.page()
    await desk.click(page, "timeline.entry", choice=desk.choice("hide", 31))
    assert "note 31" not in flat(page)
    assert "1 hidden" in flat(page)
    assert "/tflock restore 31" in desk.office.told()[-1]
    (hidden,) = desk.entries("entry.hidden")
    assert (hidden.actor, hidden.facts) == (PARKER, {"entry": "31"})

    await desk.click(page, "timeline.entry", choice=desk.choice("mark", 30))
    assert "Key moment*  *30*" in flat(page)


async def test_a_doubled_click_on_hide_adds_one_entry(desk):
    payload = desk.clicked(await desk.page(), "timeline.entry", choice=desk.choice("hide", 31))
    await desk.deliver(payload, times=3)
    assert len(desk.entries("entry.hidden")) == 1


async def test_a_guest_may_read_pages_and_hides_nothing(desk):
    page = await desk.page()
    await desk.click(page, "timeline.entry", choice=desk.choice("hide", 31), user=GUEST)
    assert "Only full members" in desk.office.told(GUEST)[-1]
    assert desk.entries("entry.hidden") == []


@pytest.mark.parametrize(
    "value", ["- - inc-none hide.5.20.", "- - inc-1 frob.5.20.", "- - inc-1 hide.x.20.", "- - inc-1 hide", "- - inc-1"]
)
async def test_a_menu_of_another_version_is_answered_in_words_and_changes_nothing(desk, value):
    payload = desk.clicked(await desk.page(), "timeline.entry", choice=desk.choice("hide", 31))
    payload["actions"][0]["selected_option"]["value"] = value
    await desk.deliver(payload)
    assert "Nothing was changed" in desk.office.told()[-1]
    assert desk.entries("entry.hidden") == []


# ── the dialog


async def test_the_dialog_is_opened_before_anything_is_looked_up_and_then_filled(desk):
    page = await desk.page()
    calls = len(desk.slack.calls)
    await desk.click(page, "timeline.entry", choice=desk.choice("edit", 31))

    methods = [call.method for call in desk.slack.calls[calls:]]
    assert (methods[0], methods[-1]) == ("views.open", "views.update")
    (view,) = desk.slack.dialogs(PARKER)
    assert view["title"]["text"] == "Edit entry 31"
    assert view["blocks"][0]["element"]["initial_value"] == "note 31"
    assert len(view["private_metadata"]) < 3_000


async def test_a_sent_dialog_is_recorded_told_and_shown_on_the_page(desk):
    page = await desk.page()
    await desk.click(page, "timeline.entry", choice=desk.choice("edit", 31))
    (view,) = desk.slack.dialogs(PARKER)

    assert await desk.send(view, {"text": "put right", "why": "typo"}) == {}

    (said,) = desk.entries("entry.edited")
    assert (said.actor, said.facts) == (PARKER, {"entry": "31", "text": "put right", "why": "typo"})
    assert "It said: `note 31`" in desk.office.told()[-1]
    assert "put right" in flat(page)


async def test_a_day_and_a_time_are_by_the_clock_of_whoever_edits(desk):
    desk.slack.change_user(PARKER, tz="Asia/Kolkata")
    view = await desk.dialog()
    await desk.send(view, {"date": "2026-01-05", "time": "09:30"})
    (said,) = desk.entries("entry.edited")
    assert said.facts == {"entry": "31", "at": "2026-01-05T04:00:00.000000Z"}


async def test_a_dialog_that_is_sent_twice_adds_one_entry(desk):
    view = await desk.dialog()
    await desk.send(view, {"text": "once"}, times=3)
    assert len(desk.entries("entry.edited")) == 1


async def test_what_one_leaves_as_it_was_does_not_undo_what_another_has_put_right(desk):
    mine, theirs = await desk.dialog(), await desk.dialog(user=QUINN)
    await desk.send(theirs, {"text": "by quinn"}, user=QUINN)
    await desk.send(mine, {"date": "2026-01-05"})

    first, second = desk.entries("entry.edited")
    assert (first.actor, first.facts["text"]) == (QUINN, "by quinn")
    assert (second.actor, set(second.facts)) == (PARKER, {"entry", "at"})
    assert "by quinn" in flat(await desk.page(size=25)) or "by quinn" in await desk.types("timeline")


@pytest.mark.parametrize(
    ("filled", "block", "reason"),
    [
        ({}, "text", "Nothing is changed yet"),
        ({"text": "   "}, "text", "cannot be empty"),
        ({"date": "2999-01-01"}, "time", "in the future"),
        ({"date": "1950-01-01"}, "time", "before 1970"),
        ({"date": "2026-03-29", "time": "02:30"}, "time", "put forward"),
    ],
)
async def test_a_dialog_that_cannot_be_saved_stays_open_with_the_reason_beside_its_field(desk, filled, block, reason):
    desk.slack.change_user(PARKER, tz="Europe/Berlin")
    view = await desk.dialog()
    answer = await desk.send(view, filled)
    assert answer["response_action"] == "errors"
    assert reason in answer["errors"][block]
    take_answer(desk.slack.team, PARKER, view["id"], json.dumps(answer))
    assert desk.slack.dialogs(PARKER) == [view]
    assert desk.entries("entry.edited") == []


async def test_a_trigger_that_is_too_old_is_told_with_the_command_instead(desk):
    payload = desk.clicked(await desk.page(), "timeline.entry", choice=desk.choice("edit", 31))
    desk.slack.team.triggers[payload["trigger_id"]].made_at -= 4
    await desk.deliver(payload)
    assert "/tflock edit 31 TEXT" in desk.office.told()[-1]
    assert desk.slack.dialogs(PARKER) == []


async def test_a_guest_sees_in_the_dialog_why_they_may_not_edit(desk):
    view = await desk.dialog(user=GUEST)
    assert "Only full members" in str(view["blocks"])
    assert "submit" not in view
    assert "Only full members" in desk.office.told(GUEST)[-1]


async def test_a_guest_who_sends_somebody_elses_dialog_changes_nothing(desk):
    view = await desk.dialog()
    await desk.send(view, {"text": "mine"}, user=GUEST)
    assert "Only full members" in desk.office.told()[-1]  # the answer goes where the dialog came from
    assert desk.entries("entry.edited") == []


@pytest.mark.parametrize("metadata", ["", "{", "[]", "null", '{"incident": "inc-1"}', '"text"'])
async def test_a_dialog_of_another_version_is_answered_in_words(desk, metadata):
    view = await desk.dialog()
    await desk.send({**view, "private_metadata": metadata}, {"text": "x"})
    assert "tflock no longer knows this dialog" in flat(desk.slack.directs(PARKER)[-1])
    assert desk.entries("entry.edited") == []


async def test_an_entry_that_cannot_be_edited_is_said_in_the_dialog(desk):
    await desk.types("hide 5")
    payload = desk.clicked(await desk.page(), "timeline.entry", choice=desk.choice("edit", 31))
    payload["actions"][0]["selected_option"]["value"] = desk.choice("edit", 32)
    await desk.deliver(payload)
    (view,) = desk.slack.dialogs(PARKER)
    assert "itself a correction" in str(view["blocks"])

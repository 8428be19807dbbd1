"""What happens in the channels: what is handed to a worker, what is dropped, and what is tried again."""

import json

import pytest

from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.stage import CHANNEL
from handlers import events
from handlers.events import event_in, happened_in, is_mere_talk
from tests.worlds.slack import payloads

MARKS = ("pushpin", "round_pushpin")


class Wire:
    """The workspace's events, given to the listeners of the office."""

    def __init__(self, office):
        self.office = office
        self.said = office.slack.say("U0QUINN", CHANNEL, "the words of a message")

    async def send(self, inner, *, acked=True, **envelope):
        payload = slack_payloads.event(self.office.slack.team, inner) | envelope
        assert await self.office.dispatch(EnvelopeKind.EVENT, payload) == (200 if acked else 503)
        return payload

    async def mark(self, name="pushpin", *, added=True, **envelope):
        return await self.send(slack_payloads.reaction(self.said, "U0PARKER", name, added=added), **envelope)

    async def keep(self):
        """Lets the message count as captured."""
        record = {"incident": "inc-1", "entry": "1", "digest": "", "on_mark": True}
        await self.office.world.records.put(
            "captured", f"{CHANNEL}/{self.said.ts}", record, ttl=events.capture.KEPT_FOR
        )

    @property
    def jobs(self):
        return [(job.name, *job.args[:4]) for job in self.office.world.jobs.waiting.values()]


@pytest.fixture
def wire(office):
    return Wire(office)


async def test_a_mark_and_an_unmark_are_handed_to_a_worker(office, wire):
    await wire.mark("pushpin::skin-tone-3")
    await wire.mark(added=False)
    await office.work()
    assert wire.jobs == [
        ("capture", CHANNEL, wire.said.ts, "U0PARKER", "marked"),
        ("capture", CHANNEL, wire.said.ts, "U0PARKER", "unmarked"),
    ]


async def test_a_delivery_that_comes_again_is_one_job(office, wire):
    payload = await wire.mark()
    assert await office.dispatch(EnvelopeKind.EVENT, payload) == 200
    await office.work()
    assert len(wire.jobs) == 1


async def test_other_reactions_and_reactions_to_files_are_dropped(office, wire):
    await wire.mark("eyes")
    event = slack_payloads.reaction(wire.said, "U0PARKER", "pushpin", added=True)
    await wire.send({**event, "item": {"type": "file", "file": "F1"}})
    await office.work()
    assert not wire.jobs


async def test_edits_and_deletions_matter_for_captured_messages_only(office, wire):
    before = wire.said.shown()
    changed = payloads.changed(office.slack.team, wire.said, before)
    deleted = payloads.deleted(office.slack.team, wire.said, before)
    await wire.send(changed)
    await wire.send(deleted)
    await office.work()
    assert not wire.jobs
    await wire.keep()
    await wire.send(changed)
    await wire.send(deleted)
    await office.work()
    assert [job[2:] for job in wire.jobs] == [(wire.said.ts, "", "changed"), (wire.said.ts, "", "deleted")]


async def test_what_people_say_and_what_the_bot_updates_costs_nothing(office, wire):
    asked = []

    async def note(name):
        asked.append(name)

    office.records_fault.fault = note
    shown = {"channel": CHANNEL, **wire.said.shown()}
    await wire.send(shown)
    await wire.send({**shown, "subtype": "channel_join"})
    own = {**wire.said.shown(), "app_id": slack_payloads.APP}
    await wire.send({"type": "message", "subtype": "message_changed", "channel": CHANNEL, "message": own})
    await office.work()
    assert not asked
    assert not wire.jobs


async def test_an_event_is_not_lost_while_redis_is_away(office, wire, monkeypatch, until):
    monkeypatch.setattr(events, "AGAIN_AFTER", (0.05, 0.05, 0.05, 0.05, 5.0, 5.0))
    await wire.keep()
    office.redis_goes_away()
    changed = payloads.changed(office.slack.team, wire.said, wire.said.shown())
    await wire.send(changed, acked=False)
    office.records_fault.fault = None
    await until(lambda: wire.jobs, 5)
    assert wire.jobs == [("capture", CHANNEL, wire.said.ts, "", "changed")]


async def test_an_event_that_never_gets_through_is_named_in_the_log(office, wire, monkeypatch, until):
    monkeypatch.setattr(events, "AGAIN_AFTER", (0.01, 0.01))
    office.redis_goes_away()
    changed = payloads.changed(office.slack.team, wire.said, wire.said.shown())
    payload = await wire.send(changed, acked=False)
    lost = await until(lambda: [line for line in office.logs if line["event"] == "event.lost"], 5)
    assert lost[0]["event_id"] == payload["event_id"]
    assert "the words of a message" not in json.dumps(office.logs, default=str)


async def test_an_archived_channel_is_handed_to_a_worker(office, wire):
    await wire.send({"type": "channel_archive", "channel": CHANNEL, "user": "U0QUINN"})
    await wire.send({"type": "group_archive", "channel": "C0SECRET", "user": "U0QUINN"})
    await office.work()
    assert wire.jobs == [("archived", CHANNEL), ("archived", "C0SECRET")]


async def test_the_shortcut_puts_a_message_on_the_timeline_and_says_so(office, wire):
    payload = slack_payloads.shortcut(
        office.slack.team, user="U0PARKER", message=wire.said, callback_id="add_to_timeline", response_url=""
    )
    assert await office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
    await office.work()
    (incident,) = await office.journal.incidents()
    *_, entry = [entry async for entry in office.journal.entries(incident.id)]
    assert (entry.kind, entry.text, entry.actor) == ("message.captured", "the words of a message", "U0QUINN")
    assert "is on the timeline" in office.told()[-1]


async def test_the_shortcut_of_a_guest_is_refused(office, wire):
    payload = slack_payloads.shortcut(
        office.slack.team, user="U0GUEST", message=wire.said, callback_id="add_to_timeline", response_url=""
    )
    assert await office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
    await office.work()
    assert not await office.journal.incidents()
    assert "Only full members" in office.told("U0GUEST")[-1]


async def test_a_backfill_begins_with_a_message_in_the_channel(office, wire, until):
    await office.types("capture 2h")
    await office.work()
    assert [job[0] for job in wire.jobs] == ["backfill"]
    (message,) = office.slack.messages(CHANNEL)
    assert "Reading the earlier messages here" in json.dumps(message.blocks)


async def test_a_guest_cannot_ask_for_a_backfill(office, wire):
    await office.types("capture 2h", user="U0GUEST")
    await office.work()
    assert not wire.jobs
    assert "Only full members" in office.told("U0GUEST")[-1]


# ── pure


def body(inner, **more):
    return json.dumps({"type": "event_callback", "event": inner, **more}).encode()


@pytest.mark.parametrize(
    ("inner", "talk"),
    [
        ({"type": "message", "text": "hello"}, True),
        ({"type": "message", "subtype": "bot_message"}, True),
        ({"type": "message", "subtype": "message_changed"}, False),
        ({"type": "message", "subtype": "message_deleted"}, False),
        ({"type": "reaction_added"}, False),
    ],
)
def test_mere_talk_is_told_by_its_subtype(inner, talk):
    event = event_in(body(inner), "application/json")
    assert event is not None
    assert is_mere_talk(event) is talk


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (body({"type": "app_mention"}), "application/json"),
        (b"payload=%7B%7D", "application/x-www-form-urlencoded"),
        (b"not json", "application/json"),
        (b"[1]", "application/json"),
        (b'{"type":"url_verification","challenge":"x"}', "application/json"),
    ],
)
def test_what_a_person_waits_for_and_what_is_no_event_is_none(raw, kind):
    assert event_in(raw, kind) is None


@pytest.mark.parametrize("inner", [{}, {"type": "message", "subtype": "message_deleted"}, {"type": "reaction_added"}])
def test_an_event_without_its_parts_is_dropped(inner):
    assert happened_in({"event": inner, "event_id": "Ev1"}, MARKS) is None

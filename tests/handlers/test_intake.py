"""What is acked is written down before, worked off once, and taken up by another process if its own one died."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.errors import JournalAway
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.slack.team import BOT_USER
from bot.sandbox.stage import CHANNEL
from bot.slack.render.modal import EDIT_CALLBACK, REVIEW
from handlers import intake as intake_module
from handlers.asker import Asker
from handlers.backlog import MOST_WAITING, Backlog
from handlers.delivery import Delivery, Way, found, kept
from handlers.dialogs import EntryEdit, Review
from handlers.intake import KEPT_FOR, LEASE, MOST_TAKES, REMEMBER, TOO_LATE, Intake
from handlers.timeline import TimelinePage

SECRET = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"


def notes(office) -> list[str]:
    return [entry.text for log in office.journal.logs.values() for entry in log if entry.kind == "note.added"]


def dies(office) -> None:
    """The process ends with all that is in its memory; another one is started."""
    office.backlog = Backlog()
    office.intake = Intake(office.world, office.backlog)


async def taken_up(office, *, after=LEASE + timedelta(seconds=1)) -> None:
    """The next look of a process, some time later, and the work that follows."""
    office.clock.offset += after
    await office.intake.tend()
    await office.work()


def command(office, text: str, **more) -> dict:
    usual = {"user": "U0PARKER", "channel": CHANNEL, "command_name": "/tflock", "response_url": ""}
    return slack_payloads.command(office.slack.team, text=text, **{**usual, **more})


async def click(office, action_id: str, value: str) -> int:
    payload = slack_payloads.block_action(
        office.slack.team, user="U0PARKER", message=office.slack.say("U0QUINN", CHANNEL, "a message"),
        action={"type": "button", "action_id": action_id, "block_id": "b", "value": value}, values={}, response_url="",
    )  # fmt: skip
    return await office.dispatch(EnvelopeKind.INTERACTIVE, payload)


async def mention(office, text: str) -> int:
    inner = {
        "type": "app_mention",
        "user": "U0PARKER",
        "channel": CHANNEL,
        "text": f"<@{BOT_USER}> {text}",
        "ts": "1.1",
    }
    return await office.dispatch(EnvelopeKind.EVENT, slack_payloads.event(office.slack.team, inner))


async def shortcut(office) -> int:
    message = office.slack.say("U0QUINN", CHANNEL, "it hangs")
    payload = slack_payloads.shortcut(
        office.slack.team, user="U0PARKER", message=message, callback_id="add_to_timeline", response_url=""
    )
    return await office.dispatch(EnvelopeKind.INTERACTIVE, payload)


async def test_what_was_acked_is_done_by_another_process_when_its_own_has_died(office):
    await office.types("note it hangs")
    dies(office)
    assert notes(office) == []

    await taken_up(office)

    assert notes(office) == ["it hangs"]
    assert "Noted on the timeline" in office.told()[-1]


async def test_the_twin_that_lives_does_it_itself_and_nobody_takes_it_up(office):
    await office.types("note it hangs")
    await office.work()

    await taken_up(office)

    assert notes(office) == ["it hangs"]
    assert len(office.told()) == 1


async def test_nothing_is_taken_up_while_its_process_is_at_work(office):
    other = Intake(office.world, Backlog())
    await office.types("note it hangs")
    for _ in range(5):
        office.clock.offset += LEASE / 2
        await office.intake.tend()  # which keeps what it has
        await other.tend()

    await office.work()

    assert notes(office) == ["it hangs"]
    assert not [line for line in office.logs if line["event"] == "delivery.taken_up"]


@pytest.mark.parametrize("way", ["mention", "click", "shortcut"])
async def test_every_other_way_to_ask_is_taken_up_as_well(office, way):
    sent = {
        "mention": lambda: mention(office, "note it hangs"),
        "click": lambda: click(office, "unlock.confirm", "staging lock request"),
        "shortcut": lambda: shortcut(office),
    }[way]
    assert await sent() == 200
    dies(office)
    assert office.told() == []

    await taken_up(office)

    words = {"mention": "Noted", "click": "Nothing was changed", "shortcut": "is on the timeline"}
    assert words[way] in office.told()[-1]


async def test_a_delivery_that_comes_again_while_it_is_at_work_or_after_it_is_done_once(office):
    payload = await office.types("note it hangs")
    assert await office.dispatch(EnvelopeKind.COMMAND, payload) == 200
    await office.work()
    assert await office.dispatch(EnvelopeKind.COMMAND, payload) == 200
    await office.work()

    assert notes(office) == ["it hangs"]
    assert b'outcome="doubled"' in office.world.meter.exposition()


async def test_a_delivery_that_comes_again_after_its_process_has_died_is_done_once(office):
    payload = await office.types("note it hangs")
    dies(office)
    assert await office.dispatch(EnvelopeKind.COMMAND, payload) == 200
    await taken_up(office)

    assert notes(office) == ["it hangs"]


async def test_a_delivery_is_remembered_for_ten_minutes(office):
    payload = await office.types("status staging")
    await office.work()
    office.clock.offset += REMEMBER + timedelta(seconds=1)
    await office.dispatch(EnvelopeKind.COMMAND, payload)
    await office.work()

    assert len(office.told()) == 2
    assert timedelta(minutes=10) == REMEMBER


async def test_without_redis_a_change_is_refused_in_the_ack_and_nothing_is_done_later(office):
    office.redis_goes_away()

    answer = await office.answered(command(office, "note it hangs"))

    assert answer.status == 200
    said = json.loads(answer.body)
    assert "Nothing was changed" in json.dumps(said)
    assert "Ask again" in json.dumps(said)
    office.records_fault.fault = None
    await taken_up(office)
    assert notes(office) == []


async def test_without_redis_what_only_reads_is_answered(office):
    office.redis_goes_away()
    await office.types("status staging")
    await office.work()

    assert "staging" in office.told()[-1]


async def test_without_redis_a_click_is_answered_to_the_one_who_clicked(office, until):
    office.redis_goes_away()
    assert await click(office, "unlock.confirm", "staging lock request") == 200

    told = await until(office.told)
    assert "othing was changed" in told[-1]


async def test_an_ack_does_not_wait_for_a_redis_that_hangs_and_what_lands_late_is_done_by_nobody(
    office, until, monkeypatch
):
    monkeypatch.setattr(intake_module, "ACCEPTED_WITHIN", 0.05)
    landing, landed = asyncio.Event(), []

    async def hangs(name: str) -> None:
        if name == "accept":
            await landing.wait()
        landed.extend([name] if name == "accepted" else [])

    office.records_fault.fault = hangs
    answer = await office.answered(command(office, "note it hangs"))
    assert "Nothing was changed" in json.dumps(json.loads(answer.body))

    landing.set()
    await until(lambda: landed)
    office.records_fault.fault = None
    await office.intake.tend()
    dies(office)
    await taken_up(office)
    assert notes(office) == []


async def test_what_is_over_the_bound_is_answered_in_the_ack_and_not_done(office):
    async def work() -> None:
        """Waits to be begun."""

    for _ in range(MOST_WAITING):
        office.backlog.add(work)

    answer = await office.answered(command(office, "note it hangs"))

    assert "too much to do" in answer.body
    assert "Nothing was changed" in answer.body
    await office.work()
    assert notes(office) == []
    await office.types("note now")
    await office.work()
    assert notes(office) == ["now"]


async def test_what_is_found_too_late_is_not_done_and_its_asker_is_told(office):
    await office.types("note it hangs")
    dies(office)

    await taken_up(office, after=TOO_LATE + timedelta(minutes=1))

    assert notes(office) == []
    assert "was not finished" in office.told()[-1]
    assert "Nothing was changed" in office.told()[-1]
    await taken_up(office)
    assert len(office.told()) == 1


async def test_a_delivery_at_which_every_process_ends_is_left_and_its_asker_is_told(office):
    await office.types("note it hangs")
    for _ in range(MOST_TAKES):
        dies(office)
        office.clock.offset += LEASE + timedelta(seconds=1)
        await office.intake.tend()
    dies(office)

    await taken_up(office)

    assert notes(office) == []
    assert "was not finished" in office.told()[-1]


async def test_what_cannot_be_read_is_named_in_the_log_and_left(office):
    await office.world.records.accept("command/x", {"way": "carrier pigeon"}, lease=LEASE, ttl=KEPT_FOR)

    await taken_up(office)
    await taken_up(office)

    assert [line["event"] for line in office.logs if "delivery" in line["event"]] == ["delivery.unreadable"]


async def test_what_redis_does_not_hear_the_end_of_is_settled_when_it_is_back(office):
    await office.types("note it hangs")
    office.records_fault.fault = _away_for("settle")
    await office.work()
    office.records_fault.fault = None

    await office.intake.tend()
    dies(office)
    await taken_up(office)

    assert notes(office) == ["it hangs"]
    assert len(office.told()) == 1


def _away_for(call: str):
    async def away(name: str) -> None:
        if name == call:
            raise JournalAway("Redis cannot be reached")

    return away


ASKER = Asker("U1", CHANNEL, "1.1", "https://hooks.example.com/s3cret", "command/1", trigger="1.2.trigger", text="x")
PAGE = TimelinePage("inc-1", 10, None)


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(way=Way.WORDS, asker=ASKER, text=f"note the token is {SECRET}", files=("F1",)),
        Delivery(way=Way.CLICK, asker=ASKER, name="unlock.confirm", value="staging lock request", on_tab=True),
        Delivery(
            way=Way.DIALOG, asker=ASKER, name=EDIT_CALLBACK, sent=EntryEdit("7", PAGE, ASKER, SECRET, None, SECRET)
        ),
        Delivery(way=Way.DIALOG, asker=ASKER, name=REVIEW, sent=Review("inc-1", ASKER, {"impact": SECRET})),
        Delivery(way=Way.DIALOG, asker=ASKER, name=REVIEW),
        Delivery(way=Way.HOME, asker=ASKER),
    ],
    ids=["words", "click", "edit", "review", "unknown dialog", "home"],
)
def test_what_is_written_down_is_read_as_it_was_without_its_secrets(delivery):
    written = kept(delivery)

    read = found(json.loads(json.dumps(written)))

    assert not [word for word in ("hooks.example.com", "1.2.trigger", SECRET) if word in json.dumps(written)]
    asker = replace(ASKER, response_url="", trigger="", text="", is_again=True)
    assert read.asker == asker
    assert (read.way, read.name, read.value, read.files, read.on_tab) == (
        delivery.way, delivery.name, delivery.value, delivery.files, delivery.on_tab,
    )  # fmt: skip
    assert type(read.sent) is type(delivery.sent)
    if read.sent is not None:
        assert read.sent.asker == asker


async def test_a_dialog_that_is_not_accepted_stays_open_and_can_be_sent_again(office):
    incident, _ = await office.journal.open(channel=CHANNEL, title="t", by="U0QUINN", at=office.clock.now())
    said = {"impact": "nobody could deploy", "review": ""}
    meta = {"incident": incident.id, "channel": CHANNEL, "thread": "", "url": "", "shown": dict.fromkeys(said, "")}
    view = {
        "id": "V1", "type": "modal", "callback_id": REVIEW, "blocks": [],
        "private_metadata": json.dumps(meta),
        "state": {"values": {about: {about: {"value": text}} for about, text in said.items()}},
    }  # fmt: skip
    user, team = {"id": "U0PARKER"}, {"id": "T0SANDBOX"}
    payload = {"type": "view_submission", "team": team, "user": user, "api_app_id": "A1", "view": view}

    office.redis_goes_away()
    refused = await office.answered(payload, kind=EnvelopeKind.INTERACTIVE)
    office.records_fault.fault = None
    accepted = await office.answered(payload, kind=EnvelopeKind.INTERACTIVE)
    await office.work()

    assert json.loads(refused.body)["response_action"] == "errors"
    assert "Nothing was changed" in refused.body
    assert not accepted.body
    assert notes(office) == ["nobody could deploy"]
    assert "The record was updated" in office.told()[-1]

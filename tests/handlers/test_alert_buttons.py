"""The buttons under an alert, clicked in Slack: what they do, and what they refuse once the lock is another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.lock import PlaceKind
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.slack.team import elements
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import CHANNEL
from bot.usecases.record.lifecycle import observe
from bot.usecases.watch import sweep
from tests.worlds.memory.memory import MemorySweep

PARKER, GUEST, ALERTS = "U0PARKER", "U0GUEST", "C0RANDOM"


class Desk:
    """An office whose sweeps are made by hand."""

    def __init__(self, office):
        self.office = office
        backends = {"staging": office.world.state("staging").backend}
        self.world = replace(office.world, sweep=MemorySweep(backends), alerts_channel=ALERTS)

    async def sweep(self):
        await sweep.sweep(self.world)

    async def alert(self, channel=ALERTS):
        """The message about the aged lock."""
        self.office.hold()
        self.office.clock.offset += timedelta(minutes=5)
        await self.sweep()
        return self.shown(channel)

    def shown(self, channel=ALERTS):
        return self.office.slack.messages(channel)[-1]

    async def told_at(self, message, action_id, *, user=PARKER):
        """What the clicker is told, last of all."""
        before = len(self.office.told(user))
        await self.click(message, action_id, user=user)
        told = self.office.told(user)
        assert len(told) > before
        return told[-1]

    async def click(self, message, action_id, *, user=PARKER, channel=ALERTS):
        block_id, element = next(
            (block["block_id"], element)
            for block in message.blocks
            for element in elements(block)
            if element["action_id"] == action_id
        )
        slack = self.office.slack
        url = f"{slack.api_url.removesuffix('/api/')}/actions/{slack.team.response(channel, user, message)}"
        payload = slack_payloads.block_action(
            slack.team, user=user, message=message, action=slack_payloads.acted(block_id, element, None), values={},
            response_url=url,
        )  # fmt: skip
        assert await self.office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
        await self.office.work()

    @property
    def is_locked(self):
        return PlaceKind.ITEM in self.office.store.texts


@pytest.fixture
def desk(office):
    return Desk(office)


async def test_check_answers_the_clicker_with_the_state_as_it_is(desk):
    message = await desk.alert()

    assert "staging is locked" in await desk.told_at(message, "alert.status")
    desk.office.store.clear(PlaceKind.ITEM)
    assert "staging is free" in await desk.told_at(message, "alert.status")


async def test_who_answers_the_clicker(desk):
    assert "runner@fv-az1-1" in await desk.told_at(await desk.alert(), "alert.who")


async def test_unlock_outside_an_incident_channel_says_where_to_do_it(desk):
    told = await desk.told_at(await desk.alert(), "alert.unlock")

    assert "incident channels only" in told
    assert desk.is_locked


async def test_unlock_in_the_incident_channel_shows_the_gates_checklist_and_releases_nothing_by_itself(desk):
    incident, _ = await desk.world.journal.open(channel=CHANNEL, title="staging", by=PARKER, at=desk.office.clock.now())
    await observe(desk.world, incident.id, "staging", await desk.world.state("staging").backend.read_lock())
    message = await desk.alert(CHANNEL)

    before = len(desk.office.slack.messages(CHANNEL))
    await desk.click(message, "alert.unlock", channel=CHANNEL)

    assert "staging" in flat(desk.office.slack.messages(CHANNEL)[before])
    assert "gate.decided" in [entry.kind for entry in desk.office.journal.logs[incident.id]]
    assert desk.is_locked


@pytest.mark.parametrize("action", ["alert.unlock", "alert.who"])
async def test_a_click_on_an_alert_whose_lock_is_gone_is_refused_and_says_what_stands_there_now(desk, action):
    message = await desk.alert()
    desk.office.store.clear(PlaceKind.ITEM)
    assert "free by now" in await desk.told_at(message, action)

    desk.office.hold()
    text, _ = desk.office.store.texts[PlaceKind.ITEM]
    desk.office.store.write(PlaceKind.ITEM, text.replace("5a5a5a5a", "6b6b6b6b"))
    assert "another lock by now" in await desk.told_at(message, action)
    assert desk.is_locked


async def test_snooze_is_said_in_the_message_and_is_no_more_to_be_had_once_it_is_over(desk):
    message = await desk.alert()

    assert "snoozed" in (await desk.told_at(message, "alert.snooze")).lower()

    assert "*Snoozed* by" in flat(desk.shown())
    again = desk.office.slack.messages(ALERTS)[-1]
    assert "alert.snooze" not in str(again.blocks)


async def test_a_guest_cannot_snooze(desk):
    message = await desk.alert()

    assert "full members of this workspace may snooze" in await desk.told_at(message, "alert.snooze", user=GUEST)

    assert "Snoozed" not in flat(desk.shown())


async def test_a_resolved_alert_stands_in_its_message_without_buttons(desk):
    message = await desk.alert()
    desk.office.store.clear(PlaceKind.ITEM)
    await desk.sweep()

    assert len(desk.office.slack.messages(ALERTS)) == 1
    assert "Unlocked at" in flat(message)
    assert "alert." not in str(message.blocks)

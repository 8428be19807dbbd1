"""The home tab and the shortcuts, from Slack's payloads to what is shown."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.people import OwnerSays
from bot.core.policy import Holders, KnownPerson
from bot.core.reports.owner_message import OwnerNews
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.slack.text import flat, located_in
from bot.sandbox.stage import CHANNEL
from bot.usecases.look import home_tab
from bot.usecases.owner import tell
from bot.usecases.unlock import unlock

LOCK = "5a5a5a5a-1b2c-4d3e-8f40-2b756fec4d7f"


class Reader:
    """Somebody at their home tab, over the signed door of the office."""

    def __init__(self, office, user="U0PARKER"):
        self.office = office
        self.user = user
        self.slack = office.slack

    async def opens(self, tab="home", **envelope):
        view = self.slack.home(self.user)
        channel = self.slack.team.direct(self.user).id
        inner = slack_payloads.home_opened(self.user, view, tab=tab, channel=channel)
        payload = slack_payloads.event(self.slack.team, inner) | envelope
        assert await self.office.dispatch(EnvelopeKind.EVENT, payload) == 200
        await self.office.work()
        return payload

    async def shortcut(self, callback_id="terraform_locks"):
        payload = slack_payloads.global_shortcut(self.slack.team, user=self.user, callback_id=callback_id)
        assert await self.office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
        await self.office.work()

    async def clicks(self, action_id, view=None, value=None):
        view = view or self.slack.home(self.user)
        block_id, element = located_in(view["blocks"], action_id, value=value, block_id=None)
        action = slack_payloads.acted(block_id, element, None)
        payload = slack_payloads.view_action(self.slack.team, user=self.user, view=view, action=action)
        assert await self.office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
        await self.office.work()

    @property
    def sees(self):
        return flat(self.slack.home(self.user))

    @property
    def dialog(self):
        return self.slack.dialogs(self.user)[-1]

    @property
    def published(self):
        return [call for call in self.slack.calls if call.method == "views.publish"]


@pytest.fixture
def reader(office):
    return Reader(office)


async def incident(office, channel=CHANNEL, title="staging"):
    made, _ = await office.world.journal.open(channel=channel, title=title, by="U0QUINN", at=office.clock.now())
    return made


async def test_opening_the_tab_shows_something_at_once_and_then_the_locks(office, reader):
    office.hold()
    await reader.opens()
    first, second = reader.published
    assert "Reading the locks" in str(first.args["view"])
    assert "1 of 1 state locked" in str(second.args["view"])
    assert "runner@fv-az1-1" in reader.sees
    assert LOCK in str(office.store.texts)


async def test_the_next_reader_sees_what_was_read_last_at_once(office, reader):
    office.hold()
    await reader.opens()
    await Reader(office, "U0QUINN").opens()
    assert "They are being read again" in str(reader.published[2].args["view"])
    assert "runner@fv-az1-1" in str(reader.published[2].args["view"])


async def test_a_doubled_event_is_answered_once(office, reader):
    payload = await reader.opens()
    before = len(reader.published)
    assert await office.dispatch(EnvelopeKind.EVENT, payload) == 200
    await office.work()
    assert len(reader.published) == before


async def test_the_messages_tab_is_left_alone(office, reader):
    await reader.opens(tab="messages")
    assert reader.published == []


@pytest.mark.parametrize("facts", [{"is_guest": True}, {"team": "T0OTHER"}, {"is_stranger": True}])
async def test_guests_and_strangers_see_neither_states_nor_locks(office, reader, facts):
    office.hold()
    await incident(office)
    office.slack.change_user("U0PARKER", **facts)
    await reader.opens()
    await reader.clicks("home.refresh")
    await reader.shortcut()
    for told in (reader.sees, flat(reader.dialog)):
        assert "Only full members of this workspace" in told
        assert "staging" not in told
        assert "fv-az1-1" not in told
    everything = str([call.args.get("view") for call in office.slack.calls])
    assert "fv-az1-1" not in everything


async def test_an_error_is_said_on_the_tab_with_a_reference(office, reader):
    office.slack.refuse("users.info", "fatal_error", times=None)
    await reader.opens()
    assert "Reference `ref" in reader.sees
    assert any(entry["event"] == "home.broke" for entry in office.logs)


async def test_a_tab_that_slack_does_not_take_is_told_in_the_dm(office, reader):
    office.slack.refuse("views.publish", "fatal_error", times=None)
    await reader.opens()
    assert office.slack.directs("U0PARKER")


async def test_without_redis_the_locks_are_read_and_it_is_said(office, reader):
    office.hold()
    office.redis_goes_away()
    await reader.opens()
    assert "the timeline (Redis) is away" in reader.sees
    assert "runner@fv-az1-1" in reader.sees


async def test_an_incident_is_shown_to_those_in_its_channel_alone(office, reader):
    office.slack.add_channel("C0SECRET", "inc-secret", ["U0QUINN"], is_private=True)
    await incident(office)
    await incident(office, "C0SECRET", "Not for parker")
    await reader.opens()
    assert f"<#{CHANNEL}>" in reader.sees
    assert "Not for parker" not in reader.sees
    quinn = Reader(office, "U0QUINN")
    await quinn.opens()
    assert "Not for parker" in quinn.sees


async def test_check_answers_in_a_dialog_and_changes_nothing(office, reader):
    office.hold()
    await reader.opens()
    await reader.clicks("home.check")
    told = flat(reader.dialog)
    assert "staging is locked" in told
    assert "requester" not in told
    assert "same lock:" not in told
    assert LOCK in str(office.store.texts)
    await reader.clicks("home.checklist", reader.dialog)
    assert "same lock:" in flat(reader.dialog)
    await reader.clicks("home.refresh", reader.dialog)
    assert "1 of 1 state locked" in flat(reader.dialog)
    assert len(office.slack.dialogs("U0PARKER")) == 1


async def test_unlock_names_the_channels_and_unlocks_nothing(office, reader):
    office.hold()
    await incident(office)
    await reader.opens()
    await reader.clicks("home.check")
    await reader.clicks("home.unlock", reader.dialog)
    told = flat(reader.dialog)
    assert f"<#{CHANNEL}>" in told
    assert "/tflock unlock staging" in told
    assert office.world.jobs.waiting == {}
    assert LOCK in str(office.store.texts)


async def test_the_shortcut_opens_the_overview(office, reader):
    office.hold()
    await reader.shortcut()
    assert reader.dialog["type"] == "modal"
    assert "runner@fv-az1-1" in flat(reader.dialog)


async def test_a_trigger_that_is_too_old_is_told_to_the_person(office, reader):
    office.slack.refuse("views.open", "expired_trigger_id")
    await reader.shortcut()
    (message,) = office.slack.directs("U0PARKER")
    assert "did not open the dialog in time" in flat(message)


async def test_a_question_to_the_owner_is_answered_on_the_tab(office, reader):
    office.hold()
    lock = (await office.world.states["staging"].backend.read_lock()).lock
    held = tell.OwnedLock(office.world.states["staging"].name, lock, "U0PARKER")
    await tell.write_about(
        office.world, OwnerNews.UNLOCK_WANTED, held, asker="U0QUINN", channel=CHANNEL, incident="", request="r1"
    )
    office.world.jobs.waiting.clear()
    await reader.opens()
    assert "Is it still running? <@U0QUINN> asked" in reader.sees
    await reader.clicks("owner.running")
    said = await office.world.records.get("owner-answer", f"staging/{LOCK}")
    assert said["says"] == OwnerSays.RUNNING
    assert "Is it still running?" not in reader.sees
    assert "you said it's still running" in reader.sees
    assert LOCK in str(office.store.texts)


async def test_an_armed_unlock_is_taken_back_on_the_tab(office, reader):
    office.hold()
    made = await incident(office)
    wish = unlock.UnlockCommand(state="staging", user="U0PARKER", channel=CHANNEL, incident=made.id)
    report = await unlock.ask(office.world, wish)
    await unlock.arm(office.world, report.request.id, user="U0PARKER")
    await reader.opens()
    assert "you set its unlock" in reader.sees
    other = Reader(office, "U0QUINN")
    await other.opens()
    assert "armed" not in other.sees
    await reader.clicks("unlock.disarm")
    assert (await office.world.records.get("unlock", report.request.id))["phase"] == "done"
    office.clock.offset += timedelta(seconds=20)
    await reader.opens()
    assert "you armed" not in reader.sees
    assert LOCK in str(office.store.texts)


async def test_fifty_readers_at_once_cost_one_look_at_the_locks(office):
    reads = 0
    backend = office.world.states["staging"].backend

    class Counting:
        async def read_lock(self, **_):
            nonlocal reads
            reads += 1
            await asyncio.sleep(0.05)
            return await backend.read_lock()

    states = {"staging": replace(office.world.states["staging"], backend=Counting())}
    world = replace(office.world, states=states)
    await asyncio.gather(*(home_tab.home(world, "U0PARKER") for _ in range(50)))
    assert reads == 1


async def test_the_locks_of_the_reader_are_marked_as_theirs(office, reader):
    office.hold()
    person = KnownPerson("parker", "U0PARKER", who=("runner@fv-az1-*",))
    world = replace(office.world, holders=Holders(people=(person,)))
    seen = await home_tab.home(world, "U0PARKER")
    assert seen.shown[0].is_own
    assert not (await home_tab.home(world, "U0QUINN")).shown[0].is_own


async def test_a_state_that_is_gone_from_the_configuration_is_not_shown_any_more(office):
    office.hold()
    await home_tab.home(office.world, "U0PARKER")
    seen = await home_tab.home(replace(office.world, states={}), "U0PARKER")
    assert (seen.shown, seen.total) == ((), 0)

"""What is in flight for a state: `status` shows it, `unlock` points at it, `close` asks about it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.lock import PlaceKind
from bot.core.reports.button import ButtonValue
from bot.errors import NotPermitted
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import CHANNEL
from bot.usecases.request.in_flight import in_flight_of
from bot.usecases.request.record import UNLOCKS, RequestPhase
from bot.usecases.unlock import unlock
from handlers import clicks
from tests.worlds.memory.memory import MemoryLockBackend, Switchboard, Throttle

PARKER, QUINN, GUEST, OUTSIDE = "U0PARKER", "U0QUINN", "U0GUEST", "U0OUTSIDE"


@pytest.fixture
def here(office):
    async def types(text, user=PARKER):
        await office.types(text, user=user)
        await office.work()
        return office.told(user)[-1] if office.told(user) else ""

    return types


async def requested(office, phase=RequestPhase.ARMED, user=QUINN, **fields):
    """A request to unlock that has come so far; the id of its message."""
    office.hold()
    incident, _ = await office.journal.open(channel=CHANNEL, title="staging", by=user, at=office.clock.now())
    report = await unlock.ask(office.world, unlock.UnlockCommand("staging", user, CHANNEL, incident.id))
    now = office.clock.now()
    times = {RequestPhase.ARMED: "armed_at", RequestPhase.APPROVAL: "approval_at", RequestPhase.SHOWN: "approval_at"}
    when = {times.get(phase, "confirmed_at"): now}
    await UNLOCKS.update(office.world, report.request.id, phase=phase, by=user, **when, **fields)
    return report.request.ts


async def channel_says(office):
    return [flat(message) for message in office.slack.messages(CHANNEL)]


WORDS = {
    RequestPhase.ARMED: "armed",
    RequestPhase.APPROVAL: "waiting for approval",
    RequestPhase.CONFIRMED: "confirmed",
    RequestPhase.RELEASING: "releasing",
}


@pytest.mark.parametrize(("phase", "words"), WORDS.items())
async def test_status_shows_a_request_in_flight_whose_it_is_and_where(office, here, phase, words):
    ts = await requested(office, phase)

    told = await here("status staging")

    assert f"unlock of staging: {words}, by <@{QUINN}>" in told
    assert f"p{ts.replace('.', '')}" in told


async def test_a_checklist_that_waits_for_a_second_person_is_in_flight_until_its_time_is_over(office, here):
    await requested(office, RequestPhase.SHOWN, wanted=("protected",))

    assert "waiting for approval" in await here("status staging")
    office.clock.offset += office.world.policy.approval_timeout * 1.1
    assert "waiting for approval" not in await here("status staging")


@pytest.mark.parametrize("phase", [RequestPhase.SHOWN, RequestPhase.SETTLED, RequestPhase.DONE])
async def test_what_nobody_has_begun_or_what_is_over_is_not_in_flight(office, here, phase):
    await requested(office, phase)

    assert "In flight" not in await here("status staging")
    assert "already" not in await here("unlock staging")


async def test_a_second_unlock_of_the_lock_links_the_first_ones_message_and_posts_nothing(office, here):
    ts = await requested(office)
    before = await channel_says(office)

    told = await here("unlock staging")

    assert "An unlock of staging is armed already" in told
    assert f"p{ts.replace('.', '')}" in told
    assert "Nothing was changed" in told
    assert await channel_says(office) == before


async def test_a_button_that_asks_again_links_the_request_in_flight_and_posts_nothing(office, here):
    await requested(office)
    incident = await office.journal.current(CHANNEL)
    (first,) = await in_flight_of(office.world, incident.id)
    over, armed = await UNLOCKS.get(office.world, first.id), await requested(office)
    await UNLOCKS.update(office.world, first.id, phase=RequestPhase.DONE)
    before, lock_id = await channel_says(office), over.request.lock_id
    button = {"action_id": "unlock.rearm", "value": str(ButtonValue("staging", lock_id, first.id, lock_id))}

    await clicks.run(office.world, button["action_id"], button["value"], office.asker())

    assert "An unlock of staging is armed already" in office.told()[-1]
    assert f"p{armed.replace('.', '')}" in office.told()[-1]
    assert await channel_says(office) == before


async def test_an_unlock_of_the_next_lock_is_a_request_of_its_own(office, here):
    await requested(office)
    office.store.write(PlaceKind.ITEM, office.store.texts[PlaceKind.ITEM][0].replace("5a5a", "6b6b"))
    before = len(await channel_says(office))

    await here("unlock staging")

    assert len(await channel_says(office)) == before + 2  # the request, and its checklist in the thread


async def test_a_dry_run_beside_a_request_in_flight_is_answered_as_ever(office, here):
    await requested(office)

    assert "already" not in await here("unlock staging --dry-run")


@pytest.mark.parametrize("asked", ["status staging", "unlock staging"])
async def test_close_asks_first_while_a_state_is_locked(office, here, asked):
    office.hold()
    await here(asked)
    incident = await office.journal.current(CHANNEL)

    told = await here("close")

    assert "staging is still locked" in told
    assert "Nothing was changed" in told
    assert await office.journal.current(CHANNEL) == incident

    await office.clicks("incident.close")

    assert await office.journal.current(CHANNEL) is None
    assert "Incident closed" in (await channel_says(office))[-1]


@pytest.mark.parametrize("phase", WORDS)
async def test_close_asks_first_while_an_unlock_is_in_flight(office, here, phase):
    await requested(office, phase)
    office.store.texts.clear()

    assert "unlock of staging" in await here("close")
    assert await office.journal.current(CHANNEL) is not None


async def test_close_asks_first_where_a_lock_cannot_be_read(office, here):
    await here("status staging")

    async def busy(name):
        if name.startswith("read "):
            raise Throttle

    unread = MemoryLockBackend(office.store, office.clock, Switchboard(busy))
    office.world.states["staging"] = replace(office.world.states["staging"], backend=unread)

    assert "may still be locked" in await here("close")
    assert await office.journal.current(CHANNEL) is not None


async def test_close_of_an_incident_whose_states_are_free_asks_nothing(office, here):
    await here("status staging")

    await here("close")

    assert await office.journal.current(CHANNEL) is None


async def test_the_button_to_close_anyway_is_for_its_own_incident_and_for_full_members(office, here):
    office.hold()
    await here("status staging")
    await here("close")
    first = office.slack.ephemerals(PARKER)[-1]
    await office.clicks("incident.close")
    await here("open another")

    office.slack.team.messages.append(first)
    await office.clicks("incident.close")

    assert "another incident" in office.told()[-1]
    assert (await office.journal.current(CHANNEL)).title == "another"


@pytest.mark.parametrize("user", [GUEST, OUTSIDE])
async def test_a_refusal_of_somebody_without_standing_is_private_and_nobody_is_messaged(office, here, user):
    office.hold()

    told = await here("unlock staging --when-safe", user=user)

    alone = told or flat(office.slack.directs(user)[-1])  # without a response URL: whoever is outside, in their DM
    assert "can't unlock it" in alone
    assert await channel_says(office) == []
    assert office.world.jobs.waiting == {}
    assert not office.slack.directs("U0ELLIOTT")


async def test_a_state_is_found_in_upper_and_lower_case(office, here):
    office.hold()

    assert "staging is locked" in await here("status STAGING")
    await here("unlock Staging")

    assert "staging" in (await channel_says(office))[-1]
    assert "There is no state" in await here("status stagin")


async def test_a_run_that_does_not_exist_is_told_to_the_asker_alone_and_is_no_outage(office, here):
    told = await here("kill-job 999")

    assert "No run 999 in" in told
    assert "Nothing was changed" in told
    assert "respond" not in told
    assert await channel_says(office) == []


@pytest.mark.parametrize("address", ["https://ci.example.com/job/deploy/12", "ci.example.com/job/deploy/12"])
async def test_an_address_that_is_no_run_of_a_pipeline_is_answered_with_what_kill_job_takes(office, here, address):
    told = await here(f"kill-job {address}")

    assert "I know no run at this address" in told
    assert "kill-job STATE | RUN_URL | RUN_ID" in told
    assert "Nothing was changed" in told
    assert "There is no state" not in told

    told = await here("kill-job deploy-12")
    assert "There is no state" in told
    assert "kill-job STATE | RUN_URL | RUN_ID" in told


async def test_a_click_says_which_message_it_is_about_where_that_was_not_written_down(office):
    ts = await requested(office, RequestPhase.SHOWN)
    (name,) = await office.world.records.enlisted(
        "state-requests", "staging", since=office.clock.now() - timedelta(hours=1), until=office.clock.now(), limit=9
    )
    request = name.partition("/")[2]
    lock = (await UNLOCKS.get(office.world, request)).request.lock_id
    await UNLOCKS.update(office.world, request, ts="")

    async def declines(lock_id):
        value = str(ButtonValue("staging", lock_id, request))
        with suppress(NotPermitted):
            await clicks.run(office.world, "unlock.decline", value, office.asker(user=QUINN, message=ts))
        return (await UNLOCKS.get(office.world, request)).request.ts

    assert await declines("another-lock") == ""
    assert await declines(lock) == ts
    assert office.store.texts

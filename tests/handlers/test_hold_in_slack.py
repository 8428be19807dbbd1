"""`/tflock hold` as people type it: a free state, one with a living run, and its end."""

from __future__ import annotations

import pytest

from bot.core.lock import parse_lock_info
from bot.sandbox.stage import CHANNEL
from bot.worker import run_job


def standing(office):
    return {parse_lock_info(text).operation for text, _ in office.store.texts.values()}


async def done(office):
    """What was typed is worked off, and a worker does what is due for holds."""
    await office.work()
    jobs = office.world.jobs.waiting
    for job in [job for job in jobs.values() if job.name == "hold" and job.at <= office.clock.now()]:
        del jobs[job.key]
        await run_job(office.world, job.name, job.args, attempt=1, worker="w1")


async def kinds(office):
    incident = await office.journal.current(CHANNEL)
    return [one.kind async for one in office.journal.entries(incident.id) if one.kind.startswith("hold.")]


async def test_a_free_state_is_held_and_freed_again(office):
    office.store.texts.clear()

    await office.types("hold staging for 45m because the plan looks odd")
    await done(office)
    held = standing(office)
    await office.types("status staging")
    await office.work()
    status = office.told()[-1]
    await office.types("hold staging off")
    await done(office)

    assert held == {"tflock hold"}
    assert "is held by" in status
    assert "the plan looks odd" in status
    assert standing(office) == set()
    assert await kinds(office) == ["hold.requested", "hold.placed", "hold.ended"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("hold", "Usage"),
        ("hold staging for ever", "how long"),
        ("hold staging for", "how long"),
        ("hold staging because", "reason after"),
        ("hold staging extra", "only one argument"),
        ("hold staging for 30h", "from 1 minute to 24 hours"),
        ("hold staging for 1000h because of the audit", "Usage: `/tflock hold STATE [for 30m]"),
        ("hold staging for 0m", "from 1 minute to 24 hours"),
        ("hold stagin", "staging"),
        ("hold staging off", "has no hold"),
    ],
)
async def test_what_cannot_be_read_changes_nothing(office, typed, says):
    office.store.texts.clear()

    await office.types(typed)
    await office.work()

    assert says in office.told()[-1]
    assert "Nothing was changed" in office.told()[-1]
    assert office.store.texts == {}

"""`/tflock recover`, and its button below an unlock: told to the asker, and on the timeline of an incident."""

from __future__ import annotations

from bot.core.joblog.changes import Action, Change, Changes, Fate
from bot.core.joblog.values import Command, JobChanges, Work
from bot.core.record.timeline import Kind
from bot.core.recovery.contents import Contents, Instance, Version
from bot.core.run import Conclusion
from bot.sandbox.stage import CHANNEL

SECRET = "ghp_" + "a1B2" * 9


async def left_behind(office, *changes):
    """A run of the configured pipeline that failed after it had made something."""
    now, ci = office.clock.now(), office.world.sources["github"]
    ci.start("11900000042", ci.pipelines[0], host="fv-az1-1")
    run = ci.known["11900000042"]
    ci.end("11900000042", Conclusion.TIMED_OUT)
    job = ci.known["11900000042"].jobs[-1]
    work = Work(run.created_at, now)
    ci.changed[job.id] = JobChanges((Command(Changes(changes), work),), is_read=True, is_over=True)
    version = Version("v2", now, 100, is_newest=True)
    office.store.versions = [(version, Contents(100, "0" * 32, 7, "l", "1.11.4", (Instance("aws_a.kept", id="1"),)))]


def made(address="aws_instance.web", name="i-0aa"):
    return Change(Action.CREATE, address, Fate.DONE, key="id", id=name)


async def test_the_answer_is_for_the_asker_with_blocks_and_steps(office):
    await left_behind(office, made(), made("vault_token.ci", SECRET))

    await office.types("recover staging")
    await office.work()

    told = office.told()[-1]
    assert "The run left objects behind in staging" in told
    assert "to = aws_instance.web" in told
    assert "terraform plan" in told
    assert "Nothing was changed" in told
    assert SECRET not in told


async def test_in_an_incident_it_is_written_down(office):
    await left_behind(office, made())

    await office.types("recover staging")
    await office.work()

    incident = await office.journal.current(CHANNEL)
    entries = [one async for one in office.journal.entries(incident.id)]
    (entry,) = [one for one in entries if one.kind == Kind.RECOVERY_LOOKED]
    assert entry.facts["made"] == ["aws_instance.web"]


async def test_an_unknown_state_gets_the_nearest_and_too_many_words_the_usage(office):
    await office.types("recover stagin")
    await office.work()
    assert "staging" in office.told()[-1]

    await office.types("recover staging now please")
    await office.work()
    assert "recover STATE" in office.told()[-1]


async def test_a_hundred_blocks_fit_into_slack(office):
    await left_behind(office, *(made(f'aws_instance.web["{n}`<!channel>"]', f"i-{n}") for n in range(100)))

    await office.types("recover staging")
    await office.work()

    told = office.told()[-1]
    assert "more import blocks" in told
    assert "<!channel>" not in told

"""Letters to owners, the life of an incident, and the questions that only read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.gate.case import Ruling
from bot.core.people import OwnerSays
from bot.core.policy import Holders, KnownPerson
from bot.core.record.timeline import verify
from bot.errors import NotPermitted
from bot.sandbox.stage import DEPLOY, REPO
from bot.usecases.kill import kill_job
from bot.usecases.look.status import Question, status
from bot.usecases.look.who import who
from bot.usecases.record import lifecycle
from bot.usecases.unlock import owner_answers as answers

QUESTION = Question("U0QUINN", "C0STAGING", "status staging")


async def answer(scene, lock, says, user="U0ELLIOTT"):
    state = scene.ports.state("staging").name
    return await answers.take_answer(
        scene.ports, state=state, lock_id=lock.id, user=user, says=says, at=scene.clock.now()
    )


async def test_an_owner_is_asked_once_however_often_the_lock_is_asked_about(scene):
    await scene.running_lock()

    for _ in range(3):
        await scene.ask()

    assert len(scene.wrote()) == 1


async def test_an_owner_who_asks_themselves_gets_no_letter(scene):
    await scene.running_lock()

    await scene.ask("U0ELLIOTT")

    assert scene.wrote() == []


async def test_an_owner_who_is_known_by_their_email_address_alone_is_written_to(scene):
    lock, _ = await scene.running_lock()
    known = KnownPerson("elliott", email="elliott@example.com", github="elliott-ci")
    scene.ports = replace(scene.ports, holders=Holders(people=(known,)))

    await scene.ask()

    assert len(scene.wrote("U0ELLIOTT")) == 1
    assert await scene.stands(lock)


@pytest.mark.parametrize("email", [None, "nobody@example.com"])
async def test_an_owner_whom_slack_does_not_know_by_their_address_holds_nothing_up(scene, email):
    await scene.dead_lock()
    known = KnownPerson("elliott", email=email, github="elliott-ci")
    scene.ports = replace(scene.ports, holders=Holders(people=(known,)))

    report = await scene.ask()

    assert report.verdict.ruling is Ruling.ALLOW
    assert report.inspection.owner.name == "elliott"
    assert scene.wrote() == []


async def test_an_owner_who_cannot_be_reached_holds_nothing_up_and_is_on_the_timeline(scene):
    lock, _ = await scene.dead_lock()
    scene.slack.refuse("conversations.open", "cannot_dm_bot", times=None)

    report = await scene.ask()

    assert report.verdict.ruling is Ruling.ALLOW
    (entry,) = await scene.entries("owner.notified")
    assert "could not be notified" in entry.text
    assert await scene.stands(lock)


@pytest.mark.parametrize("user", ["U0QUINN", "U0PARKER", "U0GUEST"])
async def test_an_answer_of_somebody_else_is_refused_and_changes_nothing(scene, user):
    lock, _ = await scene.dead_lock()
    await scene.ask()

    with pytest.raises(NotPermitted):
        await answer(scene, lock, OwnerSays.DEAD, user)

    assert await scene.entries("owner.answered") == []


async def test_an_answer_reaches_the_gate_at_once(scene):
    lock, _ = await scene.dead_lock()
    before = await scene.ask()
    await answer(scene, lock, OwnerSays.RUNNING)

    after = await scene.ask()

    assert before.verdict.ruling is Ruling.ALLOW
    assert [str(finding.rule) for finding in after.verdict.refusals] == ["owner"]
    assert "You said" in scene.wrote()[0]


async def test_a_lock_from_a_persons_machine_is_released_only_with_their_word_and_an_approval(scene):
    await scene.lock(who="elliott@laptop", ago=7200)
    scene.github.runs.start_run(REPO, DEPLOY, at=scene.clock.now())
    before = await scene.ask()
    await answer(scene, before.inspection.lock, OwnerSays.DEAD)

    after = await scene.ask()

    assert before.verdict.ruling is Ruling.REFUSE
    assert after.verdict.ruling is Ruling.NEEDS_APPROVAL


async def test_an_owner_who_asks_for_time_is_asked_again(scene):
    lock, _ = await scene.running_lock()
    await scene.ask()
    await answer(scene, lock, OwnerSays.LATER)
    scene.forward(601)

    await scene.work()

    assert len(scene.wrote()) == 2
    assert "wants to unlock" in scene.wrote()[1]


async def test_an_owner_who_asked_for_time_is_left_in_peace_when_the_lock_is_gone(scene):
    lock, _ = await scene.dead_lock()
    report = await scene.ask()
    await answer(scene, lock, OwnerSays.LATER)
    await scene.confirm(report)
    await scene.work()
    before = scene.wrote()
    scene.forward(601)

    await scene.work()

    assert not await scene.stands(lock)
    assert scene.wrote() == before


async def test_commands_in_one_channel_are_one_incident(scene):
    entered = [
        await lifecycle.enter(scene.ports, channel="C0STAGING", user="U0QUINN", title="other", command="status")
        for _ in range(2)
    ]

    assert {one.id for one in entered} == {scene.incident}
    assert len(await scene.entries("incident.opened")) == 1
    assert len(await scene.entries("command.received")) == 3


async def test_a_lock_is_written_down_when_it_is_first_seen_and_when_it_changes(scene):
    lock, run = await scene.running_lock()
    for _ in range(2):
        await status(scene.ports, "staging", QUESTION)
    for kind in (f"{scene.aws.bucket}/environments/staging/terraform.tfstate",):
        await scene.aws.delete_item(kind)
    await scene.aws.delete_object("environments/staging/terraform.tfstate.tflock")

    await status(scene.ports, "staging", QUESTION)
    await status(scene.ports, "staging", QUESTION)

    observed = await scene.entries("lock.observed", "lock.changed")
    assert [entry.kind for entry in observed] == ["lock.observed", "lock.changed"]
    assert observed[0].facts["seen"]["locks"][0]["id"] == lock.id
    assert run.id


@pytest.mark.parametrize("asks", ["unlock", "dry run", "kill-job", "kill-job by id"])
async def test_a_lock_that_was_never_asked_about_is_written_down_before_what_was_made_of_it(scene, asks):
    lock, run = await scene.running_lock()
    killing = {"kill-job": "staging", "kill-job by id": str(run.id)}.get(asks)
    for _ in range(2):
        if killing is None:
            await scene.ask(dry_run=asks == "dry run")
        else:
            await kill_job.ask(scene.ports, kill_job.KillCommand(killing, "U0QUINN", QUESTION.channel, scene.incident))

    written = await scene.entries("lock.observed", "lock.changed", "gate.decided")
    assert [entry.kind for entry in written][:1] == ["lock.observed"]
    assert [entry.facts["seen"]["locks"][0]["id"] for entry in written if entry.kind != "gate.decided"] == [lock.id]
    assert await scene.stands(lock)


@pytest.mark.parametrize(("known", "said"), [(True, " since 2"), (False, " for a time that is not known, for ")])
async def test_a_lock_is_written_down_with_a_time_only_where_the_store_tells_it(scene, known, said):
    await scene.running_lock()
    seen = await scene.ports.state("staging").backend.read_lock()
    seen = replace(
        seen, held=tuple(replace(place, info=replace(place.info, is_since_known=known)) for place in seen.held)
    )

    await lifecycle.observe(scene.ports, scene.incident, "staging", seen)

    (entry,) = await scene.entries("lock.observed")
    assert said in entry.text


async def test_closing_exports_once_and_closing_again_does_nothing(scene):
    incident = await scene.ports.journal.find(scene.incident)
    first = await lifecycle.close(scene.ports, incident, user="U0QUINN")
    again = await lifecycle.close(scene.ports, incident, user="U0QUINN")
    jobs = await scene.work()

    assert (first, again, jobs) == (True, False, 2)  # the files, and their way into the channel
    assert {".json", ".md"} <= {path.suffix for path in scene.exports.iterdir()}
    entries = await scene.entries()
    assert verify(entries) == len(entries)
    assert len(await scene.entries("incident.closed", "export.made")) == 2


async def test_status_changes_nothing_and_says_what_an_unlock_would_meet(scene):
    lock, _ = await scene.dead_lock()

    report = await status(scene.ports, "staging", QUESTION)

    assert report.verdict.ruling is Ruling.ALLOW
    assert not report.journal_trouble
    assert await scene.stands(lock)
    assert scene.jobs.waiting == {}


async def test_the_people_who_can_act_instead_are_full_members_and_not_the_owner(scene):
    await scene.running_lock()

    report = await who(scene.ports, "staging", QUESTION)

    assert report.inspection.owner.slack_id == "U0ELLIOTT"
    assert {one.member.id for one in report.stand_ins.people} == {"U0QUINN", "U0PARKER"}

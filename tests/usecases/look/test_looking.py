"""What `status` and `who` showed is on the timeline, with its evidence and without a flood."""

from __future__ import annotations

import pytest

from bot.core.record.timeline import Kind, canonical
from bot.usecases.look.status import Question, status
from bot.usecases.look.write_look import AGAIN_AFTER, weigh_look, write_look
from tests.worlds.proxy import Throttle

CHANNEL = "C0STAGING"


def question(user="U0QUINN", channel=CHANNEL):
    return Question(user, channel, "status staging")


async def look(scene, user="U0QUINN"):
    report = await status(scene.ports, "staging", question(user))
    await write_look(scene.ports, report, question(user))
    return report


async def test_a_status_puts_its_verdict_and_evidence_on_the_timeline(scene):
    lock, _ = await scene.dead_lock()

    report = await look(scene)

    (entry,) = await scene.entries(Kind.GATE_DECIDED)
    assert (entry.facts["asked"], entry.facts["state"], entry.facts["lock_id"]) == ("status", "staging", lock.id)
    assert entry.facts["verdict"]["ruling"] == str(report.verdict.ruling)
    assert entry.facts["evidence"]["holder"]["runs"][0]["conclusion"] == "timed out"
    assert entry.text == "staging may be unlocked: all 12 checks hold"
    assert len(canonical(dict(entry.facts))) < 16_000
    assert await scene.stands(lock)


async def test_the_same_is_written_again_only_after_a_while(scene):
    await scene.dead_lock()
    for user in ("U0QUINN", "U0PARKER", "U0QUINN"):
        await look(scene, user)
    assert len(await scene.entries(Kind.GATE_DECIDED)) == 1

    scene.forward(AGAIN_AFTER.total_seconds() + 1)
    await look(scene)

    assert len(await scene.entries(Kind.GATE_DECIDED)) == 2


async def test_a_change_is_written_at_once(scene):
    await scene.dead_lock()
    await look(scene)
    for call in ("dynamodb:GetItem", "dynamodb:BatchGetItem"):
        scene.proxy.fault(call, Throttle())

    await look(scene)

    first, second = await scene.entries(Kind.GATE_DECIDED)
    assert first.facts["evidence"]["lock"]["unseen"] == []
    assert "throttled" in second.facts["evidence"]["lock"]["unseen"][0]["why"]


async def test_who_writes_what_an_unlock_would_have_met(scene):
    await scene.dead_lock()
    report = await status(scene.ports, "staging", question())

    await weigh_look(scene.ports, report.inspection, question())

    (entry,) = await scene.entries(Kind.GATE_DECIDED)
    assert entry.facts["asked"] == "who"
    assert entry.facts["verdict"]["ruling"] == str(report.verdict.ruling)


async def test_a_free_state_is_written_without_a_verdict(scene):
    await look(scene)

    (entry,) = await scene.entries(Kind.GATE_DECIDED)
    assert (entry.facts["verdict"], entry.text) == (None, "staging is free")


async def test_outside_an_incident_nothing_is_written(scene):
    await scene.dead_lock()
    report = await status(scene.ports, "staging", question(channel="C0ELSEWHERE"))

    await write_look(scene.ports, report, question(channel="C0ELSEWHERE"))

    assert await scene.entries(Kind.GATE_DECIDED) == []


@pytest.mark.parametrize("calls", [("dynamodb:DeleteItem",)])
async def test_a_release_says_how_often_it_was_throttled(scene, calls):
    await scene.dead_lock()
    report = await scene.ask()
    for call in calls:
        scene.proxy.fault(call, Throttle(), times=2)
    await scene.confirm(report)
    await scene.work()

    (released,) = await scene.entries(Kind.UNLOCK_RELEASED)

    assert released.facts["throttled"] >= 1
    assert released.facts["tries"] > released.facts["throttled"]
    assert released.facts["took_seconds"] >= 0
    assert released.facts["lock"]["id"] == released.facts["lock_id"]

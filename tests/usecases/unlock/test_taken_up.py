"""A click or a command whose process is killed at each of its steps in turn, and that another process takes up."""

from __future__ import annotations

from collections import Counter

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.policy import Policy
from bot.core.record.timeline import verify
from bot.core.reports.report import Checklist
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import NotPermitted
from bot.usecases.record.lifecycle import enter, note
from bot.usecases.request import approval
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import unlock
from handlers import clicks
from handlers.asker import Asker
from tests.worlds.memory.memory import WORKER, Killed
from tests.worlds.memory.world import CHANNEL, STATE

STEPS = 66
"""More calls than any of these clicks makes; a test holds it so."""

CLICK = "click/0a1b2c"
QUINN, PARKER = "U0QUINN", "U0PARKER"


@pytest.fixture
def left_behind(make_paper):
    """A lock whose run failed: long ago, so that it is safe, or just now, or with success (which takes a second)."""

    def make(*, settled=True, conclusion=Conclusion.FAILED):
        paper = make_paper(policy=Policy())
        paper.take_lock()
        paper.ci.end("1001", conclusion)
        paper.pass_time(300 if settled else 1)
        return paper

    return make


def asked(paper):
    wish = unlock.UnlockCommand(STATE, QUINN, CHANNEL, paper.incident.id)
    return paper.run(unlock.ask(paper.ports, wish)).request.id


def killed_at(paper, step, act):
    """Does it in a process that gets so many calls through. Whether that was enough, and how many it made."""
    count = 0

    async def fault(_):
        nonlocal count
        if WORKER.get() == "web.1":
            count += 1
            if count == step:
                paper.switchboard.dead.add("web.1")

    paper.switchboard.fault = fault
    token = WORKER.set("web.1")
    try:
        paper.run(act(is_again=False))
    except Killed:
        return False, count
    finally:
        WORKER.reset(token)
        paper.switchboard.fault = None
    return True, count


def kinds(paper):
    entries = paper.journal.logs[paper.incident.id]
    verify(entries)
    return Counter(entry.kind for entry in entries)


def confirming(paper):
    request = asked(paper)

    async def act(*, is_again):
        await unlock.confirm(paper.ports, request, lock_id="lock-1", user=QUINN, click=CLICK)

    return act


def confirming_their_own(paper):
    request = asked(paper)
    message = paper.run(UNLOCKS.get(paper.ports, request)).request.ts

    async def act(*, is_again, click=CLICK):
        asker = Asker(QUINN, CHANNEL, "", "", click, message=message, is_again=is_again)
        await clicks.run(paper.ports, clicks.CONFIRM, f"{STATE} lock-1 {request}", asker)

    return act


def arming(paper):
    request = asked(paper)

    async def act(*, is_again):
        await unlock.arm(paper.ports, request, lock_id="lock-1", user=QUINN, click=CLICK)

    return act


def approving(paper):
    request = asked(paper)
    record = paper.run(UNLOCKS.get(paper.ports, request))

    async def act(*, is_again):
        covers = "+".join(record.wanted)
        await approval.approve(paper.ports, request, lock_id="lock-1", user=PARKER, covers=covers, click=CLICK)

    return act


def asking_when_safe(paper):
    async def act(*, is_again):
        typed = f"unlock {STATE} --when-safe"
        incident = await enter(paper.ports, channel=CHANNEL, user=QUINN, title=STATE, command=typed, once=CLICK)
        await unlock.ask(
            paper.ports,
            unlock.UnlockCommand(STATE, QUINN, CHANNEL, incident.id, when_safe=True, click=CLICK, is_again=is_again),
        )

    return act


CLICKS = {
    "confirm": (confirming, {}),
    "arm": (arming, {"settled": False}),
    "approve": (approving, {"conclusion": Conclusion.SUCCESS}),
    "ask when safe": (asking_when_safe, {"settled": False}),
}


@pytest.mark.parametrize("name", CLICKS)
def test_the_steps_cover_the_whole_click_and_undisturbed_it_releases_the_lock(left_behind, name):
    make, how = CLICKS[name]
    paper = left_behind(**how)

    is_through, calls = killed_at(paper, 0, make(paper))
    paper.pass_time(400)

    assert is_through
    assert calls < STEPS
    assert paper.store.texts == {}
    assert kinds(paper)["unlock.released"] == 1


@pytest.mark.parametrize("step", range(1, STEPS))
@pytest.mark.parametrize("name", CLICKS)
def test_killed_at_any_step_and_taken_up_it_releases_the_lock_once(left_behind, name, step):
    make, how = CLICKS[name]
    paper = left_behind(**how)
    act = make(paper)

    is_through, _ = killed_at(paper, step, act)
    paper.run(act(is_again=True))
    paper.pass_time(400)

    assert paper.store.texts == {}
    found = kinds(paper)
    assert (found["unlock.requested"], found["unlock.released"]) == (0 if name == "approve" else 1, 1)
    assert found["unlock.approved"] == (1 if name == "approve" else 0)
    assert found["command.received"] <= 1
    assert is_through or found["unlock.releasing"] == 1
    stages = [report.stage for report in paper.messenger.all(UnlockReport)]
    assert stages.count(UnlockStage.RELEASED) == 1
    assert not paper.messenger.all(Checklist)[2:]


@pytest.mark.parametrize("step", range(1, 7))
def test_an_own_click_that_is_killed_and_taken_up_releases_the_lock_once(left_behind, step):
    paper = left_behind()
    act = confirming_their_own(paper)

    is_through, calls = killed_at(paper, step, act)
    paper.run(act(is_again=True))
    paper.pass_time(30)

    assert is_through is (step == 6)
    assert calls == min(step, 5)
    assert paper.store.texts == {}
    found = kinds(paper)
    assert (found["unlock.requested"], found["unlock.releasing"], found["unlock.released"]) == (1, 1, 1)


@pytest.mark.parametrize("name", ["confirm", "arm"])
def test_another_click_on_what_is_carried_out_is_still_told_so(left_behind, name):
    make, how = CLICKS[name]
    paper = left_behind(**how)
    act = make(paper)
    paper.run(act(is_again=False))

    request = next(report.request.id for report in paper.messenger.all(UnlockReport))
    with pytest.raises(NotPermitted):
        paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user=QUINN, click="click/other")
                  if name == "confirm" else
                  unlock.arm(paper.ports, request, lock_id="lock-1", user=QUINN, click="click/other"))  # fmt: skip


def test_a_click_that_is_taken_up_after_the_request_has_ended_does_nothing_more(left_behind):
    paper = left_behind()
    act = confirming(paper)
    paper.run(act(is_again=False))
    paper.pass_time(30)
    before = kinds(paper)

    paper.run(act(is_again=True))
    paper.pass_time(30)

    assert kinds(paper) == before


@pytest.mark.parametrize("is_again", [True, False], ids=["taken up", "clicked again"])
def test_a_click_whose_outcome_offers_the_buttons_again_is_carried_out_again_by_another_click_only(
    left_behind, is_again
):
    paper = left_behind(settled=False)
    act = confirming_their_own(paper)
    paper.run(act(is_again=False))
    paper.pass_time(30)
    assert kinds(paper)["unlock.failed"] == 1
    paper.pass_time(400)  # by now it would be safe

    paper.run(act(is_again=True) if is_again else act(is_again=False, click="click/another"))
    paper.pass_time(30)

    assert (paper.store.texts != {}) is is_again
    assert kinds(paper)["unlock.requested"] == (1 if is_again else 2)


@pytest.mark.parametrize("step", range(1, 12))
def test_a_note_that_is_taken_up_is_noted_once(left_behind, step):
    paper = left_behind()

    async def act(*, is_again):
        await note(paper.ports, paper.incident.id, user=QUINN, text="it hangs", at=None, once=CLICK)

    killed_at(paper, step, act)
    paper.run(act(is_again=True))

    assert kinds(paper)["note.added"] == 1


@pytest.mark.parametrize("name", ["confirm", "arm"])
@pytest.mark.parametrize("step", range(1, STEPS, 2))
def test_what_nobody_takes_up_is_found_by_the_periodic_look(left_behind, name, step):
    """As a release of an earlier version leaves it: the request is on its way, and there is no job and no delivery."""
    make, how = CLICKS[name]
    paper = left_behind(**how)
    killed_at(paper, step, make(paper))
    request = next(report.request.id for report in paper.messenger.all(UnlockReport))
    moved = paper.run(UNLOCKS.get(paper.ports, request)).flight is not None

    for _ in range(10):
        paper.run(paper.ports.jobs.start("tend", key="tend"))
        paper.pass_time(60)

    assert (paper.store.texts == {}) is moved
    assert kinds(paper)["unlock.released"] == (1 if moved else 0)


def test_a_release_that_has_given_up_is_not_begun_again_by_the_periodic_look(left_behind):
    paper = left_behind()
    act = confirming(paper)
    paper.run(act(is_again=False))
    paper.jobs.waiting.clear()
    paper.pass_time(300)

    for _ in range(3):
        paper.run(paper.ports.jobs.start("tend", key="tend"))
        paper.pass_time(60)

    assert paper.store.texts
    assert kinds(paper)["unlock.releasing"] == 0

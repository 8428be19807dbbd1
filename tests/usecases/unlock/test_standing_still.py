"""A worker that stands still, at any moment of a release: what it decided before counts no more."""

from __future__ import annotations

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.lock import PlaceKind, ReleaseResult, parse_created
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.usecases.decide.owner import record_answer
from bot.usecases.unlock import unlock
from tests.worlds.memory.memory import WORKER
from tests.worlds.memory.world import CHANNEL, STATE

HOUR = 3600.0


@pytest.fixture
def make_release(make_paper):
    """Worlds in which a run is long dead and the release of its lock is confirmed, `held_up` at one of its calls."""

    def make(held_up=None):
        paper = make_paper()
        paper.take_lock()
        paper.ci.end("1001", Conclusion.FAILED)
        paper.pass_time(300)
        wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
        request = paper.run(unlock.ask(paper.ports, wish)).request.id
        paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user="U0QUINN"))
        paper.passed, paper.deleted = [], []
        paper.store.on_delete = lambda kind, _: paper.deleted.append((kind, len(paper.passed)))

        async def fault(name):
            if not WORKER.get():
                return
            paper.passed.append(name)
            if held_up is not None and len(paper.passed) == held_up[0]:
                await held_up[1](paper)

        paper.switchboard.fault = fault
        paper.pass_time(60)
        paper.pass_time(60)  # the first minute may have been over before it began
        return paper

    return make


async def the_owner_objects(paper):
    answer = OwnerAnswer("lock-1", "U0ELLIOTT", OwnerSays.RUNNING, paper.clock.now())
    await as_nobody(record_answer(paper.ports, STATE, answer, incident=""))
    paper.loop.stand_still(HOUR)


async def the_state_is_written(paper):
    paper.loop.stand_still(HOUR)
    paper.store.last_written = paper.clock.now()


async def whoever_asked_leaves(paper):
    paper.loop.stand_still(HOUR)
    paper.directory.inside[CHANNEL].remove("U0QUINN")


async def nothing_happens(paper):
    """Not so long that the request is given up."""
    paper.loop.stand_still(HOUR / 4)


async def a_moment_passes(paper):
    paper.loop.stand_still(2)


async def as_nobody(work):
    token = WORKER.set("")
    try:
        await work
    finally:
        WORKER.reset(token)


def moments(paper):
    """The calls of an undisturbed release, up to its last delete."""
    last = max(at for _, at in paper.deleted)
    return range(1, last + 1)


@pytest.mark.parametrize("event", [the_owner_objects, the_state_is_written, whoever_asked_leaves])
def test_nothing_is_deleted_after_an_hour_in_which_it_became_wrong(make_release, event):
    undisturbed = make_release()
    assert [kind for kind, _ in undisturbed.deleted] == [PlaceKind.FILE, PlaceKind.ITEM]

    for moment in moments(undisturbed):
        paper = make_release((moment, event))
        late = [kind for kind, at in paper.deleted if at >= moment]

        assert late == [], f"held up at {paper.passed[moment - 1]}"
        assert PlaceKind.ITEM in paper.store.texts


@pytest.mark.parametrize("event", [nothing_happens, a_moment_passes])
def test_it_is_released_after_a_while_in_which_nothing_happened(make_release, event):
    for moment in moments(make_release()):
        paper = make_release((moment, event))

        assert paper.store.texts == {}, f"held up at {paper.passed[moment - 1]}"


def test_what_was_deleted_before_it_became_wrong_is_told_and_written_down(make_release):
    undisturbed = make_release()
    between = undisturbed.passed.index(f"delete {PlaceKind.FILE}") + 2

    paper = make_release((between, the_owner_objects))

    assert list(paper.store.texts) == [PlaceKind.ITEM]
    told = paper.messenger.all(UnlockReport)[-1]
    failed = next(e for e in paper.journal.logs[paper.incident.id] if e.kind == "unlock.failed")
    assert (told.stage, told.left) == (UnlockStage.PARTLY_RELEASED, (PlaceKind.ITEM,))
    assert [(p.place.kind, p.result) for p in told.places] == [(PlaceKind.FILE, ReleaseResult.RELEASED)]
    assert [(h["half"], h["result"]) for h in failed.facts["halves"]] == [("lockfile", "released")]


def test_the_timeline_shows_the_look_on_which_it_was_deleted(make_release):
    undisturbed = make_release()
    last = undisturbed.passed.index(f"delete {PlaceKind.FILE}") + 1

    paper = make_release((last, nothing_happens))

    decided = [entry for entry in paper.journal.logs[paper.incident.id] if entry.kind == "gate.decided"]
    allowed = [entry for entry in decided if entry.facts["verdict"]["ruling"] == "allow"]
    released = next(e for e in paper.journal.logs[paper.incident.id] if e.kind == "unlock.released")
    evidence = allowed[-1].facts["evidence"]
    assert released.at - parse_created(evidence["seen_at"]) < paper.policy.evidence_max_age
    assert released.at - parse_created(allowed[0].facts["evidence"]["seen_at"]) > paper.policy.evidence_max_age
    assert (evidence["lock_id"], evidence["holder"]["runs"][0]["id"]) == ("lock-1", "1001")

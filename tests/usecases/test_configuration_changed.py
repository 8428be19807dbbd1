"""A restart with a configuration that has a state in another place, while what was asked of it is in Redis.

The place of before is not looked at any more: that its lock is not in the new one says nothing.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.app.stores import state_of
from bot.backends.frame import Means
from bot.backends.s3.section import Backend
from bot.config.settings import StateSettings
from bot.core.gate.stages import UnlockStage
from bot.core.lock import PlaceKind
from bot.core.phrase import plain
from bot.core.reports.hold import HoldEnd
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import NotPermitted
from bot.usecases.hold import ask as holds
from bot.usecases.hold.record import HOLDS
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import unlock
from bot.worker import PERIODIC
from tests.worlds.clocks import WallClock
from tests.worlds.memory.memory import WORKER, MemoryLockBackend, MemoryStore
from tests.worlds.memory.world import CHANNEL, STATE

QUINN = {"lock_id": "lock-1", "user": "U0QUINN"}


@pytest.fixture
def asked(make_paper):
    """An unlock that was asked for, of a lock whose run failed long ago, or `is_going` on."""

    def make(*, is_going=False, **settings):
        paper = make_paper(**settings)
        paper.ports.states[STATE] = replace(paper.ports.states[STATE], place="here")
        paper.take_lock()
        if not is_going:
            paper.ci.end("1001", Conclusion.FAILED)
        paper.pass_time(300)
        wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
        paper.request = paper.run(unlock.ask(paper.ports, wish)).request.id
        return paper

    return make


def move(paper, place="there"):
    """The configuration names an empty store from now on, or the one of before again."""
    store = paper.store if place == "here" else MemoryStore(paper.kinds)
    backend = MemoryLockBackend(store, paper.clock, paper.switchboard)
    paper.ports.states[STATE] = replace(paper.ports.states[STATE], backend=backend, holds=backend, place=place)


def die_at_the_delete(paper):
    async def fault(name):
        if WORKER.get() and name == f"delete {PlaceKind.FILE}":
            paper.switchboard.dead.add(WORKER.get())
            paper.switchboard.fault = None

    paper.switchboard.fault = fault


@pytest.mark.parametrize(("is_moved", "ends"), [(True, []), (False, ["released"])])
def test_a_release_that_was_begun_is_not_settled_by_reading_another_place(asked, is_moved, ends):
    paper = asked()
    paper.run(unlock.confirm(paper.ports, paper.request, **QUINN))
    die_at_the_delete(paper)
    paper.pass_time(5)
    assert paper.run(UNLOCKS.get(paper.ports, paper.request)).sent

    if is_moved:
        move(paper)
    paper.pass_time(900)

    assert paper.outcomes() == ends
    assert set(paper.store.texts) == (set(paper.kinds) if is_moved else set())
    said = [notice.headline for notice in paper.messenger.all(Notice)]
    assert said == (["The release could not be finished"] if is_moved else [])
    assert not is_moved or "another place" in plain(paper.messenger.all(Notice)[-1].lines[0])


def test_a_release_that_was_begun_goes_on_with_a_worker_that_knows_the_place(asked):
    """Workers are restarted one by one: for a while some have the old configuration and some the new one."""
    paper = asked()
    paper.run(unlock.confirm(paper.ports, paper.request, **QUINN))
    die_at_the_delete(paper)
    paper.pass_time(5)
    move(paper)
    paper.pass_time(20)

    move(paper, "here")
    paper.pass_time(120)

    assert paper.outcomes() == ["released"]
    assert not paper.messenger.all(Notice)


@pytest.mark.parametrize("settings", [{"is_going": True}, {"protected": True}], ids=["armed", "waits for a second"])
def test_what_waits_does_not_call_a_lock_gone_that_is_in_the_place_of_before(asked, settings):
    paper = asked(**settings)
    if "is_going" in settings:
        paper.run(unlock.arm(paper.ports, paper.request, **QUINN))
        paper.pass_time(30)

    move(paper)
    paper.pass_time(600)

    assert paper.outcomes() == []
    assert "unlock.withdrawn" not in [entry.kind for entry in paper.journal.logs[paper.incident.id]]
    stages = {report.stage for report in paper.messenger.all(UnlockReport)}
    assert not stages & {UnlockStage.ALREADY_FREE, UnlockStage.HOLDER_CHANGED, UnlockStage.RELEASED}
    assert "another place" in plain(paper.messenger.all(Notice)[-1].lines[0])


def test_a_click_on_a_message_of_before_is_refused_and_one_on_a_message_of_now_is_not(asked):
    paper = asked()
    move(paper)

    with pytest.raises(NotPermitted, match="another place"):
        paper.run(unlock.confirm(paper.ports, paper.request, **QUINN))
    with pytest.raises(NotPermitted, match="another place"):
        paper.run(unlock.arm(paper.ports, paper.request, **QUINN))
    record = paper.run(UNLOCKS.get(paper.ports, paper.request))
    mine = {"state": STATE, **QUINN, "message": record.request.ts}
    assert not paper.run(unlock.confirm_own(paper.ports, paper.request, **mine))
    paper.pass_time(60)
    assert set(paper.store.texts) == set(paper.kinds)

    move(paper, "here")
    assert paper.run(unlock.confirm_own(paper.ports, paper.request, **mine))
    paper.pass_time(60)
    assert paper.store.texts == {}


def test_a_hold_in_the_place_of_before_has_not_ended_and_its_end_is_not_made_up(make_paper):
    paper = make_paper()
    paper.ports.states[STATE] = replace(paper.ports.states[STATE], place="here")
    command = holds.HoldCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
    hold_id = paper.run(holds.ask(paper.ports, command)).hold.id
    paper.pass_time(5)
    assert set(paper.store.texts) == set(paper.kinds)

    move(paper)
    paper.pass_time(300)

    left = paper.run(HOLDS.get(paper.ports, hold_id))
    assert left.end is HoldEnd.NOT_CONFIGURED
    assert "force-unlock" in left.note
    assert set(paper.store.texts) == set(paper.kinds)

    move(paper, "here")
    paper.run(PERIODIC["watch_states"].work(paper.ports))
    paper.pass_time(60)
    assert paper.store.texts == {}
    assert paper.run(HOLDS.get(paper.ports, hold_id)).end is HoldEnd.TIME


KEYS = {"type": "s3", "bucket": "acme-tfstate", "key": "k", "region": "eu-west-1", "dynamodb_table": "locks"}


@pytest.mark.parametrize(
    ("changed", "is_elsewhere"),
    [
        ({}, False),
        ({"workspace": "default"}, False),
        ({"dynamodb_table": "others"}, True),
        ({"use_lockfile": True}, True),
        ({"region": "eu-central-1"}, True),
        ({"endpoint_url": "https://minio.example"}, True),
        ({"bucket": "acme-others"}, True),
    ],
)
def test_a_state_is_elsewhere_where_its_lock_could_be_another_one(changed, is_elsewhere):
    made_with = Means(clock=WallClock(), records=None, aws=None, secrets={})
    sections = (Backend(**KEYS | each) for each in ({}, changed))
    settings = (StateSettings("s", "", protected=False, backend=section, pipelines=()) for section in sections)
    before, now = (state_of(each, made_with) for each in settings)

    assert now.is_elsewhere(before.place) is is_elsewhere

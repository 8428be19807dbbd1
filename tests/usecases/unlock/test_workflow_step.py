"""The step of a workflow: it shows a checklist, a member takes it on, and the workflow hears of the end, once."""

import json
from datetime import timedelta

import pytest

from bot.core.reports.in_flight import RequestInFlight
from bot.core.reports.step import StepReport, StepStage
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import NotPermitted, Unreachable
from bot.usecases.unlock import unlock, workflow_step
from tests.worlds.memory.memory import WORKER, Killed
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

EXECUTION = "Fx1"


class Room:
    """A world on paper with a run that takes the lock and may die."""

    def __init__(self, paper):
        self.paper = paper
        self.ports, self.messenger, self.run = paper.ports, paper.messenger, paper.run
        self.pass_time, self.switchboard, self.store = paper.pass_time, paper.switchboard, paper.store
        paper.ci.start("1", DEPLOY, host="fv-az1-1")

    def hold(self, *, lock_id="5a5a5a5a-1b2c-4d3e-8f40-2b756fec4d7f"):
        created = self.paper.clock.now().isoformat().replace("+00:00", "Z")
        info = {"ID": lock_id, "Operation": "OperationTypeApply", "Info": "", "Who": "runner@fv-az1-1"}
        info |= {"Version": "1.11.4", "Created": created, "Path": "b/k"}
        for kind in self.store.kinds:
            self.store.write(kind, json.dumps(info))

    def dies(self):
        self.paper.ci.end("1", Conclusion.FAILED)

    @property
    def is_held(self):
        return bool(self.store.texts)


class Step:
    def __init__(self, room):
        self.room = room

    def begins(self, *, state=STATE, channel=CHANNEL):
        self.room.run(workflow_step.begin(self.room.ports, EXECUTION, state, channel, "a deploy waits"))

    def is_taken_on(self, user="U0QUINN", *, lock_id=None):
        lock_id = self.shown.lock_id if lock_id is None else lock_id
        return self.room.run(workflow_step.arm(self.room.ports, EXECUTION, state=STATE, lock_id=lock_id, user=user))

    @property
    def shown(self):
        return next(shown for shown in self.room.messenger.now(StepReport).values() if shown.execution == EXECUTION)

    @property
    def told(self):
        return self.room.messenger.ended


@pytest.fixture
def room(make_paper):
    return Room(make_paper())


@pytest.fixture
def step(room):
    return Step(room)


def test_a_step_shows_the_checklist_and_unlocks_nothing_by_itself(room, step):
    room.hold()
    step.begins()
    assert step.shown.stage is StepStage.OPEN
    assert step.shown.verdict is not None
    room.pass_time(3600)
    assert room.is_held
    assert step.told == []


def test_a_member_takes_it_on_and_the_workflow_goes_on_when_the_lock_is_released(room, step):
    room.hold()
    room.dies()
    step.begins()
    step.is_taken_on()
    room.pass_time(900)
    assert not room.is_held
    assert step.told == [(EXECUTION, "released")]
    assert step.shown.stage is StepStage.SUCCEEDED
    assert step.shown.by == "U0QUINN"


@pytest.mark.parametrize("user", ["U0GUEST", "U0NOBODY", ""])
def test_nobody_but_an_eligible_member_can_take_it_on(room, step, user):
    room.hold()
    room.dies()
    step.begins()
    with pytest.raises(NotPermitted):
        step.is_taken_on(user)
    room.pass_time(600)
    assert room.is_held
    assert step.shown.stage is StepStage.OPEN


def test_a_button_for_another_lock_changes_nothing(room, step):
    room.hold()
    step.begins()
    with pytest.raises(NotPermitted, match="another lock"):
        step.is_taken_on(lock_id="another")
    assert room.is_held


def test_a_lock_that_changed_hands_is_not_armed(room, step):
    room.hold()
    room.dies()
    step.begins()
    room.store.texts.clear()
    room.hold(lock_id="11111111-2222-4333-8444-555555555555")
    report = step.is_taken_on()
    assert report.stage.value != "armed"
    room.pass_time(600)
    assert room.is_held


def test_of_two_clicks_one_takes_it_on(room, step):
    room.hold()
    room.dies()
    step.begins()
    step.is_taken_on()
    with pytest.raises(NotPermitted, match="already"):
        step.is_taken_on("U0PARKER")


def test_beside_a_request_in_flight_none_is_made_and_the_workflow_waits_for_that_ones_end(room, step):
    room.hold()
    room.dies()
    step.begins()
    wish = unlock.UnlockCommand(STATE, "U0PARKER", CHANNEL, room.paper.incident.id, when_safe=True)
    first = room.run(unlock.ask(room.ports, wish)).request

    found = step.is_taken_on()

    assert isinstance(found, RequestInFlight)
    assert (found.id, found.by) == (first.id, "U0PARKER")
    assert {report.request.id for report in room.messenger.all(UnlockReport)} == {first.id}
    room.pass_time(900)
    assert not room.is_held
    assert step.told == [(EXECUTION, "released")]


def test_a_request_that_is_taken_back_ends_the_workflow(room, step):
    room.hold()
    room.dies()
    step.begins()
    request = step.is_taken_on().request
    room.run(unlock.disarm(room.ports, request.id, lock_id=request.lock_id, user="U0QUINN"))
    room.pass_time(600)
    ((_, why),) = step.told
    assert "was not unlocked" in why
    assert room.is_held


def test_nobody_takes_it_on_so_the_workflow_ends_after_two_hours(room, step):
    room.hold()
    step.begins()
    room.pass_time(workflow_step.OPEN_FOR.total_seconds() + 60)
    ((_, why),) = step.told
    assert "nobody took it on in time" in why
    assert step.shown.stage is StepStage.FAILED
    with pytest.raises(NotPermitted):
        step.is_taken_on()
    assert room.is_held


def test_a_state_that_is_free_already_lets_the_workflow_go_on(room, step):
    step.begins()
    room.pass_time(30)
    assert step.told == [(EXECUTION, "already free")]


@pytest.mark.parametrize(("state", "channel"), [("unknown", CHANNEL), (STATE, "C0ELSE")])
def test_an_unknown_state_or_another_channel_ends_the_workflow_with_a_sentence(room, step, state, channel):
    room.hold()
    step.begins(state=state, channel=channel)
    room.pass_time(30)
    ((_, why),) = step.told
    assert "nothing was changed" in why
    assert room.is_held


def test_the_workflow_is_told_once_though_slack_was_away(room, step):
    room.hold()
    room.dies()
    failures = iter(range(3))

    async def away(name):
        if name == "complete step" and next(failures, None) is not None:
            raise Unreachable("Slack", "no connection")

    room.switchboard.fault = away
    step.begins()
    step.is_taken_on()
    room.pass_time(1200)
    assert step.told == [(EXECUTION, "released")]
    room.pass_time(timedelta(hours=3).total_seconds())
    assert step.told == [(EXECUTION, "released")]


def test_a_step_that_is_delivered_twice_asks_once(room, step):
    room.hold()
    step.begins()
    first = step.shown
    step.begins()
    assert step.shown is first


def test_a_process_that_dies_while_it_takes_a_step_on_leaves_no_workflow_waiting(room, step):
    room.hold()
    room.dies()
    step.begins()

    async def dies(name):
        if name == "put unlock":
            raise Killed(name)

    room.switchboard.fault = dies
    with pytest.raises(Killed):
        step.is_taken_on()
    room.switchboard.fault = None
    room.pass_time(1800)
    ((_, why),) = step.told
    assert "interrupted" in why
    assert room.is_held


@pytest.mark.parametrize("point", ["show step", "showed step", "complete step"])
def test_a_worker_that_dies_is_followed_by_another_and_the_workflow_hears_once(room, step, point):
    room.hold()
    room.dies()
    deaths = iter(range(1))

    async def dies(name):
        if name == point and WORKER.get() and next(deaths, None) is not None:
            room.switchboard.dead.add(WORKER.get())

    room.switchboard.fault = dies
    room.run(room.ports.jobs.start("step", EXECUTION, STATE, CHANNEL, "a deploy waits", key=f"step:{EXECUTION}"))
    room.pass_time(60)
    step.is_taken_on()
    room.pass_time(1200)
    assert step.told == [(EXECUTION, "released")]
    assert len(room.messenger.posted(StepReport)) == 1

"""Automatic releases with Terraform, people, the configuration, bad moments and dying workers in between.

The oracle knows which process has the lock and whether it lives, who said what and when, and judges every delete that
nobody asked for at its instant. It shares no rule with the gate.

What it holds such a delete to: the holder is dead and settled, and its end is one that needs nobody's second look; the
lock names its run; the state is whole and quiet; the configuration wants it, and the state is not protected; it was
announced at least `veto` ago, and `after` had passed before that; nobody has stopped it, and the owner does not object.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from bot.core.gate.stages import UnlockStage
from bot.core.lock import PlaceKind
from bot.core.people import BOT, OwnerAnswer, OwnerSays
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import JournalAway, NotPermitted, Throttled, Unreachable
from bot.usecases.decide.owner import record_answer, take_answer_back
from bot.usecases.unlock import unlock
from tests.usecases.unlock.machine import HALVES, IS_NIGHTLY, WORKERS, Machine, lengths
from tests.usecases.unlock.test_auto_release import AFTER, ALERTS, GUEST, QUINN, RULE, VETO, Town
from tests.worlds.memory.memory import WORKER
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

ELLIOTT = "U0ELLIOTT"
ENDS = st.sampled_from([*[Conclusion.FAILED] * 4, *Conclusion])
TROUBLES = st.sampled_from(["throttled", "answer lost", "ci", "journal", "slack", "slack is busy", "people"])
EVENTS = st.sampled_from(
    ["killed", "killed", "stalls", "rerun", "changes hands", "ends well", "goes on", "stop", "objects", "unlocks",
     "config off", "protected", "unconfigured"]
)  # fmt: skip

SLACK = ("tell ", "told ", "letter", "notice", "look for ", "permalink", "post alerts", "redraw")


class AutoReleaseMachine(Machine):
    """The bot may delete a lock without being asked only if all of that is so."""

    reruns_on = None
    places: ClassVar = {
        "throttled": ("read lockfile", "read dynamodb", "read state", "delete "),
        "answer lost": ("deleted ",),
        "ci": ("list runs", "read run"),
        "journal": ("append", "update", "get ", "take", "start ", "put ", "enlist", "open"),
        "slack": SLACK,
        "slack is busy": SLACK,
        "people": ("look up ",),
    }

    @initialize(kinds=HALVES, how=ENDS, is_named=st.sampled_from([True, True, True, False]))
    def begin(self, kinds, how, is_named):
        self._enter(Town(kinds=kinds))
        self.state = self.world.ports.states[STATE]
        self.stops: dict[str, int] = {}
        self.objected: dict[str, int] = {}
        self.wanted_at: dict[str, datetime] = {}
        self.announced: dict[str, datetime] = {}
        self.looked: dict[str, dict[str, int]] = {}
        self.is_asked_for = False
        self._take_lock(is_named=is_named)
        self.world.pass_time(60)
        self._end_as(how, 0.5)

    # ── the truth

    def _take_lock(self, *, is_named):
        run_id = f"{1001 + self.count}"
        self.world.ci.start(run_id, DEPLOY, host=f"runner-{self.count + 1}", actor="elliott-ci")
        who = f"root@gha-{run_id}" if is_named else "runner@fv-az881-525"
        self._take(who, run_id, self.world.kinds, is_named=is_named)

    def _change_hands(self):
        if self._holder() is None:
            self.world.store.texts.clear()
            self._take_lock(is_named=True)

    # ── what happens

    @rule(how=ENDS, lives_on=st.floats(0.0, 0.98), is_named=st.sampled_from([True, True, False]))
    def a_run_takes_the_lock_and_dies_with_it(self, how, lives_on, is_named):
        self._end_runs(how, attempts_from=2)
        self._end_well()
        if self._holder() is None:
            self.world.store.texts.clear()
            self._take_lock(is_named=is_named)
            self.world.pass_time(60)
            self._end_as(how, lives_on)

    @rule(what=st.sampled_from(["goes on", "ends", "ends well", "rerun", "reruns end", "changes hands"]), how=ENDS)
    def terraform_or_its_ci_does_something(self, what, how):
        match what:
            case "ends":
                self._end_as(how, 0.9)
            case "reruns end":
                self._end_runs(how, attempts_from=2)
            case _:
                self.world.run(super()._happens(what, ""))

    @rule(what=st.sampled_from(["off", "protected", "unconfigured", "on", "on", "state breaks"]))
    def the_configuration_or_the_state_changes(self, what):
        self._configure(what)

    def _configure(self, what):
        if what == "unconfigured" and self.is_asked_for:
            return  # what becomes of people's own requests then is no matter of this machine
        if what == "state breaks":
            self.world.store.fault = None if self.world.store.fault else "it is cut off"
            self._note("broken", is_bad=self.world.store.fault is not None)
            return
        states = {} if what == "unconfigured" else {STATE: self._state(what)}
        self.world.ports = replace(self.world.ports, states=states)
        self._note("not wanted", is_bad=what in {"off", "unconfigured"})
        self._note("protected", is_bad=what == "protected")

    def _state(self, what):
        name = replace(self.state.name, protected=what == "protected")
        return replace(self.state, auto_release=None if what == "off" else RULE, name=name)

    @rule(user=st.sampled_from([GUEST, "U0OUTSIDE", QUINN]), recent=st.integers(0, 2))
    def somebody_presses_the_button(self, user, recent):
        self.world.run(self._stops(user, recent))

    async def _stops(self, user, recent=0):
        shown = [one for one in self.world.messenger.all(UnlockReport) if one.request.is_automatic]
        if recent < len(shown):
            request = shown[-1 - recent].request
            try:
                await unlock.disarm(self.world.ports, request.id, lock_id=request.lock_id, user=user)
            except (NotPermitted, JournalAway, Unreachable, Throttled):
                return
            self.stops[request.lock_id] = self.world.switchboard.calls

    @rule(takes_back=st.booleans())
    def the_owner_says_something(self, takes_back):
        self.world.run(self._objects(takes_back=takes_back))

    async def _objects(self, *, takes_back=False):
        for lock_id in self.world.locks:
            answer = OwnerAnswer(lock_id, ELLIOTT, OwnerSays.RUNNING, self.now)
            try:
                if takes_back:
                    self.objected.pop(lock_id, None)
                    await take_answer_back(self.world.ports, STATE, answer, at=self.now, incident="")
                else:
                    await record_answer(self.world.ports, STATE, answer, incident="")
                    self.objected[lock_id] = self.world.switchboard.calls
            except JournalAway:
                return

    @rule()
    def somebody_unlocks_it(self):
        self.world.run(self._unlocks())

    async def _unlocks(self):
        if STATE not in self.world.ports.states:
            return
        self.is_asked_for = True
        try:
            wanted = unlock.UnlockCommand(STATE, QUINN, CHANNEL, self.world.incident.id)
            report = await unlock.ask(self.world.ports, wanted)
            lock_id = report.request.lock_id
            await unlock.confirm(self.world.ports, report.request.id, lock_id=lock_id, user=QUINN)
        except (NotPermitted, JournalAway, Unreachable, Throttled):
            return

    @rule(minutes=st.sampled_from([1, 2, 5, 11, 18, 25]), workers=WORKERS)
    def time_passes(self, minutes, workers):
        self.world.watch(minutes, *workers)

    @rule(workers=WORKERS, moments=st.lists(st.tuples(st.integers(1, 160), EVENTS), max_size=3))
    def a_release_is_announced_and_disturbed(self, workers, moments):
        """Whatever happens in the sweep that announces, or in the job that releases."""
        for _ in range(20):
            self.world.watch(1, *workers)
            if any(one.stage is UnlockStage.ARMED for one in self.world.shown):
                break
        for moment, what in moments:
            self.plans[self.world.switchboard.calls + moment] = what
        self.world.watch(7, *workers)

    @rule(moment=st.integers(1, 700), what=EVENTS)
    def something_happens_in_the_middle(self, moment, what):
        self.plans[self.world.switchboard.calls + moment] = what

    @rule(what=TROUBLES, times=st.integers(1, 6))
    def a_system_has_a_bad_moment(self, what, times):
        self.troubled[what] = times

    async def _fault(self, name):
        worker, calls = WORKER.get(), self.world.switchboard.calls
        if name == "told armed":
            self._hear_announcements()
        if not worker:
            return
        for what in self._due():
            await self._happens(what, worker)
        self.looked.setdefault(worker, {})[name] = calls
        self._trouble(name)

    def _hear_announcements(self):
        for one in self.world.messenger.all(UnlockReport):
            if one.request.is_automatic:
                self.announced.setdefault(one.request.id, self.now)

    async def _happens(self, what, worker):
        match what:
            case "stop" | "objects" | "unlocks":
                token = WORKER.set("")
                work = {"stop": lambda: self._stops(GUEST), "objects": self._objects, "unlocks": self._unlocks}[what]
                try:
                    await work()
                finally:
                    WORKER.reset(token)
            case "config off" | "protected" | "unconfigured":
                self._configure(what.removeprefix("config "))
            case _:
                await super()._happens(what, worker)

    # ── the oracle

    def _judge_delete(self, lock_id):
        intents = [entry for entry in self.world.entries("unlock.releasing") if entry.facts["lock_id"] == lock_id]
        assert intents, "no intent was written down"
        holder = self.holders[lock_id]
        assert not self._is_alive(holder), "its holder lives"
        if {entry.actor for entry in intents} == {BOT}:
            self._judge_automatic(holder, intents[-1].facts["request"])

    def _judge_automatic(self, holder, request):
        looked = self.looked[WORKER.get()]
        settled = holder.ended_at + self.world.policy.settle_time(holder.ended_as)
        assert holder.ended_as not in {Conclusion.SUCCESS, Conclusion.LOST}
        assert holder.is_named, "only the time ties it"
        assert self.now >= self.world.store.last_written + self.world.policy.state_quiet
        for what in ("broken", "not wanted", "protected"):
            assert self._has_been(what), what
        assert request in self.announced, "it was not announced"
        assert self.now >= self.announced[request] + VETO, "nobody had the time to stop it"
        assert self.announced[request] >= settled + AFTER, "it was announced too early"
        stopped = self.stops.get(holder.lock_id)
        assert stopped is None or stopped > looked["get auto-release-stopped"], "somebody has stopped it"
        objected = self.objected.get(holder.lock_id)
        assert objected is None or objected > looked["get owner-answer"], "its owner objects"

    def _check_the_end(self):
        self._check_the_timeline(self._come_to_rest(lambda: self.world.watch(60)))
        self._check_what_was_shown()

    def _check_what_was_shown(self):
        automatic = [one for one in self.world.shown if one.request.is_automatic]
        posted = Counter(one.request.id for one in automatic)
        assert all(times == 1 for times in posted.values()), "announced twice"
        per_lock = Counter(one.request.lock_id for one in automatic)
        assert all(times <= 3 for times in per_lock.values()), "announced again and again"
        ends = ("unlock.released", "unlock.failed", "unlock.declined", "unlock.withdrawn")
        told = {entry.facts["request"] for entry in self.world.entries(*ends)}
        for one in automatic:
            assert one.stage not in {UnlockStage.ARMED, UnlockStage.RELEASING}, f"{one.request.id} stays announced"
            assert one.request.id in told, "announced, and no end of it on the timeline"
        assert {where for where, what in self.world.messenger.posts if isinstance(what, UnlockReport)} <= {
            ALERTS, CHANNEL,
        }  # fmt: skip


TestAutoReleaseMachine = AutoReleaseMachine.TestCase
TestAutoReleaseMachine.settings = lengths(60, 15, nightly=(3_000, 40))
if not IS_NIGHTLY:
    TestAutoReleaseMachine.pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("event", ["killed", "stop", "objects", "rerun", "changes hands", "config off", "unconfigured"])
@pytest.mark.parametrize("moment", [1, 20, 45, 70, 95, 130])
def test_what_a_machine_may_take_long_to_come_to_keeps_the_promise(event, moment):
    machine = AutoReleaseMachine()
    machine.begin(kinds=(PlaceKind.FILE, PlaceKind.ITEM), how=Conclusion.FAILED, is_named=True)
    machine.a_release_is_announced_and_disturbed(("w1", "w2"), [(moment, event)])
    machine.teardown()

"""Automatic releases with Terraform, people, the configuration, bad moments and dying workers in between.

The oracle knows which process has the lock and whether it lives, who said what and when, and judges every delete that
nobody asked for at its instant. It shares no rule with the gate.

What it holds such a delete to: the holder is dead and settled, and its end is one that needs nobody's second look; the
lock names its run; the state is whole and quiet; the configuration wants it, and the state is not protected; it was
announced at least `veto` ago, and `after` had passed before that; nobody has stopped it, and the owner does not object.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo, PlaceKind, parse_lock_info
from bot.core.people import BOT, OwnerAnswer, OwnerSays
from bot.core.record.timeline import verify
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion, Phase
from bot.errors import JournalAway, NotPermitted, Throttled, Unreachable
from bot.usecases.decide.owner import record_answer, take_answer_back
from bot.usecases.unlock import unlock
from tests.usecases.unlock.test_auto_release import AFTER, ALERTS, GUEST, QUINN, RULE, VETO, Town
from tests.worlds.memory.memory import WORKER, Throttle, lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

ELLIOTT = "U0ELLIOTT"
HALVES = st.sampled_from([(PlaceKind.ITEM,), (PlaceKind.FILE,), (PlaceKind.FILE, PlaceKind.ITEM)])
ENDS = st.sampled_from([*[Conclusion.FAILED] * 4, *Conclusion])
WORKERS = st.sampled_from([("w1",), ("w1", "w2")])
TROUBLES = st.sampled_from(["throttled", "answer lost", "ci", "journal", "slack", "slack is busy", "people"])
EVENTS = st.sampled_from(
    ["killed", "killed", "stalls", "rerun", "changes hands", "ends well", "goes on", "stop", "objects", "unlocks",
     "config off", "protected", "unconfigured"]
)  # fmt: skip
STALLED = timedelta(seconds=20)

SLACK = ("tell ", "told ", "letter", "notice", "look for ", "permalink", "post alerts", "redraw")
PLACES = {
    "throttled": ("read lockfile", "read dynamodb", "read state", "delete "),
    "answer lost": ("deleted ",),
    "ci": ("list runs", "read run"),
    "journal": ("append", "update", "get ", "take", "start ", "put ", "enlist", "open"),
    "slack": SLACK,
    "slack is busy": SLACK,
    "people": ("look up ",),
}


@dataclass
class Holder:
    """A Terraform process as it really is. `is_named`: its lock bears the number of its run."""

    lock_id: str
    run_id: str
    taken_at: datetime
    is_named: bool
    ended_as: Conclusion | None = None
    ended_at: datetime | None = None
    dies_at: datetime | None = None


class AutoReleaseMachine(RuleBasedStateMachine):
    """The bot may delete a lock without being asked only if all of that is so."""

    @initialize(kinds=HALVES, how=ENDS, is_named=st.sampled_from([True, True, True, False]))
    def begin(self, kinds, how, is_named):
        self.world = Town(kinds=kinds)
        self.state = self.world.ports.states[STATE]
        self.world.switchboard.fault = self._fault
        self.world.store.on_delete = self._judge
        self.world.store.last_written = self.now
        self.holders: dict[str, Holder] = {}
        self.stops: dict[str, int] = {}
        self.objected: dict[str, int] = {}
        self.wanted_at: dict[str, datetime] = {}
        self.announced: dict[str, datetime] = {}
        self.looked: dict[str, dict[str, int]] = {}
        self.plans: dict[int, str] = {}
        self.troubled: Counter[str] = Counter()
        self.stalls: list[datetime] = []
        self.deleted: list[str] = []
        self.bad_since: dict[str, datetime] = {}
        self.count = 0
        self.is_judging = self.is_asked_for = False
        self._take(is_named=is_named)
        self.world.pass_time(60)
        self._end_as(how, 0.5)

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            if not self.is_judging:
                self._check_the_end()
        finally:
            self.world.close()

    # ── the truth

    @property
    def now(self):
        return self.world.clock.now()

    def _holder(self):
        """The living holder of a lock that stands."""
        alive = (self.holders[lock] for lock in self.world.locks if self._is_alive(self.holders[lock]))
        return next(alive, None)

    def _is_alive(self, holder):
        return holder.dies_at is None or holder.dies_at > self.now

    def _take(self, *, is_named):
        self.count += 1
        run_id = f"{1000 + self.count}"
        self.world.ci.start(run_id, DEPLOY, host=f"runner-{self.count}", actor="elliott-ci")
        who = f"root@gha-{run_id}" if is_named else "runner@fv-az881-525"
        info = LockInfo(f"lock-{self.count}", "OperationTypeApply", "", who, "1.9.8", self.now, "p")
        for kind in self.world.kinds:
            self.world.store.write(kind, lock_text(info))
        self.holders[info.id] = Holder(info.id, run_id, self.now, is_named)

    def _end_as(self, how, lives_on):
        """The runner may live on for less than the settle time, which is what that time is for."""
        holder = self._holder()
        if holder is not None and holder.ended_at is None:
            self.world.ci.end(holder.run_id, how)
            holder.ended_as, holder.ended_at = how, self.now
            holder.dies_at = self.now + self.world.policy.settle_time(how) * lives_on

    def _end_well(self):
        holder = self._holder()
        if holder is not None:
            self.world.store.texts.clear()
            if holder.ended_at is None:
                self.world.ci.end(holder.run_id, Conclusion.SUCCESS)
                holder.ended_as, holder.ended_at = Conclusion.SUCCESS, self.now
            holder.dies_at = self.now

    def _change_hands(self):
        if self._holder() is None:
            self.world.store.texts.clear()
            self._take(is_named=True)

    def _rerun(self):
        ended = [run for run in self.world.ci.known.values() if run.phase is Phase.ENDED]
        if ended:
            self.world.ci.start(ended[-1].ref.id, DEPLOY, host=(ended[-1].jobs or ())[-1].host, actor="elliott-ci")

    # ── what happens

    @rule(how=ENDS, lives_on=st.floats(0.0, 0.98), is_named=st.sampled_from([True, True, False]))
    def a_run_takes_the_lock_and_dies_with_it(self, how, lives_on, is_named):
        self._end_reruns(how)
        self._end_well()
        if self._holder() is None:
            self.world.store.texts.clear()
            self._take(is_named=is_named)
            self.world.pass_time(60)
            self._end_as(how, lives_on)

    @rule(what=st.sampled_from(["goes on", "ends", "ends well", "rerun", "reruns end", "changes hands"]), how=ENDS)
    def terraform_or_its_ci_does_something(self, what, how):
        match what:
            case "ends":
                self._end_as(how, 0.9)
            case "reruns end":
                self._end_reruns(how)
            case _:
                self._truth_changes(what)

    def _truth_changes(self, what):
        match what:
            case "goes on" if self._holder() is not None:
                self.world.store.last_written = self.now
            case "ends well":
                self._end_well()
            case "rerun":
                self._rerun()
            case "changes hands":
                self._change_hands()

    def _end_reruns(self, how):
        for run in list(self.world.ci.known.values()):
            if run.phase is Phase.RUNNING and run.attempt > 1:
                self.world.ci.end(run.ref.id, how)

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

    def _note(self, what, *, is_bad):
        if is_bad:
            self.bad_since.setdefault(what, self.now)
        else:
            self.bad_since.pop(what, None)

    def _has_been_good(self, what):
        """At some moment that a delete of now may still rest on."""
        recent = [at for at in self.stalls if self.now - at < timedelta(minutes=10)]
        grace = self.world.policy.evidence_max_age + STALLED * len(recent) + timedelta(seconds=15)
        return self.now - self.bad_since.get(what, self.now) <= grace

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
        for call in [call for call in self.plans if call <= calls]:
            await self._happens(self.plans.pop(call), worker)
        self.looked.setdefault(worker, {})[name] = calls
        for what, prefixes in PLACES.items():
            if self.troubled[what] and name.startswith(prefixes):
                self.troubled[what] -= 1
                self._fail(what)

    def _hear_announcements(self):
        for one in self.world.messenger.all(UnlockReport):
            if one.request.is_automatic:
                self.announced.setdefault(one.request.id, self.now)

    async def _happens(self, what, worker):
        match what:
            case "killed":
                self.world.switchboard.dead.add(worker)
            case "stalls":
                self.stalls.append(self.now)
                await asyncio.sleep(STALLED.total_seconds())
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
                self._truth_changes(what)

    def _fail(self, what):
        if what == "journal":
            raise JournalAway("away")
        if what in {"throttled", "people"}:
            raise Throttle
        if what == "slack is busy":
            raise Throttled("Slack", "asks for patience", retry_after=5)
        raise Unreachable("somebody", "no answer")

    # ── the oracle

    def _judge(self, kind, text):  # noqa: ARG002 - the store names the place, too
        self.is_judging = True  # for ever, if it does not come to its end
        lock_id = parse_lock_info(text).id
        self.deleted.append(lock_id)
        intents = [entry for entry in self.world.entries("unlock.releasing") if entry.facts["lock_id"] == lock_id]
        assert intents, "no intent was written down"
        holder = self.holders[lock_id]
        assert not self._is_alive(holder), "its holder lives"
        if {entry.actor for entry in intents} == {BOT}:
            self._judge_automatic(holder, intents[-1].facts["request"])
        self.is_judging = False

    def _judge_automatic(self, holder, request):
        looked = self.looked[WORKER.get()]
        settled = holder.ended_at + self.world.policy.settle_time(holder.ended_as)
        assert holder.ended_as not in {Conclusion.SUCCESS, Conclusion.LOST}
        assert holder.is_named, "only the time ties it"
        assert self.now >= self.world.store.last_written + self.world.policy.state_quiet
        for what in ("broken", "not wanted", "protected"):
            assert self._has_been_good(what), what
        assert request in self.announced, "it was not announced"
        assert self.now >= self.announced[request] + VETO, "nobody had the time to stop it"
        assert self.announced[request] >= settled + AFTER, "it was announced too early"
        stopped = self.stops.get(holder.lock_id)
        assert stopped is None or stopped > looked["get auto-release-stopped"], "somebody has stopped it"
        objected = self.objected.get(holder.lock_id)
        assert objected is None or objected > looked["get owner-answer"], "its owner objects"

    def _check_the_end(self):
        self.troubled.clear()
        self.plans.clear()
        self.world.watch(60)
        for log in self.world.journal.logs.values():
            verify(log)
        self._check_the_timeline()
        self._check_what_was_shown()

    def _check_the_timeline(self):
        released = {entry.facts["lock_id"] for entry in self.world.entries("unlock.released")}
        assert not released & self.world.locks, "recorded as released, and still there"
        outcomes = {entry.facts["lock_id"] for entry in self.world.entries("unlock.released", "unlock.failed")}
        assert set(self.deleted) - self.world.locks <= outcomes, "every delete has its outcome"

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


IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"

TestAutoReleaseMachine = AutoReleaseMachine.TestCase
TestAutoReleaseMachine.settings = settings(
    max_examples=3_000 if IS_NIGHTLY else 120,
    stateful_step_count=40 if IS_NIGHTLY else 15,
    derandomize=settings().derandomize and not IS_NIGHTLY,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
if not IS_NIGHTLY:
    TestAutoReleaseMachine.pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("event", ["killed", "stop", "objects", "rerun", "changes hands", "config off", "unconfigured"])
@pytest.mark.parametrize("moment", [1, 20, 45, 70, 95, 130])
def test_what_a_machine_may_take_long_to_come_to_keeps_the_promise(event, moment):
    machine = AutoReleaseMachine()
    machine.begin(kinds=(PlaceKind.FILE, PlaceKind.ITEM), how=Conclusion.FAILED, is_named=True)
    machine.a_release_is_announced_and_disturbed(("w1", "w2"), [(moment, event)])
    machine.teardown()

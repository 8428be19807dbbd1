"""Holds, releases, Terraform, people, time and crashes in every order, and an oracle that knows who is alive.

The truth is kept beside the bot: which process holds each lock, whose each hold is and until when, who has a right. At
the instant of every write and delete in the store the oracle asks whether it was allowed, by none of the bot's rules.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from bot.core.lock import parse_lock_info
from bot.core.run import Conclusion
from bot.errors import JournalAway, NotPermitted, UpstreamError
from bot.usecases.hold import ask as holds
from bot.usecases.hold.record import open_holds
from bot.usecases.unlock import unlock
from bot.worker import PERIODIC
from tests.usecases.unlock.machine import HALVES, IS_NIGHTLY, WORKERS, Machine, lengths
from tests.worlds.memory.memory import WORKER
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE, MemoryWorld

PEOPLE = st.sampled_from(["U0QUINN", "U0PARKER", "U0ELLIOTT", "U0GUEST"])
MEMBERS = {"U0QUINN", "U0PARKER", "U0ELLIOTT"}
SPANS = st.sampled_from([2, 10, 30, 120])
TROUBLES = st.sampled_from(["throttled", "cut before", "answer lost", "journal", "slack"])
SETTLES = timedelta(minutes=2)
"""How long after its end a hold may be there while nothing is wrong: the bound of the contract, and a look more."""


class HoldMachine(Machine):
    places = {  # noqa: RUF012 - as in the machine of releases
        "throttled": ("read lockfile", "read dynamodb", "delete ", "swap ", "hold "),
        "cut before": ("delete ", "swap ", "hold "),
        "answer lost": ("deleted ", "swapped ", "held "),
        "journal": ("append", "update", "get ", "take", "renew", "secure", "start "),
        "slack": ("tell ", "told ", "notice", "notify", "look for"),
    }

    @initialize(kinds=HALVES, protected=st.booleans())
    def begin(self, kinds, protected):
        self._enter(MemoryWorld(kinds=kinds, protected=protected))
        self.world.store.on_hold = self._judge_write
        self.asked: dict[str, tuple[str, object]] = {}  # by hold: whose, and when it was last meant to end
        self.requests: dict[str, str] = {}
        self.lifts: dict[str, set[str]] = {}
        self.swaps: set[str] = set()
        self.off: set[str] = set()
        self.trouble_until = self.now

    # ── the truth

    def _operations(self):
        return [parse_lock_info(text) for text, _ in self.world.store.texts.values()]

    def _hold_ids(self):
        return {info.info.rpartition("hold ")[2] for info in self._operations() if info.operation == "tflock hold"}

    def _standing(self):
        return {info.id for info in self._operations() if info.operation != "tflock hold"}

    def _judge_write(self, _, text, before):
        self.is_judging = True
        info = parse_lock_info(text)
        assert info.operation == "tflock hold", "the bot writes no other lock"
        name = info.info.rpartition("hold ")[2]
        if before is not None:
            old = parse_lock_info(before)
            if old.operation == "tflock hold":
                assert old.info.rpartition("hold ")[2] == name, "one hold was written over another"
            else:
                self._judge_delete(old.id)
        self.is_judging = False

    def _judge(self, _, text):
        self.is_judging = True
        info = parse_lock_info(text)
        if info.operation == "tflock hold":
            self._judge_end(info.info.rpartition("hold ")[2])
        else:
            self._judge_delete(info.id)
        self.is_judging = False

    def _judge_delete(self, lock_id):
        holder = self.holders[lock_id]
        assert not self._is_alive(holder), f"{lock_id} was taken away under its living holder"
        assert holder.ended_at is not None
        assert self.now >= holder.ended_at + self.world.policy.settle_time(holder.ended_as)
        assert lock_id in self.swaps | set(self.requests.values()), "nobody asked for it"

    def _judge_end(self, name):
        """A hold ends at its time, with its asker's rights, or by those who may lift it; or it was never in place."""
        user, until, is_placed = self.asked.get(name, ("", self.now, False))
        if not is_placed or self.now >= until or user in self.off:
            return
        lifters = self.lifts.get(name, set())
        if user in lifters or (lifters and not self.world.protected):
            return
        assert len(lifters) > 1, f"{name} was ended before its time by {lifters}"

    # ── Terraform

    @precondition(lambda self: not self.world.store.texts)
    @rule()
    def terraform_takes_the_lock(self):
        run_id = f"{1001 + self.count}"
        self.world.ci.start(run_id, DEPLOY, host="runner-1", actor="elliott-ci")
        self._take("runner@fv-az881-525", run_id, self.world.kinds)

    @precondition(lambda self: self._holder() is not None)
    @rule()
    def the_apply_ends_well(self):
        self._end_well()

    @precondition(lambda self: self._holder() is not None)
    @rule(lives_on=st.floats(0.0, 0.98))
    def ci_says_that_the_run_is_over(self, lives_on):
        self._end_as(Conclusion.FAILED, lives_on)

    @rule()
    def a_lock_is_left_behind(self):
        if self._holder() is not None or self.world.store.texts:
            return
        self.terraform_takes_the_lock()
        self._end_as(Conclusion.FAILED, 0.9)
        self.world.pass_time(700)

    @precondition(lambda self: self.world.store.texts)
    @rule()
    def somebody_uses_force_unlock(self):
        if self._holder() is None:
            self.world.store.texts.clear()

    # ── people

    def _try(self, work):
        async def tried():
            try:
                return await work
            except (NotPermitted, JournalAway, UpstreamError):
                return None

        return self.world.run(tried())

    @rule(user=PEOPLE, minutes=SPANS)
    def somebody_holds(self, user, minutes):
        span = timedelta(minutes=minutes)
        wanted = holds.HoldCommand(STATE, user, CHANNEL, self.world.incident.id, span)
        if self._try(holds.ask(self.world.ports, wanted)) is not None:
            assert user in MEMBERS - self.off

    @precondition(lambda self: not self.world.store.texts)
    @rule(user=st.sampled_from(sorted(MEMBERS)), minutes=SPANS)
    def a_hold_is_in_place(self, user, minutes):
        """Without this, most roads lead to a refusal."""
        self.troubled.clear()
        self.somebody_holds(user, minutes)
        self.world.pass_time(5)
        self._remember()

    @precondition(lambda self: not self.world.store.texts)
    @rule(lifter=PEOPLE, second=PEOPLE, seconds=st.sampled_from([5, 130]))
    def a_hold_in_place_is_lifted(self, lifter, second, seconds):
        self.a_hold_is_in_place("U0QUINN", 30)
        self.somebody_lifts(lifter)
        self.world.pass_time(seconds)
        self.somebody_agrees(second)
        self.world.pass_time(seconds)

    @precondition(lambda self: not self.world.store.texts)
    @rule(moment=st.integers(1, 40), minutes=SPANS)
    def someone_is_faster_than_a_hold(self, moment, minutes):
        """Their Terraform takes what is free, which may be one of two places."""
        self.troubled.clear()
        self.somebody_holds("U0QUINN", minutes)
        self.plans[self.world.switchboard.calls + moment] = "faster"
        self.world.pass_time(5)
        self._remember()

    async def _happens(self, what, worker):
        free = [kind for kind in self.world.kinds if kind not in self.world.store.texts]
        if what == "faster" and free and self._holder() is None:
            run_id = f"{1001 + self.count}"
            self.world.ci.start(run_id, DEPLOY, host="runner-1", actor="elliott-ci")
            self._take("runner@fv-az881-525", run_id, free)
        elif what != "faster":
            await super()._happens(what, worker)

    @precondition(lambda self: self.world.store.texts)
    @rule(user=PEOPLE)
    def somebody_swaps(self, user):
        wanted = unlock.UnlockCommand(STATE, user, CHANNEL, self.world.incident.id)
        report = self._try(unlock.ask(self.world.ports, wanted))
        if report is None or not report.request.ts or not report.request.lock_id:
            return
        lock_id = report.request.lock_id
        click = unlock.confirm(self.world.ports, report.request.id, lock_id=lock_id, user=user, hold=True)
        self.swaps.add(lock_id)
        self._try(click)

    @rule(user=PEOPLE)
    def somebody_lifts(self, user):
        for record in self.world.run(open_holds(self.world.ports)):
            before = self.lifts.setdefault(record.hold.id, set())
            if self._try(holds.lift(self.world.ports, record.hold.id, user=user)) is not None:
                assert user in MEMBERS - self.off
                before.add(user)

    @rule(user=PEOPLE)
    def somebody_agrees(self, user):
        for record in self.world.run(open_holds(self.world.ports)):
            agreed = holds.approve(self.world.ports, record.hold.id, user=user, lifter=record.lift_by)
            if self._try(agreed) is not None:
                assert user in MEMBERS - self.off
                self.lifts.setdefault(record.hold.id, set()).add(user)

    @rule(user=PEOPLE)
    def somebody_prolongs(self, user):
        for record in self.world.run(open_holds(self.world.ports)):
            done = self._try(holds.prolong(self.world.ports, record.hold.id, user=user))
            assert done is None or user == record.hold.user

    @rule(user=st.sampled_from(["U0QUINN", "U0PARKER"]))
    def somebody_leaves(self, user):
        if len(self.off) == 0:
            self.off.add(user)
            people = self.world.directory.people
            people[user] = replace(people[user], is_deleted=True)

    # ── time, troubles, crashes

    @rule(seconds=st.sampled_from([1, 20, 130, 700, 1900]), workers=WORKERS)
    def time_passes(self, seconds, workers):
        self.world.pass_time(seconds, workers=workers)
        self.world.run(self._periodic())
        self._remember()

    async def _periodic(self):
        for name in ("tend", "watch_states"):
            with suppress(JournalAway, UpstreamError):
                await PERIODIC[name].work(self.world.ports)

    @rule(what=TROUBLES, times=st.integers(1, 6))
    def something_has_a_bad_moment(self, what, times):
        self.troubled[what] = times

    @rule(moment=st.integers(1, 60))
    def a_worker_is_killed(self, moment):
        self.plans[self.world.switchboard.calls + moment] = "killed"

    async def _fault(self, name):
        worker = WORKER.get()
        if not worker:
            return
        self._remember_now()
        for what in self._due():
            await self._happens(what, worker)
        self._trouble(name)

    def _remember(self):
        self._remember_now()

    def _remember_now(self):
        """What people were promised: whose each hold is, and until when, as its lock in the store says."""
        for info in self._operations():
            if info.operation != "tflock hold":
                continue
            name = info.info.rpartition("hold ")[2]
            until = self._until(info.info)
            known = self.asked.get(name, ("", until, False))
            # one of two places is not the state: someone may be faster in the other
            is_whole = set(self.world.store.texts) == set(self.world.kinds) and not self._standing()
            is_placed = known[2] or is_whole
            self.asked[name] = (self._user(info.who), max(until, known[1]), is_placed)

    def _user(self, who):
        names = {"quinn": "U0QUINN", "parker": "U0PARKER", "elliott": "U0ELLIOTT"}
        return names[who.partition("(@")[2].rstrip(")")]

    def _until(self, text):
        said = text.partition("until ")[2].partition(" UTC")[0]
        return datetime.strptime(said, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)

    # ── the end

    def _check_the_end(self):
        self.troubled = Counter()
        self.plans.clear()
        self.world.pass_time(120)
        self._remember()
        known = {record.hold.id for record in self.world.run(open_holds(self.world.ports))}
        assert self._hold_ids() <= known, "a lock of the bot's own that no record knows"
        last = max((until for _, until, _ in self.asked.values()), default=self.now)
        left = max(0.0, (last - self.now + SETTLES).total_seconds())
        self.world.pass_time(left + 1)
        assert self._hold_ids() == set(), "a hold that never ends"
        self._come_to_rest(lambda: self.world.pass_time(5))
        assert self.world.run(open_holds(self.world.ports)) == ()


TestHoldMachine = HoldMachine.TestCase
TestHoldMachine.settings = lengths(120, 20, nightly=(5_000, 40))
if not IS_NIGHTLY:
    TestHoldMachine.pytestmark = pytest.mark.timeout(600)

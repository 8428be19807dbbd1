"""Terraform, CI, people, time, crashes and a moody store in every order, and an oracle that knows who is alive."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from bot.core.gate.stages import UnlockStage
from bot.core.joblog.values import JobLog
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.report import Notice
from bot.core.run import Conclusion
from bot.core.run import Phase as RunPhase
from bot.errors import JournalAway, NotPermitted, UpstreamError
from bot.usecases.decide.owner import record_answer
from bot.usecases.request import approval
from bot.usecases.request.record import UNLOCKS
from bot.usecases.unlock import unlock
from tests.usecases.unlock.machine import HALVES, IS_NIGHTLY, WORKERS, Machine, lengths
from tests.worlds.memory.memory import WORKER
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE, MemoryWorld

ENDS = st.sampled_from([Conclusion.FAILED, Conclusion.CANCELLED, Conclusion.TIMED_OUT, Conclusion.LOST])
BROKEN_OFF = st.sampled_from([Conclusion.CANCELLED, Conclusion.TIMED_OUT, Conclusion.LOST])
CLICKS = ["confirmed", "approved", "armed", "taken back", "declined"]
PEOPLE = st.sampled_from(["U0QUINN", "U0PARKER", "U0ELLIOTT", "U0GUEST"])
MEMBERS = {"U0QUINN", "U0PARKER", "U0ELLIOTT"}
TROUBLES = st.sampled_from(["throttled", "cut before", "answer lost"])
OTHER_TROUBLES = st.sampled_from(["ci", "journal", "slack"])
EVENTS = st.sampled_from(
    [
        "killed",
        "stalls",
        "rerun",
        "changes hands",
        "ends well",
        "running",
        "dead",
        "stopped, running",
        "stopped, written",
    ]
)
STOPPED_FOR = 3600.0
"""Seconds for which a worker stands still, with all that it has decided, while others go on."""

MOMENTS = st.integers(1, 60)


class ReleaseMachine(Machine):
    """The bot may delete a lock only if its holder is really dead, and everything that people asked for is kept."""

    places: ClassVar = {
        "throttled": ("read lockfile", "read dynamodb", "read state", "delete "),
        "cut before": ("delete ",),
        "answer lost": ("deleted ",),
        "ci": ("list runs", "read run"),
        "journal": ("append", "update", "get ", "take", "renew", "secure", "start "),
        "slack": ("tell ", "told ", "notice"),
    }

    @initialize(kinds=HALVES, protected=st.booleans(), lock=st.sampled_from(["none", "held", "left behind"]), how=ENDS)
    def begin(self, kinds, protected, lock, how):
        self._enter(MemoryWorld(kinds=kinds, protected=protected))
        self.asked: dict[str, str] = {}
        self.consents: dict[str, list[tuple[str, str, datetime]]] = {}
        self.answers: dict[str, tuple[OwnerSays, int, datetime]] = {}
        self.looked: dict[str, int] = {}
        if lock != "none":
            self._take_as("runner-1", self.world.kinds)
        if lock == "left behind":
            self._end_as(how, 0.5)
            self.world.pass_time(700)

    # ── the truth

    def _take_as(self, host, kinds):
        run_id = f"{1001 + self.count}"
        self.world.ci.start(run_id, DEPLOY, host=host, actor="elliott-ci")
        self._take("runner@fv-az881-525", run_id, kinds)

    @precondition(lambda self: not self.world.store.texts)
    @rule(place=st.booleans())
    def terraform_takes_the_lock(self, place):
        self._take_as("runner-1", self.world.kinds[:1] if place else self.world.kinds)

    @precondition(lambda self: self._holder() is not None)
    @rule()
    def the_apply_writes_the_state(self):
        self.world.store.last_written = self.now

    @precondition(lambda self: self._holder() is not None)
    @rule()
    def the_apply_ends_well(self):
        self._end_well()

    @precondition(lambda self: self._holder() is not None)
    @rule(how=ENDS, lives_on=st.floats(0.0, 0.98))
    def ci_says_that_the_run_is_over(self, how, lives_on):
        """The runner may live on for a while: less than the settle time, which is what that time is for."""
        self._end_as(how, lives_on)

    @precondition(lambda self: self.world.ci.known)
    @rule()
    def a_run_is_started_again_under_the_same_id(self):
        self._rerun()

    @precondition(lambda self: any(run.attempt > 1 for run in self.world.ci.known.values()))
    @rule(how=ENDS)
    def the_second_attempt_ends(self, how):
        self._end_runs(how, attempts_from=2)

    @precondition(lambda self: self.world.store.texts and self._holder() is None)
    @rule()
    def somebody_breaks_the_lock_by_hand_and_another_run_takes_it(self):
        self._change_hands()

    def _change_hands(self):
        if not self.world.store.texts or self._holder() is not None:
            return
        self.world.store.texts.clear()
        self._take_as("runner-2", self.world.kinds)

    # ── people

    @rule(user=PEOPLE, when_safe=st.booleans())
    def somebody_asks(self, user, when_safe):
        self._ask(user, when_safe=when_safe)

    def _ask(self, user, *, when_safe):
        wanted = unlock.UnlockCommand(STATE, user, CHANNEL, self.world.incident.id, when_safe=when_safe)
        report = self._try(unlock.ask(self.world.ports, wanted))
        if report is None:
            return None
        if not report.request.ts:  # whoever may not act here is answered, and nothing is asked for
            assert user not in MEMBERS
            return None
        self.asked[report.request.id] = report.request.lock_id
        if report.stage is UnlockStage.ARMED:
            self._consent(report.request.id, "armed", user)
        return report.request.id

    @precondition(lambda self: getattr(self, "asked", None))
    @rule(
        data=st.data(), user=PEOPLE, click=st.sampled_from(["confirmed", "approved", "armed", "taken back", "declined"])
    )
    def somebody_clicks(self, data, user, click):
        self._click(data.draw(st.sampled_from(sorted(self.asked)[::-1])), user, click)

    def _click(self, request, user, click):
        found = self.world.run(UNLOCKS.get(self.world.ports, request))
        lock_id = self.asked[request] = found.request.lock_id
        ways = {
            "confirmed": unlock.confirm,
            "approved": partial(approval.approve, covers="+".join(found.wanted)),
            "armed": unlock.arm,
            "taken back": unlock.disarm,
            "declined": approval.decline,
        }
        before = len(self.deleted)
        if self._try(ways[click](self.world.ports, request, lock_id=lock_id, user=user), click) is not None:
            assert user in MEMBERS
            self._consent(request, click, user)
        assert len(self.deleted) == before, "a click deletes nothing by itself"

    def _consent(self, request, click, user):
        self.consents.setdefault(request, []).append((click, user, self.now))

    def _try(self, work, otherwise="done"):
        async def tried():
            try:
                return await work or otherwise
            except (NotPermitted, JournalAway, UpstreamError):
                return None

        return self.world.run(tried())

    @rule(says=st.sampled_from(OwnerSays))
    def the_owner_answers(self, says):
        self.world.run(self._answer(says))

    async def _answer(self, says):
        for lock_id in self._standing():
            self.answers[lock_id] = (says, self.world.switchboard.calls, self.now)
            await record_answer(
                self.world.ports, STATE, OwnerAnswer(lock_id, "U0ELLIOTT", says, self.now), incident=""
            )  # fmt: skip

    # ── time, troubles and crashes

    @rule(seconds=st.sampled_from([1, 5, 20, 61, 125, 331, 661]), workers=WORKERS)
    def time_passes(self, seconds, workers):
        self.world.pass_time(seconds, workers=workers)

    @rule(what=TROUBLES, times=st.integers(1, 6))
    def the_store_has_a_bad_moment(self, what, times):
        self.troubled[what] = times

    @rule(what=OTHER_TROUBLES, times=st.integers(1, 4))
    def another_system_has_a_bad_moment(self, what, times):
        self.troubled[what] = times

    @precondition(lambda self: self.world.store.texts)
    @rule(what=st.sampled_from(["throttled", "ci", "slack"]), when_safe=st.booleans(), workers=WORKERS)
    def an_unlock_meets_a_system_that_stays_away_through_its_last_try(self, what, when_safe, workers):
        request = self._ask("U0QUINN", when_safe=when_safe)
        self.away_until[what] = self.now + timedelta(seconds=315)
        if request is not None and not when_safe:
            self._click(request, "U0QUINN", "confirmed")
        self.world.pass_time(320, workers=workers)

    @rule(moment=MOMENTS, what=EVENTS)
    def something_happens_in_the_middle(self, moment, what):
        self.plans[self.world.switchboard.calls + moment] = what

    @rule(how=ENDS, place=st.booleans())
    def a_lock_is_left_behind(self, how, place):
        """Where a release may succeed: without this, most roads lead to a refusal."""
        self._end_well()
        if self._holder() is not None:
            return
        self.world.store.texts.clear()
        self._end_runs(how)
        self._take_as("runner-3", self.world.kinds[:1] if place else self.world.kinds)
        self._end_as(how, 0.9)
        self.world.pass_time(700)

    @rule(how=BROKEN_OFF)
    def a_process_outlives_its_run_and_takes_the_lock_with_its_next_command(self, how):
        """Another run, which only wanted the lock, has failed since, and its log says nothing about that."""
        self._end_well()
        if self._holder() is not None:
            return
        self.world.store.texts.clear()
        self._end_runs(how)
        gone, wanted = f"{2001 + self.count}", f"{3001 + self.count}"
        self.world.ci.start(gone, DEPLOY, host="runner-4", actor="elliott-ci")
        self.world.ci.end(gone, how)
        ended_at = self.now
        self.world.pass_time(self.world.policy.clock_skew.total_seconds() + 5)
        self._take(
            "runner@fv-az881-525", gone, self.world.kinds, ended_as=how, ended_at=ended_at,
            dies_at=ended_at + self.world.policy.settle_time(how) * 0.98,
        )  # fmt: skip
        self.world.ci.logs[f"{wanted}-1"] = JobLog(is_whole=True, ran_terraform=True)
        self.world.ci.start(wanted, DEPLOY, host="runner-5", actor="elliott-ci")
        self.world.ci.end(wanted, Conclusion.FAILED)
        self.world.pass_time(70)
        request = self._ask("U0QUINN", when_safe=False)
        if request is not None:
            self._click(request, "U0QUINN", "confirmed")
            self._click(request, "U0PARKER", "approved")
            self.world.pass_time(10)

    @precondition(lambda self: self.world.store.texts)
    @rule(
        moments=st.lists(st.tuples(MOMENTS, EVENTS), max_size=2),
        trouble=st.one_of(st.none(), st.tuples(TROUBLES | OTHER_TROUBLES, st.integers(1, 4))),
        when_safe=st.booleans(),
        workers=WORKERS,
    )
    def an_unlock_is_disturbed(self, moments, trouble, when_safe, workers):
        request = self._ask("U0QUINN", when_safe=when_safe)
        if request is None:
            return
        for moment, what in moments:
            self.plans[self.world.switchboard.calls + moment] = what
        if trouble is not None:
            self.troubled[trouble[0]] = trouble[1]
        if not when_safe:
            self._click(request, "U0QUINN", "confirmed")
        self.world.pass_time(30, workers=workers)
        if self.world.protected:
            self._click(request, "U0PARKER", "approved")
            self.world.pass_time(30, workers=workers)

    async def _fault(self, name):
        worker = WORKER.get()
        if not worker:
            return
        calls = self.world.switchboard.calls
        for what in self._due():
            await self._happens(what, worker)
        if name == "get owner-answer":
            self.looked[worker] = calls
        self._trouble(name)

    async def _happens(self, what, worker):
        token = WORKER.set("")
        try:
            match what:
                case "running" | "dead":
                    await self._answer(OwnerSays(what))
                case "stopped, running":
                    await self._answer(OwnerSays.RUNNING)
                    self.world.loop.stand_still(STOPPED_FOR)
                case "stopped, written":
                    self.world.loop.stand_still(STOPPED_FOR)
                    self.world.store.last_written = self.now
                case _:
                    await super()._happens(what, worker)
        finally:
            WORKER.reset(token)

    # ── the oracle

    def _judge_delete(self, lock_id):
        holder, now = self.holders[lock_id], self.now
        assert not self._is_alive(holder), f"{lock_id} was deleted under its living holder"
        assert holder.ended_at is not None
        assert now >= holder.ended_at + self.world.policy.settle_time(holder.ended_as)
        assert now >= self.world.store.last_written + self.world.policy.state_quiet

        said, when, at = self.answers.get(lock_id, (None, 0, now))
        if said is OwnerSays.RUNNING:
            assert when > self.looked[WORKER.get()], "the owner had said that it still runs"
            assert now - at < timedelta(seconds=STOPPED_FOR), "the owner had said so long ago that it still runs"

        wished = [request for request, lock in self._wished() if lock == lock_id]
        assert wished, f"nobody asked for {lock_id}"
        if self.world.protected:
            assert any(self._is_approved(request) for request in wished), "nobody approved"

    def _wished(self):
        """The requests that are confirmed, approved or armed, and were not taken back since."""
        for request, clicks in self.consents.items():
            if clicks[-1][0] not in {"taken back", "declined"}:
                yield request, self.asked[request]

    def _is_approved(self, request):
        clicks = self.consents[request]
        limit = self.now - self.world.policy.approval_timeout
        senders = {user for click, user, _ in clicks if click in {"confirmed", "armed"}}
        return any(click == "approved" and at >= limit and senders != {user} for click, user, at in clicks)

    def _check_the_end(self):
        entries = self._come_to_rest(lambda: self.world.pass_time(120))
        self._check_the_last_tries()
        self._check_the_timeline(entries)
        self._check_what_was_told(entries)
        self._check_that_it_is_released_if_it_may_be()

    def _check_the_last_tries(self):
        """What was given up has come to an end, was told, or begins again."""
        told = {notice.reference for notice in self.world.messenger.all(Notice)}
        busy = {part for job in self.world.jobs.waiting.values() for part in job.args}
        for request in {job.args[0] for job in self.world.given_up if job.args[0] in self.asked} - told - busy:
            phase = self.world.run(UNLOCKS.get(self.world.ports, request)).phase
            assert phase in {"shown", "done"}, f"{request} stays {phase}, and nobody was told"

    def _check_the_timeline(self, entries):
        super()._check_the_timeline(entries)
        released = [entry.facts["lock_id"] for entry in entries if entry.kind == "unlock.released"]
        assert len(released) == len(set(released)), "released once, and recorded once"

    def _check_what_was_told(self, entries):
        letters = [letter.lock.id for _, letter in self.world.messenger.rung if letter.news is OwnerNews.RELEASED]
        assert len(letters) == len(set(letters)), "one letter for one release"
        released = {entry.facts["lock_id"] for entry in entries if entry.kind == "unlock.released"}
        assert set(letters) <= released
        self._check_the_ends_shown(entries, UnlockStage.ALREADY_FREE, UnlockStage.EXPIRED)

    def _check_that_it_is_released_if_it_may_be(self):
        """A lock whose holder is long dead is released by an ordinary request; a living one's never is."""
        self.world.pass_time(700)
        standing = self._standing()
        if not standing:
            return
        (lock_id,) = standing
        over = not self._is_alive(self.holders[lock_id])
        over = over and self.answers.get(lock_id, (None,))[0] is not OwnerSays.RUNNING
        wanted = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, self.world.incident.id)
        report = self.world.run(unlock.ask(self.world.ports, wanted))
        request = report.request.id
        self.asked[request] = lock_id
        for click, user in (("confirmed", "U0QUINN"), ("approved", "U0PARKER")):
            if self._standing():
                self._click(request, user, click)
                self.world.pass_time(60)
        is_released = lock_id not in self._standing()
        assert over or not is_released
        # A run that was started again after the lock was taken is no holder, but with one in sight waiting is no fault.
        assert is_released or not (over and self._all_runs_ended())

    def _all_runs_ended(self):
        return all(run.phase is RunPhase.ENDED for run in self.world.ci.known.values())


TestReleaseMachine = ReleaseMachine.TestCase
TestReleaseMachine.settings = lengths(150, 20, nightly=(10_000, 50))
if not IS_NIGHTLY:
    TestReleaseMachine.pytestmark = pytest.mark.timeout(900)  # five minutes are too few where others work beside it

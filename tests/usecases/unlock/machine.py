"""What the state machines of a release share: the truth about Terraform, systems with bad moments, and the settings.

Each machine has its own rules, its own people and its own oracle.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo, PlaceKind, parse_lock_info
from bot.core.record.timeline import verify
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion, Phase
from bot.errors import JournalAway, Throttled, Unreachable
from tests.worlds.memory.memory import Throttle, lock_text
from tests.worlds.memory.world import DEPLOY

HALVES = st.sampled_from([(PlaceKind.ITEM,), (PlaceKind.FILE,), (PlaceKind.FILE, PlaceKind.ITEM)])
WORKERS = st.sampled_from([("w1",), ("w1", "w2")])
STALLED = timedelta(seconds=20)
ENDS_SHOWN = frozenset(list(UnlockStage)[list(UnlockStage).index(UnlockStage.RELEASED) :])


@dataclass
class Holder:
    """A Terraform process as it really is. `dies_at` is None while nothing is known to end it; a laptop has no run.

    `is_named`: its lock bears the number of its run.
    """

    lock_id: str
    run_id: str | None
    taken_at: datetime
    owner: str = ""
    is_named: bool = False
    ended_as: Conclusion | None = None
    ended_at: datetime | None = None
    dies_at: datetime | None = None


class Machine(RuleBasedStateMachine):
    """A world in memory whose every delete is judged at its instant, by `_judge_delete`."""

    places: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """By kind of trouble, how the names of the calls begin that it makes fail."""
    reruns_on: ClassVar[str | None] = "runner-1"
    """The machine on which a run is started again; None: the one that it had."""

    def _enter(self, world):
        self.world = world
        world.switchboard.fault = self._fault
        world.store.on_delete = self._judge
        world.store.last_written = self.now
        self.holders: dict[str, Holder] = {}
        self.deleted: list[tuple[str, PlaceKind]] = []
        self.plans: dict[int, object] = {}
        self.troubled: Counter[str] = Counter()
        self.away_until: dict[str, datetime] = {}
        self.stalls: list[datetime] = []
        self.bad_since: dict[tuple[str, str], datetime] = {}
        self.count = self.redis_away = 0
        self.is_judging = False

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            if not self.is_judging:
                self._check_the_end()
        finally:
            self.world.close()

    def _judge(self, kind, text):
        """Called by the store at the instant of every delete."""
        self.is_judging = True  # for ever, if it does not come to its end
        lock_id = parse_lock_info(text).id
        self.deleted.append((lock_id, kind))
        self._judge_delete(lock_id)
        self.is_judging = False

    # ── the truth about Terraform

    @property
    def now(self):
        return self.world.clock.now()

    def _is_alive(self, holder):
        return holder.dies_at is None or holder.dies_at > self.now

    def _standing(self):
        return {parse_lock_info(text).id for text, _ in self.world.store.texts.values()}

    def _holder(self):
        """The living holder of a lock that stands, if there is one."""
        alive = (self.holders[lock] for lock in self._standing() if self._is_alive(self.holders[lock]))
        return next(alive, None)

    def _take(self, who, run_id, kinds, **more):
        self.count += 1
        info = LockInfo(f"lock-{self.count}", "OperationTypeApply", "", who, "1.9.8", self.now, "p")
        for kind in kinds:
            self.world.store.write(kind, lock_text(info))
        self.holders[info.id] = Holder(info.id, run_id, self.now, **more)

    def _end_as(self, how, lives_on):
        """The runner may live on for a while: less than the settle time, which is what that time is for."""
        holder = self._holder()
        if holder is None or holder.ended_at is not None or holder.run_id is None:
            return
        if self.world.ci.known[holder.run_id].phase is Phase.RUNNING:
            self.world.ci.end(holder.run_id, how)
        self._saw_end(holder, lives_on)

    def _saw_end(self, holder, lives_on):
        """The CI says that the run is over."""
        run = self.world.ci.known[holder.run_id]
        holder.ended_as, holder.ended_at = run.conclusion, run.ended_at
        holder.dies_at = run.ended_at + self.world.policy.settle_time(run.conclusion) * lives_on

    def _end_well(self):
        holder = self._holder()
        if holder is None:
            return
        for kind, (text, _) in list(self.world.store.texts.items()):
            if parse_lock_info(text).id == holder.lock_id:
                self.world.store.clear(kind)
        holder.dies_at = holder.ended_at = self.now
        holder.ended_as = Conclusion.SUCCESS
        if holder.run_id and self.world.ci.known[holder.run_id].phase is not Phase.ENDED:
            self.world.ci.end(holder.run_id, Conclusion.SUCCESS)

    def _rerun(self):
        """A run that has ended is started again under the same id."""
        ended = [run for run in self.world.ci.known.values() if run.phase is Phase.ENDED]
        if ended:
            self.world.ci.start(
                ended[-1].ref.id, DEPLOY, host=self.reruns_on or ended[-1].jobs[-1].host, actor=ended[-1].actor
            )

    def _end_runs(self, how, *, attempts_from=1):
        for run in list(self.world.ci.known.values()):
            if run.phase is Phase.RUNNING and run.attempt >= attempts_from:
                self.world.ci.end(run.ref.id, how)

    # ── moments, good and bad

    async def _happens(self, what, worker):
        match what:
            case "killed":
                self.world.switchboard.dead.add(worker)
            case "stalls":
                self.stalls.append(self.now)
                await asyncio.sleep(STALLED.total_seconds())
            case "rerun":
                self._rerun()
            case "changes hands":
                self._change_hands()
            case "ends well":
                self._end_well()
            case "goes on" if self._holder() is not None:
                self.world.store.last_written = self.now

    def _due(self):
        """What was planned for this call of the bot, or for one before it."""
        calls = self.world.switchboard.calls
        return [self.plans.pop(call) for call in list(self.plans) if call <= calls]

    def _trouble(self, name):
        for what, prefixes in self.places.items():
            is_away = self.away_until.get(what, self.now) > self.now
            if (is_away or self.troubled[what]) and name.startswith(prefixes):
                self.troubled[what] = max(0, self.troubled[what] - 1)
                self._fail(what)

    def _fail(self, what):
        if what == "journal":
            self.redis_away += 1
            raise JournalAway("away")
        if what in {"throttled", "people"}:
            raise Throttle
        if what == "slack is busy":
            raise Throttled("Slack", "asks for patience", retry_after=5)
        raise Unreachable("somebody", "no answer")

    def _note(self, what, user="", *, is_bad):
        if is_bad:
            self.bad_since.setdefault((what, user), self.now)
        else:
            self.bad_since.pop((what, user), None)

    def _has_been(self, what, user=""):
        """Whether it was so at some moment that a decision of now may still rest on."""
        since = self.bad_since.get((what, user))
        return since is None or self.now - since <= self._grace()

    def _grace(self):
        """As old as the evidence for a delete may be: the gate's own limit, and as long as its worker stood still."""
        recent = [at for at in self.stalls if self.now - at < timedelta(minutes=10)]
        return self.world.policy.evidence_max_age + STALLED * len(recent) + timedelta(seconds=15)

    # ── how it all ends

    def _come_to_rest(self, pass_time):
        """Nothing goes wrong any more, and the workers finish what they have. All entries of all timelines."""
        self.troubled.clear()
        self.away_until.clear()
        self.plans.clear()
        pass_time()
        for log in self.world.journal.logs.values():
            verify(log)
        return [entry for log in self.world.journal.logs.values() for entry in log]

    def _check_the_timeline(self, entries):
        released = {entry.facts["lock_id"] for entry in entries if entry.kind == "unlock.released"}
        assert not released & self._standing(), "recorded as released, and still there"
        intents = {entry.facts["lock_id"] for entry in entries if entry.kind == "unlock.releasing"}
        assert {lock_id for lock_id, _ in self.deleted} <= intents, "every delete has its intent"
        gone = {lock for lock, _ in self.deleted} - self._standing()
        outcomes = {entry.facts["lock_id"] for entry in entries if entry.kind in {"unlock.released", "unlock.failed"}}
        assert gone <= outcomes, "every delete has its outcome"

    def _check_the_ends_shown(self, entries, *unwritten):
        """What a message shows as the end of a request is on the timeline; but for these ends, which need not be."""
        recorded = {(entry.facts.get("request"), entry.facts.get("outcome")) for entry in entries}
        taken_back = {
            entry.facts.get("request")
            for entry in entries
            if entry.kind == "unlock.failed" and "outcome" not in entry.facts
        }
        for report in self.world.messenger.all(UnlockReport):
            request, stage = report.request.id, report.stage
            if stage in ENDS_SHOWN.difference(unwritten) and not (
                stage is UnlockStage.DECLINED and request in taken_back
            ):
                assert (request, str(stage)) in recorded, "shown, and not recorded"


IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def lengths(examples, steps, *, nightly):
    """How long a machine plays: this many examples and steps, and (examples, steps) in the nightly run."""
    examples, steps = nightly if IS_NIGHTLY else (examples, steps)
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=settings().derandomize and not IS_NIGHTLY,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

"""The time of one decision, by the number of runs that may hold the lock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.evidence import Found
from bot.core.gate.attribution import PipelineSeen
from bot.core.gate.case import Case, Ruling
from bot.core.gate.decide import RULES, decide
from bot.core.gate.tie import attribute
from bot.core.lock import (
    Abilities,
    DigestMatch,
    DigestSeen,
    Fence,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    StateCheck,
    StateSeen,
)
from bot.core.people import Channel, Member, Standing
from bot.core.policy import Holders, Policy
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef

pytestmark = pytest.mark.bench

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CREATED = NOW - timedelta(hours=2)
PIPELINE = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")))
MANY = 500
ROUNDS = 15


def case_of(candidates: int) -> Case:
    """A lock that this many ended runs could have taken; it is allowed to be released."""
    lock = LockInfo("lock-1", "OperationTypeApply", "", "runner@fv-az881-525", "1.11.4", CREATED, "acme/staging")
    runs = tuple(timed_out(str(number)) for number in range(candidates))
    look = PipelineSeen(PIPELINE, "GitHub", Found(runs, NOW), {run.ref.id: Found(run, NOW) for run in runs})
    policy, holders = Policy(), Holders()
    state = StateSeen(
        size=4096, last_written=CREATED, md5="0" * 32, serial=7, lineage="b0c5d1f2", terraform_version="1.11.4",
        fault=None,
    )  # fmt: skip
    return Case(
        can=Abilities(conditional=True, fence=Fence.NONE, shows_holder=True, versions=True, swap=False),
        lock_id=lock.id,
        lock=LockSeen((LockPlace(PlaceKind.ITEM, "acme-tf-locks", "fence", lock),), (), (), NOW),
        state=StateCheck(Found(state, NOW), DigestSeen(DigestMatch.MATCHES)),
        looks=(look,),
        attribution=attribute(lock, (look,), holders=holders, skew=policy.clock_skew),
        requester=parker(),
        owner=None,
        protected=False,
        policy=policy,
        holders=holders,
    )


def timed_out(run_id: str) -> Run:
    start, end = CREATED - timedelta(minutes=3), CREATED + timedelta(minutes=10)
    job = Job(run_id, "apply", 1, Phase.ENDED, Conclusion.TIMED_OUT, start, end, "GitHub Actions 7")
    return Run(
        ref=RunRef(PIPELINE, run_id), title="Deploy", actor="elliott", trigger="push", phase=Phase.ENDED,
        conclusion=Conclusion.TIMED_OUT, attempt=1, created_at=start, started_at=start, ended_at=end, jobs=(job,),
    )  # fmt: skip


def parker() -> Standing:
    member = Member(
        id="U0PARKER", name="parker", team_id="T0ACME", is_bot=False, is_guest=False, is_stranger=False,
        is_deleted=False, tz=None, tz_offset=0,
    )  # fmt: skip
    channel = Channel("C0STAGING", "inc-staging", is_direct=False, is_archived=False)
    return Standing(
        "U0PARKER",
        "T0ACME",
        Found(member, NOW),
        Found(value=True, at=NOW),
        None,
        Found(channel, NOW),
        is_incident_channel=True,
    )


async def test_the_time_of_a_decision_grows_in_proportion_to_the_runs(bench: Any) -> None:
    cases = {count: case_of(count) for count in (1, MANY)}

    async def seconds(count: int, decisions: int) -> float:
        started = time.perf_counter()
        for _ in range(decisions):
            verdict = decide(cases[count], NOW)
        took = (time.perf_counter() - started) / decisions
        assert verdict.ruling is Ruling.ALLOW
        assert len(verdict.findings) == len(RULES)
        return took

    found = await bench.in_turns(ROUNDS, one=lambda: seconds(1, 200), many=lambda: seconds(MANY, 5))

    one, many = found.median("one"), found.median("many")
    bench.compared(
        f"gate: 1 and {MANY} candidate runs",
        f"{one * 1e6:.0f} µs ({1 / one:.0f}/s) and {many * 1e6:.0f} µs ({1 / many:.0f}/s)",
        ratio=f"{many / one:.0f} times",
        target=f"<= {MANY} times (linear)",
    )

"""How many answers in a row `status` waits for, with every upstream made 200 ms slower."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.machine.proxy import FaultProxy, fault_proxy
from bot.sandbox.stage import CHANNEL, DEPLOY, REPO, UPDATE, SandboxState
from tests.worlds.logs import held
from tests.worlds.proxy import Delay
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

HOP = 0.2
OWN = 0.15
MOST_HOPS = 3
ROUNDS = 5
ASKER = "U0PARKER"
DRIFT = "drift.yml"

STATES = (
    SandboxState("staging", "environments/staging/terraform.tfstate"),
    SandboxState("weekend", "environments/weekend/terraform.tfstate"),
    SandboxState("three-pipelines", "environments/three/terraform.tfstate", workflows=(DEPLOY, UPDATE, DRIFT)),
    SandboxState("both-halves", "environments/both/terraform.tfstate", file=True),
    SandboxState("busy-hour", "environments/busy/terraform.tfstate"),
)
AGES = {"weekend": timedelta(days=3)}
SUSPECTS = {"busy-hour": 12}
"""How many runs were going on when the lock was taken, each of which has to be read again."""


@dataclass(frozen=True, slots=True)
class SlowWorld:
    """The stage with a proxy in front of GitHub as well."""

    stage: FullStage
    github: FaultProxy
    spans: Iterator[timedelta] = field(default_factory=lambda: (timedelta(minutes=20) * n for n in count()))
    """Ages that keep the deployments of two rounds apart."""

    def slow_down(self) -> None:
        """Adds a hop's time to every call of AWS, GitHub and Slack, the response URLs included."""
        for proxy in (self.stage.proxy, self.github):
            proxy.fault(lambda _: True, Delay(HOP))
        self.stage.slack.slow("*", seconds=HOP)

    def heal(self) -> None:
        for proxy in (self.stage.proxy, self.github):
            proxy.lift_all()
        self.stage.slack.heal()

    async def new_lock(self, state: str) -> None:
        """Another lock of a deployment that timed out, as the bot has never seen it, so that all is asked and told."""
        of, aws = self.stage.states[state], self.stage.aws
        await aws.delete_item(f"{aws.bucket}/{of.key}")
        await aws.delete_object(f"{of.key}.tflock")
        await aws.put_state(of.key)
        created = datetime.now(UTC) - AGES.get(state, timedelta(hours=2)) - next(self.spans)
        lock = await self.stage.take_lock(state, created=created)
        for _ in range(SUSPECTS.get(state, 1)):
            run = self.stage.runs.start_run(REPO, DEPLOY, at=created - timedelta(minutes=3), actor="elliott-ci")
            held(run, lock)
            self.stage.runs.finish(run.id, "timed_out", at=created + timedelta(minutes=10))

    async def seconds_to_answer(self, state: str) -> float:
        """From sending the command until its answer stands in Slack, the answer's own hop included."""
        slack = self.stage.slack
        before = len(slack.ephemerals(ASKER))
        started = time.perf_counter()
        delivery = await slack.command(ASKER, CHANNEL, f"status {state}")
        await slack.wait_for(lambda: len(slack.ephemerals(ASKER)) > before, timeout=20)
        seconds = time.perf_counter() - started
        assert delivery.is_acked
        answer = await self.stage.whispered(ASKER, state)
        assert "timed out" in str(answer.blocks) + answer.text
        return seconds

    async def at_rest(self) -> None:
        """Returns when the bot has nothing left to do with the last command (the letter to the owner)."""
        server = self.stage.bots["serve"]
        asked = len([one for one in self.stage.slack.deliveries if one.is_acked])
        await self.stage.slack.wait_for(lambda: len(server.events("command.handled")) >= asked, timeout=20)


@pytest.fixture
async def slow_world(tmp_path: Path) -> AsyncIterator[SlowWorld]:
    async with (
        stage(tmp_path, slack=FullWorkspace(), states=STATES, processes=()) as made,
        fault_proxy(made.github.base_url) as github,
    ):
        made.runs.add_workflow(REPO, DRIFT)
        made.settings["ci"]["github"]["base_url"] = github.url
        await made.start("serve")
        yield SlowWorld(made, github)


@pytest.mark.parametrize("state", [state.name for state in STATES])
async def test_status_waits_for_at_most_three_upstream_answers_in_a_row_and_for_logs_that_it_has_not_read(
    slow_world: SlowWorld, bench: Any, state: str
) -> None:
    async def answered(*, is_read: bool, is_slow: bool) -> float:
        await slow_world.new_lock(state)
        if is_read:
            await slow_world.seconds_to_answer(state)
            await slow_world.at_rest()
        if is_slow:
            slow_world.slow_down()
        seconds = await slow_world.seconds_to_answer(state)
        await slow_world.at_rest()
        slow_world.heal()
        return seconds

    first = await answered(is_read=False, is_slow=True)  # nothing is warm, no connection is open
    found = await bench.in_turns(
        ROUNDS,
        undelayed=partial(answered, is_read=False, is_slow=False),
        delayed=partial(answered, is_read=False, is_slow=True),
        undelayed_again=partial(answered, is_read=True, is_slow=False),
        delayed_again=partial(answered, is_read=True, is_slow=True),
    )

    for logs, hops, again in (("not read before", MOST_HOPS + 1, ""), ("remembered", MOST_HOPS, "_again")):
        own, slow = found.median(f"undelayed{again}"), found.median(f"delayed{again}")
        bench.compared(
            f"status of `{state}`, +200 ms a call, logs {logs}",
            f"{slow * 1000:.0f} ms ({own * 1000:.0f} ms without; the very first {first * 1000:.0f} ms)",
            ratio=f"{(slow - own) / HOP:.1f} hops",
            target=f"<= {hops} hops, <= {(hops * HOP + OWN) * 1000:.0f} ms",
        )
    assert await slow_world.stage.lock_stands(state)

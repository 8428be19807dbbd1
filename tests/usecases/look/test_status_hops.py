"""How many answers in a row `status` waits for, counted: each takes a second of a clock that nothing else moves.

The answer to Slack itself comes on top: three in all where the logs are remembered, four where they are not.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.core.lock import LockInfo, PlaceKind
from bot.core.policy import Holders, KnownPerson
from bot.core.run import Conclusion
from bot.usecases.look.status import Question, status
from tests.worlds.memory.memory import lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE, MemoryWorld

UPSTREAM = (
    *("read lockfile", "read dynamodb item", "read state", "read table", "list runs", "read run"),
    *("look up member", "look up member by email", "look up inside", "look up groups", "look up channel"),
)


@pytest.fixture
def town():
    made = MemoryWorld(kinds=(PlaceKind.ITEM,))
    yield made
    made.close()


def lock(town, *, who="runner@fv-az881-525"):
    """A lock of a deployment that failed, which `elliott-ci` had started."""
    town.ci.start("100", DEPLOY, host="GitHub Actions 7", actor="elliott-ci")
    town.pass_time(30)
    info = LockInfo("l1", "OperationTypeApply", "", who, "1.9.8", town.clock.now(), "p")
    for kind in town.kinds:
        town.store.write(kind, lock_text(info))
    town.pass_time(600)
    town.ci.end("100", Conclusion.FAILED)


def hops(town, *, slow=UPSTREAM):
    asked = []

    async def takes_a_second(name):
        if name in slow:
            asked.append(name)
            await asyncio.sleep(1)

    before, town.switchboard.fault = town.clock.now(), takes_a_second
    report = town.run(status(town.ports, STATE, Question("U0QUINN", CHANNEL, "status")))
    town.switchboard.fault = None
    return (town.clock.now() - before).total_seconds(), report, asked


@pytest.mark.parametrize(
    "known",
    [
        KnownPerson("elliott", "U0ELLIOTT", github="elliott-ci"),
        KnownPerson("elliott", None, github="elliott-ci", email="elliott@example.com"),
    ],
)
def test_the_owner_is_looked_up_in_slack_while_the_runs_are_read(town, known):
    town.ports = replace(town.ports, holders=Holders(people=(known,)))
    lock(town)

    seconds, report, asked = hops(town)

    assert seconds == 2
    assert report.inspection.owner.slack_id == "U0ELLIOTT"
    # the asker, and the owner once
    assert (asked.count("look up member"), asked.count("look up member by email")) == (
        (2, 0) if known.slack else (1, 1)
    )
    assert hops(town, slow=(*UPSTREAM, "read log"))[0] == 3


def test_an_owner_whom_only_the_runs_themselves_name_is_looked_up_after_that(town):
    lock(town)
    runs = dict(town.ci.known)

    async def listed(pipeline, *, since):
        seen = await was(pipeline, since=since)
        return replace(seen, value=tuple(replace(run, actor="") for run in seen.value))

    was, town.ci.runs = town.ci.runs, listed
    seconds, report, _ = hops(town)

    assert runs
    assert (seconds, report.inspection.owner.slack_id) == (3, "U0ELLIOTT")


def test_a_free_state_asks_for_no_owner(town):
    seconds, _, asked = hops(town)

    assert (seconds, asked.count("look up member")) == (1, 1)

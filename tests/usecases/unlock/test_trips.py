"""How often a click waits for Redis, one time after another, until its lock is deleted: counted on virtual time."""

from __future__ import annotations

import asyncio

from bot.core.lock import LockInfo, PlaceKind
from bot.core.run import Conclusion
from bot.usecases.unlock import unlock
from tests.worlds.memory.memory import lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

TRIP = 0.001
MOST = 16
"""With the acceptance before the ack it is one more."""

_OF_REDIS = ("get ", "put ", "update ", "swap ", "secure ", "once ", "take ", "renew ", "enlist", "append ", "start ",
             "accept", "find", "current", "open", "tail", "incidents")  # fmt: skip


def test_a_click_waits_for_redis_so_many_times_until_the_lock_is_deleted(make_paper):
    paper = make_paper(kinds=(PlaceKind.ITEM,))
    paper.ci.start("1001", DEPLOY, host="runner-1", actor="elliott-ci")
    created = paper.clock.now()
    info = LockInfo("lock-1", "OperationTypeApply", "", "runner@fv-az1-1", "1", created, "p")
    paper.store.write(PlaceKind.ITEM, lock_text(info))
    paper.store.last_written = created
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)
    wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
    request = paper.run(unlock.ask(paper.ports, wish)).request.id
    paper.pass_time(5)  # the owner is told
    deleted = []

    async def fault(name):
        if name.startswith(_OF_REDIS):
            await asyncio.sleep(TRIP)
        if name.startswith("delete "):
            deleted.append(paper.loop.time())

    began = paper.loop.time()
    paper.switchboard.fault = fault
    paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user="U0QUINN", click="click/1"))
    paper.pass_time(5)

    assert paper.store.texts == {}
    trips = round((deleted[0] - began) / TRIP)
    assert trips <= MOST, trips

"""With a replica of Redis, what people are told counts only once the replica has it: a fail-over may lose the rest."""

from __future__ import annotations

import signal

import pytest
import pytest_asyncio

from bot.sandbox.slack.text import flat
from bot.store.connect import connect
from tests.store.test_topologies import free_port, server, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def ports():
    return free_port(), free_port()


@pytest.fixture(scope="module")
def replica(tmp_path_factory, ports):
    """The replica's process, beside its primary."""
    homes = [tmp_path_factory.mktemp(name) for name in ("primary", "replica")]
    first = ["--port", str(ports[0]), "--save", ""]
    second = ["--port", str(ports[1]), "--save", "", "--replicaof", "127.0.0.1", str(ports[0])]
    with server(homes[0], *first), server(homes[1], *second) as process:
        yield process


@pytest.fixture(scope="module")
def staged(replica, ports):
    return {"environment": {"REDIS_URL": f"redis://127.0.0.1:{ports[0]}"}}


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def following(replica, ports):
    """The replica follows its primary, before and after."""
    primary = connect(f"redis://127.0.0.1:{ports[0]}")

    async def follows():
        return (await primary.info("replication"))["connected_slaves"]

    await until(follows)
    yield
    replica.send_signal(signal.SIGCONT)
    await primary.aclose()


@pytest.mark.parametrize("is_paused", [True, False])
async def test_an_owners_objection_is_taken_and_called_safe_only_when_a_replica_has_it(scene, replica, is_paused):
    lock, _ = await scene.stage.dead_lock()
    await scene.checklist("unlock staging", "safe to unlock")
    letter = await scene.letter("wants to unlock")
    if is_paused:
        replica.send_signal(signal.SIGSTOP)

    await scene.click(letter, "owner.running", user="U0ELLIOTT")
    await scene.has_recorded("owner.answered")
    if is_paused:
        await scene.told("not safe yet", "no replica of Redis has confirmed it", user="U0ELLIOTT")
    else:
        await scene.becomes(letter, "still running")

    refused = [m for m in scene.slack.ephemerals("U0ELLIOTT") if m.ts > letter.ts and "not safe yet" in flat(m)]
    assert bool(refused) is is_paused
    assert await scene.stands(lock)
    await scene.checklist("unlock staging", "is locked", "still running")


async def test_nothing_is_deleted_before_a_replica_has_the_intent_and_that_is_said(scene, replica):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.letter("wants to unlock")
    replica.send_signal(signal.SIGSTOP)

    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "no replica of Redis has confirmed the intent")
    assert await scene.stands(lock)
    assert "unlock.releasing" in await scene.kinds()
    replica.send_signal(signal.SIGCONT)

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()
    assert (await scene.kinds()).count("unlock.released") == 1
